//! What each version of the docker CLI signs, `countersign verify` judges.

use std::{fs, path::PathBuf};

use tests::{
    TestServer,
    countersign::Countersign,
    docker::{Docker, REGISTRY},
    flows::docker::{World, clis},
};

/// The canonical ID of a person's root key: the name of its file.
fn root_key(docker: &Docker) -> String {
    let files = fs::read_dir(docker.home().join("trust/private")).unwrap();
    let mut keys = files.map(|file| file.unwrap().path());
    let is_root = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("role: root");
    let root = keys.find(is_root).unwrap();
    root.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// A key of somebody; the file of its public half.
fn key(docker: &Docker, name: &str) -> String {
    docker.run(["trust", "key", "generate", name]).ok();
    docker.home().join(format!("{name}.pub")).display().to_string()
}

/// Pushes an image with this content, signed if `docker` does so; returns its SHA-256.
fn push(docker: &Docker, image: &str, content: &str) -> String {
    docker.make_image(image, content);
    let pushed = docker.run(["push", image]).ok().stdout;
    let (_, digest) = pushed.split_once("digest: sha256:").unwrap();
    digest.split_whitespace().next().unwrap().to_owned()
}

/// Asks in every way about a tag that is allowed.
fn allowed(judge: &Countersign, image: &str, digest: &str) {
    let (repository, _) = image.rsplit_once(':').unwrap();
    judge.allows(image, digest);
    judge.allows(&format!("{repository}@sha256:{digest}"), digest);
    judge.allows(&format!("{image}@sha256:{digest}"), digest);
    let other = "0".repeat(64);
    judge.denies(&format!("{image}@sha256:{other}"), "digest_mismatch");
    judge.denies(&format!("{repository}@sha256:{other}"), "digest_not_signed");
}

#[test]
fn what_docker_signs_alone_with_others_or_not_at_all_is_judged() {
    let world = World::start(TestServer::builder());
    for (number, cli) in clis().iter().enumerate() {
        let people = ["alice", "bob", "carol"].map(|name| world.user(cli, &format!("{name}{number}")));
        let [alice, bob, carol] = &people;
        let [app, plain] = ["app", "plain"].map(|name| format!("{REGISTRY}/docker{number}/{name}"));
        let [alice_key, bob_key, carol_key] =
            [(alice, "alice"), (bob, "bob"), (carol, "carol")].map(|(of, name)| key(of, name));
        for (name, key) in [("alice", &alice_key), ("bob", &bob_key), ("carol", &carol_key)] {
            alice
                .run(["trust", "signer", "add", "--key", key, name, &app])
                .ok();
        }
        let image = |tag: &str| format!("{app}:{tag}");
        let sign = |docker: &Docker, tag: &str| {
            // Otherwise the second signs what the first has signed, whatever is here.
            docker.run(["trust", "sign", "--local", &image(tag)]).ok();
        };
        let both = push(alice, &image("both"), "of both");
        sign(alice, "both");
        sign(bob, "both");
        let half = push(alice, &image("half"), "of alice");
        sign(alice, "half");
        push(alice, &image("split"), "one");
        sign(alice, "split");
        push(bob, &image("split"), "another");
        sign(bob, "split");
        push(alice, &image("unsigned"), "of nobody");
        // A repository without signers: content trust signs in `targets`.
        let alone = push(&alice.with_content_trust(), &format!("{plain}:1.0"), "alone");

        let judge = Countersign::of(world.server(), &format!("judge{number}"));
        let policy = |require: &str| {
            judge.policy(&format!(
                "anchors:\n  prod: {{ root_keys: [{:?}] }}\nsigners:\n  alice: {{ keys: [\"@{alice_key}\"] }}\n  bob: {{ keys: \
                 [\"@{bob_key}\"] }}\n  carol: {{ keys: [\"@{carol_key}\"] }}\nrules:\n  - {{ match: \"{REGISTRY}/**\", anchor: prod \
                 }}\n  - {{ match: \"{app}\", anchor: prod{require} }}",
                root_key(alice)
            ));
        };
        policy("");
        allowed(&judge, &format!("{plain}:1.0"), &alone);
        allowed(&judge, &image("both"), &both);
        allowed(&judge, &image("half"), &half);
        judge.denies(&image("unsigned"), "tag_not_signed");
        judge.denies(&app, "tag_not_signed");
        judge.denies(&format!("{REGISTRY}/docker{number}/nothing:1"), "no_trust_data");
        policy(", require: { signers: [alice, bob] }");
        allowed(&judge, &image("both"), &both);
        judge
            .denies(&image("half"), "signer_missing")
            .says("bob has signed targets/releases, but so may others");
        judge.denies(&image("split"), "signers_disagree");
        // Declared, and has never signed anything.
        policy(", require: { signers: [alice, carol] }");
        judge.denies(&image("both"), "signer_missing");

        policy("");
        alice.run(["trust", "revoke", "--yes", &image("half")]).ok();
        judge.denies(&image("half"), "tag_not_signed");
        judge.denies(&format!("{app}@sha256:{half}"), "digest_no_longer_signed");
        allowed(&judge, &image("both"), &both);
    }
}
