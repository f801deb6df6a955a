//! The effects of a policy: the messages of clients when it denies something, and that no spelling of a name gets
//! around it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{
    Client, ENGINES, Finished, Notary, Response, TestServer,
    docker::{REGISTRY, debian_cli},
    flows::docker::World,
    openssl_files::key_pair,
    publisher::{Key, Publisher, SnapshotKey, sign},
    server::Builder,
};

const BARRED: &str = "reg/open/barred";

fn builder(policy: Value) -> Builder {
    TestServer::builder().set("policy", policy)
}

fn everything_for(principal: &str) -> Value {
    json!({"effect": "allow", "principals": [principal], "actions": ["*"]})
}

/// Delegates a role to a person, who gets the private key; returns the path of its public half.
fn delegate(owner: &Notary, delegate: &Notary, name: &str, gun: &str) -> String {
    let (key, public) = key_pair(delegate, name);
    let role = format!("targets/{name}");
    owner
        .run(["delegation", "add", gun, &role, &public, "--all-paths", "-p"])
        .ok();
    delegate
        .run(["key", "import", &key, "--role", &role, "--gun", gun])
        .ok();
    public
}

fn publish_as(notary: &Notary, gun: &str, target: &str, role: &str) -> Finished {
    let content = notary.file("content", target);
    notary.run(["add", gun, target, content.to_str().unwrap(), "-r", role, "-p"])
}

#[test]
fn the_notary_cli_prints_who_may_not_publish_what_and_where_to_ask() {
    let server = builder(json!([
        everything_for("alice"),
        {"effect": "allow", "principals": ["*"], "actions": ["pull"]},
        {"effect": "allow", "principals": ["bob"], "actions": ["push:targets/bob"]},
        {"effect": "allow", "principals": ["carol"], "actions": ["push:targets/bob"]},
    ]))
    .start();
    let (alice, bob, carol, dave) = (
        server.notary("alice"),
        server.notary("bob"),
        server.notary("carol"),
        server.notary("dave"),
    );
    alice.run(["init", "reg/app", "-p"]).ok();
    alice.run(["key", "rotate", "reg/app", "snapshot", "-r"]).ok();
    for (person, name) in [(&bob, "bob"), (&carol, "carol"), (&dave, "dave")] {
        delegate(&alice, person, name, "reg/app");
    }
    publish_as(&bob, "reg/app", "bobs", "targets/bob").ok();
    let before = server.stored();
    // The role is another than the one that she may publish.
    publish_as(&carol, "reg/app", "carols", "targets/carol")
        .fails()
        .says("carol may not push:targets/carol reg/app: ask whoever runs this trust server");
    // He may publish nothing at all.
    publish_as(&dave, "reg/app", "daves", "targets/dave")
        .fails()
        .says("dave may not push reg/app: ask whoever runs this trust server for the right \"push\"");
    assert_eq!(server.stored(), before);
    let denied = server.client("dave").publish("reg/app", &[]);
    denied.rejects("ErrValidation", "dave may not push reg/app");
}

#[test]
fn docker_prints_who_may_not_sign_what() {
    let world = World::start(builder(json!([
        everything_for("alice"),
        {"effect": "allow", "principals": ["*"], "actions": ["pull"]},
    ])));
    let repository = format!("{REGISTRY}/team/app");
    let image = format!("{repository}:1");
    let (alice, mallory) = (
        world.user(&debian_cli(), "alice"),
        world.user(&debian_cli(), "mallory"),
    );
    mallory.run(["trust", "key", "generate", "mallory"]).ok();
    let public = mallory.home().join("mallory.pub").display().to_string();
    alice
        .run(["trust", "signer", "add", "--key", &public, "mallory", &repository])
        .ok();
    let before = world.server().stored();
    mallory.make_image(&image, "content");
    mallory
        .run(["trust", "sign", &image])
        .fails()
        .says(&format!("mallory may not push {repository}"));
    assert_eq!(world.server().stored(), before);
}

#[test]
fn the_notary_cli_prints_who_may_not_create_a_repository() {
    let server = builder(json!([
        everything_for("alice"),
        {"effect": "allow", "principals": ["*"], "actions": ["pull"]},
    ]))
    .start();
    server
        .notary("bob")
        .run(["init", "reg/bobs", "-p"])
        .fails()
        .says("bob may not push reg/bobs: ask whoever runs this trust server");
    server
        .client("alice")
        .get("/v2/reg/bobs/_trust/tuf/root.json")
        .refuses(404, "METADATA_NOT_FOUND");
}

