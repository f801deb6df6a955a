//! Repositories moved between servers: by file with their whole history, and from a Notary server over its API.

use std::{ffi::OsString, fs, path::Path, process::Command};

use serde_json::json;
use tests::{
    Finished, Notary, Programs, SERVED, Stop, TestServer, process::built_programs, publisher::Publisher,
    token_service::TokenService,
};

const GUN: &str = "registry.example.com/team/app";
const OTHER: &str = "registry.example.com/team/other";

/// The same person with the same keys, at another server.
fn at(server: &TestServer, person: &Notary) -> Notary {
    Notary::new(&server.url(), &server.pki().user("alice"), person.trust())
}

/// A reader who has never seen a repository.
fn reader(server: &TestServer, name: &str) -> Notary {
    server.notary(name)
}

fn export(server: &TestServer, file: &Path, guns: &[&str]) -> Finished {
    let mut arguments: Vec<OsString> = vec!["--out".into(), file.into()];
    arguments.extend(guns.iter().map(OsString::from));
    server.operate("export", arguments)
}

fn import(server: &TestServer, file: &Path) -> Finished {
    server.operate("import", [file])
}

fn mirror(to: &TestServer, from: &TestServer, guns: &[&str]) -> Finished {
    let files = from.pki().user("mirror");
    let mut arguments: Vec<OsString> = vec!["--from".into(), from.url().into()];
    for (option, file) in [
        ("--tlscacert", &files.ca),
        ("--tlscert", &files.certificate),
        ("--tlskey", &files.key),
    ] {
        arguments.extend([option.into(), file.into()]);
    }
    arguments.extend(guns.iter().map(OsString::from));
    to.operate("mirror", arguments)
}

/// A repository with two targets and a rotated snapshot key.
fn publish(alice: &Notary, gun: &str) {
    alice.run(["init", gun, "-p"]).ok();
    alice.add_and_publish(gun, "v1", "one");
    alice.run(["key", "rotate", gun, "snapshot", "-r"]).ok();
    alice.add_and_publish(gun, "v2", "two");
}

/// Copies the signer's keys of `from` to `to`, as an operator who moves both does.
fn move_keys(from: &mut TestServer, to: &mut TestServer) {
    from.stop_signer(Stop::Politely);
    to.stop_signer(Stop::Politely);
    to.copy_keys_of(from);
    from.start_signer();
    to.start_signer();
}

#[test]
fn a_file_carries_every_version_byte_for_byte_and_is_imported_once() {
    let (from, to) = (TestServer::start(), TestServer::start());
    let alice = from.notary("alice");
    publish(&alice, GUN);
    publish(&alice, OTHER);
    let file = from.path().join("export");
    export(&from, &file, &["--all"])
        .ok()
        .says("2 repositories are in");
    import(&to, &file)
        .ok()
        .says(&format!("{GUN}: "))
        .says(" documents");
    assert_eq!(to.documents(), from.documents());
    assert!(
        to.documents().iter().any(|row| row.contains(" root 1 ")),
        "the history is there"
    );
    let import_row = ("update".to_owned(), "(import)".to_owned(), String::new());
    assert_eq!(to.actors(), [import_row.clone(), import_row]);
    assert_eq!(reader(&to, "bob").targets(GUN), ["v1", "v2"]);

    import(&to, &file).ok().says(&format!("{GUN}: nothing new"));
    assert_eq!(to.actors().len(), 2);
    assert_eq!(to.documents(), from.documents());

    alice.add_and_publish(GUN, "v3", "three");
    export(&from, &file, &[GUN]).ok().says("1 repositories are in");
    import(&to, &file).ok().says("3 new documents");
    assert_eq!(to.documents(), from.documents());
    assert_eq!(to.actors().len(), 3);
    assert_eq!(reader(&to, "carol").targets(GUN).len(), 3);
}

