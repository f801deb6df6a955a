//! The attested mirror: an operator says in their own name what they saw signed. And what is never done: a server that signs
//! content and calls that a migration. `docs/tuf.md` describes both.

use std::{fs, path::Path};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tests::{
    TestServer,
    native::{Key, READERS, Repository, signed},
    person::{GUN, Person, digest},
};

const NAME: &str = "corp.example/seen";

fn start() -> TestServer {
    TestServer::builder().set("tuf", json!({"enabled": true})).start()
}

/// The newest targets of the operator's repository.
fn targets(server: &TestServer) -> Value {
    let repository = Repository::new(NAME, server.client("alice"));
    let file = |path: String| repository.get(&path).ok().json();
    let timestamp = file("metadata/timestamp.json".into());
    let snapshot = &timestamp["signed"]["meta"]["snapshot.json"]["version"];
    let snapshot = file(format!("metadata/{snapshot}.snapshot.json"));
    let version = &snapshot["signed"]["meta"]["targets.json"]["version"];
    file(format!("metadata/{version}.targets.json"))["signed"].clone()
}

fn moment(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

fn mirror<'a>(root_key: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["tuf", "mirror", GUN, "--repository", NAME, "--root-key", root_key];
    all.extend(more);
    all
}

#[test]
fn an_operator_says_what_was_seen_and_nothing_more() {
    let server = start();
    let (owner, operator) = (Person::of(&server, "alice"), Person::of(&server, "operator"));
    owner.run(&["init", GUN]).ok();
    owner.sign("1.0", "first", &["--role", "targets"]);
    owner.sign("2.0", "second", &["--role", "targets"]);
    operator.run(&["tuf", "init", NAME]).ok();
    let key = owner.inspect(&[])["root"]["keys"][0].as_str().unwrap().to_owned();
    let yes = mirror(&key, &["--yes"]);
    operator
        .run(&mirror(&key, &[]))
        .fails()
        .says("attested mirror of")
        .says("the operator saw a valid statement then, and nothing more")
        .says("say --yes");
    operator.run(&yes).ok().says("published targets 2");
    let content = targets(&server);
    let found = &content["targets"][format!("{GUN}/1.0")];
    assert_eq!(found["hashes"], json!({"sha256": digest("first")}));
    assert_eq!(found["length"], 5);
    let said = &found["custom"]["countersign"];
    assert_eq!(said["kind"], "attested mirror");
    assert_eq!((&said["gun"], &said["role"]), (&json!(GUN), &json!("targets")));
    assert_eq!(said["root_key_ids"], json!([key]));
    let source = server
        .client("alice")
        .get(&format!("/v2/{GUN}/_trust/tuf/targets.json"))
        .ok();
    assert_eq!(said["sha256"], hex::encode(openssl::sha::sha256(&source.body)));
    assert_eq!(said["version"], source.json()["signed"]["version"]);
    assert!(moment(&said["verified_at"]) <= Utc::now());
    assert!(moment(&said["expires"]) <= moment(&source.json()["signed"]["expires"]));
    assert!(moment(&content["expires"]) <= moment(&said["expires"]));

    // Again, nothing is new; then a tag moves, one goes, one comes.
    operator
        .run(&yes)
        .ok()
        .says("says the same already, as an attested mirror");
    assert_eq!(targets(&server), content);
    owner.sign("1.0", "moved", &["--role", "targets"]);
    owner.run(&["revoke", &format!("{GUN}:2.0")]).ok();
    owner.sign("3.0", "third", &["--role", "targets"]);
    // What somebody could take for a root, or for a tag of another repository, is left out.
    let size = "5";
    let forged = format!("sha256:{}", digest("first"));
    let image = format!("{GUN}:2.root.json");
    owner
        .run(&[
            "sign", &image, "--digest", &forged, "--size", size, "--role", "targets",
        ])
        .ok();
    operator
        .run(&yes)
        .ok()
        .says("left out: \"2.root.json\": it has the name of a trust root")
        .says(&format!("removes {GUN}/2.0"))
        .says("published targets 3");
    let content = targets(&server);
    let names: Vec<&String> = content["targets"].as_object().unwrap().keys().collect();
    assert_eq!(names, [&format!("{GUN}/1.0"), &format!("{GUN}/3.0")]);
    assert_eq!(
        content["targets"][format!("{GUN}/1.0")]["hashes"]["sha256"],
        digest("moved")
    );

    // It is shown as what it is, and every client reads it.
    let verified = operator.client.run_at_server(&["tuf", "verify", NAME]).ok();
    verified.says(&format!(
        "{}  5  {GUN}/1.0  (attested mirror: the operator saw it in targets version",
        digest("moved")
    ));
    let name = format!("{GUN}/1.0");
    operator
        .client
        .run_at_server(&["tuf", "download", NAME, &name])
        .fails()
        .says("attested mirror: the operator saw it");
    let root = Repository::new(NAME, server.client("alice"))
        .get("metadata/1.root.json")
        .ok()
        .body;
    let files = server.pki().user("others");
    for reader in READERS {
        let reader = reader.install(&server, NAME, &root, &files);
        assert_eq!(
            reader.look_up(&[&name]),
            json!({"found": {name.clone(): digest("moved")}})
        );
    }
    // Whatever else is signed in this role, it does not outlive its sources.
    operator
        .run(&["tuf", "renew", NAME, "targets", "--days", "36500"])
        .ok();
    let content = targets(&server);
    let said = &content["targets"][&name]["custom"]["countersign"];
    assert!(moment(&content["expires"]) <= moment(&said["expires"]));
    operator
        .run(&mirror(&key, &["--yes", "--days", "36500"]))
        .ok()
        .says("says the same already");
}

