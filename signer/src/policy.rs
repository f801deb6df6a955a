//! Which content the service signs.
//!
//! A compromised trust server can ask for any signature. It gets one only over metadata of the role that the key was
//! made for, and never over a version lower than the key has signed before, so it cannot roll clients back.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, Utc};
use serde::Deserialize;
use serde_json::Value;
use tuf::RoleName;

/// What may be signed (`signing.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigningPolicy {
    /// Snapshots and timestamps, each by a key of its role, and never a lower version than before.
    #[default]
    Metadata,
    /// Everything, as the Notary signer does.
    Any,
}

/// A document that may be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// `snapshot` or `timestamp`.
    pub role: RoleName,
    /// Its version.
    pub version: i64,
}

/// Why a document is not signed. Never contains any of its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is neither a snapshot nor a timestamp.
    #[error("the content is not the signed part of a snapshot or a timestamp: {0}")]
    NotMetadata(&'static str),
    /// The key was made for another role.
    #[error("the key was made for the role {key}, the content is a {content}")]
    OtherRole {
        /// The role the key was made for.
        key: String,
        /// The role of the content.
        content: RoleName,
    },
    /// The key was made for another repository.
    #[error("the key was made for the repository {key:?}, the signature is for {wanted:?}")]
    OtherRepository {
        /// The GUN the key was made for.
        key: String,
        /// The GUN that the caller wants a signature for.
        wanted: String,
    },
    /// The key has signed a higher version.
    #[error("the content has version {version}, the key has already signed version {signed}")]
    LowerVersion {
        /// The version asked for.
        version: i64,
        /// The highest version signed.
        signed: i64,
    },
}

/// The members of a `signed` object. Others are refused, because another reader might give them a meaning.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    #[serde(rename = "_type")]
    kind: String,
    version: i64,
    #[serde(rename = "expires")]
    _expires: DateTime<FixedOffset>,
    meta: BTreeMap<String, FileMeta>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileMeta {
    #[serde(rename = "length")]
    _length: u64,
    #[serde(rename = "hashes")]
    _hashes: BTreeMap<String, String>,
    #[serde(rename = "custom", default)]
    _custom: Option<Value>,
}

