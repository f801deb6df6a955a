//! Reading metadata.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, HttpDate, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA,
    },
    web,
};
use tuf::{Checksum, RoleName, Version};

use super::{
    error::ApiError,
    routes::{Operation, Target},
};
use crate::{
    access::{Access, Grant, Pull},
    refresh,
    state::State,
    store::Stored,
};

/// Answers a read of metadata.
pub async fn read(
    state: &State,
    access: &Access,
    request: &HttpRequest,
    grant: Grant<Pull>,
    target: &Target,
) -> Result<HttpResponse, ApiError> {
    // A role that no document can have is a document that is not there.
    let role = target.role.as_deref().unwrap_or_default();
    let role = RoleName::parse(role).map_err(|_| ApiError::NotFound)?;
    let which = target.which.as_deref().unwrap_or_default();
    let (stored, max_age) = match target.operation {
        Operation::ReadByVersion => (
            by_version(state, &grant, role, which).await?,
            state.config.caching.consistent,
        ),
        Operation::ReadByChecksum => (
            by_checksum(state, &grant, role, which).await?,
            state.config.caching.consistent,
        ),
        _ => (
            refresh::current(state, grant.gun(), role).await?,
            state.config.caching.current,
        ),
    };
    let stored = stored.ok_or(ApiError::NotFound)?;
    // Clients that look something up begin with the timestamp.
    if target.operation == Operation::ReadCurrent && target.role.as_deref() == Some("timestamp") {
        state.pulls.count(grant.gun().as_str());
    }
    let caching = Caching {
        max_age,
        current: target.operation == Operation::ReadCurrent,
        public: access.is_public(grant.gun()),
    };
    let bytes = state.documents.share(&stored.document);
    Ok(answer(request, &stored, bytes, &caching))
}

async fn by_version(
    state: &State,
    grant: &Grant<Pull>,
    role: RoleName,
    which: &str,
) -> Result<Option<Stored>, ApiError> {
    let number: i64 = which
        .parse()
        .map_err(|_| ApiError::VersionOverflow(which.to_owned()))?;
    let Ok(version) = Version::new(number) else {
        return Ok(None);
    };
    let gun = grant.gun().clone();
    Ok(state
        .with_store(move |store| store.by_version(&gun, &role, version))
        .await?)
}

async fn by_checksum(
    state: &State,
    grant: &Grant<Pull>,
    role: RoleName,
    which: &str,
) -> Result<Option<Stored>, ApiError> {
    // Longer checksums are allowed in the path, but nothing is stored under them.
    let Ok(checksum) = Checksum::parse(which) else {
        return Ok(None);
    };
    let gun = grant.gun().clone();
    Ok(state
        .with_store(move |store| store.by_checksum(&gun, &role, &checksum))
        .await?)
}

/// What caches are told of a document.
struct Caching {
    /// How long it may be kept, in seconds.
    max_age: u32,
    /// Whether another document may take its place.
    current: bool,
    /// Whether anybody may read it; otherwise only the client itself may keep it.
    public: bool,
}

impl Caching {
    /// The value of `Cache-Control` (RFC 9111, section 5.2.2); nothing if it must not be kept.
    fn header(&self) -> Option<String> {
        let max_age = self.max_age;
        let revalidate = if self.current { ", must-revalidate" } else { "" };
        match (max_age, self.public) {
            (0, _) => None,
            (_, true) => Some(format!(
                "public, max-age={max_age}, s-maxage={max_age}{revalidate}"
            )),
            (_, false) => Some(format!("private, max-age={max_age}{revalidate}")),
        }
    }
}

fn answer(request: &HttpRequest, stored: &Stored, bytes: web::Bytes, caching: &Caching) -> HttpResponse {
    let tag = format!("\"{}\"", stored.document.sha256.as_hex());
    let known = request
        .headers()
        .get(IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok());
    let unchanged = known.is_some_and(|tags| {
        tags.split(',')
            .map(|known| known.trim().trim_start_matches("W/"))
            .any(|known| known == tag || known == "*")
    });
    let mut response = if unchanged {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    if let Some(value) = caching.header() {
        response.insert_header((CACHE_CONTROL, value));
    } else {
        response.insert_header((CACHE_CONTROL, "max-age=0, no-cache, no-store"));
        response.insert_header((PRAGMA, "no-cache"));
    }
    if let Some(stored_at) = stored.stored_at {
        response.insert_header((
            LAST_MODIFIED,
            HttpDate::from(std::time::SystemTime::from(stored_at)),
        ));
    }
    response.insert_header((ETAG, tag));
    if unchanged {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.body(bytes)
}
