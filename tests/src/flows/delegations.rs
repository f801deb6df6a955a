//! Delegates, and what they delegate further.

use super::{GUNS, SHAPES, import, machine, repository};
use crate::{
    Notary, TestServer,
    openssl_files::{certificate, key_pair},
};

/// Delegates publish from their own trust directories, with keys and with certificates.
pub fn delegate(server: &TestServer) {
    let alice = server.notary("alice");
    for gun in GUNS {
        repository(&alice, gun);
        let bob = machine(server, "bob", gun);
        let carol = machine(server, "carol", gun);
        let (bob_key, bob_public) = key_pair(&bob, "bob");
        let (carol_key, carol_certificate) = certificate(&carol, "carol", &["rsa:2048"]);
        let dave = machine(server, "dave", gun);
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

        let reader = machine(server, "reader", gun);
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

/// A delegate delegates further, and a witness renews.
pub fn delegate_further_and_witness(server: &TestServer) {
    let alice = server.notary("alice");
    for gun in SHAPES {
        delegate_further(server, &alice, gun);
    }
}

fn delegate_further(server: &TestServer, alice: &Notary, gun: &str) {
    repository(alice, gun);
    let bob = machine(server, "bob", gun);
    let carol = machine(server, "carol", gun);
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

    let reader = machine(server, "reader", gun);
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
