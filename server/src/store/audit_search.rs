//! Looks for records of changes, newest first.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use platform::database::{DbConnection, first_only};

use super::{AuditRow, Store, StoreError, schema::audit_log};
use crate::audit::{chain, record::ChangeRecord};

/// How many rows are read at a time, by their IDs.
const WINDOW: i32 = 5_000;
/// How many times one search reads that many; it can be continued.
const WINDOWS: usize = 10;
/// Rows are in the order in which they were stored, and times in the order in which changes were begun. Servers whose clocks
/// differ by more than this are set wrong.
const DISORDER: TimeDelta = TimeDelta::hours(1);

/// Which records are looked for.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// The principal that made the change.
    pub who: Option<String>,
    /// What its action begins with.
    pub what: Option<String>,
    /// What the name of its repository contains.
    pub gun: Option<String>,
    /// Not before this.
    pub from: Option<DateTime<Utc>>,
    /// Before this.
    pub to: Option<DateTime<Utc>>,
    /// Only rows with a lower ID.
    pub before: Option<i32>,
}

/// A record that was found.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// Its row.
    pub row: AuditRow,
    /// Its contents.
    pub record: ChangeRecord,
    /// Whether its hash is that of the row before it and its text, and it names its own place.
    pub fits: bool,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct FoundRecords {
    /// The records, newest first.
    pub records: Vec<FoundRecord>,
    /// Where the search can be continued, as [`AuditQuery::before`].
    pub more: Option<i32>,
}

impl Store {
    /// At most `count` records that are looked for and that `shown` lets through.
    ///
    /// # Errors
    /// When the database fails.
    pub fn search_audit(
        &self,
        query: &AuditQuery,
        count: usize,
        shown: impl Fn(&ChangeRecord) -> bool,
    ) -> Result<FoundRecords, StoreError> {
        let last = self.last_audit_row()?.unwrap_or_default();
        // There is nothing before the earliest moment there is.
        let earliest = query.from.and_then(|from| from.checked_sub_signed(DISORDER));
        let mut connection = self.database.reader()?;
        let mut found = FoundRecords::default();
        let mut before = query.before.unwrap_or(i32::MAX).min(last.saturating_add(1));
        for _ in 0..WINDOWS {
            let from = before.saturating_sub(WINDOW);
            let mut rows = audit_log::table
                .filter(audit_log::id.lt(before).and(audit_log::id.ge(from)))
                .order(audit_log::id.desc())
                .select(AuditRow::as_select())
                .into_boxed();
            for pattern in query.patterns() {
                rows = rows.filter(audit_log::record.like(pattern).escape('!'));
            }
            let rows: Vec<AuditRow> = rows.load(&mut *connection)?;
            for row in rows {
                let Ok(record) = serde_json::from_str::<ChangeRecord>(&row.record) else {
                    continue;
                };
                if earliest.is_some_and(|earliest| record.ts < earliest) {
                    return Ok(found);
                }
                if query.wants(&record) && shown(&record) {
                    if found.records.len() == count {
                        found.more = found.records.last().map(|last| last.row.id);
                        return Ok(found);
                    }
                    let fits = fits(&mut connection, &row, &record)?;
                    found.records.push(FoundRecord { row, record, fits });
                }
            }
            if from <= 1 {
                return Ok(found);
            }
            before = from;
        }
        found.more = Some(before);
        Ok(found)
    }
}

/// Whether a row follows the one before it in its chain.
fn fits(connection: &mut DbConnection, row: &AuditRow, record: &ChangeRecord) -> Result<bool, StoreError> {
    let previous: Option<String> = match row.sequence {
        1 => Some(String::new()),
        number => {
            let previous = audit_log::table
                .filter(audit_log::chain.eq(&row.chain))
                .filter(audit_log::sequence.eq(number.saturating_sub(1)))
                .select(audit_log::hash);
            first_only(previous).get_result(connection).optional()?
        }
    };
    let linked = previous.is_some_and(|previous| chain::link(&previous, &row.record) == row.hash);
    Ok(linked && record.chain == row.chain && record.sequence == row.sequence)
}

impl AuditQuery {
    /// What every record that is looked for contains. It decides nothing: databases compare letters differently.
    fn patterns(&self) -> Vec<String> {
        let within = |text: &str| {
            let quoted = serde_json::Value::from(text).to_string();
            let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
            inner.replace('!', "!!").replace('%', "!%").replace('_', "!_")
        };
        let who = self
            .who
            .as_deref()
            .map(|who| format!("%\"principal\":\"{}\"%", within(who)));
        let what = self
            .what
            .as_deref()
            .map(|what| format!("%\"action\":\"{}%", within(what)));
        let gun = self.gun.as_deref().map(|gun| format!("%{}%", within(gun)));
        [who, what, gun].into_iter().flatten().collect()
    }

    fn wants(&self, record: &ChangeRecord) -> bool {
        let change = &record.change;
        self.who.as_ref().is_none_or(|who| *who == record.who.principal)
            && self
                .what
                .as_ref()
                .is_none_or(|what| change.action.starts_with(what.as_str()))
            && self
                .gun
                .as_ref()
                .is_none_or(|part| change.gun.as_ref().is_some_and(|gun| gun.contains(part.as_str())))
            && self.from.is_none_or(|from| record.ts >= from)
            && self.to.is_none_or(|to| record.ts < to)
    }
}
