//! Several listeners, each with its own requirements and client CAs, and warnings about unusual CAs.

use std::fs;

use platform::pki::{Issued, Template, Usage};
use serde_json::{Value, json};
use tests::{
    Authority, ClientFiles, Notary, TestServer,
    authority::{CLIENT, INTERMEDIATE},
    process::free_port,
    server::Prepared,
};

const ROOT: &str = "/v2/app/_trust/tuf/root.json";

/// A CA beside that of the test, and its certificate as a file `pki/<name>.pem`.
fn another_ca(prepared: &Prepared, name: &str) -> Authority {
    let issued = Issued::self_signed(&Template::new(name, Usage::Authority, 1)).unwrap();
    let path = prepared.path().join(format!("pki/{name}.pem"));
    fs::write(path, issued.certificate_pem().unwrap()).unwrap();
    Authority::new(&issued, &prepared.path().join(name), &prepared.pki().ca())
}

fn at(server: &TestServer, files: &ClientFiles, port: u16) -> tests::Client {
    server.client_with(files).at_port(port)
}

#[test]
fn each_listener_has_its_own_demands_and_cas() {
    let [requesting, machines_only, open] = [(); 3].map(|()| free_port());
    let prepared = TestServer::builder()
        .set("client_cas", json!({"machines": "pki/machines.pem"}))
        .set(
            "listeners",
            json!([
                {"name": "requesting", "address": format!("127.0.0.1:{requesting}"), "client_auth": "request",
                 "client_cas": ["default"]},
                {"name": "machines", "address": format!("127.0.0.1:{machines_only}"), "client_auth": "require",
                 "client_cas": ["machines"]},
                {"name": "reads", "address": format!("127.0.0.1:{open}"), "client_auth": "off"},
            ]),
        )
        .prepare();
    let robot = another_ca(&prepared, "machines").issue("robot", "/CN=robot", CLIENT, &[]);
    let server = prepared.start();
    let person = server.pki().user("person");
    server.notary("person").run(["init", "app", "-p"]).ok();
    // The first listener takes every set.
    for files in [&person, &robot] {
        at(&server, files, server.port()).get(ROOT).ok();
    }
    at(&server, &person, requesting).get(ROOT).ok();
    let refused = at(&server, &robot, requesting)
        .get(ROOT)
        .refuses(401, "UNAUTHORIZED");
    assert_eq!(refused["detail"]["reason"], "unknown_ca");
    at(&server, &robot, machines_only).get(ROOT).ok();
    assert!(
        at(&server, &person, machines_only)
            .try_request("GET", ROOT, &[], &[])
            .is_err()
    );
    // Where nobody is asked, everybody reads and nobody changes, certificate or not.
    let nobody = server.client_without_certificate().at_port(open);
    for client in [nobody, at(&server, &person, open)] {
        client.get(ROOT).ok();
        for (method, path) in [
            ("DELETE", "/v2/app/_trust/tuf/"),
            ("POST", "/v2/app/_trust/tuf/"),
            ("POST", "/v2/app/_trust/tuf/timestamp.key"),
            ("GET", "/v2/new/_trust/tuf/timestamp.key"),
            ("GET", "/v2/_trust/changefeed?records=1"),
        ] {
            let error = client
                .request(method, path, &[], &[])
                .refuses(401, "UNAUTHORIZED");
            assert_eq!(error["detail"]["reason"], "no_certificate", "{method} {path}");
        }
    }
    let anonymous = server
        .notary("gate")
        .without_certificate()
        .with_url(&format!("https://localhost:{open}"));
    anonymous.run(["list", "app"]).ok();
    assert!(server.log().contains("everybody may read"), "{}", server.log());
}

#[test]
fn where_no_listener_asks_for_certificates_everybody_may_do_everything_as_with_notary() {
    let server = TestServer::builder()
        .set("server.client_ca_file", json!(null))
        .start();
    let nobody = server.notary("nobody").without_certificate();
    nobody.run(["init", "app", "-p"]).ok();
    server.client_without_certificate().get(ROOT).ok();
    assert!(server.log().contains("everybody may do everything"));
}

#[test]
fn cas_may_stand_in_the_configuration_itself() {
    let prepared = TestServer::builder().prepare();
    let pem = fs::read_to_string(prepared.pki().ca()).unwrap();
    let server = TestServer::builder()
        .with_pki_of(&prepared)
        .set("server.client_ca_file", json!(format!("\n{pem}")))
        .start();
    server.client("alice").get("/v2/").ok();
    let truncated = TestServer::builder()
        .set(
            "server.client_ca_file",
            json!("-----BEGIN CERTIFICATE-----\nnothing"),
        )
        .prepare();
    let refused = truncated.check_config().fails();
    refused.says("the client CA set default (PEM text in the configuration)");
}

