//! Follows every chain of records from its beginning.

use super::{AuditRow, Store, StoreError};
use crate::audit::{chain, record::ChangeRecord};

/// How many rows are read at a time.
const PAGE: u32 = 500;

/// What came of following the chains.
#[derive(Debug, Default)]
pub struct FollowedChains {
    /// How many chains there are.
    pub chains: usize,
    /// How many records.
    pub records: usize,
    /// Where they break, as sentences: only the first place of each chain, because after it nothing fits any more.
    pub broken: Vec<String>,
}

/// The end of a chain, as far as it was followed.
#[derive(Default)]
struct End {
    chain: String,
    sequence: i32,
    hash: String,
    broken: bool,
}

impl Store {
    /// Follows every chain.
    ///
    /// # Errors
    /// When the database fails.
    pub fn follow_chains(&self) -> Result<FollowedChains, StoreError> {
        self.follow_chains_with(|_| {})
    }

    /// Follows every chain, and hands each record that can be read to `each`.
    ///
    /// # Errors
    /// When the database fails.
    pub fn follow_chains_with(
        &self,
        mut each: impl FnMut(&ChangeRecord),
    ) -> Result<FollowedChains, StoreError> {
        let (mut end, mut found) = (End::default(), FollowedChains::default());
        loop {
            let rows = self.audit_rows_by_chain((&end.chain, end.sequence), PAGE)?;
            let Some(last) = rows.last() else {
                return Ok(found);
            };
            let next = (last.chain.clone(), last.sequence);
            for row in &rows {
                found.records += 1;
                let record: Option<ChangeRecord> = serde_json::from_str(&row.record).ok();
                if let Some(record) = &record {
                    each(record);
                }
                link(&mut end, row, record.as_ref(), &mut found);
            }
            (end.chain, end.sequence) = next;
        }
    }
}

fn link(end: &mut End, row: &AuditRow, record: Option<&ChangeRecord>, found: &mut FollowedChains) {
    if row.chain != end.chain {
        found.chains += 1;
        *end = End {
            chain: row.chain.clone(),
            ..End::default()
        };
    }
    let what = record
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
        found.broken.push(format!(
            "row {} ({what}, record {}): {wrong}",
            row.id, row.sequence
        ));
    }
    end.sequence = row.sequence;
    end.hash.clone_from(&row.hash);
}
