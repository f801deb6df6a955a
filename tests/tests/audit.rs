//! The audit's sinks: one record for each decision.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tests::{
    Client, Finished, TestServer,
    process::{built_programs, wait_until},
    publisher::Publisher,
};

const POLICY: &str = r#"[
    {"name": "readers", "effect": "allow", "principals": ["alice", "bob"], "actions": ["pull"]},
    {"name": "writers", "effect": "allow", "principals": ["alice"], "actions": ["push", "init", "delete", "rotate-key"]},
    {"name": "auditors", "effect": "allow", "principals": ["carol"], "actions": ["changefeed"]}
]"#;

fn policy() -> Value {
    serde_json::from_str(POLICY).unwrap()
}

fn records_of(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    // The last line may be on its way.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn sink(server: &TestServer) -> PathBuf {
    server.path().join("audit.json")
}

/// The record of the request with this name.
#[track_caller]
fn record(server: &TestServer, request_id: &str) -> Value {
    let find = || {
        let found: Vec<Value> = records_of(&sink(server))
            .into_iter()
            .filter(|record| record["request_id"] == request_id)
            .collect();
        assert!(found.len() <= 1, "{found:?}");
        found.into_iter().next()
    };
    wait_until(&format!("{request_id} is recorded"), || find().is_some());
    find().unwrap()
}

fn named(client: &Client, method: &str, path: &str, request_id: &str) -> tests::Response {
    client.request(method, path, &[("X-Request-Id", request_id)], &[])
}

