//! The certificate that a client presented in the handshake, and the outcome of its verification.

use chrono::{DateTime, TimeDelta, Utc};
use openssl::{
    asn1::{Asn1Time, Asn1TimeRef},
    nid::Nid,
    x509::X509,
};

use super::{CertificateFault, Verified};
use crate::x509::name_text;

/// What is known about a certificate, verified or not.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    x509: X509,
    presented: Vec<X509>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

impl ClientCertificate {
    /// `None` when the validity dates cannot be read.
    pub fn new(x509: X509) -> Option<Self> {
        let not_before = utc(x509.not_before())?;
        let not_after = utc(x509.not_after())?;
        Some(Self {
            x509,
            presented: Vec::new(),
            not_before,
            not_after,
        })
    }

    /// One whose dates cannot be read: such a certificate is only ever refused.
    pub(super) fn undated(x509: X509) -> Self {
        Self {
            x509,
            presented: Vec::new(),
            not_before: DateTime::UNIX_EPOCH,
            not_after: DateTime::UNIX_EPOCH,
        }
    }

    /// Adds the issuers that the client sent along, which are not verified.
    #[must_use]
    pub fn with_presented(mut self, issuers: Vec<X509>) -> Self {
        self.presented = issuers;
        self
    }

    /// The issuers that the client sent along.
    pub fn presented(&self) -> &[X509] {
        &self.presented
    }

    /// The certificate itself.
    pub fn x509(&self) -> &X509 {
        &self.x509
    }

    /// The subject as one line (RFC 4514), for people, records and logs.
    pub fn subject(&self) -> String {
        name_text(self.x509.subject_name())
    }

    /// The issuer, like [`subject`](Self::subject).
    pub fn issuer(&self) -> String {
        name_text(self.x509.issuer_name())
    }

    /// The serial number in upper-case hex.
    pub fn serial(&self) -> String {
        let number = self
            .x509
            .serial_number()
            .to_bn()
            .and_then(|n| n.to_hex_str().map(|s| s.to_string()));
        number.unwrap_or_default()
    }

    /// The start of its validity.
    pub fn not_before(&self) -> DateTime<Utc> {
        self.not_before
    }

    /// The end of its validity.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// Every common name of the subject that is text.
    pub fn common_names(&self) -> Vec<String> {
        let entries = self.x509.subject_name().entries_by_nid(Nid::COMMONNAME);
        entries
            .filter_map(|entry| entry.data().to_string().ok())
            .collect()
    }
}

/// What a client presented.
#[derive(Debug, Clone)]
pub enum PeerCertificate {
    /// Nothing (or the listener does not ask).
    None,
    /// A certificate that must not give an identity.
    Refused(Box<ClientCertificate>, CertificateFault),
    /// A certificate that was verified in the handshake, and how.
    Verified(Box<ClientCertificate>, Verified),
}

/// OpenSSL gives no timestamp of an ASN.1 time, only its distance from another.
pub fn utc(time: &Asn1TimeRef) -> Option<DateTime<Utc>> {
    let distance = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let since_epoch = TimeDelta::try_days(i64::from(distance.days))?
        .checked_add(&TimeDelta::try_seconds(i64::from(distance.secs))?)?;
    DateTime::UNIX_EPOCH.checked_add_signed(since_epoch)
}
