//! What a publisher and a reader do with the notary CLI, each over GUNs of every shape.

use std::process::Command;

use openssl::sha::{sha256, sha512};
use tests::{Finished, Notary, Stop, TestServer};

/// Plain, deep, dotted, dashed, with upper case, with a port, and one the prefix of another.
const GUNS: [&str; 6] = [
    "app",
    "registry.example.com/team/sub/app",
    "a.b-c_d/e.f-g_h",
    "Registry.Example.COM:5000/Team/App",
    "registry.example.com/team/sub/app-two",
    "10.0.0.1:443/x/y",
];

/// One of each shape, for the longer flows.
const SHAPES: [&str; 3] = [GUNS[1], GUNS[2], GUNS[3]];

/// A private key and its public half, for a delegation; made with the openssl program as people do.
fn key_pair(notary: &Notary, name: &str) -> (String, String) {
    let (private, public) = (format!("{name}-key.pem"), format!("{name}-pub.pem"));
    openssl(
        notary,
        &[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            &private,
        ],
    );
    openssl(notary, &["ec", "-in", &private, "-pubout", "-out", &public]);
    absolute(notary, private, public)
}

/// A private key and a certificate for it.
fn certificate(notary: &Notary, name: &str, algorithm: &[&str]) -> (String, String) {
    let (private, public) = (format!("{name}-key.pem"), format!("{name}-cert.pem"));
    let subject = format!("/CN={name}");
    let mut arguments = vec!["req", "-x509", "-nodes", "-days", "30", "-subj", &subject];
    arguments.extend(["-keyout", &private, "-out", &public, "-newkey"]);
    arguments.extend(algorithm);
    openssl(notary, &arguments);
    // The notary CLI imports traditional PEM keys.
    let kind = if algorithm.contains(&"rsa:2048") {
        "rsa"
    } else {
        "ec"
    };
    let traditional: &[&str] = if kind == "rsa" { &["-traditional"] } else { &[] };
    let mut convert = vec![kind, "-in", &private, "-out", &private];
    convert.extend(traditional);
    openssl(notary, &convert);
    absolute(notary, private, public)
}

fn absolute(notary: &Notary, private: String, public: String) -> (String, String) {
    let path = |name: String| notary.trust().join(name).display().to_string();
    (path(private), path(public))
}

fn openssl(notary: &Notary, arguments: &[&str]) {
    Finished::run(
        Command::new("openssl")
            .current_dir(notary.trust())
            .args(arguments),
        "",
    )
    .ok();
}

fn import(notary: &Notary, key: &str, role: &str, gun: &str) {
    notary
        .run(["key", "import", key, "--role", role, "--gun", gun])
        .ok();
}

/// A repository with one target, whose snapshot key the server holds.
fn repository(notary: &Notary, gun: &str) {
    notary.run(["init", gun, "-p"]).ok();
    notary
        .run(["key", "rotate", gun, "snapshot", "-r"])
        .ok()
        .says("Successfully rotated snapshot key");
    notary.add_and_publish(gun, "first", "the first content");
}

#[test]
fn a_publisher_signs_and_a_reader_verifies() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    let bob = server.notary("bob");
    for gun in GUNS {
        alice
            .run(["init", gun, "-p"])
            .ok()
            .says("Successfully published changes for repository");
        let file = alice.file("content", "what is signed");
        let file = file.to_str().unwrap();
        alice
            .run(["add", gun, "v1.0", file])
            .ok()
            .says("staged for next publish");
        alice.run(["status", gun]).ok().says("v1.0");
        alice.run(["publish", gun]).ok();
        alice.run(["status", gun]).ok().says("No unpublished changes");

        let digest = hex::encode(sha256(b"what is signed"));
        bob.run(["list", gun])
            .ok()
            .says("v1.0")
            .says(&digest)
            .says("targets");
        bob.run(["lookup", gun, "v1.0"])
            .ok()
            .says(&format!("v1.0 sha256:{digest} 14"));
        bob.run(["lookup", gun, "v2.0"])
            .fails()
            .says("No valid trust data for v2.0");
        bob.run(["verify", gun, "v1.0", "-i", file, "-q"]).ok();
        let other = bob.file("other", "something else");
        let forged = bob.run(["verify", gun, "v1.0", "-i", other.to_str().unwrap(), "-q"]);
        forged.fails().says("data not present in the trusted collection");

        alice.run(["remove", gun, "v1.0", "-p"]).ok();
        assert!(bob.targets(gun).is_empty());
    }
    bob.run(["list", "registry.example.com/team/sub"])
        .fails()
        .says("does not have trust data");
}

