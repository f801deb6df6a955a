//! A Notary repository with two signers becomes a TUF 1.0 repository that tough, python-tuf and tuf-js verify, while docker still
//! reads the old one. `docs/tuf.md` describes it.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::json;
use tests::{
    Finished, TestServer,
    countersign::Countersign,
    docker::{Docker, REGISTRY},
    flows::docker::{World, clis},
    native::READERS,
};

/// The command that the walk-through has for somebody, with the names of this test.
fn documented(person: &str, app: &str, root_key: &str) -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tuf.md");
    let text = fs::read_to_string(page).unwrap();
    let (_, after) = text.split_once(&format!("```sh\n# {person}\n")).unwrap();
    let line = after
        .lines()
        .next()
        .unwrap()
        .strip_prefix("countersign ")
        .unwrap();
    line.split(' ')
        .map(|word| {
            word.replace("registry.example.com/team/app", app)
                .replace("$ROOT", root_key)
        })
        .collect()
}

/// Runs `countersign` of somebody who signs with docker's keys.
fn run(signer: &Countersign, docker: &Docker, arguments: &[String]) -> Finished {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command: Command = signer.command_at_server(&arguments);
    command
        .arg("--trust-dir")
        .arg(docker.home().join("trust"))
        .env("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "root passphrase")
        .env(
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
            "repository passphrase",
        );
    Finished::run(&mut command, "")
}

#[test]
fn a_notary_repository_of_two_signers_becomes_one_of_tuf_1_that_others_verify_while_docker_reads_the_old_one()
{
    let builder = TestServer::builder().set("tuf", json!({"enabled": true}));
    let world = World::start(builder);
    let cli = clis().pop().unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| world.user(&cli, name));
    let app = format!("{REGISTRY}/team/app");
    for (person, name) in [(&alice, "alice"), (&bob, "bob")] {
        person.run(["trust", "key", "generate", name]).ok();
        let key = person.home().join(format!("{name}.pub")).display().to_string();
        alice
            .run(["trust", "signer", "add", "--key", &key, name, &app])
            .ok();
    }
    let image = format!("{app}:1.0");
    alice.make_image(&image, "one");
    let pushed = alice.run(["push", &image]).ok().stdout;
    let (_, digest) = pushed.split_once("digest: sha256:").unwrap();
    let digest = digest.split_whitespace().next().unwrap().to_owned();
    for person in [&alice, &bob] {
        person.run(["trust", "sign", "--local", &image]).ok();
    }
    let root_key = alice.root_key();

    // Alice, who holds the root key, brings it over; what bob's role says waits for bob.
    let commands = |person: &str| documented(person, &app, &root_key);
    let [by_alice, by_bob] = ["alice", "bob"].map(|name| Countersign::of(world.server(), name));
    let told = run(&by_alice, &alice, &commands("alice"));
    assert!(
        told.output().contains("percent-encoded") || told.output().contains("%2F"),
        "{told}"
    );
    run(&by_bob, &bob, &commands("bob")).ok();
    let by_reader = Countersign::of(world.server(), "verifier");
    let verify = commands("reader");
    let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
    let verified = by_reader.run_at_server(&verify).ok();
    assert!(verified.stdout.contains("1.0"), "{verified}");

    // Others verify it, from the first root.
    let reader = world.server().pki().user("reader");
    let address = format!("{}/tuf/v1/{app}/metadata/1.root.json", world.server().url());
    let mut curl = world.server().place().command(Path::new("/usr/bin/curl"));
    curl.args(["--silent", "--show-error", "--fail", &address]);
    curl.arg("--cacert").arg(&reader.ca);
    curl.arg("--cert")
        .arg(&reader.certificate)
        .arg("--key")
        .arg(&reader.key);
    let root = Finished::run(&mut curl, "").ok().stdout.into_bytes();
    for client in READERS {
        let client = client.install(world.server(), &app, &root, &reader);
        assert_eq!(
            client.look_up(&["1.0", "none"]),
            json!({"found": {"1.0": digest, "none": null}})
        );
    }

    // The keys are the same ones, and docker reads and signs the old repository as before.
    let roles: BTreeSet<String> = fs::read_dir(alice.home().join("trust/private"))
        .unwrap()
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert!(roles.contains(&root_key));
    alice.with_content_trust().run(["pull", &image]).ok();
    let two = format!("{app}:2.0");
    alice.make_image(&two, "two");
    alice.run(["push", &two]).ok();
    for person in [&alice, &bob] {
        person.run(["trust", "sign", "--local", &two]).ok();
    }
    bob.with_content_trust().run(["pull", &two]).ok();

    // And what was signed there since comes over in the same way.
    run(&by_alice, &alice, &commands("alice"));
    run(&by_bob, &bob, &commands("bob")).ok();
    for client in READERS {
        let client = client.install(world.server(), &app, &root, &reader);
        let found = client.look_up(&["1.0", "2.0"]);
        assert_eq!(found["found"]["1.0"], digest);
        assert!(found["found"]["2.0"].is_string(), "{found}");
    }
}
