//! Web pages of TUF 1.0 repositories, as a browser asks for them.

use regex::Regex;
use serde_json::json;
use tests::{
    Engine, TestServer, Whose,
    http::Client,
    native::{Key, Repository, all_of, in_days},
    server::Builder,
};
use tuf_native::{
    Role, Version,
    authoring::{Delegate, DelegatedPaths, Target, TargetsContent},
};

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
/// Of a page: the tabs of a repository.
const TABS: [&str; 6] = ["", "/signers", "/root", "/activity", "/documents", "/commands"];

fn builder() -> Builder {
    TestServer::builder().set("tuf", json!({"enabled": true}))
}

#[track_caller]
fn page(client: &Client, address: &str) -> String {
    let response = client.request("GET", address, &[BROWSER], b"");
    assert_eq!(response.status, 200, "{address}: {}", response.text());
    let text = response.text();
    assert!(!text.contains("<script>") && !text.contains("style="), "{text}");
    text
}

#[track_caller]
fn status(client: &Client, address: &str) -> u16 {
    client.request("GET", address, &[BROWSER], b"").status
}

#[track_caller]
fn shows(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
}

#[test]
fn a_repository_is_shown_with_its_targets_signers_roots_records_and_commands() {
    let server = builder().start();
    let alice = server.client("alice");
    let repository = Repository::new("team/app", server.client("alice"));
    let (owner, other, bob) = (Key::new(), Key::new(), Key::new());
    let (root, mut targets) = repository.make(&owner, &[("app.txt", b"one"), ("both/x", b"of targets")]);
    targets.version = targets.version.next().unwrap();
    let role = Role::parse("releases").unwrap();
    targets.delegate(Delegate {
        role: role.clone(),
        signers: all_of(&[&bob]),
        paths: DelegatedPaths::Patterns(vec!["both/*".to_owned()]),
        terminating: false,
    });
    let mut releases = TargetsContent::first(&repository.name, role, in_days(20));
    releases
        .targets
        .insert("both/x".to_owned(), Target::of(b"of releases"));
    repository
        .send(
            "metadata",
            &[
                &owner.sign(&targets.draft().unwrap()),
                &bob.sign(&releases.draft().unwrap()),
            ],
        )
        .ok();
    let mut second = root.clone();
    second.version = Version::new(2).unwrap();
    second.root = all_of(&[&other]);
    let second = other.sign(&owner.sign(&second.draft().unwrap()));
    repository.send("metadata", &[&second]).ok();

    let list = page(&alice, "/tuf");
    shows(
        &list,
        &[
            "One repository, and it verifies.",
            "href=\"/tuf/repository?gun=team/app\"",
            "<td role=\"cell\" data-l=\"Targets\" class=\"num\">3</td>",
            "Ends in 2",
            "<bdi>releases</bdi>",
            "TUF 1.0 <b>1</b>",
        ],
    );
    shows(
        &page(&alice, "/tuf/repository?gun=team/app"),
        &[
            "Signed and good",
            "A delegated role ends",
            "app.txt",
            &hex::encode(openssl::sha::sha256(b"one")),
            &hex::encode(openssl::sha::sha256(b"of releases")),
            "Not reached</span>",
            "after <code><bdi>targets</bdi></code>, which lists it too",
            "3 of 3 targets",
        ],
    );
    shows(
        &page(&alice, "/tuf/repository?gun=team/app&role=releases"),
        &["1 of 1 targets"],
    );
    shows(
        &page(&alice, "/tuf/repository?gun=team/app&q=app"),
        &["1 of 1 targets", "app.txt"],
    );
    shows(
        &page(&alice, "/tuf/repository/signers?gun=team/app"),
        &[
            "aria-label=\"Role root\"",
            "aria-label=\"Role releases\"",
            &format!("Key ID {}", bob.public.id()),
            &format!("Key ID {}", other.public.id()),
            "both/",
            "signer of this server",
            "Nothing waits here.",
        ],
    );
    shows(
        &page(&alice, "/tuf/repository/root?gun=team/app"),
        &[
            "The chain is whole.",
            "Version 2",
            "The root keys changed.",
            &format!("countersign tuf verify team/app --root-key {}", owner.public.id()),
        ],
    );
    shows(
        &page(&alice, "/tuf/repository/activity?gun=team/app"),
        &[
            "<b><bdi>alice</bdi></b>",
            "published root version 2",
            "targets version 2",
            "<code><bdi>127.0.0.1</bdi></code>",
        ],
    );
    let documents = page(&alice, "/tuf/repository/documents?gun=team/app");
    shows(
        &documents,
        &["href=\"/tuf/v1/team/app/metadata/1.releases.json\""],
    );
    // Every address that the page offers is one.
    for part in documents.split("href=\"/tuf/v1/").skip(1) {
        let path = part.split('"').next().unwrap();
        assert_eq!(alice.get(&format!("/tuf/v1/{path}")).status, 200, "{path}");
    }
    shows(
        &page(&alice, "/tuf/repository/commands?gun=team/app"),
        &[
            "countersign tuf sign team/app",
            "/tuf/v1/team/app/metadata/",
            &format!(
                "countersign tuf download team/app app.txt --root-key {}",
                owner.public.id()
            ),
        ],
    );
    // What ends there ends on the pages of everything that ends.
    for address in ["/expiry", "/"] {
        shows(
            &page(&alice, address),
            &["A TUF delegation", "href=\"/tuf/repository?gun=team/app\""],
        );
    }
    shows(
        &page(&alice, "/expiry"),
        &[
            "countersign tuf renew team/app releases",
            &format!("the holder of key {}", &bob.public.id().as_str()[..8]),
        ],
    );
    shows(
        &page(&alice, "/audit?what=tuf"),
        &["tuf.publish", "href=\"/tuf/repository/activity?gun=team/app\""],
    );
}

