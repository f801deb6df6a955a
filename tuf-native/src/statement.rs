//! What the custom member of a target says that it is, where that is more than a file: a trust root, or a statement of an
//! attested mirror.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::fields::write_time;

/// The member of `custom` in which it is said.
pub const MEMBER: &str = "countersign";
/// The member of that which names the kind.
pub(crate) const KIND: &str = "kind";
/// The kind of statements of an attested mirror.
const ATTESTED_MIRROR: &str = "attested mirror";

/// Whose word a target of an attested mirror is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The Notary repository.
    pub gun: String,
    /// Its role that named the tag.
    pub role: String,
    /// The version of that role's document.
    pub version: i64,
    /// The SHA-256 of that document.
    pub sha256: String,
    /// The IDs of the bare keys that signed the root from which it was verified.
    pub root_key_ids: Vec<String>,
    /// When the operator verified it.
    pub verified_at: DateTime<Utc>,
    /// When the source ends: its root, or a document from targets to the one that named the tag.
    pub expires: DateTime<Utc>,
}

impl Statement {
    /// What [`MEMBER`] of a target says; `None` if it says nothing of a mirror.
    pub fn of(said: &Value) -> Option<Self> {
        let text = |name: &str| Some(said.get(name)?.as_str()?.to_owned());
        let moment = |name: &str| {
            let read = DateTime::parse_from_rfc3339(said.get(name)?.as_str()?).ok()?;
            Some(read.with_timezone(&Utc))
        };
        if said.get(KIND)?.as_str()? != ATTESTED_MIRROR {
            return None;
        }
        let ids = said.get("root_key_ids")?.as_array()?.iter();
        Some(Self {
            gun: text("gun")?,
            role: text("role")?,
            version: said.get("version")?.as_i64()?,
            sha256: text("sha256")?,
            root_key_ids: ids
                .map(|id| id.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
            verified_at: moment("verified_at")?,
            expires: moment("expires")?,
        })
    }

    /// The same of all of the custom member.
    pub fn of_custom(custom: &Map<String, Value>) -> Option<Self> {
        Self::of(custom.get(MEMBER)?)
    }

    pub(crate) fn to_custom(&self) -> Map<String, Value> {
        let said = json!({
            KIND: ATTESTED_MIRROR,
            "gun": self.gun,
            "role": self.role,
            "version": self.version,
            "sha256": self.sha256,
            "root_key_ids": self.root_key_ids,
            "verified_at": write_time(self.verified_at),
            "expires": write_time(self.expires),
        });
        Map::from_iter([(MEMBER.to_owned(), said)])
    }
}