#[test]
fn a_file_goes_into_every_database_and_out_again() {
    let from = TestServer::start();
    publish(&from.notary("alice"), GUN);
    let file = from.path().join("export");
    export(&from, &file, &[GUN]).ok();
    // Storing times aside: some databases keep whole seconds.
    let lines = |file: &Path| -> Vec<serde_json::Value> {
        let text = fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .map(|mut line: serde_json::Value| {
                line["stored_at"] = json!(null);
                line
            })
            .collect()
    };
    for engine in SERVED {
        let to = TestServer::builder().database(engine).start();
        import(&to, &file).ok().says(" documents");
        import(&to, &file).ok().says("nothing new");
        assert_eq!(reader(&to, "bob").targets(GUN), ["v1", "v2"], "{engine:?}");
        to.operate("check", ["--all"])
            .fails()
            .says("1 repository in it")
            .says("the signer does not have its timestamp key")
            .does_not_say("targets version");
        to.check_signer(Some(to.passphrase()), ["--all"]).ok();
        let again = to.path().join("again");
        export(&to, &again, &["--all"]).ok();
        assert_eq!(lines(&again), lines(&file), "{engine:?}");
    }
}

#[test]
fn with_the_signers_keys_a_repository_goes_on_where_it_was() {
    let (mut from, mut to) = (TestServer::start(), TestServer::start());
    let alice = from.notary("alice");
    publish(&alice, GUN);
    let file = from.path().join("export");
    export(&from, &file, &[GUN]).ok();
    import(&to, &file).ok();
    move_keys(&mut from, &mut to);
    at(&to, &alice).add_and_publish(GUN, "v3", "three");
    assert_eq!(reader(&to, "bob").targets(GUN).len(), 3);

    // What was published to on both sides has no common future.
    let second = from.notary("alice").elsewhere("trust-alice-2");
    fs::remove_dir_all(second.trust()).unwrap();
    Finished::run(
        Command::new("cp")
            .arg("-r")
            .arg(alice.trust())
            .arg(second.trust()),
        "",
    )
    .ok();
    let before = to.documents();
    at(&from, &second).add_and_publish(GUN, "v4", "four");
    export(&from, &file, &[GUN]).ok();
    import(&to, &file)
        .fails()
        .says("refused")
        .says("both were published to");
    assert_eq!(to.documents(), before);
    // The other direction: what is older there is refused as well.
    mirror(&to, &from, &[GUN]).fails().says("refused");
    assert_eq!(to.documents(), before);
}

#[test]
fn a_broken_history_is_refused_and_the_others_are_imported() {
    let (from, to) = (TestServer::start(), TestServer::start());
    let alice = from.notary("alice");
    publish(&alice, GUN);
    publish(&alice, OTHER);
    let file = from.path().join("export");
    export(&from, &file, &["--all"]).ok();
    let text = fs::read_to_string(&file).unwrap();
    // The documents of one repository under the name of another.
    let renamed = text.replacen(
        &format!("{{\"repository\":\"{GUN}\""),
        "{\"repository\":\"stolen\"",
        1,
    );
    assert_ne!(renamed, text);
    fs::write(&file, renamed).unwrap();
    import(&to, &file)
        .fails()
        .says("stolen: refused: it is broken: root version 1:")
        .says(&format!("{OTHER}: "))
        .says("1 repositories were not imported");
    assert!(to.documents().iter().all(|row| row.starts_with(OTHER)));
    assert_eq!(to.documents().len(), from.documents().len() / 2);

    fs::write(&file, &text[..text.len() / 2]).unwrap();
    import(&to, &file).fails().says("the file ends here");
    fs::write(&file, "something else\n").unwrap();
    import(&to, &file)
        .fails()
        .says("line 1: this is not a line of an export");
}

#[test]
fn an_export_names_missing_repositories_and_leaves_no_partial_file() {
    let from = TestServer::start();
    publish(&from.notary("alice"), GUN);
    let file = from.path().join("export");
    export(&from, &file, &[GUN, "no/such"])
        .fails()
        .says("no/such: nothing is stored of this repository");
    export(&from, &file, &[]).fails().says("--all");
    assert!(!file.exists() && !file.with_extension("part").exists());
}

