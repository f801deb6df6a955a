//! Publishing to TUF 1.0 repositories, and deleting them.

use actix_web::HttpResponse;
use bytes::Bytes;
use futures_util::future;
use serde_json::json;
use tokio::sync::mpsc;
use tuf::RoleName;
use tuf_native::{Metadata, Refusal, Role};

use super::{name, nothing_below};
use crate::{
    access::{Delete, Grant, Publish, PublishAny},
    http::{
        authenticate::still_admitted, body, error::ApiError, exchange::Exchange, multipart, outcome::Outcome,
    },
    native::{self, NativeError, REPOSITORY_LIMIT, Room, policy_role},
};

/// The files of a form, by the role that each part's file name gives, and the memory that they take.
pub(super) async fn form(exchange: &mut Exchange<'_>) -> Result<(Vec<(Role, Bytes)>, Room), ApiError> {
    let limit = exchange.state.config.publish_limit.min(REPOSITORY_LIMIT);
    let boundary = multipart::boundary(exchange.request)?;
    body::check_announced(exchange.request, limit)?;
    let length = body::announced(exchange.request).and_then(|length| usize::try_from(length).ok());
    let mut memory = exchange.state.upload_memory.take(length).await?;
    let (sender, pieces) = mpsc::channel(1);
    let reading = body::read(exchange.request, exchange.payload, limit, &mut memory, sender);
    let (read, parts) = future::join(reading, multipart::parts(pieces, boundary)).await;
    read?;
    let mut files = Vec::new();
    for (file, bytes) in parts? {
        let file = file.ok_or_else(|| {
            ApiError::MalformedUpload(
                "a part has no file name: call it ROLE.json, such as targets.json".to_owned(),
            )
        })?;
        let role =
            Role::from_file_name(&file).map_err(|reason| ApiError::MalformedUpload(reason.to_string()))?;
        // Before it is read: what is wrong with it would not be what the publisher has to know.
        if matches!(role, Role::Snapshot | Role::Timestamp) {
            return Err(NativeError::from(Refusal::MadeByServer { role }).into());
        }
        files.push((role, bytes));
    }
    if files.is_empty() {
        return Err(NativeError::from(Refusal::Nothing).into());
    }
    let bytes = files.iter().map(|(_, bytes): &(Role, Bytes)| bytes.len()).sum();
    Ok((files, Room::of_upload(memory, bytes).await?))
}

/// Grants publishing exactly these roles.
pub(super) fn authorize(
    exchange: &Exchange<'_>,
    grant: Grant<PublishAny>,
    files: &[(Role, Bytes)],
) -> Result<Grant<Publish>, ApiError> {
    let mut roles: Vec<RoleName> = files.iter().map(|(role, _)| policy_role(role)).collect();
    roles.sort();
    roles.dedup();
    Ok(exchange.access().authorize_publish(grant, &roles)?)
}

/// Publishes the files of a form together.
pub async fn publish(exchange: &mut Exchange<'_>, grant: Grant<PublishAny>) -> Result<Outcome, ApiError> {
    nothing_below(exchange)?;
    let name = name(exchange)?;
    let (files, mut room) = form(exchange).await?;
    let grant = authorize(exchange, grant, &files)?;
    let parsed = actix_web::web::block(move || {
        files
            .into_iter()
            .map(|(role, bytes)| Metadata::parse(&role, bytes))
            .collect::<Result<Vec<_>, Refusal>>()
    })
    .await
    .map_err(|_| crate::state::ServiceError::Stopping)?
    .map_err(NativeError::from)?;
    still_admitted(exchange, grant.principal()).await?;
    let published = native::publish(
        exchange.state,
        exchange.access(),
        &grant,
        &name,
        &parsed,
        &mut room,
    )
    .await?;
    let files: Vec<_> = published
        .files
        .iter()
        .map(|(role, version)| json!({"role": role.as_str(), "version": version}))
        .collect();
    let dropped: Vec<&str> = published.dropped.iter().map(Role::as_str).collect();
    let response = HttpResponse::Ok().json(json!({
        "published": files,
        "snapshot": published.snapshot,
        "timestamp": published.timestamp,
        "dropped": dropped,
    }));
    Ok(Outcome::changed(response, published.committed).by_rule(grant.rule()))
}

/// Deletes a repository. It is not an error if there is none.
pub async fn delete(exchange: &mut Exchange<'_>, grant: Grant<Delete>) -> Result<Outcome, ApiError> {
    nothing_below(exchange)?;
    let (state, name) = (exchange.state, name(exchange)?);
    let (gun, actor, now) = (name.gun().clone(), grant.principal().actor(), state.clock.now());
    let deleted = state
        .with_store(move |store| store.delete_native(&gun, &actor, now))
        .await?;
    let Some(deleted) = deleted else {
        return Ok(HttpResponse::Ok().finish().into());
    };
    tracing::info!(repo.name = %name, principal = grant.principal().name(), "deleted a TUF repository");
    Ok(Outcome::changed(HttpResponse::Ok().finish(), deleted))
}
