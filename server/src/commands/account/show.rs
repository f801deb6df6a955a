//! Formats accounts and keys as text and as JSON.

use serde_json::{Value, json};

use crate::store::{Account, AccountKey};

/// Rights and groups on one line.
pub(super) fn form(account: &Account) -> String {
    let admin = if account.is_admin { "administrator" } else { "user" };
    let groups = match account.groups.as_slice() {
        [] => "no groups".to_owned(),
        groups => format!("groups {}", groups.join(", ")),
    };
    let full_name = account.full_name.as_ref();
    let full_name = full_name.map_or_else(String::new, |name| format!(", {name}"));
    format!("{admin}, {groups}{full_name}")
}

/// A key with its names.
pub(super) fn key(key: &AccountKey, indent: &str) -> String {
    let label = key.label.as_deref().unwrap_or("(no label)");
    let note = key.note.as_ref();
    let note = note.map_or_else(String::new, |note| {
        format!("\n{indent}  note:              {note}")
    });
    let certificate = key.certificate_key_id.as_deref().unwrap_or("(no certificate)");
    format!(
        "{indent}key {label}, since {}\n\
         {indent}  SPKI SHA-256:       {}\n\
         {indent}  key ID:             {}\n\
         {indent}  key ID (x509):      {certificate}{note}",
        key.created_at, key.spki_sha256, key.key_id
    )
}

/// An account with its keys.
pub(super) fn json(account: &Account, keys: &[AccountKey]) -> Value {
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({
                "label": key.label,
                "spki_sha256": key.spki_sha256,
                "key_id": key.key_id,
                "x509_key_id": key.certificate_key_id,
                "public_key": key.public_key,
                "certificate": key.certificate,
                "created_at": key.created_at,
                "note": key.note,
            })
        })
        .collect();
    json!({
        "name": account.name,
        "full_name": account.full_name,
        "admin": account.is_admin,
        "groups": account.groups,
        "created_at": account.created_at,
        "disabled_at": account.disabled_at,
        "disabled_reason": account.disabled_reason,
        "keys": keys,
    })
}
