//! Changing a GUN as a whole: publishing an update, deleting it.

use actix_web::{HttpRequest, HttpResponse, web};
use tuf::{Gun, RoleName, Upload};

use super::{body, error::ApiError, multipart};
use crate::{
    access::{Access, Delete, Grant, Send},
    app::{ServiceError, State},
    publish,
    store::Committed,
};

/// Publishes the documents of a form, or with an empty form renews snapshot and timestamp.
pub async fn publish(
    state: &State,
    access: &Access,
    request: &HttpRequest,
    payload: &mut web::Payload,
    grant: Grant<Send>,
) -> Result<HttpResponse, ApiError> {
    let boundary = multipart::boundary(request)?;
    let body = body::read(request, payload, state.config.publish_limit).await?;
    let parts = multipart::parts(body, boundary).await?;
    let upload = web::block(move || Upload::from_parts(parts))
        .await
        .map_err(|_| ServiceError::Stopping)??;
    let roles = upload.roles();
    let initial = roles.contains(&RoleName::Root) && !exists(state, grant.gun()).await?;
    let grant = access
        .authorize_publish(grant, &roles, initial)
        .map_err(ApiError::PublishDenied)?;
    let committed = publish::publish(state, &grant, upload).await?;
    Ok(stored(committed))
}

/// Whether a root is stored, which is what makes a GUN exist.
async fn exists(state: &State, gun: &Gun) -> Result<bool, ServiceError> {
    let gun = gun.clone();
    let root = state.with_store(move |store| store.highest_root(&gun)).await?;
    Ok(root.is_some())
}

/// Deletes every document of a GUN; that there are none is no error.
pub async fn delete(state: &State, grant: Grant<Delete>) -> Result<HttpResponse, ApiError> {
    let (gun, actor, now) = (grant.gun().clone(), grant.principal().actor(), state.clock.now());
    let deleted = state
        .with_store(move |store| store.delete(&gun, &actor, now))
        .await?;
    let Some(deleted) = deleted else {
        return Ok(HttpResponse::Ok().finish());
    };
    tracing::info!(
        repo.gun = %grant.gun(), principal = grant.principal().name(), "deleted a repository"
    );
    Ok(stored(deleted))
}

/// An empty answer that knows what was stored, for the audit.
fn stored(committed: Committed) -> HttpResponse {
    let mut response = HttpResponse::Ok().finish();
    response.extensions_mut().insert(committed);
    response
}
