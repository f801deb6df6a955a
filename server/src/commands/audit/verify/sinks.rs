//! Compares the table with the records in the sinks, which an attacker who can write to the database cannot change.

use std::io::BufRead;

use super::Findings;
use crate::{
    audit::record::Place,
    store::{Store, StoreError},
};

/// Checks that every row which the lines of a file sink name still exists, and that the table has not lost its end
/// since the last checkpoint. Returns how many rows were named.
///
/// # Errors
/// When the database fails.
pub fn against(store: &Store, lines: impl BufRead, findings: &mut Findings) -> Result<usize, StoreError> {
    let mut named = 0;
    let mut checkpoint = None;
    for line in lines.lines().map_while(Result::ok) {
        let Ok(mut line) = serde_json::from_str::<serde_json::Value>(&line) else {
            continue;
        };
        if let Some(row) = line["last_row"].as_i64() {
            checkpoint = Some((row, line["ts"].as_str().unwrap_or_default().to_owned()));
        }
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
            None => findings.broken.push(format!(
                "{gun}, record {sequence}: was written, but is missing now"
            )),
            Some(row) if row.hash != hash => findings.broken.push(format!(
                "row {} ({gun}, record {sequence}): differs from what was written",
                row.id
            )),
            Some(_) => {}
        }
    }
    if let Some((row, when)) = checkpoint
        && !store.has_audit_row(row)?
    {
        findings.broken.push(format!(
            "row {row}, the last one at the checkpoint of {when}, is missing"
        ));
    }
    Ok(named)
}
