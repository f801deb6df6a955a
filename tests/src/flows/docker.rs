//! `docker trust`, and push and pull with content trust, against a dockerd and a registry that demands client
//! certificates as well.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    Finished, Notary, Stop, TestServer,
    docker::{Docker, DockerHost, REGISTRY, debian_cli, other_cli},
    namespace::Namespace,
    server::Builder,
};

/// A trust server, a registry and a dockerd in one namespace.
pub struct World {
    host: DockerHost,
    server: TestServer,
    _directory: tempfile::TempDir,
}

impl World {
    /// Starts a trust server, and the registry and dockerd beside it.
    pub fn start(builder: Builder) -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        let namespace = Namespace::new(directory.path());
        let server = builder.inside(&namespace).start();
        let host = DockerHost::start(&namespace, directory.path(), server.pki(), "dockerd");
        Self {
            host,
            server,
            _directory: directory,
        }
    }

    /// A person with a certificate for trust server and registry.
    pub fn user(&self, cli: &Path, name: &str) -> Docker {
        self.host
            .user(cli, name, &self.server.pki().user(name), self.server.entry())
    }

    /// The trust server.
    pub fn server(&self) -> &TestServer {
        &self.server
    }

    /// Stops the trust server.
    pub fn stop_server(&mut self) {
        self.server.stop_server(Stop::Politely);
    }

    /// The host of the docker programs.
    pub fn host(&self) -> &DockerHost {
        &self.host
    }

    /// Restarts one daemon or both, politely or not, by turns.
    fn restart(&mut self, turn: usize) {
        let how = if turn.is_multiple_of(2) {
            Stop::Politely
        } else {
            Stop::AtOnce
        };
        match turn % 3 {
            0 => self.server.restart_server(how),
            1 => self.server.restart_signer(how),
            _ => {
                self.server.restart_signer(how);
                self.server.restart_server(how);
            }
        }
    }

    /// Removes a signer as its owner does: with the CLI, or, where the CLI (from 26 on) says that it did and did
    /// not, with the notary CLI on the same trust directory.
    fn remove_signer(&self, owner: &Docker, name: &str, repository: &str) {
        owner
            .run(["trust", "signer", "remove", "--force", name, repository])
            .ok();
        if !signers(owner, repository).contains(&name.to_owned()) {
            return;
        }
        let (url, files) = (self.server.url(), self.server.pki().user("owner"));
        let trust = owner.home().join("trust");
        let notary = Notary::new(&url, &files, &trust).at(self.host.place().clone());
        let mut remove = notary.command([
            "delegation",
            "remove",
            repository,
            &format!("targets/{name}"),
            "-y",
            "-p",
        ]);
        for role in ["ROOT", "TARGETS", "SNAPSHOT", "DELEGATION"] {
            let kind = if role == "ROOT" { "root" } else { "repository" };
            remove.env(format!("NOTARY_{role}_PASSPHRASE"), format!("{kind} passphrase"));
        }
        Finished::run(&mut remove, "").ok();
    }
}

