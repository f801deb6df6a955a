//! `GET /basic_info`: whom the server identified the caller as, and by which certificate.

use chrono::{DateTime, Utc};
use openssl::sha::sha256;
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::{
    access::{Identified, Right, policy::Action},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    identity::{Method, Principal, VerifiedCertificate},
};

/// The response. Existing clients expect this mixture of letter cases.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct BasicInfo {
    /// The server's version.
    current_version: &'static str,
    /// The caller; null for a client without an identity.
    user: Option<User>,
    /// Whether the caller may see the server's settings.
    is_admin: bool,
    /// How the caller showed who it is.
    authn_method: &'static str,
    /// The certificate that identified the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<CertificateInfo>,
}

/// An account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    name: String,
    /// Stable: derived from the name.
    id: String,
    full_name: String,
    is_org: bool,
    is_admin: bool,
    is_active: bool,
    is_imported: bool,
    groups: Vec<String>,
}

/// What the server knows about a certificate.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CertificateInfo {
    subject: String,
    issuer: String,
    serial: String,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    sans: Vec<String>,
    /// SHA-256 of the certificate, base64url (RFC 8705).
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
    /// SHA-256 of the public key, hex.
    #[serde(rename = "spkiSHA256")]
    spki_sha256: String,
    /// The identity rule that gave the name.
    mapped_by: Option<String>,
    revocation: RevocationInfo,
}

/// The certificate's revocation status.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RevocationInfo {
    method: &'static str,
    status: &'static str,
    checked_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_update: Option<DateTime<Utc>>,
}

/// Who the caller is.
#[utoipa::path(get, path = "/basic_info", tag = "account",
    responses((status = 200, description = "The caller", body = BasicInfo),
              (status = 401, description = "The caller has no identity", body = super::openapi::Errors)))]
pub async fn basic_info(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let (state, access, principal) = (exchange.state, exchange.access(), grant.principal());
    let is_admin = access.check(principal, &Right::To(Action::Admin), None).is_ok();
    let known = principal.method() != Method::Anonymous;
    let account = if known {
        let name = principal.name().to_owned();
        state.with_store(move |store| store.account(&name)).await?
    } else {
        None
    };
    let full_name = account.as_ref().and_then(|account| account.full_name.clone());
    let user = known.then(|| User {
        name: principal.name().to_owned(),
        id: uuid(principal.name()),
        full_name: full_name.unwrap_or_default(),
        is_org: false,
        is_admin,
        is_active: true,
        is_imported: account.is_none(),
        groups: principal.groups().to_vec(),
    });
    json(&BasicInfo {
        current_version: env!("CARGO_PKG_VERSION"),
        user,
        is_admin: known && is_admin,
        authn_method: principal.method().name(),
        client_certificate: principal
            .certificate()
            .map(|verified| certificate(verified, principal, state.clock.now())),
    })
}

fn certificate(verified: &VerifiedCertificate, principal: &Principal, now: DateTime<Utc>) -> CertificateInfo {
    let facts = &verified.facts;
    let status = principal.revocation();
    CertificateInfo {
        subject: verified.certificate.subject(),
        issuer: verified.certificate.issuer(),
        serial: verified.certificate.serial(),
        not_before: verified.certificate.not_before(),
        not_after: verified.certificate.not_after(),
        sans: facts.alternative_names(),
        thumbprint: facts.thumbprint(),
        spki_sha256: facts.spki_sha256().to_owned(),
        mapped_by: principal.rule().map(str::to_owned),
        revocation: RevocationInfo {
            method: status.map_or("none", |status| status.source),
            status: match status {
                Some(status) if status.fail_open.is_some() => "unknown",
                Some(status) if status.source != "none" => "good",
                _ => "unchecked",
            },
            checked_at: now,
            next_update: status.and_then(|status| status.next_update),
        },
    }
}

/// A UUID (RFC 9562 version 8), always the same for a name.
pub(super) fn uuid(name: &str) -> String {
    let digest = sha256(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
