//! What the stock clients need of a server, one test each (R1 to R10 of the design's list).

use std::io::{Read, Write};

use openssl::sha::sha256;
use platform::pki::KeyKind;
use serde_json::json;
use tests::{Notary, TestServer};

#[test]
fn r1_a_certificate_is_enough_and_nobody_is_ever_challenged_for_a_password() {
    let server = TestServer::builder().requests_certificates().start();
    let welcomed = server.client("alice").get("/v2/").ok();
    assert_eq!(welcomed.header("www-authenticate"), None);
    let refused = server.client_without_certificate().get("/v2/");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, None));
    // A challenge would make the CLI ask for a user name before it writes.
    server
        .notary("alice")
        .run(["init", "app", "-p"])
        .ok()
        .does_not_say("username");
}

#[test]
fn r2_tls_is_current_and_every_kind_of_client_key_is_accepted() {
    // Protocol versions, chains and key usages have their tests in client_certificates.rs.
    let server = TestServer::start();
    let keys = [
        ("p384", KeyKind::P384),
        ("rsa", KeyKind::Rsa(3072)),
        ("ed25519", KeyKind::Ed25519),
    ];
    for (name, kind) in keys {
        let files = server.pki().with_key(name, kind);
        let notary = Notary::new(&server.url(), &files, &server.path().join(name));
        notary.run(["init", name, "-p"]).ok();
        notary.add_and_publish(name, "v1", name);
        assert_eq!(notary.elsewhere("fresh").targets(name), ["v1"]);
    }
}

#[test]
fn r3_no_ca_names_are_offered_so_that_every_client_sends_what_it_has() {
    let server = TestServer::start();
    let files = server.pki().user("alice");
    let offered = |advertise: &str| {
        let server = TestServer::builder()
            .set("tls.advertise_cas", json!(advertise))
            .start();
        let address = format!("127.0.0.1:{}", server.port());
        let mut command = std::process::Command::new("openssl");
        command.args(["s_client", "-connect", &address, "-tls1_2"]);
        tests::Finished::run(&mut command, "").output()
    };
    assert!(offered("none").contains("No client certificate CA names sent"));
    assert!(offered("all").contains("CN = Test CA"));
    // The refusal of a certificate by an unknown CA then names its reason, every time.
    let stranger = Notary::new(
        &server.url(),
        &server.pki().stranger("alice"),
        &server.path().join("t"),
    );
    for _ in 0..25 {
        stranger
            .run(["list", "app"])
            .fails()
            .says("tls: unknown certificate authority");
    }
    server.client_with(&files).get("/v2/").ok();
}

#[test]
fn r4_intermediates_of_the_bundle_complete_a_clients_chain() {
    let prepared = TestServer::builder()
        .set("server.client_ca_file", json!("pki/bundle.pem"))
        .prepare();
    let leaf = prepared.pki().behind_intermediate("leaf", false);
    let bundle =
        [prepared.pki().intermediate(), prepared.pki().ca()].map(|path| std::fs::read(path).unwrap());
    std::fs::write(prepared.path().join("pki/bundle.pem"), bundle.concat()).unwrap();
    let server = prepared.start();
    Notary::new(&server.url(), &leaf, &server.path().join("t"))
        .run(["init", "app", "-p"])
        .ok();
}

