//! Keys and roles as documents list them.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::x509::X509;
use serde_json::{Map, Value, json};
use tuf::{DelegationName, KeyId, KeyType, PublicKey, RoleName};

use super::error::PublishError;

/// The keys that may sign for a role.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    /// The keys with the IDs under which they are listed.
    pub(super) keys: Vec<(String, PublicKey)>,
    /// How many must sign.
    pub(super) threshold: usize,
}

/// The ID of a key's bare public half, under which stores keep the private one.
pub(super) fn bare_id(key: &PublicKey) -> Option<KeyId> {
    let kind = match key.key_type() {
        KeyType::EcdsaX509 => KeyType::Ecdsa,
        KeyType::RsaX509 => KeyType::Rsa,
        _ => return Some(key.id().clone()),
    };
    let chain = X509::stack_from_pem(key.public()).ok()?;
    let public = chain.first()?.public_key().ok()?.public_key_to_der().ok()?;
    Some(PublicKey::new(kind, public).id().clone())
}

/// A key as documents carry it.
pub(super) fn to_json(key: &PublicKey) -> Value {
    json!({
        "keytype": key.key_type().as_str(),
        "keyval": {"private": null, "public": STANDARD.encode(key.public())},
    })
}

/// A file as a snapshot lists it.
pub(super) fn file_meta(bytes: &[u8]) -> Value {
    let sha256 = STANDARD.encode(openssl::sha::sha256(bytes));
    let sha512 = STANDARD.encode(openssl::sha::sha512(bytes));
    json!({"hashes": {"sha256": sha256, "sha512": sha512}, "length": bytes.len()})
}

/// The keys of a base role.
pub(super) fn base_role(root: &Value, role: &RoleName) -> Result<Declared, PublishError> {
    let entry = &root["roles"][role.as_str()];
    if !entry.is_object() {
        return Err(wrong("root", &format!("it lists no {}", role.as_str())));
    }
    declared("root", &root["keys"], entry)
}

/// The keys of a delegation; `None` if it is not declared.
pub(super) fn delegation(
    above: &str,
    signed: &Value,
    role: &DelegationName,
) -> Result<Option<Declared>, PublishError> {
    let delegations = &signed["delegations"];
    let roles = delegations["roles"].as_array();
    let entry = roles.and_then(|roles| roles.iter().find(|entry| entry["name"] == role.as_str()));
    entry
        .map(|entry| declared(above, &delegations["keys"], entry))
        .transpose()
}

/// The names of the delegations that a document declares.
pub(super) fn delegations(signed: &Value) -> impl Iterator<Item = &str> {
    let roles = signed["delegations"]["roles"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    roles.iter().filter_map(|entry| entry["name"].as_str())
}

fn declared(document: &str, keys: &Value, entry: &Value) -> Result<Declared, PublishError> {
    let ids = entry["keyids"].as_array().map_or(&[][..], Vec::as_slice);
    let threshold = entry["threshold"]
        .as_u64()
        .and_then(|threshold| usize::try_from(threshold).ok());
    let threshold = threshold.ok_or_else(|| wrong(document, "it declares a role without a threshold"))?;
    let mut found = Vec::new();
    for id in ids.iter().filter_map(Value::as_str) {
        let key = &keys[id];
        let (kind, public) = (key["keytype"].as_str(), key["keyval"]["public"].as_str());
        // A key that cannot be read signs nothing.
        if let (Some(kind), Some(public)) = (kind, public)
            && let Ok(public) = STANDARD.decode(public)
        {
            found.push((id.to_owned(), PublicKey::new(KeyType::parse(kind), public)));
        }
    }
    Ok(Declared {
        keys: found,
        threshold,
    })
}

/// The list of a document's delegations.
pub(super) fn roles<'a>(
    above: &str,
    delegations: &'a mut Map<String, Value>,
) -> Result<&'a mut Vec<Value>, PublishError> {
    let roles = delegations.entry("roles").or_insert(Value::Null);
    if roles.is_null() {
        *roles = json!([]);
    }
    roles
        .as_array_mut()
        .ok_or_else(|| wrong(above, "its delegations are no list"))
}

/// The entry of a delegation.
pub(super) fn role_in<'a>(
    above: &str,
    delegations: &'a mut Map<String, Value>,
    role: &DelegationName,
) -> Result<Option<&'a mut Map<String, Value>>, PublishError> {
    let found = roles(above, delegations)?
        .iter_mut()
        .find(|entry| entry["name"] == role.as_str());
    Ok(found.and_then(Value::as_object_mut))
}

/// Lists keys beside those that are listed.
pub(super) fn add_keys(
    above: &str,
    delegations: &mut Map<String, Value>,
    keys: &[PublicKey],
) -> Result<(), PublishError> {
    let listed = delegations.entry("keys").or_insert(Value::Null);
    if listed.is_null() {
        *listed = json!({});
    }
    let listed = listed
        .as_object_mut()
        .ok_or_else(|| wrong(above, "the keys of its delegations are no object"))?;
    for key in keys {
        listed.insert(key.id().as_str().to_owned(), to_json(key));
    }
    Ok(())
}

/// Adds texts to a list that does not have them.
pub(super) fn add_texts<'a>(
    above: &str,
    entry: &mut Map<String, Value>,
    name: &str,
    texts: impl Iterator<Item = &'a str>,
) -> Result<(), PublishError> {
    let list = entry.entry(name.to_owned()).or_insert(Value::Null);
    if list.is_null() {
        *list = json!([]);
    }
    let list = list
        .as_array_mut()
        .ok_or_else(|| wrong(above, &format!("{name} of a delegation is no list")))?;
    for text in texts {
        if !list.iter().any(|known| known == text) {
            list.push(text.into());
        }
    }
    Ok(())
}

/// Takes out keys that no delegation has any more.
pub(super) fn forget_unused_keys(
    above: &str,
    delegations: &mut Map<String, Value>,
) -> Result<(), PublishError> {
    let used = used(roles(above, delegations)?.iter());
    if let Some(keys) = delegations.get_mut("keys").and_then(Value::as_object_mut) {
        keys.retain(|id, _| used.contains(id));
    }
    Ok(())
}

/// Takes out keys that no base role has any more.
pub(super) fn forget_unused_root_keys(root: &mut Value) -> Result<(), PublishError> {
    let roles = root["roles"]
        .as_object()
        .ok_or_else(|| wrong("root", "it lists no roles"))?;
    let used = used(roles.values());
    if let Some(keys) = root.get_mut("keys").and_then(Value::as_object_mut) {
        keys.retain(|id, _| used.contains(id));
    }
    Ok(())
}

fn used<'a>(entries: impl Iterator<Item = &'a Value>) -> BTreeSet<String> {
    entries
        .flat_map(|entry| entry["keyids"].as_array().map_or(&[][..], Vec::as_slice))
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect()
}

fn wrong(role: &str, reason: &str) -> PublishError {
    PublishError::Document {
        role: role.to_owned(),
        reason: reason.to_owned(),
    }
}
