//! Trust data that is taken where the server is, and decides where none is reached.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    Finished, Notary, Stop, TestServer,
    countersign::Countersign,
    docker::{REGISTRY, debian_cli},
    flows::docker::World,
    namespace::{Namespace, Place},
};

const GUN: &str = "reg.example:5000/team/app";
const OTHER: &str = "reg.example:5000/team/tool";

/// A trust server with a repository of notary's, somebody who can reach it, and somebody who cannot.
struct Gap {
    server: TestServer,
    notary: Notary,
    outside: Countersign,
    inside: Countersign,
}

fn digest(content: &str) -> String {
    hex::encode(sha256(content.as_bytes()))
}

impl Gap {
    fn start() -> Self {
        Self::on(TestServer::start())
    }

    fn on(server: TestServer) -> Self {
        let notary = server.notary("alice");
        notary.run(["init", GUN, "-p"]).ok();
        notary.run(["key", "rotate", GUN, "snapshot", "-r"]).ok();
        notary.add_and_publish(GUN, "1.0", "first");
        let (outside, inside) = (
            Countersign::of(&server, "outside"),
            Countersign::of(&server, "inside"),
        );
        let gap = Self {
            server,
            notary,
            outside,
            inside,
        };
        gap.policy("");
        gap
    }

    /// The same rules on both sides. Inside, the files by which the server is reached are not there.
    fn policy(&self, rest: &str) {
        let rules = format!(
            "anchors:\n  prod: {{ root_keys: [{:?}] }}\nrules:\n  - {{ match: \"reg.example:5000/**\", anchor: prod{rest} }}",
            self.notary.root_key()
        );
        self.outside.policy(&rules);
        let path = self.inside.policy(&rules);
        let text = fs::read_to_string(&path).unwrap();
        let servers = text.lines().find(|line| line.contains("url:")).unwrap();
        let absent = format!(
            "  - {{ match: \"**\", url: {:?}, ca: absent.pem, cert: absent.pem, key: absent.pem }}",
            self.server.url()
        );
        fs::write(&path, text.replace(servers, &absent)).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.server.path().join(name)
    }

    /// Takes a bundle.
    fn take(&self, name: &str, images: &[&str]) -> Finished {
        let file = self.file(name).display().to_string();
        let mut arguments = vec!["verify", "--policy", "policy.yaml", "--bundle", &file];
        arguments.extend(images);
        self.outside.run(&arguments)
    }

