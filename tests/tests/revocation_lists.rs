//! Revocation lists of CAs from files, directories and URLs: which of them are accepted, and what happens if there is
//! none.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tests::{
    Authority, Stop, TestServer,
    authority::{CLIENT, INTERMEDIATE},
    process::wait_until,
    revocation::{authority, reason, with_list},
    server::Prepared,
    web::{Published, Web},
};

#[test]
fn lists_that_would_be_misunderstood_are_refused_clearly() {
    let prepared = with_list().prepare();
    let ours = authority(&prepared);
    let path = prepared.path().join("list.pem");
    let other = platform::pki::Issued::self_signed(&platform::pki::Template::new(
        "Test CA",
        platform::pki::Usage::Authority,
        1,
    ));
    let same_name = Authority::new(
        &other.unwrap(),
        &prepared.path().join("other"),
        &prepared.pki().ca(),
    );
    let point = "issuingDistributionPoint=critical,@point\n[point]\n";
    let with = |extensions: &str| ours.list_with(&["-crldays", "1"], extensions);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (same_name.list(), "its signature is not that of the CA it names"),
        (with("2.5.29.27=critical,ASN1:INTEGER:1"), "it is a delta list"),
        (
            with(&format!("{point}indirectCRL=TRUE")),
            "it is an indirect list",
        ),
        (
            with(&format!("{point}onlysomereasons=keyCompromise")),
            "it covers only some reasons",
        ),
        (
            with(&format!("{point}onlyAA=TRUE")),
            "only attribute certificates",
        ),
        (
            with("1.2.3.4=critical,ASN1:UTF8String:x"),
            "the critical extension 1.2.3.4",
        ),
        (
            fs::read(prepared.pki().ca()).unwrap(),
            "it contains a PEM block CERTIFICATE, not X509 CRL",
        ),
        (b"nothing".to_vec(), "it cannot be read"),
        (b"-----BEGIN".to_vec(), "it contains no revocation list"),
        (Vec::new(), "it cannot be read"),
    ];
    for (list, expected) in cases {
        fs::write(&path, &list).unwrap();
        prepared.check_config().fails().says("list.pem").says(expected);
    }
    fs::remove_file(&path).unwrap();
    prepared
        .check_config()
        .fails()
        .says("list.pem")
        .says("No such file");
    fs::write(&path, ours.list()).unwrap();
    prepared
        .check_config()
        .ok()
        .does_not_say("warning: the revocation list");
    let foreign = ours.below("Foreign", INTERMEDIATE).list();
    fs::write(&path, [ours.list(), foreign].concat()).unwrap();
    prepared
        .check_config()
        .ok()
        .says("warning: the revocation list of CN=Foreign is not of a configured client CA");
}

#[test]
fn a_list_is_used_until_it_expires_and_for_the_grace_time() {
    let start = |dates: [&str; 4], grace: &str| {
        let prepared = with_list().set("revocation.crl.grace", json!(grace)).prepare();
        fs::write(
            prepared.path().join("list.pem"),
            authority(&prepared).list_with(&dates, ""),
        )
        .unwrap();
        prepared.start()
    };
    let past = [
        "-crl_lastupdate",
        "20200101000000Z",
        "-crl_nextupdate",
        "20200201000000Z",
    ];
    let future = [
        "-crl_lastupdate",
        "20900101000000Z",
        "-crl_nextupdate",
        "20900201000000Z",
    ];
    for (dates, grace, warning) in [
        (past, "1h", "expired at 2020-02-01"),
        (future, "1h", "is not valid before 2090-01-01"),
    ] {
        let server = start(dates, grace);
        assert_eq!(reason(&server, &server.pki().user("alice")), "crl_expired");
        assert!(server.log().contains(warning), "{}", server.log());
    }
    let server = start(past, "365000d");
    server.client("alice").get("/v2/").ok();
}

