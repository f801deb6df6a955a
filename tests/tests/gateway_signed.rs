//! Only signed images leave the registry, and nobody deletes one by mistake.

use std::fs;

use serde_json::{Map, Value, json};
use tests::{
    Client, Stop, TestServer,
    http::Response,
    process::wait_until,
    publisher::{Key, Publisher, hashes, sign},
    registry::{LIST, MANIFEST, Registry, digest, get_manifest, push_image, put_manifest},
    web::{Said, Web},
};

const GUN: &str = "reg.example/team/app";
const NAME: &str = "team/app";

/// A registry and the server in front of it; alice pushes and signs, the reader only pulls.
struct World {
    server: TestServer,
    alice: Client,
    reader: Client,
    publisher: Publisher,
    version: i64,
    _registry: Registry,
    _directory: tempfile::TempDir,
}

fn policy() -> Value {
    json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["*"], "guns": ["reg.example/**"]},
        {"effect": "allow", "principals": ["reader", "cleaner"], "actions": ["pull"], "guns": ["reg.example/**"]},
        {"effect": "allow", "principals": ["cleaner"], "actions": ["delete"], "guns": ["team/**"]},
        {"effect": "allow", "principals": ["qa"], "actions": ["pull", "push:targets/qa"], "guns": ["reg.example/**"]},
    ])
}

impl World {
    fn start(enforce: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::start(directory.path());
        let server = TestServer::builder()
            .set(
                "registry",
                json!({"upstream": registry.url(), "host": "reg.example", "enforce": enforce}),
            )
            .set("policy", policy())
            .set("audit", json!({"sinks": ["file:audit.jsonl"]}))
            .start();
        let alice = server.client("alice");
        Self {
            publisher: Publisher::new(&alice, GUN, GUN),
            reader: server.client("reader"),
            alice,
            server,
            version: 0,
            _registry: registry,
            _directory: directory,
        }
    }

    /// Everything that is signed has to be.
    fn enforcing() -> Self {
        Self::start(json!([{"pattern": "team/**", "mode": "signed"}]))
    }

    /// The signed part of targets that name these images.
    fn targets(version: i64, images: &[(&str, &Value)]) -> Value {
        let mut targets = Publisher::targets(version);
        let named = images
            .iter()
            .map(|(tag, manifest)| ((*tag).to_owned(), hashes(manifest.to_string().as_bytes())));
        targets["targets"] = Value::Object(named.collect::<Map<_, _>>());
        targets
    }

    /// Publishes targets, and the root before the first.
    #[track_caller]
    fn publish(&mut self, targets: &Value, others: &[(&str, &[u8])]) {
        let root = self.publisher.root_file(1);
        let file = sign(targets, &[&self.publisher.targets]);
        let mut files: Vec<(&str, &[u8])> = vec![("targets", &file)];
        if self.version == 0 {
            files.insert(0, ("root", &root));
        }
        files.extend_from_slice(others);
        self.alice.publish(GUN, &files).ok();
        self.version += 1;
    }

    /// Signs exactly these images.
    #[track_caller]
    fn sign(&mut self, images: &[(&str, &Value)]) {
        let targets = Self::targets(self.version + 1, images);
        self.publish(&targets, &[]);
    }

    fn pull(&self, reference: &str) -> Response {
        get_manifest(&self.reader, NAME, reference)
    }

    /// Checks that the reader is refused, and why.
    #[track_caller]
    fn refuses(&self, reference: &str, why: &str) {
        let error = self.pull(reference).refuses(403, "DENIED");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(why), "{message:?} should contain {why:?}");
    }
}

fn digest_of(manifest: &Value) -> String {
    digest(manifest.to_string().as_bytes())
}

