//! What `countersign` signs, notary and docker read, and the other way round; and what it refuses, and in which words.

use std::{fs, path::Path, process::Command};

use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    TestServer,
    countersign::Countersign,
    docker::{REGISTRY, debian_cli},
    flows::docker::World,
    person::{GUN, PASSPHRASE, Person, digest},
    process::Finished,
    registry::{Registry, get_manifest, push_image},
};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The tags of `inspect --json` with the roles that name them.
fn tags(shown: &Value) -> Vec<(String, Vec<String>)> {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let roles = |tag: &Value| {
        let roles = list(&tag["roles"]);
        roles
            .iter()
            .map(|role| role["role"].as_str().unwrap().to_owned())
            .collect()
    };
    let tags = list(&shown["tags"]);
    tags.iter()
        .map(|tag| (tag["tag"].as_str().unwrap().to_owned(), roles(tag)))
        .collect()
}

#[test]
fn an_owner_signs_by_turns_with_notary_and_both_read_the_same() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    owner.run(&["init", GUN]).ok();
    owner.sign("1.0", "first", &[]);
    owner.notary_finds("1.0", "first");
    owner.notary.add_and_publish(GUN, "2.0", "second");
    owner.sign("3.0", "third", &[]);
    assert_eq!(owner.notary.targets(GUN), ["1.0", "2.0", "3.0"]);
    let manifest = owner.client.directory().join("manifest.json");
    let content = json!({"schemaVersion": 2}).to_string();
    fs::write(&manifest, &content).unwrap();
    owner
        .run(&["sign", &format!("{GUN}:4.0"), "--from-file", text(&manifest)])
        .ok();
    owner.notary_finds("4.0", &content);
    let shown = owner.inspect(&[]);
    let names: Vec<String> = tags(&shown).into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(names, ["1.0", "2.0", "3.0", "4.0"]);
    // The root key is shown as notary shows it, and somebody else begins with it.
    let root = shown["root"]["keys"][0].as_str().unwrap();
    owner.notary.run(["key", "list"]).ok().says(root);
    let reader = Person::of(&server, "bob");
    reader
        .run(&["inspect", GUN])
        .fails()
        .says("nothing says where trust in reg.example:5000/team/app begins");
    reader
        .run(&["inspect", GUN, "--root-key", &"ab".repeat(32)])
        .fails()
        .says("--root-key");
    reader.run(&["inspect", GUN, "--root-key", root]).ok();
    // From now on what was verified is enough.
    reader
        .run(&["inspect", &format!("{GUN}:2.0")])
        .ok()
        .says(&digest("second"));
    assert_eq!(reader.run(&["inspect", &format!("{GUN}:9")]).code, 1);
    // What notary revokes is gone, and the other way round; what is gone already is no error.
    owner.notary.run(["remove", GUN, "2.0", "-p"]).ok();
    owner.run(&["revoke", &format!("{GUN}:1.0")]).ok().says("revoked");
    owner
        .run(&["revoke", &format!("{GUN}:1.0")])
        .ok()
        .says("nothing to revoke");
    assert_eq!(owner.notary.targets(GUN), ["3.0", "4.0"]);
    owner.run(&["init", GUN]).fails().says("has trust data already");
}

