//! The documents of a repository while they are being changed: pure, without keys and servers. What is not changed, and
//! what this program does not know, stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tuf::{DelegationName, Gun, KeyId, KeyType, PublicKey, RoleName};
use verifier::{Documents, Repository};

use super::change::Change;
use super::error::PublishError;
use super::listed::{self, Declared, bare_id};

/// The documents that a publish starts from, and what becomes of them.
pub(super) struct Draft {
    gun: Gun,
    /// The signed parts by role, without the timestamp.
    signed: BTreeMap<String, Value>,
    /// The documents as they are published now, where they verify.
    published: BTreeMap<String, Bytes>,
    /// Versions that a new document has to be above.
    floor: BTreeMap<String, i64>,
    /// Roles with a new document.
    changed: BTreeSet<String>,
}

impl Draft {
    /// Starts from documents that were verified. What a delegation says that readers do not accept is not taken over.
    pub(super) fn of(repository: &Repository, documents: &Documents) -> Result<Self, PublishError> {
        let mut draft = Self::empty(repository.gun());
        let root = documents.roots.last().cloned().unwrap_or_default();
        draft.take("root", &root)?;
        draft.take("snapshot", &documents.snapshot)?;
        for (role, bytes) in &documents.targets {
            if repository.role(role).is_some() {
                draft.take(role, bytes)?;
            } else if let Ok(name) = RoleName::parse(role)
                && let Ok(version) = tuf::stated_version(bytes, &name)
            {
                draft.floor.insert(role.clone(), version.get().into());
            }
        }
        Ok(draft)
    }

