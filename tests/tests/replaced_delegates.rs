//! An owner gives a delegate a new key: the delegate publishes with it, using the stock client, which starts at version
//! 1 because it cannot verify what the old key signed. Readers who have seen those documents can go on reading.

use serde_json::{Value, json};
use tests::{
    Notary, Programs, SERVED, TestServer, Whose,
    openssl_files::certificate,
    publisher::{Key, Publisher, hashes, sign},
};

const GUN: &str = "reg/replaced";
const ROLE: &str = "targets/dev";
const RSA: [&str; 1] = ["rsa:2048"];

/// A repository with its owner, its delegate and readers, all with stock clients.
struct World {
    server: TestServer,
    owner: Notary,
    /// Has seen everything that the old key signed.
    reader: Notary,
    dev: Notary,
}

fn import(delegate: &Notary, key: &str) {
    delegate.run(["key", "import", key, "--role", ROLE]).ok();
}

fn add(delegate: &Notary, name: &str) -> tests::Finished {
    let file = delegate.file("content", name);
    delegate.run(["add", GUN, name, file.to_str().unwrap(), "-r", ROLE, "-p"])
}

impl World {
    /// The delegate has published three times with the old key.
    fn start() -> Self {
        let server = TestServer::start();
        let owner = server.notary("owner");
        owner.run(["init", GUN, "-p"]).ok();
        owner.run(["key", "rotate", GUN, "snapshot", "-r"]).ok();
        let dev = server.notary("dev");
        let (old_key, old_certificate) = certificate(&dev, "old", &RSA);
        owner
            .run([
                "delegation",
                "add",
                GUN,
                ROLE,
                &old_certificate,
                "--all-paths",
                "-p",
            ])
            .ok();
        import(&dev, &old_key);
        for name in ["old-1", "old-2", "old-3"] {
            add(&dev, name).ok();
        }
        let reader = server.notary("reader");
        reader.run(["list", GUN]).ok().says("old-3");
        Self {
            server,
            owner,
            reader,
            dev,
        }
    }

    /// The delegate's new machine, with a new key; returns it with the key and its certificate.
    fn new_machine(&self) -> (Notary, String, String) {
        let machine = self.dev.elsewhere("new");
        let (key, certificate) = certificate(&machine, "new", &RSA);
        import(&machine, &key);
        (machine, key, certificate)
    }

    fn key_id(&self) -> String {
        let listed = self.owner.run(["delegation", "list", GUN]).ok().stdout;
        let words = listed.split_whitespace();
        let mut ids = words.filter(|word| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()));
        ids.next().unwrap().to_owned()
    }

    fn version(&self) -> i64 {
        let path = format!("/v2/{GUN}/_trust/tuf/{ROLE}.json");
        let document = self.server.client("reader").get(&path).ok().json();
        document["signed"]["version"].as_i64().unwrap()
    }

    /// The delegate publishes with its new key on its new machine, on the old one, which has the documents that the old
    /// key signed, and on another; and all readers see it.
    fn goes_on(&self, machine: &Notary, key: &str) {
        for (name, version) in [("new-1", 1), ("new-2", 2), ("new-3", 3)] {
            add(machine, name).ok().says("Successfully published");
            assert_eq!(self.version(), version);
            for reader in [&self.reader, &self.server.notary("fresh").elsewhere(name)] {
                reader.run(["list", GUN]).ok().says(name).does_not_say("old-1");
            }
        }
        for (machine, name, version) in [(&self.dev, "new-4", 4), (&machine.elsewhere("other"), "new-5", 5)] {
            import(machine, key);
            add(machine, name).ok().says("Successfully published");
            assert_eq!(self.version(), version);
            self.reader.run(["list", GUN]).ok().says(name).says("new-1");
        }
        self.server.operate("check", [GUN]).ok();
        verify(&self.server);
    }
}

#[test]
fn a_delegate_whose_key_was_replaced_publishes_with_the_new_one() {
    let world = World::start();
    let (machine, key, certificate) = world.new_machine();
    let old = world.key_id();
    world
        .owner
        .run(["delegation", "add", GUN, ROLE, &certificate, "-p"])
        .ok();
    world
        .owner
        .run(["delegation", "remove", GUN, ROLE, &old, "-y", "-p"])
        .ok();
    world.goes_on(&machine, &key);
}

#[test]
fn a_delegate_who_was_removed_and_added_with_a_new_key_publishes_with_it() {
    let world = World::start();
    let (machine, key, certificate) = world.new_machine();
    world
        .owner
        .run(["delegation", "remove", GUN, ROLE, "--yes", "--publish"])
        .ok();
    world
        .owner
        .run(["delegation", "add", GUN, ROLE, &certificate, "--all-paths", "-p"])
        .ok();
    world.goes_on(&machine, &key);
}

