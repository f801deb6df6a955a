//! Our programs beside Notary's, on the same databases: clients cannot tell which one they talk to.

use std::{collections::BTreeSet, process::Command};

use serde_json::json;
use tests::{
    Engine, Finished, Programs, SERVED, TestServer,
    flows::{delegations, repositories},
    openssl_files::key_pair,
    process::built_programs,
    publisher::Publisher,
    server::Builder,
};

/// Everything that publishers, delegates and readers do, with requests that alternate between the two servers.
fn every_flow(server: &TestServer, gun: &str) {
    let person = |name: &str| {
        let own = format!("{name}-{}", gun.replace(['/', ':'], "-"));
        server.notary(name).elsewhere(&own)
    };
    let (alice, bob, carol) = (person("alice"), person("bob"), person("carol"));
    alice.run(["init", gun, "-p"]).ok();
    alice.add_and_publish(gun, "v1", "one");
    assert_eq!(bob.targets(gun), ["v1"]);
    alice.run(["key", "rotate", gun, "snapshot", "-r"]).ok();
    alice.add_and_publish(gun, "v2", "two");
    let (key, public) = key_pair(&bob, "bob");
    alice
        .run([
            "delegation",
            "add",
            gun,
            "targets/releases",
            &public,
            "--all-paths",
            "-p",
        ])
        .ok();
    bob.run(["key", "import", &key, "--role", "targets/releases", "--gun", gun])
        .ok();
    bob.add_and_publish_to(gun, "v3", "targets/releases");
    bob.run(["witness", gun, "targets/releases", "-p"]).ok();
    alice.run(["key", "rotate", gun, "timestamp", "-r"]).ok();
    alice.run(["key", "rotate", gun, "targets"]).ok();
    for _ in 0..2 {
        alice.run_with_input(["key", "rotate", gun, "root"], "yes\n").ok();
    }
    alice.run(["publish", gun]).ok();
    alice.run(["key", "rotate", gun, "snapshot"]).ok();
    alice.run(["remove", gun, "v1", "-p"]).ok();
    alice.run(["key", "rotate", gun, "snapshot", "-r"]).ok();
    // One who was there from the beginning, and one who was not.
    for reader in [&bob, &carol] {
        let mut listed = reader.targets(gun);
        listed.sort();
        assert_eq!(listed, ["v2", "v3"], "{}", reader.trust().display());
    }
    alice
        .run(["delegation", "remove", gun, "targets/releases", "-y", "-p"])
        .ok();
    assert_eq!(carol.targets(gun), ["v2"]);
    alice.run(["delete", gun, "--remote"]).ok();
    person("dora").run(["list", gun]).fails();
    alice.run(["init", gun, "-p"]).ok();
    alice.add_and_publish(gun, "again", "again");
    assert_eq!(person("dora").targets(gun), ["again"]);
}

fn by_turns(engine: Engine) -> Builder {
    TestServer::builder().database(engine).by_turns_with_notarys()
}

fn servers_take_turns(engine: Engine) {
    let ours = by_turns(engine).start();
    for gun in ["reg.test/team/app", "Reg.test:5000/Team/App.x-y"] {
        every_flow(&ours, gun);
    }
    let served = ours.served();
    assert!(served.iter().all(|count| *count > 50), "{served:?}");
    // What one says happened, the other says too.
    let changes = |server: &TestServer| {
        let answer = ours
            .client("reader")
            .at_port(server.port())
            .get("/v2/_trust/changefeed?records=1000");
        let records = answer.ok().json()["records"].as_array().unwrap().clone();
        let facts = records.iter().map(|record| {
            let hash = record["SHA256"].as_str().unwrap().trim().to_owned();
            (
                record["ID"].clone(),
                record["GUN"].clone(),
                record["Version"].clone(),
                hash,
                record["Category"].clone(),
            )
        });
        facts.collect::<Vec<_>>()
    };
    assert_eq!(changes(&ours), changes(ours.notarys()));
    assert!(changes(&ours).len() > 30);
}

#[test]
fn clients_alternate_between_both_servers_on_postgresql() {
    servers_take_turns(Engine::Postgres);
}

