//! Client certificates in the headers of a reverse proxy. The proxy is trusted to say which certificate its client
//! proved to own; this server verifies that certificate itself.

mod verified;
mod xfcc;

use actix_web::http::header::{HeaderMap, HeaderName};
use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{sha::sha256, x509::X509};
use percent_encoding::percent_decode_str;
use platform::tls::ClientCertificate;

use crate::config::ForwardedCertificate;

pub use verified::verified;

const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const NGINX: HeaderName = HeaderName::from_static("ssl-client-cert");
const NGINX_VERIFY: HeaderName = HeaderName::from_static("ssl-client-verify");
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
const ALL: [HeaderName; 5] = [XFCC, NGINX, NGINX_VERIFY, CLIENT_CERT, CLIENT_CERT_CHAIN];

/// Why a proxy's header yields no certificate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ForwardedError {
    /// The header appears more than once, so one of them may not be the proxy's.
    #[error("the header {0} appears more than once")]
    Repeated(HeaderName),
    /// It is malformed.
    #[error("the header {0} is malformed: {1}")]
    Malformed(HeaderName, &'static str),
    /// It names a certificate without containing it, so nothing can be verified.
    #[error("the header {0} contains no certificate; configure the proxy to send the whole certificate")]
    NoCertificate(HeaderName),
    /// The proxy itself did not accept the certificate.
    #[error("the proxy did not verify the client's certificate: {0}")]
    Unverified(String),
}

/// Whether a request carries any of these headers.
pub fn is_present(headers: &HeaderMap) -> bool {
    ALL.iter().any(|name| headers.contains_key(name))
}

/// The certificate that a trusted proxy passes on; `None` if its client had none.
///
/// # Errors
/// When the header is present and cannot be read.
pub fn read(
    format: ForwardedCertificate,
    headers: &HeaderMap,
) -> Result<Option<ClientCertificate>, ForwardedError> {
    let found = match format {
        ForwardedCertificate::Xfcc => xfcc(headers)?,
        ForwardedCertificate::Nginx => nginx(headers)?,
        ForwardedCertificate::Rfc9440 => rfc9440(headers)?,
    };
    let Some((name, mut certificates)) = found else {
        return Ok(None);
    };
    if certificates.is_empty() {
        return Err(ForwardedError::NoCertificate(name));
    }
    let leaf = certificates.remove(0);
    ClientCertificate::new(leaf)
        .map(|leaf| Some(leaf.with_presented(certificates)))
        .ok_or(ForwardedError::Malformed(
            name,
            "the certificate's dates cannot be read",
        ))
}

type Found = Option<(HeaderName, Vec<X509>)>;

fn single(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, ForwardedError> {
    let mut values = headers.get_all(name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ForwardedError::Repeated(name.clone()));
    }
    let text = value
        .to_str()
        .map_err(|_| ForwardedError::Malformed(name.clone(), "it is not ASCII text"))?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

fn url_encoded_pem(name: &HeaderName, text: &str) -> Result<Vec<X509>, ForwardedError> {
    let malformed = || ForwardedError::Malformed(name.clone(), "it is not URL-encoded PEM");
    let pem: Vec<u8> = percent_decode_str(text).collect();
    X509::stack_from_pem(&pem).map_err(|_| malformed())
}

/// `ssl-client-cert: <URL-encoded PEM>`, `ssl-client-verify: SUCCESS`, or NONE without a certificate.
fn nginx(headers: &HeaderMap) -> Result<Found, ForwardedError> {
    let verified = single(headers, &NGINX_VERIFY)?;
    let Some(text) = single(headers, &NGINX)? else {
        return Ok(None);
    };
    match verified.as_deref() {
        Some("SUCCESS") => Ok(Some((NGINX, url_encoded_pem(&NGINX, &text)?))),
        // The client sent this header itself, and the proxy did not remove it.
        Some("NONE") | None => Err(ForwardedError::Unverified(
            "ssl-client-verify is not SUCCESS".to_owned(),
        )),
        Some(other) => Err(ForwardedError::Unverified(other.chars().take(100).collect())),
    }
}

/// `Client-Cert: :<base64 of DER>:` and, optionally, `Client-Cert-Chain: :…:, :…:` (RFC 9440 section 2).
fn rfc9440(headers: &HeaderMap) -> Result<Found, ForwardedError> {
    let Some(leaf) = single(headers, &CLIENT_CERT)? else {
        return Ok(None);
    };
    let sequence = |name: &HeaderName, text: &str| {
        let malformed = |reason| ForwardedError::Malformed(name.clone(), reason);
        let inner = text
            .trim()
            .strip_prefix(':')
            .and_then(|rest| rest.strip_suffix(':'))
            .ok_or_else(|| malformed("it is not a byte sequence (:base64:)"))?;
        let der = STANDARD
            .decode(inner)
            .map_err(|_| malformed("it is not base64"))?;
        X509::from_der(&der).map_err(|_| malformed("it is not a DER certificate"))
    };
    let mut certificates = vec![sequence(&CLIENT_CERT, &leaf)?];
    if let Some(chain) = single(headers, &CLIENT_CERT_CHAIN)? {
        for issuer in chain.split(',') {
            certificates.push(sequence(&CLIENT_CERT_CHAIN, issuer)?);
        }
    }
    Ok(Some((CLIENT_CERT, certificates)))
}

/// `By=…;Hash=…;Cert="<URL-encoded PEM>";Chain="…"`.
fn xfcc(headers: &HeaderMap) -> Result<Found, ForwardedError> {
    let Some(text) = single(headers, &XFCC)? else {
        return Ok(None);
    };
    let element = xfcc::counting(&text).map_err(|reason| ForwardedError::Malformed(XFCC, reason))?;
    let Some(text) = element.certificate else {
        return Ok(Some((XFCC, Vec::new())));
    };
    let mut certificates = url_encoded_pem(&XFCC, text)?;
    let malformed = |reason| ForwardedError::Malformed(XFCC, reason);
    let leaf = match certificates.as_slice() {
        [leaf] => leaf.clone(),
        [] => return Ok(Some((XFCC, Vec::new()))),
        _ => return Err(malformed("Cert contains more than one certificate")),
    };
    if let Some(hash) = element.hash
        && leaf.to_der().ok().map(|der| sha256(&der)) != Some(hash)
    {
        return Err(malformed("Hash does not match the certificate in Cert"));
    }
    if let Some(text) = element.chain {
        let mut chain = url_encoded_pem(&XFCC, text)?;
        // The chain that Envoy sends starts with the client's certificate.
        match chain.iter().position(|issuer| *issuer == leaf) {
            Some(0) => drop(chain.remove(0)),
            None => {}
            Some(_) => return Err(malformed("Chain does not start with the certificate in Cert")),
        }
        certificates.extend(chain);
    }
    Ok(Some((XFCC, certificates)))
}
