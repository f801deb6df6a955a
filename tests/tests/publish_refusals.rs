//! Invalid publishes: each is refused with Notary's code, and stores nothing.

use platform::pki::{Template, Usage};
use serde_json::{Value, json};
use tests::{
    Client, TestServer,
    http::form,
    publisher::{Key, Publisher, in_days, sign},
};

/// A server with one published repository, whose snapshot key the server holds.
struct World {
    _server: TestServer,
    client: Client,
    publisher: Publisher,
}

const GUN: &str = "reg/app";

impl World {
    fn start() -> Self {
        let server = TestServer::start();
        let client = server.client("alice");
        let publisher = Publisher::new(&client, GUN, GUN);
        publisher.publish_first(&client, GUN);
        Self {
            _server: server,
            client,
            publisher,
        }
    }

    /// Publishes to the repository and expects a refusal that leaves everything as it was.
    #[track_caller]
    fn refused(&self, files: &[(&str, &[u8])], kind: &str, message: &str) {
        self.refused_by(GUN, files).rejects(kind, message);
    }

    #[track_caller]
    fn refused_by(&self, gun: &str, files: &[(&str, &[u8])]) -> tests::Response {
        let before = self.everything();
        let answer = self.client.publish(gun, files);
        assert_eq!(
            self.everything(),
            before,
            "a refused publish changed something: {}",
            answer.text()
        );
        answer
    }

    /// The state of the repository and the record of all changes.
    fn everything(&self) -> Vec<Vec<u8>> {
        let base = format!("/v2/{GUN}/_trust/tuf");
        let paths = ["root", "targets", "snapshot", "timestamp"].map(|role| format!("{base}/{role}.json"));
        let changes = "/v2/_trust/changefeed?records=0".to_owned();
        paths
            .into_iter()
            .chain([changes])
            .map(|path| self.client.get(&path).body)
            .collect()
    }
}

#[test]
fn bodies_that_are_not_forms_are_malformed() {
    let world = World::start();
    let path = format!("/v2/{GUN}/_trust/tuf/");
    let multipart = "multipart/form-data; boundary=a-boundary-for-tests";
    let whole = form(&[("targets", &world.publisher.targets_file(2))]);
    let cases: [(&str, &[u8]); 8] = [
        ("application/json", b"{}"),
        ("text/plain; boundary=b", &whole),
        ("multipart/form-data", &whole),
        ("multipart/related; boundary=a-boundary-for-tests", &whole),
        (multipart, b""),
        (multipart, b"garbage"),
        (multipart, &whole[..whole.len() / 2]),
        ("", &whole),
    ];
    let before = world.everything();
    for (kind, body) in cases {
        let headers: &[(&str, &str)] = if kind.is_empty() {
            &[]
        } else {
            &[("Content-Type", kind)]
        };
        world
            .client
            .request("POST", &path, headers, body)
            .refuses(400, "MALFORMED_UPLOAD");
    }
    assert_eq!(world.everything(), before);
    let mixed = "Multipart/MIXED; boundary=a-boundary-for-tests";
    world
        .client
        .request("POST", &path, &[("Content-Type", mixed)], &whole)
        .ok();
}

#[test]
fn parts_must_be_named_after_roles() {
    let world = World::start();
    let targets = world.publisher.targets_file(2);
    for name in ["", ".json"] {
        world
            .refused_by(GUN, &[(name, &targets)])
            .refuses(400, "NO_FILENAME");
    }
    for name in [
        "targets.json.json",
        "x/targets",
        "../targets",
        "Targets",
        "targets/",
        "targets/A",
        "mirrors",
    ] {
        let error = world
            .refused_by(GUN, &[(name, &targets)])
            .refuses(400, "INVALID_ROLE");
        assert_eq!(error["detail"], name.strip_suffix(".json").unwrap_or(name));
    }
    let long = format!("targets/{}", "a".repeat(300));
    world
        .refused_by(GUN, &[(&long, &targets)])
        .refuses(400, "INVALID_ROLE");
    world.client.publish(GUN, &[("targets.json", &targets)]).ok();
}

