//! A client CA of one's own, bundles for users, and their revocation.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    ClientFiles, Finished, TestServer,
    docker::{DockerHost, REGISTRY},
    flows::docker::World,
    process::{built_programs, wait_until},
};

fn server(arguments: &[&str]) -> Finished {
    let mut command = Command::new(built_programs().join("countersign-server"));
    Finished::run(command.args(arguments), "")
}

/// A CA in `clients`, and what is issued beside it.
struct Ca {
    directory: TempDir,
}

impl Ca {
    fn new() -> Self {
        let ca = Self {
            directory: TempDir::new().unwrap(),
        };
        ca.init(&[]).ok();
        ca
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn init(&self, more: &[&str]) -> Finished {
        server(&[&["ca", "init", "--dir", &self.text("clients")], more].concat())
    }

    fn issue(&self, name: &str, out: &str, more: &[&str]) -> Finished {
        let (ca, out) = (self.text("clients"), self.text(out));
        server(&[&["bundle", "issue", name, "--ca", &ca, "--out", &out], more].concat())
    }

    fn revoke(&self, more: &[&str]) -> Finished {
        let (ca, list) = (self.text("clients"), self.text("clients.crl"));
        server(&[&["bundle", "revoke", "--ca", &ca, "--out", &list], more].concat())
    }

    fn listed(&self) -> Value {
        let listed = server(&["bundle", "list", "--ca", &self.text("clients"), "--json"]).ok();
        serde_json::from_str(&listed.stdout).unwrap()
    }

    /// A bundle's files, for a server whose CA is in `ca`.
    fn files(&self, bundle: &str, ca: PathBuf) -> ClientFiles {
        ClientFiles {
            ca,
            certificate: self.path(bundle).join("cert.pem"),
            key: self.path(bundle).join("key.pem"),
        }
    }
}

fn openssl(arguments: &[&str]) -> Finished {
    Finished::run(Command::new("openssl").args(arguments), "")
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_ca_is_made_once_and_never_replaced() {
    let ca = Ca::new();
    assert_eq!(mode(&ca.path("clients/ca-key.pem")), 0o600);
    let before = fs::read(ca.path("clients/ca-key.pem")).unwrap();
    ca.init(&[]).ok().says("kept");
    ca.init(&["--name", "Another"])
        .fails()
        .says("Countersign client CA");
    fs::rename(ca.path("clients/ca.pem"), ca.path("elsewhere")).unwrap();
    ca.init(&[]).fails().says("ca.pem: it is missing");
    assert_eq!(fs::read(ca.path("clients/ca-key.pem")).unwrap(), before);
    ca.issue("alice", "alice", &[]).fails().says("holds no CA");
    server(&[
        "bundle",
        "issue",
        "alice",
        "--ca",
        "/nowhere",
        "--out",
        &ca.text("x"),
    ])
    .fails()
    .says("ca init --dir /nowhere");
    assert!(!ca.path("x").exists());
}

#[test]
fn a_cas_key_can_have_a_passphrase() {
    let ca = Ca {
        directory: TempDir::new().unwrap(),
    };
    for (name, content) in [
        ("right", "open sesame\n"),
        ("wrong", "open barley\n"),
        ("empty", "\n"),
    ] {
        fs::write(ca.path(name), content).unwrap();
    }
    let (right, wrong, empty) = (ca.text("right"), ca.text("wrong"), ca.text("empty"));
    ca.init(&["--passphrase-file", &empty])
        .fails()
        .says("it is empty");
    ca.init(&["--passphrase-file", &right]).ok();
    assert!(
        fs::read_to_string(ca.path("clients/ca-key.pem"))
            .unwrap()
            .contains("ENCRYPTED")
    );
    ca.issue("alice", "alice", &[])
        .fails()
        .says("use --passphrase-file FILE");
    ca.issue("alice", "alice", &["--passphrase-file", &wrong])
        .fails()
        .says("the passphrase is wrong");
    assert!(!ca.path("alice").exists());
    ca.issue("alice", "alice", &["--passphrase-file", &right]).ok();
}

#[test]
fn a_bundle_holds_what_every_program_expects() {
    let ca = Ca::new();
    let more = ["--group", "release", "--group", "ops", "--days", "10"];
    let places = [
        "--url",
        "https://trust.test:4443",
        "--registry",
        "registry.test:5000",
    ];
    ca.issue("alice", "alice", &[&more[..], &places].concat()).ok();
    openssl(&["x509", "-in", &ca.text("alice/cert.pem"), "-noout", "-subject"])
        .ok()
        .says("O = release, O = ops, CN = alice");
    let trusted = ca.text("clients/ca.pem");
    openssl(&[
        "verify",
        "-CAfile",
        &trusted,
        "-purpose",
        "sslclient",
        &ca.text("alice/cert.pem"),
    ])
    .ok();
    let password = format!("file:{}", ca.text("alice/p12-password.txt"));
    openssl(&[
        "pkcs12",
        "-in",
        &ca.text("alice/cert.p12"),
        "-passin",
        &password,
        "-nodes",
    ])
    .ok()
    .says("CN = alice");
    for (directory, names) in [
        (".", &["key.pem", "cert.p12", "p12-password.txt"][..]),
        ("docker/tls/trust.test:4443", &["client.key"]),
        ("certs.d/registry.test:5000", &["client.key"]),
    ] {
        for name in names {
            assert_eq!(
                mode(&ca.path("alice").join(directory).join(name)),
                0o600,
                "{directory}/{name}"
            );
        }
    }
    for directory in ["docker/tls/trust.test:4443", "certs.d/registry.test:5000"] {
        for (copy, original) in [
            ("ca.crt", "ca.pem"),
            ("client.cert", "cert.pem"),
            ("client.key", "key.pem"),
        ] {
            let copy = fs::read(ca.path("alice").join(directory).join(copy)).unwrap();
            assert_eq!(copy, fs::read(ca.path("alice").join(original)).unwrap());
        }
    }
    ca.issue("alice", "alice", &[])
        .fails()
        .says("already holds a bundle");
    for (name, more, reason) in [
        ("../bob", &[][..], "cannot be a user's name"),
        ("anonymous", &[], "it is the name of clients without an identity"),
        ("bob", &["--group", "a b"], "cannot be a group's name"),
        ("bob", &["--days", "9999"], "the CA expires on"),
        (
            "bob",
            &["--url", "https://trust.test:4443/"],
            "as clients write it",
        ),
        (
            "bob",
            &["--registry", "registry.test/team"],
            "as image names begin",
        ),
    ] {
        ca.issue(name, "bob", more).fails().says(reason);
    }
    assert!(!ca.path("bob").exists());
    assert_eq!(ca.listed().as_array().unwrap().len(), 1);
}

#[test]
fn a_renewal_tells_of_groups_that_it_leaves_out() {
    let ca = Ca::new();
    let groups = ["--group", "release", "--group", "ops"];
    ca.issue("alice", "alice", &groups).ok().does_not_say("note:");
    ca.issue("alice", "second", &["--group", "ops"])
        .ok()
        .says("names groups that this one does not: release;");
    // What is left out once is not asked for again.
    ca.issue("alice", "third", &["--group", "ops"])
        .ok()
        .does_not_say("note:");
    ca.issue("bob", "bob", &[]).ok().does_not_say("note:");
}

#[test]
fn whoami_tells_of_whoever_was_revoked() {
    let ca = Ca::new();
    ca.issue("alice", "alice", &[]).ok();
    ca.issue("bob", "bob", &[]).ok();
    ca.revoke(&["alice"]).ok();
    let whoami = |name: &str, revocation: Value| {
        let config = json!({"server": {"client_ca_file": "./clients/ca.pem"}, "revocation": revocation});
        fs::write(ca.path("server.json"), config.to_string()).unwrap();
        let (config, certificate) = (ca.text("server.json"), ca.text(&format!("{name}/cert.pem")));
        server(&["whoami", "--config", &config, "--cert", &certificate])
    };
    let lists = json!({"crl": {"files": ["./clients.crl"]}});
    whoami("alice", lists.clone())
        .fails()
        .says("revocation: certificate revoked (CRL)")
        .says("not identified: the certificate or its holder is refused");
    whoami("bob", lists)
        .ok()
        .says("revocation: not on any list in files, next update ")
        .says("principal: bob");
    // A server would fetch it.
    let addresses = json!({"urls": ["http://127.0.0.1:1/list"], "directory_for_fetched": "./fetched"});
    fs::create_dir(ca.path("fetched")).unwrap();
    whoami("bob", json!({"crl": addresses}))
        .ok()
        .says("(crl_missing), considering files only")
        .says("principal: bob");
    whoami("alice", json!({}))
        .ok()
        .says("revocation: no CA list is configured as a file");
    fs::write(
        ca.path("deny.json"),
        json!({"denied": [{"principal": "bob"}]}).to_string(),
    )
    .unwrap();
    whoami("bob", json!({"deny_list": "./deny.json"}))
        .fails()
        .says("revocation: certificate revoked (deny list)")
        .does_not_say("principal: bob");
}

#[test]
fn whoever_is_revoked_is_refused_by_the_list_alone_and_at_once_by_the_deny_list() {
    let ca = Ca::new();
    for (name, out) in [("alice", "alice"), ("alice", "alice-laptop"), ("bob", "bob")] {
        ca.issue(name, out, &["--group", "release"]).ok();
    }
    server(&[
        "ca",
        "crl",
        "--ca",
        &ca.text("clients"),
        "--out",
        &ca.text("clients.crl"),
    ])
    .ok()
    .says("0 revoked");
    let trust = TestServer::builder()
        .requests_certificates()
        .set("server.client_ca_file", json!(ca.text("clients/ca.pem")))
        .set("identity", json!([{"name": "people", "preset": "kubernetes"}]))
        .set("revocation", json!({"crl": {"files": [ca.text("clients.crl")]}}))
        .start();
    let client = |bundle: &str| trust.client_with(&ca.files(bundle, trust.pki().ca()));
    let status = |bundle: &str| client(bundle).get("/basic_info").status;
    for bundle in ["alice", "alice-laptop", "bob"] {
        assert_eq!(status(bundle), 200, "{bundle}");
    }
    // One certificate, by the list alone.
    let serial = ca.listed()[0]["serial"].as_str().unwrap().to_owned();
    ca.revoke(&["--serial", &serial, "--reason", "lost"])
        .ok()
        .says("1 revoked");
    wait_until("the list is read", || status("alice") == 401);
    assert!(client("alice").get("/basic_info").text().contains("revoked"));
    assert_eq!((status("alice-laptop"), status("bob")), (200, 200));
    // All of a user's, at once.
    let config = trust.path().join("server.json").display().to_string();
    ca.revoke(&["alice", "--config", &config])
        .ok()
        .says("was already revoked")
        .says("is refused");
    assert_eq!(
        (status("alice"), status("alice-laptop"), status("bob")),
        (401, 401, 200)
    );
    openssl(&[
        "crl",
        "-in",
        &ca.text("clients.crl"),
        "-CAfile",
        &ca.text("clients/ca.pem"),
        "-noout",
        "-text",
    ])
    .ok()
    .says("verify OK")
    .says("X509v3 CRL Number")
    .says(&serial);
    ca.revoke(&["carol"])
        .fails()
        .says("issued no certificate to \"carol\"");
    ca.revoke(&["--serial", "AB"]).fails().says("bundle list");
    ca.revoke(&[]).fails().says("say whose");
}

#[test]
fn whoever_logs_in_signs_until_the_bundle_is_revoked() {
    let ca = Ca::new();
    let policy = json!([
        {"effect": "allow", "principals": ["owner"], "actions": ["*"]},
        {"effect": "allow", "principals": ["group:release"], "actions": ["pull", "push"], "require_own_key": true},
    ]);
    let world = World::start(
        TestServer::builder()
            .requests_certificates()
            .set("client_cas", json!({"issued": ca.text("clients/ca.pem")}))
            .set("identity", json!([{"name": "people", "preset": "kubernetes"}]))
            .set("policy", policy),
    );
    let (host, trust) = (world.host(), world.server());
    let shared = fs::read_to_string(trust.pki().ca()).unwrap();
    let url = trust.url();
    let bundle = |name: &str| {
        let trusted = trust.pki().ca().display().to_string();
        let more = [
            "--group",
            "release",
            "--url",
            &url,
            "--registry",
            REGISTRY,
            "--server-ca",
            &trusted,
        ];
        ca.issue(name, name, &more).ok();
        assert_eq!(fs::read_to_string(ca.path(name).join("ca.pem")).unwrap(), shared);
        Person {
            host,
            home: ca.path(name),
        }
    };
    let (alice, mallory) = (bundle("alice"), bundle("mallory"));
    let owner = Person {
        host,
        home: ca.path("owner"),
    };
    ca.issue(
        "owner",
        "owner",
        &[
            "--url",
            &url,
            "--registry",
            REGISTRY,
            "--server-ca",
            &trust.pki().ca().display().to_string(),
        ],
    )
    .ok();
    let image = format!("{REGISTRY}/team/app");
    // The owner makes the repository and names alice's certificate as its signer.
    owner
        .run(&format!(
            "docker trust signer add --key {} alice {image}",
            ca.text("alice/cert.pem")
        ))
        .ok()
        .says("Successfully added signer: alice");
    alice
        .run("docker trust key load key.pem --name alice")
        .ok()
        .says("Successfully imported key");
    alice.image(&format!("{image}:1"));
    alice
        .run(&format!("docker trust sign {image}:1"))
        .ok()
        .says("Successfully signed");
    let seen = owner.run(&format!("docker trust inspect {image}:1")).ok();
    let seen: Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_eq!(seen[0]["SignedTags"][0]["Signers"], json!(["alice"]));
    // With alice's key and a login of their own, somebody else is not alice.
    mallory
        .run(&format!(
            "docker trust key load {} --name alice",
            ca.text("alice/key.pem")
        ))
        .ok();
    mallory.image(&format!("{image}:2"));
    mallory
        .run(&format!("docker trust sign {image}:2"))
        .fails()
        .says("mallory");
    // Revoked, alice gets nowhere with a key that the repository still names.
    let config = trust.path().join("server.json").display().to_string();
    ca.revoke(&["alice", "--config", &config]).ok();
    alice.image(&format!("{image}:3"));
    let refused = alice.run(&format!("docker trust sign {image}:3")).fails();
    assert!(!refused.output().contains("Successfully signed"), "{refused}");
    let seen = owner.run(&format!("docker trust inspect {image}")).ok();
    assert!(
        seen.stdout.contains("\"SignedTag\": \"1\"") && !seen.stdout.contains("\"SignedTag\": \"3\""),
        "{seen}"
    );
}

/// A user who sources the `env.sh` of their bundle.
struct Person<'a> {
    host: &'a DockerHost,
    home: PathBuf,
}

impl Person<'_> {
    fn run(&self, script: &str) -> Finished {
        self.host.shell(&self.home, &format!(". ./env.sh; {script}"))
    }

    fn image(&self, reference: &str) {
        fs::write(self.home.join("content"), reference).unwrap();
        self.run(&format!(
            "tar -cf image.tar content; docker import image.tar {reference}"
        ))
        .ok();
    }
}
