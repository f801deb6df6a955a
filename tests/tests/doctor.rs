//! `doctor`: the tests make each mistake that it looks for; it reports the client's message and the fix.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use platform::pki::{Issued, Template, Usage};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    Finished, TestServer, Whose,
    native::{Key, Repository, in_days},
    process::{Stop, built_programs, fake_time_library},
    server::Prepared,
};

/// A machine to examine, which shares only its programs with the real one.
struct Machine {
    home: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            home: TempDir::new().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A docker CLI that says that it is of this version.
    fn docker(&self, version: &str) {
        self.write(
            "bin/docker",
            format!("#!/bin/sh\necho {version}\n").as_bytes(),
            0o755,
        );
    }

    fn command(&self) -> Command {
        let mut command = Command::new(built_programs().join("countersign-server"));
        command
            .arg("doctor")
            .arg("--home")
            .arg(self.home.path())
            .arg("--etc")
            .arg(self.path("etc"));
        command.env("PATH", self.path("bin"));
        command
    }

    fn examine(&self, prepared: &Path) -> Finished {
        self.doctor(&["--config", &config(prepared)])
    }

    fn doctor(&self, arguments: &[&str]) -> Finished {
        Finished::run(self.command().args(arguments), "")
    }
}

/// Checks that a finding stands in the output, with its sentence and its fix.
#[track_caller]
fn finds(output: &Finished, what: &str, shown: &str, fix: &str) {
    let mut findings: Vec<String> = Vec::new();
    for line in output.stdout.lines() {
        match findings.last_mut() {
            Some(finding) if line.starts_with("  ") => finding.push_str(&format!("\n{line}")),
            _ => findings.push(line.to_owned()),
        }
    }
    let is_it = |finding: &&String| {
        let fixed = finding
            .split_once("\n  fix: ")
            .is_some_and(|(_, text)| text.contains(fix));
        let said = shown.is_empty() || finding.contains(&format!("\n  clients say: {shown}"));
        finding.contains(what) && said && fixed
    };
    assert!(
        findings.iter().any(|finding| is_it(&finding)),
        "no {what:?} with {shown:?} and {fix:?} in {output}"
    );
}

fn config(prepared: &Path) -> String {
    prepared.join("server.json").display().to_string()
}

fn prepared() -> Prepared {
    TestServer::builder()
        .requests_certificates()
        .tells_its_url()
        .prepare()
}

/// Replaces the server's certificate file.
fn certificate(prepared: &Prepared, chain: &[&Issued]) {
    let pem = chain.iter().flat_map(|issued| issued.certificate_pem().unwrap());
    let files = prepared.path().join("pki");
    fs::write(files.join("server.pem"), pem.collect::<Vec<u8>>()).unwrap();
    fs::write(files.join("server-key.pem"), chain[0].key_pem().unwrap()).unwrap();
}

fn for_localhost(days: u32) -> Template {
    let mut template = Template::new("localhost", Usage::ServerAndClient, days);
    template.dns = vec!["localhost".into()];
    template
}

#[test]
fn a_server_in_order_has_nothing_broken() {
    let machine = Machine::new();
    let server = TestServer::builder()
        .requests_certificates()
        .tells_its_url()
        .start();
    let alice = server.pki().user("alice");
    let files = [&alice.certificate, &alice.key, &alice.ca].map(|path| path.display().to_string());
    let pair = ["--cert", &files[0], "--key", &files[1], "--ca", &files[2]];
    let found = machine
        .doctor(&[&["--config", &config(server.path())], &pair[..]].concat())
        .ok();
    let in_order =
        "accepts the certificate,the signer at,the database answers,both clocks agree,is for localhost";
    for fine in in_order
        .split(',')
        .chain(["something listens", "nothing is broken"])
    {
        assert!(found.stdout.contains(fine), "no {fine:?} in {found}");
    }
    finds(
        &found,
        "leads to a loopback address",
        "Client sent an HTTP request to an HTTPS server",
        "whose address is not a loopback address",
    );
    // Without the configuration, as a client.
    let found = machine.doctor(&[&["--url", &server.url()], &pair[..]].concat());
    found.ok().says("accepts the certificate");
    let slash = machine
        .doctor(&[&["--url", &format!("{}/", server.url())], &pair[..]].concat())
        .fails();
    finds(
        &slash,
        "ends in a slash",
        "unable to reach trust server at this time: 301.",
        "remove the slash",
    );
    let http = machine
        .doctor(&["--url", &server.url().replace("https", "http")])
        .fails();
    finds(
        &http,
        "is not https",
        "valid https URL required for trust server",
        "use TLS",
    );
}

