//! Asks the CAs' OCSP responders about single certificates (RFC 6960).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveDateTime, Utc};
use ipnet::IpNet;
use moka::{Expiry, future::Cache};
use openssl::{
    hash::MessageDigest,
    ocsp::{OcspCertId, OcspCertStatus, OcspFlag, OcspRequest, OcspResponse, OcspResponseStatus},
    sha::sha256,
    stack::Stack,
    x509::{X509, X509Ref, store::X509StoreBuilder, verify::X509VerifyFlags},
};
use platform::x509::ocsp_nonce as nonce;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::CONTENT_TYPE,
    redirect::Policy,
};

use super::{RevocationError, fetch::chain};
use crate::config::{Depth, Nonce, OcspSettings};

/// The total time that a client waits for a responder.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a good response without `nextUpdate` is used.
const WITHOUT_NEXT_UPDATE: Duration = Duration::from_secs(60);
/// The longest time that a response is used, whatever it says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a failure to get a response is remembered.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How far clocks may differ, in seconds.
const SKEW: u32 = 300;
/// The largest response that is read, in bytes.
const SIZE_LIMIT: usize = 64 * 1024;
/// How many responses are cached.
const KEPT: u64 = 100_000;

#[derive(Debug, Clone)]
enum Answer {
    Good(DateTime<Utc>),
    Revoked,
    None(String),
}

#[derive(Clone)]
struct Known {
    answer: Answer,
    keep: Duration,
}

struct Lifetime;

impl Expiry<[u8; 32], Known> for Lifetime {
    fn expire_after_create(&self, _: &[u8; 32], known: &Known, _: Instant) -> Option<Duration> {
        Some(known.keep)
    }
}

/// Clients for the responders of all CAs, and their cached responses.
pub(super) struct Responders {
    settings: OcspSettings,
    client: reqwest::Client,
    answers: Cache<[u8; 32], Known>,
}

/// A resolver that returns only addresses within the configured networks.
struct Within(Arc<[IpNet]>);

