//! Keys that are requested and never used: each principal may have a limited number, for a limited time.

use serde_json::json;
use tests::{TestServer, process::wait_until, publisher::Publisher};

fn key(gun: &str, role: &str) -> String {
    format!("/v2/{gun}/_trust/tuf/{role}.key")
}

#[test]
fn a_client_that_requests_many_keys_and_uses_none_is_stopped_and_others_are_not() {
    let server = TestServer::builder().set("limits.pending_keys", json!(6)).start();
    let (alice, mallory) = (server.client("alice"), server.client("mallory"));
    for number in 0..3 {
        for role in ["snapshot", "timestamp"] {
            mallory.get(&key(&format!("reg/mallory/{number}"), role)).ok();
        }
    }
    for method in ["GET", "POST", "HEAD"] {
        let refused = mallory.request(method, &key("reg/mallory/more", "snapshot"), &[], &[]);
        assert_eq!(refused.status, 400, "{method}: {}", refused.text());
    }
    let refused = mallory.get(&key("reg/mallory/more", "snapshot"));
    refused.rejects(
        "ErrValidation",
        "6 keys that you asked for are in no repository yet",
    );
    assert_eq!(server.rows(&["key_id"], "pending_keys").len(), 6);
    let signer = std::fs::read_to_string(server.path().join("signer.log")).unwrap();
    assert_eq!(signer.matches("CreateKey granted").count(), 6);
    // What waits is given again, and what is published counts no more.
    let again = mallory.get(&key("reg/mallory/0", "snapshot")).ok().body;
    assert_eq!(mallory.get(&key("reg/mallory/0", "snapshot")).ok().body, again);
    Publisher::new(&mallory, "reg/mallory/0", "reg/mallory/0").publish_first(&mallory, "reg/mallory/0");
    mallory.get(&key("reg/mallory/more", "snapshot")).ok();
    // Everybody has their own.
    Publisher::new(&alice, "reg/alice", "reg/alice").publish_first(&alice, "reg/alice");
}

#[test]
fn the_notary_cli_prints_the_reason() {
    let server = TestServer::builder().set("limits.pending_keys", json!(2)).start();
    let client = server.client("alice");
    for role in ["snapshot", "timestamp"] {
        client.get(&key("reg/unused", role)).ok();
    }
    let refused = server.notary("alice").run(["init", "reg/app", "-p"]).fails();
    refused.says("2 keys that you asked for are in no repository yet");
    client
        .get("/v2/reg/app/_trust/tuf/root.json")
        .refuses(404, "METADATA_NOT_FOUND");
}

#[test]
fn a_key_that_no_root_names_is_deleted_and_a_named_one_stays() {
    let server = TestServer::builder()
        .set("limits.pending_keys_kept", json!("2s"))
        .start();
    let client = server.client("alice");
    let publisher = Publisher::new(&client, "reg/used", "reg/used");
    publisher.publish_first(&client, "reg/used");
    // A rotation that is asked for counts until a root names its key.
    let late = Publisher::new(&client, "reg/late", "reg/late");
    let waiting = || {
        let state = "CASE WHEN swept_at IS NULL THEN 'waits' ELSE 'given up' END";
        let rows = server.rows(&["gun", state], "pending_keys").into_iter();
        rows.filter(|row| row == &["reg/late", "waits"]).count()
    };
    assert_eq!(waiting(), 2);
    wait_until("nobody waits for the keys any more", || waiting() == 0);
    let log = server.log();
    assert!(log.contains("deleting a key that no root names"), "{log}");
    wait_until("the signer has deleted them", || {
        let signer = std::fs::read_to_string(server.path().join("signer.log")).unwrap();
        signer.matches("DeleteKey granted").count() >= 2
    });
    // A root that names them comes too late, and says so; with new keys it goes.
    let refused = client.publish(
        "reg/late",
        &[("root", &late.root_file(1)), ("targets", &late.targets_file(1))],
    );
    assert_eq!(refused.status, 400, "{}", refused.text());
    Publisher::new(&client, "reg/late", "reg/late").publish_first(&client, "reg/late");
    // What is in use goes on.
    client
        .publish("reg/used", &[("targets", &publisher.targets_file(2))])
        .ok();
    assert!(server.rows(&["key_id"], "pending_keys").len() <= 2 + 2);
}
