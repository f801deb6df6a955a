//! Certificates that must not be accepted, tried on everything that can be read or changed. They are refused for the
//! right reason, in an answer or an alert; nothing is changed, and other clients are served.

use platform::pki::{Issued, KeyKind, Template, Usage};
use serde_json::json;
use tests::{
    ClientFiles, Notary, TestServer,
    authority::{CLIENT, INTERMEDIATE},
    http::form,
};

const GUN: &str = "reg/app";
/// The state by which a test sees whether something was changed.
const SHOWN: [&str; 5] = [
    "/v2/reg/app/_trust/tuf/root.json",
    "/v2/reg/app/_trust/tuf/targets.json",
    "/v2/reg/app/_trust/tuf/snapshot.json",
    "/v2/reg/app/_trust/tuf/timestamp.json",
    "/v2/_trust/changefeed?records=100",
];
/// Every kind of request, reading and changing.
const TRIED: [(&str, &str); 8] = [
    ("GET", "/v2/"),
    ("GET", "/v2/reg/app/_trust/tuf/root.json"),
    ("GET", "/v2/reg/app/_trust/tuf/timestamp.key"),
    ("GET", "/v2/_trust/changefeed?records=1"),
    ("POST", "/v2/reg/app/_trust/tuf/"),
    ("POST", "/v2/reg/new/_trust/tuf/"),
    ("POST", "/v2/reg/app/_trust/tuf/snapshot.key"),
    ("DELETE", "/v2/reg/app/_trust/tuf/"),
];

/// One certificate, why an answer refuses it, and the alert as Go programs print it. Without an alert the
/// handshake succeeds in both modes: the CA vouches for it, but it names nobody.
struct Attack {
    name: &'static str,
    files: ClientFiles,
    reason: &'static str,
    alert: Option<&'static str>,
}

fn attack(
    name: &'static str,
    files: ClientFiles,
    reason: &'static str,
    alert: impl Into<Option<&'static str>>,
) -> Attack {
    let alert = alert.into();
    Attack {
        name,
        files,
        reason,
        alert,
    }
}

fn attacks(server: &TestServer) -> Vec<Attack> {
    let pki = server.pki();
    let authority = server.authority();
    let alice = pki.user("alice");
    let plays_ca = authority.played_by(&alice);
    let narrow = authority.below("narrow", &INTERMEDIATE.replace("CA:TRUE", "CA:TRUE,pathlen:0"));
    let too_deep = narrow.below("too-deep", INTERMEDIATE);
    let cannot_sign = INTERMEDIATE.replace("keyCertSign,cRLSign", "cRLSign,digitalSignature");
    let cannot_sign = authority.below("cannot-sign", &cannot_sign);
    let mut retired = Template::new("Test retired", Usage::Authority, 1);
    retired.validity = (-20 * 86_400, -86_400);
    let retired = pki.client("retired", &retired);
    let retired = authority.played_by(&retired);
    let self_signed = Issued::self_signed(&Template::new("alice", Usage::Client, 1)).unwrap();
    let self_signed = tests::Authority::new(&self_signed, &server.path().join("self"), &pki.ca());
    let self_signed = ClientFiles {
        ca: pki.ca(),
        certificate: self_signed.certificate(),
        key: self_signed.certificate().with_file_name("ca-key.pem"),
    };
    let unknown_ca = "unknown certificate authority";
    let with_nul = pki.client("nul", &Template::new("alice\0.example", Usage::Client, 1));
    vec![
        attack(
            "other CA of the same name",
            pki.stranger("alice"),
            "unknown_ca",
            unknown_ca,
        ),
        attack("signed by itself", self_signed, "unknown_ca", unknown_ca),
        attack(
            "expired",
            pki.expired(),
            "certificate_expired",
            "expired certificate",
        ),
        attack(
            "not yet valid",
            pki.not_yet_valid(),
            "certificate_not_yet_valid",
            "bad certificate",
        ),
        attack(
            "for servers",
            pki.server_only(),
            "wrong_purpose",
            "unsupported certificate",
        ),
        attack(
            "RSA 1024",
            pki.with_key("weak", KeyKind::Rsa(1024)),
            "key_too_weak",
            "bad certificate",
        ),
        attack(
            "SHA-1",
            authority.issue("sha1", "/CN=alice", CLIENT, &["-sha1"]),
            "key_too_weak",
            "bad certificate",
        ),
        attack(
            "issued by a client",
            plays_ca.issue("made-up", "/CN=root", CLIENT, &[]),
            "bad_chain",
            unknown_ca,
        ),
        attack(
            "path too long",
            too_deep.issue("deep", "/CN=root", CLIENT, &[]),
            "bad_chain",
            unknown_ca,
        ),
        attack(
            "issued by a CA that may not sign certificates",
            cannot_sign.issue("unsigned", "/CN=root", CLIENT, &[]),
            "bad_chain",
            unknown_ca,
        ),
        attack(
            "issued by a CA that has expired",
            retired.issue("late", "/CN=root", CLIENT, &[]),
            "certificate_expired",
            "expired certificate",
        ),
        attack("name with NUL", with_nul, "ambiguous_name", None),
        attack(
            "two names",
            authority.issue("two", "/CN=alice/CN=bob", CLIENT, &[]),
            "ambiguous_name",
            None,
        ),
    ]
}