#[test]
fn a_repository_of_notarys_is_taken_over_with_its_keys() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    owner.notary.run(["init", GUN, "-p"]).ok();
    owner.notary.add_and_publish(GUN, "1.0", "first");
    // Notary keeps the key of the snapshot, and whoever has it signs it.
    owner.sign("2.0", "second", &[]);
    owner.notary_finds("2.0", "second");
    let signer = Person::of(&server, "bob");
    let key = signer.generate("bob");
    owner
        .run(&["signer", "add", "bob", GUN, text(&key)])
        .ok()
        .says("key rotate reg.example:5000/team/app snapshot");
    owner.run(&["key", "rotate", GUN, "snapshot"]).ok();
    let root = owner.inspect(&[])["root"]["keys"][0].as_str().unwrap().to_owned();
    signer.sign("3.0", "third", &["--root-key", &root]);
    owner.notary_finds("3.0", "third");
    for role in ["targets", "timestamp", "root"] {
        owner.run(&["key", "rotate", GUN, role]).ok();
    }
    owner.run(&["key", "rotate", GUN, "snapshot", "--local"]).ok();
    owner.run(&["key", "rotate", GUN, "snapshot"]).ok();
    owner.notary_finds("2.0", "second");
    owner
        .notary
        .run_with_input(["key", "rotate", GUN, "root"], "yes\n")
        .ok();
    owner.sign("4.0", "fourth", &["--role", "targets"]);
    // The first root key still leads to what is signed now.
    signer.client.policy(&format!(
        "anchors: {{ prod: {{ root_keys: [{root:?}] }} }}\nrules: [ {{ match: \"**\", anchor: prod }} ]"
    ));
    signer.client.allows(&format!("{GUN}:3.0"), &digest("third"));
    let newcomer = Countersign::of(&server, "carol");
    fs::copy(
        signer.client.directory().join("policy.yaml"),
        newcomer.directory().join("policy.yaml"),
    )
    .unwrap();
    newcomer.allows(&format!("{GUN}:3.0"), &digest("third"));
}

#[test]
fn signers_come_go_and_change_their_keys_and_their_roles_stay_readable() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    owner.run(&["init", GUN]).ok();
    let root = owner.inspect(&[])["root"]["keys"][0].as_str().unwrap().to_owned();
    let (qa, dev) = (Person::of(&server, "qa"), Person::of(&server, "dev"));
    // One with a key of ours, one with a certificate.
    let (qa_key, dev_files) = (qa.generate("qa"), server.pki().user("dev"));
    dev.key(&["import", text(&dev_files.key), "--role", "dev"]).ok();
    owner.run(&["signer", "add", "qa", GUN, text(&qa_key)]).ok();
    owner
        .run(&["signer", "add", "dev", GUN, text(&dev_files.certificate)])
        .ok();
    owner
        .run(&["signer", "add", "eve", GUN, text(&qa_key)])
        .fails()
        .says("targets/qa has this key already");
    qa.sign("1.0", "first", &["--root-key", &root]);
    dev.sign("1.0", "first", &["--root-key", &root, "--as", "dev"]);
    owner.notary_finds("1.0", "first");
    let both = ["targets/dev", "targets/qa", "targets/releases"]
        .map(str::to_owned)
        .to_vec();
    let sorted = |shown: &Value| {
        let mut found = tags(shown);
        for (_, roles) in &mut found {
            roles.sort();
        }
        found
    };
    assert_eq!(sorted(&owner.inspect(&[])), [("1.0".to_owned(), both)]);
    let listed = owner.notary.run(["delegation", "list", GUN]).ok();
    listed.says("targets/qa").says("targets/releases");
    // The owner has none of their keys, and is told so.
    let image = format!("{GUN}:2.0");
    let what = ["--digest", &format!("sha256:{}", digest("x")), "--size", "1"];
    let sign = |extra: &[&str]| owner.run(&[&["sign", &image], &what[..], extra].concat());
    sign(&[]).fails().says("--role targets").says("targets/qa");
    sign(&["--as", "qaa"])
        .fails()
        .says("it has targets/")
        .says("targets/qa");
    sign(&["--as", "qa"])
        .fails()
        .says("must be signed by 1 of its keys, and 0 are at hand");
    sign(&["--role", "target/qa"]).fails().says("is not a role");
    sign(&["--role", "snapshot"]).fails().says("names no images");

    // A new key that the owner has not: in two steps, with the signer's help in between.
    let newer = Person::of(&server, "qa2");
    newer.key(&["generate", "qa"]).ok();
    let newer_key = newer.client.directory().join("qa.pub");
    let replace = || owner.run(&["signer", "replace", "qa", GUN, text(&newer_key)]);
    let halfway = replace()
        .fails()
        .says("countersign witness reg.example:5000/team/app targets/qa");
    assert_eq!(halfway.code, 2);
    owner.notary_finds("1.0", "first");
    newer
        .run(&[
            "witness",
            GUN,
            "targets/qa",
            "targets/releases",
            "--root-key",
            &root,
        ])
        .ok();
    replace().ok().says("with the new key alone");
    replace().ok();
    owner.notary_finds("1.0", "first");
    let shown = owner.inspect(&[]);
    let keys = |shown: &Value, role: &str| {
        let signers = shown["signers"].as_array().unwrap();
        let signer = signers.iter().find(|signer| signer["role"] == role).unwrap();
        signer["keys"].as_array().unwrap().len()
    };
    assert_eq!(
        (keys(&shown, "targets/qa"), keys(&shown, "targets/releases")),
        (1, 2)
    );
    qa.run(&["sign", &image, what[0], what[1], "--size", "1"]).fails();
    newer.sign("2.0", "second", &[]);

    // A certificate that was renewed, with the same key: readers know it under another ID.
    let renewed = dev.client.directory().join("renewed.crt");
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-subj", "/CN=dev", "-days", "9", "-key"]);
    Finished::run(openssl.arg(&dev_files.key).arg("-out").arg(&renewed), "").ok();
    let renew = || owner.run(&["signer", "replace", "dev", GUN, text(&renewed)]);
    renew().fails().says("countersign witness");
    dev.run(&["witness", GUN, "targets/dev", "targets/releases"]).ok();
    renew().ok();
    owner.notary_finds("1.0", "first");
    newer.run(&["witness", GUN, "targets/releases"]).ok();

    // Who signed the releases last cannot simply go.
    let remove = |name: &str| owner.run(&["signer", "remove", name, GUN]);
    remove("qa")
        .fails()
        .says("countersign witness reg.example:5000/team/app targets/releases");
    dev.run(&["witness", GUN, "targets/releases"]).ok();
    remove("qa").ok();
    remove("qa").ok().says("nothing to remove");
    owner.notary_finds("2.0", "second");
    remove("dev").ok();
    assert!(owner.inspect(&[])["signers"].as_array().unwrap().is_empty());
    owner.sign("3.0", "third", &[]);
    owner.notary_finds("3.0", "third");
}

