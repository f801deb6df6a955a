//! What notary signs, `countersign verify` judges.

use std::{fs, process::Command};

use openssl::sha::sha256;
use serde_json::Value;
use tests::{
    ClientFiles, Finished, Notary, Stop, TestServer, countersign::Countersign, publisher::Publisher,
};

const GUN: &str = "reg.example:5000/team/app";

/// The SHA-256 of a target's content.
fn digest(content: &str) -> String {
    hex::encode(sha256(content.as_bytes()))
}

/// A repository with the tag 1.0, signed by its owner.
fn signed(server: &TestServer) -> Notary {
    let notary = server.notary("alice");
    notary.run(["init", GUN, "-p"]).ok();
    notary.run(["key", "rotate", GUN, "snapshot", "-r"]).ok();
    notary.add_and_publish(GUN, "1.0", "first");
    notary
}

fn pinned(client: &Countersign, notary: &Notary, rest: &str) {
    client.policy(&format!(
        "anchors:\n  prod: {{ root_keys: [{:?}] }}\nrules:\n  - {{ match: \"reg.example:5000/**\", anchor: prod{rest} }}",
        notary.root_key()
    ));
}

/// Certificate and key of somebody who has them already.
fn files(server: &TestServer, name: &str) -> (String, String) {
    let file = |name: String| server.path().join("pki").join(name).display().to_string();
    (file(format!("{name}.pem")), file(format!("{name}-key.pem")))
}

/// A delegate with a certificate, whose role may name everything.
fn delegate(server: &TestServer, owner: &Notary, name: &str) -> Notary {
    let delegate = server.notary(name);
    let (certificate, key) = files(server, name);
    owner
        .run([
            "delegation",
            "add",
            GUN,
            &format!("targets/{name}"),
            &certificate,
            "--all-paths",
            "-p",
        ])
        .ok();
    delegate.run(["key", "import", &key, "--role", name]).ok();
    delegate
}

#[test]
fn a_signed_tag_is_pinned_and_everything_else_is_denied_for_a_reason_of_its_own() {
    let server = TestServer::start();
    let notary = signed(&server);
    let client = Countersign::of(&server, "bob");
    pinned(&client, &notary, "");
    let (good, other) = (digest("first"), digest("other"));
    client.allows(&format!("{GUN}:1.0"), &good);
    client.allows(&format!("{GUN}@sha256:{good}"), &good);
    client.allows(&format!("{GUN}:1.0@sha256:{good}"), &good);
    client.denies(&format!("{GUN}:1.0@sha256:{other}"), "digest_mismatch");
    client.denies(&format!("{GUN}@sha256:{other}"), "digest_not_signed");
    client.denies(&format!("{GUN}:2.0"), "tag_not_signed");
    // No tag is `latest`.
    client.denies(GUN, "tag_not_signed");
    notary.add_and_publish(GUN, "latest", "newest");
    client.allows(GUN, &digest("newest"));
    client.denies("reg.example:5000/team/unknown:1", "no_trust_data");
    client.denies("elsewhere.example/app:1", "no_rule");
    let initialized = "reg.example:5000/team/empty";
    notary.run(["init", initialized, "-p"]).ok();
    client.denies(&format!("{initialized}:1"), "nothing_signed");
}

#[test]
fn statuses_tell_denials_from_what_cannot_be_decided_and_json_has_the_evidence() {
    let mut server = TestServer::start();
    let notary = signed(&server);
    let client = Countersign::of(&server, "bob");
    pinned(&client, &notary, "");
    let image = format!("{GUN}:1.0");
    assert_eq!(client.denies(&format!("{GUN}:2.0"), "tag_not_signed").code, 1);
    assert_eq!(client.denies("Not An Image", "invalid_reference").code, 2);
    let json = client
        .run(&["verify", "--policy", "policy.yaml", "--json", &image])
        .ok();
    let verdict: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(verdict["allow"], true);
    assert_eq!(verdict["digest"], format!("sha256:{}", digest("first")));
    let evidence = &verdict["evidence"];
    assert_eq!(evidence["gun"], GUN);
    // The first root, and the one that gave the snapshot key to the server.
    assert_eq!(evidence["root"]["version"], 2);
    assert!(evidence["timestamp"]["expires"].is_string());
    assert_eq!(evidence["roles"][0]["role"], "targets");
    assert_eq!(evidence["roles"][0]["key_ids"].as_array().unwrap().len(), 1);
    client
        .run(&["verify", "--policy", "policy.yaml", "--explain", &image])
        .ok()
        .says("root: version 2")
        .says("names 1.0 = sha256:");
    server.stop_server(Stop::Politely);
    // Known and unexpired: it goes on for a while. Never seen: nothing can be said.
    client.allows(&image, &digest("first"));
    let never = client.denies("reg.example:5000/team/never:1", "server_unreachable");
    assert_eq!(never.code, 2);
    // Without a policy or an anchor, nothing says where trust begins.
    let finished = client.run_at_server(&["verify", &image]);
    assert_eq!(finished.code, 2, "{finished}");
    finished.says("nothing says where trust begins");
}

