//! Changes to a GUN as a whole: publishing an update, and deleting it.

use actix_web::{HttpResponse, web};
use futures_util::future;
use tokio::sync::mpsc;
use tuf::Upload;

use super::{
    authenticate::still_admitted, body, error::ApiError, exchange::Exchange, multipart, outcome::Outcome,
};
use crate::{
    access::{Delete, Grant, PublishAny},
    publish,
    state::ServiceError,
};

/// Publishes the documents of a form. An empty form renews snapshot and timestamp.
pub async fn publish(exchange: &mut Exchange<'_>, grant: Grant<PublishAny>) -> Result<Outcome, ApiError> {
    let limit = exchange.state.config.publish_limit;
    let boundary = multipart::boundary(exchange.request)?;
    body::check_announced(exchange.request, limit)?;
    let length = body::announced(exchange.request).and_then(|length| usize::try_from(length).ok());
    // Held until everything is stored.
    let mut memory = exchange.state.upload_memory.take(length).await?;
    let (sender, pieces) = mpsc::channel(1);
    let reading = body::read(exchange.request, exchange.payload, limit, &mut memory, sender);
    let (read, parts) = future::join(reading, multipart::parts(pieces, boundary)).await;
    read?;
    let parts = parts?;
    let upload = web::block(move || Upload::from_parts(parts))
        .await
        .map_err(|_| ServiceError::Stopping)??;
    let access = exchange.access();
    let grant = access
        .authorize_publish(grant, &upload.roles())
        .map_err(ApiError::PublishDenied)?;
    let moment = still_admitted(exchange, grant.principal()).await?;
    let committed = publish::publish(exchange.state, access, &grant, upload, &moment).await?;
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
