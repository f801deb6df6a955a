//! Token authentication, alone and beside client certificates, with the real CLI and a token service.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{
    Finished, Notary, TestServer,
    token_service::{TokenService, token},
};

/// A server that asks for tokens; `client_auth` says whether it asks for certificates too.
fn world(client_auth: &str) -> (TestServer, TokenService) {
    let builder = TestServer::builder().set("tls.client_auth", json!(client_auth));
    let prepared = builder.set("auth", json!("later")).prepare();
    let service = TokenService::start(prepared.pki());
    let path = prepared.path().join("server.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["auth"] = service.configuration();
    std::fs::write(&path, config.to_string()).unwrap();
    (prepared.start(), service)
}

/// The CLI of a user with a login and no certificate.
fn logged_in(server: &TestServer, user: &str, arguments: &[&str]) -> Finished {
    let notary: Notary = server.notary(user).without_certificate();
    let mut command = notary.command(arguments);
    command.env("NOTARY_AUTH", STANDARD.encode(format!("{user}:password")));
    Finished::run(&mut command, "")
}

#[test]
fn the_cli_gets_a_token_for_each_command_with_the_scope_it_needs() {
    let (server, service) = world("off");
    let gun = "reg.test:5000/Team/app";
    logged_in(&server, "alice", &["init", gun, "-p"]).ok();
    logged_in(&server, "alice", &["key", "rotate", gun, "snapshot", "-r"]).ok();
    server
        .notary("bob")
        .without_certificate()
        .run(["list", gun])
        .ok()
        .says("No targets present");
    // Without a login the service grants pull alone: that is too little for a publish.
    let denied = server
        .notary("bob")
        .without_certificate()
        .run_with_input(["init", "other", "-p"], "\n\n");
    denied
        .fails()
        .says("you are not authorized to perform this operation");
    logged_in(&server, "alice", &["delete", gun, "--remote"]).ok();
    let queries = service.queries().join("\n");
    for scope in ["push,pull", "*", "pull"] {
        assert!(
            queries.contains(&format!("scope=repository:{gun}:{scope}&")),
            "no {scope} in {queries}"
        );
    }
    let actors: Vec<String> = server
        .actors()
        .into_iter()
        .map(|(_, principal, _)| principal)
        .collect();
    assert!(actors.iter().all(|actor| actor == "token:alice"), "{actors:?}");
}

#[test]
fn every_route_challenges_with_its_scope() {
    let (server, _service) = world("off");
    let nobody = server.client_without_certificate();
    let challenge = |method: &str, path: &str| {
        let answer = nobody.request(method, path, &[], &[]);
        answer.refuses(401, "UNAUTHORIZED");
        let header = answer.header("www-authenticate").unwrap_or_default().to_owned();
        header
            .split_once("scope=")
            .map(|(_, scope)| scope.to_owned())
            .unwrap_or_default()
    };
    let base = "/v2/a/b/_trust/tuf";
    let cases = [
        ("GET", "/v2/".to_owned(), "registry:catalog:*"),
        ("GET", "/nothing".to_owned(), "registry:catalog:*"),
        (
            "GET",
            "/v2/_trust/changefeed?records=1".to_owned(),
            "registry:catalog:*",
        ),
        (
            "GET",
            "/v2/a/b/_trust/changefeed?records=1".to_owned(),
            "repository:a/b:pull",
        ),
        ("POST", format!("{base}/"), "repository:a/b:push,pull"),
        ("GET", format!("{base}/root.json"), "repository:a/b:pull"),
        ("GET", format!("{base}/1.root.json"), "repository:a/b:pull"),
        ("GET", format!("{base}/timestamp.key"), "repository:a/b:push,pull"),
        ("POST", format!("{base}/timestamp.key"), "repository:a/b:*"),
        ("DELETE", format!("{base}/"), "repository:a/b:*"),
    ];
    for (method, path, scope) in cases {
        assert_eq!(
            challenge(method, &path),
            format!("\"{scope}\""),
            "{method} {path}"
        );
    }
    nobody.get("/_notary_server/health").ok();
}

#[test]
fn a_token_opens_its_repository_and_no_other() {
    let (server, _service) = world("off");
    let client = server.client_without_certificate();
    let get = |path: &str, token: &str| {
        client.request("GET", path, &[("Authorization", &format!("Bearer {token}"))], &[])
    };
    let key = "/v2/a/b/_trust/tuf/timestamp.key";
    get(key, &token("alice", "a/b", &["push", "pull"])).ok();
    let few = get(key, &token("alice", "a/b", &["pull"]));
    few.refuses(401, "UNAUTHORIZED");
    assert!(
        few.header("www-authenticate")
            .unwrap()
            .contains(",error=\"insufficient_scope\",error_description=")
    );
    get(key, &token("alice", "a", &["*"])).refuses(401, "UNAUTHORIZED");
    let broken = get(key, "x.y.z");
    assert!(
        broken
            .header("www-authenticate")
            .unwrap()
            .contains(",error=\"invalid_token\",error_description=")
    );
    let error = broken.refuses(401, "UNAUTHORIZED");
    let expected = json!([
        {"Type": "repository", "Class": "", "Name": "a/b", "Action": "push"},
        {"Type": "repository", "Class": "", "Name": "a/b", "Action": "pull"},
    ]);
    assert_eq!(
        (&error["message"], &error["detail"]),
        (&json!("authentication required"), &expected)
    );
}

#[test]
fn a_certificate_needs_no_token_and_a_token_needs_no_certificate() {
    let (server, service) = world("request");
    let alice = server.notary("alice");
    alice.run(["init", "app", "-p"]).ok();
    alice.add_and_publish("app", "v1", "one");
    assert!(
        service.queries().is_empty(),
        "a client with a certificate was sent for a token"
    );
    server
        .notary("bob")
        .without_certificate()
        .run(["list", "app"])
        .ok()
        .says("v1");
    assert!(!service.queries().is_empty());
    let expired = server.client_with(&server.pki().expired()).get("/v2/");
    assert_eq!(
        expired.refuses(401, "UNAUTHORIZED")["detail"]["reason"],
        "certificate_expired"
    );
    assert_eq!(expired.header("www-authenticate"), None);
}

#[test]
fn a_configuration_that_asks_for_tokens_starts_only_if_it_can() {
    let refused = |auth: Value, expected: &str| {
        let prepared = TestServer::builder().set("auth", auth).prepare();
        let program = tests::process::built_programs().join("countersign-server");
        let mut command = std::process::Command::new(program);
        command.arg("-config").arg(prepared.path().join("server.json"));
        Finished::run(&mut command, "").fails().says(expected);
    };
    let options = |issuer: Value, bundle: &str| {
        json!({"type": "token", "options": {
            "realm": "https://r", "service": "s", "issuer": issuer, "rootcertbundle": bundle,
        }})
    };
    let bundle = TokenService::bundle().display().to_string();
    refused(
        options(Value::Null, &bundle),
        "token auth requires a valid option string: \"issuer\"",
    );
    refused(
        options(json!("i"), "/nowhere.crt"),
        "auth.options.rootcertbundle: /nowhere.crt: No such file",
    );
    refused(
        json!({"type": "htpasswd"}),
        "invalid value for auth.type: \"htpasswd\" (allowed: token)",
    );
}
