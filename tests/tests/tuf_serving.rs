//! How TUF 1.0 repositories are served, and what keeps them within bounds.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tests::{
    TestServer,
    native::{Installed, Key, READERS, Reader, Repository, all_of, consistent, in_days},
    process::{Daemon, Stop, free_port, wait_until},
    server::Builder,
};
use tuf_native::{
    Draft, Role,
    authoring::{Delegate, DelegatedPaths, Target, TargetsContent},
};

fn builder() -> Builder {
    TestServer::builder().set("tuf", json!({"enabled": true}))
}

fn readers(server: &TestServer, repository: &Repository) -> Vec<(Reader, Installed)> {
    let root = repository.get("metadata/1.root.json").ok().body;
    let files = server.pki().user("reader");
    READERS
        .into_iter()
        .map(|reader| {
            (
                reader,
                reader.install(server, repository.name.as_str(), &root, &files),
            )
        })
        .collect()
}

#[test]
fn what_has_a_version_may_be_kept_and_the_timestamp_is_asked_for_each_time() {
    let server = builder().start();
    let repository = Repository::new("team/app", server.client("alice"));
    repository.make(&Key::new(), &[("app.txt", b"one")]);
    let client = server.client("alice");
    for (file, kept) in [
        ("1.root.json", "private, max-age="),
        ("1.targets.json", "private, max-age="),
        ("timestamp.json", "max-age=0, no-cache, no-store"),
    ] {
        let path = repository.path(&format!("metadata/{file}"));
        let first = client.get(&path).ok();
        let control = first.header("cache-control").unwrap();
        assert!(control.starts_with(kept), "{file}: {control}");
        let tag = first.header("etag").unwrap();
        assert_eq!(
            tag,
            format!("\"{}\"", hex::encode(openssl::sha::sha256(&first.body)))
        );
        let again = client.request("GET", &path, &[("If-None-Match", tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{file}");
        let other = client.request("GET", &path, &[("If-None-Match", "\"other\"")], b"");
        assert_eq!((other.status, &other.body), (200, &first.body), "{file}");
    }
}

#[test]
fn a_timestamp_that_has_ended_is_renewed_for_whoever_asks() {
    let mut server = TestServer::builder()
        .set(
            "tuf",
            json!({"enabled": true, "timestamp_lifetime": "10s", "snapshot_lifetime": "1h"}),
        )
        .start();
    let repository = |server: &TestServer| Repository::new("team/app", server.client("alice"));
    repository(&server).make(&Key::new(), &[("app.txt", b"one")]);
    let readers = readers(&server, &repository(&server));
    // Without the signer nothing is renewed in the background.
    server.stop_signer(Stop::Politely);
    let end = |server: &TestServer| {
        let answer = repository(server).get("metadata/timestamp.json");
        let text = (answer.status == 200).then(|| answer.json()["signed"]["expires"].clone());
        let text = text.as_ref().and_then(|text| text.as_str());
        text.map(|text| text.parse::<DateTime<Utc>>().unwrap())
    };
    let before = end(&server).unwrap();
    wait_until("the timestamp has ended", || Utc::now() > before);
    server.start_signer();
    let after = end(&server).unwrap();
    assert!(
        after > Utc::now() - TimeDelta::seconds(10) && after > before,
        "{after}"
    );
    for (_, reader) in &readers {
        reader.finds(&[("app.txt", b"one")]);
    }
}

#[test]
fn a_client_follows_to_where_target_files_are_and_verifies_what_it_gets_there() {
    let port = free_port();
    let server = TestServer::builder()
        .set(
            "tuf",
            json!({"enabled": true, "targets": {"redirect": format!("http://127.0.0.1:{port}/")}}),
        )
        .start();
    let repository = Repository::new("team/app", server.client("alice"));
    let key = Key::new();
    let (_, mut targets) = repository.make(&key, &[("here.txt", b"here")]);
    targets.version = targets.version.next().unwrap();
    targets
        .targets
        .insert("dir/there.txt".to_owned(), Target::of(b"there"));
    targets
        .targets
        .insert("forged.txt".to_owned(), Target::of(b"what was signed"));
    repository
        .send("metadata", &[&key.sign(&targets.draft().unwrap())])
        .ok();
    let elsewhere = server.path().join("elsewhere");
    for (path, signed, content) in [
        ("dir/there.txt", &b"there"[..], &b"there"[..]),
        ("forged.txt", b"what was signed", b"something else "),
    ] {
        let file = elsewhere.join("team/app").join(consistent(path, signed));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    let mut python = std::process::Command::new("/usr/bin/python3");
    python
        .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
        .arg(&elsewhere)
        .arg(port.to_string());
    let _web = Daemon::spawn(&mut python, &server.path().join("elsewhere.log"));
    wait_until("the web server listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    for (reader, installed) in readers(&server, &repository) {
        installed.finds(&[("here.txt", b"here"), ("dir/there.txt", b"there")]);
        let refused = installed.read(&["forged.txt"]);
        assert!(refused["refused"].is_string(), "{reader:?}: {refused}");
    }
}

/// A delegated role of so many bytes.
fn large(repository: &Repository, role: &Role, key: &Key, bytes: usize) -> Draft {
    let mut content = TargetsContent::first(&repository.name, role.clone(), in_days(30));
    let mut target = Target::of(b"x");
    target.custom.insert("text".to_owned(), "x".repeat(bytes).into());
    content.targets.insert(format!("{role}/x"), target);
    key.sign(&content.draft().unwrap())
}

#[test]
fn a_repository_has_a_size_beyond_which_a_publish_is_refused_and_nothing_changes() {
    let server = builder().start();
    let repository = Repository::new("team/app", server.client("alice"));
    let key = Key::new();
    let (_, mut targets) = repository.make(&key, &[("app.txt", b"one")]);
    let roles: Vec<Role> = ["a", "b", "c", "d"]
        .map(|name| Role::parse(name).unwrap())
        .to_vec();
    let grow = |targets: &mut TargetsContent, roles: &[Role]| {
        targets.version = targets.version.next().unwrap();
        for role in roles {
            targets.delegate(Delegate {
                role: role.clone(),
                signers: all_of(&[&key]),
                paths: DelegatedPaths::Patterns(vec![format!("{role}/*")]),
                terminating: false,
            });
        }
        let mut files = vec![key.sign(&targets.draft().unwrap())];
        files.extend(roles.iter().map(|role| large(&repository, role, &key, 4_700_000)));
        let files: Vec<&Draft> = files.iter().collect();
        repository.send("metadata", &files)
    };
    grow(&mut targets, &roles[..2]).ok();
    grow(&mut targets, &roles[2..3]).ok();
    let before = repository.get("metadata/timestamp.json").ok().body;
    let refused = grow(&mut targets, &roles[3..]);
    assert_eq!(refused.status, 400, "{}", refused.text());
    let error = refused.json()["errors"][0].clone();
    assert_eq!(error["detail"]["reason"], "repository_too_large", "{error}");
    assert_eq!(repository.get("metadata/timestamp.json").ok().body, before);
    // The repository goes on, and others are not touched by it.
    Repository::new("team/other", server.client("alice")).make(&Key::new(), &[("a", b"a")]);
    let files = server.pki().user("reader");
    let root = repository.get("metadata/1.root.json").ok().body;
    for reader in READERS {
        let found = reader
            .install(&server, "team/app", &root, &files)
            .look_up(&["c/x"]);
        assert!(found["found"]["c/x"].is_string(), "{reader:?}: {found}");
    }
    server.command_line("check").ok();
}