#[test]
fn what_is_odd_about_cas_is_said_at_the_start_and_by_check_config() {
    let prepared = TestServer::builder()
        .set(
            "client_cas",
            json!({"middle": "pki/middle.pem", "past": "pki/past.pem", "twice": "pki/twice.pem", "leaf": "pki/leaf.pem"}),
        )
        .prepare();
    let pki = prepared.pki().clone();
    let authority = Authority::new(pki.authority(), &prepared.path().join("authority"), &pki.ca());
    let middle = authority.below("Middle", INTERMEDIATE);
    let write = |name: &str, parts: &[Vec<u8>]| {
        fs::write(prepared.path().join(format!("pki/{name}.pem")), parts.concat()).unwrap();
    };
    let read = |path: &std::path::Path| fs::read(path).unwrap();
    write("middle", &[read(&middle.certificate())]);
    let mut expired = Template::new("Past", Usage::Authority, 1);
    expired.validity = (-172_800, -86_400);
    write(
        "past",
        &[Issued::self_signed(&expired).unwrap().certificate_pem().unwrap()],
    );
    let twice = Issued::self_signed(&Template::new("Twice", Usage::Authority, 1)).unwrap();
    let twice = twice.certificate_pem().unwrap();
    write("twice", &[twice.clone(), twice, read(&pki.ca())]);
    write("leaf", &[read(&pki.user("somebody").certificate)]);
    let expected = [
        "client CA set middle: it holds intermediates but no root",
        "client CA set past: CN=Past expired at",
        "client CA set twice: CN=Twice is there twice",
        "client CA sets default and twice: CN=Test CA is in both",
        "client CA set leaf: CN=somebody is not a CA",
    ];
    let said = prepared.check_config().ok();
    for sentence in expected {
        assert!(
            said.output().contains(&format!("warning: {sentence}")),
            "{sentence}: {said}"
        );
    }
    let server = prepared.start();
    for sentence in expected {
        assert!(server.log().contains(sentence), "{sentence}");
    }
}

#[test]
fn a_listener_for_health_answers_probes_and_nothing_else() {
    let [health, guarded] = [(); 2].map(|()| free_port());
    let server = TestServer::builder()
        .signs_locally()
        .set("server.external_url", json!("https://trust.example"))
        .set(
            "listeners",
            json!([
                {"name": "probes", "address": format!("127.0.0.1:{health}"), "serves": "health"},
                {"name": "guarded", "address": format!("127.0.0.1:{guarded}"), "serves": "health", "client_auth": "require"},
            ]),
        )
        .start();
    let alice = server.client("alice");
    server.notary("alice").run(["init", "app", "-p"]).ok();
    let probe = server.client_without_certificate().at_port(health);
    assert_eq!(probe.get("/health").ok().json()["healthy"], true);
    probe.get("/_notary_server/health").ok();
    assert!(probe.get("/metrics").ok().text().contains("notary_server"));
    for client in [probe, server.client("alice").at_port(health)] {
        for (method, path) in [
            ("GET", "/v2/"),
            ("GET", ROOT),
            ("GET", "/"),
            ("GET", "/x/../health"),
            ("GET", "/ca"),
            ("GET", "/basic_info"),
            ("GET", "/openapi.json"),
            ("GET", "/setup.sh"),
            ("GET", "/api/v0/repositories"),
            ("GET", "/api/v0/accounts"),
            ("GET", "/auth/token?service=x"),
            ("POST", "/health"),
            ("POST", "/metrics"),
            ("DELETE", "/v2/app/_trust/tuf/"),
            ("POST", "/v2/app/_trust/tuf/timestamp.key"),
            ("GET", "/v2/new/_trust/tuf/timestamp.key"),
        ] {
            let refused = client.request(method, path, &[("Accept", "text/html,*/*")], &[]);
            assert_eq!(refused.status, 404, "{method} {path}: {}", refused.text());
            assert_eq!(refused.error()["code"], "HEALTH_ONLY", "{method} {path}");
        }
    }
    // One that demands certificates does so.
    let nobody = server.client_without_certificate().at_port(guarded);
    assert!(nobody.try_request("GET", "/health", &[], &[]).is_err());
    server.client("alice").at_port(guarded).get("/health").ok();
    // That it asks nobody opens nothing elsewhere: no shared cache may keep what needs a certificate, and the log warns of
    // nothing.
    let cached = alice.get(ROOT).ok();
    assert!(
        !cached
            .header("cache-control")
            .unwrap_or_default()
            .contains("public"),
        "{cached:?}"
    );
    assert!(!server.log().contains("everybody may"), "{}", server.log());
}

