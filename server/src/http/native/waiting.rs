//! What waits for signatures in TUF 1.0 repositories.

use actix_web::{HttpResponse, http::header::ContentType};
use serde_json::{Value, json};
use tuf_native::{Draft, Refusal, Role};

use super::{below, name, nothing_below, publish};
use crate::{
    access::{Grant, PublishAny},
    http::{authenticate::still_admitted, error::ApiError, exchange::Exchange, outcome::Outcome},
    native::{self, NativeError, Room, Waiting},
    state::ServiceError,
    store::Committed,
};

/// Lists what waits, who has signed it, and who is missing; or serves the file of one role.
pub async fn read(exchange: &mut Exchange<'_>, _grant: Grant<PublishAny>) -> Result<Outcome, ApiError> {
    let name = name(exchange)?;
    if !below(exchange).is_empty() {
        return draft(exchange).await;
    }
    let mut room = Room::new(exchange.state).await?;
    let waiting = native::waiting(exchange.state, &name, &mut room).await?;
    Ok(answer(&waiting).into())
}

fn answer(waiting: &[Waiting]) -> HttpResponse {
    let listed: Vec<Value> = waiting.iter().map(shown).collect();
    HttpResponse::Ok().json(json!({ "waiting": listed }))
}

fn shown(waiting: &Waiting) -> Value {
    let Waiting { draft, standing } = waiting;
    let ids = |keys: &[tuf::KeyId]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let needed: Vec<Value> = standing
        .needed
        .iter()
        .map(|needed| {
            json!({
                "by": needed.by.to_string(), "threshold": needed.threshold, "have": needed.have,
            })
        })
        .collect();
    json!({
        "role": draft.role().as_str(),
        "version": draft.version().get(),
        "expires": draft.expires().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "signed": ids(&standing.signed),
        "missing": ids(&standing.missing),
        "needed": needed,
        "complete": standing.complete,
    })
}

/// Serves one file that waits, with the signatures so far.
async fn draft(exchange: &Exchange<'_>) -> Result<Outcome, ApiError> {
    let (name, role) = (name(exchange)?, role(exchange)?);
    let gun = name.gun().clone();
    let found = exchange
        .state
        .with_store(move |store| store.native_draft(&gun, role.as_str()))
        .await?;
    let bytes = found.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(bytes)
        .into())
}

fn role(exchange: &Exchange<'_>) -> Result<Role, ApiError> {
    let name = below(exchange).strip_suffix(".json").ok_or(ApiError::NoRoute)?;
    Role::parse(name).map_err(|reason| ApiError::InvalidParameter(reason.to_string()))
}

/// Adds files to what waits, or signatures to files that wait already.
pub async fn add(exchange: &mut Exchange<'_>, grant: Grant<PublishAny>) -> Result<Outcome, ApiError> {
    nothing_below(exchange)?;
    let name = name(exchange)?;
    let (files, mut room) = publish::form(exchange).await?;
    let grant = publish::authorize(exchange, grant, &files)?;
    let drafts = actix_web::web::block(move || {
        files
            .into_iter()
            .map(|(role, bytes)| Draft::parse(&role, bytes))
            .collect::<Result<Vec<_>, Refusal>>()
    })
    .await
    .map_err(|_| ServiceError::Stopping)?
    .map_err(NativeError::from)?;
    still_admitted(exchange, grant.principal()).await?;
    let waiting = native::add(exchange.state, grant.principal(), &name, drafts, &mut room).await?;
    Ok(Outcome::changed(answer(&waiting), nothing_published()).by_rule(grant.rule()))
}

/// Withdraws a file that waits. It is not an error if there is none.
pub async fn withdraw(exchange: &mut Exchange<'_>, grant: Grant<PublishAny>) -> Result<Outcome, ApiError> {
    let (name, role) = (name(exchange)?, role(exchange)?);
    let grant = publish::authorize(exchange, grant, &[(role.clone(), bytes::Bytes::new())])?;
    let gone = native::withdraw(exchange.state, grant.principal(), &name, &role).await?;
    let response = HttpResponse::Ok().finish();
    Ok(if gone {
        Outcome::changed(response, nothing_published()).by_rule(grant.rule())
    } else {
        response.into()
    })
}

fn nothing_published() -> Committed {
    Committed {
        documents: Vec::new(),
        place: None,
        newest: None,
    }
}
