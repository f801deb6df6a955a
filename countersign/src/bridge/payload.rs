//! What is signed: the JSON of simple signing (containers-signature(5)), which cosign took over with another type.
//!
//! Readers refuse everything unknown in `critical`, and ignore it in `optional`, where a statement's basis stands.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tuf::Checksum;

use super::{
    BridgeError,
    statement::{Basis, Statement},
};

/// The largest payload that may be one of ours, in bytes.
pub(super) const LIMIT: u64 = 64 * 1024;

/// The kind of signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Cosign,
    SimpleSigning,
}

impl Kind {
    /// As the trust server calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cosign => "cosign",
            Self::SimpleSigning => "simple-signing",
        }
    }

    /// As it is written in the payload.
    fn written(self) -> &'static str {
        match self {
            Self::Cosign => "cosign container image signature",
            Self::SimpleSigning => "atomic container signature",
        }
    }
}

/// How a payload stands to a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// It says the same.
    Same,
    /// It says the same of an earlier state of the same repository.
    Former,
    /// It says something else.
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Payload {
    critical: Critical,
    optional: Optional,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Identity {
    docker_reference: String,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Image {
    docker_manifest_digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Optional {
    creator: String,
    /// Seconds since 1970.
    timestamp: i64,
    countersign: Basis,
}

impl Payload {
    fn of(kind: Kind, statement: &Statement, now: DateTime<Utc>) -> Self {
        Self {
            critical: Critical {
                identity: Identity {
                    docker_reference: statement.reference.clone(),
                },
                image: Image {
                    docker_manifest_digest: digest(&statement.manifest),
                },
                kind: kind.written().to_owned(),
            },
            optional: Optional {
                creator: concat!("countersign ", env!("CARGO_PKG_VERSION")).to_owned(),
                timestamp: now.timestamp(),
                countersign: statement.basis.clone(),
            },
        }
    }

    /// How a payload stands to a statement; one that is not of our making says something else.
    pub(super) fn relation(bytes: &[u8], kind: Kind, statement: &Statement) -> Relation {
        let Ok(found) = serde_json::from_slice::<Self>(bytes) else {
            return Relation::Other;
        };
        let wanted = Self::of(kind, statement, DateTime::UNIX_EPOCH);
        let (one, other) = (&found.optional.countersign, &wanted.optional.countersign);
        if found.critical != wanted.critical {
            Relation::Other
        } else if one == other {
            Relation::Same
        } else if (&one.gun, &one.tag, &one.index) == (&other.gun, &other.tag, &other.index) {
            Relation::Former
        } else {
            Relation::Other
        }
    }
}

/// What is signed, as it is signed.
pub(super) fn write(kind: Kind, statement: &Statement, now: DateTime<Utc>) -> Result<Vec<u8>, BridgeError> {
    let content = serde_json::to_vec(&Payload::of(kind, statement, now))
        .map_err(|cause| BridgeError::Payload(cause.to_string()))?;
    // What would not be recognized as ours next time would be signed again and again.
    if content.len() as u64 > LIMIT {
        return Err(BridgeError::Payload(format!(
            "{} roles with their keys take {} bytes, and at most {LIMIT} are signed",
            statement.basis.roles.len(),
            content.len()
        )));
    }
    Ok(content)
}

/// A digest as manifests write it.
pub(super) fn digest(checksum: &Checksum) -> String {
    format!("sha256:{checksum}")
}