#[test]
fn addhash_signs_what_was_never_here_and_keeps_custom_data() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    for gun in GUNS {
        addhash(&server, &alice, gun);
    }
}

fn addhash(server: &TestServer, alice: &Notary, gun: &str) {
    alice.run(["init", gun, "-p"]).ok();
    let (short, long) = (hex::encode(sha256(b"x")), hex::encode(sha512(b"x")));
    let custom = alice.file("custom.json", r#"{"a":"b"}"#);
    let arguments = [
        "addhash",
        gun,
        "elsewhere",
        "1",
        "--sha256",
        &short,
        "--sha512",
        &long,
        "--custom",
    ];
    alice
        .run(arguments.iter().copied().chain([custom.to_str().unwrap(), "-p"]))
        .ok();
    server
        .notary("bob")
        .run(["lookup", gun, "elsewhere"])
        .ok()
        .says(&short);
    let targets = server
        .client("bob")
        .get(&format!("/v2/{gun}/_trust/tuf/targets.json"))
        .ok()
        .json();
    assert_eq!(targets["signed"]["targets"]["elsewhere"]["custom"]["a"], "b");
}

#[test]
fn delegates_publish_from_their_own_trust_directories_with_keys_and_certificates() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    for gun in GUNS {
        repository(&alice, gun);
        let bob = server.notary("bob").elsewhere(&format!("bob-{}", gun.len()));
        let carol = server.notary("carol").elsewhere(&format!("carol-{}", gun.len()));
        let (bob_key, bob_public) = key_pair(&bob, "bob");
        let (carol_key, carol_certificate) = certificate(&carol, "carol", &["rsa:2048"]);
        let dave = server.notary("dave").elsewhere(&format!("dave-{}", gun.len()));
        let (dave_key, dave_certificate) =
            certificate(&dave, "dave", &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);

        alice
            .run([
                "delegation",
                "add",
                gun,
                "targets/bob",
                &bob_public,
                "--all-paths",
            ])
            .ok();
        let both = [carol_certificate.as_str(), dave_certificate.as_str()];
        let add = ["delegation", "add", gun, "targets/releases"];
        alice
            .run(add.into_iter().chain(both).chain(["--paths", "r/", "-p"]))
            .ok();
        let listed = alice.run(["delegation", "list", gun]).ok();
        listed.says("targets/bob").says("targets/releases");

        import(&bob, &bob_key, "targets/bob", gun);
        let file = bob.file("content", "bob's");
        bob.run([
            "add",
            gun,
            "bobs",
            file.to_str().unwrap(),
            "-r",
            "targets/bob",
            "-p",
        ])
        .ok();
        import(&carol, &carol_key, "targets/releases", gun);
        let file = carol.file("content", "carol's");
        carol
            .run([
                "add",
                gun,
                "r/carols",
                file.to_str().unwrap(),
                "-r",
                "targets/releases",
                "-p",
            ])
            .ok();
        import(&dave, &dave_key, "targets/releases", gun);
        let file = dave.file("content", "dave's");
        dave.run([
            "add",
            gun,
            "r/daves",
            file.to_str().unwrap(),
            "-r",
            "targets/releases",
            "-p",
        ])
        .ok();

        let reader = server
            .notary("reader")
            .elsewhere(&format!("reader-{}", gun.len()));
        let listed = reader.run(["list", gun]).ok();
        listed.says("bobs").says("r/carols").says("r/daves").says("first");
        reader
            .run(["list", gun, "-r", "targets/bob"])
            .ok()
            .says("bobs")
            .does_not_say("r/carols");

        alice
            .run(["delegation", "remove", gun, "targets/bob", "-y", "-p"])
            .ok();
        reader.run(["list", gun]).ok().does_not_say("bobs");
    }
}

#[test]
fn a_delegate_delegates_further_and_a_witness_renews() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    for gun in SHAPES {
        delegate_further(&server, &alice, gun);
    }
}