/// A Go server with its own keys and nothing on disk.
fn notary_server() -> TestServer {
    TestServer::builder()
        .programs(Programs::Notarys)
        .signs_locally()
        .set("storage", json!({"backend": "memory"}))
        .start()
}

/// Adds a delegation whose key is imported, and publishes to it.
fn delegate(alice: &Notary, gun: &str) {
    let run = |arguments: &[&str]| {
        let mut openssl = Command::new("openssl");
        Finished::run(openssl.current_dir(alice.trust()).args(arguments), "").ok();
    };
    run(&[
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        "d-key.pem",
    ]);
    run(&["ec", "-in", "d-key.pem", "-pubout", "-out", "d.pem"]);
    let path = |name: &str| alice.trust().join(name).display().to_string();
    let add = [
        "delegation",
        "add",
        gun,
        "targets/releases",
        &path("d.pem"),
        "--all-paths",
        "-p",
    ];
    alice.run(add).ok();
    let import = [
        "key",
        "import",
        &path("d-key.pem"),
        "--role",
        "targets/releases",
        "--gun",
        gun,
    ];
    alice.run(import).ok();
    alice.add_and_publish_to(gun, "released", "targets/releases");
}

#[test]
fn a_repository_of_a_notary_server_is_mirrored_read_handed_over_and_published_to() {
    let (mut from, to) = (notary_server(), TestServer::start());
    let alice = from.notary("alice");
    alice.run(["init", GUN, "-p"]).ok();
    alice.add_and_publish(GUN, "v1", "one");
    alice.run(["key", "rotate", GUN, "timestamp", "-r"]).ok();
    delegate(&alice, GUN);

    mirror(&to, &from, &[GUN])
        .ok()
        .says(&format!("{GUN}: "))
        .says("notary key rotate GUN timestamp -r");
    mirror(&to, &from, &[GUN]).ok().says("nothing new");
    alice.add_and_publish(GUN, "v2", "two");
    mirror(&to, &from, &[GUN]).ok().says("new documents");
    from.stop_server(Stop::Politely);

    let listed = reader(&to, "bob").run(["list", GUN]).ok();
    listed.says("v1").says("v2").says("targets/releases");
    to.operate("check", [GUN])
        .fails()
        .says("the signer does not have its timestamp key")
        .does_not_say("root version");

    let alice = at(&to, &alice);
    let file = alice.file("content", "three");
    alice.run(["add", GUN, "v3", &file.display().to_string()]).ok();
    alice
        .run(["publish", GUN])
        .fails()
        .says(&format!("notary key rotate {GUN} timestamp -r"));
    alice.run(["key", "rotate", GUN, "timestamp", "-r"]).ok();
    alice.run(["publish", GUN]).ok();
    let bob = reader(&to, "bob");
    assert_eq!(bob.targets(GUN).len(), 4);
    bob.run_with_input(["verify", GUN, "v3"], "three").ok();
    to.operate("check", [GUN]).ok();
}

