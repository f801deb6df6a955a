//! Every kind of wrong certificate is refused with a reason.

use std::{fs, path::Path};

use openssl::{bn::BigNum, ssl::SslVersion};
use serde_json::{Value, json};
use tests::{
    Client, ClientFiles, Notary, TestServer,
    craft::{Made, Wanted, der, oid},
    http::request_bytes,
    process::wait_until,
};

fn start(anchors: &[&Made], mode: &str) -> TestServer {
    let prepared = TestServer::builder()
        .set("tls.client_auth", json!(mode))
        .set("audit.sinks", json!(["file:audit.json"]))
        .signs_locally()
        .prepare();
    let mut pem = fs::read(prepared.pki().ca()).unwrap();
    for anchor in anchors {
        pem.extend(anchor.certificate.to_pem().unwrap());
    }
    fs::write(prepared.pki().ca(), pem).unwrap();
    prepared.start()
}

fn records(server: &TestServer) -> Vec<Value> {
    let text = fs::read_to_string(server.path().join("audit.json")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn files(server: &TestServer, name: &str, made: &Made, issuers: &[&Made]) -> ClientFiles {
    let directory: &Path = server.path();
    made.files(directory, name, issuers, &server.pki().ca())
}

/// Every kind of wrong certificate that a client with OpenSSL can present: name, certificate, reason.
fn wrong(root: &Made) -> Vec<(&'static str, Made, Vec<Made>, &'static str)> {
    let client = || Wanted::client("honest");
    let middle = root.issue(&Wanted::authority("Middle"));
    let flipped_middle = middle.flipped();
    let behind = middle.issue(&client());
    let unknown = Wanted::authority("Unknown").self_signed();
    vec![
        (
            "flipped",
            root.issue(&client()).flipped(),
            vec![],
            "bad_signature",
        ),
        (
            "other-key",
            Wanted::authority("Root").self_signed().issue(&client()),
            vec![],
            "bad_signature",
        ),
        (
            "behind-flipped",
            behind.clone(),
            vec![flipped_middle],
            "bad_signature",
        ),
        (
            "flipped-behind",
            behind.flipped(),
            vec![middle.clone()],
            "bad_signature",
        ),
        ("unknown", unknown.issue(&client()), vec![], "unknown_ca"),
        (
            "unknown-sent",
            unknown.issue(&client()),
            vec![unknown.clone()],
            "unknown_ca",
        ),
        (
            "unknown-flipped",
            unknown.issue(&client()).flipped(),
            vec![unknown.flipped()],
            "unknown_ca",
        ),
        (
            "undated",
            root.issue(&client()).with_bytes(b"\x17\x0d2", b"\x17\x0dx"),
            vec![],
            "certificate_invalid",
        ),
        (
            "critical",
            root.issue(&client().with("1.2.3.4", true, b"\x05\x00")),
            vec![],
            "certificate_invalid",
        ),
        (
            "server",
            root.issue(&client().with(oid::PURPOSES, false, der::SERVER)),
            vec![],
            "wrong_purpose",
        ),
        ("self", client().self_signed(), vec![], "unknown_ca"),
        (
            "expired",
            root.issue(&Wanted {
                days: (-3, -1),
                ..client()
            }),
            vec![],
            "certificate_expired",
        ),
        (
            "expired-flipped",
            root.issue(&Wanted {
                days: (-3, -1),
                ..client()
            })
            .flipped(),
            vec![],
            "bad_signature",
        ),
        (
            "negative",
            root.issue(&Wanted {
                serial: BigNum::from_dec_str("-5").unwrap(),
                ..client()
            }),
            vec![],
            "revocation_cannot_be_told",
        ),
    ]
}

/// Makes a request with one version of TLS.
fn ask(server: &TestServer, files: &ClientFiles, version: SslVersion) -> std::io::Result<tests::Response> {
    let stream = Client::with_version(server.port(), files, version).connect()?;
    Client::raw_over(stream, &request_bytes("GET", "/v2/", &[], &[]))
}

#[test]
fn where_certificates_are_requested_every_wrong_one_is_answered_logged_and_recorded() {
    let root = Wanted::authority("Root").self_signed();
    let server = start(&[&root], "request");
    let mut expected = Vec::new();
    for (name, made, issuers, reason) in wrong(&root) {
        let issuers: Vec<&Made> = issuers.iter().collect();
        let files = files(&server, name, &made, &issuers);
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let answer = ask(&server, &files, version).unwrap_or_else(|cause| panic!("{name}: {cause}"));
            let error = answer.refuses(401, "UNAUTHORIZED");
            assert_eq!(error["detail"]["reason"], reason, "{name}: {error}");
            let id = answer.header("x-request-id").unwrap().to_owned();
            expected.push((name, id));
            // An innocent connection on the same threads goes on.
            server.client("alice").get("/v2/").ok();
        }
    }
    for (name, id) in expected {
        wait_until(&format!("{name} is recorded and logged"), || {
            let of_it = |record: &Value| record["request_id"] == id && record["decision"] == "denied";
            let recorded = records(&server)
                .iter()
                .any(|record| of_it(record) && record["cert"]["subject"] == "CN=honest");
            recorded && server.log().contains(&id)
        });
    }
}

#[test]
fn where_certificates_are_required_every_wrong_one_gets_an_alert_and_is_logged_and_recorded() {
    let root = Wanted::authority("Root").self_signed();
    let server = start(&[&root], "require");
    for (name, made, issuers, reason) in wrong(&root) {
        let issuers: Vec<&Made> = issuers.iter().collect();
        let files = files(&server, name, &made, &issuers);
        // Whether it can be denied is asked with each request, not in the handshake.
        if reason == "revocation_cannot_be_told" {
            ask(&server, &files, SslVersion::TLS1_3)
                .unwrap()
                .refuses(401, "UNAUTHORIZED");
            continue;
        }
        // Its dates come last, and its signature is that of other dates.
        let logged = if name == "undated" {
            "bad_signature"
        } else {
            reason
        };
        let before = records(&server).len();
        let notary = Notary::new(&server.url(), &files, &server.path().join("trust"));
        if !matches!(name, "undated") {
            let told = notary.run(["list", "app"]).fails().output();
            assert!(told.contains("remote error: tls: "), "{name}: {told}");
        }
        ask(&server, &files, SslVersion::TLS1_2).unwrap_err();
        wait_until(&format!("{name} is recorded"), || {
            let records = records(&server);
            let new = records.get(before..).unwrap_or_default();
            new.iter().any(|record| {
                let said = record["reason"].as_str().unwrap_or_default();
                record["kind"] == "handshake" && said.contains(logged)
            })
        });
        assert!(server.log().contains(&format!("({logged})")), "{name}");
        server.client("alice").get("/v2/").ok();
    }
}

/// A CA whose key was renewed has two certificates of one name; so may intermediates.
#[test]
fn each_of_several_issuers_of_one_name_verifies_its_own_certificates() {
    for identified in [false, true] {
        let authority = |id: &[u8]| {
            let wanted = Wanted::authority("Renewed");
            if identified {
                wanted.with(oid::KEY_ID, false, &der::key_id(id))
            } else {
                wanted
            }
        };
        let [old, new] = [b"old", b"new"].map(|id| authority(id).self_signed());
        let client = |name: &str| Wanted::client(name);
        for mode in ["request", "require"] {
            let server = start(&[&old, &new], mode);
            for (name, issuer) in [("old", &old), ("new", &new)] {
                let made = issuer.issue(&client(name));
                let files = files(&server, name, &made, &[]);
                let notary = Notary::new(
                    &server.url(),
                    &files,
                    &server.path().join(format!("trust-{name}")),
                );
                notary.run(["init", &format!("app/{name}"), "-p"]).ok();
                for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
                    ask(&server, &files, version).unwrap().ok();
                }
                // Intermediates of one name too, sent along with others of that name in front.
                let [middle, other] = [(); 2].map(|()| issuer.issue(&Wanted::authority("Middle")));
                let made = middle.issue(&client("behind"));
                for issuers in [[&middle, &other], [&other, &middle]] {
                    let files = self::files(&server, "behind", &made, &issuers);
                    ask(&server, &files, SslVersion::TLS1_3).unwrap().ok();
                }
                let files = self::files(&server, "lost", &made, &[&other]);
                let refused = ask(&server, &files, SslVersion::TLS1_3);
                assert!(refused.is_err() || refused.unwrap().status == 401);
            }
        }
    }
}

