//! One list of findings: what refuses a start is told by `check-config`, `check` and `doctor` too, and what a server starts
//! with although somebody gets stuck on it is a warning of its start and of each of them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::{Value, json};
use tests::{
    TestServer,
    craft::{Made, Wanted, der, oid},
    judged::{
        COMMANDS, Case, change, fine, for_localhost, prepared, refused_everywhere, run, warned_everywhere,
    },
    process::wait_until,
    server::set,
};

#[test]
fn files_that_a_start_needs_are_looked_at_by_every_command() {
    let prepared = prepared();
    fine(&prepared);
    let stranger = prepared.pki().user("stranger").key.display().to_string();
    fs::write(prepared.path().join("garbage.pem"), "garbage").unwrap();
    fs::write(prepared.path().join("secret.pem"), "x").unwrap();
    fs::set_permissions(
        prepared.path().join("secret.pem"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    let token = json!({"type": "token", "options": {"realm": "https://tokens.test/", "service": "s", "issuer": "i",
        "rootcertbundle": "garbage.pem"}});
    let remote = json!({"type": "remote", "hostname": "localhost", "port": 7899, "key_algorithm": "ecdsa",
        "tls_ca_file": "pki/ca.pem", "tls_client_cert": "pki/server.pem", "tls_client_key": "pki/server-key.pem"});
    let text = fs::read(prepared.path().join("server.json")).unwrap();
    let keys = ["tls_ca_file", "tls_client_cert", "tls_client_key"].map(|key| format!("trust_service.{key}"));
    let own = ["tls_cert_file", "tls_key_file", "client_ca_file"].map(|key| format!("server.{key}"));
    let mut cases: Vec<Case<'_>> = Vec::new();
    for key in keys.iter().chain(&own) {
        for wrong in ["missing.pem", "garbage.pem", "secret.pem", "pki"] {
            cases.push((vec![(key, json!(wrong))], vec![wrong]));
        }
    }
    for key in ["trust_service.tls_client_key", "server.tls_key_file"] {
        let why = "does not belong to the first certificate";
        cases.push((vec![(key, json!(stranger))], vec!["stranger-key.pem", why]));
    }
    for wrong in ["missing.pem", "garbage.pem", "secret.pem", "pki"] {
        let bundle = ("auth.options.rootcertbundle", json!(wrong));
        cases.push((
            vec![("auth", token.clone()), bundle],
            vec!["auth.options.rootcertbundle", wrong],
        ));
        let deny = ("revocation.deny_list", json!(wrong));
        cases.push((vec![deny], vec![wrong]));
        let passwords = ("auth.password", json!({"enabled": true, "file": wrong}));
        cases.push((vec![passwords], vec![wrong]));
    }
    for (changes, causes) in cases {
        fs::write(prepared.path().join("server.json"), &text).unwrap();
        change(&prepared, &[("trust_service", remote.clone())]);
        change(&prepared, &changes);
        refused_everywhere(&prepared, &causes);
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let prepared = prepared();
    change(
        &prepared,
        &[
            ("trust_service.tls_ca_file", json!("no-ca.pem")),
            ("trust_service.tls_client_key", json!("no-key.pem")),
            ("server.tls_cert_file", json!("no-cert.pem")),
            ("server.client_ca_file", json!("no-client-ca.pem")),
            (
                "audit.sinks",
                json!(["file:none/audit.log", "stdout", "file:nil/audit.log"]),
            ),
            ("storage.db_url", json!("nowhere/metadata.db")),
        ],
    );
    let causes = [
        "no-ca.pem",
        "no-key.pem",
        "no-cert.pem",
        "no-client-ca.pem",
        "none/audit.log",
        "nil/audit.log",
        "nowhere/metadata.db",
    ];
    refused_everywhere(&prepared, &causes);
    let told = run(&prepared, COMMANDS[0]).output();
    for cause in causes {
        let lines = told.lines().filter(|line| line.contains(cause));
        assert_eq!(lines.count(), 1, "{cause}: {told}");
    }
    change(
        &prepared,
        &[
            ("storage.backend", json!("oracle")),
            ("trust_service.type", json!("hsm")),
            ("policy", json!([{"effect": "maybe"}])),
        ],
    );
    refused_everywhere(&prepared, &["\"oracle\"", "\"hsm\"", "policy[0].effect"]);
}

#[test]
fn places_that_cannot_be_written_to_are_told_and_nothing_is_made() {
    let prepared = prepared();
    let at = |name: &str| prepared.path().join(name);
    for directory in ["closed", "taken"] {
        fs::create_dir(at(directory)).unwrap();
    }
    fs::write(at("fixed"), "").unwrap();
    fs::write(at("no-database"), "neither text nor tables").unwrap();
    symlink("closed/behind", at("link")).unwrap();
    fs::set_permissions(at("fixed"), fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    let places = ["none/new", "closed/new", "taken", "fixed", "fixed/new", "link"];
    for place in places {
        change(&prepared, &[("audit.sinks", json!([format!("file:{place}")]))]);
        refused_everywhere(&prepared, &["audit.sinks: cannot write to", place]);
    }
    change(&prepared, &[("audit.sinks", json!(["file:audit.log"]))]);
    for place in places {
        change(&prepared, &[("storage.db_url", json!(place))]);
        refused_everywhere(&prepared, &["storage", place]);
    }
    change(&prepared, &[("storage.db_url", json!("no-database"))]);
    refused_everywhere(&prepared, &["storage", "no-database", "not a database"]);
    change(
        &prepared,
        &[
            ("storage.db_url", json!("new.db")),
            ("audit.sinks", json!(["file:new.log"])),
        ],
    );
    for command in COMMANDS {
        run(&prepared, command);
    }
    assert!(!at("new.log").exists() && !at("new.db").exists());
    fine(&prepared);
    fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    // A syslog daemon may come later.
    change(&prepared, &[("audit.sinks", json!(["syslog:no-socket"]))]);
    warned_everywhere(&prepared, 0, &["no syslog daemon listens", "no-socket"]);
}

#[test]
fn hosts_that_are_urls_and_urls_that_are_none_are_told() {
    for (key, value) in [
        ("trust_service.hostname", "https://signer.test"),
        ("trust_service.hostname", "signer.test:7899"),
        ("trust_service.hostname", "signer.test/"),
        ("trust_service.hostname", "[::1]"),
        ("trust_service.hostname", "user@signer.test"),
        ("trust_service.hostname", "signer test"),
        ("server.http_addr", "https://127.0.0.1:4443"),
        ("server.http_addr", "127.0.0.1:4443/"),
        ("server.external_url", "trust.test:4443"),
        ("server.external_url", "trust.test"),
        ("server.external_url", "https://trust.test/v2"),
        ("server.external_url", "https://trust.test?x=1"),
        ("server.external_url", "https://trust.test/#x"),
        ("server.external_url", "https://user@trust.test"),
        ("server.external_url", "https://:secret@trust.test"),
        ("server.external_url", "ftp://trust.test"),
        ("revocation.crl.urls", "crl.test/list.crl"),
        ("proxies.trusted", "https://10.0.0.1"),
    ] {
        let prepared = prepared();
        let value = if ["revocation.crl.urls", "proxies.trusted"].contains(&key) {
            json!([value])
        } else {
            json!(value)
        };
        change(&prepared, &[(key, value.clone())]);
        let shown = value
            .as_str()
            .or(value[0].as_str())
            .unwrap_or_default()
            .to_owned();
        refused_everywhere(&prepared, &[key, &shown]);
    }
    for host in ["signer", "signer_1.test", "127.0.0.1", "::1", "signer.test."] {
        let prepared = prepared();
        change(&prepared, &[("trust_service.hostname", json!(host))]);
        fine(&prepared);
    }
}

/// A certificate for localhost that says what `wanted` says, as the listener's.
#[test]
fn hosts_of_databases_that_are_urls_are_told() {
    for (backend, url) in [
        ("postgres", "postgres://u:p@https://db.test/d"),
        ("postgres", "postgres://https://db.test/d"),
        ("mysql", "u:p@tcp(https://db.test:3306)/d"),
    ] {
        let prepared = prepared();
        change(
            &prepared,
            &[("storage", json!({"backend": backend, "db_url": url}))],
        );
        refused_everywhere(&prepared, &["storage.db_url", "(not shown)"]);
    }
}

#[test]
fn addresses_that_cannot_be_listened_on_are_told() {
    let prepared = prepared();
    let further = |address: String| json!([{"name": "further", "address": address, "tls": false}]);
    let port = prepared.port();
    for (listeners, causes) in [
        (
            further(format!("127.0.0.1:{port}")),
            vec!["listeners[0].address", "listens on 127.0.0.1:"],
        ),
        (
            further(format!("0.0.0.0:{port}")),
            vec!["listeners[0].address", "listens on 127.0.0.1:"],
        ),
        // An address for documentation (RFC 5737).
        (
            further("192.0.2.1:4443".to_owned()),
            vec!["cannot listen on 192.0.2.1:4443"],
        ),
    ] {
        change(&prepared, &[("listeners", listeners)]);
        refused_everywhere(&prepared, &causes);
    }
    change(&prepared, &[("listeners", further(format!("127.0.0.2:{port}")))]);
    fine(&prepared);
    // One that is in use may be the server's own.
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    fine(&prepared);
}

#[test]
fn rules_that_can_never_apply_are_told_and_others_are_not() {
    let rule = |change: (&str, Value)| {
        let mut rule = json!({"name": "r", "effect": "allow", "principals": ["*"], "actions": ["pull"]});
        set(&mut rule, change.0, change.1);
        json!([rule])
    };
    let identity = json!([
        {"name": "ci", "match": {"ou": "ci"}, "principal": "ci:${cn}", "groups": ["ci"]},
        {"name": "rest", "match": {"subject": ".*"}, "principal": "user:${cn}"},
    ]);
    let token = (
        "auth",
        json!({"type": "token", "options": {"realm": "tokens.test/service", "service": "s", "issuer": "i",
        "rootcertbundle": "pki/ca.pem"}}),
    );
    for (policy, more, causes) in [
        (
            rule(("guns", json!(["https://reg.test/app"]))),
            None,
            vec!["https://reg.test/app", "without https://"],
        ),
        (
            rule(("guns", json!(["/reg.test/app"]))),
            None,
            vec!["/reg.test/app", "slash"],
        ),
        (
            rule(("guns", json!(["reg.test/team/"]))),
            None,
            vec!["reg.test/team/", "**"],
        ),
        (
            rule(("guns", json!(["reg.test/\u{1f600}"]))),
            None,
            vec!["matches no repository"],
        ),
        (
            rule(("guns", json!(["Docker.io/**"]))),
            Some(("repositories.gun_prefixes", json!(["docker.io/"]))),
            vec!["Docker.io/**", "repositories.gun_prefixes"],
        ),
        (
            rule(("principals", json!(["token:bob"]))),
            None,
            vec!["no client can have the name \"token:bob\""],
        ),
        (
            rule(("unless", json!(["group:ops"]))),
            None,
            vec!["no client can be in the group \"ops\""],
        ),
        (
            rule(("principals", json!(["alice", "ci:runner", "group:ci"]))),
            Some(("identity", identity.clone())),
            vec!["no client can have the name \"alice\""],
        ),
        (
            rule(("principals", json!(["user:alice"]))),
            Some(("identity", json!([identity[1], identity[0]]))),
            vec!["identity rule ci: it is never reached"],
        ),
        (
            rule(("principals", json!(["token:bob"]))),
            Some(token),
            vec!["auth.options.realm"],
        ),
    ] {
        let prepared = prepared();
        change(&prepared, &[("policy", policy)]);
        change(&prepared, more.as_slice());
        warned_everywhere(&prepared, 0, &causes);
        let told = run(&prepared, COMMANDS[0]).output();
        let warnings = told.lines().filter(|line| line.starts_with("warning: "));
        assert_eq!(warnings.count(), 1, "{told}");
    }
    let prepared = prepared();
    let policy = json!([{"effect": "allow", "principals": ["ci:runner", "user:a b", "group:ci", "*"],
        "actions": ["push:targets/*", "push:*", "push:*/releases", "push:snap*", "*"], "unless": ["user:mallory"],
        "guns": ["docker.io/${principal}/**", "**", "*.io/x", "docker.io/My App/Ä"]}]);
    change(
        &prepared,
        &[
            ("policy", policy),
            ("identity", identity),
            ("repositories.gun_prefixes", json!(["docker.io/"])),
        ],
    );
    fine(&prepared);
}

#[test]
fn a_reload_judges_by_the_same_list() {
    let server = TestServer::builder()
        .signs_locally()
        .set("reload.watch", json!(false))
        .start();
    let client = server.client("alice");
    let files = |made: &Made| made.files(server.path(), "reloaded", &[], &server.pki().ca());
    let authority = Wanted::authority("Crafted CA").self_signed();
    let unusable = files(&authority.issue(&for_localhost().with(oid::PURPOSES, false, der::CLIENT)));
    let text = fs::read(server.path().join("server.json")).unwrap();
    let mut refused = 0.0;
    for (key, value, cause) in [
        (
            "server",
            json!({"http_addr": format!("127.0.0.1:{}", server.port()), "client_ca_file": "pki/ca.pem",
            "tls_cert_file": unusable.certificate, "tls_key_file": unusable.key}),
            "cannot be used by any client",
        ),
        ("audit.sinks", json!(["file:none/audit.log"]), "none/audit.log"),
        ("server.external_url", json!("trust.test"), "server.external_url"),
        ("storage.db_url", json!("none/metadata.db"), "none/metadata.db"),
    ] {
        if key == "storage.db_url" && server.engine() != tests::Engine::Sqlite {
            continue;
        }
        fs::write(server.path().join("server.json"), &text).unwrap();
        server.configure(key, value);
        server.hang_up();
        refused += 1.0;
        wait_until("the reload is refused", || {
            server.reloads(&client) == (0.0, refused)
        });
        assert!(server.log().contains(cause), "{cause}: {}", server.log());
    }
    fs::write(server.path().join("server.json"), &text).unwrap();
    server.configure("server.external_url", json!("https://other.test"));
    let warnings = |server: &TestServer| {
        let health = server.client("alice").get("/health").ok().json();
        health["details"]["warnings"].as_u64().unwrap()
    };
    let before = warnings(&server);
    server.reload(&client);
    assert!(
        server
            .log()
            .contains("the server's certificate is not for other.test")
    );
    assert_eq!(warnings(&server), before + 1);
}

#[test]
fn a_file_that_a_refused_reload_lacked_is_taken_up_when_it_comes() {
    let server = TestServer::builder().start();
    let client = server.client("alice");
    server.configure("trust_service.tls_ca_file", json!("later.pem"));
    wait_until("the reload is refused", || server.reloads(&client).1 >= 1.0);
    let later: &Path = &server.path().join("later.pem");
    fs::copy(server.pki().ca(), later).unwrap();
    wait_until("the file is taken up", || server.reloads(&client).0 >= 1.0);
}
