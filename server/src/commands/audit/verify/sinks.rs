//! What was told to the sinks, which whoever can write to the database cannot reach.

use std::io::BufRead;

use super::Findings;
use crate::{
    audit::record::Place,
    store::{Store, StoreError},
};

/// Asks of every row that the lines of a file sink name whether it is still there, and of the table whether it has
/// lost its end since the last checkpoint. Returns how many rows were named.
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
    if let Some((row, when)) = checkpoint
        && !store.has_audit_row(row)?
    {
        findings.broken.push(format!(
            "row {row}, the last one at the checkpoint of {when}, is gone"
        ));
    }
    Ok(named)
}
