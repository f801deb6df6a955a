//! What a commit is decided by: one statement reads it, after the name of the GUN is held.

use std::collections::BTreeSet;

use diesel::{
    prelude::*,
    sql_types::{Binary, Integer, Nullable, Text},
};
use platform::database::{DbConnection, Statement};
use tuf::{Checksum, Document, Gun, RoleName};

use super::commit::Base;

/// What is stored of a GUN when an update is to be stored.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The version and the checksum of the newest timestamp.
    timestamp: Option<(i32, Checksum)>,
    /// The checksum of the newest root, if the base asks for it.
    root: Option<Checksum>,
    /// The highest version of each role of the update, by its position.
    highest: Vec<Option<i32>>,
    /// The number and hash of the last record of the GUN's chain.
    pub(super) end: Option<(i32, String)>,
}

/// What the row is about, a version or a number, a timestamp's bytes, a hash.
type Row = (i32, i32, Option<Vec<u8>>, Option<String>);

impl Standing {
    /// Reads it, and locks the newest timestamp: it can neither be replaced nor deleted until the transaction ends.
    /// `chain` is the name of the chain of records, if they are kept. `base` is what the update is based on.
    pub(super) fn read(
        connection: &mut DbConnection,
        gun: &Gun,
        documents: &[Document],
        chain: Option<&str>,
        base: Option<&Base>,
    ) -> QueryResult<Self> {
        type Columns = (Integer, Integer, Nullable<Binary>, Nullable<Text>);
        // Rows are told apart by the first column; a constant of a subquery has no type on PostgreSQL.
        let newest = "(SELECT version, data FROM tuf_files WHERE ";
        let mut statement: Statement<'_, Columns> = Statement::new("SELECT 0, version, data, NULL FROM ")
            .sql(newest)
            .exact("gun", gun.as_str())
            .sql(" AND ")
            .exact("role", RoleName::Timestamp.as_str())
            .sql(" AND deleted_at IS NULL ORDER BY version DESC LIMIT 1")
            .lock_rows()
            .sql(") AS newest");
        for (position, document) in (1..).zip(documents) {
            statement = statement
                .sql(" UNION ALL SELECT ")
                .integer(position)
                .sql(", version, NULL, NULL FROM (SELECT version FROM tuf_files WHERE ")
                .exact("gun", gun.as_str())
                .sql(" AND ")
                .exact("role", document.role.as_str())
                .sql(" AND deleted_at IS NULL ORDER BY version DESC LIMIT 1) AS newest");
        }
        if base.is_some_and(|base| base.kept_root.is_some()) {
            statement = statement
                .sql(" UNION ALL SELECT -2, version, data, NULL FROM ")
                .sql(newest)
                .exact("gun", gun.as_str())
                .sql(" AND ")
                .exact("role", RoleName::Root.as_str())
                .sql(" AND deleted_at IS NULL ORDER BY version DESC LIMIT 1) AS newest");
        }
        if let Some(chain) = chain {
            statement = statement
                .sql(" UNION ALL SELECT -1, sequence, NULL, hash FROM (SELECT sequence, hash FROM audit_log WHERE chain = ")
                .text(chain)
                .sql(" ORDER BY sequence DESC LIMIT 1) AS newest");
        }
        let rows: Vec<Row> = statement.load(connection)?;
        let mut standing = Self {
            highest: vec![None; documents.len()],
            ..Self::default()
        };
        for (which, number, data, text) in rows {
            match which {
                0 => standing.timestamp = data.map(|data| (number, Checksum::of(&data))),
                -2 => standing.root = data.map(|data| Checksum::of(&data)),
                -1 => standing.end = text.map(|hash| (number, hash)),
                position => {
                    let place = usize::try_from(position - 1).unwrap_or(usize::MAX);
                    if let Some(highest) = standing.highest.get_mut(place) {
                        *highest = Some(number);
                    }
                }
            }
        }
        Ok(standing)
    }

    /// Whether an update that is based on `base` may be stored: its base is still the newest, to the byte, and no
    /// role has such a version or a higher one, except those of which such versions are set aside.
    pub(super) fn admits(
        &self,
        base: Option<&Base>,
        documents: &[Document],
        replaced: &BTreeSet<RoleName>,
    ) -> bool {
        let is_base = match (&self.timestamp, base) {
            (None, None) => true,
            (Some((version, sha256)), Some(base)) => {
                *version == base.version.get()
                    && *sha256 == base.sha256
                    && base.kept_root.is_none_or(|kept| self.root == Some(kept))
            }
            _ => false,
        };
        let is_new = |(document, stored): (&Document, &Option<i32>)| {
            replaced.contains(&document.role) || stored.is_none_or(|stored| stored < document.version.get())
        };
        is_base && documents.iter().zip(&self.highest).all(is_new)
    }
}
