//! Certificates that the server issues to its own clients: renewed with the old one as proof, for a key that stays where it was
//! made, and with nothing in them that the server did not decide.

use std::{fs, path::Path, process::Command};

use openssl::{
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    sha::sha256,
    stack::Stack,
    x509::{X509, X509NameBuilder, X509ReqBuilder, extension::SubjectAlternativeName},
};
use platform::pki::KeyKind;
use regex::Regex;
use serde_json::{Value, json};
use tests::{
    Client, ClientFiles, TestServer, Whose,
    http::Response,
    process::{Finished, built_programs, wait_until},
    server::{Builder, Prepared},
};

const BUNDLE: &str = "/api/v0/bundle";

fn builder() -> Builder {
    TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .set("server.external_url", json!("https://trust.example"))
        .set("audit", json!({"sinks": ["file:audit.json"]}))
        .set("client_cas", json!({"own": "ca/ca.pem"}))
        .set("issuing", json!({"ca": "ca", "days": 30, "groups": ["release"]}))
        .set(
            "identity",
            json!([
                {"name": "own", "issuer": {"ca": "own"}, "preset": "kubernetes"},
                {"name": "names", "issuer": {"ca": "default"}, "preset": "cn"},
            ]),
        )
        .set(
            "policy",
            json!([
                {"name": "admins", "effect": "allow", "principals": ["root"], "actions": ["*"]},
                {"name": "renewing", "effect": "allow", "principals": ["alice", "group:release"], "actions": ["bundle"]},
                {"name": "reading", "effect": "allow", "principals": ["*"], "actions": ["pull"]},
            ]),
        )
}

fn program(name: &str, arguments: &[&str]) -> Finished {
    Finished::run(Command::new(built_programs().join(name)).args(arguments), "")
}

fn with_ca(builder: Builder) -> Prepared {
    let prepared = builder.prepare();
    let ca = prepared.path().join("ca").display().to_string();
    program(
        "countersign-server",
        &["ca", "init", "--dir", &ca, "--name", "Own CA"],
    )
    .ok();
    prepared
}

/// A request for a key, which asks for more than it gets.
fn request(key: &PKey<Private>) -> String {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, "root").unwrap();
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, "admins").unwrap();
    let mut builder = X509ReqBuilder::new().unwrap();
    builder.set_subject_name(&name.build()).unwrap();
    builder.set_pubkey(key).unwrap();
    let mut extensions = Stack::new().unwrap();
    let names = SubjectAlternativeName::new()
        .dns("trust.example")
        .build(&builder.x509v3_context(None))
        .unwrap();
    extensions.push(names).unwrap();
    builder.add_extensions(&extensions).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}

fn ask(client: &Client, request: &str) -> Response {
    let body = json!({"request": request}).to_string();
    client.request(
        "POST",
        BUNDLE,
        &[("Content-Type", "application/json")],
        body.as_bytes(),
    )
}

