//! `account`: registers keys to people, for organisations whose certificates do not contain users' names.

use std::{path::Path, process::Command, sync::Barrier, thread};

use openssl::x509::X509;
use platform::pki::{Issued, KeyKind, Template, Usage};
use serde_json::{Value, json};
use tests::{
    ENGINES, Engine, TestServer,
    process::{Finished, built_programs},
    server::Prepared,
};

fn command(prepared: &Prepared, line: &str, files: &[&Path]) -> Finished {
    let mut run = Command::new(built_programs().join("countersign-server"));
    run.args(line.split_whitespace())
        .args(files)
        .arg("--config")
        .arg(prepared.path().join("server.json"));
    Finished::run(&mut run, "")
}

/// A server whose identity rules use registered keys.
fn prepared(engine: Engine) -> Prepared {
    TestServer::builder()
        .database(engine)
        .set(
            "identity",
            json!([{"name": "accounts", "preset": "registered-key"}]),
        )
        .prepare()
}

fn list(prepared: &Prepared) -> Value {
    let listed = command(prepared, "account list --json", &[]).ok();
    serde_json::from_str(&listed.stdout).unwrap()
}

#[test]
fn on_every_engine_a_key_is_its_account_until_that_is_disabled() {
    for engine in ENGINES {
        let prepared = prepared(engine);
        let certificate = prepared.pki().user("employee-4711").certificate;
        let whoami = || command(&prepared, "whoami --explain --cert", &[&certificate]);
        command(
            &prepared,
            "account add alice --group ops --group dev --full-name Alice",
            &[],
        )
        .ok()
        .says("account alice added");
        whoami()
            .fails()
            .says("is not registered to an account")
            .says("(unmapped)");
        command(
            &prepared,
            "account key add alice --label laptop --cert",
            &[&certificate],
        )
        .ok()
        .says("key registered to account alice")
        .does_not_say("note:");
        whoami()
            .ok()
            .says("principal: alice")
            .says("groups: dev, ops")
            .says("rule: accounts");
        command(&prepared, "account disable alice", &[])
            .ok()
            .says("account alice disabled");
        command(&prepared, "account disable alice", &[])
            .ok()
            .says("is already disabled");
        whoami().fails().says("account_disabled");
        assert!(list(&prepared)[0]["disabled_at"].is_string(), "{engine:?}");
        command(&prepared, "account enable alice", &[]).ok();
        whoami().ok();
        command(&prepared, "account remove alice", &[])
            .ok()
            .says("removed");
        whoami().fails().says("unmapped");
        assert_eq!(list(&prepared), json!([]), "{engine:?}");
    }
}

#[test]
fn names_are_compared_exactly_on_every_engine() {
    for engine in ENGINES {
        let prepared = prepared(engine);
        for name in ["alice", "Alice", "älice", "alice2"] {
            command(&prepared, &format!("account add {name}"), &[])
                .ok()
                .says("added");
        }
        command(&prepared, "account disable Alice", &[]).ok();
        let disabled: Vec<Value> = list(&prepared)
            .as_array()
            .unwrap()
            .iter()
            .filter(|account| account["disabled_at"].is_string())
            .map(|account| account["name"].clone())
            .collect();
        assert_eq!(disabled, ["Alice"], "{engine:?}");
    }
}

#[test]
fn commands_can_be_repeated_and_say_what_is_different() {
    let prepared = prepared(Engine::Sqlite);
    let key = prepared.pki().user("a").certificate;
    command(&prepared, "account add alice --group dev", &[]).ok();
    command(&prepared, "account add alice --group dev", &[])
        .ok()
        .says("exists already");
    command(&prepared, "account add alice --group ops --admin", &[])
        .ok()
        .says("changed from: user, groups dev")
        .says("administrator, groups ops");
    command(&prepared, "account key add alice --cert", &[&key]).ok();
    command(&prepared, "account key add alice --cert", &[&key])
        .ok()
        .says("is already registered");
    assert_eq!(list(&prepared)[0]["keys"].as_array().unwrap().len(), 1);
    let whoami = command(&prepared, "whoami --cert", &[&key]).ok();
    whoami.says("groups: ops, admins");
    let spki = list(&prepared)[0]["keys"][0]["spki_sha256"]
        .as_str()
        .unwrap()
        .to_owned();
    command(&prepared, &format!("account key remove alice {spki}"), &[])
        .ok()
        .says("removed from");
    command(&prepared, &format!("account key remove alice {spki}"), &[])
        .ok()
        .says("nothing to remove");
    command(&prepared, "account key list alice", &[])
        .ok()
        .says("has no keys");
    command(&prepared, "account remove alice", &[]).ok();
    command(&prepared, "account remove alice", &[])
        .ok()
        .says("nothing to remove");
    command(&prepared, "account list", &[])
        .ok()
        .says("there are no accounts");
}

