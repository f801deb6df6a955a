//! Pages as responses: with headers that leave a browser nothing to load, to run or to send that is not this server's.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
            STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
};
use askama::Template;

use crate::{config::Config, http::error::ApiError, pages};

/// Everything comes from this server, nothing is inline, no other page may frame this one or be sent its forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
/// The same for a page whose script asks this server.
const ASKING_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
                             base-uri 'none'; frame-ancestors 'none'";
/// A year, for this host alone.
const TRANSPORT_SECURITY: &str = "max-age=31536000";
/// Other pages of the site cannot reach into ours, nor read them.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A page as a response.
///
/// # Errors
/// When its template fails.
pub fn page(config: &Config, status: StatusCode, page: &impl Template) -> Result<HttpResponse, ApiError> {
    with_policy(config, status, page, POLICY)
}

/// A page as a response, whose script may ask this server.
///
/// # Errors
/// When its template fails.
pub fn asking_page(config: &Config, page: &impl Template) -> Result<HttpResponse, ApiError> {
    with_policy(config, StatusCode::OK, page, ASKING_POLICY)
}

fn with_policy(
    config: &Config,
    status: StatusCode,
    page: &impl Template,
    policy: &'static str,
) -> Result<HttpResponse, ApiError> {
    let body = pages::render(page).map_err(|cause| ApiError::StoredState(cause.to_string()))?;
    let mut response = HttpResponse::build(status);
    response
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        // Other sites learn nothing. With "no-referrer", browsers would send our own forms with "Origin: null", and
        // `browser` would refuse them.
        .insert_header((REFERRER_POLICY, "same-origin"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .insert_header((OPENER_POLICY, "same-origin"))
        // A page is for one reader at one moment: it may be kept nowhere, so that nothing of it shows after a revocation.
        .insert_header((CACHE_CONTROL, "private, no-store"));
    everywhere(config, &mut response);
    Ok(response.body(body))
}

/// The headers of pages and of what they load.
pub fn everywhere(config: &Config, response: &mut HttpResponseBuilder) {
    response
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((RESOURCE_POLICY, "same-origin"));
    let external_url = config.public.external_url.as_deref();
    if external_url.is_some_and(|url| url.starts_with("https://")) {
        response.insert_header((STRICT_TRANSPORT_SECURITY, TRANSPORT_SECURITY));
    }
}
