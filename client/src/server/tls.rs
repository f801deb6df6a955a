//! The HTTP client for a server: its TLS settings, time limits and redirects.

use std::{path::Path, time::Duration};

use openssl::{nid::Nid, pkcs12::Pkcs12, x509::X509};
use platform::{reason, tls};
use reqwest::{Client, Url, redirect::Policy};
use secrecy::ExposeSecret;

use super::settings::{Connection, Identity, SettingsError, Trust};
use super::transport::describe;

/// How long connecting, with the TLS handshake, may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a server may be silent in the middle of an answer.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// How many redirects within the same origin are followed.
const REDIRECTS: usize = 5;

/// A client certificate in the form that the HTTP library reads, and who it says that we are.
struct Presented {
    identity: reqwest::Identity,
    subject: String,
}

/// Makes the HTTP client, and says who it is by its certificate (empty without one).
pub(super) fn client(connection: &Connection) -> Result<(Client, String), SettingsError> {
    let mut builder = Client::builder()
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(SILENCE_LIMIT)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .redirect(Policy::custom(|attempt| {
            let same = attempt
                .previous()
                .first()
                .is_some_and(|first| first.origin() == attempt.url().origin());
            if !same && attempt.previous().first().is_some_and(is_content) {
                // Who asked for such content follows it without saying who asks.
                attempt.stop()
            } else if !same {
                attempt.error("it redirects to another server, which is not followed")
            } else if attempt.previous().len() > REDIRECTS {
                attempt.error("it redirects too often")
            } else {
                attempt.follow()
            }
        }));
    let authorities = authorities(&connection.trust)?;
    if !connection.trust.system {
        builder = builder.tls_certs_only(authorities);
    } else if !authorities.is_empty() {
        builder = builder.tls_certs_merge(authorities);
    }
    let mut subject = String::new();
    if let Some(identity) = &connection.identity {
        let presented = presented(identity)?;
        builder = builder.identity(presented.identity);
        subject = presented.subject;
    }
    let client = builder
        .build()
        .map_err(|cause| SettingsError::Tls(describe(&cause)))?;
    Ok((client, subject))
}

/// The HTTP client for what is kept elsewhere: without certificate, and with the system's CAs beside those that are trusted.
pub(super) fn anonymous(trust: &Trust) -> Result<Client, SettingsError> {
    let client = Client::builder()
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(SILENCE_LIMIT)
        .tls_version_min(reqwest::tls::Version::TLS_1_2)
        .redirect(Policy::limited(REDIRECTS))
        .tls_certs_merge(authorities(trust)?)
        .build();
    client.map_err(|cause| SettingsError::Tls(describe(&cause)))
}

/// Whether this is the address of a target file of a TUF 1.0 repository, or of a blob of a registry: both are verified by
/// their hashes, and may be kept elsewhere.
fn is_content(url: &Url) -> bool {
    [("/tuf/v1/", "targets"), ("/v2/", "blobs")]
        .iter()
        .any(|(below, kind)| {
            let path = url.path().split_once(below).map(|(_, path)| path);
            path.is_some_and(|path| path.split('/').any(|segment| segment == *kind))
        })
}

/// The CAs of files.
fn authorities(trust: &Trust) -> Result<Vec<reqwest::Certificate>, SettingsError> {
    let mut authorities = Vec::new();
    for path in &trust.files {
        tls::read_certificates("the CA file", path).map_err(|cause| SettingsError::Tls(cause.to_string()))?;
        let pem = platform::files::read(path).map_err(|cause| wrong(path, cause))?;
        let found = reqwest::Certificate::from_pem_bundle(&pem);
        authorities.extend(found.map_err(|cause| wrong(path, describe(&cause)))?);
    }
    Ok(authorities)
}

fn presented(identity: &Identity) -> Result<Presented, SettingsError> {
    let (path, chain, key) = match identity {
        Identity::Pem { cert, key } => {
            let (chain, private) = tls::read_key_pair("the client certificate", cert, "the client key", key)
                .map_err(|cause| SettingsError::Tls(cause.to_string()))?;
            (cert, chain, private)
        }
        Identity::Pkcs12 { file, passphrase } => {
            let failed = |cause| wrong(file, pkcs12_reason(&cause));
            let der = std::fs::read(file).map_err(|cause| wrong(file, reason::of_io(&cause)))?;
            let opened = Pkcs12::from_der(&der)
                .and_then(|container| container.parse2(passphrase.expose_secret()))
                .map_err(failed)?;
            let (Some(leaf), Some(key)) = (opened.cert, opened.pkey) else {
                return Err(wrong(file, "it holds no certificate with its private key"));
            };
            let mut chain = vec![leaf];
            chain.extend(opened.ca.into_iter().flatten());
            (file, chain, key)
        }
    };
    let unusable = |cause: openssl::error::ErrorStack| wrong(path, reason::of_openssl(&cause));
    let mut pem = Vec::new();
    for certificate in &chain {
        pem.extend(certificate.to_pem().map_err(unusable)?);
    }
    let private = zeroize::Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(unusable)?);
    let identity =
        reqwest::Identity::from_pkcs8_pem(&pem, &private).map_err(|cause| wrong(path, describe(&cause)))?;
    Ok(Presented {
        identity,
        subject: chain.first().map(who).unwrap_or_default(),
    })
}

/// Subject and issuer, which stay the same when a certificate is renewed.
fn who(certificate: &X509) -> String {
    let mut text = String::new();
    for name in [certificate.issuer_name(), certificate.subject_name()] {
        for entry in name.entries() {
            let kind = entry.object().nid();
            let value = entry.data().as_slice();
            let kind = if kind == Nid::UNDEF { 0 } else { kind.as_raw() };
            text.push_str(&format!("{kind}={};", hex::encode(value)));
        }
        text.push('|');
    }
    text
}

fn pkcs12_reason(cause: &openssl::error::ErrorStack) -> String {
    let reason = reason::of_openssl(cause);
    if reason.contains("mac verify failure") {
        "the passphrase is wrong, or the file is damaged; the passphrase is that of COUNTERSIGN_P12_PASSPHRASE, or the first \
         line of --p12-passphrase-file"
            .into()
    } else if reason.contains("unsupported") {
        format!(
            "it is encrypted in an old way that OpenSSL does not read ({reason}); write it anew with openssl pkcs12 -export"
        )
    } else {
        format!("it is not a PKCS#12 file that can be read ({reason})")
    }
}

fn wrong(path: &Path, reason: impl std::fmt::Display) -> SettingsError {
    SettingsError::File {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}
