//! Signs what was changed, with the keys at hand.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tuf::{KeyId, RoleName, Signature};

use super::draft::Draft;
use super::error::PublishError;
use super::listed::{Declared, bare_id};
use crate::keys::{KeyStore, SigningKey};

/// How long documents are valid, as those of notary and docker.
const ROOT_LIFETIME: TimeDelta = TimeDelta::days(3_650);
const TARGETS_LIFETIME: TimeDelta = TimeDelta::days(3 * 365);
const SNAPSHOT_LIFETIME: TimeDelta = TimeDelta::days(3 * 365);

/// The keys at hand, each opened at most once.
pub(super) struct KeyRing<'a> {
    store: &'a dyn KeyStore,
    known: BTreeSet<KeyId>,
    opened: Vec<(KeyId, Box<dyn SigningKey>)>,
}

/// A new document.
pub(super) struct Sealed {
    pub(super) role: RoleName,
    pub(super) version: i64,
    pub(super) bytes: Bytes,
}

impl<'a> KeyRing<'a> {
    /// The keys of a store.
    pub(super) fn new(store: &'a dyn KeyStore) -> Result<Self, PublishError> {
        let known = store.list()?.into_iter().map(|key| key.id).collect();
        Ok(Self {
            store,
            known,
            opened: Vec::new(),
        })
    }

    /// How many of these keys are at hand.
    pub(super) fn at_hand(&self, declared: &Declared) -> usize {
        let ids: BTreeSet<KeyId> = declared.keys.iter().filter_map(|(_, key)| bare_id(key)).collect();
        ids.intersection(&self.known).count()
    }

    fn open(&mut self, id: &KeyId) -> Result<&dyn SigningKey, PublishError> {
        let place = match self.opened.iter().position(|(opened, _)| opened == id) {
            Some(place) => place,
            None => {
                self.opened.push((id.clone(), self.store.open(id)?));
                self.opened.len() - 1
            }
        };
        Ok(self.opened[place].1.as_ref())
    }

    /// Signs with every key at hand of those that are declared.
    fn sign(
        &mut self,
        role: &str,
        declared: &Declared,
        message: &[u8],
    ) -> Result<Vec<Signature>, PublishError> {
        let mut signatures = Vec::new();
        let mut signed = BTreeSet::new();
        for (listed, key) in &declared.keys {
            let Some(id) = bare_id(key).filter(|id| self.known.contains(id)) else {
                continue;
            };
            // Under another name no reader would look for it.
            let Ok(key_id) = KeyId::parse(listed) else {
                continue;
            };
            let (method, bytes) = self.open(&id)?.sign(message)?;
            // It signs under every ID under which it is listed, so that each of them, such as that of a certificate that
            // was renewed, may stay alone. One private key counts once all the same.
            signed.insert(id);
            signatures.push(Signature {
                key_id,
                method,
                bytes,
            });
        }
        if signed.len() < declared.threshold || signatures.is_empty() {
            return Err(no_key(role, declared, signed.len()));
        }
        Ok(signatures)
    }
}

/// Makes the new documents of a draft: versions raised, ends set, signed. The snapshot is among them if its key is at
/// hand; otherwise the server makes it.
pub(super) fn seal(
    draft: &mut Draft,
    keys: &mut KeyRing<'_>,
    now: DateTime<Utc>,
) -> Result<Vec<Sealed>, PublishError> {
    for role in draft.sign_what_would_break()? {
        let name = RoleName::parse(&role).map_err(|_| PublishError::WouldBreak { role: role.clone() })?;
        let declared = draft.declared(&name)?;
        if declared.is_none_or(|declared| keys.at_hand(&declared) < declared.threshold) {
            return Err(PublishError::WouldBreak { role });
        }
    }
    let mut sealed = Vec::new();
    for role in draft.changed() {
        sealed.push(document(draft, keys, &role, now)?);
    }
    let snapshot = draft.declared(&RoleName::Snapshot)?;
    if snapshot.is_some_and(|declared| keys.at_hand(&declared) >= declared.threshold.max(1)) {
        let listed: Vec<(RoleName, Bytes)> = sealed
            .iter()
            .map(|new| (new.role.clone(), new.bytes.clone()))
            .collect();
        draft.list_in_snapshot(&listed)?;
        sealed.push(document(draft, keys, &RoleName::Snapshot, now)?);
    }
    Ok(sealed)
}

fn document(
    draft: &mut Draft,
    keys: &mut KeyRing<'_>,
    role: &RoleName,
    now: DateTime<Utc>,
) -> Result<Sealed, PublishError> {
    let name = role.as_str();
    let lifetime = match role {
        RoleName::Root => ROOT_LIFETIME,
        RoleName::Snapshot => SNAPSHOT_LIFETIME,
        _ => TARGETS_LIFETIME,
    };
    let declared = draft.declared(role)?.ok_or_else(|| PublishError::NotThere {
        what: format!("nothing declares who signs {name}"),
    })?;
    let former = if *role == RoleName::Root {
        draft.former_root()?
    } else {
        None
    };
    let expires = (now + lifetime).to_rfc3339_opts(SecondsFormat::Secs, true);
    let (signed, version) = draft.finish(name, &expires)?;
    let message = tuf::canonicalize(signed).map_err(|cause| PublishError::Document {
        role: name.to_owned(),
        reason: cause.to_string(),
    })?;
    let mut signatures = keys.sign(name, &declared, &message)?;
    if let Some(former) = former {
        // Readers follow a root only if the keys of the one before have signed it too.
        for signature in keys.sign("root (by its former keys)", &former, &message)? {
            if !signatures.iter().any(|made| made.key_id == signature.key_id) {
                signatures.push(signature);
            }
        }
    }
    Ok(Sealed {
        role: role.clone(),
        version,
        bytes: tuf::write_document(&message, &signatures).into(),
    })
}

fn no_key(role: &str, declared: &Declared, have: usize) -> PublishError {
    let ids = declared.keys.iter().map(|(listed, key)| match bare_id(key) {
        Some(id) => id.as_str().to_owned(),
        None => listed.clone(),
    });
    PublishError::NoKey {
        role: role.to_owned(),
        need: declared.threshold.max(1),
        have,
        ids: ids.collect::<Vec<_>>().join(", "),
    }
}
