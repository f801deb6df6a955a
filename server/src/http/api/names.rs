//! Which repositories a caller may list: from the database, or from the catalogue once that is made, which has the same names and
//! is brought up to date before each use.

use tuf::Gun;

use crate::{
    access::Access,
    http::{error::ApiError, exchange::Exchange},
    identity::{Method, Principal},
    state::ServiceError,
    store::{Store, StoreError},
};

/// How many names are read from the database at a time.
const BATCH: u32 = 1000;

/// All names that a caller may list and that pass, in their order.
pub(super) async fn all(
    exchange: &Exchange<'_>,
    principal: &Principal,
    passes: impl Fn(&str) -> bool + Send + 'static,
) -> Result<Vec<String>, ApiError> {
    let (state, access) = (exchange.state, exchange.access());
    if state
        .catalogue
        .refresh_if_made()
        .await
        .map_err(ServiceError::from)?
    {
        let lines = state.catalogue.lines();
        if lines.has_every_name() {
            let sight = state
                .catalogue
                .sight(format!("list {}", rights_of(exchange, principal)));
            let passing = lines.iter().filter(|(gun, _)| passes(gun));
            let seen = sight.of(passing, |gun| access.shows(principal, gun));
            return Ok(seen.into_iter().map(|(gun, _)| gun.to_owned()).collect());
        }
    }
    let (access, principal) = (access.clone(), principal.clone());
    let listed = state.with_store(move |store| {
        page(store, None, usize::MAX, |gun| {
            passes(gun) && access.shows(&principal, gun)
        })
    });
    Ok(listed.await?)
}

/// At most `wanted` names from `start` on for which the filter is true.
pub(super) fn page(
    store: &Store,
    start: Option<&str>,
    wanted: usize,
    passes: impl Fn(&str) -> bool,
) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    if let Some(start) = start
        && passes(start)
        && Gun::parse(start).is_ok_and(|gun| store.has(&gun).unwrap_or(false))
    {
        found.push(start.to_owned());
    }
    let mut after = start.unwrap_or_default().to_owned();
    while found.len() < wanted {
        let batch = store.guns(&after, BATCH)?;
        let Some(last) = batch.last() else { break };
        after.clone_from(last);
        found.extend(batch.into_iter().filter(|gun| passes(gun)));
    }
    found.truncate(wanted);
    Ok(found)
}

/// Whether a caller may list a name, as a list of names asks it.
pub(super) fn shows(access: &Access, principal: &Principal) -> impl Fn(&str) -> bool + Send + use<> {
    let (access, principal) = (access.clone(), principal.clone());
    move |gun| access.shows(&principal, gun)
}

/// What differs wherever the rights of two readers may differ.
pub(in crate::http) fn rights_of(exchange: &Exchange<'_>, principal: &Principal) -> String {
    let method = match principal.method() {
        Method::Anonymous => "anonymous",
        // What a token service granted needs no allowing rule as well; our own tokens do.
        Method::Token => "token",
        Method::OwnToken => "own token",
        // The policy knows names and groups, not how they were shown.
        _ => "known",
    };
    let refused = principal.refusal().is_some();
    let name_and_groups = serde_json::json!([principal.name(), principal.groups()]);
    format!(
        "{} {method} {refused} {name_and_groups}",
        exchange.generation.number()
    )
}
