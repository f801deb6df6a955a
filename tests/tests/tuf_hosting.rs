//! TUF 1.0 repositories: python-tuf and tuf-js read what people publish here, and nothing gets in that they could not read or
//! that nobody with a right to it has signed.

use serde_json::{Value, json};
use tests::{
    TestServer,
    http::{Client, Response},
    native::{Installed, Key, READERS, Repository, all_of, consistent, in_days, signed},
    process::wait_until,
    server::Builder,
};
use tuf_native::{
    Draft, Role, Version,
    authoring::{Delegate, DelegatedPaths, RootContent, Target, TargetsContent},
};

fn builder() -> Builder {
    TestServer::builder().set("tuf", json!({"enabled": true}))
}

fn repository(server: &TestServer, name: &str) -> Repository {
    Repository::new(name, server.client("alice"))
}

/// Installs every client of others for a repository, with its first root.
fn readers(server: &TestServer, repository: &Repository) -> Vec<Installed> {
    let root = repository.get("metadata/1.root.json").ok().body;
    let files = server.pki().user("reader");
    READERS
        .into_iter()
        .map(|reader| reader.install(server, repository.name.as_str(), &root, &files))
        .collect()
}

fn following(content: &mut TargetsContent) {
    content.version = content.version.next().unwrap();
}

#[test]
fn clients_of_others_read_what_is_published_updated_delegated_and_signed_by_new_keys() {
    let server = builder().start();
    let repository = repository(&server, "team/app");
    let (owner, other, bob) = (Key::new(), Key::new(), Key::new());
    let files: [(&str, &[u8]); 2] = [("app.txt", b"one"), ("docs/guide.txt", b"guide")];
    let (root, mut targets) = repository.make(&owner, &files);
    let readers = readers(&server, &repository);
    for reader in &readers {
        reader.finds(&files);
        assert_eq!(
            reader.read(&["absent.txt"]),
            json!({"found": {"absent.txt": null}})
        );
    }
    // A delegated role, whose name its files have percent-encoded.
    following(&mut targets);
    let role = Role::parse("targets/releases").unwrap();
    targets.delegate(Delegate {
        role: role.clone(),
        signers: all_of(&[&bob]),
        paths: DelegatedPaths::Patterns(vec!["releases/*".to_owned()]),
        terminating: false,
    });
    let mut releases = TargetsContent::first(&repository.name, role, in_days(30));
    releases
        .targets
        .insert("releases/1.tar".to_owned(), Target::of(b"tar"));
    let answer = repository
        .send(
            "metadata",
            &[
                &owner.sign(&targets.draft().unwrap()),
                &bob.sign(&releases.draft().unwrap()),
            ],
        )
        .ok()
        .json();
    assert_eq!(
        (&answer["snapshot"], &answer["timestamp"]),
        (&json!(2), &json!(2))
    );
    repository.request(
        "PUT",
        &format!("targets/{}", consistent("releases/1.tar", b"tar")),
        b"tar",
    );
    for reader in &readers {
        reader.finds(&[("releases/1.tar", b"tar"), ("app.txt", b"one")]);
    }
    // Two new roots at once: another key for roots, then another for targets.
    let mut second = root.clone();
    second.version = Version::new(2).unwrap();
    second.root = all_of(&[&other]);
    let second_root = signed(second.draft().unwrap(), &[&owner, &other]);
    let mut third = second;
    third.version = Version::new(3).unwrap();
    third.targets = all_of(&[&other]);
    let third_root = other.sign(&third.draft().unwrap());
    following(&mut targets);
    targets.targets.insert("app.txt".to_owned(), Target::of(b"two"));
    let again = other.sign(&targets.draft().unwrap());
    repository
        .send("metadata", &[&third_root, &second_root, &again])
        .ok();
    repository.request(
        "PUT",
        &format!("targets/{}", consistent("app.txt", b"two")),
        b"two",
    );
    for reader in &readers {
        reader.finds(&[("app.txt", b"two"), ("releases/1.tar", b"tar")]);
    }
    // Whoever installs a client today with the first root comes to the same.
    for reader in super::tuf_hosting::readers(&server, &repository) {
        reader.finds(&[("app.txt", b"two")]);
    }
}

