//! Verifies each chain by itself.

use std::collections::{BTreeSet, HashMap};

use super::Findings;
use crate::store::{Store, StoreError};

/// What the records contain, for the comparisons that follow.
#[derive(Default)]
pub(super) struct Recorded {
    /// The author of each change, by its changefeed ID.
    pub(super) makers: HashMap<i32, String>,
    /// The repositories.
    pub(super) guns: BTreeSet<String>,
}

/// Verifies every chain.
///
/// # Errors
/// When the database fails.
pub(super) fn follow(store: &Store, findings: &mut Findings) -> Result<Recorded, StoreError> {
    let mut recorded = Recorded::default();
    let followed = store.follow_chains_with(|record| {
        let maker = record
            .change
            .change_id
            .map(|id| (id, record.who.principal.clone()));
        recorded.makers.extend(maker);
        recorded.guns.extend(record.change.gun.clone());
    })?;
    findings.rows += followed.records;
    findings.chains += followed.chains;
    findings.broken.extend(followed.broken);
    Ok(recorded)
}
