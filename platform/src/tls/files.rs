//! Reading keys and certificates, with errors that say which file is wrong and why.

use std::path::Path;

use openssl::{
    error::ErrorStack,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    ssl::SslContextBuilder,
    x509::X509,
};

use super::{TlsError, forget_errors};
use crate::reason;

/// The password of unencrypted keys. Without one OpenSSL asks for it on the terminal.
const NO_PASSWORD: &[u8] = b"";

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

/// The error for a certificate that OpenSSL does not present, for example because its key is too small.
pub(super) fn refused(what: &'static str, path: &Path, cause: &ErrorStack) -> TlsError {
    refuse(what, path, reason::of_openssl(cause))
}

/// The certificates of a PEM file, at least one. `what` says in messages what the file is for.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn certificates(what: &'static str, path: &Path) -> Result<Vec<X509>, TlsError> {
    parse_certificates(&read(what, path)?).map_err(|reason| refuse(what, path, reason))
}

/// The certificates of PEM text in the configuration itself, at least one.
pub(super) fn inline_certificates(set: &str, pem: &str) -> Result<Vec<X509>, TlsError> {
    parse_certificates(pem.as_bytes()).map_err(|reason| TlsError::Inline {
        set: set.to_owned(),
        reason,
    })
}

/// The certificates of PEM text, at least one.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn parse_certificates(content: &[u8]) -> Result<Vec<X509>, String> {
    // Errors left in OpenSSL's queue would be taken for the reason.
    forget_errors();
    let found = X509::stack_from_pem(content).map_err(|cause| {
        let reason = reason::of_openssl(&cause);
        format!("it holds a PEM certificate that is damaged or cut off ({reason})")
    })?;
    if found.is_empty() {
        let holds = "it holds no PEM certificate (-----BEGIN CERTIFICATE-----)";
        return Err(format!("{holds}{}", what_it_is(content)));
    }
    Ok(found)
}

/// The one unencrypted private key of a PEM file. `what` says in messages what the file is for.
///
/// # Errors
/// When it cannot be read, or holds none.
pub fn private_key(what: &'static str, path: &Path) -> Result<PKey<Private>, TlsError> {
    let content = read(what, path)?;
    forget_errors();
    PKey::private_key_from_pem_passphrase(&content, NO_PASSWORD).map_err(|cause| {
        let reason = if is_encrypted(&content) {
            "it is encrypted, and this program cannot ask for its password; write it without encryption \
             (openssl pkey -in FILE -out NEW) and let only this program's account read it"
                .to_owned()
        } else if text(&content).contains("PRIVATE KEY-----") {
            let reason = reason::of_openssl(&cause);
            format!("it holds a PEM private key that is damaged, cut off or of an unknown type ({reason})")
        } else {
            let holds = "it holds no unencrypted PEM private key (-----BEGIN PRIVATE KEY-----)";
            format!("{holds}{}", what_it_is(&content))
        };
        refuse(what, path, reason)
    })
}

/// Whether a PEM file holds a private key that needs a password (RFC 5958 section 3, RFC 1421 section 4.6.1.1).
pub(crate) fn is_encrypted(content: &[u8]) -> bool {
    let text = text(content);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn text(content: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(content)
}

/// What a file holds instead of the expected PEM, and how to convert it; empty if that cannot be told.
fn what_it_is(content: &[u8]) -> String {
    let is_blank = content.iter().all(u8::is_ascii_whitespace);
    if is_blank {
        return "; it is empty".into();
    }
    if X509::from_der(content).is_ok() {
        return "; it is a certificate in DER: convert it with openssl x509 -inform DER -in FILE -out NEW"
            .into();
    }
    if Pkcs12::from_der(content).is_ok() {
        return "; it is a PKCS#12 file: take out what is needed with openssl pkcs12 -in FILE -nodes -out NEW".into();
    }
    if PKey::private_key_from_der(content).is_ok() {
        return "; it is a private key in DER: convert it with openssl pkey -inform DER -in FILE -out NEW"
            .into();
    }
    let text = text(content);
    let mut labels: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .collect();
    labels.dedup();
    if labels.is_empty() {
        String::new()
    } else {
        format!("; what it holds: {}", labels.join(", "))
    }
}

/// A certificate chain (leaf first) and its key, which belong together.
///
/// # Errors
/// When a file cannot be read or used, or they do not belong together.
pub fn key_pair(
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
    forget_errors();
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

/// Presents a chain and its key in the handshakes of a context; `path` is the file of the chain.
///
/// # Errors
/// When OpenSSL refuses one of the certificates, because its key is too small for instance.
pub(super) fn present(
    builder: &mut SslContextBuilder,
    (what, path): (&'static str, &Path),
    (chain, key): (Vec<X509>, PKey<Private>),
) -> Result<(), TlsError> {
    let refused = |cause: ErrorStack| refused(what, path, &cause);
    for (position, certificate) in chain.into_iter().enumerate() {
        if position == 0 {
            builder.set_certificate(&certificate).map_err(refused)?;
        } else {
            builder.add_extra_chain_cert(certificate).map_err(refused)?;
        }
    }
    builder.set_private_key(&key).map_err(refused)
}
