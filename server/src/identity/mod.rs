//! Determines who a client is from what it presented.

pub mod facts;
pub mod forwarded;
mod known;
pub mod password;
mod peer;
mod record;
pub mod rules;
pub mod token;

use std::{net::SocketAddr, sync::Arc};

use platform::tls::{CertificateFault, ClientCertificate};

pub use known::KnownCertificates;
pub use peer::{Peer, Session, VerifiedCertificate, verify};

use crate::{
    audit::record::Who,
    revocation::{RevocationError, Status},
    store::Actor,
};
use forwarded::ForwardedError;
use password::PasswordRefusal;
use rules::{IdentityRules, NotIdentified, Registered};

/// The name in records of clients without an identity.
pub const ANONYMOUS: &str = "anonymous";

/// How a client showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It did not show an identity.
    Anonymous,
    /// A client certificate in the handshake.
    Certificate,
    /// A client certificate in the handshake with a trusted proxy.
    ForwardedCertificate,
    /// A user name and a password.
    Password,
    /// A token of another token service, which says what its holder may do.
    Token,
    /// A token of this server's own token service. The policy decides about its holder as about any other client, so
    /// that a token never gives more than the policy does.
    OwnToken,
}

impl Method {
    /// The name that `/basic_info` and the audit records show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "Anonymous",
            Self::Certificate => "TLSClientCertificate",
            Self::ForwardedCertificate => "ForwardedTLSClientCertificate",
            Self::Password => "UsernamePassword",
            Self::Token | Self::OwnToken => "BearerToken",
        }
    }
}

/// The client that makes a request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Shared by the requests of a connection, and by the grants of a request.
    known: Arc<Known>,
    revocation: Option<Status>,
    request_id: Option<Arc<str>>,
}

#[derive(Debug)]
struct Known {
    name: String,
    groups: Vec<String>,
    rule: Option<String>,
    method: Method,
    certificate: Option<Arc<VerifiedCertificate>>,
    address: Option<SocketAddr>,
    refusal: Option<IdentityError>,
}

impl From<Known> for Principal {
    fn from(known: Known) -> Self {
        Self {
            known: Arc::new(known),
            revocation: None,
            request_id: None,
        }
    }
}

/// Why a client has no identity.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdentityError {
    /// No certificate was presented.
    #[error("no client certificate was presented")]
    NoCertificate,
    /// Neither a certificate nor a password was presented, and either would be accepted. Holds the realm for
    /// passwords.
    #[error("neither a client certificate nor a user name and a password was presented")]
    NoCredentials(String),
    /// The password was refused. Holds the realm as well.
    #[error("{0}")]
    Password(PasswordRefusal, String),
    /// The refresh token was refused; says why.
    #[error("{0}")]
    RefreshToken(String),
    /// No configured CA verifies the certificate.
    #[error("client certificate rejected: {}", .1.explanation)]
    Rejected(Box<ClientCertificate>, CertificateFault),
    /// The certificate cannot be parsed completely.
    #[error("client certificate rejected: {1}")]
    Unreadable(Box<ClientCertificate>, String),
    /// The identity rules do not map the certificate to a principal.
    #[error("client certificate rejected: {1}")]
    Unidentified(Box<ClientCertificate>, NotIdentified),
    /// The certificate is revoked, or its status cannot be determined.
    #[error("client certificate rejected: {1}")]
    Revoked(Box<ClientCertificate>, RevocationError),
    /// The principal is on the deny list.
    #[error("{} is barred from this server", .0.name())]
    Barred(Box<Principal>),
    /// A trusted proxy sent a header that cannot be used.
    #[error("forwarded client certificate rejected: {0}")]
    Forwarded(#[from] ForwardedError),
}

impl Known {
    fn without_certificate(name: String, method: Method, address: Option<SocketAddr>) -> Self {
        Self {
            name,
            groups: Vec::new(),
            rule: None,
            method,
            certificate: None,
            address,
            refusal: None,
        }
    }
}

