//! All documents of a repository in one request, for gates and jobs that verify all of them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering::SeqCst},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tests::{
    Client, TestServer,
    http::Response,
    publisher::{Key, Publisher, sign},
};
use tuf::{Checksum, Document, Gun, RoleName, Severity, Version};

const GUN: &str = "reg/app";
const BUNDLE: &str = "/v2/reg/app/_trust/bundle";
/// How many publishes there are beside a reader.
const PUBLISHES: i64 = 60;

/// The documents of a bundle.
struct Bundle {
    roots: Vec<Document>,
    timestamp: Document,
    others: BTreeMap<RoleName, Document>,
}

fn document(role: &str, encoded: &Value) -> Document {
    let bytes = STANDARD.decode(encoded.as_str().unwrap()).unwrap();
    let parsed: Value = serde_json::from_slice(&bytes).unwrap();
    let version = Version::new(parsed["signed"]["version"].as_i64().unwrap()).unwrap();
    Document::new(RoleName::parse(role).unwrap(), version, bytes)
}

impl Bundle {
    fn read(answer: &Response) -> Self {
        let json = answer.json();
        assert_eq!(json["gun"], GUN);
        let mut others = BTreeMap::from([(RoleName::Snapshot, document("snapshot", &json["snapshot"]))]);
        for (role, encoded) in json["targets"].as_object().unwrap() {
            others.insert(RoleName::parse(role).unwrap(), document(role, encoded));
        }
        Self {
            roots: json["roots"]
                .as_array()
                .unwrap()
                .iter()
                .map(|encoded| document("root", encoded))
                .collect(),
            timestamp: document("timestamp", &json["timestamp"]),
            others,
        }
    }

    /// Verifies it from the first root on, with nothing but what is in it.
    fn verify(&self) {
        let find = |role: &RoleName, checksum: &Checksum| {
            let found = self.others.get(role).filter(|found| found.sha256 == *checksum);
            Ok::<_, std::convert::Infallible>(found.cloned())
        };
        let (gun, timestamp) = (Gun::parse(GUN).unwrap(), Some(&self.timestamp));
        let findings = tuf::audit(&gun, &self.roots, timestamp, find, Utc::now(), TimeDelta::zero()).unwrap();
        let bad: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity >= Severity::Expired)
            .collect();
        assert!(bad.is_empty(), "{bad:?}");
    }

    fn version(&self, role: &RoleName) -> i64 {
        i64::from(self.others[role].version.get())
    }
}

fn published(server: &TestServer) -> (Client, Publisher) {
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    (alice, publisher)
}

#[test]
fn every_bundle_verifies_by_itself_while_new_versions_are_published() {
    let server = TestServer::start();
    let (alice, publisher) = published(&server);
    let reader = server.client("reader");
    let acknowledged = AtomicI64::new(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 2..=PUBLISHES {
                let targets = publisher.targets_file(version);
                // Now and then a new root.
                let root = publisher.root_file(1 + version / 10);
                let mut files = vec![("targets", targets.as_slice())];
                if version % 10 == 0 {
                    files.push(("root", &root));
                }
                alice.publish(GUN, &files).ok();
                acknowledged.store(version, SeqCst);
            }
        });
        let mut open = reader.open();
        let mut read = 0;
        loop {
            let before = acknowledged.load(SeqCst);
            let bundle = Bundle::read(&open.get(BUNDLE).ok());
            bundle.verify();
            read += 1;
            let found = bundle.version(&RoleName::Targets);
            assert!(found >= before, "version {found} after {before} was acknowledged");
            assert_eq!(i64::try_from(bundle.roots.len()).unwrap(), 1 + found / 10);
            if before == PUBLISHES {
                break;
            }
        }
        assert!(read > 10, "{read} bundles were read meanwhile");
    });
}

