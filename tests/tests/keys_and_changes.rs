//! Reads of the server's public keys, the changefeed, health and metrics.

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{pkey::PKey, sha::sha256};
use serde_json::{Value, json};
use tests::{Client, Stop, TestServer, process::wait_until, publisher::Publisher};

fn key_path(gun: &str, role: &str) -> String {
    format!("/v2/{gun}/_trust/tuf/{role}.key")
}

/// The server's key, after a check of its form.
#[track_caller]
fn key(client: &Client, method: &str, gun: &str, role: &str) -> Value {
    let response = client.request(method, &key_path(gun, role), &[], b"ignored").ok();
    let key = response.json();
    let (kind, public) = (&key["keytype"], &key["keyval"]["public"]);
    let expected = format!(r#"{{"keytype":{kind},"keyval":{{"public":{public},"private":null}}}}"#);
    assert_eq!(response.text(), expected);
    key
}

fn public(key: &Value) -> Vec<u8> {
    STANDARD
        .decode(key["keyval"]["public"].as_str().unwrap())
        .unwrap()
}

#[test]
fn a_key_is_the_same_until_it_has_signed_and_a_rotation_starts_the_next_one() {
    let server = TestServer::start();
    let client = server.client("alice");
    let gun = "reg/app";
    for role in ["timestamp", "snapshot"] {
        let first = key(&client, "GET", gun, role);
        assert_eq!(first["keytype"], "ecdsa");
        assert_eq!(PKey::public_key_from_der(&public(&first)).unwrap().bits(), 256);
        assert_eq!(key(&client, "GET", gun, role), first);
        assert_eq!(key(&client, "POST", gun, role), first);
        assert_ne!(key(&client, "GET", "reg/other", role), first);
    }
    assert_ne!(
        key(&client, "GET", gun, "timestamp"),
        key(&client, "GET", gun, "snapshot")
    );

    let publisher = Publisher::new(&client, gun, gun);
    publisher.publish_first(&client, gun);
    let used = publisher.timestamp.clone();
    let next = key(&client, "POST", gun, "timestamp");
    assert_ne!(next, used);
    assert_eq!(key(&client, "POST", gun, "timestamp"), next);
    // Until a root names it, the one in the root is the key.
    assert_eq!(key(&client, "GET", gun, "timestamp"), used);
    let rotated = Publisher {
        timestamp: next.clone(),
        ..publisher
    };
    client.publish(gun, &[("root", &rotated.root_file(2))]).ok();
    assert_eq!(key(&client, "GET", gun, "timestamp"), next);
    let timestamp = client.get("/v2/reg/app/_trust/tuf/timestamp.json").ok().json();
    assert_eq!(
        timestamp["signatures"][0]["keyid"],
        tests::publisher::key_id(&next)
    );

    // Keys outlive their repository, but a used one is not handed out again.
    client.delete("/v2/reg/app/_trust/tuf/").ok();
    let anew = key(&client, "GET", gun, "timestamp");
    assert!(anew != next && anew != used);
}

#[test]
fn a_publisher_who_holds_the_snapshot_key_is_offered_another() {
    let server = TestServer::start();
    let client = server.client("alice");
    server.notary("alice").run(["init", "reg/app", "-p"]).ok();
    let offered = key(&client, "GET", "reg/app", "snapshot");
    let root = client.get("/v2/reg/app/_trust/tuf/root.json").ok().json();
    let listed = root["signed"]["roles"]["snapshot"]["keyids"]
        .as_array()
        .unwrap()
        .clone();
    assert!(!listed.contains(&json!(tests::publisher::key_id(&offered))));
}

#[test]
fn keys_are_of_the_configured_kind_and_ed25519_with_a_local_service() {
    let server = TestServer::builder()
        .set("trust_service.key_algorithm", json!("ed25519"))
        .start();
    let client = server.client("alice");
    let first = key(&client, "GET", "reg/app", "timestamp");
    assert_eq!((&first["keytype"], public(&first).len()), (&json!("ed25519"), 32));
    assert_eq!(key(&client, "GET", "reg/app", "timestamp"), first);
    Publisher::new(&client, "reg/app", "reg/app").publish_first(&client, "reg/app");

    let server = TestServer::builder().signs_locally().start();
    let client = server.client("alice");
    let first = key(&client, "GET", "reg/app", "timestamp");
    assert_eq!((&first["keytype"], public(&first).len()), (&json!("ed25519"), 32));
    assert_ne!(key(&client, "GET", "reg/other", "timestamp"), first);
    Publisher::new(&client, "reg/app", "reg/app").publish_first(&client, "reg/app");
    server.notary("bob").run(["init", "reg/cli", "-p"]).ok();
    server.notary("bob").add_and_publish("reg/cli", "v1", "one");
}

/// The ids of the changes that a query finds; none of them is uncounted.
#[track_caller]
fn ids(client: &Client, path: &str, query: &str) -> Vec<i64> {
    let found = client.get(&format!("{path}?{query}")).ok().json();
    let records = found["records"].as_array().unwrap();
    assert_eq!(found["count"], records.len(), "{query}");
    records
        .iter()
        .map(|record| record["ID"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn changes_are_paged_as_the_table_of_the_contract_says() {
    const ALL: &str = "/v2/_trust/changefeed";
    const ONE: &str = "/v2/reg/one/_trust/changefeed";
    let server = TestServer::start();
    let client = server.client("alice");
    let empty = client.get(&format!("{ALL}?records=5")).ok();
    assert_eq!(empty.json(), json!({"count": 0, "records": []}));
    for gun in ["reg/one", "reg/two"] {
        let publisher = Publisher::new(&client, gun, gun);
        publisher.publish_first(&client, gun);
        for version in 2..=4 {
            client
                .publish(gun, &[("targets", &publisher.targets_file(version))])
                .ok();
        }
    }
    client.publish("reg/one", &[]).ok();

    let all = ids(&client, ALL, "records=100");
    assert_eq!(all.len(), 9);
    assert!(all.is_sorted());
    let one = ids(&client, ONE, "records=100");
    assert_eq!(one, [&all[..4], &all[8..]].concat());
    for (path, rows) in [(ALL, &all), (ONE, &one)] {
        let (count, k) = (rows.len(), rows[2]);
        let cases = [
            ("records=2".to_owned(), &rows[..2]),
            ("records=2&change_id=0".to_owned(), &rows[..2]),
            ("records=2&change_id=".to_owned(), &rows[..2]),
            ("records=+2&change_id=0".replace('+', "%2B"), &rows[..2]),
            ("records=-2".to_owned(), &rows[count - 2..]),
            ("records=-2&change_id=0".to_owned(), &rows[count - 2..]),
            (format!("records=2&change_id={k}"), &rows[3..5]),
            (format!("records=-2&change_id={k}"), &rows[..2]),
            (format!("records=-1&change_id={k}"), &rows[1..2]),
            ("records=2&change_id=-7".to_owned(), &rows[count - 2..]),
            ("records=-2&change_id=-7".to_owned(), &rows[count - 2..]),
            ("records=0".to_owned(), &rows[..]),
            ("records=-100".to_owned(), &rows[..]),
            ("records=2147483647".to_owned(), &rows[..]),
            ("records=2&records=x".to_owned(), &rows[..2]),
            (format!("records=5&change_id={}", rows[count - 1]), &rows[..0]),
            (format!("records=-5&change_id={}", rows[0]), &rows[..0]),
        ];
        for (query, expected) in cases {
            assert_eq!(ids(&client, path, &query), expected, "{path}?{query}");
        }
        for query in [
            "",
            "records=",
            "records=abc",
            "records=1.5",
            "records=2147483648",
            "Records=1",
        ] {
            let error = client
                .get(&format!("{path}?{query}"))
                .refuses(400, "INVALID_PARAMETERS");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.starts_with("invalid records parameter"), "{detail}");
        }
        for id in ["x", "1.5", "99999999999"] {
            let path = format!("{path}?records=1&change_id={id}");
            client.get(&path).refuses(400, "INVALID_PARAMETERS");
        }
    }
    assert_eq!(
        ids(&client, "/v2/reg/never/_trust/changefeed", "records=5"),
        [0; 0]
    );
    assert_eq!(ids(&client, "/v2/reg/_trust/changefeed", "records=5"), [0; 0]);
}

#[test]
fn changes_say_what_happened_when_to_which_repository() {
    let server = TestServer::start();
    let client = server.client("alice");
    let (gun, before) = ("reg/app", chrono::Utc::now());
    Publisher::new(&client, gun, gun).publish_first(&client, gun);
    let timestamp = client.get("/v2/reg/app/_trust/tuf/timestamp.json").ok().body;
    client.delete("/v2/reg/app/_trust/tuf/").ok();
    client.delete("/v2/reg/app/_trust/tuf/").ok();
    let found = client.get("/v2/_trust/changefeed?records=10").ok().json();
    let records = found["records"].as_array().unwrap();
    assert_eq!(records.len(), 2, "deleting nothing is no change: {found}");
    let names: Vec<&String> = records[0].as_object().unwrap().keys().collect();
    assert_eq!(names, ["ID", "CreatedAt", "GUN", "Version", "SHA256", "Category"]);
    let checksum = hex::encode(sha256(&timestamp));
    let expected = [(1, checksum.as_str(), "update"), (0, "", "deletion")];
    for (record, (version, checksum, category)) in records.iter().zip(expected) {
        assert!(record["ID"].is_string());
        assert_eq!(record["GUN"], gun);
        let said = (&record["Version"], &record["SHA256"], &record["Category"]);
        assert_eq!(said, (&json!(version), &json!(checksum), &json!(category)));
        let at = chrono::DateTime::parse_from_rfc3339(record["CreatedAt"].as_str().unwrap()).unwrap();
        let at = at.to_utc();
        assert!(at >= before - chrono::TimeDelta::seconds(1) && at <= chrono::Utc::now());
    }
}

#[test]
fn health_names_the_signer_while_it_is_away_and_recovers() {
    const HEALTH: &str = "/_notary_server/health";
    let mut server = TestServer::builder().requests_certificates().start();
    let client = server.client_without_certificate();
    let well = client.get(HEALTH).ok();
    assert_eq!(well.text(), "{}");
    assert!(
        well.header("content-type")
            .unwrap()
            .starts_with("application/json")
    );
    server.stop_signer(Stop::AtOnce);
    wait_until("the server notices that the signer is away", || {
        client.get(HEALTH).status == 503
    });
    let ill = client.get(HEALTH).json();
    let failing: Vec<&String> = ill.as_object().unwrap().keys().collect();
    assert_eq!(failing, ["Trust operational"]);
    assert!(
        ill["Trust operational"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    );
    server.start_signer();
    wait_until("the server notices that the signer is back", || {
        client.get(HEALTH).status == 200
    });
    assert_eq!(client.get(HEALTH).text(), "{}");
}

#[test]
fn figures_have_the_names_of_the_reference() {
    let server = TestServer::builder().requests_certificates().start();
    let (client, gun) = (server.client("alice"), "reg/app");
    Publisher::new(&client, gun, gun).publish_first(&client, gun);
    let base = "/v2/reg/app/_trust/tuf";
    let root = client.get(&format!("{base}/root.json")).ok().body;
    client.get(&format!("{base}/1.root.json")).ok();
    client.get(&format!("{base}/9.root.json"));
    client
        .get(&format!("{base}/root.{}.json", hex::encode(sha256(&root))))
        .ok();
    client.request("POST", &key_path(gun, "timestamp"), &[], &[]).ok();
    client.get("/v2/reg/app/_trust/changefeed?records=1").ok();
    client.delete(&format!("{base}/")).ok();

    let answer = server.client_without_certificate().get("/metrics").ok();
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let figures = answer.text();
    let count = |operation: &str, method: &str, code: &str| {
        let wanted = [("operation", operation), ("method", method), ("code", code)];
        let line = figures.lines().find(|line| {
            line.starts_with("notary_server_http_requests_total{")
                && wanted
                    .iter()
                    .all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")))
        });
        line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
    };
    for (operation, method, code, times) in [
        ("UpdateTUF", "post", "200", "1"),
        ("GetRole", "get", "200", "1"),
        ("GetRoleByVersion", "get", "200", "1"),
        ("GetRoleByVersion", "get", "404", "1"),
        ("GetRoleByHash", "get", "200", "1"),
        ("GetKey", "get", "200", "2"),
        ("RotateKey", "post", "200", "1"),
        ("Changefeed", "get", "200", "1"),
        ("DeleteTUF", "delete", "200", "1"),
    ] {
        assert_eq!(
            count(operation, method, code).as_deref(),
            Some(times),
            "{operation} {code}:\n{figures}"
        );
    }
    for name in [
        "request_duration_microseconds",
        "request_size_bytes",
        "response_size_bytes",
    ] {
        let name = format!("notary_server_http_{name}");
        assert!(
            figures.contains(&format!("# TYPE {name} summary")),
            "{name}:\n{figures}"
        );
        let size = figures.lines().find(|line| {
            line.starts_with(&format!("{name}_sum{{")) && line.contains("operation=\"GetRoleByVersion\"")
        });
        let size = size.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        let bodies = if name.contains("request_size") { 0.0 } else { 1.0 };
        assert!(size.is_some_and(|size| size >= bodies), "{name}: {size:?}");
        let quantile = figures
            .lines()
            .any(|line| line.starts_with(&format!("{name}{{")) && line.contains("quantile=\"0.99\""));
        assert!(quantile, "{name}");
    }
}
