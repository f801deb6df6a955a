//! Forwarded certificates that were verified before. A proxy sends the same certificate with every request of its client.

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use chrono::{DateTime, Utc};
use platform::tls::ClientTrust;

use super::{CLIENT_CERT, CLIENT_CERT_CHAIN, NGINX, NGINX_VERIFY, XFCC, read};
use crate::{
    config::ForwardedCertificate,
    identity::{
        IdentityError, VerifiedCertificate,
        known::{Fingerprint, KnownCertificates, Parts},
        verify,
    },
};

/// The certificate that a trusted proxy passes on, verified by `trust`. `known` are those that it verified before.
///
/// # Errors
/// When there is none, it cannot be read, or no CA verifies it.
pub fn verified(
    format: ForwardedCertificate,
    headers: &HeaderMap,
    trust: Option<&ClientTrust>,
    known: &KnownCertificates,
    now: DateTime<Utc>,
) -> Result<Arc<VerifiedCertificate>, IdentityError> {
    known.find_or_make(fingerprint(format, headers), now, || {
        let certificate = read(format, headers)?.ok_or(IdentityError::NoCertificate)?;
        verify(trust, &certificate)
    })
}

/// The hash of everything that a format reads: the number of values of each header, and each with its length.
fn fingerprint(format: ForwardedCertificate, headers: &HeaderMap) -> Fingerprint {
    let names = match format {
        ForwardedCertificate::Xfcc => &[XFCC][..],
        ForwardedCertificate::Nginx => &[NGINX, NGINX_VERIFY],
        ForwardedCertificate::Rfc9440 => &[CLIENT_CERT, CLIENT_CERT_CHAIN],
    };
    let mut parts = Parts::of("headers");
    for name in names {
        parts.count(headers.get_all(name).count());
        for value in headers.get_all(name) {
            parts.add(value.as_bytes());
        }
    }
    parts.finish()
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
