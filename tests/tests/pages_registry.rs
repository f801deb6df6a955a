//! What pages and the interface for programs tell of the registry behind the server: which repositories have tags that nobody signed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    Client, TestServer,
    process::wait_until,
    publisher::{Publisher, hashes, sign},
    registry::{MANIFEST, Registry, push_image, put_manifest},
    web::{Said, Web},
};

const PAGE: &str = "/repositories?state=unsigned";

fn server(upstream: &str) -> TestServer {
    TestServer::builder()
        .signs_locally()
        .set("registry", json!({"upstream": upstream, "host": "reg.example"}))
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
                {"effect": "allow", "principals": ["reader"], "actions": ["pull"], "guns": ["reg.example/team/*", "other.example/**"]},
            ]),
        )
        .start()
}

/// Signs exactly these tags, whatever they name.
struct Signing {
    publisher: Publisher,
    gun: String,
    version: i64,
}

impl Signing {
    fn new(alice: &Client, gun: &str) -> Self {
        Self {
            publisher: Publisher::new(alice, gun, gun),
            gun: gun.to_owned(),
            version: 0,
        }
    }

    #[track_caller]
    fn sign(&mut self, alice: &Client, tags: &[&str]) {
        self.version += 1;
        let mut targets = Publisher::targets(self.version);
        let named = tags
            .iter()
            .map(|tag| ((*tag).to_owned(), hashes(&sha256(tag.as_bytes()))));
        targets["targets"] = Value::Object(named.collect());
        let file = sign(&targets, &[&self.publisher.targets]);
        let root = self.publisher.root_file(1);
        let mut files: Vec<(&str, &[u8])> = vec![("targets", &file)];
        if self.version == 1 {
            files.insert(0, ("root", &root));
        }
        alice.publish(&self.gun, &files).ok();
    }
}

#[track_caller]
fn page(client: &Client, address: &str) -> String {
    let asked = client.request("GET", address, &[("Accept", "text/html")], &[]);
    asked.ok().text()
}

/// What of a page lists: the names in the table.
fn listed(page: &str) -> Vec<String> {
    page.split("<th scope=\"row\" role=\"rowheader\"><a href=\"/repository?gun=")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|name| name.replace("%2F", "/"))
        .collect()
}

#[track_caller]
fn waits_for(client: &Client, address: &str, what: &str) -> String {
    let mut seen = String::new();
    wait_until(&format!("{address} says {what}"), || {
        seen = page(client, address);
        seen.contains(what)
    });
    seen
}

/// The interface's figures of each repository that the caller may see, where it has them.
fn figures(client: &Client) -> BTreeMap<String, Option<u64>> {
    let answer = client.get("/api/v0/repositories").ok().json();
    let all = answer["repositories"].as_array().unwrap();
    all.iter()
        .map(|found| {
            assert_eq!(
                found.get("unsignedTags").is_some(),
                found.get("registryAskedAt").is_some()
            );
            let gun = found["gun"].as_str().unwrap().to_owned();
            (gun, found["unsignedTags"].as_u64())
        })
        .collect()
}

