//! One list of findings about the server's certificates: those that no client can use refuse a start, and the others are
//! told as notary and curl judge them.

use std::{
    fs,
    io::{Read, Write},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use openssl::ssl::{SslAcceptor, SslMethod};
use platform::tls::{ServerCertificateFault, server_certificate_fault};
use serde_json::json;
use tests::{
    Finished,
    craft::{Made, Wanted, der, oid},
    judged::{change, fine, for_localhost, prepared, refused_everywhere, warned_everywhere},
    server::Prepared,
};

fn shows(prepared: &Prepared, wanted: &Wanted) {
    let authority = Wanted::authority("Crafted CA").self_signed();
    install(prepared, &authority.issue(wanted));
}

fn install(prepared: &Prepared, made: &Made) {
    let files = made.files(prepared.path(), "listener", &[], &prepared.pki().ca());
    change(
        prepared,
        &[
            ("server.tls_cert_file", json!(files.certificate)),
            ("server.tls_key_file", json!(files.key)),
        ],
    );
}

#[test]
fn a_certificate_that_no_client_can_use_is_refused() {
    const UNKNOWN: &str = "1.3.6.1.4.1.99999.1";
    // Code signing, as a certificate for developers has it.
    let code = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x03";
    for (wanted, why) in [
        (
            for_localhost().with(oid::PURPOSES, false, der::CLIENT),
            "serverAuth",
        ),
        (for_localhost().with(oid::PURPOSES, true, code), "serverAuth"),
        (for_localhost().with(UNKNOWN, true, b"\x05\x00"), UNKNOWN),
        // That of a certificate that was made for certificate transparency alone (RFC 6962 section 3.1).
        (
            for_localhost().with("1.3.6.1.4.1.11129.2.4.3", true, b"\x05\x00"),
            "1.3.6.1.4.1.11129.2.4.3",
        ),
    ] {
        let prepared = prepared();
        shows(&prepared, &wanted);
        refused_everywhere(
            &prepared,
            &["listener.crafted.pem", "cannot be used by any client", why],
        );
    }
}

#[test]
fn a_certificate_that_is_too_weak_is_named_with_the_reason_in_words() {
    let mut weak = for_localhost();
    weak.key = tests::craft::rsa_key(1024);
    let prepared = prepared();
    shows(&prepared, &weak);
    refused_everywhere(
        &prepared,
        &["listener.crafted.pem: its key is too small", "ECDSA P-256"],
    );
}

#[test]
fn a_certificate_that_some_clients_take_is_taken() {
    for wanted in [
        for_localhost(),
        for_localhost().without(oid::PURPOSES),
        for_localhost().without(oid::PURPOSES).without(oid::USAGE),
        for_localhost().with(oid::USAGE, true, der::ENCIPHER),
        for_localhost().with("1.3.6.1.4.1.99999.1", false, b"\x05\x00"),
    ] {
        let prepared = prepared();
        shows(&prepared, &wanted);
        fine(&prepared);
    }
    // As "openssl req -x509" makes it: a CA that is its own server.
    let prepared = prepared();
    let own =
        for_localhost()
            .without(oid::PURPOSES)
            .without(oid::USAGE)
            .with(oid::CONSTRAINTS, true, der::CA);
    install(&prepared, &own.self_signed());
    fine(&prepared);
    // Go's clients take these, and OpenSSL's do not.
    for wanted in [
        for_localhost().with(oid::PURPOSES, false, der::ANY),
        for_localhost().with(oid::USAGE, true, der::ISSUE),
    ] {
        shows(&prepared, &wanted);
        warned_everywhere(
            &prepared,
            0,
            &["listener.crafted.pem", "is refused by clients built on OpenSSL"],
        );
    }
}

/// Shows a certificate to whoever connects, and answers something, until `clients` have been there; gives what they say.
fn shown_to<T>(made: &Made, clients: impl FnOnce(u16) -> T) -> T {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&made.certificate).unwrap();
    acceptor.set_private_key(&made.key).unwrap();
    let acceptor = acceptor.build();
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for connection in listener.incoming() {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = acceptor.accept(connection.unwrap()) else {
                    continue;
                };
                let _ = stream.read(&mut [0; 4096]);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
                let _ = stream.shutdown();
            }
        });
        let said = clients(port);
        done.store(true, Ordering::SeqCst);
        drop(std::net::TcpStream::connect((
            std::net::Ipv4Addr::LOCALHOST,
            port,
        )));
        said
    })
}

