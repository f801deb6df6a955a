//! The deny list in the database, which every server on it applies from the next request on.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, exact};

use super::DeniedSubject as Subject;
use super::{
    Actor, Store, StoreError,
    audit::AUDIT_LOCK,
    schema::{audit_log, change_actors, denials},
    security::raise_epoch,
};
use crate::audit::{chain::Chain, record::Change};

/// The name of the lock for changes to the deny list.
const DENIALS: &str = "denials";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The key under which the entry is stored, unique within its kind ([`Subject::key`]).
    pub subject: String,
    /// `certificate`, `key` or `principal`.
    pub kind: String,
    /// What is denied, as a text for users.
    pub shown: String,
    /// Why it is denied.
    pub reason: Option<String>,
    /// When it was denied.
    pub since: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = denials)]
struct Row {
    kind: String,
    subject: String,
    shown: String,
    reason: Option<String>,
    created_at: NaiveDateTime,
}

impl From<Row> for Denial {
    fn from(row: Row) -> Self {
        Self {
            kind: row.kind,
            subject: row.subject,
            shown: row.shown,
            reason: row.reason,
            since: row.created_at.and_utc(),
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = denials)]
struct NewRow<'a> {
    kind: &'static str,
    subject: &'a str,
    shown: &'a str,
    reason: Option<&'a str>,
    created_at: NaiveDateTime,
}

/// The subjects of all entries, as records name them.
pub(super) fn subjects(connection: &mut DbConnection) -> QueryResult<Vec<String>> {
    denials::table.select(denials::shown).load(connection)
}

impl Store {
    /// Adds a subject to the deny list; returns false if it was on it.
    ///
    /// # Errors
    /// When the database fails.
    pub fn deny(
        &self,
        subject: &Subject,
        reason: Option<&str>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        let row = NewRow {
            kind: subject.kind(),
            subject: &subject.key(),
            shown: &subject.to_string(),
            reason,
            created_at: connection.storable(now),
        };
        let change = Change {
            action: "deny.add".to_owned(),
            subject: Some(subject.to_string()),
            detail: reason.map(str::to_owned),
            ..Change::default()
        };
        Ok(
            connection.repeated_transaction_for(AUDIT_LOCK, DENIALS, |connection| {
                let end = self.end(connection, &Chain::Denials)?;
                let same = denials::table
                    .filter(denials::kind.eq(subject.kind()))
                    .filter(exact(denials::subject, subject.key()));
                if same.count().get_result::<i64>(connection)? > 0 {
                    return Ok(false);
                }
                diesel::insert_into(denials::table)
                    .values(&row)
                    .execute(connection)?;
                self.note(connection, &Chain::Denials, end, actor, change.clone(), now)?;
                raise_epoch(connection, self.expected_epoch)?;
                Ok(true)
            })?,
        )
    }

