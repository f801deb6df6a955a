//! Compares the records with the stored documents: each document was stored by a record, and what a record stored
//! exists until its repository is deleted.

use std::collections::BTreeMap;

use tuf::Gun;

use super::{Findings, PAGE, chains::Recorded};
use crate::{
    audit::record::ChangeRecord,
    store::{Accounted, Store, StoreError},
};

/// Compares the documents of every repository with its records.
///
/// # Errors
/// When the database fails.
pub(super) fn compare(store: &Store, recorded: &Recorded, findings: &mut Findings) -> Result<(), StoreError> {
    let mut guns = recorded.guns.clone();
    let mut after = String::new();
    loop {
        let page = store.every_gun(&after, PAGE)?;
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        guns.extend(page);
    }
    for name in guns {
        let Ok(gun) = Gun::parse(&name) else { continue };
        let accounted = store.accounted(&gun)?;
        findings.broken.extend(judge(gun.as_str(), &accounted));
    }
    for name in store.native_names()? {
        let Ok(gun) = Gun::parse(&name) else { continue };
        let accounted = store.native_accounted(&gun)?;
        findings
            .broken
            .extend(judge(&format!("the TUF repository {name}"), &accounted));
    }
    Ok(())
}

/// Returns at most one sentence per repository: if one document is missing, others usually are too.
fn judge(gun: &str, accounted: &Accounted) -> Option<String> {
    // A repository without any record has been reported by the comparison with the changefeed.
    if accounted.records.is_empty() {
        return None;
    }
    let mut expected: BTreeMap<(&str, i32), &str> = BTreeMap::new();
    let records: Vec<Option<ChangeRecord>> = accounted
        .records
        .iter()
        .map(|record| serde_json::from_str(record).ok())
        .collect();
    let mut listed = true;
    for record in &records {
        // An unreadable record was reported as an error of its chain.
        let change = &record.as_ref()?.change;
        if change.action == "delete" {
            expected.clear();
        }
        for document in &change.set_aside {
            expected.remove(&(document.role.as_str(), document.version));
        }
        listed &= change.action != "import" || !change.documents.is_empty();
        expected.extend(change.documents.iter().map(|document| {
            (
                (document.role.as_str(), document.version),
                document.sha256.as_str(),
            )
        }));
    }
    let stored: BTreeMap<(&str, i32), &str> = accounted
        .documents
        .iter()
        .map(|document| {
            (
                (document.role.as_str(), document.version),
                document.sha256.as_str(),
            )
        })
        .collect();
    let gone = expected
        .iter()
        .find(|(place, sha256)| stored.get(*place) != Some(sha256));
    if let Some(((role, version), _)) = gone
        && !accounted.deleted_by_others
    {
        return Some(format!(
            "{role} version {version} of {gun} is missing, or differs from its record"
        ));
    }
    let unknown = stored.keys().find(|place| !expected.contains_key(*place));
    match unknown {
        Some((role, version)) if listed && !accounted.changed_by_others => {
            Some(format!("{role} version {version} of {gun} is in no record"))
        }
        _ => None,
    }
}