#[test]
fn r5_http_1_0_and_1_1_with_and_without_kept_connections() {
    let server = TestServer::start();
    let client = server.client("alice");
    let old = client.raw(b"GET /v2/ HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!((old.status, old.body.as_slice()), (200, b"{}".as_slice()));
    let closed = client
        .raw(b"GET /v2/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert_eq!(closed.status, 200);
    let mut kept = client.connect().unwrap();
    assert!(kept.ssl().selected_alpn_protocol().is_none());
    for _ in 0..3 {
        kept.write_all(b"GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut answer = [0; 4096];
        let length = kept.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn r6_an_empty_publish_and_a_delete_of_nothing_are_200() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    alice.run(["init", "app", "-p"]).ok();
    alice.run(["key", "rotate", "app", "snapshot", "-r"]).ok();
    let client = server.client("alice");
    let version = || client.get("/v2/app/_trust/tuf/timestamp.json").json()["signed"]["version"].clone();
    let before = version().as_i64().unwrap();
    let published = client.publish("app", &[]).ok();
    assert_eq!(
        (published.body.len(), published.header("content-length")),
        (0, Some("0"))
    );
    assert_eq!(version(), before + 1);
    let deleted = client.delete("/v2/never/there/_trust/tuf/").ok();
    assert!(deleted.body.is_empty());
}

#[test]
fn r7_refusals_are_sentences_that_the_cli_prints() {
    let server = TestServer::start();
    let missing = server.client("alice").get("/v2/none/_trust/tuf/root.json");
    missing.refuses(404, "METADATA_NOT_FOUND");
    // A delegate of a repository whose snapshot key stayed with its owner.
    let (alice, bob) = (server.notary("alice"), server.notary("bob"));
    alice.run(["init", "reg/app", "-p"]).ok();
    let key = bob.trust().join("bob-key.pem");
    let public = bob.trust().join("bob.pem");
    for arguments in [
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"]
            .map(str::to_owned)
            .to_vec(),
        vec![
            "ec".into(),
            "-in".into(),
            key.display().to_string(),
            "-pubout".into(),
            "-out".into(),
        ],
    ] {
        let output = if arguments[0] == "ec" { &public } else { &key };
        let mut command = std::process::Command::new("openssl");
        tests::Finished::run(command.args(arguments).arg(output), "").ok();
    }
    let public = public.display().to_string();
    alice
        .run([
            "delegation",
            "add",
            "reg/app",
            "targets/releases",
            &public,
            "--all-paths",
            "-p",
        ])
        .ok();
    let key = key.display().to_string();
    bob.run([
        "key",
        "import",
        &key,
        "--role",
        "targets/releases",
        "--gun",
        "reg/app",
    ])
    .ok();
    let file = bob.file("content", "bob's").display().to_string();
    let add = ["add", "reg/app", "v1", &file, "-r", "targets/releases", "-p"];
    bob.run(add).fails().says("notary key rotate reg/app snapshot -r");
    alice.run(["key", "rotate", "reg/app", "snapshot", "-r"]).ok();
    bob.run(["publish", "reg/app"]).ok();
}

#[test]
fn r8_documents_are_served_by_name_version_and_checksum_byte_for_byte() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    alice.run(["init", "app", "-p"]).ok();
    alice.add_and_publish("app", "v1", "one");
    let client = server.client("alice");
    for role in ["root", "targets", "snapshot", "timestamp"] {
        let current = client.get(&format!("/v2/app/_trust/tuf/{role}.json")).ok();
        let version = current.json()["signed"]["version"].as_i64().unwrap();
        let by_version = client
            .get(&format!("/v2/app/_trust/tuf/{version}.{role}.json"))
            .ok();
        let checksum = hex::encode(sha256(&current.body));
        let by_checksum = client
            .get(&format!("/v2/app/_trust/tuf/{role}.{checksum}.json"))
            .ok();
        let upper = checksum.to_uppercase();
        let by_upper = client
            .get(&format!("/v2/app/_trust/tuf/{role}.{upper}.json"))
            .ok();
        for found in [&by_version, &by_checksum, &by_upper] {
            assert_eq!(found.body, current.body, "{role}");
            assert_eq!(found.header("cache-control"), Some("private, max-age=2592000"));
        }
        let expected = "private, max-age=300, must-revalidate";
        assert_eq!(current.header("cache-control"), Some(expected));
        assert_eq!(
            current.header("content-length"),
            Some(current.body.len().to_string().as_str())
        );
        let stored = current.header("last-modified").unwrap();
        assert!(
            chrono::DateTime::parse_from_rfc2822(stored).is_ok() && stored.ends_with(" GMT"),
            "{stored}"
        );
    }
}

#[test]
fn r9_names_with_ports_and_capitals_and_prefixes_of_each_other_stay_apart() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    let guns = [
        "reg.test:5000/Team/App",
        "reg.test:5000/Team/app",
        "reg.test:5000/Team/App/x",
        "reg.test:5000/Team",
    ];
    for (number, gun) in guns.iter().enumerate() {
        alice.run(["init", gun, "-p"]).ok();
        alice.add_and_publish(gun, &format!("v{number}"), gun);
    }
    let reader = server.notary("reader");
    for (number, gun) in guns.iter().enumerate() {
        assert_eq!(reader.targets(gun), [format!("v{number}")]);
    }
    server
        .client("alice")
        .delete(&format!("/v2/{}/_trust/tuf/", guns[3]))
        .ok();
    for (number, gun) in guns.iter().enumerate().take(3) {
        assert_eq!(server.notary("another").targets(gun), [format!("v{number}")]);
    }
}

#[test]
fn r10_a_server_url_with_a_trailing_slash_works() {
    let server = TestServer::start();
    let alice = server.notary("alice").with_url(&format!("{}/", server.url()));
    alice.run(["init", "app", "-p"]).ok();
    alice.add_and_publish("app", "v1", "one");
    assert_eq!(server.notary("bob").targets("app"), ["v1"]);
    assert_eq!(server.client("bob").get("//v2/").ok().body, b"{}");
}
