//! Connections that stay open while a client's rights are withdrawn: its next request is refused, and the connections
//! of others stay open. TLS sessions are not resumed.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tests::{
    Finished, Notary, TestServer,
    http::Open,
    process::{installed_program, wait_until},
};

const ROOT: &str = "/v2/app/_trust/tuf/root.json";

/// A server with a repository, and open connections of two people who both may read it.
fn opened(server: &TestServer) -> (Open, Open) {
    server.notary("owner").run(["init", "app", "-p"]).ok();
    let mut people = ["alice", "bob"].map(|name| server.client(name).open());
    for person in &mut people {
        person.get(ROOT).ok();
    }
    let [alice, bob] = people;
    (alice, bob)
}

/// Alice is refused from now on, with this status and reason, whatever she asks; Bob is served.
#[track_caller]
fn only_alice_is_out(alice: &mut Open, bob: &mut Open, status: u16, reason: &str) {
    for (method, path) in [("GET", ROOT), ("DELETE", "/v2/app/_trust/tuf/"), ("GET", ROOT)] {
        let answer = alice.ask(method, path);
        assert_eq!(answer.status, status, "{method}: {}", answer.text());
        assert_eq!(answer.error()["detail"]["reason"], reason, "{}", answer.text());
    }
    bob.get(ROOT).ok();
}

fn in_both_modes(change: impl Fn(tests::server::Builder) -> TestServer, test: impl Fn(&TestServer)) {
    for mode in ["require", "request"] {
        test(&change(TestServer::builder().set("tls.client_auth", json!(mode))));
    }
}

#[test]
fn a_line_on_the_deny_list_counts_from_the_next_request_on() {
    let start = |builder: tests::server::Builder| {
        let prepared = builder.set("revocation.deny_list", json!("deny.json")).prepare();
        fs::write(prepared.path().join("deny.json"), "{}").unwrap();
        prepared.start()
    };
    in_both_modes(start, |server| {
        let (mut alice, mut bob) = opened(server);
        let deny = |entry: Value| {
            fs::write(
                server.path().join("deny.json"),
                json!({"denied": [entry]}).to_string(),
            )
            .unwrap();
            server.reload(&server.client("bob"));
        };
        deny(json!({"principal": "alice"}));
        only_alice_is_out(&mut alice, &mut bob, 401, "barred");
        deny(json!({"principal": "somebody"}));
        alice.get(ROOT).ok();
    });
}

#[test]
fn who_is_denied_in_the_database_is_out_at_the_next_request_without_a_reload() {
    in_both_modes(tests::server::Builder::start, |server| {
        let (mut alice, mut bob) = opened(server);
        let deny = |command: &str, more: &[&str]| {
            let config = server.path().join("server.json").display().to_string();
            let mut arguments = vec![command, "--config", &config];
            arguments.extend(more);
            server.run_server_program("deny", &arguments)
        };
        let who = ["--principal", "alice"];
        deny("add", &[&who[..], &["--reason", "left"]].concat())
            .ok()
            .says("principal alice is refused");
        only_alice_is_out(&mut alice, &mut bob, 401, "barred");
        deny("list", &[]).ok().says("principal alice").says("left");
        deny("remove", &who).ok().says("no longer refused");
        alice.get(ROOT).ok();
        deny("list", &[]).ok().says("the deny list is empty");
    });
}

#[test]
fn a_certificate_that_its_ca_revokes_is_out_after_the_reload() {
    let start = |builder: tests::server::Builder| {
        let prepared = builder.set("revocation.crl.files", json!(["list.pem"])).prepare();
        let pki = prepared.pki();
        let authority = tests::Authority::new(pki.authority(), &prepared.path().join("authority"), &pki.ca());
        fs::write(prepared.path().join("list.pem"), authority.list()).unwrap();
        prepared.start()
    };
    in_both_modes(start, |server| {
        let alice = server.pki().user("alice");
        server.notary("owner").run(["init", "app", "-p"]).ok();
        let mut alices = server.client_with(&alice).open();
        let mut bobs = server.client("bob").open();
        alices.get(ROOT).ok();
        let authority = server.authority();
        authority.revoke(&alice);
        fs::write(server.path().join("list.pem"), authority.list()).unwrap();
        server.reload(&server.client("bob"));
        only_alice_is_out(&mut alices, &mut bobs, 401, "certificate_revoked");
        assert_eq!(server.client("bob").get(ROOT).status, 200);
    });
}

