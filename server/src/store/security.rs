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
#[derive(Debug, Default)]
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
/// until the transaction ends.
pub(super) fn raise_epoch(connection: &mut DbConnection) -> QueryResult<()> {
    let raised = diesel::update(security_epoch::table.filter(security_epoch::id.eq(ROW)))
        .set(security_epoch::epoch.eq(security_epoch::epoch + 1))
        .execute(connection)?;
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