    /// Removes a subject from the deny list; returns false if it was not on it. `older` are other forms under which it
    /// may be stored.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remove_denial(
        &self,
        subject: &Subject,
        older: &[Subject],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let change = Change {
            action: "deny.remove".to_owned(),
            subject: Some(subject.to_string()),
            ..Change::default()
        };
        let mut connection = self.database.writer()?;
        Ok(
            connection.repeated_transaction_for(AUDIT_LOCK, DENIALS, |connection| {
                let end = self.end(connection, &Chain::Denials)?;
                let mut removed = false;
                for form in std::iter::once(subject).chain(older) {
                    let entry = denials::table
                        .filter(denials::kind.eq(form.kind()))
                        .filter(exact(denials::subject, form.key()));
                    removed |= diesel::delete(entry).execute(connection)? > 0;
                }
                if removed {
                    self.note(connection, &Chain::Denials, end, actor, change.clone(), now)?;
                    raise_epoch(connection, self.expected_epoch)?;
                }
                Ok(removed)
            })?,
        )
    }

    /// Whether an account has this name, or a principal with it has changed anything.
    ///
    /// # Errors
    /// When the database fails.
    pub fn knows_principal(&self, name: &str) -> Result<bool, StoreError> {
        if self.account(name)?.is_some() {
            return Ok(true);
        }
        let made = change_actors::table.filter(exact(change_actors::principal, name));
        let made = made.count().get_result::<i64>(&mut *self.database.reader()?)?;
        Ok(made > 0 || self.is_recorded("principal", name)?)
    }

    /// Whether a key is registered to an account, or a principal with it has changed anything.
    ///
    /// # Errors
    /// When the database fails.
    pub fn knows_key(&self, spki_sha256: &str) -> Result<bool, StoreError> {
        let account = self.account_by_key(&[spki_sha256.to_owned()])?;
        Ok(account.is_some() || self.is_recorded("spki_sha256", spki_sha256)?)
    }

    /// Whether a principal with a certificate of this issuer has changed anything.
    ///
    /// # Errors
    /// When the database fails.
    pub fn knows_issuer(&self, issuer: &str) -> Result<bool, StoreError> {
        let made = change_actors::table.filter(change_actors::certificate_issuer.eq(issuer));
        let made = made.count().get_result::<i64>(&mut *self.database.reader()?)?;
        Ok(made > 0 || self.is_recorded("issuer", issuer)?)
    }

    /// Whether any record of a change has this value for its author.
    fn is_recorded(&self, key: &str, value: &str) -> Result<bool, StoreError> {
        let value = serde_json::Value::from(value).to_string();
        let escaped = value.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        let pattern = format!("%\"{}\":{escaped}%", key.replace('_', "!_"));
        let found = audit_log::table
            .filter(audit_log::record.like(pattern).escape('!'))
            .count()
            .get_result::<i64>(&mut *self.database.reader()?)?;
        Ok(found > 0)
    }

    /// All entries, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn denials(&self) -> Result<Vec<Denial>, StoreError> {
        let rows: Vec<Row> = denials::table
            .select(Row::as_select())
            .order(denials::created_at.asc())
            .load(&mut *self.database.reader()?)?;
        Ok(rows.into_iter().map(Denial::from).collect())
    }

    /// At most `count` entries by kind and key, from this kind and key on.
    ///
    /// # Errors
    /// When the database fails.
    pub fn denials_from(
        &self,
        (kind, subject): (&str, &str),
        count: usize,
    ) -> Result<Vec<Denial>, StoreError> {
        let rows: Vec<Row> = denials::table
            .filter(
                denials::kind
                    .gt(kind)
                    .or(denials::kind.eq(kind).and(denials::subject.ge(subject))),
            )
            .select(Row::as_select())
            .order((denials::kind.asc(), denials::subject.asc()))
            .limit(i64::try_from(count).unwrap_or(i64::MAX))
            .load(&mut *self.database.reader()?)?;
        Ok(rows.into_iter().map(Denial::from).collect())
    }

    /// An entry, by its kind and key.
    ///
    /// # Errors
    /// When the database fails.
    pub fn denial(&self, kind: &str, subject: &str) -> Result<Option<Denial>, StoreError> {
        let row: Option<Row> = denials::table
            .filter(denials::kind.eq(kind))
            .filter(exact(denials::subject, subject))
            .select(Row::as_select())
            .first(&mut *self.database.reader()?)
            .optional()?;
        Ok(row.map(Denial::from))
    }

    /// Removes an entry by its kind and key; returns false if there is none. `reason` is why, for the record.
    ///
    /// # Errors
    /// When the database fails.
    pub fn undo_denial(
        &self,
        (kind, subject): (&str, &str),
        reason: Option<&str>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut connection = self.database.writer()?;
        let same = denials::table
            .filter(denials::kind.eq(kind))
            .filter(exact(denials::subject, subject));
        Ok(
            connection.repeated_transaction_for(AUDIT_LOCK, DENIALS, |connection| {
                let end = self.end(connection, &Chain::Denials)?;
                let shown: Option<String> =
                    same.clone().select(denials::shown).first(connection).optional()?;
                let Some(shown) = shown else {
                    return Ok(false);
                };
                diesel::delete(same.clone()).execute(connection)?;
                let change = Change {
                    action: "deny.remove".to_owned(),
                    subject: Some(shown),
                    detail: reason.map(str::to_owned),
                    ..Change::default()
                };
                self.note(connection, &Chain::Denials, end, actor, change, now)?;
                raise_epoch(connection, self.expected_epoch)?;
                Ok(true)
            })?,
        )
    }
}
