//! Compares the records with accounts and the deny list: each entry was added by a record, and each entry that a
//! record added exists.

use std::collections::BTreeMap;

use super::Findings;
use crate::{
    audit::{chain::Chain, record::ChangeRecord},
    store::{Store, StoreError},
};

/// Compares both lists with their records.
///
/// # Errors
/// When the database fails.
pub(super) fn compare(store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    for (chain, what, removal) in [
        (Chain::Accounts, "the account", "account.remove"),
        (Chain::Denials, "the denial of", "deny.remove"),
    ] {
        let listed = store.listed(&chain)?;
        let mut there: BTreeMap<String, bool> = BTreeMap::new();
        for record in &listed.records {
            let Ok(record) = serde_json::from_str::<ChangeRecord>(record) else {
                continue;
            };
            if let Some(subject) = record.change.subject {
                there.insert(subject, record.change.action != removal);
            }
        }
        for subject in &listed.subjects {
            if there.get(subject) != Some(&true) {
                findings.broken.push(format!(
                    "{what} {subject} has no record: it was removed, or audit.table was off"
                ));
            }
        }
        let recorded = there.iter().filter(|(_, is_there)| **is_there);
        for (subject, _) in recorded.filter(|(subject, _)| !listed.subjects.contains(subject)) {
            findings.broken.push(format!(
                "{what} {subject} is gone, and no record says who removed it"
            ));
        }
    }
    Ok(())
}
