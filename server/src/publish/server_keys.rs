//! A root names snapshot and timestamp keys that are its publisher's, or that the signer made for this repository and
//! this role.
//!
//! With a key of somebody else's repository, whoever publishes here could push the versions that it has signed to the
//! end, so that its owner could never publish again.

use signing::HeldKey;
use tuf::{CheckedUpdate, Document, Gun, KeyId, PublicKey, Rejection, RoleName};

use super::PublishError;
use crate::{
    state::{ServiceError, State},
    store::KeyQuota,
};

/// The roles whose keys a signer may hold.
pub const SERVED: [RoleName; 2] = [RoleName::Snapshot, RoleName::Timestamp];

/// The keys that the stored root names for what the server signs. They go on, whatever they were made for: `check`
/// reports those that are another's.
#[derive(Debug, Default)]
pub struct KeysInForce(Vec<(RoleName, KeyId)>);

impl KeysInForce {
    /// Those of a root; none if there is no root.
    pub fn of(root: Option<&Document>) -> Self {
        let mut keys = Vec::new();
        for role in SERVED {
            // A stored root that cannot be read was refused before.
            let listed = root.map(|root| tuf::role_keys(&root.bytes, &role).unwrap_or_default());
            keys.extend(
                listed
                    .into_iter()
                    .flatten()
                    .map(|key| (role.clone(), key.id().clone())),
            );
        }
        Self(keys)
    }

    /// Whether the root names the key for this role.
    pub fn names(&self, role: &RoleName, id: &KeyId) -> bool {
        self.0.iter().any(|(of, key)| of == role && key == id)
    }
}

/// Checks the keys that an uploaded root names, as far as the stored one does not name them. `publisher` is the name of
/// the principal.
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
    for role in SERVED {
        // It was read a moment ago.
        for key in tuf::role_keys(&root.bytes, &role).unwrap_or_default() {
            if !keys_in_force.names(&role, key.id()) && !may_name(state, gun, &role, &key, publisher).await? {
                return Err(refusal(gun, &role, key.id(), is_first).into());
            }
        }
    }
    Ok(())
}

/// Whether the signer does not have the key, so that it is the publisher's, or made it for this.
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

/// What a Notary signer does not say: we remember what we handed out; and a key that has not signed yet is the one
/// that the signer gives again when it is asked for a key for this.
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
    // The signer may make one now, so it counts like any other that is asked for.
    let most = state.config.pending_keys.most;
    let requester = format!("principal {publisher}");
    let quota = {
        let (gun, role, requester) = (gun.clone(), role.clone(), requester.clone());
        state
            .with_store(move |store| store.key_quota(&gun, &role, &requester, most))
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

/// Why a root is refused that names a key which the signer made for something else.
pub(super) fn refusal(gun: &Gun, role: &RoleName, id: &KeyId, is_first: bool) -> Rejection {
    let short: String = id.as_str().chars().take(12).collect();
    let cure = if is_first {
        format!(
            "begin anew, with \"notary delete {gun}\" and \"notary init {gun}\", which asks for the right one"
        )
    } else {
        format!("run \"notary key rotate {gun} {role} -r\" to get the right one")
    };
    Rejection::BadRoot(format!(
        "the {role} key {short} is the server's, but was made for another repository or another role; {cure}"
    ))
}