fn delegate_further(server: &TestServer, alice: &Notary, gun: &str) {
    repository(alice, gun);
    let bob = server.notary("bob").elsewhere(&format!("bob-{}", gun.len()));
    let carol = server.notary("carol").elsewhere(&format!("carol-{}", gun.len()));
    let (bob_key, bob_public) = key_pair(&bob, "bob");
    let (carol_key, carol_certificate) = certificate(&carol, "carol", &["rsa:2048"]);
    alice
        .run([
            "delegation",
            "add",
            gun,
            "targets/releases",
            &bob_public,
            "--all-paths",
            "-p",
        ])
        .ok();
    import(&bob, &bob_key, "targets/releases", gun);
    let nested = "targets/releases/nightly";
    bob.add_and_publish_to(gun, "bobs", "targets/releases");
    bob.run([
        "delegation",
        "add",
        gun,
        nested,
        &carol_certificate,
        "--paths",
        "n/",
        "-p",
    ])
    .ok();
    import(&carol, &carol_key, nested, gun);
    carol.add_and_publish_to(gun, "n/carols", nested);

    let reader = server
        .notary("reader")
        .elsewhere(&format!("reader-{}", gun.len()));
    reader.run(["list", gun]).ok().says("n/carols").says(nested);

    let path = format!("/v2/{gun}/_trust/tuf/targets/releases.json");
    let version = || {
        server.client("reader").get(&path).ok().json()["signed"]["version"]
            .as_i64()
            .unwrap()
    };
    let before = version();
    bob.run(["witness", gun, "targets/releases", "-p"]).ok();
    assert_eq!(version(), before + 1);
    reader.run(["list", gun]).ok().says("bobs").says("n/carols");
}

#[test]
fn every_key_can_be_rotated_and_old_readers_follow() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    for gun in SHAPES {
        alice.run(["init", gun, "-p"]).ok();
        alice.add_and_publish(gun, "v1", "one");
        let old = server.notary("old").elsewhere(&format!("old-{}", gun.len()));
        assert_eq!(old.targets(gun), ["v1"]);

        alice
            .run(["key", "rotate", gun, "snapshot", "-r"])
            .ok()
            .says("Successfully rotated snapshot key");
        alice
            .run(["key", "rotate", gun, "timestamp", "-r"])
            .ok()
            .says("Successfully rotated timestamp key");
        alice
            .run(["key", "rotate", gun, "targets"])
            .ok()
            .says("Successfully rotated targets key");
        for _ in 0..3 {
            let rotated = alice.run_with_input(["key", "rotate", gun, "root"], "yes\n");
            rotated.ok().says("Successfully rotated root key");
        }
        alice
            .run(["key", "rotate", gun, "snapshot"])
            .ok()
            .says("Successfully rotated snapshot key");
        alice.add_and_publish(gun, "v2", "two");
        alice.run(["key", "rotate", gun, "snapshot", "-r"]).ok();
        alice.add_and_publish(gun, "v3", "three");

        let expected = ["v1", "v2", "v3"];
        assert_eq!(
            sorted(old.targets(gun)),
            expected,
            "a reader several roots behind"
        );
        let fresh = server.notary("fresh").elsewhere(&format!("fresh-{}", gun.len()));
        assert_eq!(sorted(fresh.targets(gun)), expected);
        for version in 1..=9 {
            let path = format!("/v2/{gun}/_trust/tuf/{version}.root.json");
            let root = server.client("reader").get(&path).ok().json();
            assert_eq!(root["signed"]["version"], version);
        }
    }
}

#[test]
fn deleting_a_repository_leaves_nothing_and_spares_its_neighbours() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    let (gun, neighbours) = ("reg/app", ["reg/app-two", "reg/app/sub", "reg/ap", "Reg/app"]);
    for gun in [gun].iter().chain(&neighbours) {
        alice.run(["init", gun, "-p"]).ok();
        alice.add_and_publish(gun, "v1", "one");
    }
    alice
        .run(["delete", gun, "--remote"])
        .ok()
        .says("Successfully deleted local and remote trust data");
    let reader = server.notary("reader");
    reader
        .run(["list", gun])
        .fails()
        .says("does not have trust data for reg/app");
    for gun in neighbours {
        assert_eq!(reader.targets(gun), ["v1"], "{gun}");
    }
    alice.run(["delete", gun, "--remote"]).ok();
    alice.run(["init", gun, "-p"]).ok();
    alice.add_and_publish(gun, "v1", "again");
    assert_eq!(reader.targets(gun), ["v1"]);
}

#[test]
fn publishing_nothing_is_no_error() {
    let server = TestServer::start();
    let alice = server.notary("alice");
    for gun in SHAPES {
        repository(&alice, gun);
        alice
            .run(["publish", gun])
            .ok()
            .says("Successfully published changes");
        alice
            .run(["publish", gun])
            .ok()
            .says("Successfully published changes");
        let reader = server
            .notary("reader")
            .elsewhere(&format!("reader-{}", gun.len()));
        assert_eq!(reader.targets(gun), ["first"]);
    }
}

