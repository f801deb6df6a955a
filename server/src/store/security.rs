//! What the database says about who is known and who is denied, as one copy in memory.
//!
//! The row of `security_epoch` counts the changes to it. Every change of accounts, their keys or the deny list raises
//! the number in the same transaction, so a copy with the current number is complete.

use std::collections::{HashMap, HashSet};

use diesel::{prelude::*, result::Error};
use openssl::sha::Sha256;
use platform::database::{DbConnection, first_only};

use super::{
    DeniedSubject, Registered,
    accounts::groups,
    schema::{account_keys, accounts, denials, security_epoch},
};

/// The only row of the table.
const ROW: i32 = 1;

/// All accounts, their keys, and the deny list, at one moment of the database.
#[derive(Debug, Clone, Default)]
pub struct Security {
    epoch: i64,
    accounts: HashMap<String, Registered>,
    /// The accounts of keys, by the SHA-256 of the key.
    keys: HashMap<String, String>,
    denied: HashSet<DenialKey>,
}

/// An entry of the deny list in a fixed size, so that long lists take little memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DenialKey([u8; 32]);

/// A change to it, to see what would follow.
#[derive(Debug, Clone)]
pub enum SecurityChange {
    /// An account is added, or takes this form; whether it is disabled stays as it is.
    Account(Registered),
    /// An account is disabled.
    Disabled(String),
    /// An account and its keys are removed.
    Removed(String),
    /// A key, by its SHA-256, is registered to an account.
    Key(String, String),
    /// A key, by its SHA-256, is registered to nobody any more.
    NoKey(String),
    /// A subject is denied.
    Denied(DeniedSubject),
}

impl DenialKey {
    /// The key of a subject.
    pub fn of(subject: &DeniedSubject) -> Self {
        Self::of_entry(subject.kind(), &subject.key())
    }

    /// The key of a principal.
    pub fn of_principal(name: &str) -> Self {
        Self::of_entry("principal", name)
    }

    fn of_entry(kind: &str, subject: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(kind.as_bytes());
        digest.update(b"\0");
        digest.update(subject.as_bytes());
        Self(digest.finish())
    }
}

impl Security {
    /// The number of the last change that it contains.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = &Registered> {
        self.accounts.values()
    }

    /// The hashes of all registered keys, with the names of their accounts.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys
            .iter()
            .map(|(key, account)| (key.as_str(), account.as_str()))
    }

    /// What it would be after a change.
    #[must_use]
    pub fn after(&self, change: &SecurityChange) -> Self {
        let mut after = self.clone();
        match change {
            SecurityChange::Account(account) => {
                let disabled = self.account(&account.name).is_some_and(|before| before.disabled);
                let account = Registered {
                    disabled,
                    ..account.clone()
                };
                after.accounts.insert(account.name.clone(), account);
            }
            SecurityChange::Disabled(name) => {
                if let Some(account) = after.accounts.get_mut(name) {
                    account.disabled = true;
                }
            }
            SecurityChange::Removed(name) => {
                after.accounts.remove(name);
                after.keys.retain(|_, account| account != name);
            }
            SecurityChange::Key(key, account) => {
                let known = after.accounts.contains_key(account);
                if known && !after.keys.contains_key(key) {
                    after.keys.insert(key.clone(), account.clone());
                }
            }
            SecurityChange::NoKey(key) => {
                after.keys.remove(key);
            }
            SecurityChange::Denied(subject) => {
                after.denied.insert(DenialKey::of(subject));
            }
        }
        after
    }

    /// The account to which a key is registered. `key_hashes` are the hashes of the key in lower-case hexadecimal
    /// digits, the current form first; older entries may be stored under another.
    pub fn account_by_key(&self, key_hashes: &[String]) -> Option<&Registered> {
        let name = key_hashes.iter().find_map(|hash| self.keys.get(hash))?;
        self.accounts.get(name)
    }

    /// An account.
    pub fn account(&self, name: &str) -> Option<&Registered> {
        self.accounts.get(name)
    }

    /// Whether any of these subjects is on the deny list.
    pub fn denies_any(&self, subjects: &[DenialKey]) -> bool {
        !self.denied.is_empty() && subjects.iter().any(|subject| self.denied.contains(subject))
    }

    /// Whether a principal is on the deny list, or has a disabled account.
    pub fn denies_principal(&self, name: &str) -> bool {
        let disabled = self.accounts.get(name).is_some_and(|account| account.disabled);
        disabled || !self.denied.is_empty() && self.denied.contains(&DenialKey::of_principal(name))
    }
}

/// The number of the last change.
pub(super) fn epoch(connection: &mut DbConnection) -> QueryResult<i64> {
    first_only(
        security_epoch::table
            .filter(security_epoch::id.eq(ROW))
            .select(security_epoch::epoch),
    )
    .get_result(connection)
}

/// Counts a change. Must be called within the transaction of the change, as its last statement: the row stays locked
/// until the transaction ends. With `expected`, the change is rolled back unless the last one has this number; an update
/// sees what others committed, at every isolation level.
pub(super) fn raise_epoch(connection: &mut DbConnection, expected: Option<i64>) -> QueryResult<()> {
    let row = security_epoch::table.filter(security_epoch::id.eq(ROW));
    let next = security_epoch::epoch.eq(security_epoch::epoch + 1);
    let raised = match expected {
        None => diesel::update(row).set(next).execute(connection)?,
        Some(epoch) => {
            let raised = diesel::update(row.filter(security_epoch::epoch.eq(epoch)))
                .set(next)
                .execute(connection)?;
            if raised == 0 {
                return Err(Error::RollbackTransaction);
            }
            raised
        }
    };
    // Without the row, servers would not learn of the change.
    if raised == 1 { Ok(()) } else { Err(Error::NotFound) }
}

/// Reads everything; the caller's transaction makes it one moment.
pub(super) fn load(connection: &mut DbConnection) -> QueryResult<Security> {
    let epoch = epoch(connection)?;
    let rows: Vec<(String, bool, String, Option<chrono::NaiveDateTime>)> = accounts::table
        .select((
            accounts::name,
            accounts::is_admin,
            accounts::group_names,
            accounts::disabled_at,
        ))
        .load(connection)?;
    let accounts = rows
        .into_iter()
        .map(|(name, is_admin, group_names, disabled_at)| {
            let account = Registered {
                name: name.clone(),
                groups: groups(&group_names)?,
                disabled: disabled_at.is_some(),
                is_admin,
            };
            Ok((name, account))
        })
        .collect::<QueryResult<_>>()?;
    let keys: Vec<(String, String)> = account_keys::table
        .select((account_keys::spki_sha256, account_keys::account))
        .load(connection)?;
    let entries: Vec<(String, String)> = denials::table
        .select((denials::kind, denials::subject))
        .load(connection)?;
    Ok(Security {
        epoch,
        accounts,
        keys: keys.into_iter().collect(),
        denied: entries
            .iter()
            .map(|(kind, subject)| DenialKey::of_entry(kind, subject))
            .collect(),
    })
}