#[test]
fn clients_of_a_ca_that_was_taken_away_are_out() {
    let start = |builder: tests::server::Builder| {
        let prepared = builder
            .set("server.client_ca_file", json!(null))
            .set(
                "client_cas",
                json!({"old": "pki/stranger-ca.pem", "new": "pki/ca.pem"}),
            )
            .prepare();
        prepared.pki().stranger("alice");
        prepared.start()
    };
    in_both_modes(start, |server| {
        let directory = server.path().join("pki");
        let files = tests::ClientFiles {
            ca: server.pki().ca(),
            certificate: directory.join("stranger-alice.pem"),
            key: directory.join("stranger-alice-key.pem"),
        };
        server.notary("owner").run(["init", "app", "-p"]).ok();
        let mut alice = server.client_with(&files).open();
        let mut bob = server.client("bob").open();
        alice.get(ROOT).ok();
        server.configure("client_cas", json!({"new": "pki/ca.pem"}));
        server.reload(&server.client("bob"));
        only_alice_is_out(&mut alice, &mut bob, 401, "unknown_ca");
    });
}

#[test]
fn a_new_policy_and_new_rules_count_from_the_next_request_on() {
    in_both_modes(tests::server::Builder::start, |server| {
        let (mut alice, mut bob) = opened(server);
        let only_bob = json!([{"effect": "allow", "principals": ["bob"], "actions": ["*"]}]);
        server.configure("policy", only_bob);
        server.reload(&server.client("bob"));
        only_alice_is_out(&mut alice, &mut bob, 403, "policy");
        server.configure("policy", json!(null));
        let not_alice = json!([{"name": "bobs", "match": {"cn": "bob"}, "principal": "${cn}"}]);
        server.configure("identity", not_alice);
        server.reload(&server.client("bob"));
        only_alice_is_out(&mut alice, &mut bob, 401, "unmapped");
    });
}

/// Runs `openssl s_client` as alice.
fn s_client(server: &TestServer, more: &[&str], input: &str) -> Finished {
    let files = server.pki().user("alice");
    let mut command = Command::new(installed_program("openssl", "openssl"));
    command
        .current_dir(server.path())
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", server.port())])
        .arg("-CAfile")
        .arg(&files.ca)
        .arg("-cert")
        .arg(&files.certificate)
        .arg("-key")
        .arg(&files.key)
        .args(more);
    Finished::run(&mut command, input)
}

#[test]
fn no_session_is_ever_resumed_so_that_every_certificate_is_verified() {
    let server = TestServer::start();
    let request = "GET /v2/ HTTP/1.0\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let session = format!("session{version}");
        let first = s_client(&server, &[version, "-ign_eof", "-sess_out", &session], request);
        first.ok().says("200 OK").says("New, TLS");
        // With TLS 1.3 a session is a ticket, and there is none.
        if server.path().join(&session).exists() {
            let second = s_client(&server, &[version, "-ign_eof", "-sess_in", &session], request);
            second.ok().says("New, TLS").does_not_say("Reused, TLS");
        }
    }
    s_client(&server, &["-tls1_2", "-reconnect"], "")
        .says("New, TLS")
        .does_not_say("Reused, TLS")
        .does_not_say("TLS session ticket:");
}

#[test]
fn renegotiation_is_refused() {
    let server = TestServer::start();
    let refused = s_client(&server, &["-tls1_2"], "R\n");
    refused.says("RENEGOTIATING").says("no renegotiation");
    server.client("alice").get("/v2/").ok();
}

#[test]
fn revoked_people_hear_so_from_the_notary_cli() {
    let prepared = TestServer::builder()
        .set("revocation.deny_list", json!("deny.yaml"))
        .prepare();
    fs::write(prepared.path().join("deny.yaml"), "denied: []\n").unwrap();
    let server = prepared.start();
    let alice = server.pki().user("alice");
    let notary = Notary::new(&server.url(), &alice, &server.path().join("trust"));
    notary.run(["init", "app", "-p"]).ok();
    let certificate = openssl::x509::X509::from_pem(&fs::read(&alice.certificate).unwrap()).unwrap();
    let key = certificate.public_key().unwrap().public_key_to_der().unwrap();
    let hash = hex::encode(openssl::sha::sha256(&key));
    fs::write(
        server.path().join("deny.yaml"),
        format!("denied:\n- spki_sha256: {hash}\n"),
    )
    .unwrap();
    let client = server.client_with(&alice);
    wait_until("the file is reloaded without being asked", || {
        client.try_request("GET", "/v2/", &[], &[]).is_err()
    });
    // Not in the same trust directory: what is cached there is good for a while.
    let refused = notary.elsewhere("other-trust").run(["list", "app"]).fails();
    refused.says("remote error: tls: revoked certificate");
}
