//! Which client certificates are accepted, how others are refused, and what is recorded.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use openssl::ssl::SslVersion;
use platform::pki::{KeyKind, Template, Usage};
use serde_json::json;
use tests::{ClientFiles, Finished, Notary, TestServer, process};

/// How often each refusal is repeated, to find alerts that are sometimes lost in a reset connection.
const REPEATS: usize = 5;

fn notary_with(server: &TestServer, files: &ClientFiles) -> Notary {
    Notary::new(&server.url(), files, &server.path().join("trust-of-somebody"))
}

#[test]
fn require_mode_refuses_with_the_alert_that_says_why_every_time() {
    let server = TestServer::start();
    let pki = server.pki();
    let cases = [
        (
            "certificate required",
            notary_with(&server, &pki.user("a")).without_certificate(),
        ),
        (
            "unknown certificate authority",
            notary_with(&server, &pki.stranger("alice")),
        ),
        ("expired certificate", notary_with(&server, &pki.expired())),
        ("bad certificate", notary_with(&server, &pki.not_yet_valid())),
        (
            "unsupported certificate",
            notary_with(&server, &pki.server_only()),
        ),
    ];
    for (alert, notary) in cases {
        for _ in 0..REPEATS {
            let refused = notary.run(["list", "app"]).fails();
            refused
                .says(&format!("remote error: tls: {alert}"))
                .says("client is offline");
        }
    }
}

#[test]
fn request_mode_refuses_in_json_with_the_reason() {
    let server = TestServer::builder().requests_certificates().start();
    let pki = server.pki();
    let refusal = |files: &ClientFiles| {
        let error = server.client_with(files).get("/v2/").refuses(401, "UNAUTHORIZED");
        assert!(error["detail"]["hint"].is_string(), "{error}");
        assert!(error["detail"]["not_after"].is_string(), "{error}");
        (
            error["detail"]["reason"].clone(),
            error["detail"]["subject"].clone(),
            error["message"].clone(),
        )
    };
    let none = server
        .client_without_certificate()
        .get("/v2/")
        .refuses(401, "UNAUTHORIZED");
    assert_eq!(none["detail"]["reason"], "no_certificate");
    let expired = refusal(&pki.expired());
    let message = json!("client certificate rejected: certificate has expired");
    assert_eq!(
        expired,
        (json!("certificate_expired"), json!("CN=expired"), message)
    );
    assert_eq!(refusal(&pki.not_yet_valid()).0, "certificate_not_yet_valid");
    assert_eq!(refusal(&pki.server_only()).0, "wrong_purpose");
    assert_eq!(refusal(&pki.stranger("alice")).0, "unknown_ca");
    assert_eq!(
        refusal(&pki.with_key("weak", KeyKind::Rsa(1024))).0,
        "key_too_weak"
    );
    assert_eq!(refusal(&pki.behind_intermediate("lost", false)).0, "unknown_ca");
}

#[test]
fn request_mode_asks_for_an_identity_everywhere_but_at_health_and_metrics() {
    let server = TestServer::builder().requests_certificates().start();
    let nobody = server.client_without_certificate();
    for path in [
        "/v2/",
        "/v2/app/_trust/tuf/root.json",
        "/v2/_trust/changefeed?records=1",
        "/nothing",
    ] {
        nobody.get(path).refuses(401, "UNAUTHORIZED");
    }
    nobody
        .get("/v2/app/_trust/tuf/timestamp.key")
        .refuses(401, "UNAUTHORIZED");
    nobody.delete("/v2/app/_trust/tuf/").refuses(401, "UNAUTHORIZED");
    nobody.publish("app", &[]).refuses(401, "UNAUTHORIZED");
    nobody.get("/_notary_server/health").ok();
    nobody.get("/metrics").ok();
    let listed = server
        .notary("alice")
        .without_certificate()
        .run(["list", "app"])
        .fails();
    listed.says("you are not authorized to perform this operation: server returned 401");
}