#[test]
fn everything_else_is_denied_as_403_with_the_right_that_is_missing() {
    let server = builder(json!([everything_for("alice")])).signs_locally().start();
    let alice = server.client("alice");
    Publisher::new(&alice, "reg/app", "reg/app").publish_first(&alice, "reg/app");
    let before = server.stored();
    let bob = server.client("bob");
    let trust = "/v2/reg/app/_trust/tuf/";
    for (method, path, right) in [
        ("GET", format!("{trust}root.json"), "pull"),
        ("GET", format!("{trust}1.root.json"), "pull"),
        ("POST", format!("{trust}snapshot.key"), "rotate-key"),
        ("DELETE", trust.to_owned(), "delete"),
        (
            "GET",
            "/v2/reg/app/_trust/changefeed?records=1".to_owned(),
            "pull",
        ),
        ("GET", "/v2/_trust/changefeed?records=1".to_owned(), "changefeed"),
    ] {
        let error = bob.request(method, &path, &[], &[]).refuses(403, "DENIED");
        assert_eq!(error["detail"]["reason"], "policy", "{method} {path}");
        assert_eq!(error["detail"]["action"], right, "{method} {path}");
        assert_eq!(error["detail"]["principal"], "bob");
    }
    // The first step of a first publish, in the words that a publisher gets to see.
    let key = bob
        .get(&format!("{trust}timestamp.key"))
        .refuses(400, "INVALID_UPDATE");
    assert!(
        key["detail"]["Error"]["Msg"]
            .as_str()
            .unwrap()
            .starts_with("bob may not push reg/app"),
        "{key}"
    );
    // Whether it exists is nobody's business who may not read it.
    let missing = bob
        .get("/v2/reg/none/_trust/tuf/root.json")
        .refuses(403, "DENIED");
    assert_eq!(missing["message"], "bob may not pull reg/none");
    assert_eq!(server.stored(), before);
}

#[test]
fn require_own_key_refuses_the_keys_of_other_users() {
    let server = builder(json!([
        everything_for("alice"),
        {"effect": "allow", "principals": ["bob", "eve"], "actions": ["pull", "push:targets/bob"],
         "require_own_key": true},
    ]))
    .start();
    let (alice, bob) = (server.notary("alice"), server.notary("bob"));
    alice.run(["init", "reg/app", "-p"]).ok();
    alice.run(["key", "rotate", "reg/app", "snapshot", "-r"]).ok();
    let public = delegate(&alice, &bob, "bob", "reg/app");
    publish_as(&bob, "reg/app", "bobs", "targets/bob")
        .fails()
        .says("bob may publish targets/bob only if it is signed with a key of their own");
    server.command_line("account add bob").ok();
    server
        .command_line(&format!("account key add bob --public-key {public}"))
        .ok();
    publish_as(&bob, "reg/app", "bobs", "targets/bob").ok();
    // Eve has stolen the key, and connects as herself.
    let eve = Notary::new(&server.url(), &server.pki().user("eve"), bob.trust());
    let before = server.stored();
    publish_as(&eve, "reg/app", "eves", "targets/bob")
        .fails()
        .says("eve may publish targets/bob only if it is signed with a key of their own");
    assert_eq!(server.stored(), before);
    server.command_line("account remove bob").ok();
    publish_as(&bob, "reg/app", "more", "targets/bob")
        .fails()
        .says("bob may publish targets/bob only if");
}

#[test]
fn the_key_of_a_clients_certificate_is_its_own() {
    let server = builder(json!([
        everything_for("alice"),
        {"effect": "allow", "principals": ["bob"], "actions": ["push:targets/bob"], "require_own_key": true},
    ]))
    .signs_locally()
    .start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, "reg/app", "reg/app");
    let files = server.pki().user("bob");
    let certified = openssl::pkey::PKey::private_key_from_pem(&std::fs::read(&files.key).unwrap()).unwrap();
    let key = Key::of(&certified);
    let targets = sign(
        &Publisher::delegating(1, "targets/bob", &key),
        &[&publisher.targets],
    );
    alice
        .publish(
            "reg/app",
            &[("root", &publisher.root_file(1)), ("targets", &targets)],
        )
        .ok();
    let delegated = sign(&Publisher::targets(1), &[&key]);
    // The certificate of the same name with another key is not enough.
    let template = platform::pki::Template::new("bob", platform::pki::Usage::Client, 1);
    let renewed = server.client_with(&server.pki().client("renewed", &template));
    renewed
        .publish("reg/app", &[("targets/bob", &delegated)])
        .rejects(
            "ErrValidation",
            "bob may publish targets/bob only if it is signed",
        );
    server
        .client_with(&files)
        .publish("reg/app", &[("targets/bob", &delegated)])
        .ok();
}

