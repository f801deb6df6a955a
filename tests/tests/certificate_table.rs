//! Which client certificates Notary's server and ours accept. docs/divergences.md lists the differences.

use std::{collections::BTreeMap, fs};

use openssl::ssl::{SslContext, SslFiletype, SslMethod};
use serde_json::json;
use tests::{ClientFiles, Notary, TestServer, certificate_table::table, server::Programs};

/// Whether a server accepts a client, and the reason if it does not.
fn admitted(server: &TestServer, files: &ClientFiles, path: &str) -> Result<(), String> {
    // What OpenSSL does not present, a Go client does.
    if !openssl_presents(files) {
        let trust = server.path().join("trust-of-somebody");
        let notary = Notary::new(&server.url(), files, &trust);
        let told = notary.run(["list", "app"]).fails().output();
        let inside = told.contains("does not have trust data for app");
        return if inside {
            Ok(())
        } else {
            Err(format!("notary: {told}"))
        };
    }
    let client = server.client_with(files);
    match client.try_request("GET", path, &[], &[]) {
        Ok(answer) if answer.status == 401 => Err(answer.error()["detail"]["reason"].to_string()),
        Ok(_) => Ok(()),
        Err(_) => Err("alert".to_owned()),
    }
}

fn openssl_presents(files: &ClientFiles) -> bool {
    let mut builder = SslContext::builder(SslMethod::tls_client()).unwrap();
    builder.set_cipher_list("DEFAULT:@SECLEVEL=0").unwrap();
    let certificate = builder.set_certificate_chain_file(&files.certificate);
    certificate.is_ok() && builder.set_private_key_file(&files.key, SslFiletype::PEM).is_ok()
}

/// The rows of the table in docs/divergences.md: what Notary's server does and what ours does.
fn documented() -> BTreeMap<String, (bool, bool)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/divergences.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("<!-- certificates -->").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let gets_in = |cell: &str| cell == "gets in";
        (cells[1].to_owned(), (gets_in(cells[2]), gets_in(cells[3])))
    })
    .collect()
}

#[test]
fn certificates_that_notary_accepts_are_accepted_except_for_documented_ones() {
    let prepared = TestServer::builder().requests_certificates().prepare();
    let server_ca = prepared.pki().ca();
    let table = table(prepared.path(), &server_ca);
    let anchors = prepared.path().join("anchors.pem");
    fs::write(&anchors, &table.anchors).unwrap();
    let anchors = json!(anchors);
    let theirs = TestServer::builder()
        .with_pki_of(&prepared)
        .programs(Programs::Notarys)
        .signs_locally()
        .set("storage", json!({"backend": "memory"}))
        .set("server.client_ca_file", anchors.clone())
        .start();
    let ours = TestServer::builder()
        .with_pki_of(&prepared)
        .requests_certificates()
        .signs_locally()
        .set(
            "identity",
            json!([{"name": "all", "match": {"issuer": ".*"}, "principal": "somebody"}]),
        )
        .set("server.client_ca_file", anchors)
        .start();
    let mut found = BTreeMap::new();
    for (name, files) in &table.rows {
        let go = admitted(&theirs, files, "/_notary_server/health");
        let here = admitted(&ours, files, "/v2/");
        println!(
            "{name} | {} | {here:?}",
            if go.is_ok() { "gets in" } else { "refused" }
        );
        if go.is_ok() != here.is_ok() {
            found.insert((*name).to_owned(), (go.is_ok(), here.is_ok()));
        }
    }
    assert_eq!(found, documented());
}