#[test]
fn another_root_key_another_machine_and_a_mistyped_policy_allow_nothing() {
    let server = TestServer::start();
    let notary = signed(&server);
    let client = Countersign::of(&server, "bob");
    let image = format!("{GUN}:1.0");
    client.policy(&format!(
        "anchors: {{ prod: {{ root_keys: [\"{}\"] }} }}\nrules: [ {{ match: \"**\", anchor: prod }} ]",
        "ab".repeat(32)
    ));
    client.denies(&image, "anchor_mismatch");
    let key = notary.root_key();
    for (wrong, told) in [
        (
            format!("anchors: {{ prod: {{ root_keyz: [\"{key}\"] }} }}\nrules: []"),
            "root_keys",
        ),
        (
            format!(
                "anchors: {{ prod: {{ root_keys: [\"{key}\"] }} }}\nrules: [ {{ match: \"**\", anchor: pord }} ]"
            ),
            "prod",
        ),
        (
            format!(
                "anchors: {{ prod: {{ root_keys: [\"{key}\"] }} }}\nrules: [ {{ match: \"**\", anchor: prod, require: {{ signers: [alice] }} }} ]"
            ),
            "alice",
        ),
        ("rules: [ { match: \"**\", action: alow } ]".to_owned(), "allow"),
        (
            "anchors: { lab: { tofu: true } }\nrules: [ { match: \"**\", anchor: lab } ]".to_owned(),
            "scope",
        ),
        (
            "rules: [ { match: \"**\", action: allow }, { match: \"**\", action: deny } ]".to_owned(),
            "**",
        ),
        (
            "rules: [ { match: \"**\", action: allow, action: allow } ]".to_owned(),
            "action",
        ),
    ] {
        client.policy(&wrong);
        let finished = client.verify(&image);
        assert_eq!(finished.code, 2, "{wrong}: {finished}");
        assert_eq!(finished.stdout, "", "{wrong}: {finished}");
        finished.says(told);
    }
}

#[test]
fn required_signers_have_to_name_the_same_digest_and_a_role_alone_releases_nothing() {
    let server = TestServer::start();
    let owner = signed(&server);
    let (alice, bob) = (delegate(&server, &owner, "qa"), delegate(&server, &owner, "dev"));
    let client = Countersign::of(&server, "carol");
    let cert = |name: &str| files(&server, name).0;
    let policy = |require: &str| {
        client.policy(&format!(
            "anchors: {{ prod: {{ root_keys: [{:?}] }} }}\nsigners:\n  qa: {{ certs: [{:?}] }}\n  dev: {{ certs: [{:?}] }}\nteams: {{ \
             all: [qa, dev], quality: [qa] }}\nrules: [ {{ match: \"**\", anchor: prod{require} }} ]",
            owner.root_key(),
            cert("qa"),
            cert("dev"),
        ));
    };
    let add = |who: &Notary, role: &str, tag: &str, content: &str| {
        let file = who.file("content", content).display().to_string();
        who.run(["add", GUN, tag, &file, "-r", role, "-p"]).ok();
    };
    let image = format!("{GUN}:2.0");
    policy(", require: { signers: [qa, dev] }");
    client.denies(&image, "tag_not_signed");
    add(&alice, "targets/qa", "2.0", "second");
    client.denies(&image, "signer_missing");
    policy("");
    client.denies(&image, "not_released");
    policy(", require: { signers: [qa, dev] }");
    add(&bob, "targets/dev", "2.0", "another");
    client.denies(&image, "signers_disagree");
    add(&bob, "targets/dev", "2.0", "second");
    client.allows(&image, &digest("second"));
    policy(", require: { signers: [qa, dev], at_least: 2 }");
    client.allows(&image, &digest("second"));
    policy(", require: { every_team: [all, quality] }");
    client.allows(&image, &digest("second"));
    policy(", require: { signers: [qa], released: true }");
    client.denies(&image, "not_released");
    // A signer of the command line counts as well.
    policy(", require: { signers: [qa] }");
    let both = client.run(&["verify", "--policy", "policy.yaml", "--signer", "dev", &image]);
    both.ok();
    let nobody = client.run(&["verify", "--policy", "policy.yaml", "--signer", "mallory", &image]);
    assert_eq!(nobody.code, 2, "{nobody}");
    // An audit rule lets it run, and says what it thinks.
    policy(", require: { signers: [qa, dev] }, mode: audit");
    let audited = client.verify(&format!("{GUN}:1.0")).ok();
    assert!(
        audited
            .stdout
            .starts_with(&format!("audit: {GUN}:1.0: signer_missing: ")),
        "{audited}"
    );
}