#[test]
fn every_good_kind_of_certificate_gets_in() {
    let server = TestServer::start();
    let pki = server.pki();
    let unrestricted = pki.client(
        "unrestricted",
        &Template::new("unrestricted", Usage::Unrestricted, 1),
    );
    let kinds = [
        pki.user("p256"),
        pki.with_key("p384", KeyKind::P384),
        pki.with_key("rsa", KeyKind::Rsa(2048)),
        pki.with_key("ed25519", KeyKind::Ed25519),
        pki.behind_intermediate("chained", true),
        unrestricted,
    ];
    for files in kinds {
        assert_eq!(
            server.client_with(&files).get("/v2/").ok().body,
            b"{}",
            "{files:?}"
        );
        notary_with(&server, &files)
            .run(["list", "app"])
            .fails()
            .says("does not have trust data for app");
    }
}

#[test]
fn a_leaf_is_enough_when_the_server_knows_the_intermediate() {
    let prepared = TestServer::builder()
        .set("server.client_ca_file", json!("pki/both.pem"))
        .prepare();
    let leaf = prepared.pki().behind_intermediate("leaf", false);
    let bundle =
        [prepared.pki().ca(), prepared.pki().intermediate()].map(|path| std::fs::read(path).unwrap());
    std::fs::write(prepared.path().join("pki/both.pem"), bundle.concat()).unwrap();
    let server = prepared.start();
    server.client_with(&leaf).get("/v2/").ok();
    notary_with(&server, &leaf)
        .run(["list", "app"])
        .fails()
        .says("does not have trust data for app");
}

#[test]
fn a_client_ca_file_with_only_an_intermediate_admits_what_it_issued() {
    let prepared = TestServer::builder()
        .set("server.client_ca_file", json!("pki/intermediate.pem"))
        .prepare();
    let leaf = prepared.pki().behind_intermediate("leaf", false);
    let server = prepared.start();
    server.client_with(&leaf).get("/v2/").ok();
}

#[test]
fn a_certificate_that_expires_on_an_open_connection_is_refused_at_the_next_request() {
    let server = TestServer::builder().requests_certificates().start();
    let mut template = Template::new("shortly", Usage::Client, 1);
    template.validity.1 = 3;
    let client = server.client_with(&server.pki().client("shortly", &template));
    let mut connection = client.connect().unwrap();
    let mut ask = || {
        connection
            .write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        let mut answer = [0; 4096];
        let length = connection.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    assert!(ask().starts_with("HTTP/1.1 200"));
    let mut last = String::new();
    process::wait_until("the certificate has expired", || {
        last = ask();
        last.starts_with("HTTP/1.1 401")
    });
    assert!(last.contains("certificate_expired"), "{last}");
}

#[test]
fn a_certificate_that_was_verified_before_is_refused_on_new_connections_once_it_has_expired_or_was_changed() {
    let server = TestServer::start();
    let asks = |files: &ClientFiles| server.client_with(files).try_request("GET", "/v2/", &[], &[]);
    // A machine that is busy for all of a certificate's time gets one that lasts longer.
    let files = [8, 30, 120].into_iter().find_map(|seconds| {
        let mut short = Template::new("short", Usage::Client, 1);
        short.validity.1 = seconds;
        let files = server.pki().client("short", &short);
        let verified = (0..3).filter(|_| asks(&files).is_ok_and(|answer| answer.status == 200));
        (verified.count() == 3).then_some(files)
    });
    let files = files.expect("a certificate is verified before it expires");
    process::wait_until("its time is over, and the handshake fails", || {
        asks(&files).is_err()
    });
    // Another thread may write the log of the request that asks for it.
    process::wait_until("the log says why", || {
        server.log().contains("certificate has expired")
    });
    // The same bytes, but for one bit of the signature, are another certificate.
    let alice = server.pki().user("alice");
    assert_eq!(asks(&alice).unwrap().status, 200);
    let pem = std::fs::read(&alice.certificate).unwrap();
    let mut der = openssl::x509::X509::from_pem(&pem).unwrap().to_der().unwrap();
    let place = der.len() - 5;
    der[place] ^= 1;
    let changed = openssl::x509::X509::from_der(&der).unwrap();
    std::fs::write(&alice.certificate, changed.to_pem().unwrap()).unwrap();
    assert!(asks(&alice).is_err(), "the signature is not the CA's");
}

#[test]
fn ambiguous_subjects_give_no_identity() {
    let server = TestServer::builder().requests_certificates().start();
    let reserved = server.client_with(&server.pki().user("anonymous"));
    let error = reserved.get("/v2/").refuses(401, "UNAUTHORIZED");
    assert_eq!(error["detail"]["reason"], "reserved_name");
    let directory = server.path().join("pki");
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        Finished::run(command.current_dir(&directory).args(arguments.split(' ')), "").ok();
    };
    openssl("ecparam -name prime256v1 -genkey -noout -out two-key.pem");
    openssl("req -new -key two-key.pem -subj /CN=alice/CN=bob -out two.csr");
    let authority = server.pki().authority().key_pem().unwrap();
    std::fs::write(directory.join("ca-key.pem"), authority).unwrap();
    openssl("x509 -req -in two.csr -CA ca.pem -CAkey ca-key.pem -days 1 -out two.pem");
    let two = ClientFiles {
        ca: server.pki().ca(),
        certificate: directory.join("two.pem"),
        key: directory.join("two-key.pem"),
    };
    let error = server.client_with(&two).get("/v2/").refuses(401, "UNAUTHORIZED");
    assert_eq!(error["detail"]["reason"], "ambiguous_name");
}

