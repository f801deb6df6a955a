//! What a publisher and a reader do with the notary CLI, each over GUNs of every shape.

use std::process::Command;
use tests::{
    Finished, Notary, Stop, TestServer,
    flows::{GUNS, delegations, repositories, sorted},
    openssl_files::key_pair,
};

#[test]
fn a_publisher_signs_and_a_reader_verifies() {
    repositories::sign_and_verify(&TestServer::start());
}

#[test]
fn addhash_signs_what_was_never_here_and_keeps_custom_data() {
    repositories::add_by_hash(&TestServer::start());
}

#[test]
fn delegates_publish_from_their_own_trust_directories_with_keys_and_certificates() {
    delegations::delegate(&TestServer::start());
}

#[test]
fn a_delegate_delegates_further_and_a_witness_renews() {
    delegations::delegate_further_and_witness(&TestServer::start());
}

#[test]
fn every_key_can_be_rotated_and_old_readers_follow() {
    repositories::rotate_every_key(&TestServer::start());
}

#[test]
fn deleting_a_repository_leaves_nothing_and_spares_its_neighbours() {
    repositories::delete(&TestServer::start());
}

#[test]
fn publishing_nothing_is_no_error() {
    repositories::publish_nothing(&TestServer::start());
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
    bob.run([
        "key",
        "import",
        &bob_key,
        "--role",
        "targets/releases",
        "--gun",
        gun,
    ])
    .ok();
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