#[test]
fn parts_must_be_json_documents() {
    let world = World::start();
    let good = String::from_utf8(world.publisher.targets_file(2)).unwrap();
    let deep = format!(
        "{{\"signed\":{{\"x\":{}{}}},\"signatures\":[]}}",
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let cases = [
        String::new(),
        "garbage".into(),
        "[]".into(),
        "7".into(),
        r#""text""#.into(),
        r#"{"signed":7,"signatures":[]}"#.into(),
        good.replace("\"version\":2", "\"version\":2.0"),
        good.replace("\"version\":2", "\"version\":\"2\""),
        good.replace("\"version\":2", "\"version\":18446744073709551616"),
        good.replace("Z\"", "\""),
        good.replace("\"signatures\":[", "\"signatures\":7,\"x\":["),
        format!("\u{feff}{good}"),
        format!("{good}garbage"),
        good[..good.len() - 1].into(),
        deep,
    ];
    for case in cases {
        assert_ne!(case, good);
        let refused = world.refused_by(GUN, &[("targets", case.as_bytes())]);
        refused.refuses(400, "MALFORMED_JSON");
    }
}

#[test]
fn bodies_that_crash_the_reference_are_refused() {
    let world = World::start();
    for body in [
        r#"{"signatures":[{"keyid":"a","method":"ecdsa","sig":""}]}"#,
        r#"{"signed":null,"signatures":[{"keyid":"a","method":"ecdsa","sig":""}]}"#,
        "null",
        "{}",
        r#"{"signed":{},"signatures":null}"#,
    ] {
        for role in ["targets", "root", "snapshot", "targets/a"] {
            let answer = world.refused_by(GUN, &[(role, body.as_bytes())]);
            assert_eq!(answer.status, 400, "{role} {body}: {}", answer.text());
            answer.error();
        }
    }
    let mut targets = Publisher::targets(2);
    targets["delegations"]["roles"] = json!([null]);
    let file = sign(&targets, &[&world.publisher.targets]);
    assert_eq!(world.refused_by(GUN, &[("targets", &file)]).status, 400);
    // The reference dies of this one.
    world
        .client
        .get("/v2/_trust/changefeed?records=-5&change_id=0")
        .ok();
}

#[test]
fn a_first_publish_needs_a_root_and_targets() {
    let world = World::start();
    let publisher = Publisher::new(&world.client, "new/one", "new/one");
    let (root, targets) = (publisher.root_file(1), publisher.targets_file(1));
    let refused = |files: &[(&str, &[u8])]| world.refused_by("new/one", files);
    refused(&[("targets", &targets)]).rejects(
        "ErrValidation",
        "no pre-existing root and no root provided in update.",
    );
    refused(&[]).rejects(
        "ErrValidation",
        "no pre-existing root and no root provided in update.",
    );
    refused(&[("root", &root)]).rejects("ErrValidation", "targets must be loaded first");
    for version in [0, -1, 3] {
        let root = publisher.root_file(version);
        let answer = refused(&[("root", &root), ("targets", &targets)]);
        answer.rejects(
            "ErrBadRoot",
            &format!("Root modifications must increment the version. Current 1, new {version}"),
        );
    }
    world
        .client
        .get("/v2/new/one/_trust/tuf/root.json")
        .refuses(404, "METADATA_NOT_FOUND");
    world
        .client
        .publish("new/one", &[("root", &root), ("targets", &targets)])
        .ok();
}

#[test]
fn versions_must_rise() {
    let world = World::start();
    for version in [1, 0, -5] {
        let file = world.publisher.targets_file(version);
        let answer = world.refused_by(GUN, &[("targets", &file)]);
        assert_eq!(answer.status, 400, "{}", answer.text());
        if version == 1 {
            let error = answer.refuses(400, "VERSION");
            assert_eq!(error["detail"]["Name"], "ErrValidation");
        }
    }
    let root = world.publisher.root_file(1);
    world.refused_by(GUN, &[("root", &root)]).refuses(400, "VERSION");
    let root = world.publisher.root_file(3);
    world.refused(
        &[("root", &root)],
        "ErrBadRoot",
        "Root modifications must increment the version. Current 1, new 3",
    );
    world
        .client
        .publish(GUN, &[("targets", &world.publisher.targets_file(7))])
        .ok();
    let file = world.publisher.targets_file(6);
    world
        .refused_by(GUN, &[("targets", &file)])
        .refuses(400, "VERSION");
}

#[test]
fn roots_need_the_right_signatures_and_certificates() {
    let world = World::start();
    let mallory = Publisher {
        root: Key::with_certificate(GUN, 365),
        ..world.publisher.clone()
    };
    let root = mallory.root(2);
    let new_only = sign(&root, &[&mallory.root]);
    let rotated = "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates";
    world.refused(&[("root", &new_only)], "ErrBadRoot", rotated);
    let old_only = sign(&root, &[&world.publisher.root]);
    world.refused(
        &[("root", &old_only)],
        "ErrBadRoot",
        "failed to validate integrity of roots",
    );

    let unusable = "unable to retrieve valid leaf certificates";
    let certificate = |change: fn(&mut Template)| {
        let mut template = Template::new(GUN, Usage::Unrestricted, 365);
        change(&mut template);
        Key::with_template(&template)
    };
    for key in [
        certificate(|t| t.common_name = "reg/other".into()),
        certificate(|t| t.validity = (-100, -50)),
        certificate(|t| t.usage = Usage::Authority),
        Key::generate(),
    ] {
        let publisher = Publisher {
            root: key.clone(),
            ..world.publisher.clone()
        };
        let file = sign(&publisher.root(2), &[&key, &world.publisher.root]);
        world.refused(&[("root", &file)], "ErrBadRoot", unusable);
    }
    // With both signatures the same change is good.
    let both = sign(&root, &[&mallory.root, &world.publisher.root]);
    world.client.publish(GUN, &[("root", &both)]).ok();
}

#[test]
fn targets_and_delegations_need_signatures_parents_and_time() {
    let world = World::start();
    let other = Key::generate();
    let forged = sign(&Publisher::targets(2), &[&other]);
    world.refused(
        &[("targets", &forged)],
        "ErrBadTargets",
        "valid signatures did not meet threshold for targets",
    );
    let unsigned = sign(&Publisher::targets(2), &[]);
    world.refused(
        &[("targets", &unsigned)],
        "ErrBadTargets",
        "tuf: data has no signatures",
    );
    let mut expired = Publisher::targets(2);
    expired["expires"] = json!(in_days(-1));
    let expired = sign(&expired, &[&world.publisher.targets]);
    world.refused(&[("targets", &expired)], "ErrBadTargets", "targets expired at");
    let mut wrong = Publisher::targets(2);
    wrong["_type"] = json!("Snapshot");
    let wrong = sign(&wrong, &[&world.publisher.targets]);
    world.refused(
        &[("targets", &wrong)],
        "ErrBadTargets",
        "targets type metadata invalid: expected type Targets",
    );

    let delegated = sign(&Publisher::targets(1), &[&other]);
    let missing = "tuf: invalid role targets/a. delegation does not exist";
    world.refused(&[("targets/a", &delegated)], "ErrBadTargets", missing);
    let grandchild = Publisher::delegating(2, "targets/a/b", &other);
    let file = sign(&grandchild, &[&world.publisher.targets]);
    world.refused(
        &[("targets", &file)],
        "ErrBadTargets",
        "targets type metadata invalid",
    );
    let parent = sign(
        &Publisher::delegating(2, "targets/a", &other),
        &[&world.publisher.targets],
    );
    let forged = sign(&Publisher::targets(1), &[&world.publisher.targets]);
    let message = "valid signatures did not meet threshold for targets/a";
    world.refused(
        &[("targets", &parent), ("targets/a", &forged)],
        "ErrBadTargets",
        message,
    );
    world
        .client
        .publish(GUN, &[("targets/a", &delegated), ("targets", &parent)])
        .ok();
}

#[test]
fn uploaded_snapshots_must_fit_and_missing_ones_must_be_the_servers() {
    let world = World::start();
    let gun = "reg/own";
    let publisher = Publisher::new(&world.client, gun, gun).with_own_snapshot_key();
    let tests::publisher::SnapshotKey::Own(key) = &publisher.snapshot else {
        panic!("the key is ours")
    };
    let (root, targets) = (publisher.root_file(1), publisher.targets_file(1));
    let refused = |files: &[(&str, &[u8])], kind: &str, message: &str| {
        world.refused_by(gun, files).rejects(kind, message);
    };
    let missing = "no snapshot was included in update and server does not hold current snapshot key";
    let answer = world.refused_by(gun, &[("root", &root), ("targets", &targets)]);
    answer.rejects("ErrBadHierarchy", missing);
    assert_eq!(answer.error()["detail"]["Error"]["Missing"], "snapshot");

    let with = |snapshot: &Value| sign(snapshot, &[key]);
    let files: [(&str, &[u8]); 2] = [("root", &root), ("targets", &targets)];
    let send = |snapshot: &[u8], message: &str| {
        refused(
            &[files[0], files[1], ("snapshot", snapshot)],
            "ErrBadSnapshot",
            message,
        );
    };
    send(
        &sign(&Publisher::snapshot(1, &files), &[&publisher.targets]),
        "did not meet threshold for snapshot",
    );
    send(
        &with(&Publisher::snapshot(1, &[files[0], ("targets", b"other")])),
        "checksum for targets did not match",
    );
    send(
        &with(&Publisher::snapshot(1, &[files[0]])),
        "missing targets sha256 checksum information",
    );
    let mut expired = Publisher::snapshot(1, &files);
    expired["expires"] = json!(in_days(-1));
    send(&with(&expired), "snapshot expired at");
    let snapshot = with(&Publisher::snapshot(1, &files));
    world
        .client
        .publish(gun, &[files[0], files[1], ("snapshot", &snapshot)])
        .ok();
    // In another layout, which the reference cannot find again: the raw bytes count here.
    let pretty =
        serde_json::to_vec_pretty(&serde_json::from_slice::<Value>(&publisher.targets_file(2)).unwrap());
    let pretty = pretty.unwrap();
    let snapshot = with(&Publisher::snapshot(2, &[files[0], ("targets", &pretty)]));
    world
        .client
        .publish(gun, &[("targets", &pretty), ("snapshot", &snapshot)])
        .ok();
    assert_eq!(
        world.client.get("/v2/reg/own/_trust/tuf/targets.json").ok().body,
        pretty
    );
}

#[test]
fn another_layout_neither_breaks_a_repository_nor_resets_its_trust() {
    let world = World::start();
    let targets: Value = serde_json::from_slice(&world.publisher.targets_file(2)).unwrap();
    let pretty = serde_json::to_vec_pretty(&targets).unwrap();
    world.client.publish(GUN, &[("targets", &pretty)]).ok();
    assert_eq!(
        world
            .client
            .get(&format!("/v2/{GUN}/_trust/tuf/targets.json"))
            .ok()
            .body,
        pretty
    );
    let root: Value = serde_json::from_slice(&world.publisher.root_file(2)).unwrap();
    let pretty = serde_json::to_vec_pretty(&root).unwrap();
    world.client.publish(GUN, &[("root", &pretty)]).ok();
    assert_eq!(
        world
            .client
            .get(&format!("/v2/{GUN}/_trust/tuf/root.json"))
            .ok()
            .body,
        pretty
    );
    let mallory = Publisher::new(&world.client, GUN, GUN);
    for version in [1, 2, 3] {
        let (root, targets) = (mallory.root_file(version), mallory.targets_file(9));
        let answer = world.refused_by(GUN, &[("root", &root), ("targets", &targets)]);
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    world
        .client
        .publish(GUN, &[("targets", &world.publisher.targets_file(3))])
        .ok();
}

#[test]
fn the_last_of_several_parts_for_a_role_wins_and_timestamps_are_ignored() {
    let world = World::start();
    let (bad, good) = (sign(&Publisher::targets(2), &[]), world.publisher.targets_file(3));
    world.refused(
        &[("targets", &good), ("targets", &bad)],
        "ErrBadTargets",
        "no signatures",
    );
    world
        .client
        .publish(GUN, &[("targets", &bad), ("timestamp", &bad), ("targets", &good)])
        .ok();
    let targets = world
        .client
        .get(&format!("/v2/{GUN}/_trust/tuf/targets.json"))
        .json();
    assert_eq!(targets["signed"]["version"], 3);
}