#[test]
fn a_role_that_two_keys_signed_stays_readable_when_one_of_them_goes() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    owner.run(&["init", GUN]).ok();
    let old = owner.generate("qa");
    owner.run(&["signer", "add", "qa", GUN, text(&old)]).ok();
    owner.sign("1.0", "first", &["--as", "qa"]);
    fs::create_dir(owner.client.directory().join("new")).unwrap();
    owner.key(&["generate", "qa", "--dir", "new"]).ok();
    // With both keys at hand, both sign what is published while both are declared.
    owner.run(&["signer", "add", "qa", GUN, "new/qa.pub"]).ok();
    owner
        .run(&["witness", GUN, "targets/qa", "targets/releases"])
        .ok();
    owner.inspect(&[]);
    owner.run(&["signer", "replace", "qa", GUN, "new/qa.pub"]).ok();
    // Who knows the role as one of both keys knows it as one of the new key too, however often it is read.
    for _ in 0..2 {
        assert_eq!(tags(&owner.inspect(&[])).len(), 1);
    }
    owner.notary_finds("1.0", "first");
}

#[test]
fn a_first_image_begins_its_repository_when_told_to() {
    let server = TestServer::start();
    let person = Person::of(&server, "alice");
    let image = format!("{GUN}:1.0");
    let what = format!("sha256:{}", digest("first"));
    let sign =
        |extra: &[&str]| person.run(&[&["sign", &image, "--digest", &what, "--size", "5"], extra].concat());
    sign(&["--tofu"])
        .fails()
        .says("countersign init reg.example:5000/team/app");
    sign(&["--init", "--as", "alice"])
        .fails()
        .says("countersign key generate alice");
    person.generate("alice");
    sign(&["--init", "--as", "alice"]).ok();
    person.notary_finds("1.0", "first");
    // With the signer's key alone at hand, nothing more has to be said.
    person.sign("2.0", "second", &[]);
    assert_eq!(
        tags(&person.inspect(&[]))[1],
        (
            "2.0".into(),
            vec!["targets/alice".into(), "targets/releases".into()]
        )
    );
}