#[test]
fn names_chains_dates_and_keys_of_certificates_are_compared() {
    let machine = Machine::new();
    // The wrong name.
    let other = TestServer::builder()
        .set("server.external_url", json!("https://other.test:4443"))
        .prepare();
    let found = machine.examine(other.path()).fails();
    finds(
        &found,
        "is not for other.test",
        "x509: certificate is valid for localhost, trust.test, not other.test",
        "subject alternative name other.test",
    );
    finds(
        &found,
        "the name other.test has no address",
        "could not reach",
        "/etc/hosts",
    );
    // No names at all.
    let bare = prepared();
    certificate(
        &bare,
        &[&bare
            .pki()
            .authority()
            .issue(&Template::new("localhost", Usage::ServerAndClient, 90))
            .unwrap()],
    );
    finds(
        &machine.examine(bare.path()).fails(),
        "is not for localhost",
        "x509: certificate relies on legacy Common Name field, use SANs instead",
        "subject alternative name",
    );
    // Soon, and already.
    let soon = prepared();
    certificate(
        &soon,
        &[&soon.pki().authority().issue(&for_localhost(5)).unwrap()],
    );
    finds(
        &machine.examine(soon.path()),
        "expires in 4 days",
        "(from then on) x509: certificate has expired",
        "renew it",
    );
    let late = prepared();
    let mut template = for_localhost(1);
    template.validity = (-200_000, -100_000);
    certificate(&late, &[&late.pki().authority().issue(&template).unwrap()]);
    finds(
        &machine.examine(late.path()).fails(),
        "expired at",
        "x509: certificate has expired or is not yet valid",
        "renew it",
    );
    // An intermediate that is missing, or at the wrong place.
    let chained = prepared();
    let intermediate = chained
        .pki()
        .authority()
        .issue(&Template::new("Between", Usage::Authority, 90))
        .unwrap();
    let further = intermediate
        .issue(&Template::new("Further", Usage::Authority, 90))
        .unwrap();
    let leaf = further.issue(&for_localhost(90)).unwrap();
    let ca = chained.pki().ca().display().to_string();
    let mut text: serde_json::Value =
        serde_json::from_slice(&fs::read(chained.path().join("server.json")).unwrap()).unwrap();
    text["server"]["ca_file"] = json!(ca);
    fs::write(chained.path().join("server.json"), text.to_string()).unwrap();
    certificate(&chained, &[&leaf, &further]);
    let unknown = "x509: certificate signed by unknown authority";
    finds(
        &machine.examine(chained.path()).fails(),
        "an intermediate certificate is missing: clients do not know CN=Between",
        unknown,
        "append the certificate",
    );
    certificate(&chained, &[&leaf, &intermediate, &further]);
    finds(
        &machine.examine(chained.path()).fails(),
        "out of order: CN=Between does not issue CN=localhost",
        unknown,
        "own certificate first",
    );
    certificate(&chained, &[&leaf, &further, &intermediate]);
    machine
        .examine(chained.path())
        .says("lead to the CA that clients trust");
    // The key of another certificate, one that is open, and one that is not there.
    let key = chained.path().join("pki/server-key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    finds(
        &machine.examine(chained.path()).fails(),
        "is open to others (mode 644)",
        "refusing to load key",
        "chmod 600",
    );
    fs::write(&key, further.key_pem().unwrap()).unwrap();
    finds(
        &machine.examine(chained.path()).fails(),
        "does not belong to the first certificate",
        "",
        "a key belongs to the first certificate",
    );
    fs::remove_file(&key).unwrap();
    finds(
        &machine.examine(chained.path()).fails(),
        "server-key.pem: No such file",
        "",
        "let the program's user read it",
    );
}

