//! The verification of stored repositories: real ones, and every way in which one can be broken.

use std::convert::Infallible;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tuf::{Document, Finding, Gun, RoleName, Severity, Version, audit};

use crate::replay;
use crate::support::{
    Certificate, Key, Repository, now, root_body, sign, snapshot_body, stored, targets_body,
};

/// The documents of one repository.
#[derive(Clone, Default)]
struct Archive {
    documents: Vec<Document>,
}

impl Archive {
    fn add(&mut self, document: Document) {
        if !self.documents.contains(&document) {
            self.documents.push(document);
        }
    }

    fn remove(&mut self, role: &str) {
        let before = self.documents.len();
        self.documents.retain(|d| d.role.as_str() != role);
        assert!(self.documents.len() < before, "there was a {role}");
    }

    fn audit(&self, gun: &Gun, now: DateTime<Utc>) -> Vec<Finding> {
        let of = |role: &RoleName| -> Vec<Document> {
            let documents = self.documents.iter();
            documents.filter(|d| d.role == *role).cloned().collect()
        };
        let timestamps = of(&RoleName::Timestamp);
        let newest = timestamps.iter().max_by_key(|timestamp| timestamp.version);
        let find = |role: &RoleName, checksum: &tuf::Checksum| {
            let found = self
                .documents
                .iter()
                .find(|d| d.role == *role && d.sha256 == *checksum);
            Ok::<_, Infallible>(found.cloned())
        };
        let soon = TimeDelta::days(7);
        audit(gun, &of(&RoleName::Root), newest, find, now, soon).unwrap()
    }
}

/// What was stored of the captured repository after `count` of its steps.
fn captured(count: usize) -> Archive {
    let mut archive = Archive::default();
    for step in &replay::STEPS[..count] {
        let current = replay::state(step);
        let one = [current.root, current.snapshot, current.timestamp];
        one.into_iter()
            .flatten()
            .chain(current.targets.into_values())
            .for_each(|document| archive.add(document));
    }
    for version in 1..=6 {
        let file = replay::metadata().join(format!("root-history.{version}.root.json"));
        let root = replay::read(&file, "root");
        let highest = archive.documents.iter().filter(|d| d.role == RoleName::Root);
        if highest.map(|d| d.version).max() >= Some(root.version) {
            archive.add(root);
        }
    }
    archive
}

/// The only finding: `severity: role version: sentence`.
#[track_caller]
fn only(findings: &[Finding]) -> String {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings[0].to_string()
}

fn published() -> (Repository, Archive) {
    let mut repository = Repository::empty();
    let parts = [
        ("root".to_owned(), repository.root_document(1)),
        ("targets".to_owned(), repository.targets_document(1, &[])),
    ];
    let documents = repository.publish(parts);
    (repository, Archive { documents })
}

/// Publishes and stores.
fn publish(repository: &mut Repository, archive: &mut Archive, parts: &[(&str, Vec<u8>)]) {
    let parts = parts
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.clone()));
    archive.documents.extend(repository.publish(parts));
}

#[test]
fn a_real_repository_is_in_order_after_each_step_of_its_life() {
    for count in 1..=replay::STEPS.len() {
        let findings = captured(count).audit(&replay::gun(), replay::then());
        assert_eq!(findings, [], "after {}", replay::STEPS[count - 1]);
    }
}

#[test]
fn what_has_expired_or_will_is_told_with_its_date() {
    let archive = captured(12);
    let in_days = |days| archive.audit(&replay::gun(), replay::then() + TimeDelta::days(days));
    let soon = only(&in_days(9));
    assert!(
        soon.starts_with("expiring: timestamp version 12: it expires at "),
        "{soon}"
    );
    let expired = only(&in_days(15));
    assert!(
        expired.starts_with("expired: timestamp version 12: it expired at "),
        "{expired}"
    );
    let later = in_days(4 * 365);
    assert!(
        later.iter().all(|f| f.severity == Severity::Expired),
        "{later:#?}"
    );
    let roles: Vec<&str> = later.iter().map(|f| f.role.as_str()).collect();
    let all = [
        "timestamp",
        "snapshot",
        "targets",
        "targets/releases",
        "targets/releases/nightly",
    ];
    assert_eq!(roles, all);
}

