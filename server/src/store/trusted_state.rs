//! The state against which a publish is checked.

use std::collections::BTreeMap;

use bytes::Bytes;
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

/// The most bytes of a document that is kept for the next publish.
const KEPT: usize = 64 * 1024;

/// The state against which a publish is checked, all at one moment of the database.
pub struct TrustedState {
    /// The documents.
    pub current: Current,
    /// The highest stored version of each uploaded role.
    pub highest: BTreeMap<RoleName, Version>,
}

/// The newest row of a role, and its bytes if they were asked for.
type Row = (String, i32, Option<Vec<u8>>, Option<String>);

/// The newest documents of some roles.
#[derive(Debug, Default)]
pub struct NewestDocuments {
    /// The highest stored version of each role.
    versions: BTreeMap<RoleName, Version>,
    /// The documents of this version that are at hand.
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
    let newest = read_newest(connection, gun, &wanted)?;
    Ok(newest.and_then(|newest| newest.state_for(upload)))
}

impl NewestDocuments {
    /// The documents after an update was stored, for the next one: `stored` are its own, `root` and `above` those that
    /// were current before. `None` if they are too large to be kept.
    pub fn after(
        root: Option<&Document>,
        above: &BTreeMap<RoleName, Document>,
        stored: &[Document],
    ) -> Option<Self> {
        let mut newest = Self::default();
        for document in root.into_iter().chain(above.values()).chain(stored) {
            let role = document.role.clone();
            newest.versions.insert(role.clone(), document.version);
            // A copy, because the bytes may be part of a large upload.
            if document.bytes.len() <= KEPT {
                let bytes = Bytes::copy_from_slice(&document.bytes);
                let document = document.clone();
                newest.documents.insert(role, Document { bytes, ..document });
            } else if role.is_targets_type() {
                newest.documents.remove(&role);
            } else {
                return None;
            }
        }
        Some(newest)
    }

    /// How many bytes the documents take.
    pub fn size(&self) -> usize {
        self.documents.values().map(|document| document.bytes.len()).sum()
    }

    /// Whether the highest version of every role of an upload is known.
    pub fn knows_roles_of(&self, upload: &Upload) -> bool {
        upload.roles().iter().all(|role| self.versions.contains_key(role))
    }

    /// The state against which an upload is checked, if the newest document of each role that counts is its current one
    /// and at hand.
    pub fn state_for(&self, upload: &Upload) -> Option<TrustedState> {
        if upload.compares_with_stored() {
            return None;
        }
        let uploaded = upload.versions();
        // Whether the current keys verify the document that stands against it has to be known then.
        let conflicts = |(role, version): &(RoleName, i64)| {
            *role != RoleName::Root
                && self
                    .versions
                    .get(role)
                    .is_some_and(|last| i64::from(last.get()) >= *version)
        };
        if uploaded.iter().any(conflicts) {
            return None;
        }
        let timestamp = self.documents.get(&RoleName::Timestamp);
        let snapshot = match timestamp {
            None => None,
            Some(timestamp) => {
                let snapshot = self.documents.get(&RoleName::Snapshot)?;
                let named = tuf::named_snapshot(&timestamp.bytes).ok();
                (named == Some(snapshot.sha256)).then_some(Some(snapshot))?
            }
        };
        let mut targets = BTreeMap::new();
        for role in upload.depends_on() {
            let Some(snapshot) = snapshot else { break };
            let named = tuf::named_in_snapshot(&snapshot.bytes, &role).ok()?;
            let found = self.documents.get(&role);
            match (named, found) {
                (None, _) => {}
                (Some(named), Some(found)) if found.sha256 == named => {
                    targets.insert(role, found.clone());
                }
                (Some(_), _) => return None,
            }
        }
        let highest = uploaded.into_iter().filter_map(|(role, _)| {
            let version = self.versions.get(&role).copied();
            version.map(|version| (role, version))
        });
        Some(TrustedState {
            highest: highest.collect(),
            current: Current {
                root: self.documents.get(&RoleName::Root).cloned(),
                timestamp: timestamp.cloned(),
                snapshot: snapshot.cloned(),
                targets,
            },
        })
    }
}

/// The newest row of each role, with its bytes where that is wanted; the first role's must be. `None` if the checksum
/// of a row is not that of its bytes, by which readers would not find it.
fn read_newest(
    connection: &mut DbConnection,
    gun: &Gun,
    wanted: &[(RoleName, bool)],
) -> Result<Option<NewestDocuments>, StoreError> {
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
    let mut newest = NewestDocuments::default();
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
