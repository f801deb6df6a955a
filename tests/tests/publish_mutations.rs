//! Publishes with every mutation of every field of every document. Harmless mutations are listed here with the reason;
//! all others are refused, and leave nothing behind.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::{
    Client, Response, TestServer,
    mutation::mutations,
    publisher::{Key, Publisher, SnapshotKey, sign},
};

/// The repository of every publish, which is deleted after each one that is accepted.
const GUN: &str = "m/0";
const ROLES: [&str; 4] = ["root", "targets", "targets/a", "snapshot"];

/// Where (`*` is any one step, `|` stands between alternatives for one), which mutations (none means all),
/// and why nothing is wrong with them.
type Harmless = (&'static str, &'static [&'static str], &'static str);

/// Of documents that are not signed anew.
#[rustfmt::skip]
const HARMLESS_UNSIGNED: [Harmless; 3] = [
    ("*", &["extended"], "unknown members outside of the signed part are ignored"),
    ("*.signatures", &["doubled"], "a key counts once, however often it signs"),
    ("*.signatures.0", &["extended"], "unknown members of a signature are ignored"),
];

const NUMBERS: &[&str] = &["removed", "null", "raised", "zero", "negative", "huge"];

/// Of documents that are signed anew, with a snapshot that fits.
#[rustfmt::skip]
const HARMLESS_SIGNED: [Harmless; 26] = [
    // Unknown members are signed like all others, and ignored.
    ("*.signed", &["extended"], "unknown member"),
    ("root.signed.keys|roles.*", &["extended"], "unknown member"),
    ("root.signed.keys.*.keyval", &["extended"], "unknown member"),
    ("targets|targets/a.signed.delegations", &["extended"], "unknown member"),
    ("targets.signed.delegations.keys|roles.*", &["extended"], "unknown member"),
    ("targets.signed.delegations.keys.*.keyval", &["extended"], "unknown member"),
    ("snapshot.signed.meta.*", &["extended"], "unknown member"),
    ("snapshot.signed.meta.*.hashes", &["extended"], "a hash of another kind"),

    ("root.signed.version", &["raised"], "a first root may have version 2"),
    ("targets|targets/a|snapshot.signed.version", &["raised"], "these versions may jump"),
    ("root.signed.consistent_snapshot", &["removed", "null", "negated"], "makes no difference"),
    ("root.signed.keys.root.keytype", &["removed", "null", "empty", "altered", "longer"], "the certificate says it"),
    ("root.signed.keys.*.keyval.private", &["removed", "text"], "kept as it is, never used"),
    ("targets.signed.delegations.keys.*.keyval.private", &["removed", "text"], "kept as it is, never used"),
    ("root.signed.roles.*.keyids", &["doubled"], "a key counts once, however often it is listed"),
    ("targets.signed.delegations.roles.0.keyids", &["doubled"], "a key counts once, however often it is listed"),
    ("targets/a.signed.delegations", &["removed", "null", "emptied"], "it delegates to nobody either way"),
    ("targets/a.signed.delegations.*", &["removed", "null"], "it delegates to nobody either way"),

    // What is signed is the publisher's business, and paths bind clients alone.
    ("targets|targets/a.signed.targets", &["removed", "null", "emptied"], "not looked at"),
    ("targets|targets/a.signed.targets.v1", &["removed", "emptied", "extended"], "not looked at"),
    ("targets|targets/a.signed.targets.v1.hashes", &["removed", "null", "emptied", "extended"], "not looked at"),
    ("targets|targets/a.signed.targets.v1.hashes.*", &["removed", "empty", "altered"], "not looked at"),
    ("targets|targets/a.signed.targets.v1.length", NUMBERS, "not looked at"),
    ("targets.signed.delegations.roles.0.paths", &["removed", "null", "emptied", "doubled"], "not looked at"),
    ("targets.signed.delegations.roles.0.paths.0", &["removed", "longer"], "not looked at"),

    ("snapshot.signed.meta.*.hashes.sha512", &["removed"], "the SHA-256 is enough"),
];

/// The documents of a first publish, as their publisher has them.
struct World {
    server: TestServer,
    client: Client,
    signers: BTreeMap<&'static str, Key>,
    names: BTreeMap<String, &'static str>,
    documents: BTreeMap<&'static str, Value>,
}

/// One publish with one mutation.
struct Case {
    role: &'static str,
    path: String,
    kind: &'static str,
    file: Vec<u8>,
}

impl World {
    fn start() -> Self {
        let server = TestServer::start();
        let client = server.client("alice");
        let publisher = Publisher::new(&client, GUN, GUN).with_own_snapshot_key();
        let SnapshotKey::Own(snapshot) = publisher.snapshot.clone() else {
            unreachable!("the publisher holds the snapshot key")
        };
        let delegate = Key::generate();
        let names = [
            (&publisher.root.id, "root"),
            (&publisher.targets.id, "targets"),
            (&snapshot.id, "snapshot"),
            (&tests::publisher::key_id(&publisher.timestamp), "timestamp"),
            (&delegate.id, "delegate"),
        ];
        let names = names.map(|(id, name)| (format!(".{id}"), name)).into();
        let signed = [
            ("root", publisher.root(1)),
            ("targets", Publisher::delegating(1, "targets/a", &delegate)),
            ("targets/a", Publisher::targets(1)),
        ];
        let signers = BTreeMap::from([
            ("root", publisher.root.clone()),
            ("targets", publisher.targets.clone()),
            ("targets/a", delegate),
            ("snapshot", snapshot),
        ]);
        let mut world = Self {
            server,
            client,
            signers,
            names,
            documents: BTreeMap::new(),
        };
        for (role, signed) in signed {
            let file = world.sign(role, &signed);
            world
                .documents
                .insert(role, serde_json::from_slice(&file).unwrap());
        }
        let snapshot = world.fitting_snapshot(&BTreeMap::new());
        world
            .documents
            .insert("snapshot", serde_json::from_slice(&snapshot).unwrap());
        world
    }

    fn sign(&self, role: &str, signed: &Value) -> Vec<u8> {
        sign(signed, &[&self.signers[role]])
    }

    fn file(&self, role: &str, changed: &BTreeMap<&str, Vec<u8>>) -> Vec<u8> {
        let unchanged = || self.documents[role].to_string().into_bytes();
        changed.get(role).cloned().unwrap_or_else(unchanged)
    }

    fn fitting_snapshot(&self, changed: &BTreeMap<&str, Vec<u8>>) -> Vec<u8> {
        let files = ["root", "targets", "targets/a"].map(|role| (role, self.file(role, changed)));
        let files = files.each_ref().map(|(role, file)| (*role, file.as_slice()));
        self.sign("snapshot", &Publisher::snapshot(1, &files))
    }

    /// Publishes, and deletes the repository after checking it if the publish was accepted.
    fn publish(&self, case: &Case) -> Response {
        let mut changed = BTreeMap::from([(case.role, case.file.clone())]);
        if case.role != "snapshot" {
            changed.insert("snapshot", self.fitting_snapshot(&changed));
        }
        let files = ROLES.map(|role| (role, self.file(role, &changed)));
        let files = files.each_ref().map(|(role, file)| (*role, file.as_slice()));
        let response = self.client.publish(GUN, &files);
        if response.status == 200 {
            let served = |role: &str| {
                self.client
                    .get(&format!("/v2/{GUN}/_trust/tuf/{role}.json"))
                    .ok()
                    .body
            };
            for (role, file) in files {
                assert!(
                    served(role) == file,
                    "{} {}: another {role} is served",
                    case.path,
                    case.kind
                );
            }
            served("timestamp");
            self.client.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
        }
        response
    }

    /// The path with names for key ids.
    fn readable(&self, role: &str, path: &str) -> String {
        let dot = if path.is_empty() { "" } else { "." };
        let mut readable = format!("{role}{dot}{path}");
        for (id, name) in &self.names {
            readable = readable.replace(id, &format!(".{name}"));
        }
        readable
    }

    /// Publishes every case and compares the outcome with the list of harmless changes.
    fn check(&self, cases: &[Case], harmless: &[Harmless]) {
        let (mut wrong, mut used, mut taken) = (Vec::new(), BTreeSet::new(), 0);
        for case in cases {
            let response = self.publish(case);
            let rule = harmless
                .iter()
                .position(|(path, kinds, _)| covers(path, kinds, &case.path, case.kind));
            used.extend(rule);
            match (response.status, rule) {
                (200, Some(_)) => taken += 1,
                (400, None) => check_error(case, &response),
                _ => wrong.push(format!("{} {}: {}", case.path, case.kind, describe(&response))),
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {}:\n{}",
            wrong.len(),
            cases.len(),
            wrong.join("\n")
        );
        let rules = harmless.iter().enumerate();
        let idle: Vec<&str> = rules
            .filter(|(index, _)| !used.contains(index))
            .map(|(_, (path, _, _))| *path)
            .collect();
        assert!(idle.is_empty(), "rules without a case: {idle:?}");
        self.check_stored(taken);
        println!("{} mutations, {taken} of them harmless", cases.len());
    }

    /// Refused publishes have left neither documents nor changes, so the next first publish succeeds.
    fn check_stored(&self, taken: usize) {
        assert_eq!(self.server.stored(), []);
        let changes = self.client.get("/v2/_trust/changefeed?records=10000").ok().json();
        let changes = changes["records"].as_array().unwrap();
        let updates = changes.iter().filter(|change| change["Category"] == "update");
        assert_eq!(updates.count(), taken);
    }
}

fn covers(pattern: &str, kinds: &[&str], path: &str, kind: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), path.split('.').collect());
    pattern.len() == path.len()
        && pattern
            .iter()
            .zip(&path)
            .all(|(step, found)| *step == "*" || step.split('|').any(|step| step == *found))
        && (kinds.is_empty() || kinds.contains(&kind))
}