#[test]
fn root_certificates_that_no_reader_takes_any_more_are_told() {
    let mut repository = Repository::empty();
    let days = |to| Certificate::of(repository.gun.as_str()).days(-10, to);
    for (days, expected) in [
        (days(3), "expiring: root version 1: the certificates"),
        (days(-1), "expired: root version 1: no certificate"),
    ] {
        let mut archive = published().1;
        repository.root = repository.root.certified(&days);
        let root = stored("root", 1, repository.root_document(1));
        archive.remove("root");
        archive.add(root);
        let findings = archive.audit(&repository.gun, now());
        assert!(findings[0].to_string().starts_with(expected), "{findings:#?}");
        assert!(
            !findings.iter().any(|f| f.sentence.contains("own root keys")),
            "dates do not matter for signatures: {findings:#?}"
        );
    }
}

#[test]
fn a_gap_in_the_roots_is_told() {
    let mut archive = captured(12);
    archive
        .documents
        .retain(|d| d.role != RoleName::Root || d.version.get() != 3);
    let finding = only(&archive.audit(&replay::gun(), replay::then()));
    assert!(finding.starts_with("broken: root version 3: version 3 and everything up to version 4"));
}

#[test]
fn a_history_that_starts_late_is_harmless() {
    let mut archive = captured(12);
    archive
        .documents
        .retain(|d| d.role != RoleName::Root || d.version.get() > 3);
    let finding = only(&archive.audit(&replay::gun(), replay::then()));
    assert!(finding.starts_with("harmless: root version 4: earlier versions are not stored"));
}

#[test]
fn a_root_that_its_predecessor_did_not_sign_is_told() {
    let (mut repository, mut archive) = published();
    let stranger = Key::certificate(repository.gun.as_str());
    let roles: [&[&Key]; 4] = [
        &[&stranger],
        &[&repository.targets],
        &[&repository.snapshot],
        &[&repository.timestamp],
    ];
    let body = root_body(2, roles);
    archive.add(stored("root", 2, sign(&body, &[&stranger])));
    let findings = archive.audit(&repository.gun, now());
    assert_eq!(
        findings[0].to_string(),
        "broken: root version 2: it is not signed by enough of the root keys of version 1"
    );
    // The same with both signatures is a rotation.
    archive.documents.pop();
    let rotated = sign(&body, &[&stranger, &repository.root]);
    publish(&mut repository, &mut archive, &[("root", rotated)]);
    assert_eq!(archive.audit(&repository.gun, now()), []);
}

#[test]
fn a_root_that_lacks_its_own_signature_is_told() {
    let (repository, mut archive) = published();
    archive.remove("root");
    archive.add(stored(
        "root",
        1,
        sign(&repository.root_body(1), &[&repository.targets]),
    ));
    let findings = archive.audit(&repository.gun, now());
    assert_eq!(
        findings[0].to_string(),
        "broken: root version 1: it is not signed by enough of its own root keys"
    );
}

#[test]
fn a_root_for_another_repository_is_told() {
    let (_, archive) = published();
    let findings = archive.audit(&Gun::parse("docker.io/library/other").unwrap(), now());
    assert_eq!(findings[0].severity, Severity::Broken);
    assert!(
        findings[0]
            .sentence
            .contains("unable to retrieve valid leaf certificates")
    );
}

#[test]
fn a_newer_root_than_the_snapshot_names_is_told() {
    let (repository, mut archive) = published();
    archive.add(stored("root", 2, repository.root_document(2)));
    assert_eq!(
        only(&archive.audit(&repository.gun, now())),
        "broken: root version 2: the snapshot names version 1, although this one is newer"
    );
}

#[test]
fn documents_that_are_not_stored_are_told() {
    for (role, expected) in [
        (
            "timestamp",
            "broken: timestamp: there is no timestamp, so readers find nothing",
        ),
        (
            "snapshot",
            "broken: snapshot: the timestamp names a document that is not stored",
        ),
        (
            "targets",
            "broken: targets: the snapshot names a document that is not stored",
        ),
    ] {
        let (repository, mut archive) = published();
        archive.remove(role);
        let finding = only(&archive.audit(&repository.gun, now()));
        assert!(finding.starts_with(expected), "{finding}");
    }
    let (repository, mut archive) = published();
    archive.remove("root");
    let finding = only(&archive.audit(&repository.gun, now()));
    assert_eq!(
        finding,
        "broken: root: there is no root, so nothing can be trusted"
    );
    let nothing = Archive::default().audit(&repository.gun, now());
    assert_eq!(nothing.len(), 2, "{nothing:#?}");
}

#[test]
fn everything_that_is_wrong_is_told_and_not_only_the_first() {
    let (repository, mut archive) = published();
    archive.remove("targets");
    archive.add(stored(
        "root",
        3,
        sign(&repository.root_body(3), &[&repository.targets]),
    ));
    let findings = archive.audit(&repository.gun, now());
    let about: Vec<(&str, Option<i32>)> = findings
        .iter()
        .map(|f| (f.role.as_str(), f.version.map(Version::get)))
        .collect();
    let expected = [
        ("root", Some(2)),
        ("root", Some(3)),
        ("root", Some(3)),
        ("targets", None),
    ];
    assert_eq!(about, expected, "{findings:#?}");
}