    /// The bundle as the server gives it to any client.
    fn fetch(&self, name: &str, gun: &str) -> PathBuf {
        let answer = self
            .server
            .client("carol")
            .get(&format!("/v2/{gun}/_trust/bundle"))
            .ok();
        self.write(name, &answer.body)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Decides inside, by these files alone.
    fn decide(&self, files: &[&Path], images: &[&str]) -> Finished {
        decide(&self.inside, files, images)
    }

    #[track_caller]
    fn denies(&self, file: &Path, reason: &str) -> Finished {
        let image = format!("{GUN}:1.0");
        let finished = self.decide(&[file], &[&image]).fails();
        let begins = format!("denied: {image}: {reason}: ");
        assert!(
            finished.stdout.starts_with(&begins),
            "expected {begins:?}: {finished}"
        );
        finished
    }
}

fn decide(client: &Countersign, files: &[&Path], images: &[&str]) -> Finished {
    let mut arguments = vec!["verify", "--policy", "policy.yaml"];
    for file in files {
        arguments.extend(["--from-bundle", file.to_str().unwrap()]);
    }
    arguments.extend(images);
    client.run(&arguments)
}

fn pinned(gun: &str, tag: &str, content: &str) -> String {
    format!("{gun}:{tag}@sha256:{}\n", digest(content))
}

#[test]
fn what_was_verified_at_the_server_is_decided_the_same_where_there_is_none() {
    let mut gap = Gap::start();
    gap.notary.run(["init", OTHER, "-p"]).ok();
    gap.notary.add_and_publish(OTHER, "7", "other");
    let (app, tool) = (format!("{GUN}:1.0"), format!("{OTHER}:7"));
    let expected = pinned(GUN, "1.0", "first") + &pinned(OTHER, "7", "other");
    let taken = gap.take("both.json", &[&app, &tool]).ok();
    assert_eq!(taken.stdout, expected);
    gap.take("app.json", &[&app]).ok();
    // That of one repository is what the server itself gives.
    let fetched = gap.fetch("fetched.json", OTHER);
    let of = |name: &str| -> Value { serde_json::from_slice(&fs::read(gap.file(name)).unwrap()).unwrap() };
    assert_eq!(of("both.json")[1], of("fetched.json"));
    assert_eq!(of("app.json"), of("both.json")[0]);
    gap.server.stop_server(Stop::Politely);
    let both = gap.file("both.json");
    let decided = gap.decide(&[&both], &[&app, &tool]).ok();
    assert_eq!(decided.stdout, expected);
    let one_each = gap
        .decide(&[&gap.file("app.json"), &fetched], &[&app, &tool])
        .ok();
    assert_eq!(one_each.stdout, expected);
    // Everything else is denied, or cannot be decided.
    let denied = gap.decide(&[&both], &[&format!("{GUN}:2.0")]);
    assert_eq!(denied.code, 1, "{denied}");
    denied.says("tag_not_signed");
    let absent = gap.decide(&[&fetched], &[&app]);
    assert_eq!(absent.code, 2, "{absent}");
    absent.says(&format!("denied: {app}: not_in_bundle: "));
    let elsewhere = gap.decide(&[&both], &["elsewhere.example/app:1"]);
    assert_eq!(elsewhere.code, 1, "{elsewhere}");
    // The evidence is that of a verification at the server, and a manifest gets its digests.
    let file = both.to_str().unwrap();
    let verify = |more: &[&str]| {
        let begin = ["verify", "--policy", "policy.yaml", "--from-bundle", file];
        gap.inside.run(&[&begin, more].concat())
    };
    let json: Value = serde_json::from_str(&verify(&["--json", &app]).ok().stdout).unwrap();
    assert_eq!(json["evidence"]["root"]["version"], 2);
    let manifest = gap.inside.directory().join("compose.yaml");
    fs::write(&manifest, format!("services:\n  app:\n    image: {app}\n")).unwrap();
    verify(&["--manifests", "compose.yaml", "--write"]).ok();
    let rewritten = fs::read_to_string(&manifest).unwrap();
    assert!(
        rewritten.contains(pinned(GUN, "1.0", "first").trim()),
        "{rewritten}"
    );
    // Whoever says how a server would be reached, and where trust begins, needs no policy.
    let mut by_hand = gap.inside.command_at_server(&["verify"]);
    by_hand.args(["--root-key", &gap.notary.root_key(), "--from-bundle", file, &app]);
    Finished::run(&mut by_hand, "").ok();
    verify(&["--bundle", "x", &app])
        .fails()
        .says("cannot be used with");
    assert!(!gap.inside.directory().join("x").exists());
}

#[test]
fn what_docker_signed_is_decided_by_its_signers_where_there_is_no_server() {
    let mut world = World::start(TestServer::builder());
    let cli = debian_cli();
    let (alice, bob) = (world.user(&cli, "alice"), world.user(&cli, "bob"));
    let repository = format!("{REGISTRY}/team/app");
    let keys = [alice.signing_key("alice"), bob.signing_key("bob")];
    for (key, name) in keys.iter().zip(["alice", "bob"]) {
        alice
            .run(["trust", "signer", "add", "--key", key, name, &repository])
            .ok();
    }
    let image = |tag: &str| format!("{repository}:{tag}");
    for tag in ["both", "half"] {
        alice.make_image(&image(tag), tag);
        alice.run(["trust", "sign", &image(tag)]).ok();
    }
    bob.run(["trust", "sign", &image("both")]).ok();
    let (outside, inside) = (
        Countersign::of(world.server(), "outside"),
        Countersign::of(world.server(), "inside"),
    );
    for client in [&outside, &inside] {
        client.policy(&format!(
            "anchors: {{ prod: {{ root_keys: [{:?}] }} }}\nsigners:\n  alice: {{ keys: [\"@{}\"] }}\n  bob: {{ keys: [\"@{}\"] \
             }}\nrules:\n  - {{ match: \"{repository}\", anchor: prod, require: {{ signers: [alice, bob] }} }}",
            alice.root_key(),
            keys[0],
            keys[1],
        ));
    }
    let taken = outside.run(&[
        "verify",
        "--policy",
        "policy.yaml",
        "--bundle",
        "bundle.json",
        &image("both"),
    ]);
    let taken = taken.ok();
    world.stop_server();
    let bundle = outside.directory().join("bundle.json");
    let decided = decide(&inside, &[&bundle], &[&image("both")]).ok();
    assert_eq!(decided.stdout, taken.stdout);
    let half = decide(&inside, &[&bundle], &[&image("half")]);
    assert_eq!(half.code, 1, "{half}");
    half.says("signer_missing").says("bob");
}

#[test]
fn a_file_that_is_not_exactly_a_bundle_is_refused_before_anything_is_decided() {
    let gap = Gap::start();
    let good = fs::read_to_string(gap.fetch("good.json", GUN)).unwrap();
    let image = format!("{GUN}:1.0");
    let parsed: Value = serde_json::from_str(&good).unwrap();
    let timestamp = parsed["timestamp"].as_str().unwrap();
    let again = |member: &str| good.replacen('{', &format!("{{{member},"), 1);
    for (case, text, told) in [
        ("empty", String::new(), "it is empty"),
        ("cut off", good[..good.len() / 2].to_owned(), "EOF while parsing"),
        ("twice", format!("{good}\n{good}"), "trailing characters"),
        ("followed by more", format!("{good} x"), "trailing characters"),
        (
            "in an array twice",
            format!("[{good},{good}]"),
            "already, and nothing says which",
        ),
        ("an open array", format!("[{good}"), "EOF while parsing"),
        ("a comma too much", format!("[{good},]"), "trailing comma"),
        (
            "a member twice",
            again(&format!("\"timestamp\": {timestamp:?}")),
            "duplicate field `timestamp`",
        ),
        (
            "a role twice",
            good.replace("\"targets\":{", "\"targets\":{\"targets\":\"AAAA\","),
            "targets is there twice",
        ),
        (
            "another member",
            again("\"Timestamp\": \"AAAA\""),
            "unknown field `Timestamp`",
        ),
        (
            "no timestamp",
            good.replace("\"timestamp\"", "\"timestamps\""),
            "unknown field `timestamps`",
        ),
        (
            "no Base64",
            good.replace(timestamp, "*"),
            "is not a bundle, nor an array",
        ),
        (
            "a server's error",
            json!({"errors": [{"code": "UNAUTHORIZED"}]}).to_string(),
            "unknown field `errors`",
        ),
        ("a page", "<html></html>".into(), "expected value at line 1"),
        ("deep", "[".repeat(1_000_000), "is not a bundle, nor an array"),
        (
            "an impossible name",
            good.replace(GUN, &"x".repeat(300)),
            "at most 255 characters",
        ),
    ] {
        let file = gap.write("wrong.json", text.as_bytes());
        let finished = gap.decide(&[&file], &[&image]);
        assert_eq!(finished.code, 2, "{case}: {finished}");
        assert_eq!(finished.stdout, "", "{case}: {finished}");
        assert!(finished.stderr.contains("wrong.json"), "{case}: {finished}");
        assert!(finished.stderr.contains(told), "{case}: {finished}");
    }
    let large = fs::File::create(gap.file("large.json")).unwrap();
    large.set_len(300 << 20).unwrap();
    for (name, told) in [
        ("large.json", "which no bundle has"),
        ("absent.json", "no such file or directory"),
        (".", "is a directory"),
    ] {
        let finished = gap.decide(&[&gap.file(name)], &[&image]).fails();
        assert!(finished.stderr.to_lowercase().contains(told), "{finished}");
    }
    let file = gap.file("good.json");
    gap.decide(&[&file, &file], &[&image])
        .fails()
        .says("there is a bundle of reg.example:5000/team/app already");
    // Windows programs write a mark, and people may format the text.
    let pretty = format!("\u{feff}{}\r\n", serde_json::to_string_pretty(&parsed).unwrap());
    gap.decide(&[&gap.write("pretty.json", pretty.as_bytes())], &[&image])
        .ok();
}

#[test]
fn documents_in_a_bundle_are_believed_no_more_than_those_of_a_server() {
    let gap = Gap::start();
    gap.notary.run(["init", OTHER, "-p"]).ok();
    gap.notary.add_and_publish(OTHER, "1.0", "other");
    let parse = |name: &str, gun: &str| -> Value {
        serde_json::from_slice(&fs::read(gap.fetch(name, gun)).unwrap()).unwrap()
    };
    let (good, other) = (parse("good.json", GUN), parse("other.json", OTHER));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        gap.write("wrong.json", bundle.to_string().as_bytes())
    };
    let edited = |document: &Value, change: &dyn Fn(&mut Value)| {
        let bytes = STANDARD.decode(document.as_str().unwrap()).unwrap();
        let mut parsed: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut parsed);
        json!(STANDARD.encode(parsed.to_string()))
    };
    // The one repository under the name of the other.
    let renamed = with(&|bundle| {
        bundle.clone_from(&other);
        bundle["gun"] = json!(GUN);
    });
    gap.denies(&renamed, "certificate_name");
    // The other's root before its own documents, its own root before the other's.
    let root = with(&|bundle| bundle["roots"] = other["roots"].clone());
    gap.denies(&root, "certificate_name");
    let rest = with(&|bundle| {
        for member in ["timestamp", "snapshot", "targets"] {
            bundle[member] = other[member].clone();
        }
    });
    gap.denies(&rest, "signatures");
    // Another digest, a later end, no signatures, a document too few, roots in another order.
    let digest = with(&|bundle| {
        let document = &mut bundle["targets"]["targets"];
        *document = edited(document, &|targets| {
            targets["signed"]["targets"]["1.0"]["hashes"]["sha256"] = json!(STANDARD.encode([7; 32]));
        });
    });
    gap.denies(&digest, "inconsistent");
    let longer = with(&|bundle| {
        let document = &mut bundle["timestamp"];
        *document = edited(document, &|timestamp| {
            timestamp["signed"]["expires"] = json!("2099-01-01T00:00:00Z");
        });
    });
    gap.denies(&longer, "signatures");
    let unsigned = with(&|bundle| {
        let document = &mut bundle["timestamp"];
        *document = edited(document, &|timestamp| timestamp["signatures"] = json!([]));
    });
    gap.denies(&unsigned, "signatures");
    gap.denies(&with(&|bundle| bundle["targets"] = json!({})), "inconsistent");
    gap.denies(&with(&|bundle| bundle["roots"] = json!([])), "invalid_document");
    gap.denies(
        &with(&|bundle| bundle["roots"].as_array_mut().unwrap().reverse()),
        "broken_root_chain",
    );
    // What was denied has left nothing behind.
    let image = format!("{GUN}:1.0");
    gap.decide(&[&gap.file("good.json")], &[&image]).ok();
}

