//! Lists the TUF 1.0 repositories that a client may read.

use serde_json::json;

use actix_web::HttpResponse;
use tuf::Gun;

use crate::{
    access::Identified,
    http::{api::parameter, error::ApiError, exchange::Exchange, outcome::Outcome},
    store::NativeRepository,
};

/// How many are listed at a time.
const PAGE: u32 = 100;

/// Lists repositories after the one that the parameter `after` names; `next` in the answer is the last of a full page. Names
/// that the client may not read appear in neither.
pub async fn list(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let mut after = parameter(exchange.query(), "after").unwrap_or_default();
    let page = PAGE as usize;
    let readable = |repository: &NativeRepository| {
        Gun::parse(&repository.name).is_ok_and(|gun| exchange.access().reads(grant.principal(), gun.as_str()))
    };
    let mut found: Vec<NativeRepository> = Vec::new();
    while found.len() < page {
        let from = after.clone();
        let more = exchange
            .state
            .with_store(move |store| store.native_repositories(&from, PAGE))
            .await?;
        let Some(last) = more.last() else { break };
        after.clone_from(&last.name);
        let is_last = more.len() < page;
        found.extend(more.into_iter().filter(readable));
        if is_last {
            break;
        }
    }
    found.truncate(page);
    let next = (found.len() == page)
        .then(|| found.last().map(|last| last.name.clone()))
        .flatten();
    let listed: Vec<_> = found
        .iter()
        .map(|repository| {
            json!({
                "name": repository.name,
                "timestamp": repository.timestamp,
                "snapshot": repository.snapshot,
                "expires": repository.expires_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
            })
        })
        .collect();
    Ok(HttpResponse::Ok()
        .json(json!({"repositories": listed, "next": next}))
        .into())
}
