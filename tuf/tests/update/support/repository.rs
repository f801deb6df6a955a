//! A repository whose snapshot and timestamp the server signs, and shorthands around `check`.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tuf::{CheckedUpdate, Current, Document, Gun, Rejection, RoleName, SignedUpdate, Upload, Version, check};

use super::{Key, root_body, sign, targets_body};

/// When all tests take place.
pub fn now() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-22T12:00:00Z")
        .unwrap()
        .to_utc()
}

/// The keys of a repository and what is stored for it.
pub struct Repository {
    pub gun: Gun,
    pub root: Key,
    pub targets: Key,
    pub snapshot: Key,
    pub timestamp: Key,
    pub current: Current,
}

impl Repository {
    /// One that nothing was published to.
    pub fn empty() -> Self {
        let gun = "docker.io/library/app";
        Self {
            gun: Gun::parse(gun).unwrap(),
            root: Key::certificate(gun),
            targets: Key::ecdsa(),
            snapshot: Key::ecdsa(),
            timestamp: Key::ecdsa(),
            current: Current::default(),
        }
    }

    /// One with version 1 of everything.
    pub fn published() -> Self {
        let mut repository = Self::empty();
        let parts = [
            part("root", repository.root_document(1)),
            part("targets", repository.targets_document(1, &[])),
        ];
        repository.publish(parts);
        repository
    }

    /// The signed part of a root with the repository's keys.
    pub fn root_body(&self, version: i64) -> Value {
        root_body(
            version,
            [
                &[&self.root],
                &[&self.targets],
                &[&self.snapshot],
                &[&self.timestamp],
            ],
        )
    }

    pub fn root_document(&self, version: i64) -> Vec<u8> {
        sign(&self.root_body(version), &[&self.root])
    }

    pub fn targets_document(&self, version: i64, delegations: &[(&str, &[&Key])]) -> Vec<u8> {
        sign(&targets_body(version, delegations), &[&self.targets])
    }

    pub fn check(
        &self,
        parts: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<CheckedUpdate, Rejection> {
        check(&self.gun, &upload(parts), &self.current, now())
    }

    /// Signs what the server has to sign.
    pub fn seal(&self, update: CheckedUpdate) -> SignedUpdate {
        let signatures = update
            .snapshot_request()
            .map(|request| self.snapshot.sign(&request.message));
        let update = update.seal_snapshot(signatures.into_iter().collect()).unwrap();
        let signature = self.timestamp.sign(&update.timestamp_request().message);
        update.seal_timestamp(vec![signature]).unwrap()
    }

    /// Checks, signs and stores.
    pub fn publish(&mut self, parts: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<Document> {
        let signed = self.seal(self.check(parts).unwrap());
        for document in signed.documents() {
            self.store(document.clone());
        }
        signed.into_documents()
    }

    pub fn store(&mut self, document: Document) {
        match document.role {
            RoleName::Root => self.current.root = Some(document),
            RoleName::Snapshot => self.current.snapshot = Some(document),
            RoleName::Timestamp => self.current.timestamp = Some(document),
            _ => {
                self.current.targets.insert(document.role.clone(), document);
            }
        }
    }
}

pub fn part(name: &str, bytes: Vec<u8>) -> (String, Vec<u8>) {
    (name.to_owned(), bytes)
}

pub fn upload(parts: impl IntoIterator<Item = (String, Vec<u8>)>) -> Upload {
    Upload::from_parts(
        parts
            .into_iter()
            .map(|(name, bytes)| (Some(name), Bytes::from(bytes))),
    )
    .unwrap()
}

/// A stored document of this version.
pub fn stored(role: &str, version: i64, bytes: Vec<u8>) -> Document {
    Document::new(
        RoleName::parse(role).unwrap(),
        Version::new(version).unwrap(),
        bytes,
    )
}

/// The kind and text of a refusal.
pub fn rejected<T: std::fmt::Debug>(result: Result<T, Rejection>) -> (&'static str, String) {
    let rejection = result.unwrap_err();
    (rejection.kind().unwrap_or("StoredState"), rejection.to_string())
}