#[test]
fn of_two_publishers_at_once_one_is_told_to_try_again() {
    const FEW: usize = 5;
    const MANY: usize = 50;
    let server = TestServer::start();
    let alice = server.notary("alice");
    let gun = GUNS[3];
    alice.run(["init", gun, "-p"]).ok();
    let mut conflicts = 0;
    for round in 0..MANY {
        // Whether two commands meet is up to the machine.
        if conflicts > 0 && round >= FEW {
            break;
        }
        // A copy of the trust directory is a second machine of the same publisher.
        let other = alice.elsewhere(&format!("other-{round}"));
        Finished::run(
            Command::new("cp")
                .arg("-aT")
                .arg(alice.trust())
                .arg(other.trust()),
            "",
        )
        .ok();
        for (who, name) in [(&alice, "a"), (&other, "b")] {
            let file = who.file("content", name);
            who.run(["add", gun, &format!("{name}{round}"), file.to_str().unwrap()])
                .ok();
        }
        let racing =
            [alice.clone(), other.clone()].map(|who| std::thread::spawn(move || who.run(["publish", gun])));
        let finished = racing.map(|thread| thread.join().unwrap());
        let losers: Vec<_> = finished.iter().filter(|finished| finished.code != 0).collect();
        assert!(
            losers.len() <= 1,
            "somebody must win: {} {}",
            finished[0],
            finished[1]
        );
        for loser in losers {
            conflicts += 1;
            let advice = "somebody else published to this repository first; run the command again";
            assert!(loser.output().contains(advice), "{loser}");
        }
        for who in [&alice, &other] {
            who.run(["publish", gun]).ok();
        }
        let listed = sorted(server.notary("reader").targets(gun));
        for name in ["a", "b"] {
            assert!(listed.contains(&format!("{name}{round}")), "{listed:?}");
        }
    }
    assert!(conflicts > 0, "in {MANY} rounds nobody met a conflict");
}

#[test]
fn a_restart_between_any_two_steps_changes_nothing() {
    let mut server = TestServer::start();
    let gun = GUNS[3];
    let (alice, bob) = (server.notary("alice"), server.notary("bob"));
    let (bob_key, bob_public) = key_pair(&bob, "bob");
    import(&bob, &bob_key, "targets/releases", gun);
    let file = alice.file("content", "what is signed").display().to_string();
    let steps: Vec<(&Notary, Vec<&str>)> = vec![
        (&alice, vec!["init", gun]),
        (&alice, vec!["publish", gun]),
        (&alice, vec!["add", gun, "v1", &file]),
        (&alice, vec!["publish", gun]),
        (&alice, vec!["key", "rotate", gun, "snapshot", "-r"]),
        (
            &alice,
            vec![
                "delegation",
                "add",
                gun,
                "targets/releases",
                &bob_public,
                "--all-paths",
                "-p",
            ],
        ),
        (
            &bob,
            vec!["add", gun, "v2", &file, "-r", "targets/releases", "-p"],
        ),
        (&alice, vec!["key", "rotate", gun, "timestamp", "-r"]),
        (&alice, vec!["key", "rotate", gun, "targets"]),
        (&alice, vec!["key", "rotate", gun, "root"]),
        (&bob, vec!["witness", gun, "targets/releases", "-p"]),
        (&alice, vec!["remove", gun, "v1", "-p"]),
        (&alice, vec!["publish", gun]),
    ];
    let ways = [Stop::Politely, Stop::AtOnce];
    for (number, (who, arguments)) in steps.into_iter().enumerate() {
        who.run_with_input(arguments, "yes\n").ok();
        match number % 3 {
            0 => server.restart_server(ways[number / 3 % 2]),
            1 => server.restart_signer(ways[number / 3 % 2]),
            _ => {
                server.restart_signer(Stop::AtOnce);
                server.restart_server(Stop::AtOnce);
            }
        }
    }
    assert_eq!(server.notary("reader").targets(gun), ["v2"]);
}

#[test]
fn a_first_key_is_still_good_when_the_publish_comes_after_restarts() {
    let mut server = TestServer::start();
    let alice = server.notary("alice");
    alice.run(["init", "app"]).ok();
    server.restart_signer(Stop::AtOnce);
    server.restart_server(Stop::AtOnce);
    server.notary("bob").run(["init", "another"]).ok();
    alice.run(["publish", "app"]).ok();
    assert!(server.notary("reader").targets("app").is_empty());
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
