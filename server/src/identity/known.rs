//! Certificates that were verified before, with what follows from them. Most clients make a new connection for each
//! request, and a proxy sends its client's certificate with every one.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use openssl::{
    sha::Sha256,
    x509::{X509, X509Ref},
};

use super::VerifiedCertificate;

/// How many certificates are remembered for a listener. Each takes about 20 KB.
const REMEMBERED: u64 = 2000;

/// What a certificate is found by: the SHA-256 of everything that was presented.
pub(super) type Fingerprint = [u8; 32];

/// The certificates that the client CAs of one listener verified. A new generation starts with none.
pub struct KnownCertificates(Cache<Fingerprint, Arc<VerifiedCertificate>>);

impl Default for KnownCertificates {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl KnownCertificates {
    /// The certificate with this fingerprint, unless it has expired since; otherwise the one that `make` verifies, which is
    /// remembered.
    ///
    /// # Errors
    /// What `make` returns.
    pub(super) fn find_or_make<E>(
        &self,
        key: Fingerprint,
        now: DateTime<Utc>,
        make: impl FnOnce() -> Result<Arc<VerifiedCertificate>, E>,
    ) -> Result<Arc<VerifiedCertificate>, E> {
        if let Some(known) = self.0.get(&key).filter(|known| known.is_valid_at(now)) {
            return Ok(known);
        }
        let verified = make()?;
        self.0.insert(key, Arc::clone(&verified));
        Ok(verified)
    }
}

/// A hash of parts, each with its length, that begins with what it is of.
pub(super) struct Parts(Sha256);

impl Parts {
    pub(super) fn of(what: &str) -> Self {
        let mut parts = Self(Sha256::new());
        parts.add(what.as_bytes());
        parts
    }

    pub(super) fn count(&mut self, number: usize) {
        self.0.update(&number.to_be_bytes());
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        self.count(part.len());
        self.0.update(part);
    }

    pub(super) fn finish(self) -> Fingerprint {
        self.0.finish()
    }
}

/// The fingerprint of a certificate of a handshake, with what was sent along and the chain that was found. `None` if one
/// cannot be encoded.
pub(super) fn of_handshake(leaf: &X509Ref, presented: &[X509], chain: &[X509]) -> Option<Fingerprint> {
    let mut parts = Parts::of("handshake");
    parts.add(&leaf.to_der().ok()?);
    for group in [presented, chain] {
        parts.count(group.len());
        for certificate in group {
            parts.add(&certificate.to_der().ok()?);
        }
    }
    Some(parts.finish())
}
