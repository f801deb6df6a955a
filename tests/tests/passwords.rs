//! User names and passwords beside certificates: which login is accepted, and which clients are asked for a password.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{
    Finished, Notary, TestServer,
    docker::{REGISTRY, debian_cli},
    flows::docker::World,
    password_users::{COST, as_user, basic, bcrypt_of, builder, settings, start, users},
    process::{built_programs, free_port, wait_until},
    server::Builder,
};

const CHALLENGE: Option<&str> = Some("Basic realm=\"Countersign\", charset=\"UTF-8\"");

#[test]
fn a_right_password_logs_in_and_clients_without_one_are_asked_for_it() {
    let server = start(builder());
    let nobody = server.client_without_certificate();
    as_user(&nobody, "alice", "correct horse", "GET", "/v2/").ok();
    as_user(&nobody, "bob", "p:ässwort", "GET", "/v2/").ok();
    for path in [
        "/v2/",
        "/v2/reg/app/_trust/tuf/root.json",
        "/v2/_trust/changefeed?records=1",
    ] {
        let asked = nobody.get(path);
        let error = asked.refuses(401, "UNAUTHORIZED");
        assert_eq!(asked.header("www-authenticate"), CHALLENGE, "{path}");
        assert_eq!(error["detail"]["reason"], "no_credentials");
    }
    for (user, password) in [
        ("alice", "correct horses"),
        ("alice", ""),
        ("alice", "p:ässwort"),
        ("Alice", "correct horse"),
        ("nobody", "correct horse"),
        ("anonymous", ""),
    ] {
        let refused = as_user(&nobody, user, password, "GET", "/v2/");
        let error = refused.refuses(401, "UNAUTHORIZED");
        assert_eq!(refused.header("www-authenticate"), CHALLENGE);
        assert_eq!(error["detail"]["reason"], "wrong_password", "{user}");
    }
    for header in ["Basic", "Basic ?", "Basic YWxpY2U=", "basic Og=="] {
        let refused = nobody.request("GET", "/v2/", &[("Authorization", header)], &[]);
        refused.refuses(401, "UNAUTHORIZED");
    }
    assert!(!server.log().contains("correct horse"));
}

