//! Servers with revocation lists, and what they answer to clients whose certificates are on one.

use serde_json::{Value, json};

use crate::{
    Authority, ClientFiles, TestServer,
    server::{Builder, Prepared},
};

/// The client CA of a server, able to make lists.
pub fn authority(prepared: &Prepared) -> Authority {
    let pki = prepared.pki();
    Authority::new(pki.authority(), &prepared.path().join("authority"), &pki.ca())
}

/// A server that uses the list in `list.pem`.
pub fn with_list() -> Builder {
    TestServer::builder()
        .requests_certificates()
        .set("revocation.crl.files", json!(["list.pem"]))
}

/// The reason for which a server refuses these files.
pub fn reason(server: &TestServer, files: &ClientFiles) -> Value {
    let error = server.client_with(files).get("/v2/").refuses(401, "UNAUTHORIZED");
    error["detail"]["reason"].clone()
}
