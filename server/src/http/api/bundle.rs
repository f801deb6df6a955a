//! `POST /api/v0/bundle`: a new certificate for whoever has one already, or a password, by the client CA of this server.

use actix_web::http::StatusCode;
use chrono::{DateTime, SecondsFormat, Utc};
use openssl::x509::X509;
use platform::{tls::utc, x509::hash_of_key};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    changing::{ChangeFault, answer, read},
    openapi::Errors,
};
use crate::{
    access::OwnBundle,
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    identity::{Principal, facts::CertificateFacts},
    issuing::{
        IssuingError,
        bundle::UserName,
        own::{CheckedRequest, OwnAuthority},
    },
    store::{DenialKey, DeniedSubject},
};

/// A request for a certificate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleRequest {
    /// A certificate request (PKCS#10) in PEM. Nothing of it but its key gets into the certificate.
    request: String,
}

/// An issued certificate.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedCertificate {
    /// The name of its holder here.
    name: String,
    /// The groups that it names.
    groups: Vec<String>,
    /// Upper-case hex.
    serial: String,
    /// When it ends.
    pub not_after: Option<DateTime<Utc>>,
    /// In PEM.
    pub certificate: String,
    /// The CA that issued it, in PEM.
    ca: String,
}

/// Issues a certificate for the caller, with the caller's name and those of its groups that `issuing.groups` lists.
#[utoipa::path(post, path = "/api/v0/bundle", tag = "account",
    request_body = BundleRequest,
    responses((status = 201, description = "The certificate", body = IssuedCertificate),
              (status = 400, description = "The request is refused", body = Errors),
              (status = 403, description = "No rule of the policy allows the caller bundle", body = Errors),
              (status = 404, description = "This server issues no certificates", body = Errors),
              (status = 409, description = "A client with such a certificate would be somebody else here, or the caller has too many", body = Errors)))]
pub async fn issue(exchange: &mut Exchange<'_>, grant: OwnBundle) -> Result<Outcome, ApiError> {
    let body: BundleRequest = read(exchange).await?;
    let (issued, remark) = issue_for(exchange, &grant, &body.request).await?;
    answer(StatusCode::CREATED, &issued, remark)
}

/// Issues a certificate for the key of a request in PEM; returns it, and what was done.
pub async fn issue_for(
    exchange: &Exchange<'_>,
    grant: &OwnBundle,
    request: &str,
) -> Result<(IssuedCertificate, String), ApiError> {
    let authority = exchange
        .generation
        .issuing
        .clone()
        .ok_or(ChangeFault::IssuesNothing)?;
    let caller = grant.principal();
    let request = CheckedRequest::parse(request).map_err(|fault| ChangeFault::Request(fault.to_string()))?;
    let name = UserName::parse(caller.name()).map_err(|fault| ChangeFault::OtherName(fault.to_string()))?;
    let groups = authority.groups_of(caller.groups());
    let failed = |cause: IssuingError| ApiError::Signing(cause.to_string());
    let certificate = authority.sign(&request, &name, &groups).map_err(failed)?;
    check(exchange, caller, &authority, &certificate).await?;
    let serial = certificate
        .serial_number()
        .to_bn()
        .and_then(|number| Ok(number.to_hex_str()?.to_string()))
        .map_err(|cause| ApiError::Signing(cause.to_string()))?;
    let not_after = utc(certificate.not_after());
    let until = not_after.map_or_else(String::new, |end| end.to_rfc3339_opts(SecondsFormat::Secs, true));
    let detail = format!("{serial} until {until}, groups {}", groups.join(", "));
    let (actor, now, subject, named) = (
        caller.actor(),
        exchange.state.clock.now(),
        caller.name().to_owned(),
        groups.clone(),
    );
    let (of, made) = (authority.clone(), certificate.clone());
    let remark = format!("certificate {serial} issued to {}", caller.name());
    let recorded = exchange.state.with_store(move |store| {
        // It has to be known before it is handed out: what nobody knows of, nobody can revoke.
        if let Err(cause) = of.record(&made, &name, &named) {
            return Ok(Err(cause));
        }
        store
            .note_certificate(&subject, detail.clone(), &actor, now)
            .map(Ok)
    });
    recorded.await?.map_err(|cause| match cause {
        IssuingError::TooMany(_) => ChangeFault::OtherName(cause.to_string()).into(),
        other => failed(other),
    })?;
    let pem = |certificate: &X509| -> Result<String, ApiError> {
        let pem = certificate
            .to_pem()
            .map_err(|cause| ApiError::Signing(cause.to_string()))?;
        Ok(String::from_utf8_lossy(&pem).into_owned())
    };
    let issued = IssuedCertificate {
        name: caller.name().to_owned(),
        groups,
        serial,
        not_after,
        certificate: pem(&certificate)?,
        ca: pem(authority.certificate())?,
    };
    Ok((issued, remark))
}

/// Checks that a client with this certificate would be the caller, with no group more: by CAs, identity rules, accounts and
/// the deny list, as they are now.
async fn check(
    exchange: &Exchange<'_>,
    caller: &Principal,
    authority: &OwnAuthority,
    certificate: &X509,
) -> Result<(), ApiError> {
    let generation = &exchange.generation;
    let other = |why: String| ApiError::from(ChangeFault::OtherName(why));
    let issuers = [authority.certificate().clone()];
    let trusts = generation
        .listeners()
        .iter()
        .filter_map(|listener| listener.trust());
    let verified = trusts
        .filter_map(|trust| trust.verify(certificate, &issuers).ok())
        .next();
    let verified =
        verified.ok_or_else(|| other("no listener accepts certificates of issuing.ca".to_owned()))?;
    let facts = CertificateFacts::new(certificate, &issuers, verified.sets)
        .map_err(|cause| other(cause.to_string()))?;
    let security = exchange.new_moment().await?.security;
    let key = certificate.public_key().and_then(|key| hash_of_key(&key));
    let key = key.map_err(|cause| ApiError::Signing(cause.to_string()))?;
    if security.denies_any(&[DenialKey::of(&DeniedSubject::Key(key))]) {
        return Err(ChangeFault::Request("its key is denied".to_owned()).into());
    }
    crate::http::authenticate::check_admitted(generation, &security, caller)?;
    let registered = security.account_by_key(facts.key_hashes());
    let identified = generation
        .identity
        .identify(&facts, registered)
        .map_err(|refused| other(format!("the identity rules give it no name: {refused}")))?;
    if identified.principal != caller.name() {
        return Err(other(format!(
            "the identity rules would call its holder {}",
            identified.principal
        )));
    }
    match identified
        .groups
        .iter()
        .find(|group| !caller.groups().contains(group))
    {
        Some(group) => Err(other(format!(
            "the identity rules would put its holder into the group {group}"
        ))),
        None => Ok(()),
    }
}
