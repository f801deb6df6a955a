//! The current documents of several repositories at once, with a few statements however many there are.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDateTime;
use diesel::{
    prelude::*,
    sql_types::{Binary, Integer, Nullable, Text, Timestamp},
};
use platform::database::{DbConnection, Statement};
use tuf::{Checksum, Document, Gun, RoleName, Version};

use super::{Store, StoreError, current_set::ROLE_LIMIT, read};

/// How many repositories are read with one statement. A statement is prepared for each number, so the last ones are
/// filled up by repeating one.
const TOGETHER: usize = 16;
/// How many documents are read with one statement.
const DOCUMENTS: usize = 64;

/// The current documents of a repository, as they were at one moment.
#[derive(Debug, Clone)]
pub struct CurrentFiles {
    /// The row of the newest timestamp.
    pub newest_id: i32,
    /// When that was stored; `None` for rows of old databases that lack the time.
    pub stored_at: Option<NaiveDateTime>,
    /// The highest root.
    pub root: Option<Document>,
    /// The newest timestamp.
    pub timestamp: Document,
    /// The snapshot that it names.
    pub snapshot: Option<Document>,
    /// Targets and the delegations that can be reached from it and that the snapshot names.
    pub targets: BTreeMap<RoleName, Document>,
}

/// Position of the GUN, row, version, when it was stored, content.
type Newest = (i32, i32, i32, Option<NaiveDateTime>, Vec<u8>);
type NewestTypes = (Integer, Integer, Integer, Nullable<Timestamp>, Binary);
/// GUN, role, version, content.
type Named = (String, String, i32, Vec<u8>);
type NamedTypes = (Text, Text, Integer, Binary);

impl Store {
    /// The current documents of these repositories, all at one moment; those without a timestamp are missing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn current_files(&self, guns: &[Gun]) -> Result<HashMap<Gun, CurrentFiles>, StoreError> {
        self.at_one_moment(|connection| {
            let mut found = HashMap::new();
            for guns in guns.chunks(TOGETHER) {
                found.extend(read_together(connection, guns)?);
            }
            Ok(found)
        })
    }
}

fn read_together(
    connection: &mut DbConnection,
    guns: &[Gun],
) -> Result<HashMap<Gun, CurrentFiles>, StoreError> {
    let mut found = newest(connection, guns)?;
    let mut wanted: Vec<(Gun, RoleName, Checksum)> = Vec::new();
    for (gun, files) in &found {
        if let Ok(checksum) = tuf::named_snapshot(&files.timestamp.bytes) {
            wanted.push((gun.clone(), RoleName::Snapshot, checksum));
        }
    }
    for (gun, document) in named(connection, &wanted)? {
        if let Some(files) = found.get_mut(&gun) {
            files.snapshot = Some(document);
        }
    }
    // Targets of all repositories, then the delegations that these declare, and so on: few go deeper than that.
    let mut level: Vec<(Gun, RoleName)> = found.keys().map(|gun| (gun.clone(), RoleName::Targets)).collect();
    let mut seen: HashSet<(Gun, RoleName)> = level.iter().cloned().collect();
    while !level.is_empty() {
        let mut wanted = Vec::new();
        for (gun, role) in level.drain(..) {
            let snapshot = found.get(&gun).and_then(|files| files.snapshot.as_ref());
            let checksum = snapshot.and_then(|snapshot| tuf::named_in_snapshot(&snapshot.bytes, &role).ok());
            if let Some(checksum) = checksum.flatten() {
                wanted.push((gun, role, checksum));
            }
        }
        for (gun, document) in named(connection, &wanted)? {
            let Some(files) = found.get_mut(&gun) else {
                continue;
            };
            let delegated = tuf::delegated_roles(&document.role, &document.bytes).unwrap_or_default();
            files.targets.insert(document.role.clone(), document);
            for role in delegated {
                let place = (gun.clone(), role);
                if files.targets.len() < ROLE_LIMIT && seen.insert(place.clone()) {
                    level.push(place);
                }
            }
        }
    }
    Ok(found)
}