/// A refusal has a code and says what is wrong.
fn check_error(case: &Case, response: &Response) {
    let error = response.error();
    let what = format!("{} {}: {error}", case.path, case.kind);
    assert!(
        ["MALFORMED_JSON", "INVALID_UPDATE"].contains(&error["code"].as_str().unwrap()),
        "{what}"
    );
    let kind = error["detail"]["Name"].as_str().unwrap_or_default();
    let kinds = ["ErrBadRoot", "ErrBadTargets", "ErrBadSnapshot", "ErrValidation"];
    assert!(kinds.contains(&kind), "{what}");
    assert_ne!(
        error["detail"]["Error"]["Msg"].as_str().unwrap_or_default(),
        "",
        "{what}"
    );
}

fn describe(response: &Response) -> String {
    format!("{} {}", response.status, response.text().trim())
}

#[test]
fn a_field_changed_after_signing_is_refused_or_listed_as_harmless() {
    let world = World::start();
    let mut cases = Vec::new();
    for role in ROLES {
        cases.extend(
            mutations(&world.documents[role])
                .into_iter()
                .map(|mutation| Case {
                    role,
                    path: world.readable(role, &mutation.path),
                    kind: mutation.kind,
                    file: mutation.document.to_string().into_bytes(),
                }),
        );
    }
    world.check(&cases, &HARMLESS_UNSIGNED);
}

#[test]
fn a_field_signed_wrong_is_refused_or_listed_as_harmless() {
    let world = World::start();
    let mut cases = Vec::new();
    for role in ROLES {
        let inside = mutations(&world.documents[role]).into_iter().filter(|mutation| {
            mutation.path.starts_with("signed") && mutation.document["signed"].is_object()
        });
        cases.extend(inside.map(|mutation| Case {
            role,
            path: world.readable(role, &mutation.path),
            kind: mutation.kind,
            file: world.sign(role, &mutation.document["signed"]),
        }));
    }
    world.check(&cases, &HARMLESS_SIGNED);
}