#[test]
fn wrong_passphrases_and_words_are_told_in_words_and_change_nothing() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    owner.run(&["init", GUN]).ok();
    owner.sign("1.0", "first", &[]);
    let image = format!("{GUN}:2.0");
    let what = ["--digest", &format!("sha256:{}", digest("x")), "--size", "1"];
    let sign = [&["sign", &image][..], &what].concat();
    owner
        .run_with(&sign, "another")
        .fails()
        .says("is not opened by COUNTERSIGN_PASSPHRASE");
    owner.run_with(&sign, "").fails().says("no passphrase was given");
    // The first line of a file is a passphrase as well.
    let file = owner.client.directory().join("passphrase");
    fs::write(&file, format!("{PASSPHRASE}\n")).unwrap();
    let with_file = [&sign[..], &["--passphrase-file", text(&file)]].concat();
    owner.run_with(&with_file, "").ok();
    owner.run(&["revoke", &image]).ok();
    let told = |arguments: &[&str], text: &str| {
        let refused = owner.run(arguments).fails().says(text);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused}");
    };
    told(&["sign", &image], "nothing says what is to be signed");
    told(&["sign", &image, what[0], what[1]], "--size BYTES");
    told(
        &["sign", &image, "--digest", "sha256:AB", "--size", "1"],
        "64 lower case",
    );
    told(&["sign", GUN, what[0], what[1], "--size", "1"], "say which tag");
    told(
        &[
            "sign",
            &format!("{image}@sha256:{}", digest("y")),
            what[0],
            what[1],
            "--size",
            "1",
        ],
        "--digest says",
    );
    told(&["init", &format!("{GUN}:1.0")], "whole repository");
    told(&["signer", "add", "releases", GUN, "x.pub"], "not a signer");
    told(&["signer", "add", "bob", GUN, "missing.pub"], "missing.pub");
    told(&["signer", "replace", "bob", GUN, "missing.pub"], "missing.pub");
    told(&["witness", GUN, "targets/bob"], "has no delegation targets/bob");
    told(&["witness", GUN, "timestamp"], "signed by the server alone");
    told(
        &["inspect", "reg.example:5000/team/none", "--tofu"],
        "countersign init reg.example:5000/team/none",
    );
    told(
        &["key", "rotate", GUN, "timestamp", "--to", &"ab".repeat(32)],
        "root and targets alone",
    );
    let text_file = owner.client.directory().join("text");
    fs::write(&text_file, "hello").unwrap();
    told(
        &["sign", &image, "--from-file", text(&text_file)],
        "not the JSON of a manifest",
    );
    owner.key(&["import", text(&text_file)]).fails().says("--role");
    owner
        .key(&["import", text(&text_file), "--role", "bob"])
        .fails()
        .says("no private key");
    owner
        .key(&["generate", "snapshot"])
        .fails()
        .says("belongs to one repository");
    owner.generate("bob");
    owner.key(&["generate", "bob"]).fails().says("bob.pub");
    let listed = owner.key(&["list"]).ok();
    assert_eq!(listed.stdout.lines().count(), 3, "{listed}");
    assert_eq!(owner.notary.targets(GUN), ["1.0"]);
}