#[test]
fn signed_images_leave_and_others_do_not() {
    let mut world = World::enforcing();
    let one = push_image(&world.alice, NAME, "1.0", "the first");
    world.refuses(
        "1.0",
        "only signed images may be pulled from reg.example/team/app, and nothing in it is signed",
    );
    // Whoever may push or sign may pull: otherwise nobody could sign. The right to sign in a role is none to push.
    get_manifest(&world.alice, NAME, "1.0").ok();
    let qa = world.server.client("qa");
    get_manifest(&qa, NAME, "1.0").ok();
    put_manifest(&qa, NAME, "1.0", MANIFEST, &one).refuses(403, "DENIED");

    world.sign(&[("1.0", &one)]);
    let other = push_image(&world.alice, NAME, "2.0", "the second");
    for reference in ["1.0", &digest_of(&one)] {
        assert_eq!(world.pull(reference).ok().text(), one.to_string());
        let path = format!("/v2/{NAME}/manifests/{reference}");
        let head = world
            .reader
            .request("HEAD", &path, &[("Accept", MANIFEST)], &[])
            .ok();
        assert_eq!(
            head.header("docker-content-digest"),
            Some(digest_of(&one).as_str())
        );
        let length = one.to_string().len().to_string();
        assert_eq!(
            (head.header("content-length"), head.body.len()),
            (Some(length.as_str()), 0)
        );
        // A part of it cannot be judged, so the whole comes.
        let part = world
            .reader
            .request("GET", &path, &[("Accept", MANIFEST), ("Range", "bytes=0-1")], &[]);
        assert_eq!((part.status, part.text()), (200, one.to_string()));
    }
    for reference in ["2.0", &digest_of(&other)] {
        world.refuses(reference, "is not signed");
        let path = format!("/v2/{NAME}/manifests/{reference}");
        assert_eq!(
            world
                .reader
                .request("HEAD", &path, &[("Accept", MANIFEST)], &[])
                .status,
            403
        );
    }
    // The digest is judged and not the tag, wherever that leads.
    assert_eq!(
        put_manifest(&world.alice, NAME, "1.0", MANIFEST, &other).status,
        201
    );
    world.refuses("1.0", &digest_of(&other));
    world.pull(&digest_of(&one)).ok();
    assert_eq!(
        put_manifest(&world.alice, NAME, "anything", MANIFEST, &one).status,
        201
    );
    world.pull("anything").ok();
    // What is signed in one repository is not signed in another.
    push_image(&world.alice, "team/other", "1.0", "the first");
    get_manifest(&world.reader, "team/other", "1.0").refuses(403, "DENIED");
    // From the next request on it holds what was published last.
    world.sign(&[("2.0", &other)]);
    world.pull("2.0").ok();
    world.refuses(&digest_of(&one), "is not signed");
    assert_eq!(world.pull("missing").status, 404);
    // Blobs and lists are not judged.
    world.reader.get(&format!("/v2/{NAME}/tags/list")).ok();
    // Where nothing is demanded, everything leaves.
    push_image(&world.alice, "free/app", "1.0", "unsigned");
    get_manifest(&world.reader, "free/app", "1.0").ok();
}

#[test]
fn only_the_roles_that_count_make_an_image_a_signed_one() {
    let mut world = World::start(json!([
        {"pattern": "reg.example/team/**", "mode": "signed", "signers": ["targets/releases"]},
    ]));
    let one = push_image(&world.alice, NAME, "1.0", "the first");
    let two = push_image(&world.alice, NAME, "2.0", "the second");
    world.sign(&[("1.0", &one)]);
    world.refuses("1.0", "is not signed by targets/releases");

    let (releases, stranger) = (Key::generate(), Key::generate());
    let delegating = |version: i64, paths: Value| {
        let mut targets = Publisher::delegating(version, "targets/releases", &releases);
        targets["targets"] = World::targets(version, &[("1.0", &one)])["targets"].clone();
        targets["delegations"]["roles"][0]["paths"] = paths;
        targets
    };
    let delegated = |version: i64, key: &Key| sign(&World::targets(version, &[("1.0", &one)]), &[key]);
    world.publish(
        &delegating(2, json!([""])),
        &[("targets/releases", &delegated(1, &releases))],
    );
    world.pull("1.0").ok();
    world.refuses("2.0", "is not signed");
    // It speaks only for the tags that it was given.
    world.publish(&delegating(3, json!(["2."])), &[]);
    world.refuses("1.0", "is not signed by targets/releases");
    world.publish(&delegating(4, json!(["2.", "1"])), &[]);
    world.pull("1.0").ok();
    // Its key was replaced, and what it signed counts no more.
    let mut replaced = Publisher::delegating(5, "targets/releases", &stranger);
    replaced["targets"] = World::targets(5, &[("2.0", &two)])["targets"].clone();
    world.publish(&replaced, &[]);
    world.refuses("1.0", "is not signed by targets/releases");
    world.publish(
        &{
            replaced["version"] = json!(6);
            replaced
        },
        &[("targets/releases", &delegated(2, &stranger))],
    );
    world.pull("1.0").ok();
}

