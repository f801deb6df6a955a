//! What is known of a key in metadata.

use chrono::{DateTime, Utc};
use openssl::x509::X509;
use platform::{tls::utc, x509::name_text};
use tuf::PublicKey;

/// A key as pages describe it.
pub struct Described {
    /// Algorithm and form.
    pub kind: String,
    /// The subject of its certificate.
    pub subject: Option<String>,
    /// When the certificate ends.
    pub until: Option<DateTime<Utc>>,
}

/// Describes a key.
pub fn describe(key: &PublicKey) -> Described {
    let kind = key.key_type().as_str();
    let certificate = kind
        .ends_with("-x509")
        .then(|| X509::from_pem(key.public()).ok())
        .flatten();
    let kind = match kind.trim_end_matches("-x509") {
        "ecdsa" => "ECDSA",
        "rsa" => "RSA",
        "ed25519" => "Ed25519",
        other => other,
    };
    Described {
        kind: match certificate {
            Some(_) => format!("{kind}, certificate"),
            None => kind.to_owned(),
        },
        subject: certificate
            .as_ref()
            .map(|certificate| name_text(certificate.subject_name())),
        until: certificate
            .as_ref()
            .and_then(|certificate| utc(certificate.not_after())),
    }
}
