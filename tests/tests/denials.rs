//! Denials: one form of names and hashes however they are written, certificates that cannot be denied, and denials that
//! match nothing.

use std::{fs, path::Path};

use openssl::{bn::BigNum, nid::Nid, sha::sha256};
use serde_json::json;
use tests::{
    ClientFiles, Finished, Notary, TestServer, Whose,
    craft::{Made, Wanted, named, rsa_key},
    http::{FORM, form, request_bytes},
    publisher::Publisher,
};

/// A CA whose name has to be escaped, and its server.
fn start(changes: impl FnOnce(tests::server::Builder) -> tests::server::Builder) -> (Made, TestServer) {
    let subject = named(&[
        (Nid::COUNTRYNAME, "DE"),
        (Nid::ORGANIZATIONNAME, "Acme, Inc. + Sons"),
        (Nid::COMMONNAME, "Clients \\ \"all\""),
    ]);
    let root = Wanted {
        subject,
        ..Wanted::authority("replaced")
    };
    let root = root.self_signed();
    let prepared = changes(TestServer::builder().requests_certificates().signs_locally()).prepare();
    let mut pem = fs::read(prepared.pki().ca()).unwrap();
    pem.extend(root.certificate.to_pem().unwrap());
    fs::write(prepared.pki().ca(), pem).unwrap();
    (root, prepared.start())
}

fn files(server: &TestServer, name: &str, made: &Made) -> ClientFiles {
    let directory: &Path = server.path();
    made.files(directory, name, &[], &server.pki().ca())
}

fn deny(server: &TestServer, arguments: &[&str]) -> Finished {
    run(server, "deny", arguments)
}

/// A command whose configuration is named at its end.
fn run(server: &TestServer, command: &str, arguments: &[&str]) -> Finished {
    let config = server.path().join("server.json").display().to_string();
    server.run_server_program(command, [arguments, &["--config", &config]].concat())
}

fn whoami(server: &TestServer, files: &ClientFiles) -> Finished {
    let certificate = files.certificate.display().to_string();
    run(server, "whoami", &["--cert", &certificate])
}

/// What `whoami` prints after a word.
fn printed(told: &str, what: &str) -> String {
    let line = told.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().to_owned()
}

#[track_caller]
fn refused(server: &TestServer, files: &ClientFiles, reason: &str) {
    let error = server.client_with(files).get("/v2/").refuses(401, "UNAUTHORIZED");
    assert_eq!(error["detail"]["reason"], reason, "{error}");
}

#[test]
fn an_issuer_is_denied_as_whoami_prints_it_or_with_other_escapes() {
    let (root, server) = start(|builder| builder);
    let alice = files(&server, "alice", &root.issue(&Wanted::client("alice")));
    server.client_with(&alice).get("/v2/").ok();
    let told = whoami(&server, &alice).ok().output();
    let (issuer, serial) = (printed(&told, "issuer:"), printed(&told, "serial:"));
    assert_eq!(issuer, r"CN=Clients \5C \22all\22,O=Acme\2C Inc. \2B Sons,C=DE");
    let info = server.client_with(&alice).get("/basic_info").ok().json();
    assert_eq!(info["ClientCertificate"]["issuer"], issuer.as_str());
    for written in [
        issuer.as_str(),
        r#"CN=Clients \\ \"all\",O=Acme\, Inc. \+ Sons,C=DE"#,
        r#"cn="Clients \\ \"all\"", o = "Acme, Inc. + Sons", c=DE"#,
    ] {
        let who = ["--serial", &serial, "--issuer", written];
        deny(&server, &[&["add"][..], &who].concat())
            .ok()
            .says("is refused")
            .says(&issuer)
            .does_not_say("warning");
        refused(&server, &alice, "certificate_revoked");
        deny(&server, &[&["remove"][..], &who].concat())
            .ok()
            .says("no longer refused");
        server.client_with(&alice).get("/v2/").ok();
    }
    // By the file of the certificate it is the same entry.
    let certificate = alice.certificate.display().to_string();
    deny(&server, &["add", "--cert", &certificate]).ok().says(&issuer);
    deny(&server, &["add", "--serial", &serial, "--issuer", &issuer])
        .ok()
        .says("already refused");
    deny(&server, &["remove", "--serial", &serial, "--issuer", &issuer]).ok();
    server.client_with(&alice).get("/v2/").ok();
}

