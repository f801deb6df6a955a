//! Signers who may sign some tags only, and taking back everything that was signed.

use tests::{
    TestServer,
    person::{GUN, Person, digest},
    process::Finished,
};

/// An owner, and the ID of the root key.
fn owner(server: &TestServer) -> (Person, String) {
    let owner = Person::of(server, "alice");
    owner.run(&["init", GUN]).ok();
    let root = owner.notary.root_key();
    (owner, root)
}

fn add(owner: &Person, name: &str, key: &str, more: &[&str]) -> Finished {
    owner.run(&[&["signer", "add", name, GUN, key], more].concat())
}

#[test]
fn a_signer_with_a_path_signs_tags_that_begin_with_it_and_no_others() {
    let server = TestServer::start();
    let (owner, root) = owner(&server);
    let robot = Person::of(&server, "robot");
    let key = robot.generate("robot").display().to_string();
    let path = ["--path", "nightly-"];
    for wrong in ["nightly-*", "a/b", "**"] {
        add(&owner, "robot", &key, &["--path", wrong])
            .fails()
            .says("is not what a tag begins with");
    }
    add(&owner, "robot", &key, &path)
        .ok()
        .says("robot may sign tags of reg.example:5000/team/app that begin with nightly- now");
    add(&owner, "robot", &key, &path).ok();
    owner
        .notary
        .run(["delegation", "list", GUN])
        .ok()
        .says("nightly-")
        .does_not_say("targets/releases");
    robot.sign("nightly-1", "first", &["--root-key", &root]);
    let image = format!("{GUN}:1.0");
    let digest_of = format!("sha256:{}", digest("x"));
    robot
        .run(&["sign", &image, "--digest", &digest_of, "--size", "1"])
        .fails()
        .says("targets/robot is for names that begin with nightly-");
    // Whoever demands this signature gets it; nothing is released by it.
    let client = &owner.client;
    let policy = |rule: &str| {
        client.policy(&format!(
            "anchors: {{ prod: {{ root_keys: [{root:?}] }} }}\nsigners: {{ robot: {{ keys: [\"@{key}\"] }} }}\nrules: [ {{ \
             match: \"**\", anchor: prod{rule} }} ]"
        ));
    };
    policy(", require: { signers: [robot] }");
    client.allows(&format!("{GUN}:nightly-1"), &digest("first"));
    client.denies(&image, "tag_not_signed");
    policy("");
    client.denies(&format!("{GUN}:nightly-1"), "not_released");
    // Nobody is let loose, or restricted, without a word.
    add(&owner, "robot", &key, &[])
        .fails()
        .says("--path \"\" for every tag");
    add(&owner, "robot", &key, &["--path", ""]).ok();
    robot.sign("1.0", "second", &[]);
    owner.notary_finds("1.0", "second");
    client.allows(&image, &digest("second"));
    add(&owner, "robot", &key, &path)
        .fails()
        .says("countersign signer remove");
}

#[test]
fn everything_that_was_signed_is_revoked_when_it_is_said_twice() {
    let server = TestServer::start();
    let (owner, root) = owner(&server);
    let (qa, dev) = (Person::of(&server, "qa"), Person::of(&server, "dev"));
    for (name, person) in [("qa", &qa), ("dev", &dev)] {
        let key = person.generate(name).display().to_string();
        add(&owner, name, &key, &[]).ok();
    }
    qa.sign("1.0", "first", &["--root-key", &root]);
    qa.sign("2.0", "second", &[]);
    dev.sign("3.0", "third", &["--root-key", &root]);
    owner.sign("4.0", "fourth", &["--role", "targets"]);
    let listed = || {
        let mut tags = owner.notary.targets(GUN);
        tags.sort();
        tags.dedup();
        tags
    };
    let before = listed();
    assert_eq!(before, ["1.0", "2.0", "3.0", "4.0"]);
    let revoke = |person: &Person, arguments: &[&str]| person.run(&[&["revoke"], arguments].concat());
    revoke(&qa, &[GUN]).fails().says("--all");
    revoke(&qa, &[GUN, "--yes"]).fails().says("--all");
    revoke(&qa, &[&format!("{GUN}:1.0"), "--all", "--yes"])
        .fails()
        .says("about a whole repository");
    let unasked = revoke(&qa, &[GUN, "--all"]).fails().says("run this with --yes");
    assert_eq!(unasked.code, 2, "{unasked}");
    assert_eq!(listed(), before);
    // A signer takes back what is theirs, and releases of others stay.
    revoke(&qa, &[GUN, "--all", "--yes", "--as", "qa"])
        .ok()
        .says("revoked reg.example:5000/team/app in targets/qa and targets/releases");
    assert_eq!(listed(), ["3.0", "4.0"]);
    owner.notary_finds("3.0", "third");
    revoke(&qa, &[GUN, "--all", "--yes", "--as", "qa"])
        .ok()
        .says("nothing to revoke");
    // Whoever has no key for it is told so.
    revoke(&owner, &[GUN, "--all", "--yes"])
        .ok()
        .says("is still signed in targets/releases and targets/dev");
    assert_eq!(listed(), ["3.0"]);
    revoke(&owner, &[GUN, "--all", "--yes"])
        .fails()
        .says("no key for that is at hand");
    revoke(&dev, &[GUN, "--all", "--yes"]).ok();
    assert_eq!(listed(), Vec::<String>::new());
}