#[test]
fn a_bundle_goes_back_behind_nothing_that_was_seen_in_any_way() {
    let gap = Gap::start();
    let image = format!("{GUN}:1.0");
    let first = gap.fetch("first.json", GUN);
    gap.notary.add_and_publish(GUN, "1.0", "second");
    let second = gap.fetch("second.json", GUN);
    let decided = |file: &Path, content: &str| {
        let finished = gap.decide(&[file], &[&image]).ok();
        assert_eq!(finished.stdout, pinned(GUN, "1.0", content));
    };
    decided(&first, "first");
    decided(&second, "second");
    decided(&second, "second");
    let back = gap.denies(&first, "rollback");
    assert_eq!(back.code, 1, "{back}");
    // Whoever saw the second one at the server knows it too, and the other way round.
    gap.outside.allows(&image, &digest("second"));
    decide(&gap.outside, &[&first], &[&image])
        .fails()
        .says("rollback");
    gap.notary.add_and_publish(GUN, "1.0", "third");
    let third = gap.fetch("third.json", GUN);
    decide(&gap.outside, &[&third], &[&image]).ok();
    gap.outside.allows(&image, &digest("third"));
    decide(&gap.outside, &[&second], &[&image])
        .fails()
        .says("rollback");
    // A repository that was deleted and made anew.
    gap.server
        .client("alice")
        .delete(&format!("/v2/{GUN}/_trust/tuf/"))
        .ok();
    let again = gap.notary.elsewhere("other-machine");
    again.run(["init", GUN, "-p"]).ok();
    again.add_and_publish(GUN, "1.0", "replaced");
    let replaced = gap.fetch("replaced.json", GUN);
    gap.denies(&replaced, "root_reset");
}

