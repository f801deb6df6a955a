//! Verifies the table of changes: no record was altered, removed or moved. The chains are verified, and compared with
//! the rest of the database (changefeed, documents, accounts, deny list) and with the records in the sinks.

mod chains;
mod changes;
mod documents;
mod lists;
mod sinks;

use crate::store::{Store, StoreError};

pub use sinks::against;

/// How many rows are read at a time.
const PAGE: u32 = 1000;

/// The result of the verification.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many chains there are.
    pub chains: usize,
    /// How many rows.
    pub rows: usize,
    /// What is wrong, as sentences.
    pub broken: Vec<String>,
    /// What has no record and need not have one, as sentences.
    pub notes: Vec<String>,
}

/// Verifies every chain. `kept` says whether the table is enabled: then everything else in the database must have its
/// record.
///
/// # Errors
/// When the database fails.
pub fn table(store: &Store, kept: bool) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    let recorded = chains::follow(store, &mut findings)?;
    if !kept {
        findings.notes.push(
            "audit.table is off: changes are not recorded, and missing records are not reported".to_owned(),
        );
        return Ok(findings);
    }
    changes::compare(store, &recorded, &mut findings)?;
    documents::compare(store, &recorded, &mut findings)?;
    lists::compare(store, &mut findings)?;
    Ok(findings)
}