#[test]
fn clients_alternate_between_both_servers_on_mariadb() {
    servers_take_turns(Engine::Mysql);
}

fn every_notary_flow(engine: Engine) {
    let server = || by_turns(engine).start();
    repositories::sign_and_verify(&server());
    repositories::add_by_hash(&server());
    repositories::rotate_every_key(&server());
    repositories::delete(&server());
    repositories::publish_nothing(&server());
    delegations::delegate(&server());
    delegations::delegate_further_and_witness(&server());
}

#[test]
fn the_notary_cli_works_with_both_servers_in_turn_on_postgresql() {
    every_notary_flow(Engine::Postgres);
}

#[test]
fn the_notary_cli_works_with_both_servers_in_turn_on_mariadb() {
    every_notary_flow(Engine::Mysql);
}

#[test]
fn every_server_works_with_every_signer() {
    for (number, (server, signer)) in [
        (Programs::Ours, Programs::Ours),
        (Programs::Ours, Programs::Notarys),
        (Programs::Notarys, Programs::Ours),
        (Programs::Notarys, Programs::Notarys),
    ]
    .into_iter()
    .enumerate()
    {
        let engine = SERVED[number % SERVED.len()];
        let builder = TestServer::builder()
            .database(engine)
            .programs(server)
            .signer_programs(signer);
        let prepared = builder.prepare();
        // Notary's own programs leave the making of tables to another tool.
        for program in ["server", "signer"] {
            let mut migrate = Command::new(built_programs().join(format!("countersign-{program}")));
            migrate.args(["migrate", "up", "--config"]);
            Finished::run(migrate.arg(prepared.path().join(format!("{program}.json"))), "").ok();
        }
        let pair = prepared.start();
        every_flow(&pair, "reg.test/Team/app");
    }
}

#[test]
fn a_document_published_to_one_is_read_from_the_other_by_the_next_request() {
    for engine in SERVED {
        let ours = TestServer::builder().database(engine).start();
        let second = TestServer::builder().beside(&ours).start();
        let (here, there) = (ours.client("a"), ours.client("a").at_port(second.port()));
        let publisher = Publisher::new(&here, "reg/app", "reg/app");
        publisher.publish_first(&here, "reg/app");
        for version in 2..12 {
            let (from, to) = if version % 2 == 0 {
                (&here, &there)
            } else {
                (&there, &here)
            };
            from.publish("reg/app", &[("targets", &publisher.targets_file(version))])
                .ok();
            let read = to.get("/v2/reg/app/_trust/tuf/targets.json").ok().json();
            assert_eq!(read["signed"]["version"], version);
        }
        there.delete("/v2/reg/app/_trust/tuf/").ok();
        here.get("/v2/reg/app/_trust/tuf/timestamp.json")
            .refuses(404, "METADATA_NOT_FOUND");
    }
}

#[test]
fn readers_of_an_expired_timestamp_at_two_servers_all_get_the_one_new_one() {
    for engine in SERVED {
        let lazy = |builder: Builder| builder.set("refresh", json!({"before_expiry": 0}));
        let mut first = lazy(TestServer::builder().database(engine)).days_ago(20).start();
        let client = first.client("alice");
        Publisher::since_a_month_ago(&client, "reg/app").publish_first(&client, "reg/app");
        first.return_to_the_present();
        let second = lazy(TestServer::builder().beside(&first)).start();
        let clients = [&first, &second].map(|server| first.client("reader").at_port(server.port()));
        let bodies: BTreeSet<Vec<u8>> = std::thread::scope(|scope| {
            let read = |number: usize| {
                let client = &clients[number % 2];
                scope.spawn(|| client.get("/v2/reg/app/_trust/tuf/timestamp.json").ok().body)
            };
            let threads: Vec<_> = (0..16).map(read).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(bodies.len(), 1, "{engine:?}: readers got different timestamps");
        client.get("/v2/reg/app/_trust/tuf/2.timestamp.json").ok();
        client
            .get("/v2/reg/app/_trust/tuf/3.timestamp.json")
            .refuses(404, "METADATA_NOT_FOUND");
    }
}
