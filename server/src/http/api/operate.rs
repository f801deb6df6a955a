//! What administrators ask the running server to do: to take up changed files, and to renew what it signs.

use actix_web::http::StatusCode;
use serde::Serialize;
use tuf::Gun;
use utoipa::ToSchema;

use super::{
    changing::{ChangeFault, answer},
    openapi::Errors,
    repositories::{Found, find},
};
use crate::{
    access::AccessChanges,
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    refresh::{Renewal, renew_for},
    state::{ServiceError, State},
};

/// A reload that was taken up.
#[derive(Serialize, ToSchema)]
pub struct ReloadOutcome {
    /// How many configurations this process has taken up.
    generation: u64,
    /// What an operator should know about the new one.
    warnings: Vec<String>,
}

/// What came of a renewal.
#[derive(Serialize, ToSchema)]
pub struct RenewalOutcome {
    /// The repository.
    gun: String,
    /// `renewed`; `not_needed`: nothing ends soon; or `not_possible`: the server does not hold a key, or a document is
    /// broken, which the log says.
    outcome: &'static str,
}

/// Takes up the configuration and its files as they are now, on this server. A refused one changes nothing.
#[utoipa::path(post, path = "/api/v0/admin/reload", tag = "server",
    responses((status = 200, description = "Taken up", body = ReloadOutcome),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 409, description = "Refused, with the reason; everything stays as it was", body = Errors)))]
pub async fn reload(exchange: &mut Exchange<'_>, _: AccessChanges) -> Result<Outcome, ApiError> {
    let (outcome, remark) = reload_now(exchange.state).await?;
    answer(StatusCode::OK, &outcome, remark)
}

/// Takes up the configuration and its files as they are now; returns what came of it, and what was done.
pub async fn reload_now(state: &State) -> Result<(ReloadOutcome, String), ApiError> {
    let reloaded = state.reloads.ask().await.ok_or(ServiceError::Stopping)?;
    if let Some(reason) = reloaded.refused {
        return Err(ChangeFault::Reload(reason).into());
    }
    let generation = state.generation.load_full();
    let remark = format!("generation {} taken up", generation.number());
    let outcome = ReloadOutcome {
        generation: generation.number(),
        warnings: generation.warnings(state.clock.now()),
    };
    Ok((outcome, remark))
}

/// Renews the timestamp of a repository, and the snapshot if the server holds its key, if they end soon. The server does so
/// by itself; this is for when that failed and its cause was removed.
#[utoipa::path(post, path = "/api/v0/repositories/{namespace}/{name}/renewals", tag = "repositories",
    params(("namespace" = String, Path, description = "Everything between the host and the name; _ for none"),
           ("name" = String, Path, description = "The last part of the name")),
    responses((status = 200, description = "What came of it", body = RenewalOutcome),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such repository, or the caller may not see it", body = Errors),
              (status = 503, description = "The database or the signer does not answer", body = Errors)))]
pub async fn renew(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let state = exchange.state;
    let path = exchange.target.selector.as_deref().unwrap_or_default();
    let gun = match find(exchange, grant.principal(), path).await? {
        Found::One(gun) => Gun::parse(&gun).map_err(|_| ApiError::NotFound)?,
        Found::Namespace(_) => return Err(ApiError::NotFound),
    };
    let outcome = renewal(state, &grant, &gun).await?;
    let remark = format!("{gun}: {outcome}");
    let gun = gun.to_string();
    answer(StatusCode::OK, &RenewalOutcome { gun, outcome }, remark)
}

/// The same for a repository by its full name, which the caller may see; returns what came of it.
pub async fn renew_named(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    name: &str,
) -> Result<&'static str, ApiError> {
    let gun = Gun::parse(name).map_err(|_| ApiError::NotFound)?;
    let wanted = gun.clone();
    let is_there = exchange.state.with_store(move |store| store.has(&wanted)).await?;
    if !is_there || !exchange.access().shows(grant.principal(), name) {
        return Err(ApiError::NotFound);
    }
    renewal(exchange.state, grant, &gun).await
}

async fn renewal(state: &State, grant: &AccessChanges, gun: &Gun) -> Result<&'static str, ApiError> {
    let before = state.config.refresh.before_expiry;
    let request = grant.principal().actor().request_id;
    Ok(match renew_for(state, gun, before, request).await? {
        Renewal::Renewed => "renewed",
        Renewal::NotNeeded => "not_needed",
        Renewal::NotPossible => "not_possible",
    })
}