#[test]
fn a_deny_file_names_an_issuer_with_any_escapes_and_as_older_versions_did() {
    let (root, server) = start(|builder| builder);
    drop(server);
    for written in [
        r"CN=Clients \5C \22all\22,O=Acme\2C Inc. \2B Sons,C=DE",
        r#"CN=Clients \\ \"all\",O=Acme\, Inc. \+ Sons,C=DE"#,
        // Without escapes, as it was before there was one writer of names.
        r#"CN=Clients \ "all",O=Acme, Inc. + Sons,C=DE"#,
    ] {
        let prepared = TestServer::builder()
            .requests_certificates()
            .signs_locally()
            .set("revocation.deny_list", json!("deny.json"))
            .prepare();
        let mut pem = fs::read(prepared.pki().ca()).unwrap();
        pem.extend(root.certificate.to_pem().unwrap());
        fs::write(prepared.pki().ca(), pem).unwrap();
        let list = json!({"denied": [{"serial": "12:34:56:78", "issuer": written},
                                     {"serial": "1", "issuer": "CN=Misspelt"}]});
        fs::write(prepared.path().join("deny.json"), list.to_string()).unwrap();
        let server = prepared.start();
        refused(
            &server,
            &files(&server, "alice", &root.issue(&Wanted::client("alice"))),
            "certificate_revoked",
        );
        let log = server.log();
        assert!(log.contains("names certificates of CN=Misspelt, but no configured client CA has this name"));
        assert_eq!(
            log.matches("but no configured client CA has this name").count(),
            1
        );
    }
}