#[test]
fn real_clients_take_the_certificates_that_are_said_to_be_usable_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Wanted::authority("Crafted CA").self_signed();
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, authority.certificate.to_pem().unwrap()).unwrap();
    let gated = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x86\xf8\x42\x04\x01";
    for wanted in [
        for_localhost(),
        for_localhost().without(oid::PURPOSES).without(oid::USAGE),
        for_localhost().with(oid::USAGE, true, der::AGREE),
        for_localhost().with(oid::PURPOSES, false, der::CLIENT),
        for_localhost().with(oid::PURPOSES, false, der::ANY),
        for_localhost().with(oid::PURPOSES, false, gated),
        for_localhost().with(oid::USAGE, true, der::ISSUE),
        for_localhost().with("2.5.29.36", true, b"\x30\x03\x80\x01\x0a"),
        for_localhost().with("2.5.29.18", true, &der::dns("x")),
        for_localhost().with("1.3.6.1.4.1.99999.1", true, b"\x05\x00"),
        for_localhost().with("1.3.6.1.4.1.99999.1", false, b"\x05\x00"),
    ] {
        let made = authority.issue(&wanted);
        let expected = match server_certificate_fault(&made.certificate) {
            None => (true, true),
            Some(ServerCertificateFault::Some { clients, .. }) => {
                (!clients.contains("curl"), !clients.contains("notary"))
            }
            Some(_) => (false, false),
        };
        let taken = shown_to(&made, |port| {
            let url = format!("https://localhost:{port}/");
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--cacert"]).arg(&ca).arg(&url);
            let mut notary = Command::new(tests::process::installed_program("notary", "notary"));
            notary.arg("-d").arg(directory.path().join("trust"));
            notary
                .args(["-s", &url, "--tlscacert"])
                .arg(&ca)
                .args(["list", "reg/app"]);
            let notary = Finished::run(&mut notary, "");
            (
                Finished::run(&mut curl, "").code == 0,
                !notary.output().contains("client is offline"),
            )
        });
        let shown: Vec<_> = wanted
            .extensions
            .iter()
            .map(|(oid, critical, _)| (oid, critical))
            .collect();
        assert_eq!(taken, expected, "curl and notary; {shown:?}");
    }
}

#[test]
fn a_certificate_at_the_wrong_time_is_told_and_does_not_refuse_a_start() {
    for (days, why) in [((-3, -1), "expired at"), ((1, 3), "is not valid before")] {
        let prepared = prepared();
        let mut wanted = for_localhost();
        wanted.days = days;
        shows(&prepared, &wanted);
        warned_everywhere(&prepared, 1, &["listener.crafted.pem", why]);
    }
}

#[test]
fn an_external_url_that_no_certificate_has_is_told() {
    let prepared = prepared();
    for wrong in [
        "https://other.test:4443",
        "https://10.9.8.7",
        "https://trust.test.example",
    ] {
        change(&prepared, &[("server.external_url", json!(wrong))]);
        let host = wrong.trim_start_matches("https://").trim_end_matches(":4443");
        let causes = [
            &format!("the server's certificate is not for {host}"),
            "localhost",
            "127.0.0.1",
        ];
        warned_everywhere(&prepared, 0, &causes);
    }
    for right in [
        "https://localhost",
        "https://LOCALHOST:4443/",
        "https://127.0.0.1:8443",
    ] {
        change(&prepared, &[("server.external_url", json!(right))]);
        fine(&prepared);
    }
    // One of several listeners is enough.
    prepared.pki().daemon_called("other.test");
    let further = json!([{"name": "further", "address": format!("127.0.0.1:{}", tests::process::free_port()),
        "tls_cert_file": "pki/other.test.pem", "tls_key_file": "pki/other.test-key.pem"}]);
    change(
        &prepared,
        &[
            ("server.external_url", json!("https://other.test")),
            ("listeners", further),
        ],
    );
    fine(&prepared);
    // A proxy in front of a listener without TLS may have the name, unless the URL names the port of one with TLS.
    let plain = json!([{"name": "plain", "address": format!("127.0.0.1:{}", tests::process::free_port()), "tls": false}]);
    change(
        &prepared,
        &[
            ("server.external_url", json!("https://proxy.test")),
            ("listeners", plain),
        ],
    );
    fine(&prepared);
    let own = format!("https://proxy.test:{}", prepared.port());
    change(&prepared, &[("server.external_url", json!(own))]);
    warned_everywhere(&prepared, 0, &["the server's certificate is not for proxy.test"]);
    change(&prepared, &[("server.external_url", json!("http://localhost"))]);
    warned_everywhere(
        &prepared,
        0,
        &["server.external_url is http://localhost", "https://"],
    );
}

#[test]
fn certificates_without_names_or_for_the_other_side_are_told() {
    let prepared = prepared();
    shows(&prepared, &for_localhost().without(oid::ALTERNATIVE));
    warned_everywhere(
        &prepared,
        0,
        &["listener.crafted.pem", "no subject alternative names"],
    );
    let prepared = self::prepared();
    let authority = Wanted::authority("Crafted CA").self_signed();
    let own = |wanted: &Wanted| {
        let files = authority
            .issue(wanted)
            .files(prepared.path(), "own", &[], &prepared.pki().ca());
        change(
            &prepared,
            &[
                ("trust_service.tls_client_cert", json!(files.certificate)),
                ("trust_service.tls_client_key", json!(files.key)),
            ],
        );
    };
    own(&for_localhost());
    warned_everywhere(
        &prepared,
        0,
        &["trust_service.tls_client_cert", "own.crafted.pem", "clientAuth"],
    );
    let mut late = Wanted::client("server");
    late.days = (-3, -1);
    own(&late);
    warned_everywhere(
        &prepared,
        1,
        &["trust_service.tls_client_cert", "own.crafted.pem", "expired at"],
    );
    own(&Wanted::client("server"));
    fine(&prepared);
}