#[test]
fn what_must_not_be_published_is_refused_with_its_reason_and_changes_nothing() {
    let server = builder().start();
    let repository = repository(&server, "app");
    let (owner, stranger) = (Key::new(), Key::new());
    let (root, targets) = repository.make(&owner, &[("a", b"a")]);
    let before = repository.get("metadata/timestamp.json").ok().body;
    let next = |change: &dyn Fn(&mut TargetsContent)| {
        let mut content = targets.clone();
        content.version = Version::new(2).unwrap();
        change(&mut content);
        content.draft().unwrap()
    };
    let next_root = |change: &dyn Fn(&mut RootContent)| {
        let mut content = root.clone();
        content.version = Version::new(2).unwrap();
        change(&mut content);
        content.draft().unwrap()
    };
    let refused = |files: &[&Draft], reason: &str| {
        let error = repository.send("metadata", files).refuses(400, "INVALID_UPDATE");
        assert_eq!(error["detail"]["reason"], reason, "{error}");
    };
    let good = owner.sign(&next(&|_| ()));
    // Arbitrary content.
    refused(&[&stranger.sign(&next(&|_| ()))], "threshold");
    refused(&[&next(&|_| ())], "outside_profile");
    // Rollback and fast-forward.
    refused(
        &[&owner.sign(&next(&|content| content.version = Version::FIRST))],
        "rollback",
    );
    let far = next(&|content| content.version = Version::new(2_000_000).unwrap());
    refused(&[&owner.sign(&far)], "fast_forward");
    // Roots that do not follow, or that their predecessor did not sign.
    refused(
        &[&owner.sign(&next_root(&|root| root.version = Version::new(3).unwrap()))],
        "root_version",
    );
    let stolen = next_root(&|root| root.root = all_of(&[&stranger]));
    refused(&[&stranger.sign(&stolen)], "threshold");
    refused(&[&owner.sign(&stolen)], "threshold");
    // The server's keys sign nothing but what the server makes.
    let online = repository.online_keys();
    let greedy =
        next_root(&|root| root.targets = tuf_native::Signers::new(vec![online.timestamp.clone()], 1));
    refused(&[&owner.sign(&greedy)], "online_key_elsewhere");
    let foreign = next_root(&|root| root.timestamp = all_of(&[&owner]));
    refused(&[&owner.sign(&foreign)], "key_not_held");
    // Freeze: what has expired, or ends in the past.
    refused(
        &[&owner.sign(&next(&|content| content.expires = in_days(-1)))],
        "expired",
    );
    // Another repository's files.
    let other = Repository::new("other", server.client("alice"));
    other.make(&owner, &[("a", b"a")]);
    let error = other.send("metadata", &[&good]).refuses(400, "INVALID_UPDATE");
    assert_eq!(error["detail"]["reason"], "other_repository");
    // What the server makes, nothing at all, and forms that are none.
    let snapshot = repository.get("metadata/1.snapshot.json").ok().body;
    let form = |name: &str, bytes: &[u8]| {
        let body = tests::http::form(&[(name, bytes)]);
        let headers = [("Content-Type", tests::http::FORM)];
        server
            .client("alice")
            .request("POST", &repository.path("metadata"), &headers, &body)
    };
    let reason = |answer: Response| answer.refuses(400, "INVALID_UPDATE")["detail"]["reason"].clone();
    assert_eq!(reason(form("snapshot.json", &snapshot)), "made_by_server");
    assert_eq!(reason(form("targets.json", b"{}")), "malformed");
    form("targets", good.bytes()).refuses(400, "MALFORMED_UPLOAD");
    form("2.targets.json", good.bytes());
    repository.send("metadata", &[]).refuses(400, "INVALID_UPDATE");
    assert_eq!(repository.request("POST", "metadata/x", b"").status, 404);
    // Nothing of all this was stored.
    assert_eq!(repository.get("metadata/timestamp.json").ok().body, before);
    assert_eq!(repository.get("metadata/2.targets.json").status, 404);
    assert_eq!(repository.get("metadata/2.root.json").status, 404);
    repository.send("metadata", &[&good]).ok();
    // And not again.
    refused(&[&good], "rollback");
}

