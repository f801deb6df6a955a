//! The same behaviour on every kind of database.

use std::{collections::BTreeSet, sync::Barrier};

use tests::{
    Client, Engine, Stop, TestServer, Whose,
    publisher::{Key, Publisher, sign},
};

/// Runs each of these tests once for each kind of database.
macro_rules! on_every_engine {
    ($($test:ident),* $(,)?) => {
        on_every_engine!(@ sqlite, Engine::Sqlite, $($test),*);
        on_every_engine!(@ postgres, Engine::Postgres, $($test),*);
        on_every_engine!(@ mariadb, Engine::Mysql, $($test),*);
    };
    (@ $module:ident, $engine:expr, $($test:ident),*) => {
        mod $module {
            use super::*;
            $(#[test] fn $test() { super::$test($engine); })*
        }
    };
}

on_every_engine!(
    a_repository_is_published_delegated_rotated_and_deleted,
    names_that_look_alike_are_different_repositories,
    names_that_some_database_cannot_store_are_refused,
    the_notary_cli_works_and_everything_survives_a_restart,
    writers_at_once_each_get_their_own_version_or_a_conflict,
);

fn server(engine: Engine) -> TestServer {
    TestServer::builder().database(engine).start()
}

fn version_of(client: &Client, gun: &str, role: &str) -> i64 {
    let document = client
        .get(&format!("/v2/{gun}/_trust/tuf/{role}.json"))
        .ok()
        .json();
    document["signed"]["version"].as_i64().unwrap()
}

/// Category and version of each change of a GUN.
fn changes(client: &Client, gun: &str) -> Vec<(String, i64)> {
    let feed = client
        .get(&format!("/v2/{gun}/_trust/changefeed?change_id=0&records=100"))
        .ok()
        .json();
    let records = feed["records"].as_array().unwrap().iter();
    records
        .map(|record| {
            assert!(
                record["GUN"] == gun && record["CreatedAt"].as_str().unwrap().ends_with('Z'),
                "{record}"
            );
            let category = record["Category"].as_str().unwrap().to_owned();
            (category, record["Version"].as_i64().unwrap())
        })
        .collect()
}

fn a_repository_is_published_delegated_rotated_and_deleted(engine: Engine) {
    let server = server(engine);
    let client = server.client("alice");
    let gun = "example.com/team/app";
    let publisher = Publisher::new(&client, gun, gun);
    publisher.publish_first(&client, gun);

    let releases = Key::generate();
    let targets = sign(
        &Publisher::delegating(2, "targets/releases", &releases),
        &[&publisher.targets],
    );
    let delegated = sign(&Publisher::targets(1), &[&releases]);
    client
        .publish(gun, &[("targets", &targets), ("targets/releases", &delegated)])
        .ok();
    assert_eq!(
        client
            .get(&format!("/v2/{gun}/_trust/tuf/targets.json"))
            .ok()
            .body,
        targets
    );
    assert_eq!(
        client
            .get(&format!("/v2/{gun}/_trust/tuf/targets/releases.json"))
            .ok()
            .body,
        delegated
    );
    let again = client.publish(gun, &[("targets", &targets)]);
    again.refuses(400, "VERSION");

    client.publish(gun, &[("root", &publisher.root_file(2))]).ok();
    assert_eq!(version_of(&client, gun, "root"), 2);
    assert_eq!(version_of(&client, gun, "timestamp"), 3);
    client.get(&format!("/v2/{gun}/_trust/tuf/1.root.json")).ok();
    let timestamp = client.get(&format!("/v2/{gun}/_trust/tuf/timestamp.json")).ok();
    let checksum = hex::encode(openssl::sha::sha256(&timestamp.body));
    let by_checksum = client
        .get(&format!("/v2/{gun}/_trust/tuf/timestamp.{checksum}.json"))
        .ok();
    assert_eq!(by_checksum.body, timestamp.body);

    client.delete(&format!("/v2/{gun}/_trust/tuf/")).ok();
    client
        .get(&format!("/v2/{gun}/_trust/tuf/root.json"))
        .refuses(404, "METADATA_NOT_FOUND");
    let expected = [("update", 1), ("update", 2), ("update", 3), ("deletion", 0)];
    assert_eq!(
        changes(&client, gun),
        expected.map(|(name, version)| (name.to_owned(), version))
    );
    Publisher::new(&client, gun, gun).publish_first(&client, gun);
    assert_eq!(version_of(&client, gun, "timestamp"), 1);
}

fn names_that_look_alike_are_different_repositories(engine: Engine) {
    let server = server(engine);
    let client = server.client("alice");
    // As in the path, and as in the certificate.
    let names = [
        ("My/Repo", "My/Repo"),
        ("my/repo", "my/repo"),
        ("my/repo%20", "my/repo "),
        ("my/rep%C3%B6", "my/repö"),
    ];
    let mut keys = BTreeSet::new();
    for (path, name) in names {
        client
            .get(&format!("/v2/{path}/_trust/tuf/root.json"))
            .refuses(404, "METADATA_NOT_FOUND");
        let publisher = Publisher::new(&client, path, name);
        keys.insert(publisher.timestamp.to_string());
        publisher.publish_first(&client, path);
    }
    assert_eq!(keys.len(), names.len(), "repositories share a key");
    client.delete("/v2/my/repo/_trust/tuf/").ok();
    for (path, there) in [
        ("My/Repo", true),
        ("my/repo", false),
        ("my/repo%20", true),
        ("my/rep%C3%B6", true),
    ] {
        let status = client.get(&format!("/v2/{path}/_trust/tuf/root.json")).status;
        assert_eq!(status, if there { 200 } else { 404 }, "{path}");
    }
    assert_eq!(changes(&client, "My/Repo"), [("update".to_owned(), 1)]);
}

fn names_that_some_database_cannot_store_are_refused(engine: Engine) {
    let server = server(engine);
    let client = server.client("alice");
    let fits = "a".repeat(255);
    Publisher::new(&client, &fits, &"a".repeat(60));
    let too_long = "a".repeat(256);
    for name in ["emoji/%F0%9F%98%80", "nul/%00", too_long.as_str()] {
        let key = client.get(&format!("/v2/{name}/_trust/tuf/timestamp.key"));
        key.refuses(400, "INVALID_GUN");
        let publish = client.publish(name, &[("targets", b"{}")]);
        assert!((400..500).contains(&publish.status), "{name}: {}", publish.text());
    }
}

fn the_notary_cli_works_and_everything_survives_a_restart(engine: Engine) {
    let mut server = server(engine);
    let alice = server.notary("alice");
    let gun = "example.com/alice/app";
    alice.run(["init", gun, "-p"]).ok();
    alice.run(["key", "rotate", gun, "snapshot", "-r"]).ok();
    alice.add_and_publish(gun, "v1", "one");
    server.restart_server(Stop::AtOnce);
    server.restart_signer(Stop::AtOnce);
    alice.add_and_publish(gun, "v2", "two");
    server.notary("bob").run(["list", gun]).ok().says("v1").says("v2");
    alice.run(["delete", gun, "--remote"]).ok();
    server.notary("carol").run(["list", gun]).fails();
}

fn writers_at_once_each_get_their_own_version_or_a_conflict(engine: Engine) {
    let first = server(engine);
    // On a file there is one server; on the others two, each with a signer.
    let second = (engine != Engine::Sqlite)
        .then(|| TestServer::builder().databases(first.databases().clone()).start());
    let servers: Vec<&TestServer> = [Some(&first), second.as_ref()].into_iter().flatten().collect();
    let gun = "example.com/raced";
    let publisher = Publisher::new(&first.client("alice"), gun, gun);
    let clients: Vec<Client> = (0..8)
        .map(|n| servers[n % servers.len()].client(&format!("writer{n}")))
        .collect();
    for version in 1..4 {
        let file = publisher.targets_file(version);
        let root = publisher.root_file(version);
        let mut files: Vec<(&str, &[u8])> = vec![("targets", &file)];
        if version == 1 {
            files.push(("root", &root));
        }
        let start = Barrier::new(clients.len());
        let answers = std::thread::scope(|scope| {
            let threads: Vec<_> = clients
                .iter()
                .map(|client| {
                    scope.spawn(|| {
                        start.wait();
                        client.publish(gun, &files)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect::<Vec<_>>()
        });
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(won, 1, "version {version}");
        for lost in answers.iter().filter(|answer| answer.status != 200) {
            lost.refuses(400, "VERSION");
        }
        for server in &servers {
            let reader = server.client("reader");
            assert_eq!(version_of(&reader, gun, "targets"), version);
            assert_eq!(version_of(&reader, gun, "timestamp"), version);
        }
    }
}

#[test]
fn two_signers_on_one_database_hand_out_the_same_waiting_key() {
    for engine in tests::SERVED {
        let first = server(engine);
        let second = TestServer::builder().databases(first.databases().clone()).start();
        let clients: Vec<Client> = (0..16)
            .map(|n| [&first, &second][n % 2].client(&format!("c{n}")))
            .collect();
        let start = Barrier::new(clients.len());
        let keys: BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = clients
                .iter()
                .map(|client| {
                    scope.spawn(|| {
                        start.wait();
                        client
                            .get("/v2/example.com/new/_trust/tuf/timestamp.key")
                            .ok()
                            .text()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(keys.len(), 1, "{engine:?}: {keys:?}");
        let rows = first
            .databases()
            .run(Whose::Signer, "SELECT COUNT(*) FROM private_keys;");
        assert_eq!(rows.trim(), "1", "{engine:?}");
    }
}
