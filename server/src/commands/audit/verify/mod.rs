//! Whether the table of changes is still what was written: no record altered, removed or moved. The chains are
//! followed, and compared with what else the database holds (the changefeed, documents, accounts, denials) and with
//! what was told to the sinks.

mod chains;
mod changes;
mod documents;
mod lists;
mod sinks;

use crate::store::{Store, StoreError};

pub use sinks::against;

/// Rows read at a time.
const PAGE: u32 = 1000;

/// What was looked at, and what is wrong.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many chains there are.
    pub chains: usize,
    /// How many rows.
    pub rows: usize,
    /// What is wrong, in sentences.
    pub broken: Vec<String>,
    /// What has no record and need not have one, in sentences.
    pub notes: Vec<String>,
}

/// Follows every chain. `kept` says whether the table is kept: then whatever else the database holds is asked for its
/// record.
///
/// # Errors
/// When the database fails.
pub fn table(store: &Store, kept: bool) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    let recorded = chains::follow(store, &mut findings)?;
    if !kept {
        findings
            .notes
            .push("audit.table is off: what is changed now has no record, and is asked for none".to_owned());
        return Ok(findings);
    }
    changes::compare(store, &recorded, &mut findings)?;
    documents::compare(store, &recorded, &mut findings)?;
    lists::compare(store, &mut findings)?;
    Ok(findings)
}
