//! Compares the records with the changefeed: the end of a chain, or a whole chain, can be removed without a trace in
//! the chain itself.

use std::collections::BTreeSet;

use tuf::Gun;

use super::{Findings, PAGE, chains::Recorded};
use crate::{
    audit::{chain::Chain, record::ChangeRecord},
    store::{MadeChange, Store, StoreError},
};

/// Checks that every entry which this program made has its record, and that the entry which a record names exists.
///
/// # Errors
/// When the database fails.
pub(super) fn compare(store: &Store, recorded: &Recorded, findings: &mut Findings) -> Result<(), StoreError> {
    let mut unseen: BTreeSet<i32> = recorded.makers.keys().copied().collect();
    let mut first = None;
    let mut after = i32::MIN;
    let mut foreign: BTreeSet<String> = BTreeSet::new();
    loop {
        let entries = store.made_changes(after, PAGE)?;
        let Some(last) = entries.last() else { break };
        first = first.or(entries.first().map(|entry| entry.id));
        after = last.id;
        for entry in entries {
            unseen.remove(&entry.id);
            // A record that was missing when its chain was verified may have been added since.
            let maker = match recorded.makers.get(&entry.id) {
                Some(maker) => Some(maker.clone()),
                None if entry.principal.is_none() => None,
                None => maker(store, &entry)?,
            };
            let wrong = match (&maker, &entry.principal) {
                (Some(maker), Some(principal)) if maker == principal => continue,
                (None, None) => {
                    foreign.insert(entry.gun);
                    continue;
                }
                (None, Some(principal)) => {
                    format!("has no record: it was removed, or audit.table was off (it names {principal})")
                }
                (Some(maker), None) => format!("names no principal, but its record names {maker}"),
                (Some(maker), Some(principal)) => format!("names {principal}, but its record names {maker}"),
            };
            findings
                .broken
                .push(format!("change {} of {} {wrong}", entry.id, entry.gun));
        }
    }
    // Old entries may be removed from the changefeed to keep it short.
    let missing = unseen.iter().filter(|id| first.is_none_or(|first| **id > first));
    for id in missing {
        findings.broken.push(format!(
            "change {id}, which a record names, is not in the changefeed: it was removed"
        ));
    }
    if !foreign.is_empty() {
        let guns: Vec<&str> = foreign.iter().take(5).map(String::as_str).collect();
        let more = if foreign.len() > guns.len() { ", ..." } else { "" };
        findings.notes.push(format!(
            "{} repositories have changes that name no principal: Notary's programs make such changes, but \
             removing a record together with the name has the same effect ({}{more})",
            foreign.len(),
            guns.join(", ")
        ));
    }
    Ok(())
}

/// The author of a change, according to its repository's chain now.
fn maker(store: &Store, change: &MadeChange) -> Result<Option<String>, StoreError> {
    let Ok(gun) = Gun::parse(&change.gun) else {
        return Ok(None);
    };
    let chain = Chain::Gun(gun);
    let mut after = 0;
    loop {
        let rows = store.audit_rows(Some(&chain), after, PAGE)?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        after = last.id;
        let records = rows
            .iter()
            .filter_map(|row| serde_json::from_str::<ChangeRecord>(&row.record).ok());
        for record in records {
            if record.change.change_id == Some(change.id) {
                return Ok(Some(record.who.principal));
            }
        }
    }
}
