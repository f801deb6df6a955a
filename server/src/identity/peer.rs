//! The peer of a connection, and its certificate as verified by the current client CAs.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use chrono::{DateTime, Utc};
use platform::tls::{CertificateFault, ClientCertificate, ClientTrust, PeerCertificate, Verified};

use super::{
    IdentityError, Principal,
    facts::CertificateFacts,
    known::{self, KnownCertificates},
};
use crate::{revocation::VerifiedChain, store::Security};

/// The peer of a connection, as the listener recorded it.
#[derive(Debug)]
pub struct Peer {
    /// The client's address; the one from the PROXY protocol if a trusted proxy sent it.
    pub address: Option<SocketAddr>,
    /// The address of the TCP peer: the client's, or a proxy's.
    pub transport: Option<IpAddr>,
    /// The index of the listener.
    pub listener: usize,
    /// The certificate that the peer presented.
    pub certificate: PeerCertificate,
    /// The generation with which the handshake verified it.
    pub generation: u64,
    /// What the handshake negotiated.
    pub session: Option<Session>,
    verified: Mutex<Option<(u64, Outcome)>>,
    identified: Mutex<Option<Identified>>,
}

/// The principal of a connection's certificate, and what that follows from.
#[derive(Debug)]
struct Identified {
    verified: Arc<VerifiedCertificate>,
    security: Arc<Security>,
    principal: Principal,
}

/// What a handshake negotiated, for audit records.
#[derive(Debug, Clone)]
pub struct Session {
    /// The TLS version, such as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite's name.
    pub cipher: String,
    /// The server name that the client asked for.
    pub server_name: Option<String>,
}

type Outcome = Result<Arc<VerifiedCertificate>, IdentityError>;

/// A certificate that a configured CA verifies.
#[derive(Debug)]
pub struct VerifiedCertificate {
    /// The certificate.
    pub certificate: ClientCertificate,
    /// The chain from the certificate to the configured CA that verifies it.
    pub chain: VerifiedChain,
    /// The names of the CA sets that verify it.
    pub sets: Vec<String>,
    /// The certificate's contents.
    pub facts: CertificateFacts,
    /// When the first certificate of the chain expires.
    until: DateTime<Utc>,
}

impl VerifiedCertificate {
    /// Takes the result of a verification.
    ///
    /// # Errors
    /// When the certificate cannot be parsed completely.
    pub fn new(certificate: ClientCertificate, verified: Verified) -> Result<Self, IdentityError> {
        let issuers = verified.chain.get(1..).unwrap_or_default();
        let facts = CertificateFacts::new(certificate.x509(), issuers, verified.sets.clone())
            .map_err(|cause| IdentityError::Unreadable(Box::new(certificate.clone()), cause.to_string()))?;
        Ok(Self {
            certificate,
            chain: VerifiedChain::new(verified.chain),
            sets: verified.sets,
            facts,
            until: verified.until,
        })
    }

    /// When the certificate, or the first of its issuers, expires.
    pub fn valid_until(&self) -> DateTime<Utc> {
        self.until
    }

    /// Whether neither the certificate nor one of its issuers has expired.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        now <= self.until
    }
}

impl Peer {
    /// A peer whose handshake, if there was one, used `generation`.
    pub fn new(
        address: Option<SocketAddr>,
        transport: Option<IpAddr>,
        listener: usize,
        certificate: PeerCertificate,
        generation: u64,
        session: Option<Session>,
    ) -> Self {
        Self {
            address,
            transport,
            listener,
            certificate,
            generation,
            session,
            verified: Mutex::new(None),
            identified: Mutex::new(None),
        }
    }

    /// The connection's certificate, verified by the CAs of the generation with this number. The handshake verified
    /// it; it is verified again for every newer generation and when a certificate of the chain expires.
    ///
    /// # Errors
    /// When there is no certificate, or no CA verifies it.
    pub fn verified(
        &self,
        trust: Option<&ClientTrust>,
        known: &KnownCertificates,
        generation: u64,
        now: DateTime<Utc>,
    ) -> Outcome {
        if let Ok(last) = self.verified.lock()
            && let Some((number, outcome)) = last.as_ref()
            && *number == generation
            && outcome
                .as_ref()
                .map_or(true, |verified| verified.is_valid_at(now))
        {
            return outcome.clone();
        }
        let outcome = self.verify(trust, known, generation, now);
        if let Ok(mut last) = self.verified.lock() {
            *last = Some((generation, outcome.clone()));
        }
        outcome
    }

    /// The principal of the connection's certificate. `identify` finds it at the first request, and again when the
    /// certificate was verified anew, which every new generation causes, or accounts or denials have changed.
    ///
    /// # Errors
    /// What `identify` returns.
    pub fn principal<E>(
        &self,
        verified: &Arc<VerifiedCertificate>,
        security: &Arc<Security>,
        identify: impl FnOnce() -> Result<Principal, E>,
    ) -> Result<Principal, E> {
        if let Ok(known) = self.identified.lock()
            && let Some(known) = known.as_ref()
            && Arc::ptr_eq(&known.verified, verified)
            && Arc::ptr_eq(&known.security, security)
        {
            return Ok(known.principal.clone());
        }
        let principal = identify()?;
        if let Ok(mut known) = self.identified.lock() {
            *known = Some(Identified {
                verified: Arc::clone(verified),
                security: Arc::clone(security),
                principal: principal.clone(),
            });
        }
        Ok(principal)
    }

    fn verify(
        &self,
        trust: Option<&ClientTrust>,
        known: &KnownCertificates,
        generation: u64,
        now: DateTime<Utc>,
    ) -> Outcome {
        match &self.certificate {
            PeerCertificate::None => Err(IdentityError::NoCertificate),
            PeerCertificate::Refused(certificate, fault) if generation == self.generation => {
                Err(IdentityError::Rejected(certificate.clone(), fault.clone()))
            }
            PeerCertificate::Refused(certificate, _) => verify(trust, certificate),
            PeerCertificate::Verified(certificate, found) if generation == self.generation => {
                let make = || {
                    let verified = VerifiedCertificate::new((**certificate).clone(), found.clone())?;
                    if verified.is_valid_at(now) {
                        Ok(Arc::new(verified))
                    } else {
                        verify(trust, certificate)
                    }
                };
                match known::of_handshake(certificate.x509(), certificate.presented(), &found.chain) {
                    Some(key) => known.find_or_make(key, now, make),
                    None => make(),
                }
            }
            PeerCertificate::Verified(certificate, _) => verify(trust, certificate),
        }
    }
}

/// Verifies a certificate with the current CAs.
///
/// # Errors
/// When no CA verifies it.
pub fn verify(trust: Option<&ClientTrust>, certificate: &ClientCertificate) -> Outcome {
    let rejected = |fault: CertificateFault| IdentityError::Rejected(Box::new(certificate.clone()), fault);
    let trust = trust.ok_or(IdentityError::NoCertificate)?;
    let verified = trust
        .verify(certificate.x509(), certificate.presented())
        .map_err(rejected)?;
    Ok(Arc::new(VerifiedCertificate::new(certificate.clone(), verified)?))
}
