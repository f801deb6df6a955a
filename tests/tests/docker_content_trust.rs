//! `docker trust`, and push and pull with content trust, against a real dockerd and a registry that
//! demands client certificates as well.

use tests::{
    TestServer,
    docker::REGISTRY,
    flows::docker::{World, clis, load_a_key, push_and_pull, sign_inspect_revoke},
};

fn world() -> World {
    World::start(TestServer::builder())
}

#[test]
fn signers_sign_inspect_and_revoke_with_docker_trust() {
    sign_inspect_revoke(&mut world(), &clis());
}

#[test]
fn a_key_from_elsewhere_is_loaded_and_a_new_repository_is_signed_at_once() {
    load_a_key(&world(), &clis());
}

#[test]
fn content_trust_lets_signed_images_through_and_nothing_else() {
    push_and_pull(&mut world(), &clis());
}

#[test]
fn a_docker_client_is_told_why_its_certificate_is_refused() {
    let world = world();
    let pki = world.server().pki();
    for cli in clis() {
        for (files, alert) in [
            (pki.stranger("mallory"), "unknown certificate authority"),
            (pki.expired(), "expired certificate"),
        ] {
            let mallory = world
                .host()
                .user(&cli, "mallory", &files, world.server().port())
                .with_content_trust();
            let pulled = mallory.run(["pull", &format!("{REGISTRY}/team/app:1")]);
            pulled.fails().says(&format!("remote error: tls: {alert}"));
        }
    }
}