#[test]
fn repositories_with_unsigned_tags_are_found_and_none_is_called_signed_before_it_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(directory.path());
    let server = server(&registry.url());
    let (alice, reader) = (server.client("alice"), server.client("reader"));
    let mut app = Signing::new(&alice, "reg.example/team/app");
    let mut other = Signing::new(&alice, "reg.example/team/other");
    let mut secret = Signing::new(&alice, "reg.example/secret/app");
    for (name, tag) in [
        ("team/app", "1.0"),
        ("team/other", "2.0"),
        ("team/other", "3.0"),
        ("secret/app", "4.0"),
    ] {
        push_image(&alice, name, tag, tag);
    }
    app.sign(&alice, &["1.0"]);
    other.sign(&alice, &["2.0", "gone"]);
    secret.sign(&alice, &["other"]);
    // Of another registry, and one that no registry can have.
    Signing::new(&alice, "other.example/app").sign(&alice, &["1.0"]);

    let first = page(&reader, PAGE);
    assert!(!first.contains("Every tag"), "{first}");
    assert!(first.contains("has unsigned tags"), "{first}");
    let seen = waits_for(
        &reader,
        PAGE,
        "One repository has tags in the registry that nobody signed, 1 of them.",
    );
    assert_eq!(listed(&seen), ["reg.example/team/other"], "{seen}");
    let seen = waits_for(
        &reader,
        PAGE,
        "Repositories of which that is not known: 1 of another registry.",
    );
    assert!(seen.contains("The registry was asked "), "{seen}");
    assert!(
        seen.contains("1 not signed") && !seen.contains("secret"),
        "{seen}"
    );
    let of_reader = figures(&reader);
    let expected = [
        ("other.example/app", None),
        ("reg.example/team/app", Some(0)),
        ("reg.example/team/other", Some(1)),
    ];
    assert_eq!(
        of_reader,
        expected.map(|(gun, count)| (gun.to_owned(), count)).into()
    );
    // Whoever may see more finds more.
    let seen = page(&alice, PAGE);
    assert_eq!(
        listed(&seen),
        ["reg.example/secret/app", "reg.example/team/other"],
        "{seen}"
    );
    assert_eq!(figures(&alice)["reg.example/secret/app"], Some(1));

    // What is signed counts as it is now: the registry is not asked again for that.
    other.sign(&alice, &["2.0", "3.0"]);
    let seen = page(&reader, PAGE);
    assert!(
        seen.contains("No tag without a signature is known so far."),
        "{seen}"
    );
    assert!(listed(&seen).is_empty(), "{seen}");
    other.sign(&alice, &["3.0"]);
    assert_eq!(listed(&page(&reader, PAGE)), ["reg.example/team/other"]);

    // What is pushed through the server is asked about at once, and until then nothing is said of the repository.
    push_image(&alice, "team/app", "1.1", "not signed");
    let seen = page(&reader, PAGE);
    assert!(
        seen.contains("not since a push") || listed(&seen).contains(&"reg.example/team/app".to_owned()),
        "{seen}"
    );
    waits_for(
        &reader,
        PAGE,
        "2 repositories have tags in the registry that nobody signed, 2 in all.",
    );
    assert_eq!(
        listed(&page(&reader, PAGE)),
        ["reg.example/team/app", "reg.example/team/other"]
    );
    // So is what is deleted.
    let found = alice.request("HEAD", "/v2/team/app/manifests/1.1", &[("Accept", MANIFEST)], &[]);
    let digest = found.header("docker-content-digest").unwrap().to_owned();
    assert_eq!(
        alice.delete(&format!("/v2/team/app/manifests/{digest}")).status,
        202
    );
    wait_until("the tag is gone from the list", || {
        figures(&reader)["reg.example/team/app"] == Some(0)
    });

    // A registry that does not answer is said, and counted.
    registry.stop();
    let put = put_manifest(&alice, "team/app", "1.2", MANIFEST, &json!({}));
    assert_eq!(put.status, 502, "{}", put.text());
    let seen = waits_for(&reader, PAGE, "1 it did not tell about");
    assert_eq!(listed(&seen), ["reg.example/team/other"], "{seen}");
    assert_eq!(figures(&reader)["reg.example/team/app"], None);
    let metrics = alice.get("/metrics").ok().text();
    assert!(
        metrics.contains("countersign_registry_tag_lists_total{outcome=\"failed\"}"),
        "{metrics}"
    );
    registry.start_again();
    wait_until("the registry is asked again", || {
        figures(&reader)["reg.example/team/app"] == Some(0)
    });
}

#[test]
fn looking_often_does_not_ask_the_registry_often_and_thousands_of_tags_come_by_pages() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&asked);
    let web = Web::start(move |request| {
        noted.lock().unwrap().push(request.path.clone());
        // Two pages of the first repository; more of the second than anybody reads.
        let number = request.path.rsplit_once("last=v");
        let from = number.map_or(0, |(_, number)| number.parse::<u32>().unwrap() + 1);
        let names = |count: u32| (from..from + count).map(|number| format!("v{number:06}"));
        let (tags, more): (Vec<String>, bool) = match request.path.contains("/two/") {
            true => (names(if from == 0 { 1000 } else { 500 }).collect(), from == 0),
            false => (names(1000).collect(), true),
        };
        let mut said = Said::ok(json!({"name": "x", "tags": tags}).to_string().into_bytes());
        if more {
            said.headers
                .push("Link: </v2/x/tags/list?n=1000>; rel=\"next\"".to_owned());
        }
        said
    });
    let server = server(&web.url(""));
    let alice = server.client("alice");
    let tags: Vec<String> = (0..500).map(|number| format!("v{number:06}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    Signing::new(&alice, "reg.example/team/two").sign(&alice, &tags);
    Signing::new(&alice, "reg.example/team/many").sign(&alice, &tags[..1]);
    // Nobody has looked yet.
    assert!(asked.lock().unwrap().is_empty());

    let seen = waits_for(&alice, PAGE, "2 repositories have tags in the registry");
    assert!(seen.contains(">1,000 not signed<"), "{seen}");
    assert!(seen.contains(">at least 9,999 not signed<"), "{seen}");
    for _ in 0..20 {
        page(&alice, PAGE);
        page(&alice, "/repositories");
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2 + 10, "{asked:?}");
}

#[test]
fn without_a_registry_nothing_is_said_of_unsigned_tags() {
    let server = TestServer::builder().signs_locally().start();
    let alice = server.client("alice");
    Signing::new(&alice, "reg.example/team/app").sign(&alice, &["1.0"]);
    let seen = page(&alice, PAGE);
    assert!(!seen.contains("has unsigned tags"), "{seen}");
    assert!(listed(&seen).is_empty(), "{seen}");
    assert_eq!(figures(&alice)["reg.example/team/app"], None);
}