#[test]
fn a_bundle_has_the_delegations_that_were_published_and_leaves_out_the_others() {
    let server = TestServer::start();
    let (alice, publisher) = published(&server);
    let key = Key::generate();
    let mut targets = Publisher::delegating(2, "targets/releases", &key);
    let never = json!({"keyids": [key.id], "name": "targets/never", "paths": [""], "threshold": 1});
    targets["delegations"]["roles"]
        .as_array_mut()
        .unwrap()
        .push(never);
    let targets = sign(&targets, &[&publisher.targets]);
    let releases = sign(&Publisher::targets(1), &[&key]);
    let files = [("targets", &targets[..]), ("targets/releases", &releases)];
    alice.publish(GUN, &files).ok();
    let bundle = Bundle::read(&alice.get(BUNDLE).ok());
    bundle.verify();
    let roles: Vec<String> = bundle.others.keys().map(ToString::to_string).collect();
    assert_eq!(roles, ["targets", "targets/releases", "snapshot"]);
    let served = alice.get("/v2/reg/app/_trust/tuf/targets/releases.json").ok();
    let in_bundle = &bundle.others[&RoleName::parse("targets/releases").unwrap()];
    assert_eq!(served.body, in_bundle.bytes, "byte for byte");
}

#[test]
fn a_bundle_has_a_tag_that_changes_with_each_publish_and_a_deletion_ends_it() {
    let server = TestServer::start();
    let (alice, publisher) = published(&server);
    let tag = |answer: &Response| answer.header("etag").unwrap().to_owned();
    let first = tag(&alice.get(BUNDLE).ok());
    assert!(first.starts_with('"'), "{first} is a strong tag");
    let known = |tag: &str| alice.request("GET", BUNDLE, &[("If-None-Match", tag)], &[]);
    let unchanged = known(&first);
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    alice
        .publish(GUN, &[("targets", &publisher.targets_file(2))])
        .ok();
    let changed = known(&first).ok();
    assert_ne!(tag(&changed), first);
    let head = alice.request("HEAD", BUNDLE, &[], &[]);
    assert_eq!((head.status, tag(&head)), (200, tag(&changed)));
    alice.delete("/v2/reg/app/_trust/tuf/").ok();
    alice.get(BUNDLE).refuses(404, "METADATA_NOT_FOUND");
    known(&tag(&changed)).refuses(404, "METADATA_NOT_FOUND");
}

#[test]
fn a_bundle_with_an_expired_timestamp_is_renewed_like_the_timestamp_itself() {
    let mut server = TestServer::builder()
        .days_ago(20)
        .set("refresh", json!({"before_expiry": 0}))
        .start();
    let alice = server.client("alice");
    Publisher::since_a_month_ago(&alice, GUN).publish_first(&alice, GUN);
    let old = Bundle::read(&alice.get(BUNDLE).ok());
    server.return_to_the_present();
    let alice = server.client("alice");
    let bundle = Bundle::read(&alice.get(BUNDLE).ok());
    bundle.verify();
    assert_eq!(
        [old, bundle].map(|bundle| bundle.timestamp.version.get()),
        [1, 2],
        "the old one expired a week ago"
    );
}

#[test]
fn a_bundle_needs_the_right_to_pull() {
    let server = TestServer::builder()
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["alice"], "actions": ["*"], "guns": ["reg/**"]},
                {"effect": "allow", "principals": ["bob"], "actions": ["list", "changefeed"], "guns": ["reg/**"]},
            ]),
        )
        .start();
    let (alice, _) = published(&server);
    alice.get(BUNDLE).ok();
    for name in ["bob", "carol"] {
        let refused = server.client(name).get(BUNDLE);
        assert!([403, 404].contains(&refused.status), "{name}: {}", refused.text());
    }
    for path in [
        "/v2/reg/*/_trust/bundle",
        "/v2/_trust/bundle",
        "/v2/reg/app/_trust/bundle/",
    ] {
        assert_eq!(alice.get(path).status, 404, "{path}");
    }
    let other = alice.request("POST", BUNDLE, &[], b"{}");
    assert_eq!(other.status, 404, "{}", other.text());
}

#[test]
fn documents_that_are_too_large_for_a_bundle_are_read_one_by_one() {
    let server = TestServer::start();
    let (alice, publisher) = published(&server);
    let mut targets = Publisher::targets(2);
    let entry = targets["targets"]["v1"].clone();
    for number in 0..70_000 {
        targets["targets"][format!("tag-{number}")] = entry.clone();
    }
    let file = sign(&targets, &[&publisher.targets]);
    assert!(file.len() > 8 * 1024 * 1024, "{}", file.len());
    alice.publish(GUN, &[("targets", &file)]).ok();
    let refused = alice.get(BUNDLE).refuses(400, "TOO_LARGE");
    assert!(
        refused["message"].as_str().unwrap().contains("one by one"),
        "{refused}"
    );
    assert_eq!(alice.get("/v2/reg/app/_trust/tuf/targets.json").ok().body, file);
}
