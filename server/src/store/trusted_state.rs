//! The state against which a publish is checked.

use std::collections::BTreeMap;

use diesel::{
    prelude::*,
    sql_types::{Binary, Integer, Nullable, Text},
};
use platform::database::{DbConnection, Statement};
use tuf::{Checksum, Current, Document, Gun, RoleName, Upload, Version};

use super::{
    Store, StoreError,
    read::{self, Selector},
};

/// The state against which a publish is checked, all at one moment of the database.
pub struct TrustedState {
    /// The documents.
    pub current: Current,
    /// The highest stored version of each uploaded role.
    pub highest: BTreeMap<RoleName, Version>,
}

/// The newest row of a role, and its bytes if they were asked for.
type Row = (String, i32, Option<Vec<u8>>, Option<String>);

/// The newest rows of some roles.
#[derive(Default)]
struct Newest {
    versions: BTreeMap<RoleName, Version>,
    documents: BTreeMap<RoleName, Document>,
}

impl Store {
    /// The state against which a publish of `upload` is checked.
    ///
    /// # Errors
    /// When the database fails.
    pub fn trusted_state(&self, gun: &Gun, upload: &Upload) -> Result<TrustedState, StoreError> {
        if !upload.compares_with_stored()
            && let Some(state) = newest_state(&mut *self.database.reader()?, gun, upload)?
        {
            return Ok(state);
        }
        self.at_one_moment(|connection| named_state(connection, gun, upload))
    }
}

/// The state if the newest document of each role is its current one, as it is almost always: then one statement reads
/// it, and what is not needed of the documents that are replaced stays in the database. `None` where it may be
/// otherwise.
fn newest_state(
    connection: &mut DbConnection,
    gun: &Gun,
    upload: &Upload,
) -> Result<Option<TrustedState>, StoreError> {
    let uploaded = upload.versions();
    let above = upload.depends_on();
    let mut wanted = vec![
        (RoleName::Root, true),
        (RoleName::Timestamp, true),
        (RoleName::Snapshot, true),
    ];
    wanted.extend(above.iter().map(|role| (role.clone(), true)));
    for (role, _) in &uploaded {
        if !wanted.iter().any(|(known, _)| known == role) {
            wanted.push((role.clone(), false));
        }
    }
    let Some(mut newest) = read_newest(connection, gun, &wanted)? else {
        return Ok(None);
    };
    // Whether the current keys verify the document that stands against it has to be known then.
    let conflicts = |(role, version): &(RoleName, i64)| {
        *role != RoleName::Root
            && newest
                .versions
                .get(role)
                .is_some_and(|last| i64::from(last.get()) >= *version)
    };
    if uploaded.iter().any(conflicts) {
        return Ok(None);
    }
    let timestamp = newest.documents.remove(&RoleName::Timestamp);
    let mut snapshot = newest.documents.remove(&RoleName::Snapshot);
    match &timestamp {
        None => snapshot = None,
        Some(timestamp) => {
            let named = tuf::named_snapshot(&timestamp.bytes).ok();
            if named.is_none() || named != snapshot.as_ref().map(|document| document.sha256) {
                return Ok(None);
            }
        }
    }
    let mut targets = BTreeMap::new();
    for role in above {
        let Some(snapshot) = &snapshot else { break };
        let Ok(named) = tuf::named_in_snapshot(&snapshot.bytes, &role) else {
            return Ok(None);
        };
        let found = newest.documents.remove(&role);
        match (named, found) {
            (None, _) => {}
            (Some(named), Some(found)) if found.sha256 == named => drop(targets.insert(role, found)),
            (Some(_), _) => return Ok(None),
        }
    }
    let highest = uploaded.into_iter().filter_map(|(role, _)| {
        let version = newest.versions.get(&role).copied();
        version.map(|version| (role, version))
    });
    Ok(Some(TrustedState {
        highest: highest.collect(),
        current: Current {
            root: newest.documents.remove(&RoleName::Root),
            timestamp,
            snapshot,
            targets,
        },
    }))
}

/// The newest row of each role, with its bytes where that is wanted; the first role's must be. `None` if the checksum
/// of a row is not that of its bytes, by which readers would not find it.
fn read_newest(
    connection: &mut DbConnection,
    gun: &Gun,
    wanted: &[(RoleName, bool)],
) -> Result<Option<Newest>, StoreError> {
    let mut statement: Statement<'_, (Text, Integer, Nullable<Binary>, Nullable<Text>)> = Statement::new("");
    for (position, (role, with_bytes)) in wanted.iter().enumerate() {
        if position > 0 {
            statement = statement.sql(" UNION ALL ");
        }
        let columns = if *with_bytes {
            "SELECT role, version, data, sha256 FROM (SELECT role, version, data, sha256 FROM tuf_files WHERE "
        } else {
            "SELECT role, version, NULL, sha256 FROM (SELECT role, version, sha256 FROM tuf_files WHERE "
        };
        statement = statement
            .sql(columns)
            .exact("gun", gun.as_str())
            .sql(" AND ")
            .exact("role", role.as_str())
            .sql(" AND deleted_at IS NULL ORDER BY version DESC LIMIT 1) AS newest");
    }
    let rows: Vec<Row> = statement.load(connection)?;
    let mut newest = Newest::default();
    for (role, number, bytes, sha256) in rows {
        let damaged = |reason: String| StoreError::Damaged {
            gun: gun.to_string(),
            role: role.clone(),
            version: number,
            reason,
        };
        let name = RoleName::parse(&role).map_err(|cause| damaged(cause.to_string()))?;
        let version = Version::new(i64::from(number)).map_err(|cause| damaged(cause.to_string()))?;
        if let Some(bytes) = bytes {
            let document = Document::new(name.clone(), version, bytes);
            let stated = sha256.as_deref().map(str::trim_end).map(Checksum::parse);
            if stated != Some(Ok(document.sha256)) {
                return Ok(None);
            }
            newest.documents.insert(name.clone(), document);
        }
        newest.versions.insert(name, version);
    }
    Ok(Some(newest))
}

/// The state as timestamp and snapshot name it.
fn named_state(
    connection: &mut DbConnection,
    gun: &Gun,
    upload: &Upload,
) -> Result<TrustedState, StoreError> {
    let snapshot = read::current_snapshot(connection, gun)?;
    let mut targets = BTreeMap::new();
    for role in upload.needed(snapshot.as_ref().map(|found| &found.document)) {
        if let Some(found) = read::current(connection, gun, &role, snapshot.as_ref())? {
            targets.insert(role, found.document);
        }
    }
    let mut highest_of = |role: &RoleName| {
        Ok::<_, StoreError>(
            read::find(connection, gun, role, &Selector::Highest)?.map(|found| found.document),
        )
    };
    let mut highest = BTreeMap::new();
    for role in upload.roles() {
        if let Some(found) = highest_of(&role)? {
            highest.insert(role, found.version);
        }
    }
    Ok(TrustedState {
        current: Current {
            root: highest_of(&RoleName::Root)?,
            timestamp: highest_of(&RoleName::Timestamp)?,
            snapshot: snapshot.map(|found| found.document),
            targets,
        },
        highest,
    })
}
