//! Repositories of a chosen size: made, published, read back and verified.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use chrono::{TimeDelta, Utc};
use openssl::sha::{Sha256, sha256};
use serde_json::json;
use tests::{
    Client,
    publisher::{Publisher, canonical, in_days},
};
use tuf::{Checksum, Document, Gun, RoleName, Severity, Version};

use crate::fault::{Fault, Result};

/// The most roots that a repository here has.
const ROOTS: u32 = 1;

/// Targets without their version. Only what follows them is hashed for each version, because a publisher that hashes a
/// large document anew takes from the server the time that is measured.
struct Template {
    text: String,
    hashed: Sha256,
}

impl Template {
    fn new(tags: usize) -> Self {
        // What docker signs of a tag.
        let entry = |tag: usize| {
            let content = format!("the manifest of tag {tag}");
            let hash = tests::publisher::hashes(content.as_bytes())["hashes"]["sha256"].clone();
            (
                format!("v{tag}"),
                json!({"hashes": {"sha256": hash}, "length": 1000 + tag}),
            )
        };
        let targets: serde_json::Map<_, _> = (0..tags).map(entry).collect();
        let signed = canonical(&json!({
            "_type": "Targets", "delegations": {"keys": {}, "roles": []}, "expires": in_days(1000),
            "targets": targets, "version": 0,
        }));
        // The version stands last in the canonical form.
        let text = signed.strip_suffix("0}").unwrap_or_default().to_owned();
        let mut hashed = Sha256::new();
        hashed.update(text.as_bytes());
        Self { text, hashed }
    }

    fn file(&self, publisher: &Publisher, version: i64) -> Vec<u8> {
        let end = format!("{version}}}");
        let mut hash = self.hashed.clone();
        hash.update(end.as_bytes());
        let signature = publisher.targets.sign_digest(&hash.finish());
        format!("{{\"signed\":{}{end},\"signatures\":[{signature}]}}", self.text).into_bytes()
    }
}

/// A repository whose one writer is this program. The server holds the snapshot key and the timestamp key, as
/// `docker trust` sets it up.
pub struct Repository {
    gun: String,
    publisher: Publisher,
    template: Template,
    /// The newest version of targets whose publish was answered.
    acknowledged: AtomicI64,
    /// The newest that was sent.
    sent: AtomicI64,
    /// The newest that was answered, as it was sent.
    newest: Mutex<Vec<u8>>,
}

/// What a server holds of a repository, verified.
pub struct Held {
    /// The path of a document, and its bytes.
    pub root: (String, Vec<u8>),
    /// The current timestamp.
    pub timestamp: (String, Vec<u8>),
    /// The current targets, under their role.
    pub targets: (String, Vec<u8>),
    /// The path of the same targets under their checksum.
    pub targets_by_checksum: String,
}

/// The path of a file of a repository.
pub fn path_of(gun: &str, file: &str) -> String {
    format!("/v2/{gun}/_trust/tuf/{file}")
}

impl Repository {
    /// Makes a repository with so many tags and publishes its first version.
    ///
    /// # Errors
    /// When the server refuses it.
    pub fn create(client: &Client, gun: &str, tags: usize) -> Result<Self> {
        let repository = Self {
            gun: gun.to_owned(),
            publisher: Publisher::new(client, gun, gun),
            template: Template::new(tags),
            acknowledged: AtomicI64::new(0),
            sent: AtomicI64::new(0),
            newest: Mutex::default(),
        };
        let root = repository.publisher.root_file(1);
        let (version, targets) = repository.next();
        let answer = client.try_publish(gun, &[("root", &root), ("targets", &targets)])?;
        if answer.status != 200 {
            return Err(Fault::new(format!("creating {gun}: {}", answer.text())));
        }
        repository.answered(version, targets);
        Ok(repository)
    }

    /// Its name.
    pub fn gun(&self) -> &str {
        &self.gun
    }

    /// The next version of its targets, to be published.
    pub fn next(&self) -> (i64, Vec<u8>) {
        let version = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        (version, self.template.file(&self.publisher, version))
    }

    /// Tells that the server has stored this version.
    pub fn answered(&self, version: i64, targets: Vec<u8>) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = targets;
        self.acknowledged.store(version, Ordering::Release);
    }

    /// After a failure it is not known what was stored: the next version is the one after what the server holds.
    pub fn failed(&self) {
        self.sent
            .store(self.acknowledged.load(Ordering::Acquire), Ordering::Release);
    }

    /// The newest version that every reader must see by now.
    pub fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// The newest version that any reader may see by now.
    pub fn sent(&self) -> i64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Reads everything back, verifies it from the root to the targets, and compares the targets with what was
    /// published last.
    ///
    /// # Errors
    /// When anything is missing or wrong.
    pub fn read_back(&self, client: &Client) -> Result<Held> {
        let wrong = |what: String| Fault::new(format!("{} reads back wrong: {what}", self.gun));
        let read = |file: &str| -> Result<Vec<u8>> {
            let path = path_of(&self.gun, file);
            let answer = client.try_request("GET", &path, &[], &[])?;
            if answer.status == 200 {
                Ok(answer.body)
            } else {
                Err(wrong(format!("{file}: status {}", answer.status)))
            }
        };
        let document = |role: RoleName, bytes: Vec<u8>| -> Result<Document> {
            let version = tuf::stated_version(&bytes, &role)?;
            Ok(Document::new(role, version, bytes))
        };
        let roots = (1..=ROOTS)
            .map(|version| document(RoleName::Root, read(&format!("{version}.root.json"))?))
            .collect::<Result<Vec<_>>>()?;
        let timestamp = document(RoleName::Timestamp, read("timestamp.json")?)?;
        let find = |role: &RoleName, checksum: &Checksum| -> Result<Option<Document>> {
            let found = read(&format!("{role}.{}.json", checksum))?;
            document(role.clone(), found).map(Some)
        };
        let gun = Gun::parse(&self.gun)?;
        let findings = tuf::audit(
            &gun,
            &roots,
            Some(&timestamp),
            find,
            Utc::now(),
            TimeDelta::zero(),
        )?;
        if let Some(finding) = findings
            .iter()
            .find(|finding| finding.severity > Severity::Harmless)
        {
            return Err(wrong(format!("{}: {}", finding.role, finding.sentence)));
        }
        let targets = read("targets.json")?;
        if targets != *self.newest.lock().unwrap_or_else(PoisonError::into_inner) {
            let version = tuf::stated_version(&targets, &RoleName::Targets).map(Version::get)?;
            return Err(wrong(format!(
                "targets of version {version}, not {} as published last",
                self.acknowledged()
            )));
        }
        let checksum = hex::encode(sha256(&targets));
        let root = roots.first().map(|root| root.bytes.to_vec()).unwrap_or_default();
        Ok(Held {
            root: (path_of(&self.gun, "1.root.json"), root),
            timestamp: (path_of(&self.gun, "timestamp.json"), timestamp.bytes.to_vec()),
            targets: (path_of(&self.gun, "targets.json"), targets),
            targets_by_checksum: path_of(&self.gun, &format!("targets.{checksum}.json")),
        })
    }
}
