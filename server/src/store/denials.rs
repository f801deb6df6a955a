//! Who must not get in, for every server on the database from the next request on.

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, exact};

use super::{Actor, Registered, Store, StoreError, audit::AUDIT_LOCK, schema::denials};
use crate::{
    audit::{chain::Chain, record::Change},
    revocation::Subject,
};

/// The name under which changes of the list exclude each other.
const DENIALS: &str = "denials";

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// `certificate`, `key` or `principal`.
    pub kind: String,
    /// Who, for people.
    pub shown: String,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What the database says about somebody who comes with a certificate.
#[derive(Debug, Default)]
pub struct Standing {
    /// The account of the certificate's key.
    pub registered: Option<Registered>,
    /// Whether the certificate or its key is denied.
    pub denied: bool,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = denials)]
struct Row {
    kind: String,
    shown: String,
    reason: Option<String>,
    created_at: NaiveDateTime,
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

/// Whom every denial is about, as its record names them.
pub(super) fn subjects(connection: &mut DbConnection) -> QueryResult<Vec<String>> {
    denials::table.select(denials::shown).load(connection)
}

impl Store {
    /// What there is to know of a certificate: `spki_sha256` is the hash of its key, `subjects` what it can be
    /// denied as.
    ///
    /// # Errors
    /// When the database fails.
    pub fn standing(&self, spki_sha256: &str, subjects: &[Subject]) -> Result<Standing, StoreError> {
        Ok(Standing {
            registered: self.account_by_key(spki_sha256)?,
            denied: self.is_denied(subjects)?,
        })
    }

    /// Whether a principal is denied, or has an account that is disabled.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_barred(&self, principal: &str) -> Result<bool, StoreError> {
        let disabled = self
            .account(principal)?
            .is_some_and(|account| account.disabled_at.is_some());
        Ok(disabled || self.is_denied(&[Subject::Principal(principal.to_owned())])?)
    }

    fn is_denied(&self, subjects: &[Subject]) -> Result<bool, StoreError> {
        let mut connection = self.database.reader()?;
        for subject in subjects {
            let found = denials::table
                .filter(denials::kind.eq(subject.kind()))
                .filter(exact(denials::subject, subject.key()))
                .count();
            if found.get_result::<i64>(&mut *connection)? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Denies somebody; false if they were denied before.
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
            connection.write_transaction_for(AUDIT_LOCK, DENIALS, |connection| {
                let same = denials::table
                    .filter(denials::kind.eq(subject.kind()))
                    .filter(exact(denials::subject, subject.key()));
                if same.count().get_result::<i64>(connection)? > 0 {
                    return Ok::<_, diesel::result::Error>(false);
                }
                diesel::insert_into(denials::table)
                    .values(&row)
                    .execute(connection)?;
                self.note(connection, &Chain::Denials, actor, change, now)?;
                Ok(true)
            })?,
        )
    }

    /// Ends a denial; false if there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn admit(&self, subject: &Subject, actor: &Actor, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let entry = denials::table
            .filter(denials::kind.eq(subject.kind()))
            .filter(exact(denials::subject, subject.key()));
        let change = Change {
            action: "deny.remove".to_owned(),
            subject: Some(subject.to_string()),
            ..Change::default()
        };
        let mut connection = self.database.writer()?;
        Ok(
            connection.write_transaction_for(AUDIT_LOCK, DENIALS, |connection| {
                let removed = diesel::delete(entry).execute(connection)? > 0;
                if removed {
                    self.note(connection, &Chain::Denials, actor, change, now)?;
                }
                Ok::<_, diesel::result::Error>(removed)
            })?,
        )
    }

    /// Every denial, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn denials(&self) -> Result<Vec<Denial>, StoreError> {
        let rows: Vec<Row> = denials::table
            .select(Row::as_select())
            .order(denials::created_at.asc())
            .load(&mut *self.database.reader()?)?;
        let entries = rows.into_iter().map(|row| Denial {
            kind: row.kind,
            shown: row.shown,
            reason: row.reason,
            since: row.created_at.and_utc(),
        });
        Ok(entries.collect())
    }
}