#[test]
fn a_disabled_account_is_not_enabled_by_adding_it_again() {
    let prepared = prepared(Engine::Sqlite);
    command(&prepared, "account add alice", &[]).ok();
    command(&prepared, "account disable alice", &[]).ok();
    command(&prepared, "account add alice --group dev", &[])
        .ok()
        .says("it stays disabled");
    assert!(list(&prepared)[0]["disabled_at"].is_string());
}

#[test]
fn a_key_of_another_account_is_refused() {
    let prepared = prepared(Engine::Sqlite);
    let key = prepared.pki().user("shared").certificate;
    for name in ["alice", "bob"] {
        command(&prepared, &format!("account add {name}"), &[]).ok();
    }
    command(&prepared, "account key add alice --cert", &[&key]).ok();
    command(&prepared, "account key add bob --cert", &[&key])
        .fails()
        .says("is registered to the account alice");
    command(&prepared, "whoami --cert", &[&key])
        .ok()
        .says("principal: alice");
}

#[test]
fn of_two_who_register_one_key_at_once_one_has_it() {
    for engine in ENGINES {
        let prepared = prepared(engine);
        let key = prepared.pki().user("shared").certificate;
        let names = ["a", "b", "c", "d"];
        for name in names {
            command(&prepared, &format!("account add {name}"), &[]).ok();
        }
        let start = Barrier::new(names.len());
        let outcomes: Vec<Finished> = thread::scope(|scope| {
            let runs = names.map(|name| {
                let (prepared, key, start) = (&prepared, &key, &start);
                scope.spawn(move || {
                    start.wait();
                    command(prepared, &format!("account key add {name} --cert"), &[key])
                })
            });
            runs.map(|run| run.join().unwrap()).into()
        });
        let (won, lost): (Vec<Finished>, Vec<Finished>) =
            outcomes.into_iter().partition(|outcome| outcome.code == 0);
        assert_eq!(won.len(), 1, "{engine:?}: {won:?} {lost:?}");
        lost.into_iter()
            .for_each(|lost| drop(lost.says("is registered to the account")));
    }
}

#[test]
fn a_key_is_listed_under_the_names_that_clients_give_it() {
    // The default rules: the keys need not count here.
    let prepared = TestServer::builder().database(Engine::Sqlite).prepare();
    let files = prepared.pki().user("alice");
    let certificate = X509::from_pem(&std::fs::read(&files.certificate).unwrap()).unwrap();
    let public = prepared.path().join("public.pem");
    let pem = certificate.public_key().unwrap().public_key_to_pem().unwrap();
    std::fs::write(&public, pem).unwrap();
    command(&prepared, "account add alice", &[]).ok();
    command(&prepared, "account key add alice --public-key", &[&public]).ok();
    let bare = list(&prepared)[0]["keys"][0].clone();
    assert_eq!(bare["x509_key_id"], Value::Null);
    command(&prepared, "account key add alice --cert", &[&files.certificate])
        .ok()
        .says("has a new label, certificate or note");
    let with_certificate = list(&prepared)[0]["keys"][0].clone();
    assert_eq!(with_certificate["key_id"], bare["key_id"]);

    // The notary CLI stores a private key under the ID of the bare key, and lists a certificate under its own.
    let files = [files.key, files.certificate].map(|file| file.to_str().unwrap().to_owned());
    let server = prepared.start();
    let notary = server.notary("bob");
    notary.run(["key", "import", &files[0], "--role", "alice"]).ok();
    let key_id = bare["key_id"].as_str().unwrap();
    let stored = notary.trust().join(format!("private/{key_id}.key"));
    assert!(stored.exists(), "no {}", stored.display());
    notary.run(["init", "a"]).ok();
    notary
        .run([
            "delegation",
            "add",
            "a",
            "targets/alice",
            &files[1],
            "--all-paths",
        ])
        .ok()
        .says(key_id);
    notary.run(["publish", "a"]).ok();
    let targets = server
        .client("bob")
        .get("/v2/a/_trust/tuf/targets.json")
        .ok()
        .json();
    let delegated = &targets["signed"]["delegations"]["keys"];
    let certified = with_certificate["x509_key_id"].as_str().unwrap();
    assert!(delegated[certified].is_object(), "no {certified} in {delegated}");
}

