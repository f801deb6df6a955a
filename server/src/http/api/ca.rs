//! What a client needs before it can trust the server: the server's CA, and a script that sets up the client.

use actix_web::{
    HttpResponse,
    http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use openssl::sha::sha256;

use super::parameter;
use crate::{
    clients::setup_script as client_setup,
    http::{error::ApiError, exchange::Exchange, outcome::Outcome, stages::Open},
};

/// The CA that issued the server's certificate.
#[utoipa::path(get, path = "/ca", tag = "server", params(("format" = Option<String>, Query, description = "pem or der")),
    responses((status = 200, description = "The CA's certificates in PEM, or the last of them in DER", content_type = "application/x-pem-file")))]
pub async fn ca(exchange: &mut Exchange<'_>, _: Open) -> Result<Outcome, ApiError> {
    let (generation, request) = (&exchange.generation, exchange.request);
    let unreadable =
        |cause: openssl::error::ErrorStack| ApiError::StoredState(platform::reason::of_openssl(&cause));
    let certificates = &generation.server_ca;
    let (kind, body) = match parameter(request.query_string(), "format").as_deref() {
        None | Some("pem") => ("application/x-pem-file", certificates.pem().map_err(unreadable)?),
        Some("der") => {
            let last = certificates.certificates.last();
            let der = last.map(|last| last.to_der()).transpose();
            (
                "application/pkix-cert",
                der.map_err(unreadable)?.unwrap_or_default(),
            )
        }
        Some(other) => {
            return Err(ApiError::InvalidParameter(format!(
                "invalid format parameter: {other:?} (allowed: pem, der)"
            )));
        }
    };
    if body.is_empty() {
        return Err(ApiError::NoServerCa);
    }
    let etag = format!("\"{}\"", hex::encode(sha256(&body)));
    let known = request.headers().get(IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok(HttpResponse::NotModified()
            .insert_header((ETAG, etag))
            .finish()
            .into());
    }
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((ETAG, etag))
        .body(body)
        .into())
}

/// A shell script that sets up a client and contains the server's URL and CA.
#[utoipa::path(get, path = "/setup.sh", tag = "server",
    responses((status = 200, description = "The script", content_type = "text/x-shellscript")))]
pub async fn setup_script(exchange: &mut Exchange<'_>, _: Open) -> Result<Outcome, ApiError> {
    let (state, generation) = (exchange.state, &exchange.generation);
    let pem = generation
        .server_ca
        .pem()
        .map_err(|cause| ApiError::StoredState(platform::reason::of_openssl(&cause)))?;
    let url = state
        .config
        .public
        .external_url
        .as_ref()
        .ok_or(ApiError::NoExternalUrl)?;
    if pem.is_empty() {
        return Err(ApiError::NoServerCa);
    }
    let script = client_setup::script(url, &String::from_utf8_lossy(&pem));
    Ok(HttpResponse::Ok()
        .content_type("text/x-shellscript; charset=utf-8")
        .body(script)
        .into())
}
