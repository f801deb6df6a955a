//! The caller at the other end of a connection.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use platform::tls::{ClientCertificate, PeerCertificate};
use tonic::Extensions;

use super::Generation;
use crate::audit::Caller;

/// A caller, as its connection showed it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    address: String,
    identity: Option<Arc<Identity>>,
}

/// What a verified certificate says; read once for each connection.
#[derive(Debug)]
struct Identity {
    certificate: ClientCertificate,
    /// The newest generation that has judged it, and the outcome.
    judged: Mutex<(u64, Result<(), String>)>,
    subject: String,
    serial: String,
    common_names: Vec<String>,
    not_after: DateTime<Utc>,
}

impl Peer {
    /// The peer of a handshake that was made with a generation. A certificate that was refused identifies nobody.
    pub(super) fn new(address: Option<SocketAddr>, certificate: PeerCertificate, generation: u64) -> Self {
        let identity = match certificate {
            PeerCertificate::Verified(certificate, _) => {
                Some(Arc::new(Identity::of(*certificate, generation)))
            }
            PeerCertificate::None | PeerCertificate::Refused(..) => None,
        };
        Self {
            address: address.map(|address| address.to_string()).unwrap_or_default(),
            identity,
        }
    }

    /// The peer of a call's connection.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The caller for a record of the audit.
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            address: &self.address,
            common_name: self.common_name(),
            subject: self.subject(),
            serial: self.serial(),
        }
    }

    /// The certificate's common name; empty unless there is exactly one.
    pub fn common_name(&self) -> &str {
        match self
            .identity
            .as_ref()
            .map(|identity| identity.common_names.as_slice())
        {
            Some([only]) => only,
            _ => "",
        }
    }

    /// The certificate's subject; empty without a certificate.
    pub fn subject(&self) -> &str {
        self.identity.as_ref().map_or("", |identity| &identity.subject)
    }

    /// The certificate's serial number; empty without a certificate.
    pub fn serial(&self) -> &str {
        self.identity.as_ref().map_or("", |identity| &identity.serial)
    }

    /// Whether the CAs of a generation newer than the handshake's still vouch for the certificate.
    ///
    /// # Errors
    /// When they do not, or ask for one and there is none.
    pub(super) fn verify_again(&self, generation: &Generation) -> Result<(), String> {
        let Some(trust) = generation.trust() else {
            return Ok(());
        };
        let identity = self.identity.as_ref().ok_or("there is none")?;
        let mut judged = identity.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if judged.0 != generation.number() {
            let certificate = &identity.certificate;
            let verified = trust.verify(certificate.x509(), certificate.presented());
            let outcome = verified.map(drop).map_err(|fault| fault.explanation);
            *judged = (generation.number(), outcome);
        }
        judged.1.clone()
    }

    /// Whether there is a certificate that has expired.
    pub(super) fn expired(&self, now: DateTime<Utc>) -> bool {
        self.identity
            .as_ref()
            .is_some_and(|identity| now > identity.not_after)
    }
}

impl Identity {
    fn of(certificate: ClientCertificate, generation: u64) -> Self {
        Self {
            subject: certificate.subject(),
            serial: certificate.serial(),
            common_names: certificate.common_names(),
            not_after: certificate.not_after(),
            judged: Mutex::new((generation, Ok(()))),
            certificate,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use openssl::x509::X509;
    use platform::{
        pki::{Issued, Template, Usage},
        tls::Verified,
    };

    use super::*;

    pub(crate) fn peer(common_name: &str, days: u32) -> Peer {
        let issued = Issued::self_signed(&Template::new(common_name, Usage::Client, days)).unwrap();
        let x509 = X509::from_pem(&issued.certificate_pem().unwrap()).unwrap();
        let certificate = ClientCertificate::new(x509).unwrap();
        Peer::new(
            None,
            PeerCertificate::Verified(
                Box::new(certificate),
                Verified {
                    chain: Vec::new(),
                    sets: Vec::new(),
                    until: chrono::DateTime::<chrono::Utc>::MAX_UTC,
                },
            ),
            1,
        )
    }

    #[test]
    fn a_verified_certificate_names_the_peer() {
        let peer = peer("notary-server", 1);
        assert_eq!(peer.common_name(), "notary-server");
        assert!(peer.subject().contains("notary-server"));
        assert!(!peer.serial().is_empty());
        assert!(!peer.expired(Utc::now()));
        assert!(peer.expired(Utc::now() + chrono::TimeDelta::days(2)));
    }

    #[test]
    fn a_peer_without_a_certificate_has_no_name() {
        let peer = Peer::new(None, PeerCertificate::None, 1);
        assert_eq!(
            (peer.common_name(), peer.subject(), peer.expired(Utc::now())),
            ("", "", false)
        );
    }
}
