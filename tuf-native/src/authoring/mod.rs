//! Makes the contents of root, targets and delegated roles, for those who sign them.
//!
//! [`RootContent`] and [`TargetsContent`] are edited as plain values; `draft` writes them as a [`Draft`] of
//! the profile, to which signatures are added.

mod root;
mod targets;

use bytes::Bytes;
use serde_json::{Map, Value};
use tuf::Version;

use crate::body::REPOSITORY_MEMBER;
use crate::draft::Draft;
use crate::key::PublicKey;
use crate::name::RepositoryName;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::signers::Signers;

pub use root::RootContent;
pub use targets::{Delegate, DelegatedPaths, Target, TargetsContent};

/// What begins with `x-` in a signed value.
fn extensions(signed: &Map<String, Value>) -> Map<String, Value> {
    let extension = |(name, _): &(&String, &Value)| name.starts_with("x-");
    let members = signed.iter().filter(extension);
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Says in the extensions for which repository a file is.
fn bind(extensions: &mut Map<String, Value>, repository: &RepositoryName) {
    extensions.insert(REPOSITORY_MEMBER.to_owned(), repository.as_str().into());
}

/// Keys by key ID, as metadata lists them.
fn key_map<'a>(keys: impl Iterator<Item = &'a PublicKey>) -> Value {
    let mut map: Vec<(String, Value)> = keys.map(|key| (key.id().to_string(), key.to_json())).collect();
    map.sort_by(|one, other| one.0.cmp(&other.0));
    map.dedup_by(|one, other| one.0 == other.0);
    Value::Object(map.into_iter().collect())
}

fn key_ids(signers: &Signers) -> Value {
    signers
        .keys()
        .iter()
        .map(|key| Value::from(key.id().as_str()))
        .collect()
}

fn draft(
    role: &Role,
    mut signed: Map<String, Value>,
    extensions: &Map<String, Value>,
) -> Result<Draft, Refusal> {
    signed.extend(extensions.clone());
    signed.sort_keys();
    let file = serde_json::json!({"signatures": [], "signed": signed});
    Draft::parse(role, Bytes::from(file.to_string()))
}

fn next(role: &Role, version: Version) -> Result<Version, Refusal> {
    version
        .next()
        .ok_or_else(|| Refusal::LastVersion { role: role.clone() })
}
