//! A root may name only snapshot and timestamp keys that are its publisher's, or that the signer made for this
//! repository and role. With a key of another repository a publisher could keep the owner of that repository from ever
//! publishing again. And one private key counts once, in however many forms a root lists it.

use serde_json::{Value, json};
use tests::{
    Client, Programs, SERVED, TestServer, Whose,
    publisher::{Key, Publisher, SnapshotKey, sign},
};

const VICTIM: &str = "alice/app";
const GUN: &str = "bob/app";

/// The key that a repository's root names for a role.
fn named(client: &Client, gun: &str, role: &str) -> Value {
    let root = client.get(&format!("/v2/{gun}/_trust/tuf/root.json")).ok().json();
    let id = root["signed"]["roles"][role]["keyids"][0].as_str().unwrap();
    root["signed"]["keys"][id].clone()
}

fn with_keys(publisher: &Publisher, snapshot: &Value, timestamp: &Value) -> Publisher {
    let mut publisher = publisher.clone();
    publisher.snapshot = SnapshotKey::Servers(snapshot.clone());
    publisher.timestamp = timestamp.clone();
    publisher
}

/// Tries every wrong key in a first and in a later root. `publisher` has the right ones for [`GUN`].
fn attack(server: &TestServer) {
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    let victim = Publisher::new(&alice, VICTIM, VICTIM);
    victim.publish_first(&alice, VICTIM);
    let (snapshot, timestamp) = (named(&bob, VICTIM, "snapshot"), named(&bob, VICTIM, "timestamp"));
    // Keys of the victim's that no root names yet count as well: they are anybody's to ask for.
    let path = format!("/v2/{VICTIM}/_trust/tuf/snapshot.key");
    let waiting = bob.request("POST", &path, &[], &[]).ok().json();
    let publisher = Publisher::new(&bob, GUN, "bob/*");
    let SnapshotKey::Servers(own_snapshot) = publisher.snapshot.clone() else {
        unreachable!("the server holds the snapshot key")
    };
    let own_timestamp = publisher.timestamp.clone();
    let wrong = [
        (&snapshot, &own_timestamp, "snapshot"),
        (&waiting, &own_timestamp, "snapshot"),
        (&own_snapshot, &timestamp, "timestamp"),
        (&own_timestamp, &own_timestamp, "snapshot"),
        (&own_snapshot, &own_snapshot, "timestamp"),
        (&timestamp, &snapshot, "snapshot"),
    ];
    let before = server.stored();
    for (snapshot, timestamp, role) in wrong {
        let bad = with_keys(&publisher, snapshot, timestamp);
        let (root, targets) = (bad.root_file(1), bad.targets_file(1));
        let answer = bob.publish(GUN, &[("root", &root), ("targets", &targets)]);
        let expected = format!("the {role} key ");
        answer.rejects("ErrBadRoot", &expected);
        answer.rejects("ErrBadRoot", "notary init bob/app");
    }
    assert_eq!(server.stored(), before);

    publisher.publish_first(&bob, GUN);
    let before = server.stored();
    for (snapshot, timestamp, role) in wrong {
        let bad = with_keys(&publisher, snapshot, timestamp);
        let answer = bob.publish(
            GUN,
            &[("root", &bad.root_file(2)), ("targets", &bad.targets_file(2))],
        );
        answer.rejects("ErrBadRoot", &format!("notary key rotate {GUN} {role} -r"));
    }
    // Beside the right key it is no better: the signer would sign with both.
    let mut both = publisher.root(2);
    let id = tests::publisher::key_id(&snapshot);
    both["keys"][&id] = snapshot.clone();
    both["roles"]["snapshot"]["keyids"]
        .as_array_mut()
        .unwrap()
        .push(json!(id));
    let file = sign(&both, &[&publisher.root]);
    bob.publish(GUN, &[("root", &file)])
        .rejects("ErrBadRoot", "was made for another repository");
    assert_eq!(server.stored(), before);

    // A key that the publisher holds is anybody's to choose, and the server's own go on and are rotated.
    let own = publisher.clone().with_own_snapshot_key();
    let SnapshotKey::Own(key) = &own.snapshot else {
        unreachable!()
    };
    let (root, targets) = (own.root_file(2), own.targets_file(2));
    let snapshot = Publisher::snapshot(2, &[("root", &root), ("targets", &targets)]);
    let snapshot = sign(&snapshot, &[key]);
    bob.publish(
        GUN,
        &[("root", &root), ("targets", &targets), ("snapshot", &snapshot)],
    )
    .ok();
    let key = |role: &str| {
        let path = format!("/v2/{GUN}/_trust/tuf/{role}.key");
        bob.request("POST", &path, &[], &[]).ok().json()
    };
    let rotated = with_keys(&publisher, &key("snapshot"), &key("timestamp"));
    bob.publish(GUN, &[("root", &rotated.root_file(3))]).ok();
    assert_eq!(named(&bob, GUN, "snapshot")["keyval"], key_of(&rotated)["keyval"]);

    // Nobody has touched the victim.
    alice
        .publish(VICTIM, &[("targets", &victim.targets_file(2))])
        .ok();
    server.operate("check", ["--all"]).ok();
}

