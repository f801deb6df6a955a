//! What the server makes and signs: snapshots and timestamps.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tuf::Version;

use crate::body::meta::{FileMeta, MetaMap};
use crate::envelope::{self, Signature};
use crate::fields::write_time;
use crate::key::PublicKey;
use crate::metadata::Metadata;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::trusted::Trusted;

/// The version of the specification that files state which are made here.
pub const SPEC_VERSION: &str = "1.0.34";

/// A snapshot or timestamp that is to be signed.
#[derive(Debug, Clone)]
pub struct Unsigned {
    role: Role,
    version: Version,
    raw: Box<RawValue>,
    message: Vec<u8>,
    root: Metadata,
}

impl Unsigned {
    fn new(
        root: &Metadata,
        role: Role,
        version: Version,
        expires: DateTime<Utc>,
        meta: &MetaMap,
    ) -> Result<Self, Refusal> {
        let files: Map<String, Value> = meta
            .iter()
            .map(|(role, file)| (format!("{role}.json"), file_json(file)))
            .collect();
        let signed = json!({
            "_type": role.stated_type(),
            "expires": write_time(expires),
            "meta": files,
            "spec_version": SPEC_VERSION,
            "version": version.get(),
        });
        let malformed = |problem: String| Refusal::Json {
            role: role.clone(),
            problem,
        };
        let message = tuf::canonicalize(&signed).map_err(|e| malformed(e.to_string()))?;
        let raw = serde_json::value::to_raw_value(&signed).map_err(|e| malformed(e.to_string()))?;
        let limit = envelope::limit(&role);
        // Room for the signature.
        let length = raw.get().len() + 1024;
        if length > limit {
            return Err(Refusal::TooLarge { role, length, limit });
        }
        Ok(Self {
            role,
            version,
            raw,
            message,
            root: root.clone(),
        })
    }

    /// Snapshot or timestamp.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The canonical form: what is signed.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Makes the file with this signature: DER for P-256, 64 bytes for Ed25519.
    ///
    /// # Errors
    /// When the signature is not one of this key over the message, or the root does not name the key for the role. tough
    /// verifies it too.
    pub fn seal(self, key: &PublicKey, signature: &[u8]) -> Result<Metadata, Refusal> {
        if !key.verify(&self.message, signature) {
            return Err(Refusal::BadSignature {
                role: self.role,
                key: key.id().clone(),
            });
        }
        let signature = Signature {
            key_id: key.id().clone(),
            bytes: signature.to_vec(),
        };
        let bytes: Bytes = envelope::write(&self.raw, &[signature]);
        let file = Metadata::parse(&self.role, bytes)?;
        if let Some(signers) = self.root.root_signers(&self.role) {
            file.check_signed(signers, &self.root)?;
        }
        Ok(file)
    }
}

/// A timestamp that names a snapshot, one version above the previous timestamp.
///
/// # Errors
/// When there is no version above the previous one.
pub fn timestamp(
    root: &Metadata,
    previous: Option<&Metadata>,
    snapshot: &Metadata,
    expires: DateTime<Utc>,
) -> Result<Unsigned, Refusal> {
    let role = Role::Timestamp;
    let version = next(&role, previous)?;
    let meta = MetaMap::from([(Role::Snapshot, file_meta(snapshot))]);
    Unsigned::new(root, role, version, expires, &meta)
}

/// A snapshot over what is current, one version above the stored one.
///
/// # Errors
/// When there is no root, or no version above the stored one.
pub fn renewed_snapshot(trusted: &Trusted, expires: DateTime<Utc>) -> Result<Unsigned, Refusal> {
    let root = trusted.root.as_ref().ok_or(Refusal::NoRoot)?;
    snapshot(root, trusted.snapshot.as_ref(), &trusted.targets, expires)
}

