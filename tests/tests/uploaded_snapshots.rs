//! A snapshot that is uploaded alone can neither lead readers to older or missing documents, nor make them ignore a
//! role. And one publish cannot use up the versions.

use serde_json::{Value, json};
use tests::{
    Client, Programs, SERVED, TestServer,
    publisher::{Key, Publisher, SnapshotKey, hashes, sign},
};

const GUN: &str = "reg/snapshots";

/// A repository whose publisher holds the snapshot key: targets version 2, and a delegation that is published.
struct World {
    server: TestServer,
    client: Client,
    publisher: Publisher,
    snapshot_key: Key,
    delegate: Key,
}

impl World {
    fn start() -> Self {
        let server = TestServer::start();
        let client = server.client("alice");
        let publisher = Publisher::new(&client, GUN, GUN).with_own_snapshot_key();
        let SnapshotKey::Own(snapshot_key) = publisher.snapshot.clone() else {
            unreachable!("the publisher holds the snapshot key")
        };
        let world = Self {
            server,
            client,
            publisher,
            snapshot_key,
            delegate: Key::generate(),
        };
        world.publish(
            1,
            &[
                ("root", world.publisher.root_file(1)),
                ("targets", world.targets(1)),
            ],
        );
        world.publish(
            2,
            &[("targets", world.targets(2)), ("targets/a", world.delegated(1))],
        );
        world
    }

    fn targets(&self, version: i64) -> Vec<u8> {
        let signed = Publisher::delegating(version, "targets/a", &self.delegate);
        sign(&signed, &[&self.publisher.targets])
    }

    fn delegated(&self, version: i64) -> Vec<u8> {
        sign(&Publisher::targets(version), &[&self.delegate])
    }

    fn current(&self, role: &str) -> Vec<u8> {
        self.client.get(&format!("/v2/{GUN}/_trust/tuf/{role}.json")).body
    }

    /// The signed part of the snapshot of the current documents and of these files.
    fn snapshot(&self, version: i64, files: &[(&str, Vec<u8>)]) -> Value {
        let mut meta = match serde_json::from_slice::<Value>(&self.current("snapshot")) {
            Ok(stored) => stored["signed"]["meta"].clone(),
            Err(_) => json!({}),
        };
        if meta.is_null() {
            meta = json!({});
        }
        for (role, file) in files {
            meta[*role] = hashes(file);
        }
        let mut signed = Publisher::snapshot(version, &[]);
        signed["meta"] = meta;
        signed
    }

    /// Publishes files with the snapshot that fits.
    fn publish(&self, version: i64, files: &[(&str, Vec<u8>)]) {
        let snapshot = sign(&self.snapshot(version, files), &[&self.snapshot_key]);
        let mut parts: Vec<(&str, &[u8])> = files.iter().map(|(role, file)| (*role, &file[..])).collect();
        parts.push(("snapshot", &snapshot));
        self.client.publish(GUN, &parts).ok();
    }

    /// Uploads only a changed snapshot, which must be refused.
    fn refused(&self, reason: &str, change: impl FnOnce(&mut Value)) {
        let mut signed = self.snapshot(3, &[]);
        change(&mut signed);
        let file = sign(&signed, &[&self.snapshot_key]);
        let answer = self.client.publish(GUN, &[("snapshot", &file)]);
        answer.rejects("ErrBadSnapshot", reason);
    }
}

#[test]
fn an_uploaded_snapshot_names_what_is_current_exactly_or_is_refused() {
    let world = World::start();
    let before = world.server.stored();
    let roles = ["root", "targets", "targets/a", "snapshot", "timestamp"];
    let served = roles.map(|role| world.current(role));
    let older = hashes(&world.targets(1));
    world.refused("sha256 checksum for targets did not match", |signed| {
        signed["meta"]["targets"] = older;
    });
    for role in ["targets", "targets/a"] {
        world.refused("did not match", |signed| {
            signed["meta"][role] = hashes(b"never stored")
        });
        world.refused(&format!("length of {role} did not match"), |signed| {
            signed["meta"][role]["length"] = json!(1);
        });
    }
    world.refused("leaves out targets/a", |signed| {
        signed["meta"].as_object_mut().unwrap().remove("targets/a");
    });
    world.refused("names a targets/b that is neither", |signed| {
        signed["meta"]["targets/b"] = hashes(b"never stored");
    });
    assert_eq!(world.server.stored(), before);
    assert_eq!(roles.map(|role| world.current(role)), served);

    // What it may do: say the same again, and name what comes with it.
    world.publish(3, &[]);
    world.publish(4, &[("targets/a", world.delegated(2))]);
    world.server.operate("check", [GUN]).ok();
}

