//! The parts of a publish, read as far as is possible without the stored state of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::checksum::Checksum;
use crate::document::Document;
use crate::metadata::{Envelope, FileMeta, MetadataError, SnapshotBody, TargetsBody};
use crate::role::RoleName;
use crate::version::Version;

/// The documents of one publish: one for each role, decoded. May be empty.
///
/// Each is parsed and hashed here and not again, however often the update is checked.
#[derive(Debug, Default)]
pub struct Upload {
    parts: BTreeMap<RoleName, Part>,
}

/// One uploaded document.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    pub(crate) sha256: Checksum,
    pub(crate) document: Envelope,
    /// The contents of targets or a delegation. When they cannot be read, the check says so in its turn.
    pub(crate) targets: Option<Result<Arc<TargetsBody>, MetadataError>>,
}

impl Part {
    fn read(role: &RoleName, bytes: Bytes) -> Result<Self, MetadataError> {
        let mut document = Envelope::parse(&bytes)?;
        let targets = role
            .is_targets_type()
            .then(|| TargetsBody::read(role, &document).map(Arc::new));
        if targets.is_some() {
            // Targets may be large, and nothing else will be read of them.
            document.forget_values();
        }
        Ok(Self {
            sha256: Checksum::of(&bytes),
            bytes,
            document,
            targets,
        })
    }

    /// The contents of targets or a delegation.
    pub(crate) fn targets(&self, role: &RoleName) -> Result<Arc<TargetsBody>, MetadataError> {
        match &self.targets {
            Some(read) => read.clone(),
            None => TargetsBody::read(role, &self.document).map(Arc::new),
        }
    }

    /// The document to store.
    pub(crate) fn to_document(&self, role: &RoleName, version: Version) -> Document {
        Document {
            role: role.clone(),
            version,
            bytes: self.bytes.clone(),
            sha256: self.sha256,
        }
    }
}

/// Why a part of a publish is refused by itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IntakeError {
    /// A part has no file name, or none but `.json`.
    #[error("no file name provided")]
    NoFilename,
    /// A file name is not the name of a role. Carries the name without `.json`.
    #[error("{0:?} is not a role name")]
    InvalidRole(String),
    /// A part is not the JSON of a document.
    #[error("{role} cannot be read: {reason}")]
    MalformedJson {
        /// The role the part was named after.
        role: String,
        /// What is wrong, for the log.
        reason: String,
    },
}

impl Upload {
    /// Reads the parts in body order: the file name, verbatim and without path handling, and the content.
    ///
    /// One trailing `.json` of a name is ignored. Of several parts for a role the last wins. Parts for the
    /// timestamp must be readable but are then dropped, for timestamps are always made by the server.
    ///
    /// # Errors
    ///
    /// Stops at the first part that has no name, names no role, or does not decode as a document.
    pub fn from_parts(parts: impl IntoIterator<Item = (Option<String>, Bytes)>) -> Result<Self, IntakeError> {
        let mut upload = Self::default();
        for (file_name, bytes) in parts {
            let name = file_name.as_deref().unwrap_or_default();
            let name = name.strip_suffix(".json").unwrap_or(name);
            if name.is_empty() {
                return Err(IntakeError::NoFilename);
            }
            let role = RoleName::parse(name).map_err(|e| IntakeError::InvalidRole(e.0))?;
            let part = Part::read(&role, bytes).map_err(|e| malformed(&role, &e))?;
            if role != RoleName::Timestamp {
                upload.parts.insert(role, part);
            }
        }
        Ok(upload)
    }

    /// The roles with a document, in storing order.
    pub fn roles(&self) -> Vec<RoleName> {
        self.parts.keys().cloned().collect()
    }

    /// The version that each document claims, not yet checked.
    pub fn versions(&self) -> Vec<(RoleName, i64)> {
        self.parts
            .iter()
            .map(|(role, part)| (role.clone(), part.document.version_number()))
            .collect()
    }