fn keep(directory: &Path, issued: &Value, key: &PKey<Private>, ca: &Path) -> ClientFiles {
    let (certificate, private) = (directory.join("new.pem"), directory.join("new.key"));
    fs::write(&certificate, issued["certificate"].as_str().unwrap()).unwrap();
    fs::write(&private, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    ClientFiles {
        certificate,
        key: private,
        ca: ca.to_path_buf(),
    }
}

#[test]
fn nothing_of_a_request_but_its_key_gets_into_the_certificate() {
    let server = with_ca(builder()).start();
    let alice = server.client("alice");
    let key = KeyKind::P256.generate().unwrap();
    let answer = ask(&alice, &request(&key));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let issued = answer.json();
    assert_eq!(
        (&issued["name"], &issued["groups"]),
        (&json!("alice"), &json!([]))
    );
    let certificate = X509::from_pem(issued["certificate"].as_str().unwrap().as_bytes()).unwrap();
    let text = String::from_utf8(certificate.to_text().unwrap()).unwrap();
    assert!(
        text.contains("Subject: CN=alice") && !text.contains("admins") && !text.contains("trust.example"),
        "{text}"
    );
    assert!(
        text.contains("TLS Web Client Authentication") && !text.contains("Server Authentication"),
        "{text}"
    );
    assert!(
        text.contains("CA:FALSE") && text.contains("Issuer: CN=Own CA"),
        "{text}"
    );
    assert!(certificate.public_key().unwrap().public_eq(&key));
    // It logs in as the same person, and may be renewed again with itself as proof.
    let files = keep(server.path(), &issued, &key, &server.pki().ca());
    let renewed = server.client_with(&files);
    let info = renewed.get("/basic_info").ok().json();
    assert_eq!(
        (&info["User"]["name"], &info["ClientCertificate"]["mappedBy"]),
        (&json!("alice"), &json!("own"))
    );
    assert_eq!(
        ask(&renewed, &request(&KeyKind::P384.generate().unwrap())).status / 100,
        2
    );
    server.command_line("audit verify").ok();
    let decisions = fs::read_to_string(server.path().join("audit.json")).unwrap();
    assert!(
        decisions.contains(r#""action":"bundle""#) && decisions.contains("issued to alice"),
        "{decisions}"
    );
    // It is known to the CA, so it can be revoked.
    let ca = server.path().join("ca").display().to_string();
    program("countersign-server", &["bundle", "list", "--ca", &ca])
        .ok()
        .says("alice");
}

#[test]
fn others_get_none_and_what_is_wrong_leaves_no_trace() {
    let server = with_ca(builder()).start();
    let alice = server.client("alice");
    let good = request(&KeyKind::P256.generate().unwrap());
    ask(&server.client("bob"), &good).refuses(403, "NOT_AUTHORIZED");
    ask(&server.client_without_certificate(), &good).refuses(401, "NOT_AUTHENTICATED");
    let foreign = alice.request(
        "POST",
        BUNDLE,
        &[
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "cross-site"),
        ],
        json!({"request": good}).to_string().as_bytes(),
    );
    foreign.refuses(403, "CROSS_SITE");
    let weak = request(&KeyKind::Rsa(1024).generate().unwrap());
    let mut altered = good.clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    for (wrong, why) in [
        (String::new(), "PKCS#10"),
        ("-----BEGIN CERTIFICATE REQUEST-----".to_owned(), "PKCS#10"),
        (weak, "RSA of 2048"),
        (
            String::from_utf8(altered).unwrap(),
            "the certificate request is refused",
        ),
    ] {
        let refused = ask(&alice, &wrong).refuses(400, "INVALID_REQUEST");
        assert!(refused["message"].as_str().unwrap().contains(why), "{refused}");
    }
    // A key that is denied.
    let key = KeyKind::P256.generate().unwrap();
    let hash = hex::encode(sha256(&key.public_key_to_der().unwrap()));
    server
        .command_line(&format!("deny add --spki-sha256 {hash}"))
        .ok();
    ask(&alice, &request(&key)).refuses(400, "INVALID_REQUEST");
    let ca = server.path().join("ca").display().to_string();
    program("countersign-server", &["bundle", "list", "--ca", &ca])
        .ok()
        .says("no certificate was issued");
    server.command_line("audit verify").ok();
}

#[test]
fn a_browser_gets_a_certificate_for_a_request_that_is_pasted() {
    let browser = ("Accept", "text/html");
    let server = with_ca(builder()).start();
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    let access = |client: &Client| client.request("GET", "/access", &[browser], &[]).ok().text();
    assert!(!access(&bob).contains("A new certificate"));
    // The page that makes a key in the browser is for the same people. Its script alone may ask this server for something.
    let made = |client: &Client| client.request("GET", "/access/certificate", &[browser], &[]);
    assert_eq!(made(&bob).status, 303);
    let page = made(&alice).ok();
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("connect-src 'self'; form-action 'self'"),
        "{policy}"
    );
    let other = alice.request("GET", "/access", &[browser], &[]).ok();
    let policy = other.header("content-security-policy").unwrap();
    assert!(!policy.contains("connect-src"), "{policy}");
    let shown = access(&alice);
    let found = Regex::new(r#"name="token" value="([0-9a-f]{64})""#).unwrap();
    let token = &found.captures(&shown).expect("a form with a token")[1];

    let send = |client: &Client, token: &str, request: &str| {
        let encoded: String = request.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let form = format!("token={token}&request={encoded}");
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [browser, kind, ("Sec-Fetch-Site", "same-origin")];
        client.request("POST", "/access/certificate", &headers, form.as_bytes())
    };
    let key = KeyKind::P256.generate().unwrap();
    let before = server.contents(Whose::Server);
    let index = fs::read(server.path().join("ca/issued.json")).ok();
    for (token, request, why) in [
        (
            token,
            "<script>hello".to_owned(),
            "Nothing was issued:</b> <bdi>the certificate request is refused",
        ),
        (&"0".repeat(64), self::request(&key), "older than the rules"),
    ] {
        let refused = send(&alice, token, &request).ok().text();
        assert!(
            refused.contains(why) && !refused.contains("<script>hello"),
            "{refused}"
        );
        assert!(!refused.contains("BEGIN CERTIFICATE-----"), "{refused}");
    }
    assert_eq!(send(&bob, token, &request(&key)).status, 403);
    assert_eq!(server.contents(Whose::Server), before);
    assert_eq!(fs::read(server.path().join("ca/issued.json")).ok(), index);

    let issued = send(&alice, token, &request(&key)).ok().text();
    let begin = issued.find("-----BEGIN CERTIFICATE-----").expect("a certificate");
    let end = issued.find("</textarea>").unwrap();
    let certificate = X509::from_pem(&issued.as_bytes()[begin..end]).unwrap();
    assert!(certificate.public_key().unwrap().public_eq(&key));
    assert!(
        issued.contains("Here it is.") && !issued.contains("Nothing was issued"),
        "{issued}"
    );
    let name = certificate
        .subject_name()
        .entries_by_nid(Nid::COMMONNAME)
        .next()
        .unwrap();
    assert_eq!(name.data().as_slice(), b"alice");
    wait_until("it is in the audit", || {
        let audit = fs::read_to_string(server.path().join("audit.json")).unwrap_or_default();
        audit.contains("issued to alice")
    });
}

#[test]
fn a_certificate_that_would_make_its_holder_somebody_else_is_not_issued() {
    let rules = |rule: Value| json!([rule, {"name": "names", "issuer": {"ca": "default"}, "preset": "cn"}]);
    let own = |principal: &str| json!({"name": "own", "issuer": {"ca": "own"}, "match": {"cn": "(?P<n>.*)"}, "principal": principal});
    let with_groups = json!({"name": "own", "issuer": {"ca": "own"}, "preset": "cn", "groups": ["admins"]});
    let accounts = json!({"name": "own", "preset": "registered-key", "issuer": {"ca": "own"}});
    for (rule, why) in [
        (own("own:${n}"), "would call its holder own:alice"),
        (with_groups, "into the group admins"),
        (accounts, "give it no name"),
    ] {
        let server = with_ca(builder().set("identity", rules(rule))).start();
        let refused = ask(
            &server.client("alice"),
            &request(&KeyKind::P256.generate().unwrap()),
        );
        let refused = refused.refuses(409, "OTHER_NAME");
        assert!(refused["message"].as_str().unwrap().contains(why), "{refused}");
    }
    // One whose CA nobody accepts.
    let server = with_ca(builder().set("client_cas", json!({"own": "pki/ca.pem"}))).start();
    let refused = ask(
        &server.client("alice"),
        &request(&KeyKind::P256.generate().unwrap()),
    );
    let refused = refused.refuses(409, "OTHER_NAME");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("no listener accepts"),
        "{refused}"
    );
    // Where there is no CA, or no policy, nothing is issued.
    let server = TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .start();
    ask(&server.client("alice"), "x").refuses(403, "NOT_AUTHORIZED");
}

