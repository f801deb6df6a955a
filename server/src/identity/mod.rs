//! From what a client presented to who it is.

pub mod client_cas;
pub mod facts;
pub mod rules;
pub mod token;
pub mod whoami;

use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use platform::tls::{CertificateFault, ClientCertificate, PeerCertificate};

use crate::store::Actor;

/// The name that stands in records when clients are not asked for certificates.
pub const ANONYMOUS: &str = "anonymous";

/// A connection's other side, as the listener left it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: Option<SocketAddr>,
    /// What it presented.
    pub certificate: PeerCertificate,
    /// Whether this listener asks for certificates.
    pub asked: bool,
}

/// Who makes a request.
#[derive(Debug, Clone)]
pub struct Principal {
    name: String,
    certificate: Option<Box<ClientCertificate>>,
    address: Option<SocketAddr>,
}

/// Why a request has no principal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdentityError {
    /// No certificate was presented.
    #[error("no client certificate was presented")]
    NoCertificate,
    /// The certificate was refused in the handshake.
    #[error("client certificate rejected: {}", .1.explanation)]
    Rejected(Box<ClientCertificate>, CertificateFault),
    /// The certificate expired while the connection was open.
    #[error("client certificate rejected: certificate has expired")]
    Expired(Box<ClientCertificate>),
    /// The subject does not say unambiguously who this is.
    #[error("client certificate rejected: {1}")]
    Ambiguous(Box<ClientCertificate>, &'static str),
}

impl Principal {
    /// Who is on the other side of a connection. Asked again for each request: certificates expire on
    /// open connections too.
    ///
    /// # Errors
    /// When certificates are asked for and this one gives no identity.
    pub fn identify(peer: &Peer, now: DateTime<Utc>) -> Result<Self, IdentityError> {
        let address = peer.address;
        if !peer.asked {
            return Ok(Self {
                name: ANONYMOUS.to_owned(),
                certificate: None,
                address,
            });
        }
        match &peer.certificate {
            PeerCertificate::None => Err(IdentityError::NoCertificate),
            PeerCertificate::Refused(certificate, fault) => {
                Err(IdentityError::Rejected(certificate.clone(), fault.clone()))
            }
            PeerCertificate::Verified(certificate) if certificate.not_after() < now => {
                Err(IdentityError::Expired(certificate.clone()))
            }
            PeerCertificate::Verified(certificate) => {
                let name = principal_name(certificate)
                    .map_err(|reason| IdentityError::Ambiguous(certificate.clone(), reason))?;
                Ok(Self {
                    name,
                    certificate: Some(certificate.clone()),
                    address,
                })
            }
        }
    }

    /// Whoever a token names. Tokens and certificates are not issued by the same people, so a name from one
    /// is not a name from the other.
    pub fn from_token(subject: &str, peer: &Peer) -> Self {
        Self {
            name: format!("token:{subject}"),
            certificate: None,
            address: peer.address,
        }
    }

    /// Whether a verified certificate says who this is.
    pub fn has_certificate(&self) -> bool {
        self.certificate.is_some()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For the record of a change.
    pub fn actor(&self) -> Actor {
        let certificate = self.certificate.as_ref();
        Actor {
            principal: self.name.clone(),
            certificate_subject: certificate.map(|c| c.subject()),
            certificate_issuer: certificate.map(|c| c.issuer()),
            certificate_serial: certificate.map(|c| c.serial()),
            peer_address: self.address.map(|address| address.to_string()),
        }
    }
}

/// The common name; the whole subject where there is none, as with certificates that carry only
/// alternative names.
fn principal_name(certificate: &ClientCertificate) -> Result<String, &'static str> {
    let mut names = certificate.common_names();
    let name = match (names.pop(), names.is_empty()) {
        (Some(name), true) => name,
        (Some(_), false) => {
            return Err("its subject has several common names, so it is not clear whose it is");
        }
        (None, _) => certificate.subject(),
    };
    if name.trim().is_empty() {
        Err("its subject is empty, so it is not clear whose it is")
    } else if name.chars().any(char::is_control) {
        Err("its common name contains control characters")
    } else if name == ANONYMOUS {
        Err("its common name is reserved for clients without a certificate")
    } else {
        Ok(name)
    }
}