    /// Starts a new repository.
    pub(super) fn empty(gun: &Gun) -> Self {
        Self {
            gun: gun.clone(),
            signed: BTreeMap::new(),
            published: BTreeMap::new(),
            floor: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// A new repository with these keys for its base roles.
    pub(super) fn new_repository(gun: &Gun, keys: &[(RoleName, PublicKey)]) -> Result<Self, PublishError> {
        let mut draft = Self::empty(gun);
        let root = json!({
            "_type": "Root", "consistent_snapshot": false, "expires": "", "keys": {}, "roles": {}, "version": 0,
        });
        draft.signed.insert("root".into(), root);
        draft.signed.insert("targets".into(), empty_targets());
        for (role, key) in keys {
            draft.set_role_keys(role, std::slice::from_ref(key))?;
        }
        draft.changed.extend(["root".to_owned(), "targets".to_owned()]);
        Ok(draft)
    }

    fn take(&mut self, role: &str, bytes: &Bytes) -> Result<(), PublishError> {
        let document: Value = serde_json::from_slice(bytes).map_err(|cause| wrong(role, &cause))?;
        let version = document.pointer("/signed/version").and_then(Value::as_i64);
        let (Some(signed @ Value::Object(_)), Some(version)) = (document.get("signed"), version) else {
            return Err(wrong(role, "it has no signed part with a version"));
        };
        self.floor.insert(role.to_owned(), version);
        self.signed.insert(role.to_owned(), signed.clone());
        self.published.insert(role.to_owned(), bytes.clone());
        Ok(())
    }

    /// Makes a change.
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), PublishError> {
        match change {
            Change::AddTarget { role, name, target } => {
                let gun = self.gun.clone();
                let targets = self.targets_of(role)?;
                if name.is_empty() {
                    return Err(PublishError::Senseless(format!("a target of {gun} needs a name")));
                }
                targets.insert(name.clone(), target.to_json());
                self.changed.insert(role.as_str().to_owned());
            }
            Change::RemoveTarget { role, name } => {
                // Removing keeps the order of the others.
                if self.targets_of(role)?.shift_remove(name).is_none() {
                    let what = format!("{} does not name {name:?}", role.as_str());
                    return Err(PublishError::NotThere { what });
                }
                self.changed.insert(role.as_str().to_owned());
            }
            Change::AddDelegation { role, keys, paths } => self.add_delegation(role, keys, paths)?,
            Change::RemoveDelegationKeys { role, keys } => self.remove_keys(role, keys)?,
            Change::ReplaceDelegationKeys { role, keys } => self.replace_keys(role, keys)?,
            Change::RemoveDelegation { role } => self.remove_delegation(role)?,
            Change::Witness {
                role: RoleName::Timestamp,
            } => {
                return Err(PublishError::Senseless(
                    "the timestamp is signed by the server alone".into(),
                ));
            }
            Change::Witness { role } => {
                if role.is_targets_type() {
                    self.targets_of(role)?;
                }
                self.changed.insert(role.as_str().to_owned());
            }
            Change::SetRoleKeys { role, keys } => self.set_role_keys(role, keys)?,
        }
        Ok(())
    }

    /// The targets that a role names. A delegation that was never published, or that readers do not accept, starts empty.
    fn targets_of(&mut self, role: &RoleName) -> Result<&mut Map<String, Value>, PublishError> {
        let name = role.as_str();
        if !role.is_targets_type() {
            return Err(PublishError::Senseless(format!("{name} names no targets")));
        }
        if *role != RoleName::Targets && self.declared(role)?.is_none() {
            let what = format!("{} has no delegation {name}; add it first", self.gun);
            return Err(PublishError::NotThere { what });
        }
        let signed = self.signed.entry(name.to_owned()).or_insert_with(empty_targets);
        member(name, signed, "targets")
    }

    /// The part of the document above a delegation that declares delegations.
    fn delegations(
        &mut self,
        role: &DelegationName,
    ) -> Result<(String, &mut Map<String, Value>), PublishError> {
        let parent = role.parent();
        let name = parent.as_str().to_owned();
        let Some(signed) = self.signed.get_mut(&name) else {
            let what = format!(
                "{name}, which would delegate to {}, is not published",
                role.as_str()
            );
            return Err(PublishError::NotThere { what });
        };
        self.changed.insert(name.clone());
        let delegations = member(&name, signed, "delegations")?;
        Ok((name, delegations))
    }

    fn add_delegation(
        &mut self,
        role: &DelegationName,
        keys: &[PublicKey],
        paths: &[String],
    ) -> Result<(), PublishError> {
        let (above, delegations) = self.delegations(role)?;
        let is_new = listed::role_in(&above, delegations, role)?.is_none();
        if is_new && (keys.is_empty() || paths.is_empty()) {
            let text = format!(
                "a new delegation such as {} needs a key and a path",
                role.as_str()
            );
            return Err(PublishError::Senseless(text));
        }
        if is_new {
            let entry = json!({"keyids": [], "name": role.as_str(), "paths": [], "threshold": 1});
            listed::roles(&above, delegations)?.push(entry);
        }
        listed::add_keys(&above, delegations, keys)?;
        let Some(entry) = listed::role_in(&above, delegations, role)? else {
            return Ok(());
        };
        let ids = keys.iter().map(|key| key.id().as_str());
        listed::add_texts(&above, entry, "keyids", ids)?;
        listed::add_texts(&above, entry, "paths", paths.iter().map(String::as_str))
    }

    fn remove_keys(&mut self, role: &DelegationName, keys: &[KeyId]) -> Result<(), PublishError> {
        let declared = self.must_be_declared(role)?;
        let named = |id: &str, key: &PublicKey| {
            let bare = bare_id(key);
            keys.iter()
                .any(|wanted| wanted.as_str() == id || bare.as_ref() == Some(wanted))
        };
        let (gone, left): (Vec<_>, Vec<_>) = declared.keys.iter().partition(|(id, key)| named(id, key));
        if gone.is_empty() {
            let what = format!("{} has none of these keys", role.as_str());
            return Err(PublishError::NotThere { what });
        }
        if left.len() < declared.threshold {
            let text = format!(
                "{} would have {} keys left, and {} must sign; remove the delegation instead",
                role.as_str(),
                left.len(),
                declared.threshold
            );
            return Err(PublishError::Senseless(text));
        }
        let left: Vec<String> = left.into_iter().map(|(id, _)| id.clone()).collect();
        self.set_key_ids(role, left)
    }

    fn replace_keys(&mut self, role: &DelegationName, keys: &[PublicKey]) -> Result<(), PublishError> {
        let declared = self.must_be_declared(role)?;
        if keys.len() < declared.threshold || keys.is_empty() {
            let text = format!(
                "{} needs at least {} keys",
                role.as_str(),
                declared.threshold.max(1)
            );
            return Err(PublishError::Senseless(text));
        }
        let (above, delegations) = self.delegations(role)?;
        listed::add_keys(&above, delegations, keys)?;
        self.set_key_ids(
            role,
            keys.iter().map(|key| key.id().as_str().to_owned()).collect(),
        )
    }

    fn set_key_ids(&mut self, role: &DelegationName, ids: Vec<String>) -> Result<(), PublishError> {
        let (above, delegations) = self.delegations(role)?;
        if let Some(entry) = listed::role_in(&above, delegations, role)? {
            entry.insert("keyids".into(), ids.into());
        }
        listed::forget_unused_keys(&above, delegations)
    }

    fn remove_delegation(&mut self, role: &DelegationName) -> Result<(), PublishError> {
        self.must_be_declared(role)?;
        let (above, delegations) = self.delegations(role)?;
        listed::roles(&above, delegations)?.retain(|entry| entry["name"] != role.as_str());
        listed::forget_unused_keys(&above, delegations)?;
        let below = format!("{}/", role.as_str());
        let gone = |name: &String| name == role.as_str() || name.starts_with(&below);
        self.signed.retain(|name, _| !gone(name));
        self.published.retain(|name, _| !gone(name));
        self.changed.retain(|name| !gone(name));
        Ok(())
    }

    fn must_be_declared(&self, role: &DelegationName) -> Result<Declared, PublishError> {
        let declared = self.declared(&RoleName::Delegation(role.clone()))?;
        declared.ok_or_else(|| PublishError::NotThere {
            what: format!("{} has no delegation {}", self.gun, role.as_str()),
        })
    }

    fn set_role_keys(&mut self, role: &RoleName, keys: &[PublicKey]) -> Result<(), PublishError> {
        if matches!(role, RoleName::Delegation(_)) || keys.is_empty() {
            return Err(PublishError::Senseless(format!(
                "{} cannot be given these keys",
                role.as_str()
            )));
        }
        let x509 = |key: &PublicKey| matches!(key.key_type(), KeyType::EcdsaX509 | KeyType::RsaX509);
        if *role == RoleName::Root && !keys.iter().all(x509) {
            return Err(PublishError::Senseless(
                "keys of the root are listed by certificates".into(),
            ));
        }
        let root = self
            .signed
            .get_mut("root")
            .ok_or_else(|| wrong("root", "there is none"))?;
        let listed_keys = member("root", root, "keys")?;
        for key in keys {
            listed_keys.insert(key.id().as_str().to_owned(), listed::to_json(key));
        }
        let ids: Vec<&str> = keys.iter().map(|key| key.id().as_str()).collect();
        let roles = member("root", root, "roles")?;
        match roles.get_mut(role.as_str()).and_then(Value::as_object_mut) {
            Some(entry) => {
                entry.insert("keyids".into(), ids.into());
                let threshold = entry.get("threshold").and_then(Value::as_u64).unwrap_or(1);
                // A threshold that fewer keys could never meet is lowered to what they can.
                entry.insert("threshold".into(), threshold.clamp(1, keys.len() as u64).into());
            }
            None => {
                roles.insert(role.as_str().to_owned(), json!({"keyids": ids, "threshold": 1}));
            }
        }
        listed::forget_unused_root_keys(root)?;
        self.changed.insert("root".into());
        Ok(())
    }

    /// The keys that may sign for a role, as the draft declares them; `None` for a delegation that it does not have.
    pub(super) fn declared(&self, role: &RoleName) -> Result<Option<Declared>, PublishError> {
        match role {
            RoleName::Delegation(name) => match self.signed.get(name.parent().as_str()) {
                Some(above) => listed::delegation(name.parent().as_str(), above, name),
                None => Ok(None),
            },
            base => {
                let root = self
                    .signed
                    .get("root")
                    .ok_or_else(|| wrong("root", "there is none"))?;
                listed::base_role(root, base).map(Some)
            }
        }
    }

    /// `targets` and every delegation that the draft has, published or not.
    pub(super) fn target_roles(&self) -> Result<Vec<RoleName>, PublishError> {
        let mut found = vec![RoleName::Targets];
        for (name, signed) in &self.signed {
            if name != "root" && name != "snapshot" {
                found.extend(listed::delegations(signed).filter_map(|child| RoleName::parse(child).ok()));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The keys that the published root has for the root, which have to sign the next one as well.
    pub(super) fn former_root(&self) -> Result<Option<Declared>, PublishError> {
        let Some(bytes) = self.published.get("root") else {
            return Ok(None);
        };
        let document: Value = serde_json::from_slice(bytes).map_err(|cause| wrong("root", &cause))?;
        listed::base_role(&document["signed"], &RoleName::Root).map(Some)
    }

    /// Finds the documents that would not be signed any more as the draft declares it, and has them signed anew.
    pub(super) fn sign_what_would_break(&mut self) -> Result<Vec<String>, PublishError> {
        let mut broken = Vec::new();
        for (name, bytes) in &self.published {
            let Ok(role @ (RoleName::Targets | RoleName::Delegation(_))) = RoleName::parse(name) else {
                continue;
            };
            if self.changed.contains(name) {
                continue;
            }
            let Some(declared) = self.declared(&role)? else {
                continue;
            };
            let above = match &role {
                RoleName::Delegation(name) => name.parent(),
                _ => RoleName::Root,
            };
            let declaring = json!({"signed": self.signed.get(above.as_str()), "signatures": []}).to_string();
            let signers = tuf::signers(&above, declaring.as_bytes(), &role, bytes)
                .map_err(|cause| wrong(name, &cause))?;
            if signers.len() < declared.threshold {
                broken.push(name.clone());
            }
        }
        self.changed.extend(broken.iter().cloned());
        Ok(broken)
    }

    /// Raises the version of a changed role and sets its end; gives its signed part.
    pub(super) fn finish(&mut self, role: &str, expires: &str) -> Result<(&Value, i64), PublishError> {
        let version = self.floor.get(role).copied().unwrap_or(0) + 1;
        let signed = self
            .signed
            .get_mut(role)
            .ok_or_else(|| wrong(role, "there is none"))?;
        let fields = signed
            .as_object_mut()
            .ok_or_else(|| wrong(role, "it is no object"))?;
        fields.insert("version".into(), version.into());
        fields.insert("expires".into(), expires.into());
        Ok((signed, version))
    }

    /// The roles with a new document, without the snapshot, those that declare before those that they declare.
    pub(super) fn changed(&self) -> Vec<RoleName> {
        let named = self.changed.iter().filter_map(|name| RoleName::parse(name).ok());
        let mut roles: Vec<RoleName> = named.filter(|role| *role != RoleName::Snapshot).collect();
        roles.sort();
        roles
    }

    /// Whether anything at all is different.
    pub(super) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Puts new documents into the snapshot, and takes out delegations that are gone.
    pub(super) fn list_in_snapshot(&mut self, new: &[(RoleName, Bytes)]) -> Result<(), PublishError> {
        let mut kept = BTreeSet::new();
        for name in self.signed.keys() {
            kept.insert(name.clone());
        }
        let fresh = || json!({"_type": "Snapshot", "expires": "", "meta": {}, "version": 0});
        let snapshot = self.signed.entry("snapshot".into()).or_insert_with(fresh);
        let meta = member("snapshot", snapshot, "meta")?;
        meta.retain(|name, _| !name.starts_with("targets/") || kept.contains(name));
        for (role, bytes) in new {
            meta.insert(role.as_str().to_owned(), listed::file_meta(bytes));
        }
        Ok(())
    }
}

fn empty_targets() -> Value {
    json!({
        "_type": "Targets", "delegations": {"keys": {}, "roles": []}, "expires": "", "targets": {}, "version": 0,
    })
}

/// A member that is an object; made if it is absent or null, as Go writes empty ones.
fn member<'a>(
    role: &str,
    signed: &'a mut Value,
    name: &str,
) -> Result<&'a mut Map<String, Value>, PublishError> {
    let fields = signed
        .as_object_mut()
        .ok_or_else(|| wrong(role, "it is no object"))?;
    let value = fields.entry(name.to_owned()).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value
        .as_object_mut()
        .ok_or_else(|| wrong(role, format!("{name} is no object")))
}

fn wrong(role: &str, reason: impl ToString) -> PublishError {
    PublishError::Document {
        role: role.to_owned(),
        reason: reason.to_string(),
    }
}
