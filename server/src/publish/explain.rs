//! Explains what a publisher can do about keys that the server does not hold.

use tuf::{Gun, Rejection, RoleName};

use super::{PublishError, SignError, server_keys};
use crate::state::{ServiceError, State};

/// Adds the command that helps. Which one that is does not depend on the refused update alone: a new root takes effect
/// only with a snapshot and a timestamp, so one of these keys can be replaced only if the other is held.
pub(super) async fn explain(state: &State, gun: &Gun, error: SignError) -> PublishError {
    let role = match error {
        SignError::KeyNotHeld(role) => role,
        SignError::OtherPurpose(role, id) => return server_keys::refusal(gun, &role, &id, false).into(),
        SignError::Service(cause) => return ServiceError::from(cause).into(),
    };
    if role != RoleName::Snapshot {
        return Rejection::BadRoot(format!(
            "no  timestamp keys exist on the server; run \"notary key rotate {gun} timestamp -r\""
        ))
        .into();
    }
    match timestamp_key_is_elsewhere(state, gun).await {
        Ok(elsewhere) => Rejection::BadHierarchy {
            missing: RoleName::Snapshot,
            msg: format!(
                "no snapshot was included in update and server does not hold current snapshot key for repository; {}",
                if elsewhere { both(gun) } else { snapshot(gun) }
            ),
        }
        .into(),
        Err(cause) => cause.into(),
    }
}

/// Whether there already is a root, and the server holds none of its timestamp keys.
async fn timestamp_key_is_elsewhere(state: &State, gun: &Gun) -> Result<bool, ServiceError> {
    let of = gun.clone();
    let Some(root) = state.with_store(move |store| store.highest_root(&of)).await? else {
        return Ok(false);
    };
    // An unreadable stored root was refused before anything was signed.
    for key in tuf::role_keys(&root.bytes, &RoleName::Timestamp).unwrap_or_default() {
        if state.keys.key_info(key.id()).await?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn snapshot(gun: &Gun) -> String {
    format!(
        "the owner of the root key can hand it over to the server: run \"notary key rotate {gun} snapshot -r\""
    )
}

/// Short, with the rarer remedies last: clients show 600 characters.
fn both(gun: &Gun) -> String {
    format!(
        "nor the timestamp key, and one cannot be replaced without the other. If the owner has the snapshot key: \
         \"notary key rotate {gun} timestamp -r\". If the server it was mirrored from has it: \"notary -s \
         https://THAT-SERVER key rotate {gun} snapshot\", and mirror it again. If that server is gone: delete \
         the repository and sign anew"
    )
}
