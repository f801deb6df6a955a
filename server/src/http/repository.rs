//! Changes to a GUN as a whole: publishing an update, and deleting it.

use actix_web::{HttpResponse, web};
use tuf::Upload;

use super::{body, error::ApiError, exchange::Exchange, multipart, outcome::Outcome};
use crate::{
    access::{Delete, Grant, PublishAny},
    publish,
    state::ServiceError,
};

/// Publishes the documents of a form. An empty form renews snapshot and timestamp.
pub async fn publish(exchange: &mut Exchange<'_>, grant: Grant<PublishAny>) -> Result<Outcome, ApiError> {
    let limit = exchange.state.config.publish_limit;
    let boundary = multipart::boundary(exchange.request)?;
    let body = body::read(exchange.request, exchange.payload, limit).await?;
    let parts = multipart::parts(body, boundary).await?;
    let upload = web::block(move || Upload::from_parts(parts))
        .await
        .map_err(|_| ServiceError::Stopping)??;
    let access = exchange.access();
    let grant = access
        .authorize_publish(grant, &upload.roles())
        .map_err(ApiError::PublishDenied)?;
    let committed = publish::publish(exchange.state, access, &grant, upload).await?;
    Ok(Outcome::changed(HttpResponse::Ok().finish(), committed).by_rule(grant.rule()))
}

/// Deletes every document of a GUN. It is not an error if there are none.
pub async fn delete(exchange: &mut Exchange<'_>, grant: Grant<Delete>) -> Result<Outcome, ApiError> {
    let state = exchange.state;
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
