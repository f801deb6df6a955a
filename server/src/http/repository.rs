//! Changing a GUN as a whole: publishing an update, deleting it.

use actix_web::{HttpRequest, HttpResponse, web};
use tuf::Upload;

use super::{body, error::ApiError, multipart, outcome::Outcome};
use crate::{
    access::{Access, Delete, Grant, PublishAny},
    publish,
    state::{ServiceError, State},
};

/// Publishes the documents of a form, or with an empty form renews snapshot and timestamp.
pub async fn publish(
    state: &State,
    access: &Access,
    request: &HttpRequest,
    payload: &mut web::Payload,
    grant: Grant<PublishAny>,
) -> Result<Outcome, ApiError> {
    let boundary = multipart::boundary(request)?;
    let body = body::read(request, payload, state.config.publish_limit).await?;
    let parts = multipart::parts(body, boundary).await?;
    let upload = web::block(move || Upload::from_parts(parts))
        .await
        .map_err(|_| ServiceError::Stopping)??;
    let grant = access
        .authorize_publish(grant, &upload.roles())
        .map_err(ApiError::PublishDenied)?;
    let committed = publish::publish(state, access, &grant, upload).await?;
    Ok(Outcome::changed(HttpResponse::Ok().finish(), committed).by_rule(grant.rule()))
}

/// Deletes every document of a GUN; that there are none is no error.
pub async fn delete(state: &State, grant: Grant<Delete>) -> Result<Outcome, ApiError> {
    let (gun, actor, now) = (grant.gun().clone(), grant.principal().actor(), state.clock.now());
    let deleted = state
        .with_store(move |store| store.delete(&gun, &actor, now))
        .await?;
    let Some(deleted) = deleted else {
        return Ok(HttpResponse::Ok().finish().into());
    };
    tracing::info!(
        repo.gun = %grant.gun(), principal = grant.principal().name(), "deleted a repository"
    );
    Ok(Outcome::changed(HttpResponse::Ok().finish(), deleted))
}
