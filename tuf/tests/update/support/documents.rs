//! Documents as a publisher writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tuf::canonicalize;

use super::Key;

/// The bytes of a document with signatures by these keys.
pub fn sign(signed: &Value, keys: &[&Key]) -> Vec<u8> {
    let message = canonicalize(signed).unwrap();
    let signatures = keys
        .iter()
        .map(|key| signature(key, key.id(), &message))
        .collect();
    write(signed, signatures)
}

/// The bytes of a document with these signatures.
pub fn write(signed: &Value, signatures: Vec<Value>) -> Vec<u8> {
    json!({ "signed": signed, "signatures": signatures })
        .to_string()
        .into_bytes()
}

fn signature(key: &Key, id: &str, message: &[u8]) -> Value {
    let signature = key.sign(message);
    json!({ "keyid": id, "method": signature.method.as_str(), "sig": BASE64.encode(&signature.bytes) })
}

fn key(key: &Key) -> Value {
    let public = BASE64.encode(key.public.public());
    json!({ "keytype": key.public.key_type().as_str(), "keyval": { "private": null, "public": public } })
}

fn keys(keys: &[&Key]) -> Value {
    Value::Object(keys.iter().map(|k| (k.id().to_owned(), key(k))).collect())
}

fn ids(keys: &[&Key]) -> Vec<String> {
    keys.iter().map(|k| k.id().to_owned()).collect()
}

/// The signed part of a root; `roles` are root, targets, snapshot, timestamp, with threshold 1.
pub fn root_body(version: i64, roles: [&[&Key]; 4]) -> Value {
    let role = |keys: &[&Key]| json!({ "keyids": ids(keys), "threshold": 1 });
    json!({
        "_type": "Root",
        "consistent_snapshot": false,
        "expires": "2036-11-20T00:00:00Z",
        "keys": keys(&roles.concat()),
        "roles": {
            "root": role(roles[0]),
            "targets": role(roles[1]),
            "snapshot": role(roles[2]),
            "timestamp": role(roles[3]),
        },
        "version": version,
    })
}

/// The signed part of a targets document; every delegation brings its own keys.
pub fn targets_body(version: i64, delegations: &[(&str, &[&Key])]) -> Value {
    let listed: Vec<&Key> = delegations
        .iter()
        .flat_map(|(_, keys)| keys.iter().copied())
        .collect();
    let roles: Vec<Value> = delegations
        .iter()
        .map(|(name, keys)| delegation(name, keys))
        .collect();
    json!({
        "_type": "Targets",
        "delegations": { "keys": keys(&listed), "roles": roles },
        "expires": "2029-11-20T00:00:00Z",
        "targets": {},
        "version": version,
    })
}

pub fn delegation(name: &str, keys: &[&Key]) -> Value {
    json!({ "keyids": ids(keys), "name": name, "paths": [""], "threshold": 1 })
}

/// The signed part of a snapshot of these documents.
pub fn snapshot_body(version: i64, documents: &[(&str, &[u8])]) -> Value {
    let meta = |bytes: &[u8]| {
        json!({
            "hashes": {
                "sha256": BASE64.encode(openssl::sha::sha256(bytes)),
                "sha512": BASE64.encode(openssl::sha::sha512(bytes)),
            },
            "length": bytes.len(),
        })
    };
    let meta = documents
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), meta(bytes)))
        .collect();
    json!({
        "_type": "Snapshot",
        "expires": "2029-11-20T00:00:00Z",
        "meta": Value::Object(meta),
        "version": version,
    })
}