fn key_of(publisher: &Publisher) -> Value {
    match &publisher.snapshot {
        SnapshotKey::Servers(key) => key.clone(),
        SnapshotKey::Own(key) => key.public.clone(),
    }
}

#[test]
fn a_root_names_no_key_that_the_signer_made_for_somebody_or_something_else() {
    attack(&TestServer::start());
}

#[test]
fn nor_with_keys_in_the_servers_own_process() {
    let server = TestServer::builder().signs_locally().start();
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    Publisher::new(&alice, VICTIM, VICTIM).publish_first(&alice, VICTIM);
    let publisher = Publisher::new(&bob, GUN, GUN);
    let bad = with_keys(&publisher, &named(&bob, VICTIM, "snapshot"), &publisher.timestamp);
    bob.publish(
        GUN,
        &[("root", &bad.root_file(1)), ("targets", &bad.targets_file(1))],
    )
    .rejects("ErrBadRoot", "was made for another repository");
    publisher.publish_first(&bob, GUN);
}

#[test]
fn nor_where_a_notary_signer_does_not_say_whose_its_keys_are() {
    for engine in SERVED {
        let databases = engine.databases();
        databases.load(Whose::Signer, &format!("signer-{}.sql", engine.name()));
        let server = TestServer::builder()
            .databases(databases)
            .signer_programs(Programs::Notarys)
            .start();
        attack(&server);

        // Nor where nobody remembers what was handed out: a key that has signed is not ours to tell whose it is, and
        // one that waits is given again to whoever asks for the same.
        let client = server.client("carol");
        let gun = "carol/app";
        let publisher = Publisher::new(&client, gun, gun);
        server.execute(Whose::Server, "DELETE FROM server_keys");
        for role in ["snapshot", "timestamp"] {
            let mut bad = publisher.clone();
            match role {
                "snapshot" => bad.snapshot = SnapshotKey::Servers(named(&client, VICTIM, role)),
                _ => bad.timestamp = named(&client, VICTIM, role),
            }
            client
                .publish(
                    gun,
                    &[("root", &bad.root_file(1)), ("targets", &bad.targets_file(1))],
                )
                .rejects("ErrBadRoot", &format!("the {role} key "));
        }
        publisher.publish_first(&client, gun);
    }
}

#[test]
fn where_a_notary_server_took_such_a_root_the_repository_goes_on_and_is_reported() {
    for engine in SERVED {
        let mut server = TestServer::builder().of_notary(engine).start();
        let (alice, bob) = (server.client("alice"), server.client("bob"));
        let victim = Publisher::new(&alice, VICTIM, VICTIM);
        victim.publish_first(&alice, VICTIM);
        let publisher = Publisher::new(&bob, GUN, GUN);
        let bad = with_keys(&publisher, &named(&bob, VICTIM, "snapshot"), &publisher.timestamp);
        bad.publish_first(&bob, GUN);

        server.change_programs(Programs::Ours);
        server
            .operate("check", ["--all"])
            .fails()
            .says(&format!(
                "{GUN}: its root names a snapshot key that was made for another repository"
            ))
            .says(&format!("notary key rotate {GUN} snapshot -r"))
            .does_not_say(&format!("{VICTIM}: its root names"));
        bob.publish(GUN, &[("targets", &bad.targets_file(2))]).ok();
        // A further root may keep the key, too, and others may not take it up.
        bob.publish(GUN, &[("root", &bad.root_file(2))]).ok();
        let third = "carol/app";
        let carol = Publisher::new(&bob, third, third);
        let bad = with_keys(&carol, &named(&bob, VICTIM, "snapshot"), &carol.timestamp);
        bob.publish(
            third,
            &[("root", &bad.root_file(1)), ("targets", &bad.targets_file(1))],
        )
        .rejects("ErrBadRoot", "was made for another repository");

        let path = format!("/v2/{GUN}/_trust/tuf/snapshot.key");
        let right = bob.request("POST", &path, &[], &[]).ok().json();
        let rotated = with_keys(&publisher, &right, &publisher.timestamp);
        bob.publish(GUN, &[("root", &rotated.root_file(3))]).ok();
        server.operate("check", ["--all"]).ok();
    }
}

