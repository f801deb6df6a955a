//! Users with passwords, for servers that accept them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, phc::PasswordHash},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    http::{Client, Response},
    server::{Builder, TestServer},
};

/// The lowest cost, because the passwords of tests need no protection.
pub const COST: u32 = 4;

/// A password as htpasswd writes it.
pub fn bcrypt_of(password: &str, cost: u32) -> String {
    bcrypt::hash(password, cost).unwrap()
}

fn argon2id_of(password: &str) -> String {
    let params = Params::new(64, 1, 1, None).unwrap();
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = hasher
        .hash_password_with_salt(password.as_bytes(), b"salt of a test")
        .unwrap();
    hash.to_string()
}

/// Users `alice` (`correct horse`, bcrypt) and `bob` (`p:ässwort`, argon2id), in a file of the test.
pub fn users(directory: &Path) -> PathBuf {
    let file = directory.join("users");
    let users = format!(
        "# people\nalice:{}\nbob:{}\n",
        bcrypt_of("correct horse", COST).replace("$2b$", "$2y$"),
        argon2id_of("p:ässwort")
    );
    fs::write(&file, users).unwrap();
    file
}

/// `auth.password` with that file.
pub fn settings() -> Value {
    json!({"enabled": true, "file": "users"})
}

/// A server that accepts certificates and these passwords.
pub fn builder() -> Builder {
    TestServer::builder()
        .requests_certificates()
        .signs_locally()
        .set("auth", json!({"password": settings()}))
}

/// Starts it with the file of users.
pub fn start(builder: Builder) -> TestServer {
    let prepared = builder.prepare();
    users(prepared.path());
    prepared.start()
}

/// The value of `Authorization`.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A request with a user name and a password.
pub fn as_user(client: &Client, user: &str, password: &str, method: &str, path: &str) -> Response {
    client.request(method, path, &[("Authorization", &basic(user, password))], &[])
}
