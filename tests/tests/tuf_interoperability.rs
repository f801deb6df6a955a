//! TUF 1.0 repositories and what others say of them: repositories and attacks of python-tuf's own simulator, exported
//! repositories as the static ones on which clients are tested, and every client on whatever is taken in.

use std::{fs, net::TcpStream, path::Path, process::Command};

use futures_util::StreamExt;
use serde_json::{Value, json};
use tests::{
    TestServer,
    http::Response,
    native::{Key, READERS, Repository, all_of, consistent, in_days, signed},
    process::{Daemon, Finished, free_port, wait_until},
    server::Builder,
};
use tough::{FilesystemTransport, RepositoryLoader, TargetName};
use tuf_native::{
    Role,
    authoring::{Delegate, DelegatedPaths, Target, TargetsContent},
};
use url::Url;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/tuf-clients");

fn builder() -> Builder {
    TestServer::builder().set("tuf", json!({"enabled": true}))
}

/// Sends files of a directory under the names of their roles.
fn upload(repository: &Repository, files: &[Value]) -> Response {
    let files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|file| {
            let path = Path::new(file.as_str().unwrap());
            let name = path.file_name().unwrap().to_str().unwrap();
            // Versions stand before the names of roots alone.
            let name = if name.ends_with(".root.json") {
                "root.json"
            } else {
                name
            };
            (name, fs::read(path).unwrap())
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect();
    repository.send_bytes("metadata", &files)
}

/// What must not change when something is refused.
fn state(repository: &Repository) -> (Vec<u8>, Value) {
    let timestamp = repository.get("metadata/timestamp.json").body;
    (timestamp, repository.get("sign").json())
}

#[test]
fn what_python_tufs_simulator_publishes_is_taken_in_and_each_of_its_attacks_refused_with_the_reason() {
    let server = builder().start();
    let repository = Repository::new("team/simulated", server.client("alice"));
    let out = server.path().join("dumps");
    let settings = server.path().join("dumps.json");
    let online = repository.get("keys").ok().json();
    fs::write(&settings, json!({"out": out, "online": online}).to_string()).unwrap();
    let mut python = Command::new(format!("{SCRIPTS}/venv/bin/python"));
    python.arg(format!("{SCRIPTS}/dumps.py")).arg(&settings);
    let plan = Finished::run(&mut python, "").ok().output();
    let plan: Vec<Value> = serde_json::from_str(plan.lines().last().unwrap()).unwrap();
    let mut wrong = Vec::new();
    let mut attacks = 0;
    for step in &plan {
        let before = state(&repository);
        let answer = upload(&repository, step["upload"].as_array().unwrap());
        let reason = answer.json()["errors"][0]["detail"]["reason"].clone();
        let expected = match step["reason"].is_null() {
            true => answer.status == 200,
            false => answer.status == 400 && reason == step["reason"] && state(&repository) == before,
        };
        attacks += usize::from(!step["reason"].is_null());
        if !expected {
            wrong.push(format!("{}: {} {}", step["name"], answer.status, answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(attacks > 25, "{attacks}");
    for (path, content) in [
        ("app.txt", &b"three"[..]),
        ("docs/guide.txt", b"two"),
        ("releases/1.tar", b"tar"),
    ] {
        let path = format!("targets/{}", consistent(path, content));
        assert_eq!(repository.request("PUT", &path, content).status, 201);
    }
    let root = repository.get("metadata/1.root.json").ok().body;
    let files = server.pki().user("reader");
    for reader in READERS {
        reader.install(&server, "team/simulated", &root, &files).finds(&[
            ("app.txt", b"three"),
            ("docs/guide.txt", b"two"),
            ("releases/1.tar", b"tar"),
        ]);
    }
    server.command_line("check").ok();
    server.command_line("audit verify").ok();
}

/// A web server for a directory, of others.
fn serve(directory: &Path) -> (Daemon, String) {
    let port = free_port();
    let mut python = Command::new("/usr/bin/python3");
    python
        .args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"])
        .arg(directory)
        .arg(port.to_string());
    let daemon = Daemon::spawn(&mut python, &directory.with_extension("log"));
    wait_until("the web server listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    (daemon, format!("http://127.0.0.1:{port}"))
}

/// What tough finds in a directory, beginning with a root: the SHA-256 of a target.
fn tough_finds(directory: &Path, path: &str) -> Result<String, String> {
    let url = |below: &str| Url::from_directory_path(directory.join(below)).unwrap();
    let root = fs::read(directory.join("initial_root.json")).unwrap();
    let loading = RepositoryLoader::new(&root, url("metadata"), url("targets"))
        .transport(FilesystemTransport)
        .load();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let loaded = runtime.block_on(loading).map_err(|cause| cause.to_string())?;
    let name = TargetName::new(path).map_err(|cause| cause.to_string())?;
    runtime.block_on(async {
        let stream = loaded
            .read_target(&name)
            .await
            .map_err(|cause| cause.to_string())?;
        let mut stream = stream.ok_or("it is not there")?;
        let mut content = Vec::new();
        while let Some(piece) = stream.next().await {
            content.extend(piece.map_err(|cause| cause.to_string())?);
        }
        Ok(hex::encode(openssl::sha::sha256(&content)))
    })
}

#[test]
fn an_exported_repository_is_one_of_the_static_repositories_on_which_clients_are_tested() {
    let server = builder().start();
    let repository = Repository::new("team/static", server.client("alice"));
    let (owner, next, bob) = (Key::new(), Key::new(), Key::new());
    let (mut root, mut targets) = repository.make(&owner, &[("top.txt", b"top")]);
    // Everything that a repository can have: several roots, other keys, roles below each other, names to be encoded.
    root.version = root.version.next().unwrap();
    root.root = all_of(&[&next]);
    let second = signed(root.draft().unwrap(), &[&owner, &next]);
    repository.send("metadata", &[&second]).ok();
    targets.version = targets.version.next().unwrap();
    let roles = ["targets/releases", "\u{e4} b"].map(|name| Role::parse(name).unwrap());
    let delegate = |role: &Role, paths: DelegatedPaths| Delegate {
        role: role.clone(),
        signers: all_of(&[&bob]),
        paths,
        terminating: false,
    };
    targets.delegate(delegate(&roles[0], DelegatedPaths::everything()));
    let mut releases = TargetsContent::first(&repository.name, roles[0].clone(), in_days(30));
    releases.delegate(delegate(
        &roles[1],
        DelegatedPaths::Patterns(vec!["deep/*".to_owned()]),
    ));
    let mut deep = TargetsContent::first(&repository.name, roles[1].clone(), in_days(30));
    let path = "deep/file with \u{e4}.txt";
    deep.targets.insert(path.to_owned(), Target::of(b"deep"));
    repository
        .send(
            "metadata",
            &[
                &owner.sign(&targets.draft().unwrap()),
                &bob.sign(&releases.draft().unwrap()),
                &bob.sign(&deep.draft().unwrap()),
            ],
        )
        .ok();
    let stored = format!("targets/{}", consistent("deep/file%20with%20%C3%A4.txt", b"deep"));
    assert_eq!(repository.request("PUT", &stored, b"deep").status, 201);
    let out = server.path().join("static");
    server
        .command_line(&format!("tuf export team/static --out {}", out.display()))
        .ok();
    let (_web, base) = serve(&out);
    let initial = fs::read(out.join("initial_root.json")).unwrap();
    let named = fs::read_to_string(out.join("targetpath")).unwrap();
    let wanted = [named.as_str(), "top.txt", path];
    for reader in READERS {
        let directory = server.path().join(format!("static-{reader:?}"));
        let answer = reader.install_at(&base, &initial, directory).read(&wanted);
        let found = &answer["found"];
        assert!(found.is_object(), "{reader:?}: {answer}");
        assert_eq!(found["top.txt"], sha256(b"top"), "{reader:?}: {found}");
        assert_eq!(found[path], sha256(b"deep"), "{reader:?}: {found}");
        assert!(found[&named].is_string(), "{reader:?}: {found}");
    }
    assert_eq!(tough_finds(&out, "top.txt"), Ok(sha256(b"top")));
    assert_eq!(tough_finds(&out, path), Ok(sha256(b"deep")));
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(openssl::sha::sha256(bytes))
}