#[test]
fn the_pin_follows_rotations_and_a_repository_made_anew_is_denied() {
    let server = TestServer::start();
    let notary = signed(&server);
    let client = Countersign::of(&server, "bob");
    let image = format!("{GUN}:1.0");
    pinned(&client, &notary, "");
    client.allows(&image, &digest("first"));
    for _ in 0..2 {
        notary
            .run_with_input(["key", "rotate", GUN, "root"], "yes\n")
            .ok();
        client.allows(&image, &digest("first"));
    }
    // Somebody who begins now follows the pin of the first key as well.
    let newcomer = Countersign::of(&server, "carol");
    fs::copy(
        client.directory().join("policy.yaml"),
        newcomer.directory().join("policy.yaml"),
    )
    .unwrap();
    newcomer.allows(&image, &digest("first"));
    server
        .client("alice")
        .delete(&format!("/v2/{GUN}/_trust/tuf/"))
        .ok();
    client.denies(&image, "no_trust_data");
    let other = server.notary("alice").elsewhere("other-machine");
    other.run(["init", GUN, "-p"]).ok();
    other.add_and_publish(GUN, "1.0", "replaced");
    client.denies(&image, "root_reset");
    newcomer.denies(&image, "root_reset");
    // On a machine that never saw it, the pin alone denies it.
    let fresh = Countersign::of(&server, "dave");
    fs::copy(
        client.directory().join("policy.yaml"),
        fresh.directory().join("policy.yaml"),
    )
    .unwrap();
    fresh.denies(&image, "anchor_mismatch");
}

#[test]
fn what_has_expired_is_denied_and_the_role_is_named() {
    let server = TestServer::start();
    let notary = signed(&server);
    let client = Countersign::of(&server, "bob");
    pinned(&client, &notary, "");
    let image = format!("{GUN}:1.0");
    client.allows(&image, &digest("first"));
    let later = Countersign::of(&server, "bob").days_ahead(20);
    // The timestamp lives for 14 days, and the server of the test lives in the present.
    later.denies(&image, "expired").says("timestamp");
}

#[test]
fn documents_by_hand_that_break_a_rule_are_never_believed() {
    let server = TestServer::start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    let client = Countersign::of(&server, "bob");
    // A pinned certificate is not a pinned key, and the other way round.
    client.policy(&format!(
        "anchors: {{ one: {{ cert_ids: [{:?}] }} }}\nrules: [ {{ match: \"**\", anchor: one }} ]",
        publisher.root.id
    ));
    client.denies(&format!("{GUN}:none"), "tag_not_signed");
    client.policy(&format!(
        "anchors: {{ one: {{ root_keys: [{:?}] }} }}\nrules: [ {{ match: \"**\", anchor: one }} ]",
        publisher.root.id
    ));
    client.denies(&format!("{GUN}:none"), "anchor_mismatch");
}