/// A snapshot over these files, one version above the previous one.
///
/// It goes on naming roles that the previous one named, whether they are still delegated to or not: clients refuse a
/// snapshot that names less (specification 1.0, section 5.5.5). Only when the snapshot's key is another one do clients
/// forget the previous snapshot (section 5.3.11), and it may name less.
pub(crate) fn snapshot(
    root: &Metadata,
    previous: Option<&Metadata>,
    current: &[Metadata],
    expires: DateTime<Utc>,
) -> Result<Unsigned, Refusal> {
    let role = Role::Snapshot;
    let version = next(&role, previous)?;
    let known = |previous: &&Metadata| {
        let signers = root.root_signers(&Role::Snapshot);
        signers.is_some_and(|signers| signers.enough(previous.envelope()).is_ok())
    };
    let named = previous.filter(known).and_then(|previous| previous.body().meta());
    let mut meta = named.map(|named| named.0.clone()).unwrap_or_default();
    for file in current {
        meta.insert(file.role().clone(), file_meta(file));
    }
    Unsigned::new(root, role, version, expires, &meta)
}

fn next(role: &Role, previous: Option<&Metadata>) -> Result<Version, Refusal> {
    let next = previous.map_or(Some(Version::FIRST), |previous| previous.version().next());
    next.ok_or_else(|| Refusal::LastVersion { role: role.clone() })
}

fn file_meta(file: &Metadata) -> FileMeta {
    FileMeta {
        version: file.version(),
        length: file.length() as u64,
        sha256: file.sha256(),
    }
}

fn file_json(file: &FileMeta) -> Value {
    json!({
        "hashes": {"sha256": file.sha256.as_hex()},
        "length": file.length,
        "version": file.version.get(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Repo, TestKey, in_days, sign};

    #[test]
    fn renewed_files_have_the_next_version_and_name_the_same() {
        let repo = Repo::new();
        let (root, before) = (
            repo.trusted.root.as_ref().unwrap(),
            repo.trusted.snapshot.as_ref().unwrap(),
        );
        let renewed = renewed_snapshot(&repo.trusted, in_days(14)).unwrap();
        assert_eq!((renewed.role(), renewed.version().get()), (&Role::Snapshot, 2));
        let renewed = Repo::seal(renewed, &repo.snapshot);
        assert_eq!(renewed.expires(), in_days(14));
        assert_eq!(renewed.signed().get("meta"), before.signed().get("meta"));
        let previous = repo.trusted.timestamp.as_ref();
        let timestamp = timestamp(root, previous, &renewed, in_days(1)).unwrap();
        assert_eq!(
            (timestamp.role(), timestamp.version().get()),
            (&Role::Timestamp, 2)
        );
        assert!(!Repo::seal(timestamp, &repo.timestamp).signature_ids().is_empty());
    }

    #[test]
    fn only_the_key_that_the_root_names_seals_a_file() {
        let repo = Repo::new();
        let stranger = TestKey::p256();
        let unsigned = || renewed_snapshot(&repo.trusted, in_days(14)).unwrap();
        for key in [&stranger, &repo.timestamp] {
            let signature = key.sign(unsigned().message());
            let refusal = unsigned()
                .seal(&key.public, &signature)
                .map(|file| file.length())
                .unwrap_err();
            assert_eq!(refusal.code(), "threshold");
        }
        let refusal = unsigned()
            .seal(&repo.snapshot.public, b"no signature")
            .map(|file| file.length())
            .unwrap_err();
        assert_eq!(refusal.code(), "bad_signature");
    }

    #[test]
    fn after_the_last_version_nothing_is_made() {
        let mut repo = Repo::new();
        let mut targets = repo.next("targets");
        targets.version = Version::new(i64::from(i32::MAX)).unwrap();
        let last = sign(&targets.draft().unwrap(), &[&repo.targets]);
        let refusal = crate::authoring::TargetsContent::following(&last, in_days(1))
            .map(|next| next.version)
            .unwrap_err();
        assert_eq!(refusal, Refusal::LastVersion { role: Role::Targets });
        let mut signed = Value::Object(repo.trusted.snapshot.as_ref().unwrap().signed().clone());
        signed["version"] = i32::MAX.into();
        let bytes = crate::testing::sign_value(&signed, &[&repo.snapshot]);
        repo.trusted.snapshot = Some(Metadata::parse(&Role::Snapshot, bytes).unwrap());
        let refusal = renewed_snapshot(&repo.trusted, in_days(1))
            .map(|next| next.version())
            .unwrap_err();
        assert_eq!(refusal, Refusal::LastVersion { role: Role::Snapshot });
    }
}
