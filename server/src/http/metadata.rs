//! Serves metadata.

use std::sync::Arc;

use actix_web::http::header::{CONTENT_TYPE, HeaderValue, HttpDate, LAST_MODIFIED};
use chrono::TimeDelta;
use tuf::{Checksum, Gun, RoleName, Version};

use super::{
    caching::Caching,
    error::ApiError,
    exchange::{Exchange, Target},
    outcome::Outcome,
};
use crate::{
    access::{Grant, Pull},
    confirmed::{Served, Wanted},
    refresh,
    state::ServiceError,
    store::Stored,
};

/// Serves the document with a version, which never changes.
pub async fn by_version(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let (role, selector) = (role(exchange.target)?, selector(exchange.target));
    let number: i64 = selector
        .parse()
        .map_err(|_| ApiError::VersionOverflow(selector.to_owned()))?;
    let version = Version::new(number).map_err(|_| ApiError::NotFound)?;
    let found = exchange.document(&grant, Wanted::Version(role, version)).await?;
    lasting(exchange, &grant, found)
}

/// Serves the document with a checksum, which never changes.
pub async fn by_checksum(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let (role, selector) = (role(exchange.target)?, selector(exchange.target));
    // Longer checksums are allowed in the path, but no document is stored under them.
    let checksum = Checksum::parse(selector).map_err(|_| ApiError::NotFound)?;
    let found = exchange
        .document(&grant, Wanted::Checksum(role, checksum))
        .await?;
    lasting(exchange, &grant, found)
}

/// Serves the current document of a role.
pub async fn current(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let (state, role) = (exchange.state, role(exchange.target)?);
    let is_timestamp = role == RoleName::Timestamp;
    let expires = is_timestamp || role == RoleName::Snapshot;
    let found = exchange.document(&grant, Wanted::Current(role.clone())).await?;
    let mut stored = found
        .as_ref()
        .map(|served| &served.stored)
        .ok_or(ApiError::NotFound)?;
    let now = state.clock.now();
    let renewed;
    if expires
        && found
            .as_ref()
            .and_then(|served| served.usable_until)
            .is_none_or(|end| end < now)
    {
        renewed = refresh::renewed(state, grant.gun(), role)
            .await?
            .ok_or(ApiError::NotFound)?;
        stored = &renewed;
    }
    // A client's pull starts with the timestamp, so only that is counted.
    if is_timestamp {
        state.store.count_pull(grant.gun().as_str());
    }
    let caching = Caching {
        max_age: state.config.caching.current,
        current: true,
        public: exchange.access().is_public(grant.gun()),
    };
    Ok(answer(exchange, stored, &caching))
}

/// Serves everything that is verified for a pull, as it was at one moment.
pub async fn bundle(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let (state, gun) = (exchange.state, grant.gun());
    let found = current_bundle(exchange, gun).await?.ok_or(ApiError::NotFound)?;
    state.store.count_pull(gun.as_str());
    let caching = Caching {
        max_age: state.config.caching.current,
        current: true,
        public: exchange.access().is_public(gun),
    };
    Ok(answer(exchange, &found.stored, &caching))
}

/// The bundle of a repository, with a timestamp that has not expired if the server can make one; `None` if there is no
/// such repository.
pub async fn current_bundle(exchange: &Exchange<'_>, gun: &Gun) -> Result<Option<Arc<Served>>, ServiceError> {
    let state = exchange.state;
    let moment = exchange.moment().await?;
    let found = state.confirmed.document(moment, gun, Wanted::Bundle).await?;
    let now = state.clock.now();
    let has_expired = |found: &Arc<Served>| found.usable_until.is_none_or(|end| end < now);
    if !found.as_ref().is_some_and(has_expired) {
        return Ok(found);
    }
    refresh::renew(state, gun, TimeDelta::zero()).await?;
    let moment = exchange.new_moment().await?;
    Ok(state.confirmed.document(&moment, gun, Wanted::Bundle).await?)
}

/// The role in the path. An invalid role is answered like a missing document.
fn role(target: &Target) -> Result<RoleName, ApiError> {
    RoleName::parse(target.role.as_deref().unwrap_or_default()).map_err(|_| ApiError::NotFound)
}

fn selector(target: &Target) -> &str {
    target.selector.as_deref().unwrap_or_default()
}

fn lasting(
    exchange: &Exchange<'_>,
    grant: &Grant<Pull>,
    found: Option<Arc<Served>>,
) -> Result<Outcome, ApiError> {
    let served = found.ok_or(ApiError::NotFound)?;
    let caching = Caching {
        max_age: exchange.state.config.caching.consistent,
        current: false,
        public: exchange.access().is_public(grant.gun()),
    };
    Ok(answer(exchange, &served.stored, &caching))
}

fn answer(exchange: &Exchange<'_>, stored: &Stored, caching: &Caching) -> Outcome {
    let sha256 = stored.document.sha256.as_hex();
    let (mut response, unchanged) = caching.begin(exchange.request, &sha256);
    if let Some(stored_at) = stored.stored_at {
        response.insert_header((
            LAST_MODIFIED,
            HttpDate::from(std::time::SystemTime::from(stored_at)),
        ));
    }
    if unchanged {
        return response.finish().into();
    }
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response
        .body(exchange.state.documents.share(&stored.document))
        .into()
}
