//! Forwarded certificates that were verified before. A proxy sends the same certificate with every request of its client.

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use chrono::{DateTime, Utc};
use moka::sync::Cache;
use openssl::sha::Sha256;
use platform::tls::ClientTrust;

use super::{CLIENT_CERT, CLIENT_CERT_CHAIN, NGINX, NGINX_VERIFY, XFCC, read};
use crate::{
    config::ForwardedCertificate,
    identity::{IdentityError, VerifiedCertificate, verify},
};

/// How many certificates are remembered for a listener. Each takes about 10 KB.
const REMEMBERED: u64 = 1000;

/// The certificates that the client CAs of one listener verified. A new generation starts with none.
pub struct VerifiedForwarded(Cache<[u8; 32], Arc<VerifiedCertificate>>);

impl Default for VerifiedForwarded {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl VerifiedForwarded {
    /// The certificate that a trusted proxy passes on, verified by `trust`, which is always the same for this listener.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or no CA verifies it.
    pub fn verify(
        &self,
        format: ForwardedCertificate,
        headers: &HeaderMap,
        trust: Option<&ClientTrust>,
        now: DateTime<Utc>,
    ) -> Result<Arc<VerifiedCertificate>, IdentityError> {
        let key = fingerprint(format, headers);
        if let Some(known) = self.0.get(&key)
            && known.is_valid_at(now)
        {
            return Ok(known);
        }
        let certificate = read(format, headers)?.ok_or(IdentityError::NoCertificate)?;
        let verified = verify(trust, &certificate)?;
        self.0.insert(key, Arc::clone(&verified));
        Ok(verified)
    }
}

/// The hash of everything that a format reads: the number of values of each header, and each with its length.
fn fingerprint(format: ForwardedCertificate, headers: &HeaderMap) -> [u8; 32] {
    let names = match format {
        ForwardedCertificate::Xfcc => &[XFCC][..],
        ForwardedCertificate::Nginx => &[NGINX, NGINX_VERIFY],
        ForwardedCertificate::Rfc9440 => &[CLIENT_CERT, CLIENT_CERT_CHAIN],
    };
    let mut hash = Sha256::new();
    let number = |length: usize, hash: &mut Sha256| hash.update(&length.to_be_bytes());
    for name in names {
        number(headers.get_all(name).count(), &mut hash);
        for value in headers.get_all(name) {
            number(value.len(), &mut hash);
            hash.update(value.as_bytes());
        }
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn nginx(values: &[(&str, &str)]) -> [u8; 32] {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            let name = if *name == "cert" { NGINX } else { NGINX_VERIFY };
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        fingerprint(ForwardedCertificate::Nginx, &headers)
    }

    #[test]
    fn whatever_a_format_reads_makes_another_fingerprint() {
        let all = [
            nginx(&[]),
            nginx(&[("cert", "a")]),
            nginx(&[("cert", "")]),
            nginx(&[("verify", "a")]),
            nginx(&[("cert", "a"), ("verify", "SUCCESS")]),
            nginx(&[("cert", "a"), ("verify", "NONE")]),
            nginx(&[("cert", "a"), ("cert", "b"), ("verify", "SUCCESS")]),
            nginx(&[("cert", "ab"), ("verify", "SUCCESS")]),
            nginx(&[("cert", "aS"), ("verify", "UCCESS")]),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