impl Principal {
    /// The principal to which the rules map a verified certificate; `registered` is the account of its key.
    ///
    /// # Errors
    /// When the rules map it to no principal, or the name is ambiguous.
    pub fn from_certificate(
        verified: Arc<VerifiedCertificate>,
        method: Method,
        address: Option<SocketAddr>,
        rules: &IdentityRules,
        registered: Option<&Registered>,
    ) -> Result<Self, IdentityError> {
        let identified = rules
            .identify(&verified.facts, registered)
            .map_err(|reason| IdentityError::Unidentified(Box::new(verified.certificate.clone()), reason))?;
        Ok(Self::from(Known {
            name: identified.principal,
            groups: identified.groups,
            rule: Some(identified.rule),
            method,
            certificate: Some(verified),
            address,
            refusal: None,
        }))
    }

    /// A client without an identity; `refusal` is the error that it receives where an identity is required.
    pub fn anonymous(address: Option<SocketAddr>, refusal: Option<IdentityError>) -> Self {
        Self::from(Known {
            refusal,
            ..Known::without_certificate(ANONYMOUS.to_owned(), Method::Anonymous, address)
        })
    }

    /// The principal named by a token. Tokens and certificates have different issuers, so the name of a token is kept
    /// apart from the same name in a certificate.
    pub fn from_token(subject: &str, address: Option<SocketAddr>) -> Self {
        Self::from(Known::without_certificate(
            format!("token:{subject}"),
            Method::Token,
            address,
        ))
    }

    /// The principal named by a token that this server issued itself to somebody who logged in with a password. It has
    /// the name of that login, so that the same rules apply to it.
    pub fn from_own_token(name: &str, groups: Vec<String>, address: Option<SocketAddr>) -> Self {
        Self::from(Known {
            groups,
            ..Known::without_certificate(name.to_owned(), Method::OwnToken, address)
        })
    }

    /// The principal named by a password login, with these groups. Names in the file are checked like those of
    /// certificates.
    pub fn from_password(user: &str, groups: Vec<String>, address: Option<SocketAddr>) -> Self {
        Self::from(Known {
            groups,
            ..Known::without_certificate(user.to_owned(), Method::Password, address)
        })
    }

    /// Adds the revocation status of its certificate.
    #[must_use]
    pub fn with_revocation(mut self, status: Status) -> Self {
        self.revocation = Some(status);
        self
    }

    /// Adds the ID of its request, for the record of what it changes.
    #[must_use]
    pub fn asking_with(mut self, request_id: Arc<str>) -> Self {
        self.request_id = Some(request_id);
        self
    }

    /// The revocation status of its certificate.
    pub fn revocation(&self) -> Option<&Status> {
        self.revocation.as_ref()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.known.name
    }

    /// The groups that it belongs to.
    pub fn groups(&self) -> &[String] {
        &self.known.groups
    }

    /// The identity rule that gave the name.
    pub fn rule(&self) -> Option<&str> {
        self.known.rule.as_deref()
    }

    /// How it showed who it is.
    pub fn method(&self) -> Method {
        self.known.method
    }

    /// The certificate that identified it.
    pub fn certificate(&self) -> Option<&VerifiedCertificate> {
        self.known.certificate.as_deref()
    }

    /// The client's address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.known.address
    }

    /// Why it has no identity.
    pub fn refusal(&self) -> Option<&IdentityError> {
        self.known.refusal.as_ref()
    }

    /// The principal as the record of a change names it.
    pub fn actor(&self) -> Actor {
        let certificate = self
            .known
            .certificate
            .as_ref()
            .map(|verified| &verified.certificate);
        Actor {
            principal: self.known.name.clone(),
            certificate_subject: certificate.map(ClientCertificate::subject),
            certificate_issuer: certificate.map(ClientCertificate::issuer),
            certificate_serial: certificate.map(ClientCertificate::serial),
            peer_address: self.known.address.map(|address| address.to_string()),
            request_id: self.request_id.as_deref().map(str::to_owned),
            who: Some(Box::new(self.who())),
        }
    }

    /// The principal as audit records name it.
    pub fn who(&self) -> Who {
        Who {
            principal: self.known.name.clone(),
            auth_method: Some(self.known.method.name().to_owned()),
            groups: self.known.groups.clone(),
            identity_rule: self.known.rule.clone(),
            real_addr: self.known.address.map(|address| address.to_string()),
            os_uid: None,
            cert: self.certificate().map(record::certificate),
        }
    }
}
