//! One list of findings: what refuses a start is told by `check-config`, `check` and `doctor` too, and what a server starts
//! with although somebody gets stuck on it is a warning of its start and of each of them.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use openssl::ssl::{SslAcceptor, SslMethod};
use platform::tls::{ServerCertificateFault, server_certificate_fault};
use serde_json::{Value, json};
use tests::{
    Finished, Stop, TestServer,
    craft::{Made, Wanted, der, oid},
    process::{Daemon, built_programs, wait_until},
    server::{Prepared, set},
};

/// Changes of a configuration, and what is said because of them.
type Case<'a> = (Vec<(&'a str, Value)>, Vec<&'a str>);

/// The ways to judge a configuration that end by themselves.
const COMMANDS: [&[&str]; 3] = [
    &["check-config"],
    &["check"],
    &["doctor", "--home", "/nowhere", "--etc", "/nowhere"],
];

/// A configuration that a server would start with, without a signer, on SQLite.
fn prepared() -> Prepared {
    TestServer::builder()
        .database(tests::Engine::Sqlite)
        .set("logging.level", json!("warn"))
        .set(
            "policy",
            json!([{"effect": "allow", "principals": ["*"], "actions": ["*"]}]),
        )
        .prepare()
}

/// Changes the server's configuration file.
fn change(prepared: &Prepared, changes: &[(&str, Value)]) {
    let path = prepared.path().join("server.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in changes {
        set(&mut config, key, value.clone());
    }
    fs::write(path, config.to_string()).unwrap();
}

/// The program without root's right to read and write everything, so that the rights of files count.
fn program() -> Command {
    let program = built_programs().join("countersign-server");
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-all", "--inh-caps=-all"])
        .arg(program);
    command
}

fn run(prepared: &Prepared, command: &[&str]) -> Finished {
    let mut run = program();
    run.current_dir(prepared.path()).args(command);
    run.args(["--config", "server.json"]);
    Finished::run(&mut run, "")
}

fn tells(output: &str, causes: &[&str]) -> bool {
    let plain = output.replace("\\\"", "\"");
    causes.iter().all(|cause| plain.contains(cause))
}

/// Checks that neither the start nor any command takes the configuration, and that all of them say why.
#[track_caller]
fn refused_everywhere(prepared: &Prepared, causes: &[&str]) {
    let mut start = program();
    start
        .current_dir(prepared.path())
        .args(["--config", "server.json"]);
    let log = prepared.path().join("refused.log");
    let _ = fs::remove_file(&log);
    let mut daemon = Daemon::spawn(&mut start, &log);
    assert_eq!(daemon.wait(), Some(1), "{causes:?}: {}", daemon.log());
    assert!(tells(&daemon.log(), causes), "{causes:?}: {}", daemon.log());
    for command in COMMANDS {
        let finished = run(prepared, command);
        assert_eq!(finished.code, 1, "{causes:?}: {finished}");
        assert!(tells(&finished.output(), causes), "{causes:?}: {finished}");
        assert!(!finished.output().contains("is fine"), "{causes:?}: {finished}");
    }
}

/// Checks that the server starts with a warning, which every command gives too; `check-config` ends with `code`.
#[track_caller]
fn warned_everywhere(prepared: &Prepared, code: i32, causes: &[&str]) {
    let mut start = program();
    start
        .current_dir(prepared.path())
        .args(["--config", "server.json"]);
    let log = prepared.path().join("warned.log");
    let _ = fs::remove_file(&log);
    let mut daemon = Daemon::spawn(&mut start, &log);
    let address = (std::net::Ipv4Addr::LOCALHOST, prepared.port());
    daemon.wait_for("the server listens", || {
        std::net::TcpStream::connect(address).is_ok()
    });
    assert_eq!(daemon.stop(Stop::Politely), Some(0));
    // A thread of its own writes the log, to its end before the server does.
    let warned = daemon.log();
    assert!(
        tells(&warned, causes) && warned.contains("\"WARN\""),
        "{causes:?}: {warned}"
    );
    for command in COMMANDS {
        let finished = run(prepared, command);
        assert!(tells(&finished.output(), causes), "{causes:?}: {finished}");
        if command == COMMANDS[0] {
            assert_eq!(finished.code, code, "{causes:?}: {finished}");
        }
    }
}

/// Checks that nothing is found.
#[track_caller]
fn fine(prepared: &Prepared) {
    run(prepared, COMMANDS[0])
        .ok()
        .does_not_say("warning")
        .says("is fine");
}

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
fn shows(prepared: &Prepared, wanted: &Wanted) {
    let authority = Wanted::authority("Crafted CA").self_signed();
    install(prepared, &authority.issue(wanted));
}

fn install(prepared: &Prepared, made: &Made) {
    let files = made.files(prepared.path(), "listener", &[], &prepared.pki().ca());
    change(
        prepared,
        &[
            ("server.tls_cert_file", json!(files.certificate)),
            ("server.tls_key_file", json!(files.key)),
        ],
    );
}