#[test]
fn a_snapshot_key_of_the_other_server_is_taken_back_before_leaving() {
    let (from, to) = (notary_server(), TestServer::start());
    let alice = from.notary("alice");
    publish(&alice, GUN);
    mirror(&to, &from, &[GUN]).ok();
    assert_eq!(reader(&to, "bob").targets(GUN).len(), 2);
    // A root can be published only with a snapshot and a timestamp that name it, and the CLI changes one key at a
    // time: with both keys away neither can be replaced.
    let moved = at(&to, &alice);
    let way_out = format!("notary -s https://THAT-SERVER key rotate {GUN} snapshot");
    moved
        .run(["key", "rotate", GUN, "timestamp", "-r"])
        .fails()
        .says(&way_out);
    moved
        .run(["key", "rotate", GUN, "snapshot", "-r"])
        .fails()
        .says(&format!("notary key rotate {GUN} timestamp -r"));
    let file = moved.file("content", "three");
    moved.run(["add", GUN, "v3", &file.display().to_string()]).ok();
    moved
        .run(["publish", GUN])
        .fails()
        .says(&way_out)
        .says("delete the repository and sign anew");
    moved.run(["reset", GUN, "--all"]).ok();

    alice.run(["key", "rotate", GUN, "snapshot"]).ok();
    mirror(&to, &from, &[GUN]).ok().says("new documents");
    moved.run(["key", "rotate", GUN, "timestamp", "-r"]).ok();
    moved.run(["key", "rotate", GUN, "snapshot", "-r"]).ok();
    moved.add_and_publish(GUN, "v3", "three");
    assert_eq!(reader(&to, "bob").targets(GUN).len(), 3);
    to.operate("check", [GUN])
        .ok()
        .says("the snapshot keys of 1 of them");
}

#[test]
fn an_expired_timestamp_without_its_key_is_served_as_it_is() {
    let from = TestServer::builder().days_ago(20).start();
    let to = TestServer::start();
    let client = from.client("alice");
    Publisher::since_a_month_ago(&client, GUN).publish_first(&client, GUN);
    mirror(&to, &from, &[GUN]).ok();
    let path = format!("/v2/{GUN}/_trust/tuf/timestamp.json");
    let (here, there) = (to.client("bob").get(&path), from.client("bob").get(&path));
    assert_eq!(here.status, 200);
    assert_eq!(here.body, there.body);
    reader(&to, "bob").run(["list", GUN]).fails().says("expired");
}

#[test]
fn mirror_logs_in_to_a_server_that_wants_tokens() {
    let prepared = TestServer::builder().prepare();
    let service = TokenService::start(prepared.pki());
    let config = prepared.path().join("server.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    json["auth"] = service.configuration();
    json["server"].as_object_mut().unwrap().remove("client_ca_file");
    let mut from = prepared.start();
    publish(&from.notary("alice"), GUN);
    fs::write(&config, json.to_string()).unwrap();
    from.restart_server(Stop::Politely);

    let to = TestServer::start();
    let run = |variable: Option<(&str, &str)>, more: &[&str]| {
        let mut command = Command::new(built_programs().join("countersign-server"));
        command
            .arg("mirror")
            .arg("--config")
            .arg(to.path().join("server.json"));
        command
            .args(["--from", &from.url()])
            .arg("--tlscacert")
            .arg(from.pki().ca());
        command.args(more).arg(GUN);
        if let Some((name, value)) = variable {
            command.env(name, value);
        }
        Finished::run(&mut command, "")
    };
    run(None, &["--user-env", "LOGIN"])
        .fails()
        .says("LOGIN is not set");
    run(Some(("TOKEN", "nonsense")), &["--token-env", "TOKEN"])
        .fails()
        .says("refuses these credentials");
    run(Some(("LOGIN", "alice:password")), &["--user-env", "LOGIN"]).ok();
    assert_eq!(reader(&to, "bob").targets(GUN).len(), 2);
    let asked = service.queries();
    assert!(
        asked.iter().any(|query| query.contains("account=alice")),
        "{asked:?}"
    );
}

#[test]
fn a_server_of_an_unknown_ca_or_none_at_all_is_refused_in_words() {
    let (from, to) = (TestServer::start(), TestServer::start());
    let url = from.url();
    to.operate("mirror", ["--from", &url, GUN])
        .fails()
        .says("certificate verify failed");
    to.operate("mirror", ["--from", "https://localhost:1", GUN])
        .fails()
        .says("refused");
    to.operate("mirror", ["--from", "ftp://localhost", GUN])
        .fails()
        .says("neither https nor http");
    mirror(&to, &from, &["no/such"])
        .fails()
        .says("the other server does not have this repository")
        .does_not_say("key rotate");
    assert_eq!(to.documents(), Vec::<String>::new());
}
