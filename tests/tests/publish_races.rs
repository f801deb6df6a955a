//! A repository that is deleted, or created again, while a client publishes to it: no change may come between the check
//! of its state and the commit. The test stops the signer in between, so that the race always happens.

use std::{process::Command, thread};

use serde_json::{Value, json};
use tests::{Finished, Response, TestServer, process::wait_until, publisher::Publisher};

const GUN: &str = "reg/app";

/// A policy by which bob may publish, but neither create nor delete repositories.
fn server() -> TestServer {
    TestServer::builder()
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
                {"effect": "allow", "principals": ["bob"], "actions": ["pull", "push"]},
            ]),
        )
        .start()
}

fn signal(server: &TestServer, name: &str) {
    let line = format!("kill -{name} {}", server.signer_id());
    Finished::run(Command::new("sh").arg("-c").arg(line), "").ok();
}

/// Bob publishes `files`; `meanwhile` happens after they were checked and before anything is stored.
fn publish_while(server: &TestServer, files: &[(&str, &[u8])], meanwhile: impl FnOnce()) -> Response {
    let bob = server.client("bob");
    signal(server, "STOP");
    let before = server.waits_at_the_signer();
    thread::scope(|scope| {
        let publish = scope.spawn(|| bob.publish(GUN, files));
        wait_until("the publish waits for signatures", || {
            server.waits_at_the_signer() > before
        });
        meanwhile();
        signal(server, "CONT");
        publish.join().unwrap()
    })
}

#[test]
fn a_push_to_a_repository_that_is_deleted_meanwhile_does_not_make_it_again() {
    let server = server();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    // Version 2 would do as the first root of a new repository as well.
    let (root, targets) = (publisher.root_file(2), publisher.targets_file(2));
    let refused = publish_while(&server, &[("root", &root), ("targets", &targets)], || {
        alice.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
    });
    refused.rejects("ErrValidation", "bob may not init reg/app");
    assert!(server.stored().is_empty());
}

#[test]
fn a_push_made_for_a_repository_does_not_land_in_another_of_its_name() {
    let server = server();
    let alice = server.client("alice");
    let file = server.path().join("exported");
    let file = file.to_str().unwrap();
    Publisher::new(&alice, GUN, GUN).publish_first(&alice, GUN);
    server.operate("export", ["--out", file, GUN]).ok();
    alice.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    // An import asks the signer, which stands still meanwhile; without one nobody is asked.
    let mut without_signer: Value =
        serde_json::from_slice(&std::fs::read(server.path().join("server.json")).unwrap()).unwrap();
    without_signer["trust_service"] = json!({"type": "local"});
    let config = server.path().join("without-signer.json");
    std::fs::write(&config, without_signer.to_string()).unwrap();
    // The other one has the same versions of everything, and other keys.
    let targets = publisher.targets_file(2);
    let refused = publish_while(&server, &[("targets", &targets)], || {
        alice.delete(&format!("/v2/{GUN}/_trust/tuf/")).ok();
        let import = ["--config", config.to_str().unwrap(), file];
        server.run_server_program("import", import).ok();
    });
    assert_eq!(refused.status, 400, "{}", refused.text());
    let stored = server.stored();
    assert!(
        stored.len() == 4 && stored.iter().all(|(_, _, version)| *version == 1),
        "{stored:?}"
    );
}
