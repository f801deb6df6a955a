//! SIGHUP: loads new certificates without a restart, and changes nothing if something is wrong with them.

use std::{
    fs,
    io::{Read, Write},
    process::Command,
};

use serde_json::json;
use tests::{Finished, TestServer, process::wait_until};

fn hang_up(server: &TestServer) {
    Finished::run(
        Command::new("sh")
            .arg("-c")
            .arg(format!("kill -HUP {}", server.server_id())),
        "",
    )
    .ok();
}

#[test]
fn a_new_server_certificate_is_shown_after_sighup_and_open_connections_stay() {
    let server = TestServer::builder().set("reload.watch", json!(false)).start();
    let before = server.shown_serial();
    let mut open = server.client("alice").connect().unwrap();
    server.pki().daemon("server", &[], &[]);
    assert_eq!(
        server.shown_serial(),
        before,
        "nobody has asked for the new one yet"
    );
    hang_up(&server);
    wait_until("the new certificate is shown", || server.shown_serial() != before);
    open.write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = [0; 512];
    let length = open.read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_new_client_ca_lets_its_clients_in_and_the_old_ones_out() {
    let server = TestServer::start();
    let stranger = server.pki().stranger("bob");
    assert!(
        server
            .client_with(&stranger)
            .raw(b"GET /v2/ HTTP/1.0\r\n\r\n")
            .is_err()
    );
    let alice = server.pki().user("alice");
    fs::write(
        server.path().join("pki/new-ca.pem"),
        fs::read(server.pki().stranger_ca()).unwrap(),
    )
    .unwrap();
    let path = server.path().join("server.json");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        config.replace(
            "\"client_ca_file\":\"pki/ca.pem\"",
            "\"client_ca_file\":\"pki/new-ca.pem\"",
        ),
    )
    .unwrap();
    hang_up(&server);
    wait_until("the new CA's client gets in", || {
        server
            .client_with(&stranger)
            .raw(b"GET /v2/ HTTP/1.0\r\n\r\n")
            .is_ok_and(|answer| answer.status == 200)
    });
    assert!(
        server
            .client_with(&alice)
            .raw(b"GET /v2/ HTTP/1.0\r\n\r\n")
            .is_err()
    );
}

#[test]
fn a_bad_file_changes_nothing_and_is_logged() {
    let server = TestServer::builder().set("reload.watch", json!(false)).start();
    let before = server.shown_serial();
    fs::write(server.path().join("pki/server.pem"), "not a certificate").unwrap();
    hang_up(&server);
    wait_until("the refusal is logged", || {
        server.log().contains("the reload was refused")
    });
    assert!(
        server.log().contains("server.pem: it holds no PEM certificate"),
        "{}",
        server.log()
    );
    assert_eq!(server.shown_serial(), before);
    let metrics = server.client("alice").get("/metrics").ok().text();
    assert!(
        metrics.contains("countersign_reloads_total{outcome=\"refused\"} 1"),
        "{metrics}"
    );
}

#[test]
fn a_misspelt_policy_does_not_open_a_running_server() {
    let policy = json!([{"effect": "allow", "principals": ["alice"], "actions": ["*"]}]);
    let server = TestServer::builder()
        .signs_locally()
        .set("policy", policy.clone())
        .set("reload.watch", json!(false))
        .start();
    let bob = server.client("bob");
    let keys = "/v2/reg/app/_trust/tuf/snapshot.key";
    bob.get(keys).rejects("ErrValidation", "bob may not push reg/app");
    let file = server.path().join("server.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let taken = config.as_object_mut().unwrap().remove("policy").unwrap();
    config["polcy"] = taken;
    fs::write(&file, config.to_string()).unwrap();
    hang_up(&server);
    wait_until("the reload is refused", || {
        server.log().contains("the reload was refused")
    });
    assert!(server.log().contains("unknown key polcy; did you mean policy?"));
    bob.get(keys).rejects("ErrValidation", "bob may not push reg/app");
    let health = server.client("alice").get("/health").ok().json();
    assert_eq!(health["details"]["lastReload"]["outcome"], "refused");
    // A key of no meaning is a warning, which is counted.
    let warnings = health["details"]["warnings"].as_u64().unwrap();
    config["policy"] = policy;
    config.as_object_mut().unwrap().remove("polcy");
    config["quite"] = json!({"another": 1});
    fs::write(&file, config.to_string()).unwrap();
    hang_up(&server);
    wait_until("the reload is taken", || {
        server.log().contains("\"message\":\"reloaded")
    });
    let health = server.client("alice").get("/health").ok().json();
    assert_eq!(health["details"]["warnings"].as_u64().unwrap(), warnings + 1);
    assert!(server.log().contains("unknown key quite.another"));
}
