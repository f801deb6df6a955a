//! `countersign tuf`: repositories that several people sign, clients of others that read them, and the way out of Notary.

use std::{fs, path::Path};

use serde_json::json;
use tests::{
    Engine, TestServer,
    native::{Installed, READERS, Repository},
    person::{GUN, PASSPHRASE, Person, digest},
    process::{Daemon, Stop},
};

const NAME: &str = "example.com/team/tools";

fn start() -> TestServer {
    TestServer::builder().set("tuf", json!({"enabled": true})).start()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file of a person's.
fn file(person: &Person, name: &str, content: &str) -> String {
    let path = person.client.directory().join(name);
    fs::write(&path, content).unwrap();
    text(&path).to_owned()
}

/// What `tuf verify` prints of each target: its SHA-256, length and name.
fn line(name: &str, content: &str) -> String {
    format!("{}  {}  {name}", digest(content), content.len())
}

/// Clients of others, with the first root of a repository.
fn readers(server: &TestServer, name: &str) -> Vec<Installed> {
    let repository = Repository::new(name, server.client("alice"));
    let root = repository.get("metadata/1.root.json").ok().body;
    let files = server.pki().user("reader");
    READERS
        .into_iter()
        .map(|reader| reader.install(server, name, &root, &files))
        .collect()
}

#[test]
fn an_owner_and_a_delegate_sign_and_every_client_reads_it() {
    let server = start();
    let (owner, delegate) = (Person::of(&server, "alice"), Person::of(&server, "bob"));
    owner.run(&["tuf", "init", NAME]).ok().says("published root 1");
    owner
        .run(&["tuf", "init", NAME])
        .fails()
        .says("was begun already");
    let app = file(&owner, "app.txt", "app");
    owner
        .run(&["tuf", "add", NAME, &app])
        .ok()
        .says("published targets 2");
    let key = delegate.generate("bob");
    let delegating = [
        "tuf",
        "delegate",
        NAME,
        "docs",
        "--signer",
        text(&key),
        "--path",
        "docs/*",
    ];
    owner
        .run(&delegating)
        .ok()
        .says("docs 1 waits: 0 of 1 by targets");
    // Nothing says where trust begins for somebody else.
    delegate
        .run(&["tuf", "sign", NAME, "--yes"])
        .fails()
        .says("--root FILE");
    let signing = ["tuf", "sign", NAME, "--tofu"];
    delegate
        .run(&signing)
        .fails()
        .says("say --yes to sign what was shown");
    let signed = delegate.run(&["tuf", "sign", NAME, "--tofu", "--yes"]).ok();
    signed
        .says("docs is trusted with the paths docs/*")
        .says("published docs 1");
    let guide = file(&delegate, "guide.txt", "guide");
    let adding = ["tuf", "add", NAME, &guide, "--role", "docs", "--prefix", "docs/"];
    delegate.run(&adding).ok().says("published docs 2");
    let elsewhere = [
        "tuf",
        "add",
        NAME,
        &guide,
        "--role",
        "docs",
        "--name",
        "guide.txt",
    ];
    delegate
        .run(&elsewhere)
        .fails()
        .says("did not delegate the target");

    let verified = owner.client.run_at_server(&["tuf", "verify", NAME]).ok();
    let expected = [line("app.txt", "app"), line("docs/guide.txt", "guide")];
    assert_eq!(verified.stdout.trim(), expected.join("\n"));
    let directory = owner.client.directory().join("out");
    let downloading = [
        "tuf",
        "download",
        NAME,
        "docs/guide.txt",
        "--dir",
        text(&directory),
    ];
    owner.client.run_at_server(&downloading).ok();
    assert_eq!(
        fs::read_to_string(directory.join("docs/guide.txt")).unwrap(),
        "guide"
    );
    let absent = owner.client.run_at_server(&["tuf", "verify", NAME, "other.txt"]);
    assert_eq!(absent.code, 1, "{absent}");
    for reader in readers(&server, NAME) {
        reader.finds(&[("app.txt", b"app"), ("docs/guide.txt", b"guide")]);
    }
    owner.run(&["tuf", "remove", NAME, "app.txt"]).ok();
    owner
        .run(&["tuf", "remove", NAME, "app.txt"])
        .fails()
        .says("does not list");
    owner
        .run(&["tuf", "delegate", NAME, "docs", "--remove"])
        .ok()
        .says("no role delegates to docs");
    let verified = owner.client.run_at_server(&["tuf", "verify", NAME]).ok();
    assert_eq!(verified.stdout.trim(), "");
}

#[test]
fn the_servers_keys_are_replaced_and_every_client_follows() {
    let server = start();
    let owner = Person::of(&server, "alice");
    owner.run(&["tuf", "init", NAME]).ok();
    let app = file(&owner, "app.txt", "app");
    owner.run(&["tuf", "add", NAME, &app]).ok();
    let readers = readers(&server, NAME);
    let repository = Repository::new(NAME, server.client("alice"));
    let signer = |file: &str| {
        repository.get(&format!("metadata/{file}")).ok().json()["signatures"][0]["keyid"].clone()
    };
    for reader in &readers {
        reader.finds(&[("app.txt", b"app")]);
    }
    for (role, file, root, snapshot) in [
        ("timestamp", "timestamp.json", 2, "2.snapshot.json"),
        ("snapshot", "4.snapshot.json", 3, "3.snapshot.json"),
    ] {
        let before = match role {
            "snapshot" => signer(snapshot),
            _ => signer(file),
        };
        owner
            .run(&["tuf", "rotate", NAME, role])
            .ok()
            .says(&format!("published root {root}"));
        let current = repository.get("metadata/timestamp.json").ok().json();
        let version = &current["signed"]["meta"]["snapshot.json"]["version"];
        let after = match role {
            "snapshot" => signer(&format!("{version}.snapshot.json")),
            _ => signer(file),
        };
        assert_ne!(before, after, "{role}");
        for reader in &readers {
            reader.finds(&[("app.txt", b"app")]);
        }
        let verified = owner.client.run_at_server(&["tuf", "verify", NAME]).ok();
        verified.says(&line("app.txt", "app"));
    }
    // What follows is signed with the new keys.
    let app = file(&owner, "app.txt", "app, again");
    owner.run(&["tuf", "add", NAME, &app]).ok();
    for reader in &readers {
        reader.finds(&[("app.txt", b"app, again")]);
    }
    owner.run(&["tuf", "rotate", NAME, "targets"]).fails();
    server.command_line("audit verify").ok();
}

#[test]
fn two_owners_sign_roots_and_targets_together() {
    let server = start();
    let (one, other) = (Person::of(&server, "alice"), Person::of(&server, "bob"));
    one.run(&["tuf", "init", NAME]).ok();
    let key = other.generate("other");
    let key = text(&key);
    let both = [
        "tuf",
        "signers",
        NAME,
        "targets",
        "--add",
        key,
        "--threshold",
        "2",
    ];
    // The new root decides about targets already, so nothing is published before both have signed.
    one.run(&both)
        .ok()
        .says("targets 2 waits")
        .says("1 of 2 by root version 2");
    one.run(&["tuf", "publish", NAME])
        .fails()
        .says("can be published yet");
    other
        .run(&["tuf", "sign", NAME, "--tofu", "--yes"])
        .ok()
        .says("targets may be signed by")
        .says("published root 2")
        .says("published targets 2");
    let app = file(&one, "app.txt", "app");
    one.run(&["tuf", "add", NAME, &app])
        .ok()
        .says("targets 3 waits: 1 of 2 by root version 2");
    one.run(&["tuf", "publish", NAME])
        .fails()
        .says("can be published yet");
    one.run(&["tuf", "status", NAME]).ok().says("targets 3 waits");
    other
        .run(&["tuf", "sign", NAME, "--yes", "--no-publish"])
        .ok()
        .says("adds app.txt (3 bytes")
        .says("targets 3 complete");
    one.run(&["tuf", "publish", NAME])
        .ok()
        .says("published targets 3");
    one.run(&["tuf", "signers", NAME, "root", "--add", key, "--threshold", "2"])
        .ok();
    one.run(&["tuf", "withdraw", NAME, "root"]).ok();
    one.run(&["tuf", "signers", NAME, "root", "--add", key, "--threshold", "2"])
        .ok();
    other
        .run(&["tuf", "sign", NAME, "--yes"])
        .ok()
        .says("published root 3");
    one.run(&["tuf", "renew", NAME]).ok().says("root 4 waits");
    other
        .run(&["tuf", "sign", NAME, "--yes"])
        .ok()
        .says("published root 4")
        .says("published targets 4");
    for reader in readers(&server, NAME) {
        reader.finds(&[("app.txt", b"app")]);
    }
}

#[test]
fn a_notary_repository_with_two_signers_becomes_one_of_tuf_1_0() {
    let server = start();
    let (owner, signer) = (Person::of(&server, "alice"), Person::of(&server, "bob"));
    owner.run(&["init", GUN]).ok();
    let key = signer.generate("bob");
    owner.run(&["signer", "add", "bob", GUN, text(&key)]).ok();
    owner.sign("1.0", "first", &["--role", "targets"]);
    let root = owner.inspect(&[])["root"]["keys"][0].as_str().unwrap().to_owned();
    signer.sign("2.0", "second", &["--as", "bob", "--root-key", &root]);
    owner
        .run(&["tuf", "migrate", GUN])
        .fails()
        .says("no signature is carried over")
        .says("--yes");
    owner
        .run(&["tuf", "migrate", GUN, "--yes"])
        .ok()
        .says("targets/bob 1 waits");
    let other = "ab".repeat(32);
    let signing = ["tuf", "sign", GUN, "--yes", "--root-key", &other];
    signer.run(&signing).fails().says("is not signed by the key");
    let signing = ["tuf", "sign", GUN, "--yes", "--root-key", &root];
    signer.run(&signing).ok().says("published targets/bob 1");
    // Trust begins with the root key that everybody knows already.
    let verify = ["tuf", "verify", GUN, "--root-key", &root];
    let verified = signer.client.run_at_server(&verify).ok();
    let expected = [line("1.0", "first"), line("2.0", "second")];
    assert_eq!(verified.stdout.trim(), expected.join("\n"));
    let verify = ["tuf", "verify", GUN, "--root-key", &other];
    signer
        .client
        .run_at_server(&verify)
        .fails()
        .says("is not signed by the key");
    // Both stay in step, and notary still reads the old one.
    owner
        .run(&["tuf", "migrate", GUN, "--yes"])
        .ok()
        .says("says the same already");
    owner.sign("3.0", "third", &["--role", "targets"]);
    owner
        .run(&["tuf", "migrate", GUN, "--yes"])
        .ok()
        .says("adds 3.0")
        .says("published targets 2");
    owner.notary_finds("3.0", "third");
    let verified = signer.client.run_at_server(&["tuf", "verify", GUN, "3.0"]).ok();
    assert_eq!(verified.stdout.trim(), line("3.0", "third"));
}

#[test]
fn a_repository_that_is_followed_stays_in_step_also_after_the_server_was_away() {
    let mut server = start();
    let owner = Person::of(&server, "alice");
    owner.run(&["init", GUN]).ok();
    owner.sign("1.0", "first", &["--role", "targets"]);
    let mut command = owner
        .client
        .command_at_server(&["tuf", "migrate", GUN, "--yes", "--follow", "--every", "1"]);
    command
        .arg("--trust-dir")
        .arg(owner.notary.trust())
        .env("COUNTERSIGN_PASSPHRASE", PASSPHRASE);
    let log = owner.client.directory().join("follow.log");
    let mut following = Daemon::spawn(&mut command, &log);
    let says = |name: &str, content: &str| {
        let verified = owner.client.run_at_server(&["tuf", "verify", GUN, name]);
        verified.code == 0 && verified.stdout.trim() == line(name, content)
    };
    following.wait_for("the repository is there", || says("1.0", "first"));
    owner.sign("2.0", "second", &["--role", "targets"]);
    following.wait_for("a new tag is there", || says("2.0", "second"));
    server.restart_server(Stop::AtOnce);
    owner.sign("2.0", "moved", &["--role", "targets"]);
    following.wait_for("a tag that moved is there", || says("2.0", "moved"));
    following.stop(Stop::Politely);
}

#[test]
fn whoever_published_last_notices_a_server_that_was_put_back() {
    let mut server = TestServer::builder()
        .database(Engine::Sqlite)
        .set("tuf", json!({"enabled": true}))
        .start();
    let owner = Person::of(&server, "alice");
    owner.run(&["tuf", "init", NAME]).ok();
    let app = file(&owner, "app.txt", "app");
    owner.run(&["tuf", "add", NAME, &app]).ok();
    server.stop_server(Stop::Politely);
    let database = server.database();
    let copy = database.with_extension("copy");
    fs::copy(&database, &copy).unwrap();
    server.start_server();
    owner.run(&["tuf", "remove", NAME, "app.txt"]).ok();
    server.stop_server(Stop::Politely);
    fs::copy(&copy, &database).unwrap();
    server.start_server();
    // Otherwise what was removed would be signed again.
    let other = file(&owner, "other.txt", "other");
    owner.run(&["tuf", "add", NAME, &other]).fails();
}

#[test]
fn an_older_state_of_the_server_is_refused() {
    let server = start();
    let owner = Person::of(&server, "alice");
    owner.run(&["tuf", "init", NAME]).ok();
    let repository = Repository::new(NAME, server.client("alice"));
    let first = repository.get("metadata/1.root.json").ok().body;
    owner
        .run(&["tuf", "renew", NAME, "root"])
        .ok()
        .says("published root 2");
    owner.client.run_at_server(&["tuf", "verify", NAME]).ok();
    // A date beyond all that can be written is the last that can.
    owner
        .run(&["tuf", "renew", NAME, "targets", "--days", "4294967295"])
        .ok();
    repository.request("DELETE", "metadata", b"").ok();
    owner.client.run_at_server(&["tuf", "verify", NAME]).fails();
    // Nor is a repository begun anew under its name by mistake.
    owner.run(&["tuf", "add", NAME, "/etc/hostname"]).fails();
    assert!(!first.is_empty());
}