#[test]
fn an_image_of_a_signed_list_is_signed_too() {
    let mut world = World::enforcing();
    let images = ["amd64", "arm64"].map(|platform| push_image(&world.alice, NAME, platform, platform));
    let unrelated = push_image(&world.alice, NAME, "unrelated", "unrelated");
    let list = |images: &[&Value]| {
        let held: Vec<Value> = images
            .iter()
            .map(|image| {
                json!({"mediaType": MANIFEST, "size": image.to_string().len(), "digest": digest_of(image),
                       "platform": {"os": "linux", "architecture": image["layers"][0]["size"].to_string()}})
            })
            .collect();
        json!({"schemaVersion": 2, "mediaType": LIST, "manifests": held})
    };
    let (signed, other) = (list(&[&images[0], &images[1]]), list(&[&unrelated]));
    for (tag, list) in [("multi", &signed), ("other", &other)] {
        let put = put_manifest(&world.alice, NAME, tag, LIST, list);
        assert_eq!(put.status, 201, "{}", put.text());
    }
    world.sign(&[("multi", &signed)]);
    // As docker does it: the list by its tag, and the image of the platform by its digest.
    assert_eq!(world.pull("multi").ok().header("content-type"), Some(LIST));
    for image in &images {
        assert_eq!(world.pull(&digest_of(image)).ok().text(), image.to_string());
    }
    world.refuses(&digest_of(&unrelated), "is not signed");
    world.refuses("other", "is not signed");
    // A server that knows nothing yet reads what is in the list; an unsigned image makes it look through all.
    world.server.restart_server(Stop::Politely);
    world.refuses(&digest_of(&unrelated), "is not signed");
    world.server.restart_server(Stop::Politely);
    world.pull(&digest_of(&images[1])).ok();
    // It is part of what is signed, so it is not deleted either.
    let path = |image: &Value| format!("/v2/{NAME}/manifests/{}", digest_of(image));
    let cleaner = world.server.client("cleaner");
    cleaner.delete(&path(&images[0])).refuses(405, "UNSUPPORTED");
    assert_eq!(cleaner.delete(&path(&unrelated)).status, 202);
}

#[test]
fn signatures_that_have_expired_sign_nothing() {
    let mut world = World::enforcing();
    let image = push_image(&world.alice, NAME, "1.0", "soon too old");
    let mut targets = World::targets(1, &[("1.0", &image)]);
    let end = chrono::Utc::now() + chrono::TimeDelta::seconds(3);
    targets["expires"] = json!(end.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    world.publish(&targets, &[]);
    assert!([200, 403].contains(&world.pull("1.0").status));
    wait_until("the targets have expired", || chrono::Utc::now() > end);
    world.refuses("1.0", "have expired");
    // Deleting looks at what is named, however old it is.
    let path = format!("/v2/{NAME}/manifests/{}", digest_of(&image));
    world.alice.delete(&path).refuses(405, "UNSUPPORTED");
}

#[test]
fn an_audited_pull_is_let_through_and_recorded() {
    let world = World::start(json!([{"pattern": "**", "mode": "audit"}]));
    push_image(&world.alice, NAME, "1.0", "unsigned");
    world.pull("1.0").ok();
    // A pull is recorded when its answer has been passed on.
    let file = world.server.path().join("audit.jsonl");
    let mut record = Value::Null;
    wait_until("the pull is recorded", || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let found =
            records.find(|record: &Value| record["principal"] == "reader" && record["action"] == "pull");
        found.map(|found| record = found).is_some()
    });
    assert_eq!(
        (&record["decision"], &record["http_status"]),
        (&json!("allowed"), &json!(200))
    );
    let reason = record["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("registry.enforce[0] (audit): ") && reason.contains("nothing in it is signed")
    );

    // The demands are reloaded with the policy.
    let alice = &world.alice;
    world
        .server
        .configure("registry.enforce", json!([{"pattern": "**", "mode": "signed"}]));
    world.server.reload(alice);
    world.refuses("1.0", "nothing in it is signed");
    // A registry that vanished from the file would still be served, and nothing be demanded of it.
    let (_, refused) = world.server.reloads(alice);
    world.server.configure("registry", Value::Null);
    world.server.hang_up();
    wait_until("the reload is refused", || {
        world.server.reloads(alice).1 > refused
    });
    world.refuses("1.0", "nothing in it is signed");
}

