//! Signing, reading, rotating and deleting.

use openssl::sha::{sha256, sha512};

use super::{GUNS, SHAPES, machine, repository, sorted};
use crate::{Notary, TestServer};

/// A publisher signs, and a reader lists, looks up and verifies.
pub fn sign_and_verify(server: &TestServer) {
    let alice = server.notary("alice");
    let bob = server.notary("bob");
    for gun in GUNS {
        alice
            .run(["init", gun, "-p"])
            .ok()
            .says("Successfully published changes for repository");
        let file = alice.file("content", "what is signed");
        let file = file.to_str().unwrap();
        alice
            .run(["add", gun, "v1.0", file])
            .ok()
            .says("staged for next publish");
        alice.run(["status", gun]).ok().says("v1.0");
        alice.run(["publish", gun]).ok();
        alice.run(["status", gun]).ok().says("No unpublished changes");

        let digest = hex::encode(sha256(b"what is signed"));
        bob.run(["list", gun])
            .ok()
            .says("v1.0")
            .says(&digest)
            .says("targets");
        bob.run(["lookup", gun, "v1.0"])
            .ok()
            .says(&format!("v1.0 sha256:{digest} 14"));
        bob.run(["lookup", gun, "v2.0"])
            .fails()
            .says("No valid trust data for v2.0");
        bob.run(["verify", gun, "v1.0", "-i", file, "-q"]).ok();
        let other = bob.file("other", "something else");
        let forged = bob.run(["verify", gun, "v1.0", "-i", other.to_str().unwrap(), "-q"]);
        forged.fails().says("data not present in the trusted collection");

        alice.run(["remove", gun, "v1.0", "-p"]).ok();
        assert!(bob.targets(gun).is_empty());
    }
    bob.run(["list", "registry.example.com/team/sub"])
        .fails()
        .says("does not have trust data");
}

/// Targets are signed by hash without their content, and custom data is kept.
pub fn add_by_hash(server: &TestServer) {
    let alice = server.notary("alice");
    for gun in GUNS {
        addhash(server, &alice, gun);
    }
}

fn addhash(server: &TestServer, alice: &Notary, gun: &str) {
    alice.run(["init", gun, "-p"]).ok();
    let (short, long) = (hex::encode(sha256(b"x")), hex::encode(sha512(b"x")));
    let custom = alice.file("custom.json", r#"{"a":"b"}"#);
    let arguments = [
        "addhash",
        gun,
        "elsewhere",
        "1",
        "--sha256",
        &short,
        "--sha512",
        &long,
        "--custom",
    ];
    alice
        .run(arguments.iter().copied().chain([custom.to_str().unwrap(), "-p"]))
        .ok();
    server
        .notary("bob")
        .run(["lookup", gun, "elsewhere"])
        .ok()
        .says(&short);
    let targets = server
        .client("bob")
        .get(&format!("/v2/{gun}/_trust/tuf/targets.json"))
        .ok()
        .json();
    assert_eq!(targets["signed"]["targets"]["elsewhere"]["custom"]["a"], "b");
}

/// Every key is rotated, and old readers follow.
pub fn rotate_every_key(server: &TestServer) {
    let alice = server.notary("alice");
    for gun in SHAPES {
        alice.run(["init", gun, "-p"]).ok();
        alice.add_and_publish(gun, "v1", "one");
        let old = machine(server, "old", gun);
        assert_eq!(old.targets(gun), ["v1"]);

        alice
            .run(["key", "rotate", gun, "snapshot", "-r"])
            .ok()
            .says("Successfully rotated snapshot key");
        alice
            .run(["key", "rotate", gun, "timestamp", "-r"])
            .ok()
            .says("Successfully rotated timestamp key");
        alice
            .run(["key", "rotate", gun, "targets"])
            .ok()
            .says("Successfully rotated targets key");
        for _ in 0..3 {
            let rotated = alice.run_with_input(["key", "rotate", gun, "root"], "yes\n");
            rotated.ok().says("Successfully rotated root key");
        }
        alice
            .run(["key", "rotate", gun, "snapshot"])
            .ok()
            .says("Successfully rotated snapshot key");
        alice.add_and_publish(gun, "v2", "two");
        alice.run(["key", "rotate", gun, "snapshot", "-r"]).ok();
        alice.add_and_publish(gun, "v3", "three");

        let expected = ["v1", "v2", "v3"];
        assert_eq!(
            sorted(old.targets(gun)),
            expected,
            "a reader several roots behind"
        );
        let fresh = machine(server, "fresh", gun);
        assert_eq!(sorted(fresh.targets(gun)), expected);
        for version in 1..=9 {
            let path = format!("/v2/{gun}/_trust/tuf/{version}.root.json");
            let root = server.client("reader").get(&path).ok().json();
            assert_eq!(root["signed"]["version"], version);
        }
    }
}

/// Deleting leaves nothing, and spares the neighbours.
pub fn delete(server: &TestServer) {
    let alice = server.notary("alice");
    let (gun, neighbours) = ("reg/app", ["reg/app-two", "reg/app/sub", "reg/ap", "Reg/app"]);
    for gun in [gun].iter().chain(&neighbours) {
        alice.run(["init", gun, "-p"]).ok();
        alice.add_and_publish(gun, "v1", "one");
    }
    alice
        .run(["delete", gun, "--remote"])
        .ok()
        .says("Successfully deleted local and remote trust data");
    let reader = server.notary("reader");
    reader
        .run(["list", gun])
        .fails()
        .says("does not have trust data for reg/app");
    for gun in neighbours {
        assert_eq!(reader.targets(gun), ["v1"], "{gun}");
    }
    alice.run(["delete", gun, "--remote"]).ok();
    alice.run(["init", gun, "-p"]).ok();
    alice.add_and_publish(gun, "v1", "again");
    assert_eq!(reader.targets(gun), ["v1"]);
}

/// Publishing nothing is no error.
pub fn publish_nothing(server: &TestServer) {
    let alice = server.notary("alice");
    for gun in SHAPES {
        repository(&alice, gun);
        alice
            .run(["publish", gun])
            .ok()
            .says("Successfully published changes");
        alice
            .run(["publish", gun])
            .ok()
            .says("Successfully published changes");
        let reader = machine(server, "reader", gun);
        assert_eq!(reader.targets(gun), ["first"]);
    }
}