#[test]
fn require_own_key_applies_to_every_published_document() {
    let server = builder(json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["pull", "push", "init"], "require_own_key": true},
        {"effect": "allow", "principals": ["bob"], "actions": ["pull", "push", "init"],
         "require_own_key": ["root", "targets/*"]},
    ]))
    .signs_locally()
    .start();
    let register = |who: &str, key: &Key, name: &str| {
        let file = server.path().join(name);
        let der = STANDARD
            .decode(key.public["keyval"]["public"].as_str().unwrap())
            .unwrap();
        let public = match key.public["keytype"].as_str() {
            Some("ecdsa") => openssl::pkey::PKey::public_key_from_der(&der).unwrap(),
            _ => openssl::x509::X509::from_pem(&der).unwrap().public_key().unwrap(),
        };
        std::fs::write(&file, public.public_key_to_pem().unwrap()).unwrap();
        server
            .command_line(&format!("account key add {who} --public-key {}", file.display()))
            .ok();
    };
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, "reg/app", "reg/app").with_own_snapshot_key();
    let SnapshotKey::Own(snapshot_key) = &publisher.snapshot else {
        unreachable!("it was made so")
    };
    let (root, targets) = (publisher.root_file(1), publisher.targets_file(1));
    let snapshot = sign(
        &Publisher::snapshot(1, &[("root", &root), ("targets", &targets)]),
        &[snapshot_key],
    );
    let first = || {
        alice.publish(
            "reg/app",
            &[("root", &root), ("targets", &targets), ("snapshot", &snapshot)],
        )
    };
    let before = server.stored();
    server.command_line("account add alice").ok();
    for (role, key) in [
        ("root", &publisher.root),
        ("targets", &publisher.targets),
        ("snapshot", snapshot_key),
    ] {
        first().rejects(
            "ErrValidation",
            &format!("alice may publish {role} only if it is signed with a key of their own"),
        );
        assert_eq!(server.stored(), before);
        register("alice", key, role);
    }
    first().ok();
    // A snapshot alone, which whoever publishes anything may send, is no way round.
    let bobs = Publisher::new(&server.client("bob"), "reg/bobs", "reg/bobs");
    let files = [("root", bobs.root_file(1)), ("targets", bobs.targets_file(1))];
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(role, file)| (*role, file.as_slice()))
        .collect();
    let bob = server.client("bob");
    bob.publish("reg/bobs", &files)
        .rejects("ErrValidation", "bob may publish root only if it is signed");
    server.command_line("account add bob").ok();
    register("bob", &bobs.root, "bob");
    // His rule names root and delegations; targets may be signed with any key that the root lists.
    bob.publish("reg/bobs", &files).ok();
    bob.publish("reg/bobs", &[("targets", &bobs.targets_file(2))])
        .ok();
}

#[test]
fn everybody_has_repositories_under_their_own_name_and_nobody_elses() {
    let server = builder(json!([
        {"effect": "allow", "principals": ["*"], "actions": ["pull", "push", "init"], "guns": ["u/${principal}/**"]},
    ]))
    .signs_locally()
    .start();
    let (alice, bob) = (server.client("alice"), server.client("bob"));
    Publisher::new(&alice, "u/alice/app", "u/alice/app").publish_first(&alice, "u/alice/app");
    alice.get("/v2/u/alice/app/_trust/tuf/root.json").ok();
    for gun in [
        "u/alice/app",
        "u/alice/other",
        "u/alice",
        "u/bob",
        "u/bobby/app",
        "u/BOB/app",
        "bob/app",
    ] {
        bob.get(&format!("/v2/{gun}/_trust/tuf/root.json"))
            .refuses(403, "DENIED");
        bob.publish(gun, &[]).rejects("ErrValidation", "bob may not push");
    }
    // Names that stand for more than themselves.
    for name in ["*", "**", "alice/app", "${principal}"] {
        let template = platform::pki::Template::new(name, platform::pki::Usage::Client, 1);
        let client = server.client_with(&server.pki().client("odd", &template));
        let refused = client.try_request("GET", "/v2/u/alice/app/_trust/tuf/root.json", &[], &[]);
        assert!(matches!(refused.unwrap().status, 401 | 403), "{name}");
    }
}

#[test]
fn a_policy_in_audit_mode_denies_nothing_and_says_what_it_would() {
    let server = builder(json!([
        everything_for("alice"),
        {"name": "never", "effect": "deny", "principals": ["*"], "actions": ["delete"], "guns": ["reg/kept"],
         "mode": "enforce"},
    ]))
    .set("access", json!({"mode": "audit"}))
    .signs_locally()
    .start();
    let bob = server.client("bob");
    Publisher::new(&bob, "reg/app", "reg/app").publish_first(&bob, "reg/app");
    bob.delete("/v2/reg/app/_trust/tuf/").ok();
    let log = server.log();
    for action in ["push", "init", "delete"] {
        let said = log.lines().filter(|line| line.contains("access.mode is audit"));
        assert!(
            said.clone()
                .any(|line| line.contains(&format!("\"action\":\"{action}"))),
            "{action}: {:?}",
            said.collect::<Vec<_>>()
        );
    }
    bob.delete("/v2/reg/kept/_trust/tuf/").refuses(403, "DENIED");
}

