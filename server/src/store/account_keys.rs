//! The public keys of accounts.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::{prelude::*, result::Error};
use platform::database::{DbConnection, exact, first_only, is_conflict};

use super::{
    Actor, Store, StoreError,
    accounts::{ACCOUNTS, find_account},
    audit::AUDIT_LOCK,
    schema::account_keys,
};
use crate::audit::chain::Chain;

/// A public key of an account, with its three names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountKey {
    /// The SHA-256 of its SubjectPublicKeyInfo, in lower-case hexadecimal digits.
    pub spki_sha256: String,
    /// What the key is for, as a text for users.
    pub label: Option<String>,
    /// The key in PEM.
    pub public_key: String,
    /// A certificate of the key, in PEM.
    pub certificate: Option<String>,
    /// The key ID in metadata for the bare key: the canonical one, under which clients store the private key.
    pub key_id: String,
    /// The key ID in metadata for the certificate; another certificate of the same key has another ID.
    pub certificate_key_id: Option<String>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// What people should know about it, such as where it is held.
    pub note: Option<String>,
}

/// The outcome of registering a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAdded {
    /// It is new.
    New,
    /// It was registered before.
    Same,
    /// It was registered before with another label, certificate or note, which was updated.
    Changed,
    /// It belongs to this other account; nothing was changed.
    OfOther(String),
    /// There is no such account.
    NoAccount,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = account_keys)]
struct Row {
    spki_sha256: String,
    account: String,
    label: Option<String>,
    public_key: String,
    certificate: Option<String>,
    key_id: String,
    certificate_key_id: Option<String>,
    created_at: NaiveDateTime,
    note: Option<String>,
}

impl From<Row> for AccountKey {
    fn from(row: Row) -> Self {
        Self {
            spki_sha256: row.spki_sha256,
            label: row.label,
            public_key: row.public_key,
            certificate: row.certificate,
            key_id: row.key_id,
            certificate_key_id: row.certificate_key_id,
            created_at: row.created_at.and_utc(),
            note: row.note,
        }
    }
}

impl Store {
    /// The keys of an account, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn account_keys(&self, account: &str) -> Result<Vec<AccountKey>, StoreError> {
        let rows: Vec<Row> = account_keys::table
            .filter(exact(account_keys::account, account))
            .select(Row::as_select())
            .order((account_keys::created_at.asc(), account_keys::spki_sha256.asc()))
            .load(&mut *self.database.reader()?)?;
        Ok(rows.into_iter().map(AccountKey::from).collect())
    }

    /// At most `count` keys of all accounts with the names of these, from the key with the hash `from` on.
    ///
    /// # Errors
    /// When the database fails.
    pub fn keys_of_all(&self, from: &str, count: usize) -> Result<Vec<(String, AccountKey)>, StoreError> {
        let rows: Vec<Row> = account_keys::table
            .filter(account_keys::spki_sha256.ge(from))
            .select(Row::as_select())
            .order(account_keys::spki_sha256.asc())
            .limit(i64::try_from(count).unwrap_or(i64::MAX))
            .load(&mut *self.database.reader()?)?;
        let with_account = |row: Row| (row.account.clone(), AccountKey::from(row));
        Ok(rows.into_iter().map(with_account).collect())
    }

    /// Sets label and note of a key of an account, by the SHA-256 of the key; `None` removes one. Returns true if that
    /// changed anything, `None` if the account has no such key.
    ///
    /// # Errors
    /// When the database fails.
    pub fn describe_account_key(
        &self,
        account: &str,
        spki_sha256: &str,
        (label, note): (Option<&str>, Option<&str>),
        actor: &Actor,
    ) -> Result<Option<bool>, StoreError> {
        let mut connection = self.database.writer()?;
        let same = account_keys::table
            .filter(exact(account_keys::account, account))
            .filter(account_keys::spki_sha256.eq(spki_sha256));
        Ok(
            connection.repeated_transaction_for(AUDIT_LOCK, ACCOUNTS, |connection| {
                let end = self.end(connection, &Chain::Accounts)?;
                let before: Option<Row> = same
                    .clone()
                    .select(Row::as_select())
                    .first(connection)
                    .optional()?;
                let Some(before) = before else {
                    return Ok(None);
                };
                if (before.label.as_deref(), before.note.as_deref()) == (label, note) {
                    return Ok(Some(false));
                }
                diesel::update(same.clone())
                    .set((account_keys::label.eq(label), account_keys::note.eq(note)))
                    .execute(connection)?;
                let detail = Some(noted(spki_sha256, note));
                self.note_account(connection, end, actor, "account.key.change", account, detail)?;
                Ok(Some(true))
            })?,
        )
    }

    /// Registers a key for an account, unless it belongs to another. If no label, certificate or note is given, an
    /// existing one stays.
    ///
    /// # Errors
    /// When the database fails.
    pub fn add_account_key(
        &self,
        account: &str,
        key: &AccountKey,
        actor: &Actor,
    ) -> Result<KeyAdded, StoreError> {
        let mut connection = self.database.writer()?;
        match self.put_key(&mut connection, account, key, actor) {
            // Another client registered the same key at the same moment: now it exists.
            Err(cause) if is_conflict(&cause) => Ok(self.put_key(&mut connection, account, key, actor)?),
            outcome => Ok(outcome?),
        }
    }

    /// Removes a key from an account; `id` is any of its three names. Returns false if the account has no such key.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remove_account_key(&self, account: &str, id: &str, actor: &Actor) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        let of_account = account_keys::table.filter(exact(account_keys::account, account));
        let named = of_account.filter(
            account_keys::spki_sha256
                .eq(id)
                .or(account_keys::key_id.eq(id))
                .or(account_keys::certificate_key_id.assume_not_null().eq(id)),
        );
        Ok(
            connection.repeated_transaction_for(AUDIT_LOCK, ACCOUNTS, |connection| {
                let end = self.end(connection, &Chain::Accounts)?;
                let removed = diesel::delete(named.clone()).execute(connection)? > 0;
                if removed {
                    let detail = Some(id.to_owned());
                    self.note_account(connection, end, actor, "account.key.remove", account, detail)?;
                }
                Ok(removed)
            })?,
        )
    }

    fn put_key(
        &self,
        connection: &mut DbConnection,
        account: &str,
        key: &AccountKey,
        actor: &Actor,
    ) -> Result<KeyAdded, Error> {
        connection.repeated_transaction_for(AUDIT_LOCK, ACCOUNTS, |connection| {
            let end = self.end(connection, &Chain::Accounts)?;
            let added = put(connection, account, key)?;
            let action = match added {
                KeyAdded::New => "account.key.add",
                KeyAdded::Changed => "account.key.change",
                _ => return Ok(added),
            };
            let detail = Some(noted(&key.spki_sha256, key.note.as_deref()));
            self.note_account(connection, end, actor, action, account, detail)?;
            Ok(added)
        })
    }
}

