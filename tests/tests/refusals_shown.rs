//! The table "what you see, what it means" of docs/client-certificates.md: each real client prints the documented
//! message for each kind of refused certificate.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::json;
use tests::{
    ClientFiles, Finished, TestServer,
    docker::{DockerHost, REGISTRY},
    flows::docker::World,
    namespace::ADDRESS,
    process::{built_programs, free_port},
};

/// The rows of the table: what is wrong, and then what the clients print.
fn rows() -> Vec<Vec<String>> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/client-certificates.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("<!-- refusals -->").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        row.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    })
    .collect()
}

/// Whether a client printed what a cell of the table says: the parts around `…`, in this order.
fn says(text: &str, cell: &str) -> bool {
    let mut rest = Some(text);
    for part in cell.split('…').map(str::trim) {
        rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
    }
    rest.is_some() && !cell.is_empty()
}

/// What one person's programs print: curl, notary, docker.
fn printed(host: &DockerHost, home: &Path, url: &str, files: Option<&ClientFiles>, ca: &Path) -> [String; 3] {
    let server = url.trim_start_matches("https://");
    let mut set_up = format!(
        "rm -rf .docker; mkdir -p '.docker/tls/{server}'; cp '{0}' '.docker/tls/{server}/ca.crt'; ",
        ca.display()
    );
    let (mut curl, mut notary) = (String::new(), String::new());
    if let Some(files) = files {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        set_up.push_str(&format!(
            "cp '{certificate}' '.docker/tls/{server}/client.cert'; cp '{key}' '.docker/tls/{server}/client.key'; "
        ));
        curl = format!("--cert '{certificate}' --key '{key}'");
        notary = format!("--tlscert '{certificate}' --tlskey '{key}'");
    }
    let ca = ca.display();
    [
        format!(
            "curl -sS --tls-max 1.2 --cacert '{ca}' {curl} {url}/v2/{REGISTRY}/team/app/_trust/tuf/root.json"
        ),
        format!("notary -v -s {url} --tlscacert '{ca}' {notary} -d trust list {REGISTRY}/team/app"),
        format!("DOCKER_CONTENT_TRUST=1 DOCKER_CONTENT_TRUST_SERVER={url} docker pull {REGISTRY}/team/app:1"),
    ]
    .map(|command| {
        host.shell(home, &format!("{set_up}{command} || true"))
            .ok()
            .output()
    })
}

#[test]
fn every_client_prints_for_every_refusal_what_the_page_says() {
    let strict = free_port();
    let world = World::start(TestServer::builder().requests_certificates().set(
        "listeners",
        json!([{"name": "strict", "address": format!("{ADDRESS}:{strict}"), "client_auth": "require"}]),
    ).set("policy", json!([{"effect": "allow", "principals": ["alice", "revoked"], "actions": ["*"]}])));
    let (host, server) = (world.host(), world.server());
    let pki = server.pki();
    let revoked = pki.user("revoked");
    let mut deny = std::process::Command::new(built_programs().join("countersign-server"));
    deny.args(["deny", "add", "--config"])
        .arg(server.path().join("server.json"))
        .arg("--cert")
        .arg(&revoked.certificate);
    Finished::run(&mut deny, "").ok();
    let people: BTreeMap<&str, Option<ClientFiles>> = BTreeMap::from([
        ("no certificate", None),
        ("of another CA", Some(pki.stranger("mallory"))),
        ("expired", Some(pki.expired())),
        ("not yet valid", Some(pki.not_yet_valid())),
        ("for servers only", Some(pki.server_only())),
        ("revoked", Some(revoked)),
        ("without the right", Some(pki.user("bob"))),
    ]);
    let home = server.path().join("home");
    let mut wrong = Vec::new();
    let mut seen = 0;
    let rows = rows();
    for (who, files) in &people {
        for (mode, url) in [
            ("request", server.url()),
            (
                "require",
                server
                    .url()
                    .replace(&server.port().to_string(), &strict.to_string()),
            ),
        ] {
            if *who == "without the right" && mode == "require" {
                continue;
            }
            let printed = printed(host, &home, &url, files.as_ref(), &pki.ca());
            let row = rows.iter().find(|row| row[0] == *who && row[1] == mode);
            seen += usize::from(row.is_some());
            for (position, text) in printed.iter().enumerate() {
                let expected = row.and_then(|row| row.get(position + 2));
                if !expected.is_some_and(|expected| says(text, expected)) {
                    wrong.push(format!("{who}, {mode}: expected {expected:?} in:\n{text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, rows.len(), "the table has rows that nobody tried");
}
