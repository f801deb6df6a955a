//! What deploy gates need of a trust server, as they ask: without a client certificate, file by file, beside publishers.
//! What they need of its token service is in `own_tokens`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use openssl::{sha::sha256, ssl::SslVersion};
use serde_json::{Value, json};
use tests::{
    Client, TestServer,
    http::Response,
    publisher::{Key, Publisher, sign},
};

const GUN: &str = "reg.example:5000/team/app";
/// How often the set is published while a gate reads it over and over.
const PUBLISHES: i64 = 400;

fn path(file: &str) -> String {
    format!("/v2/{GUN}/_trust/tuf/{file}")
}

/// A server that everybody may read, also without a certificate; alice publishes.
fn start() -> TestServer {
    TestServer::builder()
        .set("tls.client_auth", json!("request"))
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["*", "anonymous"], "actions": ["pull"]},
                {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
            ]),
        )
        .start()
}

fn hash_named(document: &Value, role: &str) -> String {
    let base64 = document["signed"]["meta"][role]["hashes"]["sha256"]
        .as_str()
        .unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap();
    hex::encode(bytes)
}

/// Reads the timestamp, and everything else by the checksums that it leads to. Every document has to be there.
fn read_set(gate: &Client) -> [Value; 3] {
    let timestamp = gate.get(&path("timestamp.json")).ok().json();
    let by_checksum = |role: &str, hash: &str| {
        let answer: Response = gate.get(&path(&format!("{role}.{hash}.json"))).ok();
        assert_eq!(hex::encode(sha256(&answer.body)), hash);
        answer.json()
    };
    let snapshot = by_checksum("snapshot", &hash_named(&timestamp, "snapshot"));
    let targets = by_checksum("targets", &hash_named(&snapshot, "targets"));
    by_checksum("root", &hash_named(&snapshot, "root"));
    [timestamp, snapshot, targets]
}

#[test]
fn a_gate_without_a_certificate_reads_by_tls_and_learns_that_it_may() {
    let server = start();
    let gate = server.client_without_certificate();
    assert_eq!(gate.get("/v2/").status, 200);
    assert_eq!(gate.get("/_notary_server/health").status, 200);
    let alice = server.client("alice");
    Publisher::new(&alice, GUN, GUN).publish_first(&alice, GUN);
    read_set(&gate);
    // It writes nothing.
    assert_eq!(gate.delete(&path("")).status, 401);
    // TLS 1.2 is enough, and the certificate names the server in a subjectAltName.
    let files = server.pki().user("alice");
    let stream = Client::with_version(server.port(), &files, SslVersion::TLS1_2)
        .connect()
        .unwrap();
    let certificate = stream.ssl().peer_certificate().unwrap();
    let names = certificate.subject_alt_names().unwrap();
    assert!(names.iter().any(|name| name.dnsname() == Some("localhost")));
}

#[test]
fn keys_and_documents_have_the_form_that_gates_parse() {
    let server = start();
    let (alice, gate) = (server.client("alice"), server.client_without_certificate());
    let mut publisher = Publisher::new(&alice, GUN, GUN);
    for key in [
        &publisher.timestamp,
        &alice.get(&path("snapshot.key")).ok().json(),
    ] {
        assert_eq!(key["keytype"], "ecdsa");
        assert_eq!(key["keyval"]["private"], Value::Null);
        assert!(key["keyval"].as_object().unwrap().contains_key("private"));
    }
    // Uploads are served byte for byte, by role, version and checksum.
    let (root, targets) = (publisher.root_file(1), publisher.targets_file(1));
    alice.publish(GUN, &[("root", &root), ("targets", &targets)]).ok();
    for (role, file) in [("root", &root), ("targets", &targets)] {
        let checksum = hex::encode(sha256(file));
        for name in [
            format!("{role}.json"),
            format!("1.{role}.json"),
            format!("{role}.{checksum}.json"),
        ] {
            assert_eq!(gate.get(&path(&name)).ok().body, *file, "{name}");
        }
    }
    // What the server makes is compact, with sorted keys, the signed part first.
    for role in ["timestamp", "snapshot"] {
        let text = gate.get(&path(&format!("{role}.json"))).ok().text();
        assert!(text.starts_with(r#"{"signed":{"_type":""#), "{text}");
        assert!(text.contains(r#"},"signatures":["#), "{text}");
        assert!(!text.contains(": ") && !text.contains(", "), "{text}");
    }
    // A delegation that is declared and was never published is a 404 with a body.
    let delegate = Key::generate();
    let delegating = Publisher::delegating(2, "targets/releases", &delegate);
    alice
        .publish(GUN, &[("targets", &sign(&delegating, &[&publisher.targets]))])
        .ok();
    gate.get(&path("targets/releases.json"))
        .refuses(404, "METADATA_NOT_FOUND");
    // Every version of the root stays, by version and by checksum.
    let old = publisher.root.clone();
    publisher.root = Key::with_certificate(GUN, 365);
    let second = sign(&publisher.root(2), &[&publisher.root, &old]);
    alice.publish(GUN, &[("root", &second)]).ok();
    for (version, file) in [(1, &root), (2, &second)] {
        let checksum = hex::encode(sha256(file));
        assert_eq!(gate.get(&path(&format!("{version}.root.json"))).ok().body, *file);
        assert_eq!(gate.get(&path(&format!("root.{checksum}.json"))).ok().body, *file);
    }
}

#[test]
fn whoever_reads_the_set_over_and_over_during_400_publishes_always_gets_all_of_it() {
    let server = start();
    let (alice, gate) = (server.client("alice"), server.client_without_certificate());
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    let (is_done, sets) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut newest = 0;
            while !is_done.load(SeqCst) {
                let [timestamp, ..] = read_set(&gate);
                let version = timestamp["signed"]["version"].as_i64().unwrap();
                assert!(version >= newest, "{version} after {newest}");
                newest = version;
                sets.fetch_add(1, SeqCst);
            }
        });
        for version in 2..2 + PUBLISHES {
            let targets = publisher.targets_file(version);
            alice.publish(GUN, &[("targets", &targets)]).ok();
        }
        is_done.store(true, SeqCst);
    });
    let [_, _, targets] = read_set(&gate);
    assert_eq!(targets["signed"]["version"], PUBLISHES + 1);
    assert!(sets.load(SeqCst) > 10, "{sets:?}");
}
