//! `whoami`: shows an operator the name that a certificate gives its holder, and why.

use std::{fs, path::Path, process::Command};

use platform::pki::{Template, Usage};
use serde_json::{Value, json};
use tests::{
    operator::documented_toml,
    pki::TestPki,
    process::{Finished, built_programs},
};

fn whoami(arguments: &[&Path]) -> Finished {
    let mut run = Command::new(built_programs().join("countersign-server"));
    run.arg("whoami").args(arguments);
    Finished::run(&mut run, "")
}

/// A configuration file beside a CA, with these rules.
fn configured(directory: &Path, more: Value) -> std::path::PathBuf {
    let mut tree = json!({"server": {"client_ca_file": "./ca.pem"}});
    let entries = more.as_object().unwrap().clone();
    tree.as_object_mut().unwrap().extend(entries);
    let path = directory.join("server.json");
    fs::write(&path, tree.to_string()).unwrap();
    path
}

fn with_config(directory: &Path, more: Value, certificate: &Path) -> Finished {
    let config = configured(directory, more);
    let explain = Path::new("--explain");
    whoami(&[
        "--config".as_ref(),
        &config,
        "--cert".as_ref(),
        certificate,
        explain,
    ])
}

#[test]
fn without_a_configuration_the_common_name_counts_and_no_ca_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let alice = TestPki::new(directory.path()).user("alice");
    whoami(&["--cert".as_ref(), &alice.certificate])
        .ok()
        .says("no CA was checked")
        .says("principal: alice")
        .says("rule: default");
}

#[test]
fn rules_are_explained_one_by_one() {
    let directory = tempfile::tempdir().unwrap();
    let pki = TestPki::new(directory.path());
    let rules = json!({"identity": [
        {"name": "workloads", "preset": "spiffe"},
        {"name": "elsewhere", "preset": "cn", "issuer": {"ca": "corp"}},
        {"name": "people", "match": {"subject": "CN=(?P<u>[^,+]+)"}, "principal": "corp:${u}", "groups": ["staff"]},
        {"name": "rest", "preset": "cn"}
    ]});
    with_config(directory.path(), rules, &pki.user("alice").certificate)
        .ok()
        .says("verified by: default")
        .says("principal: corp:alice")
        .says("groups: staff")
        .says("rule: people")
        .says("rule workloads: does not match: the certificate has no uri_san")
        .says("rule elsewhere: does not match: the CA set corp does not verify it; default does")
        .says("rule people: matches: corp:alice in staff")
        .says("rule rest: matches (a rule before it decides): alice");
}

#[test]
fn a_certificate_that_no_ca_verifies_gives_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let pki = TestPki::new(directory.path());
    let cases = [
        (pki.stranger("alice"), "unable to get local issuer certificate"),
        (pki.expired(), "certificate has expired"),
        (pki.not_yet_valid(), "certificate is not yet valid"),
        (pki.server_only(), "certificate purpose"),
    ];
    for (files, why) in cases {
        with_config(directory.path(), json!({}), &files.certificate)
            .fails()
            .says(why)
            .says("no client CA verifies the certificate")
            .does_not_say("principal:");
    }
}

#[test]
fn a_chain_may_follow_the_certificate_or_be_named() {
    let directory = tempfile::tempdir().unwrap();
    let pki = TestPki::new(directory.path());
    let whole = pki.behind_intermediate("whole", true);
    with_config(directory.path(), json!({}), &whole.certificate).ok();
    let leaf = pki.behind_intermediate("leaf", false);
    with_config(directory.path(), json!({}), &leaf.certificate).fails();
    let config = configured(directory.path(), json!({}));
    let (cert, chain) = (Path::new("--cert"), Path::new("--chain"));
    let intermediate = pki.intermediate();
    whoami(&[
        "--config".as_ref(),
        &config,
        cert,
        &leaf.certificate,
        chain,
        &intermediate,
    ])
    .ok()
    .says("principal: leaf");
}

#[test]
fn a_rule_can_ask_for_one_of_several_cas() {
    let directory = tempfile::tempdir().unwrap();
    let pki = TestPki::new(directory.path());
    let partner = TestPki::new(&directory.path().join("partner"));
    let inline = fs::read_to_string(partner.ca()).unwrap();
    let config = json!({
        "client_cas": {"Partner": inline},
        "identity": [
            {"name": "partner", "preset": "cn", "issuer": {"ca": "Partner"}, "principal": "partner:${cn}"},
            {"name": "own", "preset": "cn", "issuer": {"ca": "default"}}
        ]
    });
    // The same name from both CAs is two people.
    with_config(
        directory.path(),
        config.clone(),
        &partner.user("alice").certificate,
    )
    .ok()
    .says("principal: partner:alice");
    with_config(directory.path(), config, &pki.user("alice").certificate)
        .ok()
        .says("principal: alice");
}

#[test]
fn a_rule_that_refuses_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let pki = TestPki::new(directory.path());
    let rules = json!({"identity": [
        {"name": "short", "preset": "cn", "require": {"max_lifetime": "24h"}}, {"name": "any", "preset": "cn"}
    ]});
    let long = pki.client("long", &Template::new("long", Usage::Client, 30));
    with_config(directory.path(), rules, &long.certificate)
        .fails()
        .says("lifetime_too_long")
        .says("at most 1day");
    let anonymous = pki.user("anonymous");
    with_config(directory.path(), json!({}), &anonymous.certificate)
        .fails()
        .says("reserved_name");
}

#[test]
fn wrong_rules_and_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let pki = TestPki::new(directory.path());
    let alice = pki.user("alice");
    let rules = json!({"identity": [{"name": "a", "match": {"cn": "("}, "principal": "x"}]});
    with_config(directory.path(), rules, &alice.certificate)
        .fails()
        .says("identity[0].match.cn");
    with_config(directory.path(), json!({}), &alice.key)
        .fails()
        .says("it holds no PEM certificate");
    let cas = json!({"client_cas": {"corp": "./nowhere.pem"}});
    with_config(directory.path(), cas, &alice.certificate)
        .fails()
        .says("nowhere.pem");
}

#[test]
fn the_documented_rules_do_what_the_page_says() {
    let directory = tempfile::tempdir().unwrap();
    let pki = TestPki::new(directory.path());
    let example = documented_toml("identity-and-access.md").remove(0);
    let before = "[server]\nclient_ca_file = \"./ca.pem\"\n[storage]\nbackend = \"memory\"\n";
    let config = directory.path().join("server.toml");
    fs::write(&config, format!("{before}{example}")).unwrap();
    let mut template = Template::new("Alice", Usage::Client, 1);
    template.organisations = vec!["Acme".to_owned()];
    let alice = pki.client("alice", &template);
    let explain = Path::new("--explain");
    whoami(&[
        "--config".as_ref(),
        &config,
        "--cert".as_ref(),
        &alice.certificate,
        explain,
    ])
    .fails()
    .says("rule workloads: does not match: the CA set internal does not verify it; default does")
    .says(r#"rule people: does not match: subject is "CN=Alice,O=Acme""#)
    .says("rule accounts: does not match: its key")
    .says("(unmapped)");
}