#[test]
fn what_would_look_like_something_else_is_refused() {
    let server = start();
    let (owner, operator) = (Person::of(&server, "alice"), Person::of(&server, "operator"));
    owner.run(&["init", GUN]).ok();
    owner.sign("1.0", "first", &["--role", "targets"]);
    let key = owner.inspect(&[])["root"]["keys"][0].as_str().unwrap().to_owned();
    // As if the owners had signed it.
    let own = [
        "tuf",
        "mirror",
        GUN,
        "--repository",
        GUN,
        "--root-key",
        &key,
        "--yes",
    ];
    operator.run(&own).fails().says("is the TUF 1.0 repository of");
    // Nothing says where trust in the source begins, or it begins elsewhere.
    operator
        .run(&["tuf", "mirror", GUN, "--repository", NAME, "--yes"])
        .fails();
    let other = "ab".repeat(32);
    operator
        .run(&mirror(&other, &["--yes"]))
        .fails()
        .says("no root of");
    operator.run(&mirror(&key, &["--yes"])).fails().says("tuf init");
    operator.run(&["tuf", "init", NAME]).ok();
    // A repository is one thing only.
    operator.run(&mirror(&key, &["--yes"])).ok();
    operator
        .run(&["tuf", "roots", NAME, GUN, "--yes"])
        .fails()
        .says("is an attested mirror");
    let roots = "corp.example/roots";
    operator.run(&["tuf", "init", roots]).ok();
    operator.run(&["tuf", "roots", roots, GUN, "--yes"]).ok();
    let mixed = [
        "tuf",
        "mirror",
        GUN,
        "--repository",
        roots,
        "--root-key",
        &key,
        "--yes",
    ];
    operator.run(&mixed).fails().says("has trust roots");
    // Nor is a target overwritten that says something else.
    let taken = "corp.example/taken";
    operator.run(&["tuf", "init", taken]).ok();
    let file = operator.client.directory().join("file");
    fs::write(&file, "other").unwrap();
    let name = format!("{GUN}/1.0");
    operator
        .run(&["tuf", "add", taken, file.to_str().unwrap(), "--name", &name])
        .ok();
    let over = [
        "tuf",
        "mirror",
        GUN,
        "--repository",
        taken,
        "--root-key",
        &key,
        "--yes",
    ];
    operator
        .run(&over)
        .fails()
        .says("is a target of something else already");
    // What has ended says nothing that could be seen.
    let root = Repository::new(NAME, server.client("alice"))
        .get("metadata/1.root.json")
        .ok()
        .body;
    let trusted = operator.client.directory().join("operator.json");
    fs::write(&trusted, root).unwrap();
    let later = Person {
        client: tests::countersign::Countersign::of(&server, "later").days_ahead(20),
        notary: operator.notary.clone(),
    };
    later
        .run(&mirror(&key, &["--yes", "--tuf-root", trusted.to_str().unwrap()]))
        .fails()
        .says("says nothing valid now");
}

#[test]
fn a_server_signs_no_content_whoever_asks() {
    let server = start();
    let owner = Person::of(&server, "alice");
    let refused = owner.run(&["tuf", "migrate", GUN, "--server-signed"]);
    assert_eq!(refused.code, 2, "{refused}");
    // In the words of the documentation.
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tuf.md");
    let words = |text: &str| {
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase()
    };
    let page = words(&fs::read_to_string(page).unwrap());
    let told = words(&refused.output());
    for sentence in [
        "a server does not sign targets by itself and call that a migration",
        "whoever reads such a repository learns nothing but that the server said so",
        "who takes over the server signs any content",
    ] {
        assert!(told.contains(sentence), "{told}");
        assert!(page.contains(sentence), "{sentence}");
    }
    // Nor does it take a root that would have it do so.
    let (repository, key) = (Repository::new(NAME, server.client("alice")), Key::new());
    let online = repository.online_keys();
    let mut root = repository.first_root(&[&key], &[&key]);
    root.targets = tuf_native::Signers::new(vec![online.snapshot], 1);
    let root = signed(root.draft().unwrap(), &[&key]);
    let content = signed(repository.first_targets(&[]).draft().unwrap(), &[&key]);
    let error = repository
        .send("metadata", &[&root, &content])
        .refuses(400, "INVALID_UPDATE");
    assert_eq!(error["detail"]["reason"], "online_key_elsewhere", "{error}");
}
