//! A publisher who signs every document by hand, so that tests can make any of them wrong.

mod keys;

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tuf::{Checksum, Gun, canonicalize};
use verifier::{
    Anchor, Denial, Documents, Freshness, ImageReference, Plan, Policy, Reason, Repository, RequestContext,
    Seen, Verdict, verify,
};

pub use keys::{Authority, Key};

pub const GUN: &str = "reg.example/app";

/// When all tests take place.
pub fn now() -> DateTime<Utc> {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

pub fn days(days: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(days)
}

/// The digest of some content.
pub fn digest(content: &str) -> Checksum {
    Checksum::of(content.as_bytes())
}

/// A delegation as its parent declares it, and its document.
#[derive(Clone)]
pub struct Delegation {
    pub declared: Vec<Key>,
    pub threshold: usize,
    pub paths: Vec<String>,
    /// `None`: never published.
    pub document: Option<Signed>,
}

/// A targets document.
#[derive(Clone)]
pub struct Signed {
    pub version: i64,
    pub expires: DateTime<Utc>,
    /// Content by tag; `None`: without hashes.
    pub targets: BTreeMap<String, Option<String>>,
    pub keys: Vec<Key>,
}

/// Everything about a repository, to be changed at will before it is [built](Self::documents).
#[derive(Clone)]
pub struct Publisher {
    pub gun: String,
    pub root: Key,
    pub timestamp_key: Key,
    pub snapshot_key: Key,
    pub targets_key: Key,
    pub roots: Vec<Bytes>,
    pub root_expires: DateTime<Utc>,
    pub timestamp: (i64, DateTime<Utc>),
    pub snapshot: (i64, DateTime<Utc>),
    pub targets: Signed,
    pub delegations: BTreeMap<String, Delegation>,
    /// Roles that the snapshot does not name although they are published.
    pub stripped: Vec<String>,
}

impl Publisher {
    /// A repository whose `targets` sign `v1` with the content `one`.
    pub fn new() -> Self {
        Self::of(GUN)
    }

    pub fn of(gun: &str) -> Self {
        let root = Key::certificate(gun);
        let targets_key = Key::ecdsa();
        let mut publisher = Self {
            gun: gun.to_owned(),
            root: root.clone(),
            timestamp_key: Key::ecdsa(),
            snapshot_key: Key::ecdsa(),
            targets: Signed::by(&targets_key, &[("v1", "one")]),
            targets_key,
            roots: Vec::new(),
            root_expires: days(3000),
            timestamp: (1, days(14)),
            snapshot: (1, days(1000)),
            delegations: BTreeMap::new(),
            stripped: Vec::new(),
        };
        publisher.add_root(&[&root]);
        publisher
    }

    /// Adds the next root, with the present keys, signed by these.
    pub fn add_root(&mut self, signers: &[&Key]) {
        let body = self.root_body();
        self.roots.push(sign(&body, signers));
    }

    pub fn root_body(&self) -> Value {
        let role = |key: &Key| json!({ "keyids": [key.id()], "threshold": 1 });
        let listed = [
            &self.root,
            &self.targets_key,
            &self.snapshot_key,
            &self.timestamp_key,
        ];
        json!({
            "_type": "Root",
            "consistent_snapshot": false,
            "expires": self.root_expires.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "keys": keys(&listed),
            "roles": {
                "root": role(&self.root),
                "targets": role(&self.targets_key),
                "snapshot": role(&self.snapshot_key),
                "timestamp": role(&self.timestamp_key),
            },
            "version": self.roots.len() + 1,
        })
    }

    /// A new root key; the root is signed by both.
    pub fn rotate_root(&mut self) {
        let old = std::mem::replace(&mut self.root, Key::certificate(&self.gun));
        let new = self.root.clone();
        self.add_root(&[&old, &new]);
        // The snapshot names the new root, and the timestamp the snapshot.
        self.snapshot.0 += 1;
        self.timestamp.0 += 1;
    }

    /// Declares a delegation for this key, and publishes it with these tags.
    pub fn delegate(&mut self, role: &str, key: &Key, targets: &[(&str, &str)]) {
        let delegation = Delegation {
            declared: vec![key.clone()],
            threshold: 1,
            paths: vec![String::new()],
            document: Some(Signed::by(key, targets)),
        };
        self.delegations.insert(role.to_owned(), delegation);
    }

    pub fn delegation(&mut self, role: &str) -> &mut Delegation {
        self.delegations.get_mut(role).unwrap()
    }

    pub fn document(&mut self, role: &str) -> &mut Signed {
        self.delegation(role).document.as_mut().unwrap()
    }

    /// Raises the versions of everything, as a publish does.
    pub fn publish(&mut self) {
        self.timestamp.0 += 1;
        self.snapshot.0 += 1;
        self.targets.version += 1;
    }

    pub fn targets_body(&self, role: &str, signed: &Signed) -> Value {
        let below: Vec<(&String, &Delegation)> = self
            .delegations
            .iter()
            .filter(|(name, _)| name.rsplit_once('/').is_some_and(|(parent, _)| parent == role))
            .collect();
        let listed: Vec<&Key> = below
            .iter()
            .flat_map(|(_, delegation)| &delegation.declared)
            .collect();
        let roles: Vec<Value> = below
            .iter()
            .map(|(name, delegation)| {
                json!({
                    "keyids": delegation.declared.iter().map(Key::id).collect::<Vec<_>>(),
                    "name": name,
                    "paths": delegation.paths,
                    "threshold": delegation.threshold,
                })
            })
            .collect();
        let target = |content: &Option<String>| match content {
            Some(content) => json!({
                "hashes": { "sha256": BASE64.encode(digest(content).as_bytes()) },
                "length": content.len(),
            }),
            None => json!({ "hashes": { "sha512": BASE64.encode([0; 64]) }, "length": 1 }),
        };
        let targets: serde_json::Map<String, Value> = signed
            .targets
            .iter()
            .map(|(tag, content)| (tag.clone(), target(content)))
            .collect();
        json!({
            "_type": "Targets",
            "delegations": { "keys": keys(&listed), "roles": roles },
            "expires": signed.expires.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "targets": targets,
            "version": signed.version,
        })
    }

    pub fn documents(&self) -> Documents {
        let mut targets = BTreeMap::new();
        let mut publish = |role: &str, signed: &Signed| {
            let bytes = sign(
                &self.targets_body(role, signed),
                &signed.keys.iter().collect::<Vec<_>>(),
            );
            targets.insert(role.to_owned(), bytes);
        };
        publish("targets", &self.targets);
        for (role, delegation) in &self.delegations {
            if let Some(document) = &delegation.document {
                publish(role, document);
            }
        }
        let mut meta = serde_json::Map::new();
        meta.insert("root".to_owned(), describe(self.roots.last().unwrap()));
        for (role, bytes) in &targets {
            if !self.stripped.contains(role) {
                meta.insert(role.clone(), describe(bytes));
            }
        }
        self.with_meta(targets, meta)
    }

    /// The documents with this snapshot.
    pub fn with_meta(
        &self,
        targets: BTreeMap<String, Bytes>,
        meta: serde_json::Map<String, Value>,
    ) -> Documents {
        let body = |type_name: &str, (version, expires): (i64, DateTime<Utc>), meta: Value| {
            json!({
                "_type": type_name,
                "expires": expires.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
                "meta": meta,
                "version": version,
            })
        };
        let snapshot = sign(
            &body("Snapshot", self.snapshot, Value::Object(meta)),
            &[&self.snapshot_key],
        );
        let named = json!({ "snapshot": describe(&snapshot) });
        Documents {
            roots: self.roots.clone(),
            timestamp: sign(&body("Timestamp", self.timestamp, named), &[&self.timestamp_key]),
            snapshot,
            targets,
        }
    }

    /// Pins the present root key.
    pub fn anchor(&self) -> Anchor {
        Anchor::root_keys([self.root.bare_id().as_str()]).unwrap()
    }

    /// A policy with this `require`, for the repositories of `reg.example`, that pins the present root key.
    pub fn policy(&self, rest: &str, signers: &str) -> Policy {
        let text = format!(
            "version: 1\nanchors: {{ a: {{ root_keys: [\"{}\"] }} }}\n{signers}\nrules:\n  - {{ match: \"reg.example/**\", \
             anchor: a{rest} }}\n",
            self.root.bare_id()
        );
        policy(&text)
    }

    pub fn verify(&self, anchor: &Anchor, seen: Option<&Seen>) -> Result<Repository, Denial> {
        verify(
            &Gun::parse(&self.gun).unwrap(),
            anchor,
            &self.documents(),
            seen,
            now(),
        )
    }

    /// What is kept after the present state was verified.
    pub fn seen(&self) -> Seen {
        self.verify(&self.anchor(), None).unwrap().seen().clone()
    }

    /// The verdict about an image, with the present root key pinned and nothing seen before.
    pub fn judge(&self, policy: &Policy, image: &str) -> Verdict {
        self.judge_at(policy, image, Freshness::just_read(), now())
    }

    pub fn judge_at(
        &self,
        policy: &Policy,
        image: &str,
        freshness: Freshness,
        now: DateTime<Utc>,
    ) -> Verdict {
        let image = ImageReference::parse(image).unwrap();
        let Plan::Check(check) = policy.plan(
            &image,
            &RequestContext {
                now,
                ..Default::default()
            },
        ) else {
            panic!("no check for {image}");
        };
        let repository = self.verify(check.anchor(), None);
        check.judge(&image, repository.as_ref(), freshness, now)
    }
}

impl Signed {
    pub fn by(key: &Key, targets: &[(&str, &str)]) -> Self {
        Self {
            version: 1,
            expires: days(1000),
            targets: targets
                .iter()
                .map(|(tag, content)| ((*tag).to_owned(), Some((*content).to_owned())))
                .collect(),
            keys: vec![key.clone()],
        }
    }

    pub fn set(&mut self, tag: &str, content: &str) {
        self.targets.insert(tag.to_owned(), Some(content.to_owned()));
    }
}

pub fn policy(text: &str) -> Policy {
    Policy::parse(text, &|file| Err(format!("{file} is not there")))
        .unwrap_or_else(|reason| panic!("{reason}\n{text}"))
}

/// A policy's `signers`: each is one key, by the ID of its bare form.
pub fn signers(of: &[(&str, &Key)]) -> String {
    let entries: Vec<String> = of
        .iter()
        .map(|(name, key)| format!("{name}: {{ keys: [\"{}\"] }}", key.bare_id()))
        .collect();
    format!("signers: {{ {} }}", entries.join(", "))
}

#[track_caller]
pub fn allowed(verdict: &Verdict, content: &str) {
    assert!(verdict.allow, "{}", verdict.sentence);
    assert_eq!(verdict.digest, Some(digest(content)));
    let pinned = verdict.pinned.as_deref().unwrap();
    assert!(
        pinned.ends_with(&format!("@sha256:{}", digest(content))),
        "{pinned}"
    );
    assert!(verdict.evidence.is_some());
}

#[track_caller]
pub fn denied(verdict: &Verdict, reason: Reason) {
    assert_eq!(verdict.reason, Some(reason), "{}", verdict.sentence);
    assert!(!verdict.allow && verdict.digest.is_none() && verdict.pinned.is_none());
    assert!(verdict.sentence.len() > 20, "{}", verdict.sentence);
}

#[track_caller]
pub fn refused(result: Result<Repository, Denial>, reason: Reason) -> String {
    match result {
        Ok(_) => panic!("accepted instead of {reason}"),
        Err(denial) => {
            assert_eq!(denial.reason, reason, "{}", denial.sentence);
            denial.sentence
        }
    }
}

/// The bytes of a document with signatures by these keys. What was signed before gets the same signatures again, as it has
/// where documents are stored.
pub fn sign(signed: &Value, keys: &[&Key]) -> Bytes {
    type Made = Mutex<HashMap<(String, Vec<String>), Bytes>>;
    static MADE: LazyLock<Made> = LazyLock::new(Mutex::default);
    let of = (signed.to_string(), keys.iter().map(|key| key.id()).collect());
    let mut made = MADE.lock().unwrap();
    let write = || {
        let message = canonicalize(signed).unwrap();
        let signatures: Vec<Value> = keys
            .iter()
            .map(|key| json!({ "keyid": key.id(), "method": "ecdsa", "sig": BASE64.encode(key.sign(&message)) }))
            .collect();
        Bytes::from(json!({ "signed": signed, "signatures": signatures }).to_string())
    };
    made.entry(of).or_insert_with(write).clone()
}

pub fn describe(bytes: &[u8]) -> Value {
    json!({
        "hashes": { "sha256": BASE64.encode(Checksum::of(bytes).as_bytes()) },
        "length": bytes.len(),
    })
}

fn keys(listed: &[&Key]) -> Value {
    let entries = listed.iter().map(|key| {
        let public = BASE64.encode(key.public.public());
        let value = json!({ "keytype": key.public.key_type().as_str(), "keyval": { "private": null, "public": public } });
        (key.id(), value)
    });
    Value::Object(entries.collect())
}