/// The record of changes agrees with what is stored.
fn verify(server: &TestServer) {
    let config = server.path().join("server.json");
    let arguments = ["verify", "--config", config.to_str().unwrap()];
    server.run_server_program("audit", arguments).ok();
}

/// The state of one repository, published by hand.
struct ByHand {
    server: TestServer,
    client: tests::Client,
    publisher: Publisher,
}

impl ByHand {
    /// A delegation to `key`.
    fn start(key: &Key) -> Self {
        Self::on(TestServer::start(), key)
    }

    fn on(server: TestServer, key: &Key) -> Self {
        let client = server.client("alice");
        let publisher = Publisher::new(&client, GUN, GUN);
        publisher.publish_first(&client, GUN);
        let world = Self {
            server,
            client,
            publisher,
        };
        world.delegate(2, key);
        world
    }

    fn delegate(&self, version: i64, key: &Key) {
        let targets = sign(
            &Publisher::delegating(version, ROLE, key),
            &[&self.publisher.targets],
        );
        self.client.publish(GUN, &[("targets", &targets)]).ok();
    }

    fn publish(&self, file: &[u8]) -> tests::Response {
        self.client.publish(GUN, &[(ROLE, file)])
    }

    fn served(&self, what: &str) -> tests::Response {
        self.client.get(&format!("/v2/{GUN}/_trust/tuf/{what}.json"))
    }
}

/// A document of the delegation, with one target.
fn document(version: i64, key: &Key, target: &str) -> Vec<u8> {
    let mut signed = Publisher::targets(version);
    signed["targets"] = json!({target: hashes(target.as_bytes())});
    sign(&signed, &[key])
}

#[test]
fn a_document_of_a_replaced_key_is_set_aside_and_never_comes_back() {
    let (a, b) = (Key::generate(), Key::generate());
    let world = ByHand::start(&a);
    let by_a = [1, 2, 7].map(|version| document(version, &a, "by-a"));
    for file in &by_a {
        world.publish(file).ok();
    }
    for version in [3, 7] {
        world
            .publish(&document(version, &a, "late"))
            .refuses(400, "VERSION");
    }

    world.delegate(3, &b);
    world
        .publish(&document(8, &a, "by-a"))
        .rejects("ErrBadTargets", "did not meet threshold");
    let by_b = document(2, &b, "by-b");
    world.publish(&by_b).ok();
    assert_eq!(world.served(ROLE).ok().body, by_b);
    // Version 1 is the old key's still, for whoever asks for it; the others made room.
    assert_eq!(world.served(&format!("1.{ROLE}")).ok().body, by_a[0]);
    assert_eq!(world.served(&format!("2.{ROLE}")).ok().body, by_b);
    assert_eq!(world.served(&format!("7.{ROLE}")).status, 404);
    for version in [1, 2] {
        world
            .publish(&document(version, &b, "late"))
            .refuses(400, "VERSION");
    }
    world.publish(&document(3, &b, "by-b")).ok();

    // The first key again. Whoever has what it signed before, as everybody does, cannot bring it back.
    world.delegate(4, &a);
    for file in &by_a {
        world
            .publish(file)
            .rejects("ErrBadTargets", "was published before");
    }
    let mut again: Value = serde_json::from_slice(&by_a[2]).unwrap();
    let signed_again = sign(&again["signed"], &[&a]);
    world
        .publish(&signed_again)
        .rejects("ErrBadTargets", "was published before");
    again["x"] = json!("what is not signed makes it no other");
    world
        .publish(again.to_string().as_bytes())
        .rejects("ErrBadTargets", "was published before");
    // Its holder begins anew, like any other.
    world.publish(&document(1, &a, "anew")).ok();
    world
        .publish(&by_a[1])
        .rejects("ErrBadTargets", "was published before");
    world.publish(&by_a[0]).refuses(400, "VERSION");
    world.publish(&document(2, &a, "anew")).ok();
    world
        .publish(&by_a[2])
        .rejects("ErrBadTargets", "was published before");

    world.server.operate("check", [GUN]).ok();
    verify(&world.server);
    // All of it is gone when the repository is.
    world.client.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
    assert_eq!(world.server.stored(), []);
    verify(&world.server);
}