/// A root whose targets need three signatures, which one private key in three forms can give.
fn counted_three_times(publisher: &Publisher, gun: &str, version: i64) -> (Vec<u8>, [Key; 3]) {
    let bare = publisher.targets.clone();
    let forms = [
        bare.clone(),
        bare.in_a_certificate(gun),
        bare.in_a_certificate(gun),
    ];
    let mut root = publisher.root(version);
    for form in &forms {
        root["keys"][&form.id] = form.public.clone();
    }
    let ids = forms.each_ref().map(|form| form.id.clone());
    root["roles"]["targets"] = json!({"keyids": ids, "threshold": 3});
    (sign(&root, &[&publisher.root]), forms)
}

#[test]
fn one_private_key_counts_once_towards_a_threshold() {
    let server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, GUN, GUN);
    let (root, [bare, one, other]) = counted_three_times(&publisher, GUN, 1);
    let targets = sign(&Publisher::targets(1), &[&bare, &one, &other]);
    client
        .publish(GUN, &[("root", &root), ("targets", &targets)])
        .rejects("ErrBadRoot", "are one private key, which counts once");
    assert_eq!(server.stored(), []);
    publisher.publish_first(&client, GUN);
}

#[test]
fn where_a_notary_server_counted_it_three_times_the_repository_goes_on_and_is_reported() {
    for engine in SERVED {
        let mut server = TestServer::builder().of_notary(engine).start();
        let client = server.client("alice");
        let publisher = Publisher::new(&client, GUN, GUN);
        let (root, forms) = counted_three_times(&publisher, GUN, 1);
        let all = forms.each_ref();
        let targets = |version| sign(&Publisher::targets(version), &all);
        client
            .publish(GUN, &[("root", &root), ("targets", &targets(1))])
            .ok();

        server.change_programs(Programs::Ours);
        server.operate("check", [GUN]).ok().says(&format!(
            "weak: {GUN}: root version 1: targets: its threshold can be met only because"
        ));
        client.publish(GUN, &[("targets", &targets(2))]).ok();
        // Two signatures of the three were too few before, and are.
        let two = sign(&Publisher::targets(3), &[&forms[0], &forms[1]]);
        client
            .publish(GUN, &[("targets", &two)])
            .rejects("ErrBadTargets", "did not meet threshold");
        let next = publisher.root_file(2);
        client
            .publish(GUN, &[("root", &next), ("targets", &targets(3))])
            .ok();
        server.operate("check", [GUN]).ok().does_not_say("weak");
    }
}

#[test]
fn an_import_brings_no_key_of_another_repository() {
    let server = TestServer::start();
    let alice = server.client("alice");
    Publisher::new(&alice, VICTIM, VICTIM).publish_first(&alice, VICTIM);
    let timestamp = named(&alice, VICTIM, "timestamp");

    // Another server, whose signer does not have the key, takes it for the publisher's.
    let elsewhere = TestServer::start();
    let bob = elsewhere.client("bob");
    let publisher = Publisher::new(&bob, GUN, GUN);
    let mut root = publisher.root(1);
    let id = tests::publisher::key_id(&timestamp);
    root["keys"][&id] = timestamp;
    root["roles"]["timestamp"]["keyids"]
        .as_array_mut()
        .unwrap()
        .push(json!(id));
    let root = sign(&root, &[&publisher.root]);
    let targets = publisher.targets_file(1);
    bob.publish(GUN, &[("root", &root), ("targets", &targets)]).ok();
    let file = elsewhere.path().join("exported.jsonl");
    let file = file.to_str().unwrap();
    elsewhere.operate("export", ["--out", file, GUN]).ok();

    let before = server.stored();
    server.operate("import", [file]).fails().says(&format!(
        "names the timestamp key {id}, which the signer made for another"
    ));
    assert_eq!(server.stored(), before);
}