#[test]
fn a_certificate_has_precedence_and_a_password_does_not_help_a_refused_one() {
    let server = start(builder().set("audit", json!({"sinks": ["file:audit.json"]})));
    let carol = server.client("carol");
    assert_eq!(carol.get("/v2/").ok().header("www-authenticate"), None);
    // docker needs some user name and password in its configuration, and sends them everywhere.
    as_user(&carol, "carol", "unused", "GET", "/v2/").ok();
    as_user(&carol, "alice", "correct horse", "GET", "/v2/").ok();
    for files in [server.pki().expired(), server.pki().stranger("alice")] {
        let client = server.client_with(&files);
        let refused = as_user(&client, "alice", "correct horse", "GET", "/v2/");
        refused.refuses(401, "UNAUTHORIZED");
        assert_eq!(refused.header("www-authenticate"), None);
    }
    let nobody = server.client_without_certificate();
    as_user(&nobody, "alice", "correct horse", "GET", "/v2/").ok();
    let records = || -> Vec<Value> {
        let text = fs::read_to_string(server.path().join("audit.json")).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    wait_until("everything is recorded", || records().len() == 6);
    let records: Vec<(Value, Value)> = records()
        .into_iter()
        .map(|record| (record["principal"].clone(), record["auth_method"].clone()))
        .collect();
    let by_certificate = (json!("carol"), json!("TLSClientCertificate"));
    assert_eq!(
        records[..3],
        [by_certificate.clone(), by_certificate.clone(), by_certificate]
    );
    assert_eq!(records[5], (json!("alice"), json!("UsernamePassword")));
}

#[test]
fn passwords_are_off_unless_enabled() {
    for auth in [
        json!({}),
        json!({"password": {"enabled": false, "file": "users"}}),
    ] {
        let server = start(
            TestServer::builder()
                .requests_certificates()
                .signs_locally()
                .set("auth", auth),
        );
        let nobody = server.client_without_certificate();
        let refused = as_user(&nobody, "alice", "correct horse", "GET", "/v2/");
        assert_eq!(
            refused.refuses(401, "UNAUTHORIZED")["detail"]["reason"],
            "no_certificate"
        );
        assert_eq!(refused.header("www-authenticate"), None);
    }
}

#[test]
fn the_policy_knows_users_and_the_groups_of_file_and_account() {
    let policy = json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["pull"], "guns": ["a/**"]},
        {"effect": "allow", "principals": ["group:ops"], "actions": ["pull"], "guns": ["ops/**"]},
        {"effect": "allow", "principals": ["group:dev"], "actions": ["pull"], "guns": ["dev/**"]},
        {"effect": "allow", "principals": ["group:admins"], "actions": ["pull"], "guns": ["admins/**"]},
    ]);
    let mut password = settings();
    password["groups"] = json!("groups");
    let prepared = builder()
        .set("auth", json!({"password": password}))
        .set("policy", policy)
        .prepare();
    users(prepared.path());
    fs::write(prepared.path().join("groups"), "ops: alice\n").unwrap();
    let server = prepared.start();
    let nobody = server.client_without_certificate();
    let status = |user: &str, password: &str, gun: &str| {
        let path = format!("/v2/{gun}/_trust/tuf/root.json");
        as_user(&nobody, user, password, "GET", &path).status
    };
    let (alice, bob) = ("correct horse", "p:ässwort");
    assert_eq!(
        [status("alice", alice, "a/x"), status("bob", bob, "a/x")],
        [404, 403]
    );
    assert_eq!(
        [status("alice", alice, "ops/x"), status("bob", bob, "ops/x")],
        [404, 403]
    );
    assert_eq!(
        [status("alice", alice, "dev/x"), status("bob", bob, "dev/x")],
        [403, 403]
    );
    server.command_line("account add bob --group dev --admin").ok();
    assert_eq!(
        [status("bob", bob, "dev/x"), status("bob", bob, "admins/x")],
        [404, 404]
    );
    server.command_line("account disable bob").ok();
    assert_eq!(status("bob", bob, "dev/x"), 401);
    server.command_line("account enable bob").ok();
    assert_eq!(status("bob", bob, "dev/x"), 404);
    server.command_line("deny add --principal bob").ok();
    assert_eq!(status("bob", bob, "dev/x"), 401);
}

#[test]
fn changed_users_count_at_once_and_a_damaged_file_changes_nothing() {
    let server = start(builder());
    let nobody = server.client_without_certificate();
    let status = |user: &str, password: &str| as_user(&nobody, user, password, "GET", "/v2/").status;
    assert_eq!(status("alice", "correct horse"), 200);
    let file = server.path().join("users");
    fs::write(&file, format!("alice:{}\n", bcrypt_of("another", COST))).unwrap();
    wait_until("it is reloaded", || server.log().contains("\"generation\":2"));
    assert_eq!(status("alice", "another"), 200);
    assert_eq!(status("alice", "correct horse"), 401, "not even as remembered");
    assert_eq!(status("bob", "p:ässwort"), 401);
    fs::write(&file, "alice:plain\n").unwrap();
    wait_until("it is refused", || server.log().contains("line 1: user alice"));
    assert_eq!(status("alice", "another"), 200);
}

#[test]
fn a_file_with_anything_but_bcrypt_and_argon2id_is_refused_by_line_and_user() {
    let prepared = builder().prepare();
    let check = || {
        let mut run = Command::new(built_programs().join("countersign-server"));
        run.arg("check-config")
            .arg("--config")
            .arg(prepared.path().join("server.json"));
        Finished::run(&mut run, "")
    };
    check().fails().says("auth.password").says("users");
    let good = bcrypt_of("x", COST);
    for bad in [
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00",
        "x",
    ] {
        fs::write(
            prepared.path().join("users"),
            format!("alice:{good}\nbob:{bad}\n"),
        )
        .unwrap();
        check().fails().says("line 2: user bob").says("htpasswd -B");
    }
    users(prepared.path());
    check().ok();
}