    /// The roles whose current documents [`check`](crate::check) needs beside root, snapshot and timestamp. `snapshot`
    /// is the stored one.
    ///
    /// Those are the uploaded targets and delegations with everything above them, targets if there is a new root (whose
    /// keys they must satisfy), and the roles whose entries in an uploaded snapshot differ from those in the stored
    /// one, with everything above them.
    pub fn needed(&self, snapshot: Option<&Document>) -> Vec<RoleName> {
        let uploaded = self.parts.keys().filter(|role| role.is_targets_type());
        let mut needed: BTreeSet<RoleName> = uploaded.cloned().collect();
        if self.parts.contains_key(&RoleName::Root) {
            needed.insert(RoleName::Targets);
        }
        needed.extend(self.named_otherwise(snapshot));
        let above: Vec<RoleName> = needed.iter().flat_map(RoleName::ancestors).collect();
        needed.extend(above);
        needed.into_iter().collect()
    }

    /// The roles whose entries in the stored snapshot are missing or different in the uploaded one.
    fn named_otherwise(&self, stored: Option<&Document>) -> Vec<RoleName> {
        let named = |document: &Envelope| SnapshotBody::read(document).map(|body| body.meta);
        let (Some(uploaded), Some(stored)) = (self.parts.get(&RoleName::Snapshot), stored) else {
            return Vec::new();
        };
        // A snapshot that cannot be read names no roles; the check refuses it.
        let stored = Envelope::parse(&stored.bytes).and_then(|document| named(&document));
        let (Ok(uploaded), Ok(stored)) = (named(&uploaded.document), stored) else {
            return Vec::new();
        };
        let differs = |(name, meta): &(&String, &FileMeta)| uploaded.get(*name) != Some(*meta);
        stored
            .iter()
            .filter(differs)
            .filter_map(|(name, _)| RoleName::parse(name).ok())
            .filter(RoleName::is_targets_type)
            .collect()
    }

    /// Whether the check compares an uploaded document with the current one of its role, beyond their versions.
    pub fn compares_with_stored(&self) -> bool {
        let counts_twice = |part: &Part| match &part.targets {
            Some(Ok(body)) => body.counting_twice().next().is_some(),
            _ => false,
        };
        self.parts.contains_key(&RoleName::Snapshot) || self.parts.values().any(counts_twice)
    }

    /// The roles above the uploaded ones, and targets if there is a new root, without those that are uploaded
    /// themselves: what the check needs when [`compares_with_stored`](Self::compares_with_stored) is false.
    pub fn depends_on(&self) -> Vec<RoleName> {
        let uploaded = self.parts.keys().filter(|role| role.is_targets_type());
        let mut needed: BTreeSet<RoleName> = uploaded.flat_map(RoleName::ancestors).collect();
        if self.parts.contains_key(&RoleName::Root) {
            needed.insert(RoleName::Targets);
        }
        needed
            .into_iter()
            .filter(|role| !self.parts.contains_key(role))
            .collect()
    }

    /// The document of a role.
    pub(crate) fn part(&self, role: &RoleName) -> Option<&Part> {
        self.parts.get(role)
    }

    /// Targets and delegations, parents first.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&RoleName, &Part)> {
        self.parts.iter().filter(|(role, _)| role.is_targets_type())
    }
}

