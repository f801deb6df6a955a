//! Reading keys and certificates, with errors that say which file is wrong and why.

use std::path::Path;

use openssl::{
    error::ErrorStack,
    pkey::{PKey, Private},
    x509::X509,
};

use super::TlsError;

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    crate::files::read(path).map_err(|cause| refuse(what, path, cause.to_string()))
}

pub(super) fn refuse(what: &'static str, path: &Path, reason: impl Into<String>) -> TlsError {
    TlsError::File {
        what,
        path: path.to_path_buf(),
        reason: reason.into(),
    }
}

/// For a certificate, or a chain, that OpenSSL does not show to anybody.
pub(super) fn refused(what: &'static str, path: &Path, cause: &ErrorStack) -> TlsError {
    let first = cause.errors().first().and_then(openssl::error::Error::reason);
    let reason = first.unwrap_or("no reason given");
    refuse(
        what,
        path,
        format!(
            "OpenSSL refuses it: {reason} (keys have at least the strength of RSA with 2048 bits, and signatures are made \
             with SHA-256 or better)"
        ),
    )
}

/// The certificates of a PEM file, at least one. `what` says in messages what the file is for.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn certificates(what: &'static str, path: &Path) -> Result<Vec<X509>, TlsError> {
    let pem = read(what, path)?;
    let found = X509::stack_from_pem(&pem).map_err(|cause| refuse(what, path, cause.to_string()))?;
    if found.is_empty() {
        return Err(refuse(
            what,
            path,
            "it holds no PEM certificate (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(found)
}

/// The certificates of PEM text in the configuration itself, at least one.
pub(super) fn inline_certificates(set: &str, pem: &str) -> Result<Vec<X509>, TlsError> {
    let refuse = |reason: String| TlsError::Inline {
        set: set.to_owned(),
        reason,
    };
    let found = X509::stack_from_pem(pem.as_bytes()).map_err(|cause| refuse(cause.to_string()))?;
    if found.is_empty() {
        return Err(refuse("it holds no PEM certificate".into()));
    }
    Ok(found)
}

/// The one unencrypted private key of a PEM file.
pub(super) fn private_key(what: &'static str, path: &Path) -> Result<PKey<Private>, TlsError> {
    let pem = read(what, path)?;
    // An empty passphrase keeps OpenSSL from asking on the terminal for an encrypted key.
    PKey::private_key_from_pem_passphrase(&pem, b"")
        .map_err(|_| refuse(what, path, "it holds no unencrypted PEM private key"))
}

/// A certificate chain (leaf first) and its key, which belong together.
pub(super) fn key_pair(
    certificate_what: &'static str,
    certificate_path: &Path,
    key_what: &'static str,
    key_path: &Path,
) -> Result<(Vec<X509>, PKey<Private>), TlsError> {
    let chain = certificates(certificate_what, certificate_path)?;
    let key = private_key(key_what, key_path)?;
    let matches = chain
        .first()
        .and_then(|leaf| leaf.public_key().ok())
        .is_some_and(|p| p.public_eq(&key));
    if matches {
        Ok((chain, key))
    } else {
        let reason = format!(
            "it does not belong to the first certificate of {}",
            certificate_path.display()
        );
        Err(refuse(key_what, key_path, reason))
    }
}