#[test]
fn keys_of_another_repository_and_of_the_notary_repository_of_the_same_name_are_not_taken() {
    let server = builder().start();
    let (app, other) = (repository(&server, "app"), repository(&server, "other"));
    let owner = Key::new();
    let foreign = other.online_keys();
    let mut root = app.first_root(&[&owner], &[&owner]);
    root.use_online_keys(&foreign);
    let targets = owner.sign(&app.first_targets(&[]).draft().unwrap());
    let refused = |root: &RootContent| {
        let first = owner.sign(&root.draft().unwrap());
        let error = app
            .send("metadata", &[&first, &targets])
            .refuses(400, "INVALID_UPDATE");
        assert_eq!(error["detail"]["reason"], "key_not_held");
    };
    refused(&root);
    // The Notary repository of the same name has keys of its own.
    let path = "/v2/app/_trust/tuf/timestamp.key";
    let notary = server.client("alice").get(path).ok().json();
    let notary = base64_der(notary["keyval"]["public"].as_str().unwrap());
    let key = tuf_native::PublicKey::from_p256_der(&notary).unwrap();
    assert_ne!(key.id(), app.online_keys().timestamp.id());
    root.use_online_keys(&tuf_native::OnlineKeys {
        snapshot: app.online_keys().snapshot,
        timestamp: key,
    });
    refused(&root);
    app.make(&owner, &[]);
    server.notary("alice").run(["init", "app", "-p"]).ok();
    server.notary("alice").run(["list", "app"]).ok();
}

fn base64_der(text: &str) -> Vec<u8> {
    openssl::base64::decode_block(text).unwrap()
}

#[test]
fn the_policy_decides_who_reads_publishes_signs_and_deletes() {
    let server = builder()
        .set(
            "policy",
            json!([
                {"name": "owners", "effect": "allow", "principals": ["alice"], "actions": ["pull", "push", "init", "delete"], "guns": ["team/*"]},
                {"name": "releasers", "effect": "allow", "principals": ["bob"], "actions": ["pull", "push:targets/releases"], "guns": ["team/*"]},
                {"name": "own", "effect": "allow", "principals": ["carol"], "actions": ["pull", "push:targets"], "guns": ["team/*"], "require_own_key": true},
                {"name": "readers", "effect": "allow", "principals": ["reader"], "actions": ["pull"], "guns": ["team/*"]},
            ]),
        )
        .start();
    let as_user = |name: &str| Repository::new("team/app", server.client(name));
    let (alice, bob, reader, mallory) = (
        as_user("alice"),
        as_user("bob"),
        as_user("reader"),
        as_user("mallory"),
    );
    let (owner, releaser) = (Key::new(), Key::new());
    let carols = server.pki().user("carol");
    let first = alice.first_targets(&[("a", b"a")]);
    // Nobody without `init` begins a repository.
    reader.get("keys").refuses(403, "DENIED");
    let mut content = first.clone();
    content.delegate(Delegate {
        role: Role::parse("releases").unwrap(),
        signers: all_of(&[&releaser]),
        paths: DelegatedPaths::Patterns(vec!["releases/*".to_owned()]),
        terminating: false,
    });
    let mut releases = TargetsContent::first(&alice.name, Role::parse("releases").unwrap(), in_days(30));
    let root = alice.first_root(&[&owner], &[&owner]);
    alice
        .send(
            "metadata",
            &[
                &owner.sign(&root.draft().unwrap()),
                &owner.sign(&content.draft().unwrap()),
                &releaser.sign(&releases.draft().unwrap()),
            ],
        )
        .ok();
    // The delegated role `releases` is `targets/releases` in the policy.
    following(&mut releases);
    bob.send("metadata", &[&releaser.sign(&releases.draft().unwrap())])
        .ok();
    following(&mut content);
    let targets = owner.sign(&content.draft().unwrap());
    let denied = bob.send("metadata", &[&targets]).refuses(403, "DENIED");
    assert!(
        denied["message"]
            .as_str()
            .unwrap()
            .contains("bob may not push:targets team/app"),
        "{denied}"
    );
    reader.get("metadata/timestamp.json").ok();
    reader.send("metadata", &[&targets]).refuses(403, "DENIED");
    reader.get("sign").refuses(403, "DENIED");
    reader
        .request("PUT", &format!("targets/{}", consistent("a", b"a")), b"a")
        .refuses(403, "DENIED");
    reader.request("DELETE", "metadata", b"").refuses(403, "DENIED");
    // Who may not read learns nothing, whether there is something or not.
    let there = mallory.get("metadata/timestamp.json").refuses(403, "DENIED");
    let absent = Repository::new("team/none", server.client("mallory"))
        .get("metadata/timestamp.json")
        .refuses(403, "DENIED");
    assert_eq!(
        there["message"].as_str().unwrap().replace("team/app", "N"),
        absent["message"].as_str().unwrap().replace("team/none", "N")
    );
    let listed = |client: Client| client.get("/tuf/v1/").ok().json()["repositories"].clone();
    assert_eq!(listed(server.client("mallory")), json!([]));
    assert_eq!(listed(server.client("reader"))[0]["name"], "team/app");
    // Whoever has to sign with a key of their own cannot publish what others signed.
    let carol = Repository::new("team/app", server.client_with(&carols));
    let refused = carol.send("metadata", &[&targets]).refuses(403, "DENIED");
    assert_eq!(refused["detail"]["reason"], "not_own_key", "{refused}");
    alice.request("DELETE", "metadata", b"").ok();
}