#[test]
fn files_database_and_signer_of_the_server_are_tested() {
    let machine = Machine::new();
    let mut server = TestServer::builder()
        .requests_certificates()
        .tells_its_url()
        .start();
    server.stop_signer(Stop::Politely);
    finds(
        &machine.examine(server.path()).fails(),
        "the signer at localhost",
        "unable to reach trust server at this time: 503.",
        "start it",
    );
    server.stop_server(Stop::Politely);
    let found = machine.examine(server.path()).fails();
    finds(&found, "nobody listens on", "dial tcp", "start the server");
    finds(
        &found,
        "cannot be reached",
        "could not reach https://localhost",
        "start the server",
    );
    // Somebody else has the port, and does not speak TLS.
    let taken = TcpListener::bind(("127.0.0.1", server.port())).unwrap();
    let silent = std::thread::spawn(move || {
        for _ in 0..2 {
            drop(taken.accept().unwrap());
        }
    });
    finds(
        &machine.examine(server.path()).fails(),
        "the TLS handshake with",
        "could not reach",
        "make sure that this port uses TLS",
    );
    silent.join().unwrap();
    server.execute(
        Whose::Server,
        "DELETE FROM __diesel_schema_migrations WHERE version LIKE '0006%'",
    );
    finds(
        &machine.examine(server.path()).fails(),
        "lacks the migrations 0006_denials",
        "",
        "migrate up",
    );
    fs::remove_file(server.database()).unwrap();
    finds(
        &machine.examine(server.path()).fails(),
        "the database cannot be used",
        "unable to reach trust server",
        "storage.db_url",
    );
    fs::write(server.path().join("server.json"), "{").unwrap();
    finds(
        &machine.examine(server.path()).fails(),
        "the server would not start",
        "",
        "correct the configuration",
    );
}

#[test]
fn repositories_of_tuf_1_0_are_told_that_end_do_not_verify_or_cannot_be_renewed() {
    let machine = Machine::new();
    let mut server = TestServer::builder()
        .requests_certificates()
        .tells_its_url()
        .set("tuf", json!({"enabled": true}))
        .start();
    let key = Key::new();
    let repository = |server: &TestServer, name: &str| Repository::new(name, server.client("alice"));
    let (root, _) = repository(&server, "team/app").make(&key, &[("app.txt", b"one")]);
    let (_, mut ending) = repository(&server, "team/ending").make(&key, &[("app.txt", b"one")]);
    machine
        .examine(server.path())
        .ok()
        .says("2 TUF 1.0 repositories verify");
    ending.version = ending.version.next().unwrap();
    ending.expires = in_days(3);
    repository(&server, "team/ending")
        .send("metadata", &[&key.sign(&ending.draft().unwrap())])
        .ok();
    finds(
        &machine.examine(server.path()).ok(),
        "TUF: team/ending has a role that ends within 30 days",
        "",
        "countersign tuf renew",
    );
    // The signer's keys are gone: nothing can be published until a root names others.
    server.stop_signer(Stop::Politely);
    server.execute(Whose::Signer, "DELETE FROM private_keys");
    server.start_signer();
    finds(
        &machine.examine(server.path()).fails(),
        "TUF: team/app (and team/ending) has a root that names keys",
        "",
        "countersign tuf renew NAME root",
    );
    let app = repository(&server, "team/app");
    let mut next = root;
    next.version = next.version.next().unwrap();
    next.use_online_keys(&app.online_keys());
    app.send("metadata", &[&key.sign(&next.draft().unwrap())]).ok();
    finds(
        &machine.examine(server.path()).fails(),
        "TUF: team/ending has a root that names keys",
        "",
        "connect the signer",
    );
    let mut settings: Value =
        serde_json::from_slice(&fs::read(server.path().join("server.json")).unwrap()).unwrap();
    settings["tuf"]["enabled"] = json!(false);
    fs::write(server.path().join("server.json"), settings.to_string()).unwrap();
    finds(
        &machine.examine(server.path()).ok(),
        "2 TUF 1.0 repositories stored and not served",
        "",
        "set tuf.enabled",
    );
}