/// The head of the answer to a request without TLS.
fn plain(address: (Ipv4Addr, u16), authorization: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let request = format!(
        "GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {authorization}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn passwords_without_tls_are_accepted_on_loopback_only() {
    for (address, allow, taken) in [
        ("127.0.0.1", false, true),
        ("0.0.0.0", false, false),
        ("0.0.0.0", true, true),
    ] {
        let port = free_port();
        let mut password = settings();
        password["allow_plain_http"] = json!(allow);
        let server = start(
            builder()
                .set("auth", json!({"password": password}))
                .set(
                    "policy",
                    json!([{"effect": "allow", "principals": ["alice"], "actions": ["*"]}]),
                )
                .set(
                    "listeners",
                    json!([{"name": "plain", "address": format!("{address}:{port}"), "tls": false}]),
                ),
        );
        wait_until("it listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        let at = (Ipv4Addr::LOCALHOST, port);
        let good = plain(at, &basic("alice", "correct horse"));
        let wrong = plain(at, &basic("alice", "wrong"));
        assert_eq!(
            good.starts_with("HTTP/1.1 200"),
            taken || !wrong.starts_with("HTTP/1.1 401"),
            "{good}"
        );
        assert_eq!(
            wrong.to_lowercase().contains("www-authenticate"),
            taken,
            "{wrong}"
        );
        drop(server);
    }
}

#[test]
fn the_notary_cli_publishes_with_a_password() {
    let server = start(builder());
    let notary = server.notary("alice").without_certificate();
    let run = |notary: &Notary, arguments: &[&str], password: &str| {
        let mut command = notary.command(arguments);
        command.env("NOTARY_AUTH", STANDARD.encode(format!("alice:{password}")));
        Finished::run(&mut command, "")
    };
    let content = notary.file("content", "what is signed");
    run(&notary, &["init", "reg/app", "-p"], "correct horse").ok();
    run(
        &notary,
        &["add", "reg/app", "v1", content.to_str().unwrap(), "-p"],
        "correct horse",
    )
    .ok();
    assert!(
        server
            .actors()
            .iter()
            .all(|(_, principal, _)| principal == "alice")
    );
    assert_eq!(server.actors().len(), 2);
    let other = notary.elsewhere("other");
    run(&other, &["init", "reg/other", "-p"], "wrong").fails();
    assert_eq!(server.actors().len(), 2);
    // With a password the CLI cannot read, whatever the server does; with a certificate it can.
    run(&notary.elsewhere("third"), &["list", "reg/app"], "correct horse")
        .fails()
        .says("no basic auth credentials");
    assert_eq!(server.notary("carol").targets("reg/app"), ["v1"]);
}

#[test]
fn docker_signs_and_pulls_with_the_password_of_docker_login() {
    let prepared = |builder: Builder| {
        builder.requests_certificates().set(
            "auth",
            json!({"password": {
                "enabled": true,
                "file": std::env::temp_dir().join(format!("countersign-users-{}", std::process::id())),
            }}),
        )
    };
    let file = std::env::temp_dir().join(format!("countersign-users-{}", std::process::id()));
    fs::write(&file, format!("alice:{}\n", bcrypt_of("correct horse", COST))).unwrap();
    let world = World::start(prepared(TestServer::builder()));
    let (ca, port) = (world.server().pki().ca(), world.server().port());
    let user = |name: &str, password: &str| {
        world
            .host()
            .user_with_password(&debian_cli(), (name, password), &ca, port)
            .with_content_trust()
    };
    let image = format!("{REGISTRY}/team/app:1");
    let alice = user("alice", "correct horse");
    alice.make_image(&image, "content");
    alice.run(["push", &image]).ok();
    alice.run(["pull", &image]).ok();
    assert!(
        world
            .server()
            .actors()
            .iter()
            .all(|(_, principal, _)| principal == "alice")
    );
    assert!(!world.server().actors().is_empty());
    user("mallory", "correct horse").run(["pull", &image]).fails();
    fs::remove_file(&file).unwrap();
}