#[test]
fn a_renewed_certificate_of_the_same_key_is_the_same_account() {
    let prepared = prepared(Engine::Sqlite);
    let first = prepared.pki().user("alice");
    command(&prepared, "account add alice", &[]).ok();
    command(&prepared, "account key add alice --cert", &[&first.certificate]).ok();
    let key = std::fs::read(&first.key).unwrap();
    let renewed = renewed(prepared.pki().authority(), &key);
    let path = prepared.path().join("renewed.pem");
    std::fs::write(&path, renewed.to_pem().unwrap()).unwrap();
    command(&prepared, "whoami --cert", &[&path])
        .ok()
        .says("principal: alice");
}

/// Another certificate, with another name, of the same key.
fn renewed(authority: &Issued, key: &[u8]) -> X509 {
    let key = openssl::pkey::PKey::private_key_from_pem(key).unwrap();
    let template = Template::new("somebody", Usage::Client, 1);
    let model = authority.issue(&template).unwrap().certificate;
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(model.subject_name()).unwrap();
    builder.set_issuer_name(model.issuer_name()).unwrap();
    builder.set_not_before(model.not_before()).unwrap();
    builder.set_not_after(model.not_after()).unwrap();
    builder.set_pubkey(&key).unwrap();
    // Without a positive number nobody could tell whether it was revoked.
    builder.set_serial_number(model.serial_number()).unwrap();
    builder
        .sign(&authority.key, openssl::hash::MessageDigest::sha256())
        .unwrap();
    builder.build()
}

#[test]
fn invalid_accounts_and_keys_are_refused() {
    let prepared = prepared(Engine::Sqlite);
    for name in ["anonymous", "token:x", "group:x", "*"] {
        command(&prepared, &format!("account add {name}"), &[])
            .fails()
            .says("is reserved");
    }
    command(&prepared, "account add alice", &[]).ok();
    for unknown in [
        "account disable bob",
        "account enable bob",
        "account key list bob",
    ] {
        command(&prepared, unknown, &[])
            .fails()
            .says("there is no account bob");
    }
    let alice = prepared.pki().user("alice");
    command(&prepared, "account key add bob --cert", &[&alice.certificate])
        .fails()
        .says("there is no account bob");
    command(&prepared, "account key add alice --cert", &[&alice.key])
        .fails()
        .says("holds no certificate");
    command(
        &prepared,
        "account key add alice --public-key",
        &[&alice.certificate],
    )
    .fails()
    .says("holds no public key");
    command(&prepared, "account key add alice", &[])
        .fails()
        .says("--cert");
    let weak = prepared.pki().with_key("weak", KeyKind::Rsa(1024));
    command(&prepared, "account key add alice --cert", &[&weak.certificate])
        .fails()
        .says("RSA of at least 2048 bits");
    assert_eq!(list(&prepared)[0]["keys"], json!([]));
}

#[test]
fn a_key_that_no_rule_uses_is_reported() {
    let prepared = TestServer::builder().database(Engine::Sqlite).prepare();
    let alice = prepared.pki().user("alice").certificate;
    command(&prepared, "account add alice", &[]).ok();
    command(&prepared, "account key add alice --cert", &[&alice])
        .ok()
        .says("note: no identity rule");
}