#[test]
fn every_change_is_recorded_with_its_principal() {
    let server = TestServer::start();
    let (alice, bob) = (server.notary("alice"), server.notary("bob"));
    alice.run(["init", "app", "-p"]).ok();
    bob.run(["delete", "app", "--remote"]).ok();
    let actors = server.actors();
    let expected = [("update", "alice", "CN=alice"), ("deletion", "bob", "CN=bob")];
    let found: Vec<(&str, &str, &str)> = actors
        .iter()
        .map(|(category, principal, subject)| (category.as_str(), principal.as_str(), subject.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn old_protocols_are_refused_and_tls_1_2_is_served() {
    let server = TestServer::start();
    let files = server.pki().user("alice");
    let connect = |version| tests::Client::with_version(server.port(), &files, version).connect();
    for version in [SslVersion::TLS1, SslVersion::TLS1_1] {
        let refused = connect(version)
            .expect_err("an old protocol was accepted")
            .to_string();
        assert!(refused.contains("protocol version"), "{refused}");
    }
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut stream = connect(version).expect("a current protocol was refused");
        stream.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"),
            "{answer}"
        );
        assert!(stream.ssl().selected_alpn_protocol().is_none());
    }
}

#[test]
fn plain_http_on_the_tls_port_is_answered_in_plain_http() {
    let server = TestServer::start();
    let mut tcp = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    tcp.write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request"), "{answer}");
    assert!(
        answer.contains("Client sent an HTTP request to an HTTPS server."),
        "{answer}"
    );
}

#[test]
fn idle_and_half_open_connections_do_not_keep_others_waiting() {
    /// How long the server waits for a handshake or a request. A client that was held up by another would wait as long.
    const ITS_PATIENCE: Duration = Duration::from_secs(15);
    let server = TestServer::start();
    let client = server.client("alice");
    let idle: Vec<_> = (0..20).map(|_| client.connect().unwrap()).collect();
    let silent: Vec<_> = (0..600)
        .map(|_| TcpStream::connect(("127.0.0.1", server.port())).unwrap())
        .collect();
    let started = std::time::Instant::now();
    for _ in 0..5 {
        client.get("/v2/").ok();
    }
    assert!(started.elapsed() < ITS_PATIENCE, "{:?}", started.elapsed());
    drop((idle, silent));
}

#[test]
fn the_signer_refuses_servers_that_are_strangers_or_not_allowed() {
    let allowed = json!(["somebody-else"]);
    let server = TestServer::builder()
        .set_signer("server.allowed_clients", allowed)
        .start();
    let refused = server.client("alice").get("/v2/app/_trust/tuf/timestamp.key");
    assert!(refused.status >= 500, "{}", refused.text());
    let unknown = json!("pki/stranger-server.pem");
    let prepared = TestServer::builder()
        .set("trust_service.tls_client_cert", unknown)
        .set(
            "trust_service.tls_client_key",
            json!("pki/stranger-server-key.pem"),
        )
        .prepare();
    prepared.pki().stranger("server");
    let server = prepared.start();
    server
        .client("alice")
        .get("/v2/app/_trust/tuf/timestamp.key")
        .refuses(503, "UNAVAILABLE");
}
