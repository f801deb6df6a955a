//! Repositories for tests: keys, signed files, and publishes to them.

use bytes::Bytes;
use chrono::{DateTime, Duration, TimeZone, Utc};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Signer};
use serde_json::Value;

use crate::authoring::{RootContent, TargetsContent};
use crate::{
    Checked, Draft, Limits, Metadata, OnlineKeys, PublicKey, Refusal, RepositoryName, Role, Signers, Trusted,
    Unsigned, check, timestamp,
};

/// A private key.
#[derive(Clone)]
pub(crate) struct TestKey {
    private: PKey<Private>,
    pub(crate) public: PublicKey,
}

impl TestKey {
    pub(crate) fn p256() -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        Self::of(PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap())
    }

    pub(crate) fn ed25519() -> Self {
        Self::of(PKey::generate_ed25519().unwrap())
    }

    pub(crate) fn rsa() -> Self {
        Self::of(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap())
    }

    fn of(private: PKey<Private>) -> Self {
        Self {
            public: PublicKey::from_pkey(&private).unwrap(),
            private,
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        if self.private.id() == Id::ED25519 {
            let mut signer = Signer::new_without_digest(&self.private).unwrap();
            return signer.sign_oneshot_to_vec(message).unwrap();
        }
        let mut signer = Signer::new(MessageDigest::sha256(), &self.private).unwrap();
        if self.private.id() == Id::RSA {
            signer.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
            signer.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH).unwrap();
        }
        signer.sign_oneshot_to_vec(message).unwrap()
    }
}

/// Who signs a role.
pub(crate) fn signers(keys: &[&TestKey], threshold: u32) -> Signers {
    Signers::new(keys.iter().map(|key| key.public.clone()).collect(), threshold)
}

/// The moment of all tests.
pub(crate) fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2030, 6, 1, 12, 0, 0).unwrap()
}

pub(crate) fn in_days(days: i64) -> DateTime<Utc> {
    now() + Duration::days(days)
}

pub(crate) fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

pub(crate) fn name() -> RepositoryName {
    RepositoryName::parse("example.com/tools").unwrap()
}

/// A draft with signatures of these keys.
pub(crate) fn sign(draft: &Draft, keys: &[&TestKey]) -> Metadata {
    let mut draft = draft.clone();
    for key in keys {
        draft = draft.sign(&key.public, &key.sign(draft.message())).unwrap();
    }
    Metadata::parse(draft.role(), draft.bytes().clone()).unwrap()
}

/// A file of any signed value, with signatures of these keys.
pub(crate) fn sign_value(signed: &Value, keys: &[&TestKey]) -> Bytes {
    let message = tuf::canonicalize(signed).unwrap_or_default();
    let signatures: Vec<Value> = keys
        .iter()
        .map(|key| serde_json::json!({"keyid": key.public.id().as_str(), "sig": hex::encode(key.sign(&message))}))
        .collect();
    Bytes::from(serde_json::json!({"signatures": signatures, "signed": signed}).to_string())
}

/// A repository with one key for each role, and everything that was published to it.
pub(crate) struct Repo {
    pub(crate) root: TestKey,
    pub(crate) targets: TestKey,
    pub(crate) snapshot: TestKey,
    pub(crate) timestamp: TestKey,
    pub(crate) trusted: Trusted,
    /// Every root, by version.
    pub(crate) roots: Vec<Metadata>,
    /// Every file by its name on a server.
    pub(crate) files: std::collections::BTreeMap<String, Bytes>,
}

impl Repo {
    /// A repository with an empty targets.
    pub(crate) fn new() -> Self {
        let mut repo = Self::unpublished();
        let root = sign(&repo.first_root().draft().unwrap(), &[&repo.root]);
        let targets = sign(&repo.first_targets().draft().unwrap(), &[&repo.targets]);
        repo.publish(vec![root, targets]).unwrap();
        repo
    }

    /// Keys alone.
    pub(crate) fn unpublished() -> Self {
        Self {
            root: TestKey::p256(),
            targets: TestKey::ed25519(),
            snapshot: TestKey::p256(),
            timestamp: TestKey::p256(),
            trusted: Trusted::default(),
            roots: Vec::new(),
            files: std::collections::BTreeMap::new(),
        }
    }

    pub(crate) fn online(&self) -> OnlineKeys {
        OnlineKeys {
            snapshot: self.snapshot.public.clone(),
            timestamp: self.timestamp.public.clone(),
        }
    }

    pub(crate) fn first_root(&self) -> RootContent {
        let (root, targets) = (signers(&[&self.root], 1), signers(&[&self.targets], 1));
        RootContent::first(&name(), root, targets, &self.online(), in_days(365))
    }

    pub(crate) fn first_targets(&self) -> TargetsContent {
        TargetsContent::first(&name(), Role::Targets, in_days(90))
    }

    pub(crate) fn first_delegated(&self, role: &str) -> TargetsContent {
        TargetsContent::first(&name(), self::role(role), in_days(90))
    }

    /// The root that would follow.
    pub(crate) fn next_root(&self) -> RootContent {
        let root = self.trusted.root.as_ref().unwrap();
        RootContent::following(root, in_days(365)).unwrap().unwrap()
    }

    /// The file of a role that would follow.
    pub(crate) fn next(&self, role: &str) -> TargetsContent {
        let file = self.trusted.file(&self::role(role)).unwrap();
        TargetsContent::following(file, in_days(90)).unwrap()
    }

    pub(crate) fn check(&self, files: Vec<Metadata>) -> Result<Checked, Refusal> {
        check(&self.trusted, files, &self.online(), &Limits::default(), now())
    }

    pub(crate) fn seal(unsigned: Unsigned, key: &TestKey) -> Metadata {
        let signature = key.sign(unsigned.message());
        unsigned.seal(&key.public, &signature).unwrap()
    }

    /// Does what a server does with an upload.
    pub(crate) fn publish(&mut self, files: Vec<Metadata>) -> Result<Checked, Refusal> {
        let checked = self.check(files)?;
        let snapshot = Self::seal(checked.snapshot(in_days(7)).unwrap(), &self.snapshot);
        let previous = self.trusted.timestamp.as_ref();
        let timestamp = timestamp(checked.root(), previous, &snapshot, in_days(1)).unwrap();
        let timestamp = Self::seal(timestamp, &self.timestamp);
        for file in checked.new().iter().chain([&snapshot]) {
            let name = format!("{}.{}", file.version(), file.role().file_name());
            self.files.insert(name, file.bytes().clone());
        }
        self.files
            .insert("timestamp.json".to_owned(), timestamp.bytes().clone());
        self.roots.extend(
            checked
                .new()
                .iter()
                .filter(|file| *file.role() == Role::Root)
                .cloned(),
        );
        self.trusted = Trusted {
            root: Some(checked.root().clone()),
            targets: checked.current_targets().to_vec(),
            snapshot: Some(snapshot),
            timestamp: Some(timestamp),
        };
        Ok(checked)
    }
}