#[test]
fn the_remaining_delegate_can_publish_after_the_last_publisher_was_removed() {
    let (a, b) = (Key::generate(), Key::generate());
    let world = ByHand::start(&a);
    let both = |version, keys: &[&Key]| {
        let mut targets = Publisher::delegating(version, ROLE, &a);
        for key in keys {
            targets["delegations"]["keys"][&key.id] = key.public.clone();
        }
        let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        targets["delegations"]["roles"][0]["keyids"] = json!(ids);
        let file = sign(&targets, &[&world.publisher.targets]);
        world.client.publish(GUN, &[("targets", &file)]).ok();
    };
    both(3, &[&a, &b]);
    let by_a = document(5, &a, "by-a");
    world.publish(&by_a).ok();
    let by_b = document(6, &b, "by-b");
    world.publish(&by_b).ok();
    both(4, &[&a]);
    world
        .publish(&by_a)
        .rejects("ErrBadTargets", "was published before");
    world.publish(&document(1, &a, "anew")).ok();
    // And the other comes back beside them, which locks nobody out.
    both(5, &[&a, &b]);
    world
        .publish(&by_b)
        .rejects("ErrBadTargets", "was published before");
    world.publish(&document(2, &a, "anew")).ok();
    world.publish(&document(3, &b, "anew")).ok();
    world.publish(&document(3, &a, "late")).refuses(400, "VERSION");
}

#[test]
fn readers_who_come_back_after_the_replacement_wait_for_the_version_or_forget_what_they_have() {
    let (a, b) = (Key::generate(), Key::generate());
    let world = ByHand::start(&a);
    world.publish(&document(3, &a, "by-a")).ok();
    let reader = |name: &str| world.server.notary("reader").elsewhere(name);
    let [waits, forgets, between] = ["waits", "forgets", "between"].map(reader);
    for reader in [&waits, &forgets, &between] {
        reader.run(["list", GUN]).ok().says("by-a");
    }
    world.delegate(3, &b);
    between.run(["list", GUN]).ok().does_not_say("by-a");
    world.publish(&document(1, &b, "by-b")).ok();
    between.run(["list", GUN]).ok().says("by-b");
    for reader in [&waits, &forgets] {
        reader
            .run(["list", GUN])
            .fails()
            .says("version 1 is lower than current version 3");
    }
    forgets.run(["delete", GUN]).ok();
    forgets.run(["list", GUN]).ok().says("by-b");
    for version in [2, 3] {
        world.publish(&document(version, &b, "by-b")).ok();
    }
    waits.run(["list", GUN]).ok().says("by-b");
}

#[test]
fn targets_versions_rise_whatever_key_root_declares() {
    let world = ByHand::start(&Key::generate());
    for version in 3..6 {
        let file = world.publisher.targets_file(version);
        world.client.publish(GUN, &[("targets", &file)]).ok();
    }
    let mut publisher = world.publisher.clone();
    publisher.targets = Key::generate();
    let root = publisher.root_file(2);
    let with = |version| {
        let targets = publisher.targets_file(version);
        world
            .client
            .publish(GUN, &[("root", &root), ("targets", &targets)])
    };
    for version in [1, 5] {
        with(version).rejects("ErrBadTargets", "publish a version above 5");
    }
    with(6).ok();
    let next = |version| {
        world
            .client
            .publish(GUN, &[("targets", &publisher.targets_file(version))])
    };
    next(6).refuses(400, "VERSION");
    next(7).ok();
}

#[test]
fn notarys_programs_can_use_a_database_with_documents_set_aside() {
    for engine in SERVED {
        let (a, b) = (Key::generate(), Key::generate());
        let databases = engine.databases();
        databases.load(Whose::Server, &format!("server-{}-schema.sql", engine.name()));
        databases.load(Whose::Signer, &format!("signer-{}.sql", engine.name()));
        let server = TestServer::builder().databases(databases).start();
        let mut world = ByHand::on(server, &a);
        for version in [1, 2, 3] {
            world.publish(&document(version, &a, "by-a")).ok();
        }
        world.delegate(3, &b);
        world.publish(&document(1, &b, "by-b-1")).ok();
        world.server.change_programs(Programs::Notarys);
        world.publish(&document(2, &b, "by-b-2")).ok();
        world
            .server
            .notary("reader")
            .run(["list", GUN])
            .ok()
            .says("by-b-2");
        world.server.change_programs(Programs::Ours);
        world.publish(&document(3, &b, "by-b-3")).ok();
        world.server.operate("check", [GUN]).ok();
        world.server.change_programs(Programs::Notarys);
        world.client.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
        assert_eq!(world.server.stored(), [], "{engine:?}");
    }
}