#[test]
fn denials_and_accounts_that_older_versions_stored_still_hold_and_can_be_ended() {
    let (root, server) = start(|builder| {
        builder.set(
            "identity",
            json!([{"name": "keys", "preset": "registered-key"},
                                       {"name": "rest", "preset": "cn"}]),
        )
    });
    let wanted = Wanted {
        key: rsa_key(2048),
        ..Wanted::client("alice")
    };
    let usual = root.issue(&wanted);
    let odd = usual.without_null(&root.key);
    let alice = files(&server, "alice", &odd);
    server.client_with(&alice).get("/v2/").ok();
    let encoded = hex::encode(sha256(&usual.key.public_key_to_der().unwrap()));
    let der = odd.certificate.to_der().unwrap();
    let begin = der
        .windows(9)
        .position(|window| window == b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
        .unwrap()
        - 8;
    let length = usize::from(u16::from_be_bytes([der[begin + 2], der[begin + 3]])) + 4;
    let raw = hex::encode(sha256(&der[begin..begin + length]));
    assert_ne!(encoded, raw);
    // One hash: the key's, as for the certificate that is encoded as usual.
    let told = whoami(&server, &alice).ok().output();
    assert!(told.contains(&format!("spki_sha256 {encoded}")), "{told}");
    let told = whoami(&server, &files(&server, "usual", &usual)).ok().output();
    assert!(told.contains(&format!("spki_sha256 {encoded}")), "{told}");
    let older = r#"CN=Clients \ "all",O=Acme, Inc. + Sons,C=DE"#;
    let by_serial = hex::encode(sha256(format!("12345678\n{older}").as_bytes()));
    let certificate = alice.certificate.display().to_string();
    for (kind, subject, remove) in [
        (
            "certificate",
            by_serial.as_str(),
            &["remove", "--cert", &certificate][..],
        ),
        (
            "key",
            encoded.as_str(),
            &["remove", "--cert", &certificate, "--key"],
        ),
        ("key", raw.as_str(), &["remove", "--cert", &certificate, "--key"]),
        ("key", raw.as_str(), &["remove", "--spki-sha256", &raw]),
    ] {
        server.execute(
            Whose::Server,
            &format!(
                "INSERT INTO denials (kind, subject, shown, created_at) \
                 VALUES ('{kind}', '{subject}', 'x', '2026-01-01 00:00:00');"
            ),
        );
        // A program that changes the tables without counting the change in security_epoch is noticed a little later.
        tests::process::wait_until("the entry counts", || {
            server.client_with(&alice).get("/v2/").status == 401
        });
        refused(&server, &alice, "certificate_revoked");
        deny(&server, remove).ok().says("no longer refused");
        server.client_with(&alice).get("/v2/").ok();
    }
    let name = || {
        let info = server.client_with(&alice).get("/basic_info").ok().json();
        info["User"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(name(), "alice");
    // A bare key is registered under the hash that OpenSSL gives it; the certificate says it otherwise.
    let public = server.path().join("alice.pub");
    fs::write(&public, usual.key.public_key_to_pem().unwrap()).unwrap();
    run(&server, "account", &["add", "carol"]).ok();
    let public = public.display().to_string();
    run(
        &server,
        "account",
        &["key", "add", "carol", "--public-key", &public],
    )
    .ok();
    assert_eq!(name(), "carol");
    server.execute(
        Whose::Server,
        &format!("UPDATE account_keys SET spki_sha256 = '{raw}' WHERE spki_sha256 = '{encoded}';"),
    );
    assert_eq!(name(), "carol");
}

/// A certificate with an invalid serial number is refused, with the same reason in every place that judges it.
#[test]
fn a_certificate_without_a_positive_serial_number_is_refused() {
    let (root, server) = start(|builder| builder);
    const SENTENCE: &str = "whether it was revoked cannot be determined: its serial number is negative or zero (RFC 5280 section 4.1.2.2)";
    for (name, number) in [
        ("zero", "0"),
        ("negative", "-5"),
        ("large", "-123456789012345678901234567890"),
    ] {
        let wanted = Wanted {
            serial: BigNum::from_dec_str(number).unwrap(),
            ..Wanted::client(name)
        };
        let files = files(&server, name, &root.issue(&wanted));
        let error = server
            .client_with(&files)
            .get("/v2/")
            .refuses(401, "UNAUTHORIZED");
        assert_eq!(error["detail"]["reason"], "revocation_cannot_be_told", "{error}");
        assert!(error["message"].as_str().unwrap().contains(SENTENCE), "{error}");
        whoami(&server, &files)
            .fails()
            .says(SENTENCE)
            .does_not_say("principal:");
        let certificate = files.certificate.display().to_string();
        deny(&server, &["add", "--cert", &certificate])
            .fails()
            .says(SENTENCE)
            .says("--key");
        deny(&server, &["add", "--cert", &certificate, "--key"]).ok();
    }
    for number in ["0", "00", "-05", "-1"] {
        deny(&server, &["add", "--serial", number, "--issuer", "CN=Test CA"])
            .fails()
            .says(SENTENCE);
    }
    deny(&server, &["add", "--serial", "0g", "--issuer", "CN=Test CA"])
        .fails()
        .says("a positive number in hex");
    // A CA that is configured is trusted as it is.
    let odd = Wanted {
        serial: BigNum::from_u32(0).unwrap(),
        ..Wanted::authority("Odd")
    };
    let odd = odd.self_signed();
    let mut pem = fs::read(server.pki().ca()).unwrap();
    pem.extend(odd.certificate.to_pem().unwrap());
    fs::write(server.pki().ca(), pem).unwrap();
    let client = files(&server, "of-odd", &odd.issue(&Wanted::client("of-odd")));
    tests::process::wait_until("the CA is reloaded", || {
        server.client_with(&client).get("/v2/").status == 200
    });
}

#[test]
fn a_denial_that_matches_nothing_known_says_so() {
    let (root, server) = start(|builder| builder);
    let alice = files(&server, "alice", &root.issue(&Wanted::client("alice")));
    deny(&server, &["add", "--principal", "alcie"])
        .ok()
        .says("warning: no account is called alcie");
    deny(&server, &["add", "--serial", "1", "--issuer", "CN=Nobody"])
        .ok()
        .says("warning: no client CA of the configuration is called CN=Nobody");
    deny(&server, &["add", "--serial", "1", "--issuer", "Acme, Inc."])
        .ok()
        .says("warning: ");
    deny(&server, &["add", "--serial", "1", "--issuer", "CN=Test CA"])
        .ok()
        .does_not_say("warning");
    let hash = "ab".repeat(32);
    deny(&server, &["add", "--spki-sha256", &hash])
        .ok()
        .says("warning: no account has this key");
    let stranger = Wanted::authority("Stranger")
        .self_signed()
        .issue(&Wanted::client("x"));
    let stranger = files(&server, "stranger", &stranger)
        .certificate
        .display()
        .to_string();
    deny(&server, &["add", "--cert", &stranger])
        .ok()
        .says("warning: no client CA of the configuration verifies");
    // Who has an account, or changed something, is known.
    let certificate = alice.certificate.display().to_string();
    run(&server, "account", &["add", "al%ice"]).ok();
    deny(&server, &["add", "--principal", "al%ice"])
        .ok()
        .does_not_say("warning");
    deny(&server, &["add", "--principal", "al%"]).ok().says("warning");
    let bob = server.pki().user("bob");
    let notary = Notary::new(&server.url(), &bob, &server.path().join("trust"));
    notary.run(["init", "app", "-p"]).ok();
    deny(&server, &["add", "--principal", "bob"])
        .ok()
        .does_not_say("warning");
    let told = whoami(&server, &bob).output();
    let hash = told
        .split_once("spki_sha256 ")
        .unwrap()
        .1
        .lines()
        .next()
        .unwrap()
        .to_owned();
    deny(&server, &["add", "--spki-sha256", &hash])
        .ok()
        .does_not_say("warning");
    deny(&server, &["add", "--cert", &certificate])
        .ok()
        .does_not_say("warning");
}

/// Chains are verified without regard to the case of names, so a denial that names the CA applies to all its
/// certificates.
#[test]
fn a_certificate_that_writes_its_issuer_in_another_case_is_denied_under_the_issuers_own_name() {
    let (root, server) = start(|builder| builder);
    let shouted = named(&[
        (Nid::COUNTRYNAME, "de"),
        (Nid::ORGANIZATIONNAME, "ACME,  INC. + SONS"),
        (Nid::COMMONNAME, "clients \\ \"ALL\""),
    ]);
    let alice = files(
        &server,
        "alice",
        &root.issue_as(&Wanted::client("alice"), &shouted),
    );
    server.client_with(&alice).get("/v2/").ok();
    let told = whoami(&server, &alice).ok().output();
    let own = r"CN=Clients \5C \22all\22,O=Acme\2C Inc. \2B Sons,C=DE";
    for issuer in [printed(&told, "issuer:"), own.to_owned()] {
        let who = ["--serial", "12345678", "--issuer", &issuer];
        deny(&server, &[&["add"][..], &who].concat()).ok();
        refused(&server, &alice, "certificate_revoked");
        deny(&server, &[&["remove"][..], &who].concat()).ok();
        server.client_with(&alice).get("/v2/").ok();
    }
}

/// An upload may take minutes, in which its sender may be denied.
#[test]
fn a_client_that_is_denied_while_it_uploads_publishes_nothing() {
    let (root, server) = start(|builder| builder);
    let alice = files(&server, "alice", &root.issue(&Wanted::client("alice")));
    let certificate = alice.certificate.display().to_string();
    let client = server.client_with(&alice);
    let publisher = Publisher::new(&client, "reg/app", "reg/app");
    publisher.publish_first(&client, "reg/app");
    let body = form(&[("targets", &publisher.targets_file(2))]);
    let upload = request_bytes(
        "POST",
        "/v2/reg/app/_trust/tuf/",
        &[("Content-Type", FORM)],
        &body,
    );
    let answer = client.raw_in_halves(&upload, || {
        deny(&server, &["add", "--cert", &certificate]).ok();
    });
    assert_eq!(answer.unwrap().status, 401);
    deny(&server, &["remove", "--cert", &certificate]).ok();
    let targets = client.get("/v2/reg/app/_trust/tuf/targets.json").ok().json();
    assert_eq!(targets["signed"]["version"], 1);
    assert_eq!(client.raw(&upload).unwrap().status, 200);
}

#[test]
fn reads_may_be_behind_by_the_configured_time_and_changes_never_are() {
    let (root, server) = start(|builder| builder.set("reads.max_staleness", json!("1h")));
    let alice = files(&server, "alice", &root.issue(&Wanted::client("alice")));
    let certificate = alice.certificate.display().to_string();
    let client = server.client_with(&alice);
    let publisher = Publisher::new(&client, "reg/app", "reg/app");
    publisher.publish_first(&client, "reg/app");
    let read = || client.get("/v2/reg/app/_trust/tuf/targets.json").status;
    assert_eq!(read(), 200);
    deny(&server, &["add", "--cert", &certificate]).ok();
    assert_eq!(read(), 200, "a read may rely on the last confirmation");
    let targets = publisher.targets_file(2);
    let refused = client.publish("reg/app", &[("targets", &targets)]);
    assert_eq!(refused.status, 401, "a publish asks the database");
    assert_eq!(read(), 401, "and what it was told holds for reads too");
}