impl Resolve for Within {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| is_within(&networks, address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(format!("{} has no address in revocation.ocsp.networks", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn is_within(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

impl Responders {
    pub(super) fn new(settings: OcspSettings) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Within(settings.networks.clone().into())))
            .build()
            .map_err(|cause| chain(&cause))?;
        Ok(Self {
            settings,
            client,
            answers: Cache::builder().max_capacity(KEPT).expire_after(Lifetime).build(),
        })
    }

    pub(super) fn depth(&self) -> Depth {
        self.settings.depth
    }

    /// Returns until when a certificate is known to be good. Concurrent requests for the same certificate cause one
    /// query.
    ///
    /// # Errors
    /// When it is revoked, or the responder gives no usable response.
    pub(super) async fn ask(
        &self,
        certificate: &X509Ref,
        issuer: &X509Ref,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, RevocationError> {
        let unavailable = |reason: String| RevocationError::OcspUnavailable(reason);
        let encoded = certificate
            .to_der()
            .map_err(|cause| unavailable(cause.to_string()))?;
        let known = self
            .answers
            .get_with(sha256(&encoded), self.fetch(certificate, issuer, now))
            .await;
        match known.answer {
            // After an expired response, the next request asks again; until then the status is unknown.
            Answer::Good(until) if now > until + Duration::from_secs(u64::from(SKEW)) => {
                Err(unavailable("its last answer has expired".into()))
            }
            Answer::Good(until) => Ok(until),
            Answer::Revoked => Err(RevocationError::Revoked { source_name: "OCSP" }),
            Answer::None(reason) => Err(unavailable(reason)),
        }
    }

    async fn fetch(&self, certificate: &X509Ref, issuer: &X509Ref, now: DateTime<Utc>) -> Known {
        // The timeout covers everything, including connecting to several addresses.
        let outcome = tokio::time::timeout(TIMEOUT, self.exchange(certificate, issuer, now)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())));
        let answer = outcome.unwrap_or_else(Answer::None);
        let keep = match &answer {
            Answer::Good(until) => (*until - now).to_std().unwrap_or_default().min(LONGEST),
            Answer::Revoked => LONGEST,
            Answer::None(reason) => {
                tracing::warn!(reason, "no revocation status from an OCSP responder");
                AFTER_FAILURE
            }
        };
        Known { answer, keep }
    }

    async fn exchange(
        &self,
        certificate: &X509Ref,
        issuer: &X509Ref,
        now: DateTime<Utc>,
    ) -> Result<Answer, String> {
        let url = self.responder(certificate)?;
        let request =
            question(certificate, issuer, self.settings.nonce).map_err(|cause| cause.to_string())?;
        let encoded = request.to_der().map_err(|cause| cause.to_string())?;
        let mut response = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/ocsp-request")
            .body(encoded)
            .send()
            .await
            .map_err(|cause| chain(&cause))?;
        if !response.status().is_success() {
            return Err(format!("the responder answered {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|cause| chain(&cause))? {
            body.extend_from_slice(&part);
            if body.len() > SIZE_LIMIT {
                return Err(format!("the answer is larger than {SIZE_LIMIT} bytes"));
            }
        }
        understand(&body, &self.settings, &request, certificate, issuer, now)
    }

    /// The URL to ask: the configured responder, or the one named in the certificate.
    fn responder(&self, certificate: &X509Ref) -> Result<Url, String> {
        let text = match &self.settings.responder {
            Some(url) => url.clone(),
            None => certificate
                .ocsp_responders()
                .ok()
                .and_then(|urls| urls.iter().next().map(|url| url.to_string()))
                .ok_or("the certificate names no responder, and revocation.ocsp.responder is not set")?,
        };
        let url = Url::parse(&text).map_err(|cause| format!("the responder {text}: {cause}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("the responder {text} is neither http nor https"));
        }
        // The resolver is not used for literal addresses, so they are checked here.
        let literal = url
            .host_str()
            .and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|address| !is_within(&self.settings.networks, address)) {
            return Err(format!(
                "the responder {text} is outside of revocation.ocsp.networks"
            ));
        }
        Ok(url)
    }
}

/// SHA-1 identifies the certificate here, as every responder expects (RFC 5019 section 2.1.1); security does not
/// depend on it.
fn identifier(certificate: &X509Ref, issuer: &X509Ref) -> Result<OcspCertId, openssl::error::ErrorStack> {
    OcspCertId::from_cert(MessageDigest::sha1(), certificate, issuer)
}

fn question(
    certificate: &X509Ref,
    issuer: &X509Ref,
    with: Nonce,
) -> Result<OcspRequest, openssl::error::ErrorStack> {
    let mut request = OcspRequest::new()?;
    request.add_id(identifier(certificate, issuer)?)?;
    if with != Nonce::Off {
        nonce::add(&mut request)?;
    }
    Ok(request)
}

fn understand(
    body: &[u8],
    settings: &OcspSettings,
    request: &OcspRequest,
    certificate: &X509Ref,
    issuer: &X509Ref,
    now: DateTime<Utc>,
) -> Result<Answer, String> {
    let malformed = |cause: openssl::error::ErrorStack| {
        format!(
            "the answer cannot be used: {}",
            platform::reason::of_openssl(&cause)
        )
    };
    let response = OcspResponse::from_der(body).map_err(malformed)?;
    if response.status() != OcspResponseStatus::SUCCESSFUL {
        return Err(format!(
            "the responder refuses to answer (status {})",
            response.status().as_raw()
        ));
    }
    let basic = response.basic().map_err(malformed)?;
    // Only the issuer itself, or a responder it appointed (id-kp-OCSPSigning), may answer: RFC 6960 section 4.2.2.2.
    let issuer_owned: X509 = issuer.to_owned();
    let mut store = X509StoreBuilder::new().map_err(malformed)?;
    store.add_cert(issuer_owned.clone()).map_err(malformed)?;
    store
        .set_flags(X509VerifyFlags::PARTIAL_CHAIN)
        .map_err(malformed)?;
    let mut certificates = Stack::new().map_err(malformed)?;
    certificates.push(issuer_owned).map_err(malformed)?;
    basic
        .verify(&certificates, &store.build(), OcspFlag::empty())
        .map_err(|cause| format!("the answer's signature is not the issuer's: {cause}"))?;
    let identifier = identifier(certificate, issuer).map_err(malformed)?;
    let status = basic
        .find_status(&identifier)
        .ok_or("the answer is about another certificate")?;
    match (settings.nonce, nonce::check(request, &basic)) {
        (Nonce::Off, _) | (_, nonce::Echo::Same) | (Nonce::Ask, nonce::Echo::Missing) => {}
        (_, nonce::Echo::Other) => {
            return Err("the answer is to another question: its nonce is not the one that was sent".into());
        }
        (Nonce::Require, nonce::Echo::Missing) => {
            return Err("the answer does not have the nonce that was sent (revocation.ocsp.nonce)".into());
        }
    }
    // A response without nextUpdate must still expire, or it could be replayed for ever.
    let unbounded = status.next_update().is_none();
    let max_age = u32::try_from(settings.max_age.as_secs()).unwrap_or(u32::MAX);
    status
        .check_validity(SKEW, unbounded.then_some(max_age))
        .map_err(|_| match unbounded {
            true => "the answer does not say when it expires, and is older than revocation.ocsp.max_age",
            false => "the answer is out of date",
        })?;
    if status.status == OcspCertStatus::REVOKED {
        return Ok(Answer::Revoked);
    }
    if status.status != OcspCertStatus::GOOD {
        return Err("the responder does not know the certificate".into());
    }
    let until = status
        .next_update()
        .and_then(|time| moment(&time.to_string()))
        .unwrap_or_else(|| {
            let begun = moment(&status.this_update.to_string()).unwrap_or(now);
            (begun + settings.max_age).min(now + WITHOUT_NEXT_UPDATE)
        });
    Ok(Answer::Good(until))
}

/// Parses a time such as `Nov 22 04:00:00 2026 GMT`: OpenSSL gives GeneralizedTime values only as text.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim_end_matches(" GMT");
    NaiveDateTime::parse_from_str(text, "%b %e %H:%M:%S %Y")
        .ok()
        .map(|naive| naive.and_utc())
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1GeneralizedTime;

    use super::*;

    #[test]
    fn times_are_read_from_the_text_that_openssl_writes() {
        for (der, expected) in [
            ("20261122040506Z", "2026-11-22T04:05:06+00:00"),
            ("20270103000000Z", "2027-01-03T00:00:00+00:00"),
        ] {
            let time = Asn1GeneralizedTime::from_str(der).unwrap();
            assert_eq!(moment(&time.to_string()).unwrap().to_rfc3339(), expected);
        }
    }
}