#[test]
fn a_serial_number_denies_only_certificates_of_the_same_ca() {
    let prepared = TestServer::builder()
        .requests_certificates()
        .set("server.client_ca_file", json!(null))
        .set(
            "client_cas",
            json!({"ours": "pki/ca.pem", "theirs": "authority/Other.authority/ca.pem"}),
        )
        .set("revocation.crl.directories", json!(["lists"]))
        .set("revocation.deny_list", json!("deny.toml"))
        .prepare();
    let ours = authority(&prepared);
    let theirs = ours.below("Other", INTERMEDIATE);
    let numbered = |authority: &Authority, name: &str, serial: &str| {
        authority.issue(name, &format!("/CN={name}"), CLIENT, &["-set_serial", serial])
    };
    let revoked = numbered(&ours, "revoked", "0x1234");
    let namesake = numbered(&theirs, "namesake", "0x1234");
    let denied = numbered(&ours, "denied", "0x0056");
    let spared = numbered(&theirs, "spared", "0x0056");
    ours.revoke(&revoked);
    let lists = prepared.path().join("lists");
    fs::create_dir(&lists).unwrap();
    fs::write(lists.join("ours.pem"), ours.list()).unwrap();
    fs::write(lists.join("theirs.crl"), theirs.list()).unwrap();
    fs::write(lists.join(".hidden"), "not a list").unwrap();
    fs::write(
        prepared.path().join("deny.toml"),
        "[[denied]]\nserial = \"00:56\"\nissuer = \"CN=Test CA\"\nreason = \"stolen\"\n",
    )
    .unwrap();
    let server = prepared.start();
    for files in [&revoked, &denied] {
        assert_eq!(reason(&server, files), "certificate_revoked");
    }
    for files in [&namesake, &spared] {
        server.client_with(files).get("/v2/").ok();
    }
    theirs.revoke(&spared);
    fs::write(lists.join("theirs.crl"), theirs.list()).unwrap();
    wait_until("the change in the directory is reloaded", || {
        server.client_with(&spared).get("/v2/").status == 401
    });
    assert_eq!(reason(&server, &spared), "certificate_revoked");
    server.client_with(&namesake).get("/v2/").ok();
}

#[test]
fn the_whole_chain_is_checked_if_so_configured() {
    let start = |depth: &str, with_root_list: bool| {
        let prepared = with_list().set("revocation.crl.check", json!(depth)).prepare();
        let root = authority(&prepared);
        let below = root.below("Below", INTERMEDIATE);
        let leaf = below.issue("leaf", "/CN=leaf", CLIENT, &[]);
        let mut lists = below.list();
        if with_root_list {
            let files = tests::ClientFiles {
                ca: prepared.pki().ca(),
                certificate: below.certificate(),
                key: below.certificate(),
            };
            root.revoke(&files);
            lists.extend(root.list());
        }
        fs::write(prepared.path().join("list.pem"), lists).unwrap();
        (prepared.start(), leaf)
    };
    let (server, leaf) = start("leaf", true);
    server.client_with(&leaf).get("/v2/").ok();
    let (server, leaf) = start("chain", true);
    assert_eq!(reason(&server, &leaf), "certificate_revoked");
    let (server, leaf) = start("chain", false);
    assert_eq!(reason(&server, &leaf), "crl_missing");
}

#[test]
fn without_a_list_reads_and_writes_fail_as_configured() {
    let start = |fail: Value| {
        let prepared = with_list().set("revocation.fail", fail).prepare();
        let elsewhere = authority(&prepared).below("Elsewhere", INTERMEDIATE);
        fs::write(prepared.path().join("list.pem"), elsewhere.list()).unwrap();
        prepared.start()
    };
    let asks = |server: &TestServer| {
        let client = server.client("alice");
        [
            ("GET", "/v2/app/_trust/tuf/root.json"),
            ("GET", "/v2/app/_trust/tuf/timestamp.key"),
            ("DELETE", "/v2/app/_trust/tuf/"),
        ]
        .map(|(method, path)| client.request(method, path, &[], &[]).status)
    };
    assert_eq!(asks(&start(json!({}))), [401, 401, 401]);
    assert_eq!(asks(&start(json!({"reads": "open"}))), [404, 401, 401]);
    assert_eq!(
        asks(&start(json!({"reads": "open", "writes": "open"}))),
        [404, 200, 200]
    );
    let server = start(json!({}));
    let error = server.client("alice").get("/v2/").refuses(401, "UNAUTHORIZED");
    assert_eq!(error["detail"]["reason"], "crl_missing");
    assert!(
        error["message"].as_str().unwrap().contains("CN=Test CA"),
        "{error}"
    );
}

/// A server that fetches its list, and what it fetches.
fn fetching(published: &Published) -> (Prepared, Authority, Web) {
    let answers = published.clone();
    let web = Web::start(move |asked| answers.answer(asked));
    let prepared = TestServer::builder()
        .requests_certificates()
        .set("revocation.crl.urls", json!([web.url("/list.crl")]))
        .set("revocation.crl.directory_for_fetched", json!("fetched"))
        .set("revocation.crl.fetch_every", json!("1s"))
        .prepare();
    let authority = authority(&prepared);
    (prepared, authority, web)
}

fn kept(directory: &Path) -> Vec<u8> {
    let mut files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.extension().is_some_and(|ending| ending == "crl"));
    fs::read(file.unwrap()).unwrap()
}