#[test]
fn wrong_signatures_are_told_for_every_role() {
    let stranger = Key::ecdsa();
    let (repository, archive) = published();
    let resigned = |role: &str, key: &Key, archive: &Archive| {
        let found = archive
            .documents
            .iter()
            .find(|d| d.role.as_str() == role)
            .unwrap();
        let json: Value = serde_json::from_slice(&found.bytes).unwrap();
        stored(role, 1, sign(&json["signed"], &[key]))
    };
    let mut timestamp = archive.clone();
    let forged = resigned("timestamp", &stranger, &archive);
    timestamp.remove("timestamp");
    timestamp.add(forged);
    assert_eq!(
        only(&timestamp.audit(&repository.gun, now())),
        "broken: timestamp version 1: it is not signed by the keys that the root gives it: valid signatures did \
         not meet threshold for timestamp"
    );
    // A targets that is not signed by its key, under a snapshot and timestamp that name it.
    let forged = stored("targets", 1, sign(&targets_body(1, &[]), &[&stranger]));
    let documents = chain(&repository, &archive, forged);
    let finding = only(&documents.audit(&repository.gun, now()));
    assert!(
        finding.starts_with("broken: targets version 1: it is not signed"),
        "{finding}"
    );
}

/// The root of `archive` and these targets under a new snapshot and timestamp.
fn chain(repository: &Repository, archive: &Archive, targets: Document) -> Archive {
    let root = archive
        .documents
        .iter()
        .find(|d| d.role == RoleName::Root)
        .unwrap();
    let body = snapshot_body(1, &[("root", &root.bytes), ("targets", &targets.bytes)]);
    let snapshot = stored("snapshot", 1, sign(&body, &[&repository.snapshot]));
    let mut body = snapshot_body(1, &[("snapshot", &snapshot.bytes)]);
    body["_type"] = "Timestamp".into();
    let timestamp = stored("timestamp", 1, sign(&body, &[&repository.timestamp]));
    Archive {
        documents: vec![root.clone(), targets, snapshot, timestamp],
    }
}

#[test]
fn a_document_stored_under_another_version_is_told() {
    let (repository, archive) = published();
    let targets = stored("targets", 7, repository.targets_document(1, &[]));
    let finding = only(&chain(&repository, &archive, targets).audit(&repository.gun, now()));
    assert_eq!(finding, "broken: targets version 7: it says that it is version 1");
}

#[test]
fn documents_that_cannot_be_read_are_told() {
    let (repository, mut archive) = published();
    archive.remove("timestamp");
    archive.add(stored("timestamp", 1, b"{\"signed\":".to_vec()));
    let finding = only(&archive.audit(&repository.gun, now()));
    assert!(
        finding.starts_with("broken: timestamp version 1: it cannot be read"),
        "{finding}"
    );
}

#[test]
fn delegations_are_followed_and_readers_are_told_which_are_left_out() {
    let (mut repository, mut archive) = published();
    let (first, second) = (Key::ecdsa(), Key::ecdsa());
    let declare = |repository: &Repository, version, key: &Key| {
        repository.targets_document(version, &[("targets/a", &[key]), ("targets/unpublished", &[key])])
    };
    let declared = declare(&repository, 2, &first);
    publish(&mut repository, &mut archive, &[("targets", declared)]);
    let child = sign(&targets_body(1, &[]), &[&first]);
    publish(&mut repository, &mut archive, &[("targets/a", child)]);
    assert_eq!(archive.audit(&repository.gun, now()), []);

    let mut lost = archive.clone();
    lost.remove("targets/a");
    let finding = only(&lost.audit(&repository.gun, now()));
    assert!(finding.starts_with("broken: targets/a: the snapshot names a document that is not stored"));

    let declared = declare(&repository, 3, &second);
    publish(&mut repository, &mut archive, &[("targets", declared)]);
    let finding = only(&archive.audit(&repository.gun, now()));
    assert!(
        finding.starts_with("harmless: targets/a version 1: readers ignore it"),
        "{finding}"
    );

    let withdrawn = repository.targets_document(4, &[]);
    publish(&mut repository, &mut archive, &[("targets", withdrawn)]);
    let finding = only(&archive.audit(&repository.gun, now()));
    assert_eq!(
        finding,
        "harmless: targets/a: the snapshot still names it, but no role delegates to it; readers ignore it"
    );
}