#[test]
fn a_repository_made_anew_is_worked_on_after_an_operator_accepts_it() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    owner.run(&["init", GUN]).ok();
    owner.sign("1.0", "first", &[]);
    owner
        .run(&["anchor", "accept", GUN])
        .ok()
        .says("nothing to accept");
    let reader = Person::of(&server, "bob");
    reader.run(&["inspect", GUN, "--tofu"]).ok();
    server
        .client("alice")
        .delete(&format!("/v2/{GUN}/_trust/tuf/"))
        .ok();
    owner.run(&["init", GUN]).fails().says("--again");
    owner.run(&["init", "--again", GUN]).ok();
    owner.sign("2.0", "second", &[]);
    reader
        .run(&["inspect", GUN])
        .fails()
        .says("countersign anchor accept reg.example:5000/team/app");
    let shown = reader.run(&["anchor", "accept", GUN]).fails().says("--yes");
    shown
        .says("known root: version 1")
        .says("offered root: version 1");
    reader.run(&["inspect", GUN]).fails();
    reader.run(&["anchor", "accept", GUN, "--yes"]).ok();
    assert_eq!(
        tags(&reader.inspect(&[])),
        [("2.0".to_owned(), vec!["targets".to_owned()])]
    );
}

#[test]
fn an_authority_issues_the_root_of_a_repository_and_a_policy_pins_the_authority() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt \
                  -subj /CN=CA -days 30 && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout \
                  root.key -out root.csr -subj '/CN=reg.example:5000\\/team\\/app' && openssl x509 -req -in root.csr -CA \
                  ca.crt -CAkey ca.key -CAcreateserial -days 30 -out root.crt";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).current_dir(owner.client.directory());
    Finished::run(&mut shell, "").ok();
    let init = ["init", GUN, "--root-cert", "root.crt"];
    owner.run(&init).fails().says("there is no private key");
    owner.key(&["import", "root.key", "--role", "root"]).ok();
    owner.run(&init).ok();
    owner.sign("1.0", "first", &[]);
    owner.notary_finds("1.0", "first");
    owner
        .client
        .policy("anchors: { prod: { ca_file: ca.crt } }\nrules: [ { match: \"**\", anchor: prod } ]");
    owner.client.allows(&format!("{GUN}:1.0"), &digest("first"));
    // The policy says where trust begins, and which server is asked.
    owner.run(&["inspect", GUN, "--policy", "policy.yaml"]).ok();
    owner
        .run(&["inspect", "elsewhere/app", "--policy", "policy.yaml"])
        .fails();
}

#[test]
fn a_repository_gets_another_name_with_what_its_owner_can_sign() {
    let server = TestServer::start();
    let owner = Person::of(&server, "alice");
    owner.run(&["init", GUN]).ok();
    owner.sign("1.0", "first", &[]);
    let signer = Person::of(&server, "bob");
    let key = signer.generate("bob");
    owner.run(&["signer", "add", "bob", GUN, text(&key)]).ok();
    let root = owner.inspect(&[])["root"]["keys"][0].as_str().unwrap().to_owned();
    signer.sign("2.0", "second", &["--root-key", &root]);
    let new = "new.example/team/app";
    let renamed = owner.run(&["gun", "rename", GUN, new]).ok();
    renamed.says("has 1 signed tags").says("1 tags of targets/bob");
    let found = owner.notary.run(["lookup", new, "1.0"]).ok();
    found.says(&digest("first"));
    owner
        .notary
        .run(["delegation", "list", new])
        .ok()
        .says("targets/bob");
    owner
        .run(&["gun", "rename", GUN, new])
        .fails()
        .says("has trust data already");
    // The signer signs there at once.
    let image = format!("{new}:2.0");
    let what = format!("sha256:{}", digest("second"));
    signer
        .run(&[
            "sign",
            &image,
            "--digest",
            &what,
            "--size",
            "6",
            "--root-key",
            &root,
        ])
        .ok();
    owner
        .notary
        .run(["lookup", new, "2.0"])
        .ok()
        .says(&digest("second"));
}