#[test]
fn artifacts_that_are_no_images_may_be_excepted() {
    const SBOM: &str = "application/spdx+json";
    let world = World::start(json!([
        {"pattern": "**", "mode": "signed", "except_media_types": [SBOM]},
    ]));
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let blob = tests::registry::push_blob(&world.alice, NAME, b"{}");
    let put = |tag: &str, text: String| {
        let path = format!("/v2/{NAME}/manifests/{tag}");
        let put = world
            .alice
            .request("PUT", &path, &[("Content-Type", kind)], text.as_bytes());
        assert_eq!(put.status, 201, "{}", put.text());
    };
    let manifest = |config: &str, more: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{kind}",{more}"config":{{"mediaType":"{config}","size":2,"digest":"{blob}"}},"layers":[]}}"#
        )
    };
    put("sbom", manifest(SBOM, ""));
    put(
        "image",
        manifest(
            "application/vnd.oci.image.config.v1+json",
            r#""artifactType":"application/spdx+json","#,
        ),
    );
    let disguised = manifest("application/vnd.oci.image.config.v1+json", "");
    let disguised = disguised.replace(
        "{\"schemaVersion\"",
        &format!("{{\"Config\":{{\"mediaType\":\"{SBOM}\"}},\"schemaVersion\""),
    );
    put("disguised", disguised);
    world.pull("sbom").ok();
    world.refuses("image", "nothing in it is signed");
    world.refuses("disguised", "nothing in it is signed");
}

#[test]
fn a_registry_that_answers_something_else_gets_nothing_past() {
    let image = json!({"schemaVersion": 2, "mediaType": MANIFEST});
    let (bytes, named) = (image.to_string().into_bytes(), digest_of(&image));
    let web = Web::start(move |asked| {
        let digest = |digest: &str| {
            vec![
                format!("Docker-Content-Digest: {digest}"),
                format!("Content-Type: {MANIFEST}"),
            ]
        };
        match asked.path.rsplit('/').next().unwrap() {
            "true" => Said {
                headers: digest(&named),
                ..Said::ok(bytes.clone())
            },
            "misnamed" => Said {
                headers: digest(&format!("sha256:{}", "0".repeat(64))),
                ..Said::ok(bytes.clone())
            },
            // It calls something else by a digest that is signed.
            "other" => Said {
                headers: digest(&named),
                ..Said::ok(b"{}".to_vec())
            },
            "led-away" => Said {
                status: "307 Temporary Redirect",
                headers: vec!["Location: https://elsewhere.example/unsigned".to_owned()],
                body: Vec::new(),
            },
            "partly" => Said {
                status: "206 Partial Content",
                headers: digest(&named),
                body: bytes.clone(),
            },
            "huge" => Said {
                headers: digest(&named),
                ..Said::ok(vec![b' '; 5 * 1024 * 1024])
            },
            _ => Said {
                status: "404 Not Found",
                ..Said::ok(b"{}".to_vec())
            },
        }
    });
    let server = TestServer::builder()
        .signs_locally()
        .set(
            "registry",
            json!({"upstream": web.url(""), "host": "reg.example", "enforce": [{"pattern": "**", "mode": "signed"}]}),
        )
        .set("policy", policy())
        .start();
    let (alice, reader) = (server.client("alice"), server.client("reader"));
    let publisher = Publisher::new(&alice, GUN, GUN);
    let targets = sign(&World::targets(1, &[("x", &image)]), &[&publisher.targets]);
    alice
        .publish(GUN, &[("root", &publisher.root_file(1)), ("targets", &targets)])
        .ok();
    let pull = |reference: &str| get_manifest(&reader, NAME, reference);
    assert_eq!(pull("true").ok().text(), image.to_string());
    pull("other").refuses(403, "DENIED");
    for reference in ["misnamed", "led-away", "partly", "huge"] {
        pull(reference).refuses(502, "UNAVAILABLE");
    }
    // Nothing is believed of a repository whose documents were damaged.
    let damaged = "reg.example/team/damaged";
    let publisher = Publisher::new(&alice, damaged, damaged);
    let targets = sign(&World::targets(1, &[("x", &image)]), &[&publisher.targets]);
    alice
        .publish(
            damaged,
            &[("root", &publisher.root_file(1)), ("targets", &targets)],
        )
        .ok();
    server.execute(
        tests::Whose::Server,
        &format!("UPDATE tuf_files SET data = '{{}}' WHERE role = 'targets' AND gun = '{damaged}'"),
    );
    let error = get_manifest(&reader, "team/damaged", "true").refuses(403, "DENIED");
    assert!(
        error["message"].as_str().unwrap().contains("cannot be verified"),
        "{error}"
    );
}