/// The public state of the repository and its changes.
fn shown(server: &TestServer) -> Vec<Vec<u8>> {
    let owner = server.client("owner");
    SHOWN.map(|path| owner.get(path).ok().body).to_vec()
}

fn with_a_repository(builder: tests::server::Builder) -> TestServer {
    let server = builder.start();
    let owner = server.notary("owner");
    owner.run(["init", GUN, "-p"]).ok();
    owner.add_and_publish(GUN, "latest", "content");
    server
}

#[test]
fn unacceptable_certificates_are_refused_in_json_with_the_reason() {
    let server = with_a_repository(TestServer::builder().requests_certificates());
    let before = shown(&server);
    for Attack {
        name, files, reason, ..
    } in attacks(&server)
    {
        let client = server.client_with(&files);
        for (method, path) in TRIED {
            let answer = client.request(method, path, &[], &[]);
            let error = answer.refuses(401, "UNAUTHORIZED");
            assert_eq!(
                error["detail"]["reason"], reason,
                "{name}: {method} {path}: {error}"
            );
            assert!(error["detail"]["hint"].is_string(), "{name}: {error}");
        }
        let published = client.publish(GUN, &[("root", b"{}"), ("targets", b"{}")]);
        published.refuses(401, "UNAUTHORIZED");
    }
    assert_eq!(shown(&server), before);
}

#[test]
fn unacceptable_certificates_are_refused_with_the_alert_that_says_why() {
    let server = with_a_repository(TestServer::builder());
    let before = shown(&server);
    for Attack {
        name,
        files,
        reason,
        alert,
    } in attacks(&server)
    {
        let client = server.client_with(&files);
        let notary = Notary::new(&server.url(), &files, &server.path().join("trust-of-attacker"));
        let listed = notary.run(["list", GUN]).fails();
        match alert {
            Some(alert) => {
                listed.says(&format!("remote error: tls: {alert}"));
                for (method, path) in TRIED {
                    let answer = client.try_request(method, path, &[], &[]);
                    assert!(answer.is_err(), "{name}: {method} {path}: {answer:?}");
                }
            }
            None => {
                listed.says("you are not authorized to perform this operation");
                for (method, path) in TRIED {
                    let error = client
                        .request(method, path, &[], &[])
                        .refuses(401, "UNAUTHORIZED");
                    assert_eq!(error["detail"]["reason"], reason, "{name}: {method} {path}");
                }
            }
        }
    }
    assert_eq!(shown(&server), before);
}

#[test]
fn a_ca_cannot_issue_the_names_of_another() {
    let prepared = TestServer::builder()
        .requests_certificates()
        .set("server.client_ca_file", json!(null))
        .set("client_cas", json!({"staff": "pki/ca.pem", "machines": "pki/machines.pem"}))
        .set(
            "identity",
            json!([
                {"name": "staff", "match": {"cn": "(?P<who>[a-z]+)"}, "issuer": {"ca": "staff"}, "principal": "${who}"},
                {"name": "machines", "match": {"cn": "(?P<who>[a-z]+)"}, "issuer": {"ca": "machines"},
                 "principal": "machine-${who}"},
            ]),
        )
        .set(
            "policy",
            json!([{"effect": "allow", "principals": ["owner", "alice"], "actions": ["*"]}]),
        )
        .prepare();
    let machines = Issued::self_signed(&Template::new("Machines", Usage::Authority, 1)).unwrap();
    std::fs::write(
        prepared.path().join("pki/machines.pem"),
        machines.certificate_pem().unwrap(),
    )
    .unwrap();
    let machines = tests::Authority::new(&machines, &prepared.path().join("machines"), &prepared.pki().ca());
    let server = prepared.start();
    let owner = server.notary("owner");
    owner.run(["init", GUN, "-p"]).ok();
    owner.run(["publish", GUN]).ok();
    let before = shown(&server);
    let impostor = machines.issue("alice", "/CN=alice", CLIENT, &[]);
    server.client("alice").get(SHOWN[0]).ok();
    let impostor = server.client_with(&impostor);
    let error = impostor.get(SHOWN[0]).refuses(403, "DENIED");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("machine-alice may not"),
        "{error}"
    );
    impostor.delete("/v2/reg/app/_trust/tuf/").refuses(403, "DENIED");
    let published = impostor.request(
        "POST",
        "/v2/reg/app/_trust/tuf/",
        &[("Content-Type", tests::http::FORM)],
        &form(&[("root", b"{}")]),
    );
    published.refuses(400, "INVALID_UPDATE");
    assert_eq!(shown(&server), before);
}

#[test]
fn a_policy_in_audit_mode_lets_nobody_in_without_a_certificate() {
    let only_owner = json!([{"effect": "allow", "principals": ["owner"], "actions": ["*"]}]);
    let server = with_a_repository(
        TestServer::builder()
            .requests_certificates()
            .set("policy", only_owner)
            .set("access", json!({"mode": "audit"})),
    );
    let before = shown(&server);
    // Whom the policy would deny goes on, that is the trial; whoever has no name does not.
    server.client("alice").get(SHOWN[0]).ok();
    let nobody = server.client_without_certificate();
    for (method, path) in TRIED {
        nobody
            .request(method, path, &[], &[])
            .refuses(401, "UNAUTHORIZED");
    }
    assert_eq!(shown(&server), before);
}