fn malformed(role: &RoleName, error: &MetadataError) -> IntakeError {
    IntakeError::MalformedJson {
        role: role.to_string(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(parts: &[(&str, &str)]) -> Result<Upload, IntakeError> {
        let part = |(name, text): &(&str, &str)| (Some((*name).to_owned()), Bytes::from((*text).to_owned()));
        Upload::from_parts(parts.iter().map(part))
    }

    fn version(upload: &Upload, role: &RoleName) -> i64 {
        upload.part(role).unwrap().document.version_number()
    }

    #[test]
    fn an_empty_form_is_an_upload() {
        let upload = upload(&[]).unwrap();
        assert!(upload.roles().is_empty() && upload.needed(None).is_empty());
    }

    #[test]
    fn a_part_without_name_is_refused() {
        for name in [None, Some(String::new()), Some(".json".into())] {
            let error = Upload::from_parts([(name, Bytes::from_static(b"{}"))]).unwrap_err();
            assert_eq!(error, IntakeError::NoFilename);
        }
    }

    #[test]
    fn names_are_taken_verbatim_but_for_one_suffix() {
        assert_eq!(
            upload(&[("targets/a.json", "{}")]).unwrap().roles()[0].as_str(),
            "targets/a"
        );
        for name in ["x/targets", "../targets", "targets.json", "targets/A", "mirrors"] {
            let error = upload(&[(&format!("{name}.json"), "{}")]).unwrap_err();
            assert_eq!(error, IntakeError::InvalidRole(name.into()));
        }
    }

    #[test]
    fn the_first_problem_in_body_order_is_reported() {
        let malformed = upload(&[("root", "{"), ("nonsense", "{}")]).unwrap_err();
        assert!(matches!(malformed, IntakeError::MalformedJson { role, .. } if role == "root"));
        assert!(matches!(
            upload(&[("nonsense", "{}"), ("root", "{")]),
            Err(IntakeError::InvalidRole(_))
        ));
    }

    #[test]
    fn the_last_part_of_a_role_wins() {
        let one = r#"{"signed":{"version":1}}"#;
        let two = r#"{"signed":{"version":2}}"#;
        let upload = upload(&[("root", two), ("root.json", one)]).unwrap();
        assert_eq!(version(&upload, &RoleName::Root), 1);
    }

    #[test]
    fn timestamps_are_read_and_dropped() {
        assert!(upload(&[("timestamp", "{}")]).unwrap().roles().is_empty());
        assert!(matches!(
            upload(&[("timestamp", "[]")]),
            Err(IntakeError::MalformedJson { .. })
        ));
    }

    #[test]
    fn bytes_after_the_document_are_refused_unless_blank() {
        assert!(upload(&[("root", "{} \r\n\t")]).is_ok());
        let far = format!("{{}}{}x", " ".repeat(8192));
        assert!(matches!(
            upload(&[("root", &far)]),
            Err(IntakeError::MalformedJson { .. })
        ));
    }

    #[test]
    fn a_document_nested_too_deep_is_refused() {
        let nested = |depth| {
            format!(
                r#"{{"signed":{{"x":{}{}}}}}"#,
                "[".repeat(depth),
                "]".repeat(depth)
            )
        };
        assert!(upload(&[("root", &nested(crate::MAX_DEPTH - 2))]).is_ok());
        for depth in [crate::MAX_DEPTH - 1, 100_000] {
            let refused = upload(&[("root", &nested(depth))]);
            assert!(
                matches!(refused, Err(IntakeError::MalformedJson { .. })),
                "{depth}"
            );
        }
    }

    #[test]
    fn what_is_uploaded_and_the_roles_above_it_are_needed() {
        let upload = upload(&[("targets/a/b/c", "{}"), ("targets/a", "{}"), ("targets/x", "{}")]).unwrap();
        let names: Vec<String> = upload.needed(None).iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "targets",
                "targets/a",
                "targets/x",
                "targets/a/b",
                "targets/a/b/c"
            ]
        );
    }

    #[test]
    fn a_check_depends_on_what_is_above_and_not_uploaded() {
        let names = |upload: &Upload| {
            upload
                .depends_on()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let delegations = upload(&[("targets/a/b/c", "{}"), ("targets/a", "{}")]).unwrap();
        assert_eq!(names(&delegations), ["targets", "targets/a/b"]);
        assert_eq!(names(&upload(&[("root", "{}")]).unwrap()), ["targets"]);
        assert!(names(&upload(&[("root", "{}"), ("targets", "{}")]).unwrap()).is_empty());
        assert!(!delegations.compares_with_stored());
        assert!(upload(&[("snapshot", "{}")]).unwrap().compares_with_stored());
    }
}
