//! The server's public keys for a GUN.

use actix_web::{HttpResponse, http::header::ContentType};
use signing::SigningError;
use tuf::{Gun, PublicKey, RoleName};

use super::{
    error::ApiError,
    exchange::{Exchange, Target},
    origin::origin,
    outcome::Outcome,
};
use crate::{
    access::{Grant, ReadKey, RotateKey},
    audit::record::Change,
    identity::{Method, Principal},
    state::{ServiceError, State},
    store::{Committed, KeyQuota},
};

/// Serves the key that the GUN's root names for the role; a new one if the signer holds none of them.
pub async fn read(exchange: &mut Exchange<'_>, grant: Grant<ReadKey>) -> Result<Outcome, ApiError> {
    let (state, role) = (exchange.state, role(exchange.target)?);
    let gun = grant.gun().clone();
    let root = state
        .with_store({
            let gun = gun.clone();
            move |store| store.highest_root(&gun)
        })
        .await?;
    if let Some(root) = root {
        let listed = tuf::role_keys(&root.bytes, &role)
            .map_err(|cause| ApiError::StoredState(format!("root of {gun}: {cause}")))?;
        for key in listed {
            let held = state.keys.key_info(key.id()).await.map_err(ServiceError::from)?;
            // A key that was made for another repository or role must not be named by new roots.
            if let Some(held) = held.filter(|held| held.made_for(&gun, &role) != Some(false)) {
                return Ok(answer(&held.public).into());
            }
        }
    }
    let key = create(state, grant.principal(), &gun, &role).await?;
    let detail = key.id().to_string();
    // The key may have been made just now, or earlier for a publish that never came; either way it is recorded.
    let handed_out = Committed {
        documents: Vec::new(),
        place: None,
        newest: None,
    };
    tracing::info!(
        repo.gun = %gun, role.name = %role, key.id = detail, principal = grant.principal().name(),
        "handed out a key that no root names yet"
    );
    Ok(Outcome::changed(answer(&key), handed_out))
}

/// Makes a key that the GUN's root does not name yet; it takes effect when a root that names it is published.
pub async fn rotate(exchange: &mut Exchange<'_>, grant: Grant<RotateKey>) -> Result<Outcome, ApiError> {
    let (state, role) = (exchange.state, role(exchange.target)?);
    tracing::info!(
        repo.gun = %grant.gun(), role.name = %role, principal = grant.principal().name(),
        "made a key for a rotation"
    );
    let key = create(state, grant.principal(), grant.gun(), &role).await?;
    let change = Change {
        action: "rotate-key".to_owned(),
        gun: Some(grant.gun().to_string()),
        subject: Some(role.to_string()),
        detail: Some(key.id().to_string()),
        ..Change::default()
    };
    let (gun, actor, now) = (grant.gun().clone(), grant.principal().actor(), state.clock.now());
    let place = state
        .with_store(move |store| store.record_change(&gun, &actor, change, now))
        .await?;
    let committed = Committed {
        documents: Vec::new(),
        place,
        newest: None,
    };
    Ok(Outcome::changed(answer(&key), committed))
}

fn role(target: &Target) -> Result<RoleName, ApiError> {
    RoleName::parse(target.role.as_deref().unwrap_or_default()).map_err(|_| ApiError::NoRoute)
}

/// Has the signer make a key, or return the one that still waits for its first use, within the limit of unused keys
/// for one principal.
pub(super) async fn create(
    state: &State,
    principal: &Principal,
    gun: &Gun,
    role: &RoleName,
) -> Result<PublicKey, ApiError> {
    let limit = state.config.pending_keys.limit;
    let requester = requester(principal);
    let quota = {
        let (gun, role, requester) = (gun.clone(), role.clone(), requester.clone());
        state
            .with_store(move |store| store.key_quota(&gun, &role, &requester, limit))
            .await?
    };
    if let KeyQuota::UsedUp(waiting) = quota {
        return Err(ApiError::TooManyKeys(waiting));
    }
    let created = state.keys.create_key(gun, role, state.key_algorithm).await;
    let key = created.map_err(ServiceError::from)?;
    let stays = {
        let (id, gun, role, now) = (key.id().clone(), gun.clone(), role.clone(), state.clock.now());
        state
            .with_store(move |store| store.add_pending_key(&id, &gun, &role, &requester, now))
            .await?
    };
    if !stays {
        let reason = "an unused key is being deleted".to_owned();
        return Err(ServiceError::from(SigningError::Unavailable(reason)).into());
    }
    // If the signer does not record what a key was made for, this server must.
    let held = state.keys.key_info(key.id()).await.map_err(ServiceError::from)?;
    if held.is_none_or(|held| held.made_for(gun, role).is_none()) {
        let (id, gun, role, now) = (key.id().clone(), gun.clone(), role.clone(), state.clock.now());
        state
            .with_store(move |store| store.remember_server_key(&id, &gun, &role, now))
            .await?;
    }
    Ok(key)
}

/// Whose unused keys are counted together: those of a principal or, for anonymous clients, of an address.
fn requester(principal: &Principal) -> String {
    match (principal.method(), principal.address()) {
        (Method::Anonymous, Some(address)) => format!("address {}", origin(address.ip())),
        _ => format!("principal {}", principal.name()),
    }
}

fn answer(key: &PublicKey) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(key.to_endpoint_json())
}
