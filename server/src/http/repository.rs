//! Changing a GUN as a whole: publishing an update, deleting it.

use actix_web::{HttpRequest, HttpResponse, web};
use tuf::Upload;

use super::{body, error::ApiError, multipart};
use crate::{
    access::{Delete, Grant, Publish},
    app::{ServiceError, State},
    publish,
};

/// Publishes the documents of a form, or with an empty form renews snapshot and timestamp.
pub async fn publish(
    state: &State,
    request: &HttpRequest,
    payload: &mut web::Payload,
    grant: Grant<Publish>,
) -> Result<HttpResponse, ApiError> {
    let boundary = multipart::boundary(request)?;
    let body = body::read(request, payload, state.config.publish_limit).await?;
    let parts = multipart::parts(body, boundary).await?;
    let upload = web::block(move || Upload::from_parts(parts))
        .await
        .map_err(|_| ServiceError::Stopping)??;
    publish::publish(state, &grant, upload).await?;
    Ok(HttpResponse::Ok().finish())
}

/// Deletes every document of a GUN; that there are none is no error.
pub async fn delete(state: &State, grant: Grant<Delete>) -> Result<HttpResponse, ApiError> {
    let (gun, actor, now) = (grant.gun().clone(), grant.principal().actor(), state.clock.now());
    let existed = state
        .with_store(move |store| store.delete(&gun, &actor, now))
        .await?;
    if existed {
        tracing::info!(
            repo.gun = %grant.gun(), principal = grant.principal().name(), "deleted a repository"
        );
    }
    Ok(HttpResponse::Ok().finish())
}