#[test]
fn several_people_sign_at_the_server_and_one_publishes() {
    let server = builder().start();
    let (alice, bob) = (
        Repository::new("app", server.client("alice")),
        Repository::new("app", server.client("bob")),
    );
    let keys = [Key::new(), Key::new()];
    let both = [&keys[0], &keys[1]];
    let root = alice.first_root(&both, &both).draft().unwrap();
    let targets = alice.first_targets(&[("a", b"a")]).draft().unwrap();
    // Alice opens what is to be signed, each file signed by her alone.
    let waiting = alice
        .send("sign", &[&keys[0].sign(&root), &keys[0].sign(&targets)])
        .ok()
        .json();
    let of = |waiting: &Value, role: &str| {
        let list = waiting["waiting"].as_array().unwrap().clone();
        list.into_iter().find(|entry| entry["role"] == role).unwrap()
    };
    assert_eq!(of(&waiting, "root")["complete"], false);
    assert_eq!(
        of(&waiting, "root")["missing"],
        json!([keys[1].public.id().to_string()])
    );
    // Nobody can publish that yet, and clients see nothing of it.
    alice
        .send("metadata", &[&keys[0].sign(&root), &keys[0].sign(&targets)])
        .refuses(400, "INVALID_UPDATE");
    assert_eq!(bob.get("metadata/1.root.json").status, 404);
    // Bob reads it, and adds his signature to what he read.
    let read = |role: &str| {
        let bytes = bob.get(&format!("sign/{role}.json")).ok().body;
        Draft::parse(&Role::parse(role).unwrap(), bytes.into()).unwrap()
    };
    let waiting = bob
        .send(
            "sign",
            &[&keys[1].sign(&read("root")), &keys[1].sign(&read("targets"))],
        )
        .ok()
        .json();
    assert_eq!(of(&waiting, "root")["complete"], true, "{waiting}");
    assert_eq!(of(&waiting, "targets")["complete"], true, "{waiting}");
    // Other content, and signatures of strangers, do not mix with it.
    let other = alice.first_targets(&[("b", b"b")]).draft().unwrap();
    let refused = alice
        .send("sign", &[&keys[0].sign(&other)])
        .refuses(400, "INVALID_UPDATE");
    assert_eq!(refused["detail"]["reason"], "other_content");
    let refused = alice
        .send("sign", &[&Key::new().sign(&read("targets"))])
        .refuses(400, "INVALID_UPDATE");
    assert_eq!(refused["detail"]["reason"], "foreign_signature");
    bob.send("metadata", &[&read("root"), &read("targets")]).ok();
    assert_eq!(alice.get("sign").ok().json(), json!({"waiting": []}));
    for reader in readers(&server, &alice) {
        assert_eq!(reader.read(&["none"]), json!({"found": {"none": null}}));
    }
    // What nobody wants any more is withdrawn.
    let mut next = alice.first_targets(&[]);
    following(&mut next);
    alice.send("sign", &[&keys[0].sign(&next.draft().unwrap())]).ok();
    bob.request("DELETE", "sign/targets.json", b"").ok();
    assert_eq!(alice.get("sign").ok().json(), json!({"waiting": []}));
}