impl SigningPolicy {
    /// Compares the GUN that a signature is for, if the caller names it, with the one that the key was made for.
    ///
    /// Notary servers do not name it, and a key made by a Notary signer before version 0.4 has no GUN.
    ///
    /// # Errors
    /// When the key was made for another.
    pub fn judge_gun(self, key_gun: &str, wanted: Option<&str>) -> Result<(), Refusal> {
        match wanted {
            Some(wanted) if self == Self::Metadata && !key_gun.is_empty() && key_gun != wanted => {
                Err(Refusal::OtherRepository {
                    key: key_gun.to_owned(),
                    wanted: wanted.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Judges `content` for a key made for `key_role`. Returns `None` if the policy allows any content. The caller has
    /// to compare the version with those signed before.
    ///
    /// A key without a role (made by a Notary signer before version 0.4) may sign either kind.
    ///
    /// # Errors
    /// When the content is not to be signed by such a key.
    /// A key of a TUF 1.0 repository (`key_gun` says so) signs documents of TUF 1.0 alone, any other key those of Notary.
    pub fn judge(self, key_gun: &str, key_role: &str, content: &[u8]) -> Result<Option<Document>, Refusal> {
        if self == Self::Any {
            return Ok(None);
        }
        let document = if tuf::is_of_tuf_1(key_gun) {
            read_tuf_1(content)?
        } else {
            read(content)?
        };
        if key_role.is_empty() || key_role == document.role.as_str() {
            Ok(Some(document))
        } else {
            Err(Refusal::OtherRole {
                key: key_role.to_owned(),
                content: document.role,
            })
        }
    }
}

/// The members of a `signed` object of TUF 1.0 (specification 1.0.34, sections 4.4 and 4.6).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuf1Signed {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
    version: i64,
    #[serde(rename = "expires")]
    _expires: DateTime<Utc>,
    meta: BTreeMap<String, Tuf1Meta>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuf1Meta {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(rename = "length", default)]
    _length: Option<u64>,
    #[serde(rename = "hashes", default)]
    _hashes: Option<BTreeMap<String, String>>,
}

/// Reads a snapshot or timestamp of TUF 1.0.
fn read_tuf_1(content: &[u8]) -> Result<Document, Refusal> {
    check_canonical(content)?;
    let signed: Tuf1Signed = serde_json::from_slice(content)
        .map_err(|_| Refusal::NotMetadata("it does not have exactly the members that one of TUF 1.0 has"))?;
    let (role, named) = match signed.kind.as_str() {
        "snapshot" => (RoleName::Snapshot, "targets.json"),
        "timestamp" => (RoleName::Timestamp, "snapshot.json"),
        _ => return Err(Refusal::NotMetadata("its _type is another")),
    };
    if !signed.spec_version.starts_with("1.0.") && signed.spec_version != "1.0" {
        return Err(Refusal::NotMetadata("its spec_version is not 1.0"));
    }
    if signed.version < 1 {
        return Err(Refusal::NotMetadata("its version is not positive"));
    }
    if !signed.meta.contains_key(named) || role == RoleName::Timestamp && signed.meta.len() != 1 {
        return Err(Refusal::NotMetadata("it does not name the files that one names"));
    }
    Ok(Document {
        role,
        version: signed.version,
    })
}

/// Other readers may parse other texts differently; and signatures are made over canonical forms only.
fn check_canonical(content: &[u8]) -> Result<(), Refusal> {
    if tuf::canonical_form(content).ok().as_deref() == Some(content) {
        Ok(())
    } else {
        Err(Refusal::NotMetadata("it is not in canonical form"))
    }
}

fn read(content: &[u8]) -> Result<Document, Refusal> {
    check_canonical(content)?;
    let signed: Signed = serde_json::from_slice(content)
        .map_err(|_| Refusal::NotMetadata("it does not have exactly the members that one has"))?;
    let (role, named): (_, &[RoleName]) = match signed.kind.as_str() {
        "Snapshot" => (RoleName::Snapshot, &[RoleName::Root, RoleName::Targets]),
        "Timestamp" => (RoleName::Timestamp, &[RoleName::Snapshot]),
        _ => return Err(Refusal::NotMetadata("its _type is another")),
    };
    if signed.version < 0 {
        return Err(Refusal::NotMetadata("its version is negative"));
    }
    if !named.iter().all(|role| signed.meta.contains_key(role.as_str())) {
        return Err(Refusal::NotMetadata("it does not name the files that one names"));
    }
    Ok(Document {
        role,
        version: signed.version,
    })
}

/// The signed part of a timestamp, for tests.
#[cfg(test)]
pub(crate) fn timestamp(version: i64) -> Vec<u8> {
    format!(
        r#"{{"_type":"Timestamp","expires":"2030-01-01T00:00:00Z","meta":{{"snapshot":{{"hashes":{{"sha256":"x"}},"length":1}}}},"version":{version}}}"#
    )
    .into_bytes()
}

/// The signed part of a snapshot, for tests.
#[cfg(test)]
pub(crate) fn snapshot(version: i64) -> Vec<u8> {
    let file = r#"{"hashes":{"sha256":"x"},"length":1}"#;
    format!(
        r#"{{"_type":"Snapshot","expires":"2030-01-01T00:00:00Z","meta":{{"root":{file},"targets":{file}}},"version":{version}}}"#
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = r#"{"_type":"Snapshot","expires":"2029-11-20T23:04:37.580463576Z","meta":{"root":{"hashes":{"sha256":"x"},"length":2380},"targets":{"hashes":{"sha256":"y"},"length":341},"targets/a":{"hashes":{},"length":1}},"version":2}"#;

    fn judge(role: &str, content: &str) -> Result<Option<Document>, Refusal> {
        SigningPolicy::Metadata.judge("app", role, content.as_bytes())
    }

    #[test]
    fn snapshots_and_timestamps_of_the_keys_role_are_signed() {
        let snapshot = Document {
            role: RoleName::Snapshot,
            version: 2,
        };
        assert_eq!(judge("snapshot", SNAPSHOT), Ok(Some(snapshot)));
        let expected = Document {
            role: RoleName::Timestamp,
            version: 7,
        };
        assert_eq!(
            SigningPolicy::Metadata.judge("app", "timestamp", &timestamp(7)),
            Ok(Some(expected))
        );
    }

    #[test]
    fn another_roles_metadata_is_refused() {
        let refusal = Refusal::OtherRole {
            key: "timestamp".into(),
            content: RoleName::Snapshot,
        };
        assert_eq!(judge("timestamp", SNAPSHOT), Err(refusal));
        assert!(judge("root", SNAPSHOT).is_err());
    }

    #[test]
    fn a_key_without_a_role_signs_either() {
        assert!(judge("", SNAPSHOT).is_ok());
        assert!(SigningPolicy::Metadata.judge("", "", &timestamp(1)).is_ok());
    }

    #[test]
    fn what_is_not_a_snapshot_or_timestamp_is_refused() {
        let cases = [
            String::new(),
            "{}".to_owned(),
            format!("{SNAPSHOT} x"),
            SNAPSHOT.replace("Snapshot", "Root"),
            SNAPSHOT.replace(r#""version":2"#, r#""version":-2"#),
            SNAPSHOT.replace(r#""version":2"#, r#""version":2,"version":3"#),
            SNAPSHOT.replace(r#""version":2"#, r#""version":2,"Version":3"#),
            SNAPSHOT.replace(r#""version":2"#, r#""version":2.5"#),
            SNAPSHOT.replace(r#""version":2"#, r#""version":99999999999999999999"#),
            SNAPSHOT.replace("2029-11-20T", "tomorrow"),
            SNAPSHOT.replace(
                r#""targets":{"#,
                r#""targets":{"hashes":{},"length":1},"targets":{"#,
            ),
            SNAPSHOT.replace(r#"":"Snapshot""#, r#"": "Snapshot""#),
            SNAPSHOT.replace(r#""targets":"#, r#""other":"#),
        ];
        for content in cases {
            let judged = judge("snapshot", &content);
            assert!(
                matches!(judged, Err(Refusal::NotMetadata(_))),
                "{content}: {judged:?}"
            );
        }
    }

    #[test]
    fn keys_of_tuf_1_repositories_and_of_notary_ones_do_not_sign_each_others_documents() {
        const TUF_1: &str = r#"{"_type":"snapshot","expires":"2029-11-20T23:04:37Z","meta":{"targets.json":{"version":1}},"spec_version":"1.0.31","version":3}"#;
        let policy = SigningPolicy::Metadata;
        let of_tuf_1 = |content: &str| policy.judge("app*tuf1", "snapshot", content.as_bytes());
        let signed = Document {
            role: RoleName::Snapshot,
            version: 3,
        };
        assert_eq!(of_tuf_1(TUF_1), Ok(Some(signed)));
        assert!(matches!(of_tuf_1(SNAPSHOT), Err(Refusal::NotMetadata(_))));
        assert!(matches!(judge("snapshot", TUF_1), Err(Refusal::NotMetadata(_))));
        for (from, to) in [
            ("1.0.31", "2.0.0"),
            (r#""version":3"#, r#""version":0"#),
            ("targets.json", "root.json"),
            (r#""_type":"snapshot""#, r#""_type":"targets""#),
            (r#""spec_version""#, r#""delegations":{},"spec_version""#),
        ] {
            let refused = of_tuf_1(&TUF_1.replace(from, to));
            assert!(
                matches!(refused, Err(Refusal::NotMetadata(_))),
                "{to}: {refused:?}"
            );
        }
    }

    #[test]
    fn refusals_do_not_repeat_the_content() {
        let refused = judge("snapshot", r#"{"_type":"Secret","secret":"plum"}"#).unwrap_err();
        assert!(!refused.to_string().contains("plum"));
    }

    #[test]
    fn a_key_signs_for_the_repository_that_it_was_made_for() {
        let policy = SigningPolicy::Metadata;
        for (key, wanted) in [("a", Some("a")), ("a", None), ("", Some("a"))] {
            assert_eq!(policy.judge_gun(key, wanted), Ok(()));
        }
        for wanted in ["b", "A", "a ", ""] {
            assert!(policy.judge_gun("a", Some(wanted)).is_err());
            assert_eq!(SigningPolicy::Any.judge_gun("a", Some(wanted)), Ok(()));
        }
    }

    #[test]
    fn any_means_any() {
        assert_eq!(SigningPolicy::Any.judge("app", "root", b"\xff"), Ok(None));
    }
}
