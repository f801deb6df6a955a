//! The server's health and settings.

use actix_web::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::{
    access::{Access, Administration, Identified, Right, policy::Action},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome, stages::OpenTo},
    identity::Principal,
};

/// The server's health.
#[derive(Serialize, ToSchema)]
pub struct HealthInfo {
    /// What fails; empty if everything works.
    error: String,
    healthy: bool,
    details: HealthDetails,
}

/// Details of the health.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HealthDetails {
    /// How many configurations this process has taken up.
    generation: u64,
    /// The outcome of the last reload; null before the first.
    last_reload: Option<ReloadInfo>,
    /// How many warnings there are for an operator.
    warnings: usize,
}

/// A reload.
#[derive(Serialize, ToSchema)]
struct ReloadInfo {
    at: DateTime<Utc>,
    /// `taken`, or `refused`: then everything stayed as it was.
    outcome: &'static str,
    /// Why it was refused; shown to administrators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The server's version.
#[derive(Serialize, ToSchema)]
pub struct VersionInfo {
    version: &'static str,
}

/// The server's settings.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingsInfo {
    dtr_host: Option<String>,
    sso: bool,
    client_cert_auth_enabled: bool,
    #[serde(rename = "webTLSCert")]
    web_tls_cert: String,
    #[serde(rename = "webTLSCA")]
    web_tls_ca: String,
    #[serde(rename = "webTLSClientCA")]
    web_tls_client_ca: String,
    read_only_registry: bool,
    generation: u64,
}

/// The server's health. `caller` is the client that asks, if it has an identity.
#[utoipa::path(get, path = "/health", tag = "server",
    responses((status = 200, description = "Well", body = HealthInfo), (status = 503, description = "Not well", body = HealthInfo)))]
pub async fn health(exchange: &mut Exchange<'_>, OpenTo(caller): OpenTo) -> Result<Outcome, ApiError> {
    let (state, generation) = (exchange.state, &exchange.generation);
    let failing = state.health.failing();
    let error: Vec<String> = failing
        .iter()
        .map(|(check, reason)| format!("{check}: {reason}"))
        .collect();
    let trusted = caller.is_some_and(|caller| is_admin(exchange.access(), &caller));
    let last_reload = state.last_reload.get().map(|reloaded| ReloadInfo {
        at: reloaded.at,
        outcome: if reloaded.refused.is_none() {
            "taken"
        } else {
            "refused"
        },
        reason: reloaded.refused.filter(|_| trusted),
    });
    let mut response = json(&HealthInfo {
        healthy: error.is_empty(),
        error: error.join("; "),
        details: HealthDetails {
            generation: generation.number(),
            last_reload,
            warnings: generation.warnings(state.clock.now()).len(),
        },
    })?;
    if !failing.is_empty() {
        *response.response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// The server's version.
#[utoipa::path(get, path = "/api/v0/admin/version", tag = "server",
    responses((status = 200, description = "The version", body = VersionInfo)))]
pub async fn version(_: &mut Exchange<'_>, _: Identified) -> Result<Outcome, ApiError> {
    json(&VersionInfo {
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The server's settings, for administrators.
#[utoipa::path(get, path = "/api/v0/meta/settings", tag = "server",
    responses((status = 200, description = "The settings", body = SettingsInfo),
              (status = 403, description = "The caller is not an administrator", body = super::openapi::Errors)))]
pub async fn settings(exchange: &mut Exchange<'_>, _: Administration) -> Result<Outcome, ApiError> {
    let (state, generation) = (exchange.state, &exchange.generation);
    let text = |pem: Result<Vec<u8>, _>| -> String {
        let pem: Vec<u8> = pem.unwrap_or_else(|_: openssl::error::ErrorStack| Vec::new());
        String::from_utf8_lossy(&pem).into_owned()
    };
    let leaf = generation.server_ca.leaf.as_ref();
    let clients: Vec<String> = generation
        .client_cas()
        .map(|certificate| text(certificate.to_pem()))
        .collect();
    json(&SettingsInfo {
        dtr_host: state.config.public.external_url.clone(),
        sso: false,
        client_cert_auth_enabled: state.config.listeners.iter().any(crate::config::Listener::asks),
        web_tls_cert: leaf.map(|leaf| text(leaf.to_pem())).unwrap_or_default(),
        web_tls_ca: text(generation.server_ca.pem()),
        web_tls_client_ca: clients.concat(),
        read_only_registry: false,
        generation: generation.number(),
    })
}

fn is_admin(access: &Access, principal: &Principal) -> bool {
    access.identified(principal).is_ok() && access.check(principal, &Right::To(Action::Admin), None).is_ok()
}