#[test]
fn what_waits_is_shown_with_who_signed_and_who_has_not_to_those_who_sign() {
    let server = builder()
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
                {"effect": "allow", "principals": ["carol"], "actions": ["pull", "list"]},
            ]),
        )
        .start();
    let repository = Repository::new("team/app", server.client("alice"));
    let (owner, other) = (Key::new(), Key::new());
    let (root, _) = repository.make(&owner, &[("app.txt", b"one")]);
    let mut second = root;
    second.version = Version::new(2).unwrap();
    second.root = all_of(&[&owner, &other]);
    repository
        .send("sign", &[&owner.sign(&second.draft().unwrap())])
        .ok();
    let signers = page(&server.client("alice"), "/tuf/repository/signers?gun=team/app");
    shows(
        &signers,
        &[
            "aria-label=\"Waiting: root\"",
            "Signatures missing",
            &format!("Key ID {}", other.public.id()),
            "countersign tuf sign team/app root",
            "href=\"/tuf/v1/team/app/sign/root.json\"",
            "of 2 signatures by the keys that",
        ],
    );
    shows(
        &page(&server.client("alice"), "/tuf?state=waiting"),
        &["1 file", "team/"],
    );
    let carols = page(&server.client("carol"), "/tuf/repository/signers?gun=team/app");
    assert!(!carols.contains("Waiting for signatures"), "{carols}");
    // Nor does she learn who publishes.
    let activity = page(&server.client("carol"), "/tuf/repository/activity?gun=team/app");
    assert!(!activity.contains("alice"), "{activity}");
    shows(&activity, &["not for you to know"]);
}

#[test]
fn a_reader_sees_and_counts_only_what_it_may_pull() {
    let server = builder()
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
                {"effect": "allow", "principals": ["carol"], "actions": ["pull"], "guns": ["open/*"]},
            ]),
        )
        .start();
    for name in ["open/app", "closed/app"] {
        Repository::new(name, server.client("alice")).make(&Key::new(), &[("a", b"a")]);
    }
    let carol = server.client("carol");
    let list = page(&carol, "/tuf");
    shows(
        &list,
        &["One repository, and it verifies.", "1 of 1 repositories"],
    );
    for address in ["/", "/tuf", "/expiry?days=3650", "/tuf?q=closed"] {
        assert!(!page(&carol, address).contains("closed/app"), "{address}");
    }
    for tab in TABS {
        assert_eq!(
            status(&carol, &format!("/tuf/repository{tab}?gun=closed/app")),
            403,
            "{tab}"
        );
        assert_eq!(
            status(
                &server.client("alice"),
                &format!("/tuf/repository{tab}?gun=closed/app")
            ),
            200
        );
        for absent in ["absent", "", "a*b", "a/metadata"] {
            let found = status(
                &server.client("alice"),
                &format!("/tuf/repository{tab}?gun={absent}"),
            );
            assert!((400..500).contains(&found), "{tab} {absent}: {found}");
        }
    }
    // A deleted one is gone from all of them.
    let alice = server.client("alice");
    assert_eq!(
        alice
            .request("DELETE", "/tuf/v1/closed/app/metadata", &[], b"")
            .status,
        200
    );
    assert_eq!(status(&alice, "/tuf/repository?gun=closed/app"), 404);
    assert!(!page(&alice, "/tuf").contains("closed/app"));
    assert!(!page(&alice, "/expiry?days=3650").contains("closed/app"));
}

