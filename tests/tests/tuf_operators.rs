//! What operators see and do of TUF 1.0 repositories: what ends, what no longer verifies, and the files of one.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::{Value, json};
use tests::{
    Engine, TestServer, Whose,
    native::{Key, Repository, consistent, in_days},
    process::{Finished, installed_program},
    server::Builder,
};
use tuf_native::{
    Version,
    authoring::{Target, TargetsContent},
};

fn builder() -> Builder {
    TestServer::builder().set("tuf", json!({"enabled": true}))
}

fn repository(server: &TestServer, name: &str) -> Repository {
    Repository::new(name, server.client("alice"))
}

fn following(content: &mut TargetsContent) {
    content.version = content.version.next().unwrap();
}

#[test]
fn operators_are_told_what_ends_what_no_longer_verifies_and_what_was_changed_without_a_record() {
    let server = builder().start();
    let repository = repository(&server, "team/app");
    let owner = Key::new();
    let mut targets = repository.first_targets(&[]);
    targets.expires = in_days(20);
    let root = repository.first_root(&[&owner], &[&owner]).draft().unwrap();
    repository
        .send(
            "metadata",
            &[&owner.sign(&root), &owner.sign(&targets.draft().unwrap())],
        )
        .ok();
    let told = |line: &str| server.command_line(line).output();
    let renew = "countersign tuf renew team/app targets";
    assert!(told("expiry --within 30d").contains(renew));
    assert!(!told("expiry --within 10d").contains(renew));
    let checked = told("check");
    assert!(
        checked.contains(renew) && !checked.contains("not signed"),
        "{checked}"
    );
    assert!(!told("audit verify").contains("team/app"));
    // Somebody with access to the database exchanges what was signed.
    let stranger = Key::new();
    targets.version = Version::FIRST;
    let forged = stranger.sign(&targets.draft().unwrap());
    let hex = hex::encode(forged.bytes());
    let literal = match server.engine() {
        Engine::Postgres => format!("'\\x{hex}'"),
        Engine::Sqlite | Engine::Mysql => format!("X'{hex}'"),
    };
    let forge = format!("UPDATE native_files SET data = {literal} WHERE role = 'targets'");
    server.execute(Whose::Server, &forge);
    let checked = told("check");
    assert!(
        checked.contains("TUF repository team/app: targets version 1 is not signed by enough of its keys"),
        "{checked}"
    );
    let verified = told("audit verify");
    assert!(
        verified.contains(
            "targets version 1 of the TUF repository team/app is missing, or differs from its record"
        ),
        "{verified}"
    );
}

/// Every file below a directory, by its path.
fn files_of(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().display().to_string();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_repository_is_exported_byte_for_byte_as_files_and_as_an_oci_layout_that_skopeo_copies() {
    let server = builder().start();
    let repository = repository(&server, "team/app");
    let owner = Key::new();
    let (mut root, mut targets) = repository.make(&owner, &[("docs/a", b"a")]);
    root.version = Version::new(2).unwrap();
    following(&mut targets);
    targets
        .targets
        .insert("elsewhere".to_owned(), Target::of(b"elsewhere"));
    repository
        .send(
            "metadata",
            &[
                &owner.sign(&root.draft().unwrap()),
                &owner.sign(&targets.draft().unwrap()),
            ],
        )
        .ok();
    let export = |more: &str| server.command_line(&format!("tuf export team/app --out {more}"));
    let out = |name: &str| server.path().join(name);
    let told = export(&out("plain").display().to_string()).ok();
    told.says("1 targets are not stored here");
    let plain = files_of(&out("plain"));
    let mut names: Vec<&str> = plain.keys().map(String::as_str).collect();
    names.sort_unstable();
    let target = format!("targets/{}", consistent("docs/a", b"a"));
    let of_tough = format!("targets/{}.docs/a", hex::encode(openssl::sha::sha256(b"a")));
    assert_eq!(
        names,
        [
            "initial_root.json",
            "metadata/1.root.json",
            "metadata/2.root.json",
            "metadata/2.snapshot.json",
            "metadata/2.targets.json",
            "metadata/timestamp.json",
            "targetpath",
            of_tough.as_str(),
            target.as_str(),
        ]
    );
    assert_eq!(plain["targetpath"], b"docs/a");
    for name in names.iter().filter(|name| name.contains('/')) {
        assert_eq!(plain[*name], repository.get(name).ok().body, "{name}");
    }
    // Nothing is written over, and nothing is left of what cannot be written.
    export(&out("plain").display().to_string())
        .fails()
        .says("is there already");
    export("/proc/none").fails();
    server
        .command_line(&format!("tuf export team/none --out {}", out("none").display()))
        .fails()
        .says("there is no TUF repository team/none");
    assert!(!out("none").exists() && !out("none.part").exists());
    // The layout has the same files, also after skopeo has copied it.
    export(&format!("{} --oci", out("layout").display())).ok();
    let mut skopeo = Command::new(installed_program("skopeo", "skopeo"));
    skopeo.args(["copy", "--insecure-policy"]);
    skopeo
        .arg(format!("oci:{}:latest", out("layout").display()))
        .arg(format!("oci:{}:again", out("copied").display()));
    Finished::run(&mut skopeo, "").ok();
    let copied = files_of(&out("copied"));
    let index: Value = serde_json::from_slice(&copied["index.json"]).unwrap();
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"]
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap();
        copied[&format!("blobs/sha256/{digest}")].clone()
    };
    let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), names.len() - 3);
    for layer in layers {
        let title = layer["annotations"]["org.opencontainers.image.title"]
            .as_str()
            .unwrap();
        assert_eq!(blob(layer), plain[title], "{title}");
    }
}