#[test]
fn what_is_signed_is_deleted_only_by_force() {
    let mut world = World::start(json!([{"pattern": "none", "mode": "off"}]));
    let signed = push_image(&world.alice, NAME, "signed", "signed");
    let other = push_image(&world.alice, NAME, "other", "not signed");
    let cleaner = world.server.client("cleaner");
    let path = |reference: &str| format!("/v2/{NAME}/manifests/{reference}");
    // The right to push is not enough, and neither is the one to pull.
    world
        .reader
        .delete(&path(&digest_of(&other)))
        .refuses(403, "DENIED");
    world.sign(&[("signed", &signed)]);
    for reference in [digest_of(&signed).as_str(), "signed"] {
        for query in ["", "?force=false", "?force=1", "?Force=true"] {
            let answer = cleaner.delete(&format!("{}{query}", path(reference)));
            let error = answer.refuses(405, "UNSUPPORTED");
            let message = error["message"].as_str().unwrap();
            assert!(
                message.contains("is signed in reg.example/team/app") && message.contains("?force=true"),
                "{message}"
            );
        }
    }
    get_manifest(&world.reader, NAME, "signed").ok();
    assert_eq!(cleaner.delete(&path(&digest_of(&other))).status, 202);
    assert_eq!(cleaner.delete(&path("missing")).status / 100, 4);
    assert_eq!(
        cleaner
            .delete(&format!("{}?force=true", path(&digest_of(&signed))))
            .status,
        202
    );
    assert_eq!(get_manifest(&world.reader, NAME, "signed").status, 404);
    wait_until("the deletion is recorded", || {
        let text = fs::read_to_string(world.server.path().join("audit.jsonl")).unwrap();
        text.lines()
            .any(|line| line.contains(r#""action":"delete""#) && line.contains("cleaner"))
    });
}

#[test]
fn the_list_of_tags_says_what_is_signed_and_what_was_moved() {
    let mut world = World::enforcing();
    let signed = push_image(&world.alice, NAME, "signed", "one");
    let moved = push_image(&world.alice, NAME, "moved", "two");
    world.sign(&[("signed", &signed), ("moved", &moved), ("gone", &signed)]);
    push_image(&world.alice, NAME, "moved", "three");
    push_image(&world.alice, NAME, "unsigned", "four");
    let tags = world.reader.get("/api/v0/repositories/team/app/tags").ok().json();
    let told: Vec<_> = tags
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| {
            let name = tag["name"].as_str().unwrap();
            (
                name,
                tag["inNotary"].as_bool().unwrap(),
                tag["hashMismatch"].as_bool().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("gone", true, false),
        ("moved", true, true),
        ("signed", true, false),
        ("unsigned", false, false),
    ];
    assert_eq!(told, expected);
    let unsigned = world
        .reader
        .get("/api/v0/repositories/team/app/tags/unsigned")
        .ok()
        .json();
    let digest = unsigned["digest"].as_str().unwrap();
    assert!(digest.starts_with("sha256:"));

    // The page of a browser says the same.
    let page = |address: &str| {
        let asked = world
            .reader
            .request("GET", address, &[("Accept", "text/html")], &[]);
        asked.ok().text()
    };
    let seen = page(&format!("/repository?gun={GUN}"));
    let (signed, rest) = seen
        .split_once("<h2 id=\"h-un\">Not signed</h2>")
        .expect("unsigned tags");
    assert!(
        signed.contains(">signed</bdi>") && !signed.contains(">unsigned</bdi>"),
        "{seen}"
    );
    assert!(
        rest.contains(">unsigned</bdi>") && rest.contains(digest),
        "{seen}"
    );
    let seen = page(&format!("/repository/tag?gun={GUN}&tag=unsigned"));
    assert!(seen.contains("nobody signed it"), "{seen}");
}