#[test]
fn a_client_is_told_what_its_certificate_or_clock_lacks() {
    let machine = Machine::new();
    let server = TestServer::builder().requests_certificates().start();
    let pki = server.pki();
    let ca = pki.ca().display().to_string();
    let with = |files: &tests::ClientFiles, ca: &str| {
        let files = [&files.certificate, &files.key].map(|path| path.display().to_string());
        machine.doctor(&[
            "--url",
            &server.url(),
            "--cert",
            &files[0],
            "--key",
            &files[1],
            "--ca",
            ca,
        ])
    };
    finds(
        &with(&pki.expired(), &ca).fails(),
        "has expired",
        "",
        "another certificate and key",
    );
    finds(
        &with(&pki.server_only(), &ca).fails(),
        "not for TLS clients",
        "",
        "another certificate and key",
    );
    finds(
        &with(&pki.stranger("mallory"), &ca).fails(),
        "answers 401",
        "you are not authorized",
        "follow the hint in the answer",
    );
    let alice = pki.user("alice");
    let stranger = pki.stranger_ca().display().to_string();
    finds(
        &with(&alice, &stranger).fails(),
        "clients do not know",
        "x509: certificate signed by unknown authority",
        "give clients the CA",
    );
    finds(
        &with(&alice, &alice.key.display().to_string()).fails(),
        "holds no PEM certificate",
        "x509",
        "/ca -o ca.crt",
    );
    let mut late = machine.command();
    late.args(["--url", &server.url(), "--ca", &ca]);
    late.env("LD_PRELOAD", fake_time_library())
        .env("FAKETIME", "+600s")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    finds(
        &Finished::run(&mut late, "").fails(),
        "clock",
        "x509: certificate has expired or is not yet valid",
        "NTP",
    );
}

#[test]
fn misnamed_files_and_unfit_programs_are_found() {
    let machine = Machine::new();
    machine.docker("28.2.2");
    let found = machine.doctor(&[]).ok();
    finds(
        &found,
        "BuildKit ignores DOCKER_CONTENT_TRUST",
        "",
        "DOCKER_BUILDKIT=0",
    );
    finds(&found, "signer remove", "", "notary delegation remove");
    machine.docker("29.0.1");
    finds(
        &machine.doctor(&[]).fails(),
        "docker 29.0.1 has no content trust",
        "",
        "use docker 28",
    );
    machine.docker("20.10.24");
    machine.doctor(&[]).ok().does_not_say("signer remove");
    let key = b"-----BEGIN PRIVATE KEY-----\n";
    for (above, host) in [
        (".docker/tls", "trust.test:4443"),
        ("etc/certs.d", "registry.test:5000"),
    ] {
        let place = format!("{above}/{host}");
        for (name, content, mode, shown, fix) in [
            (
                "client.key",
                &key[..],
                0o600,
                "missing client certificate client.cert for key client.key",
                "client.cert (not .crt and not .pem)",
            ),
            (
                "client.cert",
                b"x",
                0o644,
                "missing key client.key for client certificate client.cert. CA certificates must use the extension .crt",
                "client.key",
            ),
            (
                "ca.pem",
                b"x",
                0o644,
                "x509: certificate signed by unknown authority",
                "call a CA ca.crt",
            ),
            (
                "client.pem",
                key,
                0o600,
                "x509: certificate signed by unknown authority",
                "call a client's key client.key",
            ),
        ] {
            let path = machine.write(&format!("{place}/{name}"), content, mode);
            finds(
                &machine.doctor(&[]).fails(),
                &format!("{place}/{name}"),
                shown,
                fix,
            );
            fs::remove_file(path).unwrap();
        }
        machine.write(&format!("{place}/client.cert"), b"x", 0o644);
        machine.write(&format!("{place}/client.key"), key, 0o640);
        finds(
            &machine.doctor(&[]).fails(),
            "is open to others (mode 640)",
            "refusing to load key",
            "chmod 600",
        );
        machine.write(&format!("{place}/client.key"), key, 0o600);
        machine
            .doctor(&[])
            .ok()
            .says(&format!("fine: the names in {}", machine.path(&place).display()));
    }
}
