//! Verifies each chain by itself.

use std::collections::{BTreeSet, HashMap};

use super::{Findings, PAGE};
use crate::{
    audit::{chain, record::ChangeRecord},
    store::{AuditRow, Store, StoreError},
};

/// What the records contain, for the comparisons that follow.
#[derive(Default)]
pub(super) struct Recorded {
    /// The author of each change, by its changefeed ID.
    pub(super) makers: HashMap<i32, String>,
    /// The repositories.
    pub(super) guns: BTreeSet<String>,
}

/// The end of a chain, as far as it was verified.
#[derive(Default)]
struct End {
    chain: String,
    sequence: i32,
    hash: String,
    /// Only the first error of a chain is reported: after it, nothing fits any more.
    broken: bool,
}

/// Verifies every chain.
///
/// # Errors
/// When the database fails.
pub(super) fn follow(store: &Store, findings: &mut Findings) -> Result<Recorded, StoreError> {
    let mut end = End::default();
    let mut recorded = Recorded::default();
    loop {
        let rows = store.audit_rows_by_chain((&end.chain, end.sequence), PAGE)?;
        let Some(last) = rows.last() else {
            return Ok(recorded);
        };
        let next = (last.chain.clone(), last.sequence);
        for row in &rows {
            findings.rows += 1;
            link(&mut end, row, findings, &mut recorded);
        }
        (end.chain, end.sequence) = next;
    }
}

fn link(end: &mut End, row: &AuditRow, findings: &mut Findings, recorded: &mut Recorded) {
    if row.chain != end.chain {
        findings.chains += 1;
        *end = End {
            chain: row.chain.clone(),
            ..End::default()
        };
    }
    let record: Option<ChangeRecord> = serde_json::from_str(&row.record).ok();
    if let Some(record) = &record {
        let maker = record
            .change
            .change_id
            .map(|id| (id, record.who.principal.clone()));
        recorded.makers.extend(maker);
        recorded.guns.extend(record.change.gun.clone());
    }
    let what = record
        .as_ref()
        .and_then(|record| record.change.gun.clone())
        .unwrap_or_else(|| row.chain.clone());
    let expected = end.sequence + 1;
    let wrong = if end.broken {
        None
    } else if row.sequence > expected {
        Some(format!("record {expected} is missing before it"))
    } else if chain::link(&end.hash, &row.record) != row.hash {
        Some("its record, its hash or the previous row was altered".to_owned())
    } else if record.is_none_or(|record| record.chain != row.chain || record.sequence != row.sequence) {
        Some("it belongs to another place in the chains".to_owned())
    } else {
        None
    };
    if let Some(wrong) = wrong {
        end.broken = true;
        findings.broken.push(format!(
            "row {} ({what}, record {}): {wrong}",
            row.id, row.sequence
        ));
    }
    end.sequence = row.sequence;
    end.hash.clone_from(&row.hash);
}