fn signers(docker: &Docker, repository: &str) -> Vec<String> {
    let inspected = docker.run(["trust", "inspect", repository]).ok();
    let parsed: Value = serde_json::from_str(&inspected.stdout).unwrap();
    let mut names: Vec<String> = parsed[0]["Signers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signer| signer["Name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Every version of the CLI that is here: Debian's always.
pub fn clis() -> Vec<PathBuf> {
    let clis: Vec<PathBuf> = std::iter::once(debian_cli()).chain(other_cli()).collect();
    if clis.len() == 1 {
        // Printed past the capture of test output, so that a skipped version is visible.
        let note =
            "NOTE: only Debian's docker CLI is here; set COUNTERSIGN_DOCKER_CLI to test another one too\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
    }
    clis
}

fn signed_tags(docker: &Docker, repository: &str) -> Vec<(String, Vec<String>)> {
    let inspected = docker.run(["trust", "inspect", repository]).ok();
    let parsed: Value = serde_json::from_str(&inspected.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut tags: Vec<(String, Vec<String>)> = parsed[0]["SignedTags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| {
            (
                text(&tag["SignedTag"]),
                tag["Signers"].as_array().unwrap().iter().map(text).collect(),
            )
        })
        .collect();
    tags.sort();
    tags
}

/// Signers are added, sign, inspect and revoke; daemons are restarted in between.
pub fn sign_inspect_revoke(world: &mut World, clis: &[PathBuf]) {
    let mut turn = 0;
    for (number, cli) in clis.iter().enumerate() {
        let repository = format!("{REGISTRY}/team{number}/app.x-y");
        let (alice, bob) = (
            world.user(cli, &format!("alice{number}")),
            world.user(cli, &format!("bob{number}")),
        );
        let (alice_name, bob_name) = (format!("alice{number}"), format!("bob{number}"));
        let alice_key = alice.signing_key(&alice_name);
        let bob_key = bob.signing_key(&bob_name);

        let add = [
            "trust",
            "signer",
            "add",
            "--key",
            &alice_key,
            &alice_name,
            &repository,
        ];
        alice.run(add).ok().says("Successfully added signer");
        world.restart(turn);
        let add = [
            "trust",
            "signer",
            "add",
            "--key",
            &bob_key,
            &bob_name,
            &repository,
        ];
        alice.run(add).ok().says("Successfully added signer");

        let one = format!("{repository}:1.0");
        alice.make_image(&one, "the first");
        world.restart(turn + 1);
        alice
            .run(["trust", "sign", &one])
            .ok()
            .says("Successfully signed");
        world.restart(turn + 2);
        // Bob signs what is already in the registry and signed by somebody else.
        bob.run(["trust", "sign", &one]).ok().says("Successfully signed");
        let two = format!("{repository}:2.0");
        bob.make_image(&two, "the second");
        bob.run(["trust", "sign", &two]).ok();

        let tags = signed_tags(&bob, &repository);
        let both = vec![alice_name.clone(), bob_name.clone()];
        assert_eq!(
            tags,
            [
                ("1.0".to_owned(), both),
                ("2.0".to_owned(), vec![bob_name.clone()])
            ]
        );
        let pretty = alice.run(["trust", "inspect", "--pretty", &repository]).ok();
        pretty
            .says("1.0")
            .says("2.0")
            .says(&format!("{alice_name}, {bob_name}"));

        world.restart(turn + 3);
        let stranger = world.user(cli, &format!("carol{number}"));
        stranger.make_image(&one, "the third");
        stranger.run(["trust", "sign", &one]).fails();

        bob.run(["trust", "revoke", &two])
            .ok()
            .says("Successfully deleted signature");
        let tags = signed_tags(&alice, &repository);
        assert_eq!(
            tags.iter().map(|(tag, _)| tag.as_str()).collect::<Vec<_>>(),
            ["1.0"]
        );
        world.remove_signer(&alice, &bob_name, &repository);
        assert_eq!(signers(&alice, &repository), [alice_name]);
        turn += 4;
    }
}

/// A key from elsewhere is loaded, and a new repository signed at once.
pub fn load_a_key(world: &World, clis: &[PathBuf]) {
    for (number, cli) in clis.iter().enumerate() {
        let name = format!("dora{number}");
        let dora = world.user(cli, &name);
        let key = dora.home().join("own-key.pem").display().to_string();
        let mut openssl = std::process::Command::new("openssl");
        openssl.args([
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            &key,
        ]);
        Finished::run(&mut openssl, "").ok();
        dora.run(["trust", "key", "load", "--name", &name, &key])
            .ok()
            .says("Successfully imported key");
        let image = format!("{REGISTRY}/new{number}/app:1");
        dora.make_image(&image, "new");
        dora.run(["trust", "sign", &image])
            .ok()
            .says("Successfully signed");
        let repository = format!("{REGISTRY}/new{number}/app");
        assert_eq!(signed_tags(&dora, &repository), [("1".to_owned(), vec![name])]);
    }
}

/// Signed images can be pulled, unsigned and revoked ones cannot.
pub fn push_and_pull(world: &mut World, clis: &[PathBuf]) {
    for (number, cli) in clis.iter().enumerate() {
        let repository = format!("{REGISTRY}/Push{number}/app").to_lowercase();
        let alice = world.user(cli, &format!("alice{number}"));
        let (signed, unsigned) = (format!("{repository}:signed"), format!("{repository}:unsigned"));
        alice.make_image(&signed, "signed");
        alice.run(["tag", &signed, &unsigned]).ok();
        let trusting = alice.with_content_trust();
        trusting.run(["push", &signed]).ok().says("Successfully signed");
        alice.run(["push", &unsigned]).ok();
        world.restart(number);
        // Nothing has changed: the CLI publishes an empty form.
        trusting.run(["push", &signed]).ok().says("Successfully signed");

        let bob = world.user(cli, &format!("bob{number}")).with_content_trust();
        bob.run(["pull", &signed]).ok().says("Tagging");
        bob.run(["pull", &unsigned])
            .fails()
            .says("No valid trust data for unsigned");
        world.restart(number + 1);
        alice.run(["trust", "revoke", &signed]).ok();
        bob.run(["pull", &signed])
            .fails()
            .says("No valid trust data for signed");
        let never = format!("{REGISTRY}/never{number}/signed:1");
        bob.run(["pull", &never])
            .fails()
            .says("remote trust data does not exist");
    }
}