#[test]
fn manifests_are_judged_and_get_digests_unless_an_image_is_denied() {
    let server = TestServer::start();
    let notary = signed(&server);
    let client = Countersign::of(&server, "bob");
    pinned(&client, &notary, "");
    let directory = client.directory().join("manifests/deep");
    fs::create_dir_all(&directory).unwrap();
    let compose = format!("services:\n  web:\n    image: {GUN}:1.0 # ours\n");
    let pod =
        format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: x\n    image: \"{GUN}:1.0\"\n");
    fs::write(directory.join("compose.yml"), &compose).unwrap();
    fs::write(directory.join("pod.yaml"), &pod).unwrap();
    fs::write(directory.join("README.md"), "image: x").unwrap();
    let verify = |arguments: &[&str]| {
        let mut command = vec!["verify", "--policy", "policy.yaml", "--manifests", "manifests"];
        command.extend(arguments);
        client.run(&command)
    };
    let told = verify(&[]).ok();
    assert_eq!(told.stdout.lines().count(), 1, "{told}");
    let digest = format!("{GUN}:1.0@sha256:{}", digest("first"));
    fs::write(
        directory.join("z.yaml"),
        format!("services: {{a: {{image: '{GUN}:2'}}}}\n"),
    )
    .unwrap();
    assert_eq!(verify(&["--write"]).code, 1);
    assert_eq!(
        fs::read_to_string(directory.join("compose.yml")).unwrap(),
        compose
    );
    fs::remove_file(directory.join("z.yaml")).unwrap();
    for _ in 0..2 {
        verify(&["--write"]).ok();
        for (name, before) in [("compose.yml", &compose), ("pod.yaml", &pod)] {
            let expected = before.replace(&format!("{GUN}:1.0"), &digest);
            assert_eq!(fs::read_to_string(directory.join(name)).unwrap(), expected);
        }
    }
    let mut piped = client.command(&["verify", "--policy", "policy.yaml", "--manifests", "-", "--write"]);
    let piped = tests::Finished::run(&mut piped, &compose).ok();
    assert_eq!(piped.stdout, compose.replace(&format!("{GUN}:1.0"), &digest));
}

#[test]
fn a_pkcs12_file_says_who_asks_and_is_told_what_is_wrong_with_it() {
    let server = TestServer::start();
    let notary = signed(&server);
    let client = Countersign::of(&server, "bob");
    let (key, url) = (notary.root_key(), server.url());
    let ca = server.pki().ca().display().to_string();
    let image = format!("{GUN}:1.0");
    let pack = |files: &ClientFiles, name: &str, passphrase: &str| {
        let path = client.directory().join(name);
        let mut openssl = Command::new("openssl");
        openssl.args(["pkcs12", "-export", "-passout"]);
        openssl
            .arg(format!("pass:{passphrase}"))
            .arg("-in")
            .arg(&files.certificate);
        openssl.arg("-inkey").arg(&files.key).arg("-out").arg(&path);
        Finished::run(&mut openssl, "").ok();
    };
    pack(&server.pki().user("bob"), "bob.p12", "right");
    pack(&server.pki().user("bob"), "open.p12", "");
    pack(&server.pki().expired(), "expired.p12", "right");
    fs::write(client.directory().join("text.p12"), "text").unwrap();
    fs::write(client.directory().join("passphrase"), "right\n").unwrap();
    let verify = |file: &str, passphrase: Option<&str>, more: &[&str]| {
        let mut command = client.command(&[
            "verify",
            "--server",
            &url,
            "--ca",
            &ca,
            "--root-key",
            &key,
            "--p12",
            file,
        ]);
        command.args(more).arg(&image);
        if let Some(passphrase) = passphrase {
            command.env("COUNTERSIGN_P12_PASSPHRASE", passphrase);
        }
        Finished::run(&mut command, "")
    };
    verify("bob.p12", Some("right"), &[]).ok().says(&digest("first"));
    verify("open.p12", None, &[]).ok();
    let from_file = ["--p12-passphrase-file", "passphrase"];
    verify("bob.p12", None, &from_file).ok();
    // What is said on the command line counts.
    verify("bob.p12", Some("wrong"), &from_file).ok();
    for (file, passphrase, more, told) in [
        ("bob.p12", Some("wrong"), &[][..], "the passphrase is wrong"),
        ("bob.p12", None, &[], "the passphrase is wrong"),
        ("text.p12", Some("right"), &[], "is not a PKCS#12 file"),
        ("absent.p12", Some("right"), &[], "absent.p12"),
        ("bob.p12", None, &["--p12-passphrase-file", "absent"], "absent"),
        ("expired.p12", Some("right"), &[], "expired"),
        (
            "bob.p12",
            Some("right"),
            &["--cert", "c", "--key", "k"],
            "cannot be used with",
        ),
    ] {
        let finished = verify(file, passphrase, more);
        assert_eq!(finished.code, 2, "{file}: {finished}");
        finished.says(told);
    }
    let mut alone = client.command(&["verify", "--p12-passphrase-file", "passphrase", &image]);
    Finished::run(&mut alone, "").fails().says("--p12");
}