#[test]
fn a_deleted_repository_comes_back_only_with_the_next_root() {
    let server = builder().start();
    let repository = repository(&server, "app");
    let (owner, stranger) = (Key::new(), Key::new());
    let (root, targets) = repository.make(&owner, &[("a", b"a")]);
    let readers = readers(&server, &repository);
    repository.request("DELETE", "metadata", b"").ok();
    repository.request("DELETE", "metadata", b"").ok();
    for path in [
        "metadata/timestamp.json",
        "metadata/1.root.json",
        &format!("targets/{}", consistent("a", b"a")),
    ] {
        repository.get(path).refuses(410, "DELETED");
    }
    for reader in &readers {
        assert!(reader.read(&["a"])["refused"].as_str().unwrap().contains("410"));
    }
    // Neither its owner nor anybody else begins it anew at 1.
    let begins = |key: &Key| {
        let root = repository.first_root(&[key], &[key]).draft().unwrap();
        let targets = repository.first_targets(&[]).draft().unwrap();
        let refused = repository
            .send("metadata", &[&key.sign(&root), &key.sign(&targets)])
            .refuses(400, "INVALID_UPDATE");
        assert_eq!(refused["detail"]["reason"], "root_version");
    };
    begins(&stranger);
    begins(&owner);
    let mut next = targets;
    following(&mut next);
    next.targets.insert("a".to_owned(), Target::of(b"b"));
    let next = owner.sign(&next.draft().unwrap());
    repository.send("metadata", &[&next]).refuses(410, "DELETED");
    let mut second = root;
    second.version = Version::new(2).unwrap();
    repository
        .send("metadata", &[&owner.sign(&second.draft().unwrap()), &next])
        .ok();
    repository.request("PUT", &format!("targets/{}", consistent("a", b"b")), b"b");
    for reader in &readers {
        reader.finds(&[("a", b"b")]);
    }
}

#[test]
fn snapshots_and_timestamps_are_renewed_before_they_expire() {
    let server = TestServer::builder()
        .set(
            "tuf",
            json!({"enabled": true, "timestamp_lifetime": "20s", "snapshot_lifetime": "40s"}),
        )
        .start();
    let repository = repository(&server, "app");
    repository.make(&Key::new(), &[("a", b"a")]);
    let readers = readers(&server, &repository);
    let version = |below: &str| repository.get(below).ok().json()["signed"]["version"].clone();
    wait_until("the timestamp is renewed", || {
        version("metadata/timestamp.json").as_i64() > Some(2)
    });
    wait_until("the snapshot is renewed with it", || {
        let timestamp = repository.get("metadata/timestamp.json").ok().json();
        timestamp["signed"]["meta"]["snapshot.json"]["version"].as_i64() > Some(1)
    });
    for reader in &readers {
        reader.finds(&[("a", b"a")]);
    }
}