/// A key as records name it, with its note.
fn noted(spki_sha256: &str, note: Option<&str>) -> String {
    note.map_or_else(|| spki_sha256.to_owned(), |note| format!("{spki_sha256}: {note}"))
}

fn put(connection: &mut DbConnection, account: &str, key: &AccountKey) -> Result<KeyAdded, Error> {
    let created_at = connection.storable(key.created_at);
    if find_account(connection, account)?.is_none() {
        return Ok(KeyAdded::NoAccount);
    }
    let same_key = account_keys::table.filter(exact(account_keys::spki_sha256, &key.spki_sha256));
    let before: Option<Row> = first_only(same_key.clone().select(Row::as_select()))
        .get_result(connection)
        .optional()?;
    let Some(before) = before else {
        let row = Row {
            spki_sha256: key.spki_sha256.clone(),
            account: account.to_owned(),
            label: key.label.clone(),
            public_key: key.public_key.clone(),
            certificate: key.certificate.clone(),
            key_id: key.key_id.clone(),
            certificate_key_id: key.certificate_key_id.clone(),
            created_at,
            note: key.note.clone(),
        };
        diesel::insert_into(account_keys::table)
            .values(&row)
            .execute(connection)?;
        return Ok(KeyAdded::New);
    };
    if before.account != account {
        return Ok(KeyAdded::OfOther(before.account));
    }
    let label = key.label.clone().or(before.label.clone());
    let (certificate, id) = match &key.certificate {
        Some(certificate) => (Some(certificate.clone()), key.certificate_key_id.clone()),
        None => (before.certificate.clone(), before.certificate_key_id.clone()),
    };
    let note = key.note.clone().or(before.note.clone());
    if (&label, &certificate, &note) == (&before.label, &before.certificate, &before.note) {
        return Ok(KeyAdded::Same);
    }
    diesel::update(same_key)
        .set((
            account_keys::label.eq(label),
            account_keys::certificate.eq(certificate),
            account_keys::certificate_key_id.eq(id),
            account_keys::note.eq(note),
        ))
        .execute(connection)?;
    Ok(KeyAdded::Changed)
}
