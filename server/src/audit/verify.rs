//! Whether the table of changes is still what was written: no record altered, removed or moved.

use std::{collections::HashMap, io::BufRead};

use tuf::Gun;

use super::{
    chain::{self, Chain},
    record::{ChangeRecord, Place},
};
use crate::store::{AuditRow, MadeChange, Store, StoreError};

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
}

/// The end of a chain as far as it was followed.
#[derive(Default)]
struct End {
    chain: String,
    sequence: i32,
    hash: String,
    /// What is wrong with a chain is told once: after it nothing fits.
    broken: bool,
}

/// Follows every chain, and asks for every entry of the changefeed whether its record is there.
///
/// # Errors
/// When the database fails.
pub fn table(store: &Store) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    let mut end = End::default();
    let mut recorded: HashMap<i32, String> = HashMap::new();
    loop {
        let rows = store.audit_rows_by_chain((&end.chain, end.sequence), PAGE)?;
        let Some(last) = rows.last() else { break };
        let next = (last.chain.clone(), last.sequence);
        for row in &rows {
            findings.rows += 1;
            follow(&mut end, row, &mut findings, &mut recorded);
        }
        (end.chain, end.sequence) = next;
    }
    changes(store, &recorded, &mut findings)?;
    Ok(findings)
}

fn follow(end: &mut End, row: &AuditRow, findings: &mut Findings, recorded: &mut HashMap<i32, String>) {
    if row.chain != end.chain {
        findings.chains += 1;
        *end = End {
            chain: row.chain.clone(),
            ..End::default()
        };
    }
    let record: Option<ChangeRecord> = serde_json::from_str(&row.record).ok();
    if let Some(record) = &record
        && let Some(id) = record.change.change_id
    {
        recorded.insert(id, record.who.principal.clone());
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
        Some("its record, its hash or the row before it was altered".to_owned())
    } else if record.is_none_or(|record| record.chain != row.chain || record.sequence != row.sequence) {
        Some("it is not the record of this place".to_owned())
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

/// The end of a chain, or all of it, can be gone without a trace in the chain itself; but not in the changefeed.
fn changes(
    store: &Store,
    recorded: &HashMap<i32, String>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    // What happened before the table was there has no record.
    let Some(first) = recorded.keys().min() else {
        return Ok(());
    };
    let mut after = first - 1;
    loop {
        let entries = store.made_changes(after, PAGE)?;
        let Some(last) = entries.last() else {
            return Ok(());
        };
        after = last.id;
        for entry in entries {
            // A record that was not there when its chain was followed may have come since.
            let late = match recorded.contains_key(&entry.id) {
                true => None,
                false => maker(store, &entry)?,
            };
            let wrong = match recorded.get(&entry.id).or(late.as_ref()) {
                None => "has no record: it was removed, or audit.table was off".to_owned(),
                Some(principal) if *principal != entry.principal => {
                    format!("names {}, its record {principal}", entry.principal)
                }
                Some(_) => continue,
            };
            findings
                .broken
                .push(format!("change {} of {} {wrong}", entry.id, entry.gun));
        }
    }
}

/// Who made a change, as its repository's chain says now.
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

/// Asks of every row that the lines of a file sink name whether it is still there. Returns how many were named.
///
/// # Errors
/// When the database fails.
pub fn against(store: &Store, lines: impl BufRead, findings: &mut Findings) -> Result<usize, StoreError> {
    let mut named = 0;
    for line in lines.lines().map_while(Result::ok) {
        let Ok(mut line) = serde_json::from_str::<serde_json::Value>(&line) else {
            continue;
        };
        let Ok(Place {
            chain,
            sequence,
            hash,
        }) = serde_json::from_value(line["table"].take())
        else {
            continue;
        };
        named += 1;
        let gun = line["gun"].as_str().unwrap_or(&chain).to_owned();
        match store.audit_row(&chain, sequence)? {
            None => findings
                .broken
                .push(format!("{gun}, record {sequence}: was written and is gone")),
            Some(row) if row.hash != hash => findings.broken.push(format!(
                "row {} ({gun}, record {sequence}): is another than was written",
                row.id
            )),
            Some(_) => {}
        }
    }
    Ok(named)
}