fn for_localhost() -> Wanted {
    Wanted::client("localhost")
        .with(oid::PURPOSES, false, der::SERVER)
        .with(oid::ALTERNATIVE, false, &der::dns("localhost"))
}

#[test]
fn a_certificate_that_no_client_can_use_is_refused() {
    const UNKNOWN: &str = "1.3.6.1.4.1.99999.1";
    // Code signing, as a certificate for developers has it.
    let code = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x03";
    for (wanted, why) in [
        (
            for_localhost().with(oid::PURPOSES, false, der::CLIENT),
            "serverAuth",
        ),
        (for_localhost().with(oid::PURPOSES, true, code), "serverAuth"),
        (for_localhost().with(UNKNOWN, true, b"\x05\x00"), UNKNOWN),
        // That of a certificate that was made for certificate transparency alone (RFC 6962 section 3.1).
        (
            for_localhost().with("1.3.6.1.4.1.11129.2.4.3", true, b"\x05\x00"),
            "1.3.6.1.4.1.11129.2.4.3",
        ),
    ] {
        let prepared = prepared();
        shows(&prepared, &wanted);
        refused_everywhere(
            &prepared,
            &["listener.crafted.pem", "cannot be used by any client", why],
        );
    }
}

#[test]
fn a_certificate_that_is_too_weak_is_named_with_the_reason_in_words() {
    let mut weak = for_localhost();
    weak.key = tests::craft::rsa_key(1024);
    let prepared = prepared();
    shows(&prepared, &weak);
    refused_everywhere(
        &prepared,
        &["listener.crafted.pem: its key is too small", "RSA 2048"],
    );
}

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
fn a_certificate_that_some_clients_take_is_taken() {
    for wanted in [
        for_localhost(),
        for_localhost().without(oid::PURPOSES),
        for_localhost().without(oid::PURPOSES).without(oid::USAGE),
        for_localhost().with(oid::USAGE, true, der::ENCIPHER),
        for_localhost().with("1.3.6.1.4.1.99999.1", false, b"\x05\x00"),
    ] {
        let prepared = prepared();
        shows(&prepared, &wanted);
        fine(&prepared);
    }
    // As "openssl req -x509" makes it: a CA that is its own server.
    let prepared = prepared();
    let own =
        for_localhost()
            .without(oid::PURPOSES)
            .without(oid::USAGE)
            .with(oid::CONSTRAINTS, true, der::CA);
    install(&prepared, &own.self_signed());
    fine(&prepared);
    // Go's clients take these, and OpenSSL's do not.
    for wanted in [
        for_localhost().with(oid::PURPOSES, false, der::ANY),
        for_localhost().with(oid::USAGE, true, der::ISSUE),
    ] {
        shows(&prepared, &wanted);
        warned_everywhere(
            &prepared,
            0,
            &["listener.crafted.pem", "is refused by clients built on OpenSSL"],
        );
    }
}

/// Shows a certificate to whoever connects, and answers something, until `clients` have been there; gives what they say.
fn shown_to<T>(made: &Made, clients: impl FnOnce(u16) -> T) -> T {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate(&made.certificate).unwrap();
    acceptor.set_private_key(&made.key).unwrap();
    let acceptor = acceptor.build();
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for connection in listener.incoming() {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = acceptor.accept(connection.unwrap()) else {
                    continue;
                };
                let _ = stream.read(&mut [0; 4096]);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
                let _ = stream.shutdown();
            }
        });
        let said = clients(port);
        done.store(true, Ordering::SeqCst);
        drop(std::net::TcpStream::connect((
            std::net::Ipv4Addr::LOCALHOST,
            port,
        )));
        said
    })
}

