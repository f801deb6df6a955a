//! Passphrases of keys that a program prints, such as the client of an agent or a password manager.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use openssl::sha::sha256;
use tests::{Notary, TestServer, countersign::Countersign, process::Finished};

const GUN: &str = "reg.example:5000/team/app";

/// Somebody whose passphrases come from a program.
struct Person {
    client: Countersign,
    notary: Notary,
}

impl Person {
    fn of(server: &TestServer, user: &str) -> Self {
        Self {
            client: Countersign::of(server, user),
            notary: server.notary(user),
        }
    }

    fn run(&self, arguments: &[&str], command: &str) -> Finished {
        self.run_with(arguments, &[("COUNTERSIGN_PASSPHRASE_COMMAND", command)])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
        let mut command = match arguments {
            ["key", "generate" | "list" | "import", ..] => self.client.command(arguments),
            _ => self.client.command_at_server(arguments),
        };
        command.arg("--trust-dir").arg(self.notary.trust());
        command.envs(variables.iter().copied());
        Finished::run(&mut command, "")
    }

    fn sign(&self, tag: &str, command: &str) -> Finished {
        self.run(&Self::signing(tag).each_ref().map(String::as_str), command)
    }

    fn signing(tag: &str) -> [String; 6] {
        let digest = format!("sha256:{}", hex::encode(sha256(tag.as_bytes())));
        let image = format!("{GUN}:{tag}");
        ["sign", &image, "--digest", &digest, "--size", "3"].map(str::to_owned)
    }

    /// A program in the person's directory.
    fn script(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.client.directory().join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }
}

#[test]
fn a_program_has_a_passphrase_for_each_key_and_is_told_which() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    let log = owner.client.directory().join("asked");
    let agent = owner.script(
        "my agent",
        &format!(
            "echo \"$COUNTERSIGN_PASSPHRASE_FOR $COUNTERSIGN_KEY_ROLE $COUNTERSIGN_KEY_ID\" >> {}\n\
             echo \"the secret of $COUNTERSIGN_KEY_ROLE\"",
            log.display()
        ),
    );
    let agent = format!("'{}' --some option", agent.display());
    owner.run(&["init", GUN], &agent).ok();
    owner.sign("1.0", &agent).ok();
    let asked = fs::read_to_string(&log).unwrap();
    let kinds: Vec<&str> = asked
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    for kind in ["new-key root", "new-key targets", "key root", "key targets"] {
        assert!(kinds.contains(&kind), "{asked}");
    }
    let listed = owner.run(&["key", "list"], "false").ok();
    let root = listed
        .stdout
        .lines()
        .find(|line| line.contains("  root  "))
        .unwrap();
    let id = root.split("  ").next().unwrap();
    assert!(asked.contains(&format!("key root {id}\n")), "{asked}");
    // Each key has its own, and what is in the environment is tried first.
    let targets = [("COUNTERSIGN_PASSPHRASE", "the secret of targets")];
    let signing = Person::signing("2.0");
    let signing = signing.each_ref().map(String::as_str);
    owner.run_with(&signing, &targets).ok();
    owner
        .run_with(&["key", "rotate", GUN, "timestamp"], &targets)
        .fails()
        .says("is not opened by COUNTERSIGN_PASSPHRASE");
    // The option says the same as the variable, and counts before it.
    let option = [&signing[..], &["--passphrase-command", &agent]].concat();
    owner.run(&option, "false").ok();
    assert_eq!(owner.notary.targets(GUN), ["1.0", "2.0"]);
}

#[test]
fn a_program_that_has_no_passphrase_is_told_in_words_and_nothing_is_published() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    owner.run(&["init", GUN], "echo passphrase").ok();
    let told = |command: &str, words: &str| {
        let refused = owner.sign("1.0", command).fails().says(words);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused}");
        refused
    };
    told(
        "false",
        "COUNTERSIGN_PASSPHRASE_COMMAND: false failed (exit status: 1)",
    );
    told("true", "true printed nothing");
    told("echo", "echo printed nothing");
    told("printf 'passphrase\\nand more\\n'", "printed several lines").does_not_say("and more");
    told("/no/such/agent", "/no/such/agent cannot be run: No such file");
    told("echo 'x", "a quote");
    told("  ", "names no program");
    told(
        "echo another",
        "is not opened by what the program of COUNTERSIGN_PASSPHRASE_COMMAND printed",
    )
    .does_not_say("another");
    // What a program says of itself reaches the person.
    let agent = owner.script("locked", "echo 'the agent is locked' >&2; exit 1");
    told(&agent.display().to_string(), "the agent is locked");
    let signing = Person::signing("1.0");
    let signing = signing.each_ref().map(String::as_str);
    let hanging = |seconds: &str| {
        owner.run_with(
            &signing,
            &[
                ("COUNTERSIGN_PASSPHRASE_COMMAND", "sleep 600"),
                ("COUNTERSIGN_PASSPHRASE_TIMEOUT", seconds),
            ],
        )
    };
    hanging("1").fails().says("sleep did not end within 1 seconds");
    hanging("soon").fails().says("has to be a number of seconds");
    hanging("0").fails().says("has to be a number of seconds");
    assert_eq!(owner.notary.targets(GUN), Vec::<String>::new());
    owner.sign("1.0", "echo passphrase").ok();
    assert_eq!(owner.notary.targets(GUN), ["1.0"]);
}