#[test]
fn names_paths_and_custom_data_cannot_leave_their_place_on_a_page() {
    let server = builder().start();
    let repository = Repository::new("team/a&b'x", server.client("alice"));
    let (key, bob) = (Key::new(), Key::new());
    let hostile = "<img src=x onerror=alert(1)>/\u{202e}gpj.exe";
    let (_, mut targets) = repository.make(&key, &[("plain", b"p")]);
    targets.version = targets.version.next().unwrap();
    let mut target = Target::of(b"x");
    target.custom = json!({"note": "</code><script>alert(1)</script>"})
        .as_object()
        .unwrap()
        .clone();
    targets.targets.insert(hostile.to_owned(), target);
    let role = Role::parse("<i onclick=alert(1)>\"role\u{202e}").unwrap();
    targets.delegate(Delegate {
        role: role.clone(),
        signers: all_of(&[&bob]),
        paths: DelegatedPaths::Patterns(vec!["<b>*".to_owned()]),
        terminating: true,
    });
    let below = TargetsContent::first(&repository.name, role, in_days(20));
    repository
        .send(
            "metadata",
            &[
                &key.sign(&targets.draft().unwrap()),
                &bob.sign(&below.draft().unwrap()),
            ],
        )
        .ok();
    let alice = server.client("alice");
    let values = Regex::new(r#" value="[^"<>]*""#).unwrap();
    for tab in TABS {
        let shown = page(&alice, &format!("/tuf/repository{tab}?gun=team/a%26b'x"));
        // What a form sends has to be the name itself.
        let shown = values.replace_all(&shown, "");
        for harmful in ["<img", "<script>", "<i ", "<b>*", "\u{202e}", "a&b'x"] {
            assert!(!shown.contains(harmful), "{harmful} in {shown}");
        }
    }
    let list = page(&alice, "/tuf");
    assert!(!list.contains("<i ") && !list.contains('\u{202e}'), "{list}");
}

#[test]
fn a_repository_that_was_damaged_is_said_not_to_verify_and_the_others_are_shown() {
    let server = builder().start();
    for name in ["team/app", "team/other"] {
        Repository::new(name, server.client("alice")).make(&Key::new(), &[("app.txt", b"one")]);
    }
    let nothing = match server.engine() {
        Engine::Postgres => "'\\x7b7d'",
        Engine::Sqlite | Engine::Mysql => "x'7b7d'",
    };
    server.execute(
        Whose::Server,
        &format!(
            "UPDATE native_files SET data = {nothing} WHERE role = 'targets' AND repository = 'team/app'"
        ),
    );
    let alice = server.client("alice");
    shows(
        &page(&alice, "/tuf"),
        &["2 repositories; one does not verify any more.", "Does not verify"],
    );
    assert_eq!(status(&alice, "/tuf/repository?gun=team/app"), 500);
    assert_eq!(status(&alice, "/tuf/repository?gun=team/other"), 200);
    shows(&page(&alice, "/tuf?state=bad"), &["1 of 2 repositories"]);
    // The other engines take nothing but dates.
    if server.engine() == Engine::Sqlite {
        let third = Repository::new("team/third", server.client("alice"));
        third.make(&Key::new(), &[("app.txt", b"one")]);
        server.execute(
            Whose::Server,
            "UPDATE native_repositories SET expires_at = 'no date' WHERE name = 'team/third'",
        );
        for address in [
            "/",
            "/repositories",
            "/expiry",
            "/audit",
            "/tuf/repository?gun=team/other",
        ] {
            page(&alice, address);
        }
        shows(
            &page(&alice, "/tuf"),
            &["3 repositories; 2 do not verify any more."],
        );
    }
}

#[test]
fn without_tuf_there_are_no_such_pages() {
    let server = TestServer::builder().start();
    let alice = server.client("alice");
    assert!(!page(&alice, "/").contains("TUF 1.0"));
    for address in ["/tuf", "/tuf/repository?gun=a"] {
        assert_eq!(status(&alice, address), 404, "{address}");
    }
}