#[test]
fn lists_are_fetched_kept_and_used_after_a_restart_without_their_source() {
    let published = Published::default();
    let (prepared, authority, web) = fetching(&published);
    let (alice, bob) = (prepared.pki().user("alice"), prepared.pki().user("bob"));
    published.set(authority.list());
    let mut server = prepared.start();
    let status = |server: &TestServer, files| server.client_with(files).get("/v2/").status;
    wait_until("the list is fetched", || status(&server, &alice) == 200);
    let mut open = server.client_with(&alice).open();
    open.get("/v2/").ok();
    let asked = web.asked();
    wait_until("it is asked for again, and has not changed", || {
        web.asked() > asked + 1
    });
    authority.revoke(&alice);
    published.set(authority.list());
    wait_until("the new list is reloaded in the background", || {
        open.get("/v2/").status == 401
    });
    assert_eq!(status(&server, &bob), 200);
    published.set(None);
    let failed = "countersign_crl_fetches_total{outcome=\"failed\"}";
    wait_until("the source is away", || {
        server.figure(&server.client("bob"), failed) > 0.0
    });
    server.restart_server(tests::Stop::Politely);
    assert_eq!(status(&server, &bob), 200);
    assert_eq!(reason(&server, &alice), "certificate_revoked");
    assert!(
        server
            .log()
            .contains("a revocation list could not be fetched; the last one stays")
    );
}

#[test]
fn an_answer_from_an_unprotected_url_unrevokes_nothing() {
    let published = Published::default();
    let (prepared, authority, web) = fetching(&published);
    let alice = prepared.pki().user("alice");
    let dates = |start: &'static str| ["-crl_lastupdate", start, "-crl_nextupdate", "20900201000000Z"];
    let older = authority.list_with(&dates("20260101000000Z"), "");
    authority.revoke(&alice);
    let newer = authority.list_with(&dates("20260201000000Z"), "");
    published.set(newer.clone());
    let mut server = prepared.start();
    wait_until("the list is fetched", || {
        reason(&server, &alice) == "certificate_revoked"
    });
    let foreign = authority.below("Foreign", INTERMEDIATE).list();
    let mut broken = newer.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    for (what, body) in [
        ("older", older.clone()),
        ("foreign", foreign),
        ("broken", broken),
        ("empty", b"-----BEGIN".to_vec()),
        ("no list", b"<html>log in first</html>".to_vec()),
    ] {
        published.set(body);
        let asked = web.asked();
        let failed = "countersign_crl_fetches_total{outcome=\"failed\"}";
        let nobody = server.client_without_certificate();
        let before = server.figure(&nobody, failed);
        wait_until(what, || {
            web.asked() > asked && server.figure(&nobody, failed) > before
        });
        assert_eq!(kept(&server.path().join("fetched")), newer, "{what}");
        assert_eq!(reason(&server, &alice), "certificate_revoked", "{what}");
    }
    // After a restart what is kept still counts.
    published.set(older);
    let asked = web.asked();
    server.restart_server(Stop::Politely);
    wait_until("it asks twice", || web.asked() > asked + 1);
    assert_eq!(kept(&server.path().join("fetched")), newer);
    assert_eq!(reason(&server, &alice), "certificate_revoked");
}

#[test]
fn where_certificates_are_required_the_alert_says_revoked() {
    let prepared = with_list().set("tls.client_auth", json!("require")).prepare();
    let authority = authority(&prepared);
    let alice = prepared.pki().user("alice");
    authority.revoke(&alice);
    fs::write(prepared.path().join("list.pem"), authority.list()).unwrap();
    let server = prepared.start();
    let notary = tests::Notary::new(&server.url(), &alice, &server.path().join("trust"));
    let listed = notary.run(["list", "app"]).fails();
    listed.says("remote error: tls: revoked certificate");
    server.client("bob").get("/v2/").ok();
}

#[test]
fn no_list_at_hand_and_lists_of_another_scope_are_two_reasons() {
    let point = "issuingDistributionPoint=critical,@point\n[point]\n";
    let points = "fullname=URI:http://crl.example/other.crl\n";
    for (said, expected) in [
        ("onlyCA=TRUE", "crl_of_other_scope"),
        (points, "crl_of_other_scope"),
        ("onlyuser=TRUE", ""),
    ] {
        let prepared = with_list().prepare();
        let list = authority(&prepared).list_with(&["-crldays", "1"], &format!("{point}{said}"));
        fs::write(prepared.path().join("list.pem"), list).unwrap();
        let server = prepared.start();
        let alice = server.pki().user("alice");
        if expected.is_empty() {
            server.client_with(&alice).get("/v2/").ok();
            continue;
        }
        let error = server
            .client_with(&alice)
            .get("/v2/")
            .refuses(401, "UNAUTHORIZED");
        assert_eq!(error["detail"]["reason"], expected, "{said}: {error}");
        assert!(
            error["message"].as_str().unwrap().contains("another scope"),
            "{error}"
        );
    }
    let prepared = with_list().prepare();
    let other = authority(&prepared).below("Other", INTERMEDIATE).list();
    fs::write(prepared.path().join("list.pem"), other).unwrap();
    let server = prepared.start();
    assert_eq!(reason(&server, &server.pki().user("alice")), "crl_missing");
}
