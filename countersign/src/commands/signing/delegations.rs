//! The delegations of a verified repository, as their parents declare them.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tuf::{DelegationName, KeyType, PublicKey, RoleName};
use verifier::{Documents, Repository};

use crate::commands::Failure;

/// A delegation.
pub(super) struct Delegation {
    /// Its full name.
    pub(super) role: DelegationName,
    /// Its keys.
    pub(super) keys: Vec<PublicKey>,
    /// What the names of its targets may begin with.
    pub(super) paths: Vec<String>,
    /// How many of its keys must sign.
    pub(super) threshold: u64,
}

/// The delegations that readers accept, and those below them that are declared, parents first.
pub(super) fn of(repository: &Repository, documents: &Documents) -> Result<Vec<Delegation>, Failure> {
    let mut found = Vec::new();
    for parent in repository.roles() {
        let signed = signed(documents, parent.name())?;
        let keys = &signed["delegations"]["keys"];
        for entry in list(&signed["delegations"]["roles"]) {
            let Some(role) = entry["name"]
                .as_str()
                .and_then(|name| DelegationName::parse(name).ok())
            else {
                continue;
            };
            // A parent declares what is directly below it.
            if role.parent().as_str() != parent.name() {
                continue;
            }
            let texts = |value: &Value| -> Vec<String> {
                let texts = list(value).iter().filter_map(Value::as_str);
                texts.map(str::to_owned).collect()
            };
            found.push(Delegation {
                keys: texts(&entry["keyids"])
                    .iter()
                    .filter_map(|id| key(&keys[id]))
                    .collect(),
                paths: texts(&entry["paths"]),
                threshold: entry["threshold"].as_u64().unwrap_or(1),
                role,
            });
        }
    }
    Ok(found)
}

/// The signed part of `targets` or a delegation.
pub(super) fn signed(documents: &Documents, role: &str) -> Result<Value, Failure> {
    let bytes = documents.targets.get(role).cloned().unwrap_or_default();
    let mut document: Value = serde_json::from_slice(&bytes)
        .map_err(|cause| Failure(format!("the document of {role} cannot be read: {cause}")))?;
    Ok(document["signed"].take())
}

/// Checks that a delegation is declared, and names those that are if it is not.
pub(super) fn must_have(declared: &[Delegation], role: &RoleName, gun: &tuf::Gun) -> Result<(), Failure> {
    let is_there = match role {
        RoleName::Delegation(name) => declared.iter().any(|known| known.role == *name),
        base => *base == RoleName::Targets,
    };
    if is_there {
        return Ok(());
    }
    if !role.is_targets_type() {
        return Err(Failure(format!(
            "{role} names no images: sign in `targets` or in a delegation such as targets/alice"
        )));
    }
    let known: Vec<&str> = declared.iter().map(|known| known.role.as_str()).collect();
    let known = if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    let name = role.as_str().strip_prefix("targets/").unwrap_or_default();
    Err(Failure(format!(
        "{gun} has no delegation {role} ({known}); its owner adds a signer with `countersign signer add {name} {gun} \
         CERTIFICATE`"
    )))
}

/// The ID of the bare public key, under which the private one is kept and which does not change with a certificate.
pub(super) fn bare_id(key: &PublicKey) -> String {
    key.bare()
        .map_or_else(|| key.id().to_string(), |bare| bare.id().to_string())
}

fn key(value: &Value) -> Option<PublicKey> {
    let public = STANDARD.decode(value["keyval"]["public"].as_str()?).ok()?;
    Some(PublicKey::new(KeyType::parse(value["keytype"].as_str()?), public))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