#[test]
fn real_clients_take_the_certificates_that_are_said_to_be_usable_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Wanted::authority("Crafted CA").self_signed();
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, authority.certificate.to_pem().unwrap()).unwrap();
    let gated = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x86\xf8\x42\x04\x01";
    for wanted in [
        for_localhost(),
        for_localhost().without(oid::PURPOSES).without(oid::USAGE),
        for_localhost().with(oid::USAGE, true, der::AGREE),
        for_localhost().with(oid::PURPOSES, false, der::CLIENT),
        for_localhost().with(oid::PURPOSES, false, der::ANY),
        for_localhost().with(oid::PURPOSES, false, gated),
        for_localhost().with(oid::USAGE, true, der::ISSUE),
        for_localhost().with("2.5.29.36", true, b"\x30\x03\x80\x01\x0a"),
        for_localhost().with("2.5.29.18", true, &der::dns("x")),
        for_localhost().with("1.3.6.1.4.1.99999.1", true, b"\x05\x00"),
        for_localhost().with("1.3.6.1.4.1.99999.1", false, b"\x05\x00"),
    ] {
        let made = authority.issue(&wanted);
        let expected = match server_certificate_fault(&made.certificate) {
            None => (true, true),
            Some(ServerCertificateFault::Some { clients, .. }) => {
                (!clients.contains("curl"), !clients.contains("notary"))
            }
            Some(_) => (false, false),
        };
        let taken = shown_to(&made, |port| {
            let url = format!("https://localhost:{port}/");
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--cacert"]).arg(&ca).arg(&url);
            let mut notary = Command::new(tests::process::installed_program("notary", "notary"));
            notary.arg("-d").arg(directory.path().join("trust"));
            notary
                .args(["-s", &url, "--tlscacert"])
                .arg(&ca)
                .args(["list", "reg/app"]);
            let notary = Finished::run(&mut notary, "");
            (
                Finished::run(&mut curl, "").code == 0,
                !notary.output().contains("client is offline"),
            )
        });
        let shown: Vec<_> = wanted
            .extensions
            .iter()
            .map(|(oid, critical, _)| (oid, critical))
            .collect();
        assert_eq!(taken, expected, "curl and notary; {shown:?}");
    }
}

#[test]
fn a_certificate_at_the_wrong_time_is_told_and_does_not_refuse_a_start() {
    for (days, why) in [((-3, -1), "expired at"), ((1, 3), "is not valid before")] {
        let prepared = prepared();
        let mut wanted = for_localhost();
        wanted.days = days;
        shows(&prepared, &wanted);
        warned_everywhere(&prepared, 1, &["listener.crafted.pem", why]);
    }
}

#[test]
fn an_external_url_that_no_certificate_has_is_told() {
    let prepared = prepared();
    for wrong in [
        "https://other.test:4443",
        "https://10.9.8.7",
        "https://trust.test.example",
    ] {
        change(&prepared, &[("server.external_url", json!(wrong))]);
        let host = wrong.trim_start_matches("https://").trim_end_matches(":4443");
        let causes = [
            &format!("the server's certificate is not for {host}"),
            "localhost",
            "127.0.0.1",
        ];
        warned_everywhere(&prepared, 0, &causes);
    }
    for right in [
        "https://localhost",
        "https://LOCALHOST:4443/",
        "https://127.0.0.1:8443",
    ] {
        change(&prepared, &[("server.external_url", json!(right))]);
        fine(&prepared);
    }
    // One of several listeners is enough.
    prepared.pki().daemon_called("other.test");
    let further = json!([{"name": "further", "address": format!("127.0.0.1:{}", tests::process::free_port()),
        "tls_cert_file": "pki/other.test.pem", "tls_key_file": "pki/other.test-key.pem"}]);
    change(
        &prepared,
        &[
            ("server.external_url", json!("https://other.test")),
            ("listeners", further),
        ],
    );
    fine(&prepared);
    // A proxy in front of a listener without TLS may have the name, unless the URL names the port of one with TLS.
    let plain = json!([{"name": "plain", "address": format!("127.0.0.1:{}", tests::process::free_port()), "tls": false}]);
    change(
        &prepared,
        &[
            ("server.external_url", json!("https://proxy.test")),
            ("listeners", plain),
        ],
    );
    fine(&prepared);
    let own = format!("https://proxy.test:{}", prepared.port());
    change(&prepared, &[("server.external_url", json!(own))]);
    warned_everywhere(&prepared, 0, &["the server's certificate is not for proxy.test"]);
    change(&prepared, &[("server.external_url", json!("http://localhost"))]);
    warned_everywhere(
        &prepared,
        0,
        &["server.external_url is http://localhost", "https://"],
    );
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
fn certificates_without_names_or_for_the_other_side_are_told() {
    let prepared = prepared();
    shows(&prepared, &for_localhost().without(oid::ALTERNATIVE));
    warned_everywhere(
        &prepared,
        0,
        &["listener.crafted.pem", "no subject alternative names"],
    );
    let prepared = self::prepared();
    let authority = Wanted::authority("Crafted CA").self_signed();
    let own = |wanted: &Wanted| {
        let files = authority
            .issue(wanted)
            .files(prepared.path(), "own", &[], &prepared.pki().ca());
        change(
            &prepared,
            &[
                ("trust_service.tls_client_cert", json!(files.certificate)),
                ("trust_service.tls_client_key", json!(files.key)),
            ],
        );
    };
    own(&for_localhost());
    warned_everywhere(
        &prepared,
        0,
        &["trust_service.tls_client_cert", "own.crafted.pem", "clientAuth"],
    );
    let mut late = Wanted::client("server");
    late.days = (-3, -1);
    own(&late);
    warned_everywhere(
        &prepared,
        1,
        &["trust_service.tls_client_cert", "own.crafted.pem", "expired at"],
    );
    own(&Wanted::client("server"));
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
