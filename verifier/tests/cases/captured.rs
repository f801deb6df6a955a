//! A real repository, captured from Notary's own server step by step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tuf::Gun;
use verifier::{
    Anchor, Documents, Freshness, ImageReference, Plan, Policy, Reason, RequestContext, Seen, Verdict, verify,
};

const GUN: &str = "example.com/acme/app";

/// The steps, and the version of the root after each.
const STEPS: [(&str, usize); 12] = [
    ("01-after-init", 1),
    ("02-after-two-targets", 1),
    ("03-after-snapshot-rotated-to-server", 2),
    ("04-after-delegation-add", 2),
    ("05-after-delegation-publish", 2),
    ("06-after-nested-delegation", 2),
    ("07-after-nested-publish", 2),
    ("08-after-timestamp-rotate", 3),
    ("09-after-targets-rotate", 4),
    ("10-after-root-rotate", 5),
    ("11-after-snapshot-rotated-to-client", 6),
    ("12-final", 6),
];

fn metadata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/notary/metadata")
}

fn then() -> DateTime<Utc> {
    "2026-11-21T23:10:00Z".parse().unwrap()
}

fn read(file: &Path) -> Bytes {
    std::fs::read(file).unwrap().into()
}

fn documents(step: &str, roots: usize) -> Documents {
    let mut documents = Documents {
        roots: (1..=roots)
            .map(|version| read(&metadata().join(format!("root-history.{version}.root.json"))))
            .collect(),
        ..Documents::default()
    };
    let mut targets = BTreeMap::new();
    for entry in std::fs::read_dir(metadata().join(step)).unwrap() {
        let file = entry.unwrap().path();
        match file.file_stem().unwrap().to_str().unwrap() {
            "root" => assert_eq!(documents.roots.last(), Some(&read(&file)), "{step}"),
            "timestamp" => documents.timestamp = read(&file),
            "snapshot" => documents.snapshot = read(&file),
            role => drop(targets.insert(role.replace('_', "/"), read(&file))),
        }
    }
    documents.targets = targets;
    documents
}

fn gun() -> Gun {
    Gun::parse(GUN).unwrap()
}

/// The pin that an operator wrote down when the repository was made.
fn anchor() -> Anchor {
    let first = tuf::VerifiedRoot::read(&gun(), &read(&metadata().join("root-history.1.root.json"))).unwrap();
    let key = first.signers()[0].bare().unwrap();
    Anchor::root_keys([key.id().as_str()]).unwrap()
}

fn judge(documents: &Documents, image: &str, at: DateTime<Utc>) -> Verdict {
    let image = ImageReference::parse(image).unwrap();
    let policy = Policy::ad_hoc(anchor());
    let Plan::Check(check) = policy.plan(&image, &RequestContext::default()) else {
        panic!("there is a rule");
    };
    let repository = verify(image.gun(), check.anchor(), documents, None, at);
    check.judge(&image, repository.as_ref(), Freshness::just_read(), at)
}

#[test]
fn the_whole_life_is_followed_from_what_was_seen_at_each_step() {
    let mut seen: Option<Seen> = None;
    for (step, roots) in STEPS {
        let documents = documents(step, roots);
        let first_contact = verify(&gun(), &anchor(), &documents, None, then());
        first_contact.unwrap_or_else(|reason| panic!("{step}: {reason}"));
        let repository = verify(&gun(), &anchor(), &documents, seen.as_ref(), then());
        let repository = repository.unwrap_or_else(|reason| panic!("{step}: {reason}"));
        assert_eq!(repository.root_version(), i32::try_from(roots).unwrap());
        seen = Some(repository.seen().clone());
    }
    for (step, roots) in &STEPS[..11] {
        let older = verify(&gun(), &anchor(), &documents(step, *roots), seen.as_ref(), then());
        assert!(older.is_err(), "{step}");
    }
}

#[test]
fn tags_of_targets_and_of_releases_are_allowed_and_those_below_are_not() {
    let documents = documents("07-after-nested-publish", 2);
    for (tag, reason) in [
        ("v1", None),
        ("v2", None),
        ("v3", None),
        ("v4", Some(Reason::TagNotSigned)),
        ("latest", Some(Reason::TagNotSigned)),
    ] {
        let verdict = judge(&documents, &format!("{GUN}:{tag}"), then());
        assert_eq!(verdict.reason, reason, "{tag}: {}", verdict.sentence);
        assert_eq!(verdict.allow, reason.is_none());
    }
    let late = judge(&documents, &format!("{GUN}:v1"), then() + TimeDelta::days(30));
    assert_eq!(late.reason, Some(Reason::Expired), "{}", late.sentence);
    assert!(late.sentence.contains("timestamp"), "{}", late.sentence);
}