#[test]
fn every_decision_has_one_record_that_says_who_what_and_why() {
    let server = TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .set("policy", policy())
        .set("audit", json!({"sinks": ["file:audit.json"]}))
        .start();
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    let publisher = Publisher::new(&alice, "reg/app", "reg/app");
    let published = publisher.publish_first(&alice, "reg/app");
    let published = record(&server, published.header("x-request-id").unwrap());
    assert_eq!(published["decision"], "allowed", "{published:#}");
    assert_eq!(published["kind"], "request");
    assert_eq!(published["action"], "push");
    assert_eq!(published["gun"], "reg/app");
    assert_eq!(published["principal"], "alice");
    assert_eq!(published["auth_method"], "TLSClientCertificate");
    assert_eq!(published["policy_rule"], "writers");
    assert_eq!(published["http_status"], 200);
    assert_eq!(published["listener"], "http_addr");
    assert_eq!(published["tls_version"], "TLSv1.3");
    assert_eq!(published["config_generation"], 1);
    assert_eq!(published["chain_len"], 2);
    assert!(published["cert"]["subject"].as_str().unwrap().contains("alice"));
    assert_eq!(published["cert"]["x5t_s256"].as_str().unwrap().len(), 64);
    let documents = published["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 4, "{documents:?}");
    assert_eq!(published["table"]["sequence"], 1);

    let timestamp = "/v2/reg/app/_trust/tuf/timestamp.json";
    named(&bob, "GET", timestamp, "bob-reads").ok();
    let read = record(&server, "bob-reads");
    assert_eq!(
        (&read["action"], &read["role"]),
        (&json!("pull"), &json!("timestamp"))
    );
    assert_eq!(
        (&read["decision"], &read["policy_rule"]),
        (&json!("allowed"), &json!("readers"))
    );

    named(&bob, "DELETE", "/v2/reg/app/_trust/tuf/", "bob-deletes").refuses(403, "DENIED");
    let denied = record(&server, "bob-deletes");
    assert_eq!(
        (&denied["decision"], &denied["http_status"]),
        (&json!("denied"), &json!(403))
    );
    assert_eq!(denied["reason"], "bob may not delete reg/app");
    assert_eq!(denied["table"], Value::Null);

    let nobody = server.client_without_certificate();
    named(&nobody, "GET", timestamp, "nobody-reads").refuses(401, "UNAUTHORIZED");
    let unknown = record(&server, "nobody-reads");
    assert_eq!(
        (&unknown["decision"], &unknown["principal"]),
        (&json!("denied"), &json!("anonymous"))
    );

    let expired = server.client_with(&server.pki().expired());
    named(&expired, "GET", timestamp, "expired-reads").refuses(401, "UNAUTHORIZED");
    let refused = record(&server, "expired-reads");
    assert_eq!(refused["principal"], "anonymous");
    assert!(
        refused["cert"]["subject"].as_str().unwrap().contains("expired"),
        "{refused:#}"
    );
    assert!(refused["reason"].as_str().unwrap().contains("expired"));

    named(
        &alice,
        "GET",
        "/v2/reg/app/_trust/tuf/targets/no.json",
        "nothing-there",
    )
    .refuses(404, "METADATA_NOT_FOUND");
    let missing = record(&server, "nothing-there");
    assert_eq!(
        (&missing["decision"], &missing["http_status"]),
        (&json!("allowed"), &json!(404))
    );

    // Health is nobody's decision.
    named(&alice, "GET", "/_notary_server/health", "healthy").ok();
    named(&alice, "GET", "/v2/", "last").ok();
    record(&server, "last");
    assert!(
        records_of(&sink(&server))
            .iter()
            .all(|record| record["request_id"] != "healthy")
    );
}

#[test]
fn a_request_keeps_a_valid_id_and_gets_a_new_one_otherwise() {
    let server = TestServer::builder()
        .signs_locally()
        .set("audit", json!({"sinks": ["file:audit.json"]}))
        .start();
    let alice = server.client("alice");
    let answered = named(&alice, "GET", "/v2/", "from-the-proxy_7");
    assert_eq!(answered.header("x-request-id"), Some("from-the-proxy_7"));
    assert!(server.log().contains("from-the-proxy_7"));
    let long = "x".repeat(200);
    for bad in ["a b", "a\"b", "<x>", long.as_str(), ""] {
        let answered = named(&alice, "GET", "/v2/", bad);
        let name = answered.header("x-request-id").unwrap();
        assert_eq!(name.len(), 36, "{bad:?} became {name:?}");
        record(&server, name);
    }
}

#[test]
fn reads_can_be_left_out_but_not_refused_ones() {
    let server = TestServer::builder()
        .signs_locally()
        .set("policy", policy())
        .set("audit", json!({"sinks": ["file:audit.json"], "reads": false}))
        .start();
    let timestamp = "/v2/reg/app/_trust/tuf/timestamp.json";
    named(&server.client("bob"), "GET", timestamp, "allowed");
    named(&server.client("eve"), "GET", timestamp, "denied").refuses(403, "DENIED");
    named(
        &server.client("alice"),
        "DELETE",
        "/v2/reg/app/_trust/tuf/",
        "deleted",
    )
    .ok();
    record(&server, "denied");
    record(&server, "deleted");
    assert_eq!(records_of(&sink(&server)).len(), 2);
}

#[test]
fn a_key_that_is_made_is_recorded_like_a_change() {
    let server = TestServer::builder()
        .signs_locally()
        .set("policy", policy())
        .set("audit", json!({"sinks": ["file:audit.json"], "reads": false}))
        .start();
    let alice = server.client("alice");
    named(
        &alice,
        "GET",
        "/v2/reg/app/_trust/tuf/snapshot.key",
        "makes-a-key",
    )
    .ok();
    let made = record(&server, "makes-a-key");
    assert_eq!(
        (&made["action"], &made["decision"], &made["policy_rule"]),
        (&json!("read-key"), &json!("allowed"), &json!("writers"))
    );
    // Afterwards the same request only reads.
    Publisher::new(&alice, "reg/app", "reg/app").publish_first(&alice, "reg/app");
    named(
        &alice,
        "GET",
        "/v2/reg/app/_trust/tuf/snapshot.key",
        "reads-a-key",
    )
    .ok();
    named(&alice, "DELETE", "/v2/reg/app/_trust/tuf/", "last").ok();
    record(&server, "last");
    assert!(
        records_of(&sink(&server))
            .iter()
            .all(|record| record["request_id"] != "reads-a-key")
    );
}

#[test]
fn denied_clients_are_recorded_by_name_and_certificate() {
    let server = TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .set("audit", json!({"sinks": ["file:audit.json"], "reads": false}))
        .start();
    let config = server.path().join("server.json").display().to_string();
    server
        .run_server_program("deny", ["add", "--config", &config, "--principal", "mallory"])
        .ok();
    named(&server.client("mallory"), "GET", "/v2/", "barred").refuses(401, "UNAUTHORIZED");
    let barred = record(&server, "barred");
    assert_eq!(
        (&barred["principal"], &barred["decision"]),
        (&json!("mallory"), &json!("denied"))
    );
    assert!(
        barred["cert"]["subject"].as_str().unwrap().contains("mallory")
            && barred["cert"]["x5t_s256"].is_string(),
        "{barred:#}"
    );
}

#[test]
fn passwords_that_are_guessed_at_an_open_route_are_recorded() {
    let prepared = TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .set("auth", json!({"password": {"enabled": true, "file": "users"}}))
        .set("audit", json!({"sinks": ["file:audit.json"], "reads": false}))
        .prepare();
    let users = format!("alice:{}\n", bcrypt::hash("right", 4).unwrap());
    fs::write(prepared.path().join("users"), users).unwrap();
    let server = prepared.start();
    let nobody = server.client_without_certificate();
    let guess = |password: &str, request_id: &str| {
        let encoded = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("alice:{password}"),
        );
        let header = format!("Basic {encoded}");
        let headers = [("Authorization", header.as_str()), ("X-Request-Id", request_id)];
        nobody.request("GET", "/health", &headers, &[]).ok();
    };
    guess("wrong", "guessed");
    guess("right", "known");
    named(&nobody, "GET", "/health", "probed").ok();
    let guessed = record(&server, "guessed");
    assert_eq!(
        (&guessed["decision"], &guessed["action"], &guessed["http_status"]),
        (&json!("denied"), &json!("health"), &json!(200))
    );
    assert!(
        guessed["reason"].as_str().unwrap().contains("\"alice\""),
        "{guessed:#}"
    );
    // The same guess where an identity is needed, and nothing of probes and reads.
    assert_eq!(records_of(&sink(&server)).len(), 1);
}

