//! Accounts and the keys registered to them.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{prelude::*, result::Error};
use platform::database::{DbConnection, exact, first_only, is_conflict};

use super::{
    Actor, Store, StoreError,
    audit::{AUDIT_LOCK, End},
    schema::{account_keys, accounts},
    security::raise_epoch,
};
use crate::audit::{chain::Chain, record::Change};
use crate::clock::Clock;

/// The group to which every account with administrator rights belongs.
pub const ADMINS: &str = "admins";

/// The name of the lock for changes to accounts.
pub(super) const ACCOUNTS: &str = "accounts";

/// The account to which a key is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// The groups assigned to it.
    pub groups: Vec<String>,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Whether it has administrator rights.
    pub is_admin: bool,
}

impl Registered {
    /// The groups assigned to it, and [`ADMINS`] for an administrator.
    pub fn all_groups(&self) -> Vec<String> {
        all_groups(&self.groups, self.is_admin)
    }
}

fn all_groups(put_in: &[String], is_admin: bool) -> Vec<String> {
    let mut groups = put_in.to_vec();
    if is_admin && !groups.iter().any(|group| group == ADMINS) {
        groups.push(ADMINS.to_owned());
    }
    groups
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's name, which is also the principal's.
    pub name: String,
    /// The full name of its owner, as a text for users.
    pub full_name: Option<String>,
    /// Whether it has administrator rights.
    pub is_admin: bool,
    /// The groups assigned to it.
    pub groups: Vec<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was disabled; `None` if it is not.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why it was disabled, if somebody said so.
    pub disabled_reason: Option<String>,
}

impl Account {
    /// The groups assigned to it, and [`ADMINS`] for an administrator.
    pub fn all_groups(&self) -> Vec<String> {
        all_groups(&self.groups, self.is_admin)
    }
}

/// The outcome of adding an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountAdded {
    /// It is new.
    New,
    /// It existed in exactly this form; it may be disabled.
    Same(Account),
    /// It existed in this other form, and was changed.
    Changed(Account),
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = accounts)]
struct Row {
    name: String,
    full_name: Option<String>,
    is_admin: bool,
    group_names: String,
    created_at: NaiveDateTime,
    disabled_at: Option<NaiveDateTime>,
    disabled_reason: Option<String>,
}

impl TryFrom<Row> for Account {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            groups: groups(&row.group_names)?,
            name: row.name,
            full_name: row.full_name,
            is_admin: row.is_admin,
            created_at: row.created_at.and_utc(),
            disabled_at: row.disabled_at.map(|time| time.and_utc()),
            disabled_reason: row.disabled_reason,
        })
    }
}

pub(super) fn groups(json: &str) -> Result<Vec<String>, Error> {
    serde_json::from_str(json).map_err(|cause| Error::DeserializationError(Box::new(cause)))
}

pub(super) fn find_account(connection: &mut DbConnection, name: &str) -> QueryResult<Option<Account>> {
    let row = accounts::table
        .filter(exact(accounts::name, name))
        .select(Row::as_select());
    let row: Option<Row> = first_only(row).get_result(connection).optional()?;
    row.map(Account::try_from).transpose()
}

/// The name of every account.
pub(super) fn names(connection: &mut DbConnection) -> QueryResult<Vec<String>> {
    accounts::table.select(accounts::name).load(connection)
}

impl Store {
    /// The account to which a key is registered. `key_hashes` are the hashes of the key in lower-case hexadecimal
    /// digits, the current form first; older entries may be stored under another.
    ///
    /// # Errors
    /// When the database fails.
    pub fn account_by_key(&self, key_hashes: &[String]) -> Result<Option<Registered>, StoreError> {
        let mut connection = self.database.reader()?;
        for hash in key_hashes {
            let row = account_keys::table
                .inner_join(accounts::table)
                .filter(exact(account_keys::spki_sha256, hash))
                .select(Row::as_select());
            let row: Option<Row> = first_only(row).get_result(&mut *connection).optional()?;
            if let Some(row) = row {
                let account = Account::try_from(row)?;
                return Ok(Some(Registered {
                    name: account.name,
                    groups: account.groups,
                    disabled: account.disabled_at.is_some(),
                    is_admin: account.is_admin,
                }));
            }
        }
        Ok(None)
    }