#[test]
fn one_name_has_a_hundred_valid_certificates_at_the_most() {
    let server = with_ca(builder()).start();
    let (alice, request) = (
        server.client("alice"),
        request(&KeyKind::P256.generate().unwrap()),
    );
    for _ in 0..100 {
        assert_eq!(ask(&alice, &request).status, 201);
    }
    let refused = ask(&alice, &request).refuses(409, "OTHER_NAME");
    assert!(
        refused["message"].as_str().unwrap().contains("100 certificates"),
        "{refused}"
    );
}

#[test]
fn a_missing_ca_refuses_the_start() {
    let prepared = builder().prepare();
    prepared.check_config().fails().says("issuing");
}

#[test]
fn the_command_renews_every_copy_in_a_bundle_and_keeps_the_old_one() {
    let server = with_ca(builder()).start();
    let (ca, out) = (server.path().join("ca"), server.path().join("bundle"));
    let (ca, dir) = (ca.display().to_string(), out.display().to_string());
    let url = server.url();
    let server_ca = server.pki().ca().display().to_string();
    let issue = [
        "bundle",
        "issue",
        "carol",
        "--ca",
        &ca,
        "--out",
        &dir,
        "--url",
        &url,
        "--group",
        "release",
        "--group",
        "ops",
        "--server-ca",
        &server_ca,
    ];
    program("countersign-server", &issue).ok();
    let read = |name: &str| fs::read(out.join(name)).unwrap();
    let before = (read("cert.pem"), read("key.pem"), read("cert.p12"));
    program("countersign", &["bundle", "renew", "--dir", &dir])
        .ok()
        .says("renewed: carol, in release");
    let (certificate, key) = (read("cert.pem"), read("key.pem"));
    assert!(certificate != before.0 && key != before.1 && read("cert.p12") != before.2);
    assert_eq!((read("cert.pem.old"), read("key.pem.old")), (before.0, before.1));
    let copies: Vec<_> = fs::read_dir(out.join("docker/tls")).unwrap().flatten().collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(
        fs::read(copies[0].path().join("client.cert")).unwrap(),
        certificate
    );
    assert_eq!(fs::read(copies[0].path().join("client.key")).unwrap(), key);
    let mode = |name: &str| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(out.join(name)).unwrap().permissions()) & 0o777
    };
    assert_eq!(
        (mode("key.pem"), mode("key.pem.old"), mode("cert.p12")),
        (0o600, 0o600, 0o600)
    );
    let files = ClientFiles {
        certificate: out.join("cert.pem"),
        key: out.join("key.pem"),
        ca: server.pki().ca(),
    };
    let info = server.client_with(&files).get("/basic_info").ok().json();
    assert_eq!(
        (&info["User"]["name"], &info["User"]["groups"]),
        (&json!("carol"), &json!(["release"]))
    );
    // A new one each time; and who is denied gets none, with the reason.
    program("countersign", &["bundle", "renew", "--dir", &dir]).ok();
    let kept = read("cert.pem");
    server.command_line("deny add --principal carol").ok();
    program("countersign", &["bundle", "renew", "--dir", &dir])
        .fails()
        .says("carol is barred from this server");
    assert_eq!(read("cert.pem"), kept);
    program("countersign", &["bundle", "renew", "--dir", &server_ca]).fails();
}
