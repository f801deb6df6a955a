//! What a snapshot or timestamp says.

use std::collections::BTreeMap;

use tuf::{Checksum, Version};

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::role::Role;

/// The files that a snapshot or timestamp names, by role.
pub(crate) type MetaMap = BTreeMap<Role, FileMeta>;

/// The files that a snapshot or timestamp names.
#[derive(Debug)]
pub(crate) struct MetaFiles(pub(crate) MetaMap);

/// Version, length and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileMeta {
    pub(crate) version: Version,
    pub(crate) length: u64,
    pub(crate) sha256: Checksum,
}

impl MetaFiles {
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, Refusal> {
        let timestamp = *fields.role == Role::Timestamp;
        let mut meta = MetaMap::new();
        for (file, value) in fields.object("meta")? {
            let place = format!("meta.{file:?}");
            let members = Fields::of(fields.role, &place, value)?;
            let role = file.strip_suffix(".json").and_then(|name| Role::parse(name).ok());
            let named = role.filter(|role| {
                if timestamp {
                    *role == Role::Snapshot
                } else {
                    role.lists_targets()
                }
            });
            let role = named.ok_or_else(|| members.refuse("", "is not a file that this role names"))?;
            members.only(&["version", "length", "hashes"])?;
            let hashes = members.object("hashes")?;
            let hashes = Fields::new(fields.role, &place, hashes);
            hashes.only(&["sha256"])?;
            let sha256 = hashes.hash("sha256", 32)?;
            let file = FileMeta {
                version: members.version("version")?,
                length: members.number("length")?,
                sha256: Checksum::parse(sha256).map_err(|e| hashes.refuse("sha256", e.to_string()))?,
            };
            meta.insert(role, file);
        }
        let needed = if timestamp { Role::Snapshot } else { Role::Targets };
        if !meta.contains_key(&needed) {
            return Err(fields.refuse("meta", format!("must name {needed}.json")));
        }
        Ok(Self(meta))
    }
}