#[test]
fn a_version_far_beyond_the_last_is_refused_for_every_role() {
    let world = World::start();
    let before = world.server.stored();
    world.refused("too far beyond 2, the last one: at most 1000", |signed| {
        signed["version"] = json!(1003);
    });
    for version in [1003, i64::from(i32::MAX)] {
        let targets = world.targets(version);
        let snapshot = sign(
            &world.snapshot(3, &[("targets", targets.clone())]),
            &[&world.snapshot_key],
        );
        let answer = world
            .client
            .publish(GUN, &[("targets", &targets), ("snapshot", &snapshot)]);
        answer.rejects("ErrBadTargets", "limits.version_step");
    }
    assert_eq!(world.server.stored(), before);
    world.publish(
        1002,
        &[
            ("targets", world.targets(1002)),
            ("targets/a", world.delegated(1001)),
        ],
    );

    // A first publish begins where it likes, within the same limit.
    let other = "reg/snapshots-first";
    let publisher = Publisher::new(&world.client, other, other);
    let first = |version| {
        let files = [
            ("root", publisher.root_file(1)),
            ("targets", publisher.targets_file(version)),
        ];
        world
            .client
            .publish(other, &files.each_ref().map(|(role, file)| (*role, &file[..])))
    };
    first(1001).rejects("ErrBadTargets", "too far beyond 0");
    first(1000).ok();
}

#[test]
fn the_version_step_is_configurable() {
    let server = TestServer::builder().set("limits.version_step", json!(2)).start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let publish = |version| client.publish(GUN, &[("targets", &publisher.targets_file(version))]);
    publish(4).rejects("ErrBadTargets", "at most 2");
    publish(3).ok();
}

#[test]
fn a_root_that_the_stored_targets_do_not_satisfy_comes_with_others() {
    let server = TestServer::start();
    let client = server.client("alice");
    let mut publisher = Publisher::new(&client, GUN, GUN);
    publisher.publish_first(&client, GUN);
    let before = server.stored();
    let mut raised = publisher.root(2);
    raised["roles"]["targets"]["threshold"] = json!(2);
    publisher.targets = Key::generate();
    for root in [publisher.root(2), raised] {
        let file = sign(&root, &[&publisher.root]);
        client
            .publish(GUN, &[("root", &file)])
            .rejects("ErrBadRoot", "are not signed as this root demands");
    }
    assert_eq!(server.stored(), before);
    let (root, targets) = (publisher.root_file(2), publisher.targets_file(2));
    client
        .publish(GUN, &[("root", &root), ("targets", &targets)])
        .ok();
    server.notary("reader").run(["list", GUN]).ok().says("v1");
}

#[test]
fn a_wrong_length_that_notary_accepted_is_reported() {
    let engine = SERVED[0];
    let mut server = TestServer::builder().of_notary(engine).start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN).with_own_snapshot_key();
    let SnapshotKey::Own(key) = &publisher.snapshot else {
        unreachable!("the publisher holds the snapshot key")
    };
    let (root, targets) = (publisher.root_file(1), publisher.targets_file(1));
    let mut snapshot = Publisher::snapshot(1, &[("root", &root), ("targets", &targets)]);
    snapshot["meta"]["targets"]["length"] = json!(1);
    let snapshot = sign(&snapshot, &[key]);
    let files = [
        ("root", &root[..]),
        ("targets", &targets),
        ("snapshot", &snapshot),
    ];
    client.publish(GUN, &files).ok();
    server.notary("reader").run(["list", GUN]).fails();
    server.change_programs(Programs::Ours);
    server
        .operate("check", [GUN])
        .fails()
        .says("targets version 1: the snapshot states a length of 1 for its");
    // Whoever has the key puts it right.
    let snapshot = sign(
        &Publisher::snapshot(2, &[("root", &root), ("targets", &targets)]),
        &[key],
    );
    client.publish(GUN, &[("snapshot", &snapshot)]).ok();
    server.operate("check", [GUN]).ok();
    server.notary("reader").run(["list", GUN]).ok().says("v1");
}

#[test]
fn a_publisher_after_a_rollback_by_notary_is_told_the_needed_version() {
    let engine = SERVED[1];
    let mut server = TestServer::builder().of_notary(engine).start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN).with_own_snapshot_key();
    let SnapshotKey::Own(key) = &publisher.snapshot else {
        unreachable!("the publisher holds the snapshot key")
    };
    let root = publisher.root_file(1);
    let publish = |version, files: &[(&str, &[u8])], targets: &[u8]| {
        let named = Publisher::snapshot(version, &[("root", &root), ("targets", targets)]);
        let snapshot = sign(&named, &[key]);
        let mut files = files.to_vec();
        files.push(("snapshot", &snapshot));
        client.publish(GUN, &files)
    };
    let targets = |version| publisher.targets_file(version);
    let (first, third) = (targets(1), targets(3));
    publish(1, &[("root", &root), ("targets", &first)], &first).ok();
    publish(2, &[("targets", &third)], &third).ok();
    publish(3, &[], &first).ok();

    server.change_programs(Programs::Ours);
    let next = targets(2);
    publish(4, &[("targets", &next)], &next).rejects("ErrBadTargets", "publish a version above 3");
    let next = targets(4);
    publish(4, &[("targets", &next)], &next).ok();
    publish(5, &[("targets", &next)], &next).refuses(400, "VERSION");
}