#[test]
fn pages_are_switched_off_for_each_listener() {
    let [with, without] = [(); 2].map(|()| free_port());
    let server = TestServer::builder()
        .signs_locally()
        .set("server.pages", json!(false))
        .set(
            "listeners",
            json!([
                {"name": "with", "address": format!("127.0.0.1:{with}"), "pages": true},
                {"name": "without", "address": format!("127.0.0.1:{without}")},
            ]),
        )
        .start();
    let files = server.pki().user("alice");
    let page = |port| at(&server, &files, port).request("GET", "/", &[("Accept", "text/html")], &[]);
    assert!(
        page(with)
            .ok()
            .header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    for port in [server.port(), without] {
        page(port).refuses(404, "METADATA_NOT_FOUND");
        let asset =
            at(&server, &files, port).request("GET", "/assets/style.css", &[("Accept", "text/html")], &[]);
        asset.refuses(404, "METADATA_NOT_FOUND");
        at(&server, &files, port).get("/health").ok();
    }
}

#[test]
fn doctor_says_how_probes_reach_a_server_that_demands_certificates() {
    let demanding = TestServer::builder().signs_locally().start();
    let config = |server: &TestServer| server.path().join("server.json").display().to_string();
    let says = "add one to listeners with serves = \"health\"";
    let told = demanding.run_server_program("doctor", ["--config", &config(&demanding)]);
    assert!(told.output().contains(says), "{told}");
    let probed = TestServer::builder()
        .signs_locally()
        .set(
            "listeners",
            json!([{"address": format!("127.0.0.1:{}", free_port()), "serves": "health"}]),
        )
        .start();
    let told = probed.run_server_program("doctor", ["--config", &config(&probed)]);
    assert!(!told.output().contains(says), "{told}");
}

#[test]
fn wrong_listeners_are_refused_with_their_place() {
    let refused = |listener: Value, expected: &str| {
        let prepared = TestServer::builder()
            .set("listeners", json!([listener]))
            .prepare();
        prepared.check_config().fails().says(expected);
    };
    let address = "127.0.0.1:1";
    refused(
        json!({"address": address, "client_cas": ["nobody's"]}),
        "listeners[0].client_cas",
    );
    refused(
        json!({"address": address, "client_auth": "require", "client_cas": []}),
        "listeners[0].client_auth",
    );
    refused(
        json!({"address": address, "client_auth": "require", "tls": false}),
        "listeners[0].tls",
    );
    refused(
        json!({"address": address, "name": "http_addr"}),
        "listeners[0].name",
    );
    refused(json!({"address": address, "client_atuh": "off"}), "client_atuh");
    refused(json!({"address": "here"}), "listeners[0].address");
    refused(
        json!({"address": address, "serves": "helth"}),
        "did you mean health?",
    );
    refused(
        json!({"address": address, "serves": "pages"}),
        "allowed: all, health",
    );
    refused(
        json!({"address": address, "serves": "health", "pages": true}),
        "such a listener has no pages",
    );
    refused(json!({"address": address, "page": false}), "did you mean pages?");
}

#[test]
fn a_go_client_with_its_leaf_alone_finds_the_intermediate_among_the_names_offered() {
    for advertised in ["all", "none"] {
        let prepared = TestServer::builder()
            .set("server.client_ca_file", json!("pki/both.pem"))
            .set("tls.advertise_cas", json!(advertised))
            .prepare();
        let leaf = prepared.pki().behind_intermediate("leaf", false);
        let bundle = [prepared.pki().ca(), prepared.pki().intermediate()].map(|path| fs::read(path).unwrap());
        fs::write(prepared.path().join("pki/both.pem"), bundle.concat()).unwrap();
        let stranger = prepared.pki().stranger("alice");
        let server = prepared.start();
        let notary = Notary::new(&server.url(), &leaf, &server.path().join("trust-of-leaf"));
        notary.run(["init", "app", "-p"]).ok();
        let stranger = Notary::new(&server.url(), &stranger, &server.path().join("trust-of-stranger"));
        let refused = stranger.run(["list", "app"]).fails();
        refused.says("remote error: tls: unknown certificate authority");
    }
}