    /// Every account, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows: Vec<Row> = accounts::table
            .select(Row::as_select())
            .order(accounts::name.asc())
            .load(&mut *self.database.reader()?)?;
        let found: Result<_, Error> = rows.into_iter().map(Account::try_from).collect();
        Ok(found?)
    }

    /// At most `count` accounts by name, from the name `from` on.
    ///
    /// # Errors
    /// When the database fails.
    pub fn accounts_from(&self, from: &str, count: usize) -> Result<Vec<Account>, StoreError> {
        let rows: Vec<Row> = accounts::table
            .filter(accounts::name.ge(from))
            .select(Row::as_select())
            .order(accounts::name.asc())
            .limit(i64::try_from(count).unwrap_or(i64::MAX))
            .load(&mut *self.database.reader()?)?;
        let found: Result<_, Error> = rows.into_iter().map(Account::try_from).collect();
        Ok(found?)
    }

    /// An account.
    ///
    /// # Errors
    /// When the database fails.
    pub fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        Ok(find_account(&mut *self.database.reader()?, name)?)
    }

    /// Creates an account, or changes it to this form; whether it is disabled stays as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_account(&self, wanted: &Account, actor: &Actor) -> Result<AccountAdded, StoreError> {
        let mut connection = self.database.writer()?;
        match self.add(&mut connection, wanted, actor) {
            // Another client added the same name at the same moment: now it exists.
            Err(cause) if is_conflict(&cause) => Ok(self.add(&mut connection, wanted, actor)?),
            outcome => Ok(outcome?),
        }
    }

    /// Disables an account at a time, or enables it; `reason` is why, for the list and the record. Returns true if that
    /// changed anything, `None` if there is no such account. An account that is already disabled keeps the time and the
    /// reason of the first call.
    ///
    /// # Errors
    /// When the database fails.
    pub fn set_disabled(
        &self,
        name: &str,
        since: Option<DateTime<Utc>>,
        reason: Option<&str>,
        actor: &Actor,
    ) -> Result<Option<bool>, StoreError> {
        let mut connection = self.database.writer()?;
        let since = since.map(|time| connection.storable(time));
        Ok(
            connection.repeated_transaction_for(AUDIT_LOCK, ACCOUNTS, |connection| {
                let end = self.end(connection, &Chain::Accounts)?;
                let Some(account) = find_account(connection, name)? else {
                    return Ok(None);
                };
                if account.disabled_at.is_some() == since.is_some() {
                    return Ok(Some(false));
                }
                diesel::update(accounts::table.filter(exact(accounts::name, name)))
                    .set((
                        accounts::disabled_at.eq(since),
                        accounts::disabled_reason.eq(reason.filter(|_| since.is_some())),
                    ))
                    .execute(connection)?;
                let action = if since.is_some() {
                    "account.disable"
                } else {
                    "account.enable"
                };
                self.note_account(connection, end, actor, action, name, reason.map(str::to_owned))?;
                Ok(Some(true))
            })?,
        )
    }

    /// Removes an account and its keys; returns false if there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remove_account(&self, name: &str, actor: &Actor) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        Ok(
            connection.repeated_transaction_for(AUDIT_LOCK, ACCOUNTS, |connection| {
                let end = self.end(connection, &Chain::Accounts)?;
                diesel::delete(account_keys::table.filter(exact(account_keys::account, name)))
                    .execute(connection)?;
                let removed = diesel::delete(accounts::table.filter(exact(accounts::name, name)))
                    .execute(connection)?;
                if removed > 0 {
                    self.note_account(connection, end, actor, "account.remove", name, None)?;
                }
                Ok(removed > 0)
            })?,
        )
    }

    /// Records a change to an account, and lets every server know that there was one. Must be the last step of its
    /// transaction.
    pub(super) fn note_account(
        &self,
        connection: &mut DbConnection,
        end: End,
        actor: &Actor,
        action: &str,
        name: &str,
        detail: Option<String>,
    ) -> QueryResult<()> {
        let change = Change {
            action: action.to_owned(),
            subject: Some(name.to_owned()),
            detail,
            ..Change::default()
        };
        self.note(
            connection,
            &Chain::Accounts,
            end,
            actor,
            change,
            Clock::System.now(),
        )?;
        raise_epoch(connection, self.expected_epoch)
    }

    fn add(
        &self,
        connection: &mut DbConnection,
        wanted: &Account,
        actor: &Actor,
    ) -> Result<AccountAdded, Error> {
        connection.repeated_transaction_for(AUDIT_LOCK, ACCOUNTS, |connection| {
            let end = self.end(connection, &Chain::Accounts)?;
            let added = put(connection, wanted)?;
            let action = match &added {
                AccountAdded::New => "account.add",
                AccountAdded::Changed(_) => "account.change",
                AccountAdded::Same(_) => return Ok(added),
            };
            let form = serde_json::json!({
                "groups": wanted.groups, "admin": wanted.is_admin, "full_name": wanted.full_name,
            });
            self.note_account(
                connection,
                end,
                actor,
                action,
                &wanted.name,
                Some(form.to_string()),
            )?;
            Ok(added)
        })
    }
}

fn put(connection: &mut DbConnection, wanted: &Account) -> Result<AccountAdded, Error> {
    let created_at = connection.storable(wanted.created_at);
    let group_names = serde_json::json!(wanted.groups).to_string();
    let Some(before) = find_account(connection, &wanted.name)? else {
        let row = Row {
            name: wanted.name.clone(),
            full_name: wanted.full_name.clone(),
            is_admin: wanted.is_admin,
            group_names,
            created_at,
            disabled_at: None,
            disabled_reason: None,
        };
        diesel::insert_into(accounts::table)
            .values(&row)
            .execute(connection)?;
        return Ok(AccountAdded::New);
    };
    let form = |account: &Account| {
        (
            account.full_name.clone(),
            account.is_admin,
            account.groups.clone(),
        )
    };
    if form(&before) == form(wanted) {
        return Ok(AccountAdded::Same(before));
    }
    diesel::update(accounts::table.filter(exact(accounts::name, wanted.name.as_str())))
        .set((
            accounts::full_name.eq(&wanted.full_name),
            accounts::is_admin.eq(wanted.is_admin),
            accounts::group_names.eq(group_names),
        ))
        .execute(connection)?;
    Ok(AccountAdded::Changed(before))
}
