//! What audit records say about a client's certificate.

use crate::audit::record::Certificate;

use super::VerifiedCertificate;

/// The record of a verified certificate.
pub(super) fn certificate(verified: &VerifiedCertificate) -> Certificate {
    let facts = &verified.facts;
    Certificate {
        sha256: Some(facts.cert_sha256().to_owned()),
        spki_sha256: Some(facts.spki_sha256().to_owned()),
        san: facts.alternative_names(),
        ..Certificate::refused(&verified.certificate)
    }
}