/// The URL at the end of redirects.
fn follow(client: &Client, method: &str, path: &str) -> Response {
    let mut answer = client.request(method, path, &[], &[]);
    for _ in 0..5 {
        let Some(next) = answer.header("location").map(str::to_owned) else {
            return answer;
        };
        answer = client.request(method, &next, &[], &[]);
    }
    panic!("{path} leads nowhere");
}

#[test]
fn on_every_engine_no_way_of_writing_a_name_gets_around_the_policy() {
    for engine in ENGINES {
        let server = builder(json!([
            everything_for("alice"),
            {"effect": "allow", "principals": ["bob"], "actions": ["pull", "push", "init", "delete"],
             "guns": ["reg/open/**"]},
            {"effect": "deny", "principals": ["bob"], "actions": ["*"], "guns": [BARRED]},
        ]))
        .database(engine)
        .start();
        let (alice, bob) = (server.client("alice"), server.client("bob"));
        for gun in ["reg/secret/app", BARRED] {
            Publisher::new(&alice, gun, gun).publish_first(&alice, gun);
        }
        let before = server.stored();
        // Ways to write reg/secret/app and reg/open/barred, and names that an engine may take for one of them.
        for written in [
            "reg/secret/app",
            "reg%2Fsecret%2Fapp",
            "reg%2fsecret/app",
            "%72eg/secret/app",
            "reg/open/../secret/app",
            "reg/open/%2e%2e/secret/app",
            "reg/open/..%2Fsecret/app",
            "reg/open%2F..%2fsecret%2Fapp",
            "reg/open/.%2e/secret/./app",
            "reg//secret///app",
            "reg/%2Fsecret/app",
            "reg/open/x/../../secret/app",
            "REG/SECRET/app",
            "reg/secret/APP",
            "reg/secret/app%20",
            "reg/secret/app%00",
            "reg/secret/app%C2%A0",
            "reg%252Fsecret%252Fapp",
            "reg/open%252F..%252Fsecret/app",
            "reg/open/barred",
            "reg/open%2Fbarred",
            "reg/open/%62arred",
            "reg//open/barred",
            "reg/open/x/../barred",
            "reg/open/x%2F..%2Fbarred",
            "reg/open/./barred",
            "reg/open/Barred",
            "reg/open/BARRED",
            "reg/open/barred%20",
            "reg/open/barred%20%20",
            "reg/open/barred%09",
            "reg/open/barred%00",
            "reg/open/barre%C3%A4",
            "reg/open/b%C3%A1rred",
        ] {
            for file in ["root.json", "1.root.json", "timestamp.json", "targets.json"] {
                let path = format!("/v2/{written}/_trust/tuf/{file}");
                let answer = follow(&bob, "GET", &path);
                assert!(matches!(answer.status, 403 | 404), "{path}: {}", answer.status);
            }
            let path = format!("/v2/{written}/_trust/tuf/");
            // Deleting what is not there is no error; what matters is what is there afterwards.
            let answer = follow(&bob, "DELETE", &path);
            assert!(
                matches!(answer.status, 200 | 403 | 404),
                "{path}: {}",
                answer.status
            );
            let changes = format!("/v2/{written}/_trust/changefeed?records=10");
            let answer = follow(&bob, "GET", &changes);
            match answer.status {
                200 => assert_eq!(answer.json()["count"], 0, "{changes}"),
                status => assert!(matches!(status, 403 | 404), "{changes}: {status}"),
            }
            assert_eq!(server.stored(), before, "{written}");
        }
        // Where a name is another one it is his, and stays another.
        let blank = "reg/open/barred ";
        let encoded = "reg/open/barred%20";
        let publisher = Publisher::new(&bob, encoded, blank);
        publisher.publish_first(&bob, encoded);
        follow(&bob, "GET", &format!("/v2/{encoded}/_trust/tuf/root.json")).ok();
        bob.get(&format!("/v2/{BARRED}/_trust/tuf/root.json"))
            .refuses(403, "DENIED");
        follow(&bob, "DELETE", &format!("/v2/{encoded}/_trust/tuf/")).ok();
        assert_eq!(server.stored(), before);
        // Everybody else is served as ever.
        alice.get(&format!("/v2/{BARRED}/_trust/tuf/root.json")).ok();
    }
}
