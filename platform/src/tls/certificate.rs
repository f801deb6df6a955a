//! What a client presented in the handshake, and what became of it.

use chrono::{DateTime, TimeDelta, Utc};
use openssl::{
    asn1::{Asn1Time, Asn1TimeRef},
    nid::Nid,
    x509::{X509, X509NameRef, X509VerifyResult},
};

/// Why a certificate gives no identity; the name is the machine-readable reason in answers and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultReason {
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    NotYetValid,
    /// No configured client CA issued it.
    UnknownCa,
    /// It was withdrawn.
    Revoked,
    /// It may not be used by a TLS client.
    WrongPurpose,
    /// Its key or signature algorithm is too weak.
    TooWeak,
    /// A certificate of its chain is not allowed to issue it.
    BadChain,
    /// Anything else OpenSSL objects to.
    Invalid,
}

impl FaultReason {
    /// From OpenSSL's verification result (`X509_V_ERR_…`).
    fn from_verification(result: X509VerifyResult) -> Self {
        match result.as_raw() {
            openssl_sys::X509_V_ERR_CERT_HAS_EXPIRED => Self::Expired,
            openssl_sys::X509_V_ERR_CERT_NOT_YET_VALID => Self::NotYetValid,
            openssl_sys::X509_V_ERR_CERT_REVOKED => Self::Revoked,
            openssl_sys::X509_V_ERR_INVALID_PURPOSE => Self::WrongPurpose,
            openssl_sys::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
            | openssl_sys::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
            | openssl_sys::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
            | openssl_sys::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
            | openssl_sys::X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
            | openssl_sys::X509_V_ERR_CERT_UNTRUSTED => Self::UnknownCa,
            openssl_sys::X509_V_ERR_EE_KEY_TOO_SMALL
            | openssl_sys::X509_V_ERR_CA_KEY_TOO_SMALL
            | openssl_sys::X509_V_ERR_CA_MD_TOO_WEAK => Self::TooWeak,
            openssl_sys::X509_V_ERR_INVALID_CA
            | openssl_sys::X509_V_ERR_PATH_LENGTH_EXCEEDED
            | openssl_sys::X509_V_ERR_KEYUSAGE_NO_CERTSIGN => Self::BadChain,
            _ => Self::Invalid,
        }
    }

    /// The reason as answers and logs carry it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Expired => "certificate_expired",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::UnknownCa => "unknown_ca",
            Self::Revoked => "certificate_revoked",
            Self::WrongPurpose => "wrong_purpose",
            Self::TooWeak => "key_too_weak",
            Self::BadChain => "bad_chain",
            Self::Invalid => "certificate_invalid",
        }
    }

    /// What the owner of the certificate can do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Expired => "renew the certificate",
            Self::NotYetValid => "wait, or check the clocks of both machines",
            Self::UnknownCa => {
                "use a certificate issued by a CA of the server's client_ca_file, with its intermediates"
            }
            Self::Revoked => "ask for a new certificate",
            Self::WrongPurpose => "use a certificate whose extended key usage includes clientAuth",
            Self::TooWeak => "use an ECDSA P-256 or RSA 2048 key (or stronger), signed with SHA-256",
            Self::BadChain | Self::Invalid => "ask whoever issued the certificate for a correct one",
        }
    }
}

/// A certificate that was presented and refused.
#[derive(Debug, Clone)]
pub struct CertificateFault {
    /// The reason, for programs.
    pub reason: FaultReason,
    /// OpenSSL's words for it.
    pub explanation: String,
    /// 0 for the client's own certificate, more for its issuers.
    pub depth: u32,
}

impl CertificateFault {
    pub(super) fn new(result: X509VerifyResult, depth: u32) -> Self {
        Self {
            reason: FaultReason::from_verification(result),
            explanation: result.error_string().to_owned(),
            depth,
        }
    }

    /// For a certificate whose verification could not even be tried.
    pub(super) fn unverified() -> Self {
        Self {
            reason: FaultReason::Invalid,
            explanation: "it could not be verified".into(),
            depth: 0,
        }
    }
}

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

    /// With the issuers that the client sent along, which nobody has verified.
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

    /// The subject as one line, most general part last (RFC 2253 order), for people and logs.
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
    /// A certificate whose chain was verified in the handshake: from itself to the CA that vouches for it.
    Verified(Box<ClientCertificate>, Vec<X509>),
}

/// A name as one line, most general part last (RFC 2253 order), for people and logs.
pub fn name_text(name: &X509NameRef) -> String {
    let mut parts: Vec<String> = name
        .entries()
        .map(|entry| {
            let field = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().unwrap_or_default();
            format!("{field}={}", value.replace(|c: char| c.is_control(), "?"))
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// OpenSSL gives no timestamp of an ASN.1 time, only its distance from another.
pub fn utc(time: &Asn1TimeRef) -> Option<DateTime<Utc>> {
    let distance = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let since_epoch = TimeDelta::try_days(i64::from(distance.days))?
        .checked_add(&TimeDelta::try_seconds(i64::from(distance.secs))?)?;
    DateTime::UNIX_EPOCH.checked_add_signed(since_epoch)
}