#[test]
fn of_publishes_at_the_same_moment_each_is_stored_whole_or_refused() {
    let server = builder().start();
    let repository = repository(&server, "app");
    let keys: Vec<Key> = (0..4).map(|_| Key::new()).collect();
    let owner = Key::new();
    let root = repository.first_root(&[&owner], &[&owner]).draft().unwrap();
    let mut targets = repository.first_targets(&[]);
    let roles: Vec<Role> = (0..4).map(|n| Role::parse(&format!("r{n}")).unwrap()).collect();
    for (key, role) in keys.iter().zip(&roles) {
        targets.delegate(Delegate {
            role: role.clone(),
            signers: all_of(&[key]),
            paths: DelegatedPaths::Patterns(vec![format!("{}/*", role.as_str())]),
            terminating: false,
        });
    }
    let first: Vec<Draft> = keys
        .iter()
        .zip(&roles)
        .map(|(key, role)| {
            let content = TargetsContent::first(&repository.name, role.clone(), in_days(9));
            key.sign(&content.draft().unwrap())
        })
        .collect();
    let (root, targets) = (owner.sign(&root), owner.sign(&targets.draft().unwrap()));
    let mut all = vec![&root, &targets];
    all.extend(&first);
    repository.send("metadata", &all).ok();
    std::thread::scope(|scope| {
        for (key, role) in keys.iter().zip(&roles) {
            let repository = Repository::new("app", server.client("alice"));
            scope.spawn(move || {
                let mut content = TargetsContent::first(&repository.name, role.clone(), in_days(9));
                for _ in 0..5 {
                    following(&mut content);
                    repository
                        .send("metadata", &[&key.sign(&content.draft().unwrap())])
                        .ok();
                }
            });
        }
    });
    let timestamp = repository.get("metadata/timestamp.json").ok().json();
    assert_eq!(timestamp["signed"]["version"], 21);
    let snapshot = repository.get("metadata/21.snapshot.json").ok().json();
    for role in &roles {
        assert_eq!(snapshot["signed"]["meta"][role.file_name()]["version"], 6);
    }
    for reader in readers(&server, &repository) {
        assert_eq!(reader.read(&["r1/none"]), json!({"found": {"r1/none": null}}));
    }
}

#[test]
fn target_files_are_stored_by_their_hash_up_to_a_limit_or_are_elsewhere() {
    let server = TestServer::builder()
        .set(
            "tuf",
            json!({"enabled": true, "targets": {"max_size": 100, "max_count": 2, "redirect": "https://files.example/tuf/"}}),
        )
        .start();
    let repository = repository(&server, "team/app");
    let put = |name: &str, bytes: &[u8]| repository.request("PUT", &format!("targets/{name}"), bytes);
    put(&consistent("a", b"a"), b"a").refuses(404, "NO_SUCH_REPOSITORY");
    repository.make(&Key::new(), &[("dir/a b", b"a")]);
    put(&consistent("a", b"a"), b"other").refuses(400, "INVALID_PARAMETERS");
    put("a", b"a").refuses(400, "INVALID_PARAMETERS");
    put(&consistent("a", &[0; 101]), &[0; 101]).refuses(413, "TOO_LARGE");
    assert_eq!(
        put(&consistent("b", b"a"), b"a").status,
        200,
        "the same content is there"
    );
    assert_eq!(put(&consistent("b", b"b"), b"b").status, 201);
    put(&consistent("c", b"c"), b"c").refuses(400, "INVALID_PARAMETERS");
    let served = repository
        .get(&format!("targets/{}", consistent("dir/a%20b", b"a")))
        .ok();
    assert_eq!(served.body, b"a");
    assert_eq!(served.header("content-type"), Some("application/octet-stream"));
    let elsewhere = repository.get(&format!("targets/{}", consistent("dir/c%20c", b"c")));
    assert_eq!(elsewhere.status, 307);
    let hash = hex::encode(openssl::sha::sha256(b"c"));
    assert_eq!(
        elsewhere.header("location"),
        Some(format!("https://files.example/tuf/team/app/dir/{hash}.c%20c").as_str())
    );
}