#[test]
fn a_failed_handshake_is_recorded_with_its_reason() {
    let server = TestServer::builder()
        .signs_locally()
        .set("audit", json!({"sinks": ["file:audit.json"]}))
        .start();
    let ping = b"GET /v2/ HTTP/1.0\r\n\r\n";
    assert!(server.client_without_certificate().raw(ping).is_err());
    assert!(server.client_with(&server.pki().expired()).raw(ping).is_err());
    let failed = || {
        let records = records_of(&sink(&server)).into_iter();
        records
            .filter(|record| record["kind"] == "handshake")
            .collect::<Vec<_>>()
    };
    wait_until("both are recorded", || failed().len() == 2);
    let failed = failed();
    assert!(failed.iter().all(|record| record["decision"] == "denied"));
    assert!(
        failed
            .iter()
            .all(|record| record["peer_addr"].as_str().unwrap().starts_with("127.0.0.1:"))
    );
    assert!(
        failed
            .iter()
            .any(|record| record["reason"].as_str().unwrap().contains("expired")),
        "{failed:#?}"
    );
}

#[test]
fn syslog_and_standard_output_get_the_same_records() {
    let prepared = TestServer::builder()
        .signs_locally()
        .set("audit", json!({"sinks": ["syslog:log.socket", "stdout"]}))
        .prepare();
    let socket = prepared.path().join("log.socket");
    let daemon = UnixDatagram::bind(&socket).unwrap();
    daemon.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let server = prepared.start();
    let alice = server.client("alice");
    named(&alice, "GET", "/v2/", "to-syslog").ok();
    let receive = |daemon: &UnixDatagram| {
        let mut buffer = [0; 16 * 1024];
        let length = daemon.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let message = receive(&daemon);
    assert!(message.starts_with("<110>1 "), "{message}");
    let record: Value = serde_json::from_str(&message[message.find('{').unwrap()..]).unwrap();
    assert_eq!(record["request_id"], "to-syslog");
    wait_until("it is on the standard output", || {
        let log = server.log();
        log.lines()
            .any(|line| line.contains("\"kind\":\"request\"") && line.contains("to-syslog"))
    });
    // A daemon that was started anew.
    drop(daemon);
    fs::remove_file(&socket).unwrap();
    let daemon = UnixDatagram::bind(&socket).unwrap();
    daemon.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    named(&alice, "GET", "/v2/", "again").ok();
    assert!(receive(&daemon).contains("again"));
}

#[test]
fn a_renamed_file_is_reopened_at_sighup() {
    let server = TestServer::builder()
        .signs_locally()
        .set("audit", json!({"sinks": ["file:audit.json"]}))
        .start();
    let alice = server.client("alice");
    named(&alice, "GET", "/v2/", "before").ok();
    record(&server, "before");
    let old = server.path().join("audit.1");
    fs::rename(sink(&server), &old).unwrap();
    named(&alice, "GET", "/v2/", "meanwhile").ok();
    let hang_up = format!("kill -HUP {}", server.server_id());
    Finished::run(Command::new("sh").arg("-c").arg(hang_up), "").ok();
    wait_until("the file is there again", || sink(&server).exists());
    named(&alice, "GET", "/v2/", "after").ok();
    record(&server, "after");
    let kept: Vec<Value> = records_of(&old)
        .iter()
        .map(|record| record["request_id"].clone())
        .collect();
    assert_eq!(kept, ["before", "meanwhile"]);
}

#[test]
fn an_unknown_sink_and_an_unwritable_file_prevent_the_start() {
    for (sink, complaint) in [
        ("journal", "allowed: file:PATH, stdout, syslog, syslog:SOCKET"),
        ("file:", "allowed: file:PATH"),
    ] {
        let prepared = TestServer::builder()
            .set("audit", json!({"sinks": [sink]}))
            .prepare();
        let mut check = Command::new(built_programs().join("countersign-server"));
        check
            .arg("check-config")
            .arg("--config")
            .arg(prepared.path().join("server.json"));
        Finished::run(&mut check, "")
            .fails()
            .says("audit.sinks")
            .says(complaint);
    }
    let prepared = TestServer::builder()
        .signs_locally()
        .set("audit", json!({"sinks": ["file:no/such/directory/audit.json"]}))
        .prepare();
    let mut start = Command::new(built_programs().join("countersign-server"));
    start.arg("--config").arg(prepared.path().join("server.json"));
    Finished::run(&mut start, "")
        .fails()
        .says("audit.sinks: cannot write to")
        .says("no/such/directory/audit.json");
}