/// A client may send any number of issuers of one name; the search for a chain among them is limited.
#[test]
fn many_issuers_of_one_name_do_not_delay_others() {
    let root = Wanted::authority("Root").self_signed();
    let server = start(&[&root], "request");
    let named: Vec<Made> = (0..60).map(|_| root.issue(&Wanted::authority("Root"))).collect();
    let made = Wanted::authority("Root")
        .self_signed()
        .issue(&Wanted::client("many"));
    let issuers: Vec<&Made> = named.iter().collect();
    let files = files(&server, "many", &made, &issuers);
    let started = std::time::Instant::now();
    let error = ask(&server, &files, SslVersion::TLS1_3)
        .unwrap()
        .refuses(401, "UNAUTHORIZED");
    assert_eq!(error["detail"]["reason"], "bad_signature", "{error}");
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn the_answer_names_the_extension_that_caused_the_refusal() {
    let root = Wanted::authority("Root").self_signed();
    let server = start(&[&root], "request");
    let client = || Wanted::client("honest");
    for (name, wanted, words, hint) in [
        (
            "kuenc",
            client().with(oid::USAGE, true, der::ENCIPHER),
            "its keyUsage does not include digitalSignature",
            "keyUsage includes digitalSignature",
        ),
        (
            "eku",
            client().with(oid::PURPOSES, false, der::SERVER),
            "its extendedKeyUsage does not include clientAuth",
            "(extendedKeyUsage) includes clientAuth",
        ),
        (
            "ns",
            client().with(oid::NS_TYPE, false, der::NS_SERVER),
            "its nsCertType does not include client",
            "without nsCertType",
        ),
        (
            "unknown",
            client().with("1.2.3.4", true, b"\x05\x00"),
            "unhandled critical extension: 1.2.3.4",
            "",
        ),
    ] {
        let files = files(&server, name, &root.issue(&wanted), &[]);
        let error = server
            .client_with(&files)
            .get("/v2/")
            .refuses(401, "UNAUTHORIZED");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert!(
            error["detail"]["hint"].as_str().unwrap().contains(hint),
            "{error}"
        );
    }
    let narrow = root.issue(&Wanted::authority("Servers").with(oid::PURPOSES, false, der::SERVER));
    let made = narrow.issue(&client());
    let files = files(&server, "behind", &made, &[&narrow]);
    let error = server
        .client_with(&files)
        .get("/v2/")
        .refuses(401, "UNAUTHORIZED");
    let words = "the extendedKeyUsage of its issuer CN=Servers does not include clientAuth";
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    let narrow =
        root.issue(&Wanted::authority("Narrow").with(oid::NAMES, true, &der::permitted_dns("in.test")));
    let last = root.issue(&Wanted::authority("Last").with(oid::CONSTRAINTS, true, der::CA_LAST));
    let below = last.issue(&Wanted::authority("Below"));
    let outside = client().with(oid::ALTERNATIVE, false, &der::dns("out.test"));
    let other_key = client().with(oid::ISSUER_KEY_ID, false, &der::issuer_key_id(b"other"));
    let identified = Wanted::authority("Identified").with(oid::KEY_ID, false, &der::key_id(b"own"));
    let identified = root.issue(&identified);
    for (name, made, issuers, words) in [
        ("names", narrow.issue(&outside), vec![&narrow], "nameConstraints"),
        (
            "length",
            below.issue(&client()),
            vec![&below, &last],
            "pathLenConstraint",
        ),
    ] {
        let files = self::files(&server, name, &made, &issuers);
        let error = server
            .client_with(&files)
            .get("/v2/")
            .refuses(401, "UNAUTHORIZED");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
    let mut pem = fs::read(server.pki().ca()).unwrap();
    pem.extend(identified.certificate.to_pem().unwrap());
    fs::write(server.pki().ca(), pem).unwrap();
    let files = self::files(&server, "key-id", &identified.issue(&other_key), &[]);
    wait_until("the CA is reloaded", || {
        let error = server
            .client_with(&files)
            .get("/v2/")
            .refuses(401, "UNAUTHORIZED");
        let told = error["message"].as_str().unwrap();
        told.contains("its authorityKeyIdentifier names another key")
    });
    let any = root.issue(&client().with(oid::PURPOSES, true, der::ANY));
    server
        .client_with(&self::files(&server, "any", &any, &[]))
        .get("/v2/")
        .ok();
}