#[test]
fn odd_paths_methods_and_forms_are_refused_and_break_nothing() {
    let server = builder().start();
    let repository = repository(&server, "team/app");
    let owner = Key::new();
    repository.make(&owner, &[("a", b"a")]);
    let client = server.client("alice");
    for file in [
        "0.root.json",
        "01.root.json",
        "-1.root.json",
        "+1.root.json",
        "1e0.root.json",
        "99999999999999999999.root.json",
        "2147483648.root.json",
        "1.root",
        "1.root.json.json",
        "1.ROOT.json",
        "root.json",
        "timestamp.json/x",
        "1.timestamp%00.json",
        "1..json",
        ".json",
        "",
        "1.targets%2f..%2froot.json",
    ] {
        let answer = client.get(&repository.path(&format!("metadata/{file}")));
        assert!(
            matches!(answer.status, 301 | 404),
            "{file}: {} {}",
            answer.status,
            answer.text()
        );
    }
    // A name ends where every reader sees it end.
    for path in [
        "/tuf/v1/metadata/1.root.json",
        "/tuf/v1//metadata/1.root.json",
        "/tuf/v1/team/app",
        "/tuf/v1/team%2fapp%2fmetadata/../metadata",
        "/tuf/v1/team/app/export",
        "/tuf/v2/team/app/metadata/1.root.json",
    ] {
        let answer = client.get(path);
        assert!(
            matches!(answer.status, 301 | 400 | 404),
            "{path}: {}",
            answer.status
        );
    }
    assert_eq!(
        client.get("/tuf/v1/team%2Fapp/metadata/1.root.json").status,
        200,
        "one name in two spellings"
    );
    for (method, below, status) in [
        ("DELETE", "metadata/1.root.json", 404),
        ("DELETE", "sign/root.json", 200),
        ("DELETE", "sign/root", 404),
        ("DELETE", "sign", 404),
        ("POST", "keys", 404),
        ("POST", "keys/root", 404),
        ("POST", "keys/targets", 404),
        ("PUT", "metadata/2.root.json", 404),
        ("POST", "targets/x", 404),
        ("PUT", "targets/", 400),
    ] {
        let answer = repository.request(method, below, b"");
        assert_eq!(answer.status, status, "{method} {below}: {}", answer.text());
    }
    let long = "x".repeat(300);
    for name in [long.as_str(), "a*b", "a%00b", "a%0Ab"] {
        let answer = client.get(&format!("/tuf/v1/{name}/keys"));
        assert!(matches!(answer.status, 400 | 404), "{name}: {}", answer.status);
    }
    // Forms that are none, or name no role.
    let post = |kind: &str, body: &[u8]| {
        client.request(
            "POST",
            &repository.path("metadata"),
            &[("Content-Type", kind)],
            body,
        )
    };
    post("application/json", b"{}").refuses(400, "MALFORMED_UPLOAD");
    post(tests::http::FORM, b"garbage").refuses(400, "MALFORMED_UPLOAD");
    for name in [
        "",
        ".json",
        "root",
        "../root.json",
        "targets%2Freleases.JSON",
        "targets/releases.json",
    ] {
        post(tests::http::FORM, &tests::http::form(&[(name, b"{}")])).refuses(400, "MALFORMED_UPLOAD");
    }
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    for body in [
        deep.as_slice(),
        b"\xff\xfe",
        b"{\"signed\":{},\"signed\":{}}",
        b"null",
        &[b' '; 600_000],
    ] {
        post(tests::http::FORM, &tests::http::form(&[("root.json", body)])).refuses(400, "INVALID_UPDATE");
    }
    let large = vec![b' '; 16 * 1024 * 1024];
    post(tests::http::FORM, &tests::http::form(&[("root.json", &large)])).refuses(413, "TOO_LARGE");
    // A page of another site does not act with somebody's certificate.
    let foreign = [
        ("Content-Type", tests::http::FORM),
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    client
        .request(
            "POST",
            &repository.path("metadata"),
            &foreign,
            &tests::http::form(&[]),
        )
        .refuses(403, "CROSS_SITE");
    for reader in readers(&server, &repository) {
        reader.finds(&[("a", b"a")]);
    }
}

#[test]
fn without_the_setting_there_are_no_such_routes() {
    let server = TestServer::start();
    let client = server.client("alice");
    for path in [
        "/tuf/v1/",
        "/tuf/v1/app/metadata/timestamp.json",
        "/tuf/v1/app/keys",
    ] {
        client.get(path).refuses(404, "METADATA_NOT_FOUND");
    }
}
