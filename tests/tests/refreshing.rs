//! Timestamps are renewed before they expire, and what the server cannot renew is reported.

use std::process::Command;

use serde_json::json;
use tests::{
    Finished, Stop, TestServer, Whose,
    process::{built_programs, wait_until},
    publisher::{Publisher, SnapshotKey, in_days, sign},
};

/// One second less than the lifetime of a timestamp, so that it is due for renewal one second after it was made.
const ALMOST_ALL_OF_ITS_LIFE: u64 = 14 * 86_400 - 1;

fn eager() -> tests::server::Builder {
    TestServer::builder().set(
        "refresh",
        json!({"before_expiry": ALMOST_ALL_OF_ITS_LIFE, "interval": "1s"}),
    )
}

#[test]
fn timestamps_are_renewed_in_the_background_and_nobody_else_is_needed() {
    let server = eager().start();
    let alice = server.notary("alice");
    for gun in ["a/one", "b/two"] {
        alice.run(["init", gun, "-p"]).ok();
    }
    let client = server.client("reader");
    for gun in ["a/one", "b/two"] {
        // Asked for by version: that renews nothing.
        wait_until("the next timestamp is there", || {
            client
                .get(&format!("/v2/{gun}/_trust/tuf/3.timestamp.json"))
                .status
                == 200
        });
    }
    let actors: Vec<String> = server
        .actors()
        .into_iter()
        .map(|(_, principal, _)| principal)
        .collect();
    assert!(actors.contains(&"(server)".to_owned()), "{actors:?}");
    assert!(server.notary("bob").targets("a/one").is_empty());
    let metrics = client.get("/metrics").ok().text();
    assert!(
        metrics.contains("countersign_refresh_total{outcome=\"renewed\"}"),
        "{metrics}"
    );
}

#[test]
fn one_repository_that_cannot_be_renewed_does_not_keep_the_others_from_it() {
    let server = eager().start();
    let client = server.client("alice");
    for gun in ["a/broken", "b/old", "c/last"] {
        Publisher::new(&client, gun, gun).publish_first(&client, gun);
    }
    // A row that is no document, and one of a database that did not record when it was made.
    server.execute(
        Whose::Server,
        "UPDATE tuf_files SET version = -7 WHERE gun = 'a/broken' AND role = 'root'; \
         UPDATE tuf_files SET created_at = NULL WHERE gun = 'b/old'",
    );
    for gun in ["b/old", "c/last"] {
        wait_until("the next timestamp is there", || {
            client
                .get(&format!("/v2/{gun}/_trust/tuf/3.timestamp.json"))
                .status
                == 200
        });
    }
    wait_until("the failure is counted", || {
        let figures = client.get("/metrics").ok().text();
        figures.contains("countersign_refresh_total{outcome=\"failed\"}")
    });
    assert!(server.log().contains("a timestamp could not be renewed"));
}

#[test]
fn a_deleted_repository_is_left_alone() {
    let server = eager().start();
    let alice = server.notary("alice");
    alice.run(["init", "gone", "-p"]).ok();
    alice.run(["init", "there", "-p"]).ok();
    server.client("alice").delete("/v2/gone/_trust/tuf/").ok();
    let client = server.client("reader");
    wait_until("the other repository was renewed", || {
        client.get("/v2/there/_trust/tuf/3.timestamp.json").status == 200
    });
    client
        .get("/v2/gone/_trust/tuf/timestamp.json")
        .refuses(404, "METADATA_NOT_FOUND");
}

#[test]
fn a_fresh_timestamp_is_served_as_it_is() {
    let server = TestServer::start();
    server.notary("alice").run(["init", "app", "-p"]).ok();
    let client = server.client("reader");
    let first = client.get("/v2/app/_trust/tuf/timestamp.json").ok().body;
    assert_eq!(client.get("/v2/app/_trust/tuf/timestamp.json").ok().body, first);
    client
        .get("/v2/app/_trust/tuf/2.timestamp.json")
        .refuses(404, "METADATA_NOT_FOUND");
}

#[test]
fn what_expires_soon_is_reported_with_what_to_do() {
    let server = TestServer::start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, "reg/soon", "reg/soon").with_own_snapshot_key();
    let SnapshotKey::Own(snapshot_key) = &publisher.snapshot else {
        panic!("the key is ours")
    };
    let mut targets = Publisher::targets(1);
    targets["expires"] = json!(in_days(30));
    let (root, targets) = (publisher.root_file(1), sign(&targets, &[&publisher.targets]));
    let files: [(&str, &[u8]); 2] = [("root", &root), ("targets", &targets)];
    let snapshot = sign(&Publisher::snapshot(1, &files), &[snapshot_key]);
    client
        .publish("reg/soon", &[files[0], files[1], ("snapshot", &snapshot)])
        .ok();

    let expiry = |within: &str| {
        let mut command = Command::new(built_programs().join("countersign-server"));
        command
            .arg("expiry")
            .arg("--config")
            .arg(server.path().join("server.json"));
        Finished::run(command.args(["--within", within]), "")
    };
    expiry("10d").ok().says("nothing expires within 10 days");
    let found = expiry("90d").fails();
    let found = found.says("reg/soon  targets  expires in 29 days");
    found
        .says("notary witness reg/soon targets --publish")
        .says("Add -s and the URL of this server, and -d ~/.docker/trust if docker made the keys.")
        .does_not_say("  root  ");
    let metrics = client.get("/metrics").ok().text();
    assert!(metrics.contains("notary_server_http_requests_total"), "{metrics}");
}

#[test]
fn the_certificates_of_a_roots_keys_count_too() {
    let mut server = TestServer::start();
    let client = server.client("alice");
    let short = Publisher {
        root: tests::publisher::Key::with_certificate("reg/short", 40),
        ..Publisher::new(&client, "reg/short", "reg/short")
    };
    short.publish_first(&client, "reg/short");
    Publisher::new(&client, "reg/long", "reg/long").publish_first(&client, "reg/long");
    let file = server.path().join("server.json");
    let expiry = |within: &str| {
        let mut command = Command::new(built_programs().join("countersign-server"));
        command.arg("expiry").arg("--config").arg(&file);
        Finished::run(command.args(["--within", within]), "")
    };
    expiry("30d").ok().says("nothing expires within 30 days");
    expiry("90d")
        .fails()
        .says("reg/short  root (the certificates of its keys)  expires in 39 days")
        .says("notary key rotate reg/short root")
        .does_not_say("reg/long");
    let shown = |name: &str| -> chrono::DateTime<chrono::Utc> {
        let found = client.get(&format!("/api/v0/repositories/{name}")).ok().json();
        found["expires"].as_str().unwrap().parse().unwrap()
    };
    let in_60_days = chrono::Utc::now() + chrono::TimeDelta::days(60);
    assert!(shown("reg/short") < in_60_days && shown("reg/long") > in_60_days);
    // The figure is surveyed at the start.
    server.restart_server(Stop::Politely);
    let nearest = || {
        let figures = client.get("/metrics").ok().text();
        let name = "countersign_nearest_expiry_timestamp_seconds{role=\"root\"} ";
        let mut lines = figures.lines();
        lines.find_map(|line| line.strip_prefix(name)?.parse::<i64>().ok())
    };
    wait_until("it is surveyed", || nearest().is_some());
    assert!(nearest().unwrap() < in_60_days.timestamp());
}