#[test]
fn what_has_expired_by_the_clock_of_the_moment_decides_nothing() {
    let gap = Gap::start();
    let bundle = gap.fetch("bundle.json", GUN);
    let image = format!("{GUN}:1.0");
    // How long ago it was taken cannot be told, so it is the timestamp that ends it: after 14 days.
    gap.policy(", max_staleness: 1h");
    let at = |days: u32| {
        let client = Countersign::of(&gap.server, "inside").days_ahead(days);
        decide(&client, &[&bundle], &[&image])
    };
    at(10).ok();
    let late = at(20);
    assert_eq!(late.code, 1, "{late}");
    late.says("expired").says("timestamp");
}

#[test]
fn a_bundle_is_written_at_once_or_not_at_all_and_over_nothing_else() {
    let gap = Gap::start();
    let image = format!("{GUN}:1.0");
    let kept = |name: &str, content: &str| {
        gap.write(name, content.as_bytes());
        let refused = gap.take(name, &[&image]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused}");
        refused.says("is not overwritten");
        assert_eq!(fs::read_to_string(gap.file(name)).unwrap(), content);
    };
    kept("notes.txt", "mine");
    kept("empty", "");
    kept("package.json", "{}");
    let target = gap.write("target", b"mine");
    symlink(&target, gap.file("link")).unwrap();
    fs::create_dir(gap.file("directory")).unwrap();
    for name in ["link", "directory"] {
        gap.take(name, &[&image]).fails().says("not a regular file");
    }
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    let unused = gap.take("absent/bundle.json", &[&image]).fails();
    assert_eq!(unused.stdout, "", "{unused}");
    unused.says("there is no such directory");
    let output = gap
        .outside
        .run(&["verify", "--policy", "policy.yaml", "--bundle", "-", &image]);
    output.fails().says("not written to standard output");
    // A bundle is replaced by a newer one.
    gap.take("bundle.json", &[&image]).ok();
    let before = fs::read(gap.file("bundle.json")).unwrap();
    gap.notary.add_and_publish(GUN, "2.0", "second");
    gap.take("bundle.json", &[&image]).ok();
    let after = fs::read(gap.file("bundle.json")).unwrap();
    assert_ne!(before, after);
    // Where an image is denied there is nothing to carry.
    let unsigned = format!("{GUN}:3.0");
    let denied = gap.take("bundle.json", &[&image, &unsigned]);
    assert_eq!(denied.code, 1, "{denied}");
    denied.says("is not written");
    assert_eq!(fs::read(gap.file("bundle.json")).unwrap(), after);
    // Images that are not checked rest on nothing, and that is a file too.
    gap.outside.policy("rules: [ { match: \"**\", action: allow } ]");
    gap.take("nothing.json", &[&image]).ok();
    assert_eq!(fs::read_to_string(gap.file("nothing.json")).unwrap(), "[]\n");
    gap.inside.policy("rules: [ { match: \"**\", action: allow } ]");
    gap.decide(&[&gap.file("nothing.json")], &[&image]).ok();
    // Nothing else is left anywhere.
    let files = fs::read_dir(gap.server.path()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name.starts_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_full_disk_leaves_the_bundle_that_was_there() {
    let directory = tempfile::TempDir::new().unwrap();
    let namespace = Namespace::new(directory.path());
    let place = Place::Inside(namespace.clone());
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut mount = place.command(Path::new("/bin/mount"));
    mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk);
    Finished::run(&mut mount, "").ok();
    let gap = Gap::on(TestServer::builder().inside(&namespace).start());
    let image = format!("{GUN}:1.0");
    let run = |script: String| {
        let mut command = place.command(Path::new("/bin/sh"));
        Finished::run(command.args(["-c", &script]), "")
    };
    let bundle = disk.join("bundle.json").display().to_string();
    let verify = |arguments: &[&str]| {
        gap.outside
            .run(&[&["verify", "--policy", "policy.yaml"], arguments].concat())
    };
    verify(&["--bundle", &bundle, &image]).ok();
    run(format!(
        "dd if=/dev/zero of={}/filler bs=4k || true",
        disk.display()
    ))
    .ok();
    let before = run(format!("cat {bundle}")).ok().stdout;
    let full = verify(&["--bundle", &bundle, &image]);
    assert_eq!(full.code, 2, "{full}");
    full.says("No space left on device");
    assert_eq!(run(format!("cat {bundle}")).ok().stdout, before);
    assert_eq!(
        run(format!("ls -A {}", disk.display())).ok().stdout,
        "bundle.json\nfiller\n"
    );
    verify(&["--from-bundle", &bundle, &image]).ok();
}
