//! Checks the snapshot and timestamp keys that a root names: they must be the publisher's own, or made by the signer
//! for this repository and role.
//!
//! If a root could name a key of another repository, its publisher could have that key sign very high versions, and
//! the other repository's owner could never publish again.

use std::sync::OnceLock;

use signing::HeldKey;
use tuf::{CheckedUpdate, Document, Gun, KeyId, PublicKey, Rejection, RoleName};

use super::PublishError;
use crate::{
    state::{ServiceError, State},
    store::KeyQuota,
};

/// The roles whose keys a signer may hold.
pub const SERVER_SIGNED_ROLES: [RoleName; 2] = [RoleName::Snapshot, RoleName::Timestamp];

/// The keys that the stored root names for the roles which the server signs. They stay in use whatever they were made
/// for; `check` reports those of another repository or role. Most publishes do not ask for them, so the root is read
/// when they are asked for.
#[derive(Debug, Default)]
pub struct KeysInForce {
    root: Option<Document>,
    keys: OnceLock<Vec<(RoleName, KeyId)>>,
}

impl KeysInForce {
    /// The keys of a root; none if there is no root.
    pub fn of(root: Option<&Document>) -> Self {
        Self {
            root: root.cloned(),
            keys: OnceLock::new(),
        }
    }

    /// Whether the root names the key for this role.
    pub fn names(&self, role: &RoleName, id: &KeyId) -> bool {
        let keys = self.keys.get_or_init(|| {
            let listed = |role: RoleName| {
                // An unreadable stored root was refused before.
                let root = self.root.as_ref();
                let keys = root.map(|root| tuf::role_keys(&root.bytes, &role).unwrap_or_default());
                keys.into_iter()
                    .flatten()
                    .map(move |key| (role.clone(), key.id().clone()))
            };
            SERVER_SIGNED_ROLES.into_iter().flat_map(listed).collect()
        });
        keys.iter().any(|(of, key)| of == role && key == id)
    }
}

/// Checks the keys that an uploaded root names in addition to those of the stored one. `publisher` is the name of the
/// principal.
pub(super) async fn check(
    state: &State,
    gun: &Gun,
    checked: &CheckedUpdate,
    keys_in_force: &KeysInForce,
    publisher: &str,
    is_first: bool,
) -> Result<(), PublishError> {
    let Some(root) = checked
        .uploaded()
        .find(|document| document.role == RoleName::Root)
    else {
        return Ok(());
    };
    for role in SERVER_SIGNED_ROLES {
        // The root was parsed before.
        for key in tuf::role_keys(&root.bytes, &role).unwrap_or_default() {
            if !keys_in_force.names(&role, key.id()) && !may_name(state, gun, &role, &key, publisher).await? {
                return Err(refusal(gun, &role, key.id(), is_first).into());
            }
        }
    }
    Ok(())
}

/// Whether the root may name the key: either the signer does not have it, so that it is the publisher's, or the signer
/// made it for this repository and role.
async fn may_name(
    state: &State,
    gun: &Gun,
    role: &RoleName,
    key: &PublicKey,
    publisher: &str,
) -> Result<bool, ServiceError> {
    let Some(held) = state.keys.key_info(key.id()).await? else {
        return Ok(true);
    };
    match held.made_for(gun, role) {
        Some(answer) => Ok(answer),
        None => was_handed_out(state, gun, role, &held, publisher).await,
    }
}

/// Decides for a Notary signer, which does not report what a key was made for. This server recorded the keys that it
/// handed out; and a key that has not signed yet is the one that the signer returns again when asked for a key for
/// this repository and role.
async fn was_handed_out(
    state: &State,
    gun: &Gun,
    role: &RoleName,
    held: &HeldKey,
    publisher: &str,
) -> Result<bool, ServiceError> {
    let id = held.public.id().clone();
    let known = state.with_store(move |store| store.server_key(&id)).await?;
    if let Some((for_gun, for_role)) = known {
        return Ok(for_gun == gun.as_str() && for_role == role.as_str());
    }
    // The signer may make a key now, so it counts like any other key that is asked for.
    let limit = state.config.pending_keys.limit;
    let requester = format!("principal {publisher}");
    let quota = {
        let (gun, role, requester) = (gun.clone(), role.clone(), requester.clone());
        state
            .with_store(move |store| store.key_quota(&gun, &role, &requester, limit))
            .await?
    };
    if matches!(quota, KeyQuota::UsedUp(_)) {
        return Ok(false);
    }
    let waiting = state.keys.create_key(gun, role, state.key_algorithm).await?;
    let (id, gun, role, now) = (waiting.id().clone(), gun.clone(), role.clone(), state.clock.now());
    let stays = state
        .with_store(move |store| store.add_pending_key(&id, &gun, &role, &requester, now))
        .await?;
    Ok(stays && waiting.id() == held.public.id())
}

/// The refusal of a root that names a key which the signer made for another repository or role.
pub(super) fn refusal(gun: &Gun, role: &RoleName, id: &KeyId, is_first: bool) -> Rejection {
    let short: String = id.as_str().chars().take(12).collect();
    let cure = if is_first {
        format!(
            "start over with \"notary delete {gun}\" and \"notary init {gun}\", which asks for the right key"
        )
    } else {
        format!("run \"notary key rotate {gun} {role} -r\" to get the right one")
    };
    Rejection::BadRoot(format!(
        "the {role} key {short} belongs to the server, but was made for another repository or another role; {cure}"
    ))
}
