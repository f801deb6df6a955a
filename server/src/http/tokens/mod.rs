//! `/auth/token` and `/auth/keys`: the token service, as the Docker registry's token specification has it.

mod request;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, ContentType},
};
use chrono::SecondsFormat;
use serde::Serialize;
use utoipa::ToSchema;

pub use request::{Login, TokenFault, TokenRequest, read};

use super::{
    error::ApiError,
    exchange::Exchange,
    outcome::Outcome,
    stages::{Asking, Open},
};
use crate::{
    identity::{Method, Principal},
    tokens::{Entry, Holder, granted},
};

/// How long others may keep the public keys: a new one is published long before it signs.
const KEYS_MAX_AGE: &str = "public, max-age=300";

/// An issued token.
#[derive(Serialize, ToSchema)]
pub struct TokenAnswer {
    /// The token.
    token: String,
    /// The same token, under the name that OAuth 2.0 gives it.
    access_token: String,
    /// How long it is valid, in seconds.
    expires_in: i64,
    /// When it was issued.
    issued_at: String,
    /// What it grants, which may be less than was asked for.
    scope: String,
    /// For asking for tokens later without a password; only if it was asked for and is switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// Issues a token that says who the caller is and what of the asked it may do.
#[utoipa::path(get, path = "/auth/token", tag = "tokens",
    params(("service" = String, Query, description = "The registry that the token is for"),
           ("scope" = Option<String>, Query, description = "What it is to grant, such as repository:app:pull; may be repeated"),
           ("offline_token" = Option<bool>, Query, description = "Whether a refresh token is wanted too")),
    responses((status = 200, description = "The token, with what of the asked is allowed", body = TokenAnswer),
              (status = 400, description = "The request is malformed", body = super::api::Errors),
              (status = 401, description = "The caller is refused, or has no identity and needs one", body = super::api::Errors)))]
pub async fn issue(exchange: &mut Exchange<'_>, grant: Asking) -> Result<Outcome, ApiError> {
    let Asking(principal) = grant;
    let (Some(service), Some(request)) = (&exchange.generation.token_service, &exchange.token_request) else {
        return Err(ApiError::NoRoute);
    };
    let audience = request.audience(service)?;
    let now = exchange.state.clock.now();
    let granted = granted(exchange.access(), &principal, audience, &request.scopes);
    let holder = Holder::of(&principal);
    let failed = |cause: crate::tokens::SigningFault| ApiError::Signing(cause.to_string());
    let issued = service
        .access_token(&holder, audience, &granted.entries, now)
        .map_err(failed)?;
    let refresh_token = if request.offline && !matches!(request.login, Login::Refresh(_)) {
        let mark = password_mark(exchange, &principal);
        service
            .refresh_token(&holder, mark.as_deref(), audience, now)
            .map_err(failed)?
    } else {
        None
    };
    let scopes = scopes(&granted.entries);
    tracing::info!(
        principal = principal.name(),
        service = audience.name,
        asked = request.asked().join(" "),
        granted = scopes.join(" "),
        rules = granted.rules.join(", "),
        seconds = issued.seconds,
        "issued a token"
    );
    let rule = Some(granted.rules.join(", ")).filter(|rules| !rules.is_empty());
    let answer = TokenAnswer {
        access_token: issued.token.clone(),
        token: issued.token,
        expires_in: issued.seconds,
        issued_at: issued.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        scope: scopes.join(" "),
        refresh_token,
    };
    exchange.record.grants_token(scopes);
    let body = serde_json::to_string(&answer).map_err(|cause| ApiError::Signing(cause.to_string()))?;
    let response = HttpResponse::Ok()
        .content_type(ContentType::json())
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body);
    Ok(Outcome::from(response).by_rule(rule.as_deref()))
}

/// The public keys that verify tokens.
#[utoipa::path(get, path = "/auth/keys", tag = "tokens",
    responses((status = 200, description = "A JWK set (RFC 7517)", content_type = "application/jwk-set+json")))]
pub async fn keys(exchange: &mut Exchange<'_>, _: Open) -> Result<Outcome, ApiError> {
    let service = exchange
        .generation
        .token_service
        .as_ref()
        .ok_or(ApiError::NoRoute)?;
    let response = HttpResponse::Ok()
        .content_type("application/jwk-set+json")
        .insert_header((CACHE_CONTROL, KEYS_MAX_AGE))
        .body(service.key_set().to_string());
    Ok(response.into())
}

/// The mark of the password with which somebody logged in; `None` if it was by other means.
fn password_mark(exchange: &Exchange<'_>, principal: &Principal) -> Option<String> {
    let passwords = exchange.generation.passwords.as_ref()?;
    (principal.method() == Method::Password)
        .then(|| passwords.mark(principal.name()))
        .flatten()
}

fn scopes(entries: &[Entry]) -> Vec<String> {
    let scope = |entry: &Entry| {
        let class = entry
            .class
            .as_ref()
            .map(|class| format!("({class})"))
            .unwrap_or_default();
        format!("{}{class}:{}:{}", entry.kind, entry.name, entry.actions.join(","))
    };
    entries.iter().map(scope).collect()
}