#[test]
fn the_registry_is_asked_for_what_is_signed() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::start(directory.path());
    let server = TestServer::builder()
        .set(
            "registry",
            json!({"upstream": registry.url(), "host": "localhost"}),
        )
        .start();
    let client = server.client("alice");
    push_image(&client, "team/app", "1.0", "layer");
    let manifest = get_manifest(&client, "team/app", "1.0");
    let owner = Person::of(&server, "alice");
    let host = server.url().strip_prefix("https://").unwrap().to_owned();
    let image = format!("{host}/team/app:1.0");
    let signed = owner.run(&["sign", "--init", &image, "--from-registry"]).ok();
    let expected = hex::encode(sha256(&manifest.body));
    assert_eq!(
        signed.stdout.trim(),
        format!("{image}@sha256:{expected}"),
        "{signed}"
    );
    owner
        .run(&["sign", &format!("{image}@sha256:{expected}"), "--from-registry"])
        .ok();
    owner
        .run(&[
            "sign",
            &format!("{image}@sha256:{}", digest("x")),
            "--from-registry",
        ])
        .fails()
        .says("push the image before it is signed");
    owner
        .run(&["sign", &format!("{host}/team/app:2.0"), "--from-registry"])
        .fails()
        .says("has no 2.0 in team/app");
    owner
        .notary
        .run(["lookup", &format!("{host}/team/app"), "1.0"])
        .ok()
        .says(&expected);
}

#[test]
fn docker_trust_reads_what_is_signed_and_signs_with_the_same_keys() {
    let world = World::start(TestServer::builder());
    let files = world.server().pki().user("alice");
    let docker = world
        .host()
        .user(&debian_cli(), "alice", &files, world.server().entry());
    let image = format!("{REGISTRY}/team/ours:1.0");
    let home = docker.home().display();
    let program = tests::process::built_programs().join("countersign");
    let digest = digest("first");
    // Docker's own directory has keys and certificates, and nothing has to be said.
    let script = |arguments: &str| {
        format!(
            "export DOCKER_CONFIG={home} DOCKER_CONTENT_TRUST_SERVER=https://{}:{}; {} \
             {arguments}",
            tests::namespace::TRUST_NAME,
            world.server().entry(),
            program.display()
        )
    };
    let run = |arguments: &str| {
        world
            .host()
            .shell(&docker.home().join("shell"), &script(arguments))
    };
    run("key generate alice").ok();
    run(&format!(
        "sign --init --as alice {image} --digest sha256:{digest} --size 5"
    ))
    .ok();
    let shown = docker
        .run(["trust", "inspect", &format!("{REGISTRY}/team/ours")])
        .ok();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown[0]["SignedTags"][0]["Digest"], digest);
    assert_eq!(shown[0]["SignedTags"][0]["Signers"], json!(["alice"]));
    // Docker pushes and signs with the key that was made here, and then we sign what the registry has: it asks for a
    // certificate, which is that of the engine.
    docker.make_image(&format!("{REGISTRY}/team/ours:2.0"), "content");
    docker
        .run(["trust", "sign", &format!("{REGISTRY}/team/ours:2.0")])
        .ok();
    docker
        .run([
            "tag",
            &format!("{REGISTRY}/team/ours:2.0"),
            &format!("{REGISTRY}/team/ours:3.0"),
        ])
        .ok();
    docker.run(["push", &format!("{REGISTRY}/team/ours:3.0")]).ok();
    run(&format!("sign {REGISTRY}/team/ours:3.0 --from-registry")).ok();
    docker
        .with_content_trust()
        .run(["pull", &format!("{REGISTRY}/team/ours:3.0")])
        .ok();
    let listed = run(&format!("inspect {REGISTRY}/team/ours")).ok();
    listed.says("2.0").says("3.0").says("targets/alice");
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let server = TestServer::start();
    let client = Countersign::of(&server, "alice");
    for shell in ["bash", "zsh", "fish"] {
        client.run(&["completions", shell]).ok().says("witness");
    }
    client.run(&["man", "pages"]).ok();
    let page = fs::read_to_string(client.directory().join("pages/countersign-sign.1")).unwrap();
    assert!(page.contains("from"), "{page}");
}
