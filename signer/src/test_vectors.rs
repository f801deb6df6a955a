//! Rows written by a Notary signer on PostgreSQL and MySQL, with everything needed to check them.

use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    postgres: Backend,
    mysql: Backend,
}

#[derive(Deserialize)]
struct Backend {
    passphrase: String,
    rows: Vec<Row>,
}

/// One row of `private_keys`.
#[derive(Deserialize)]
pub(crate) struct Row {
    pub(crate) key_id: String,
    pub(crate) algorithm: String,
    pub(crate) passphrase_alias: String,
    pub(crate) gun: String,
    pub(crate) role: String,
    pub(crate) public_hex: String,
    pub(crate) private_jwe: String,
    pub(crate) plaintext_hex: String,
    pub(crate) deleted_at: Option<String>,
    /// Of the whole file; filled in after reading.
    #[serde(default)]
    pub(crate) passphrase: String,
}

pub(crate) fn rows() -> Vec<Row> {
    let file: File =
        serde_json::from_str(include_str!("../../fixtures/signer/go-signer-vectors.json")).unwrap();
    [file.postgres, file.mysql]
        .into_iter()
        .flat_map(|Backend { passphrase, rows }| {
            rows.into_iter().map(move |row| Row {
                passphrase: passphrase.clone(),
                ..row
            })
        })
        .collect()
}