/// The newest timestamp and the highest root of each.
fn newest(connection: &mut DbConnection, guns: &[Gun]) -> Result<HashMap<Gun, CurrentFiles>, StoreError> {
    let Some(last) = guns.last() else {
        return Ok(HashMap::new());
    };
    let roles = [RoleName::Timestamp, RoleName::Root];
    let begin: Vec<String> = (0..TOGETHER)
        .map(|position| {
            let union = if position == 0 {
                ""
            } else {
                ") AS newest UNION ALL "
            };
            format!(
                "{union}SELECT {position}, id, version, created_at, data FROM \
                 (SELECT id, version, created_at, data FROM tuf_files WHERE "
            )
        })
        .collect();
    let mut found: HashMap<Gun, CurrentFiles> = HashMap::new();
    for role in &roles {
        let mut statement: Statement<'_, NewestTypes> = Statement::new("");
        for (position, begin) in begin.iter().enumerate() {
            statement = statement
                .sql(begin)
                .exact("gun", guns.get(position).unwrap_or(last).as_str())
                .sql(" AND ")
                .exact("role", role.as_str())
                .sql(" AND deleted_at IS NULL ORDER BY version DESC LIMIT 1");
        }
        let rows: Vec<Newest> = statement.sql(") AS newest").load(connection)?;
        for (position, id, number, stored_at, bytes) in rows {
            let Some(gun) = usize::try_from(position)
                .ok()
                .and_then(|position| guns.get(position))
            else {
                continue;
            };
            let document = document(gun, role.clone(), number, bytes)?;
            match (role, found.get_mut(gun)) {
                (RoleName::Timestamp, _) => {
                    let files = CurrentFiles {
                        newest_id: id,
                        stored_at,
                        root: None,
                        timestamp: document,
                        snapshot: None,
                        targets: BTreeMap::new(),
                    };
                    found.insert(gun.clone(), files);
                }
                (_, Some(files)) => files.root = Some(document),
                (_, None) => {}
            }
        }
    }
    Ok(found)
}

/// The documents with these checksums. Those that are not found so, as in old databases whose column was never filled
/// in, are not found by clients either.
fn named(
    connection: &mut DbConnection,
    wanted: &[(Gun, RoleName, Checksum)],
) -> Result<Vec<(Gun, Document)>, StoreError> {
    let mut found = Vec::new();
    for wanted in wanted.chunks(DOCUMENTS) {
        let checksums: Vec<String> = wanted.iter().map(|(_, _, checksum)| checksum.as_hex()).collect();
        let Some(last) = checksums.last() else { continue };
        // PostgreSQL uses the index of a column of fixed width only for a comparison of its own type.
        let (before, after) = match connection {
            DbConnection::Postgres(_) => ("CAST(", " AS bpchar)"),
            _ => ("", ""),
        };
        let mut statement: Statement<'_, NamedTypes> = Statement::new(
            "SELECT gun, role, version, data FROM tuf_files WHERE deleted_at IS NULL AND gun IN (",
        );
        // Other repositories may have documents of the same content, many of them.
        let guns: BTreeSet<&str> = wanted.iter().map(|(gun, _, _)| gun.as_str()).collect();
        let guns: Vec<&str> = guns.into_iter().collect();
        let last_gun = guns.last().copied().unwrap_or_default();
        for position in 0..guns.len().next_power_of_two() {
            if position > 0 {
                statement = statement.sql(", ");
            }
            statement = statement.text(guns.get(position).copied().unwrap_or(last_gun));
        }
        statement = statement.sql(") AND sha256 IN (");
        let count = checksums.len().next_power_of_two();
        for position in 0..count {
            if position > 0 {
                statement = statement.sql(", ");
            }
            statement = statement
                .sql(before)
                .text(checksums.get(position).unwrap_or(last))
                .sql(after);
        }
        let rows: Vec<Named> = statement.sql(")").load(connection)?;
        for (gun, role, number, bytes) in rows {
            let checksum = Checksum::of(&bytes);
            // The column may hold another checksum, and names that differ by their letter case.
            let asked = wanted.iter().find(|(wanted_gun, wanted_role, wanted)| {
                wanted_gun.as_str() == gun && wanted_role.as_str() == role && *wanted == checksum
            });
            if let Some((gun, role, _)) = asked {
                found.push((gun.clone(), document(gun, role.clone(), number, bytes)?));
            }
        }
    }
    Ok(found)
}

fn document(gun: &Gun, role: RoleName, number: i32, bytes: Vec<u8>) -> Result<Document, StoreError> {
    match Version::new(i64::from(number)) {
        Ok(version) => Ok(Document::new(role, version, bytes)),
        Err(cause) => Err(read::damaged(gun, &role, number, &cause)),
    }
}
