//! Why a client's certificate was refused.

use openssl::x509::{X509Ref, X509VerifyResult};

use super::purpose::{Obstacle, obstacle, unknown_critical};

/// Why a certificate gives no identity; the name is the machine-readable reason in answers and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultReason {
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// No configured client CA issued it.
    UnknownCa,
    /// It was revoked.
    Revoked,
    /// It may not be used by a TLS client.
    WrongPurpose,
    /// Its key or signature algorithm is too weak.
    TooWeak,
    /// A certificate of its chain is not allowed to issue it.
    BadChain,
    /// Its signature, or one of its chain, was not made by the key of the CA that it names.
    BadSignature,
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
            openssl_sys::X509_V_ERR_CERT_SIGNATURE_FAILURE => Self::BadSignature,
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
            Self::BadSignature => "bad_signature",
            Self::Invalid => "certificate_invalid",
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Expired => "renew the certificate",
            Self::NotYetValid => "wait, or check the clocks of both machines",
            Self::UnknownCa => {
                "use a certificate issued by a CA of the server's client_ca_file, with its intermediates"
            }
            Self::Revoked => "ask for a new certificate",
            Self::WrongPurpose => {
                "use a certificate whose extended key usage (extendedKeyUsage) includes clientAuth"
            }
            Self::BadSignature => {
                "use a certificate as its CA issued it; if the CA renewed its key, add its new certificate to the \
                 server's client_ca_file beside the old one"
            }
            Self::TooWeak => "use an ECDSA P-256 or RSA 2048 key (or stronger), signed with SHA-256",
            Self::BadChain | Self::Invalid => "ask the CA that issued the certificate for a correct one",
        }
    }
}

/// A certificate that was presented and refused.
#[derive(Debug, Clone)]
pub struct CertificateFault {
    /// The reason, for programs.
    pub reason: FaultReason,
    /// What is wrong, for people: OpenSSL's words, or which extension is in the way.
    pub explanation: String,
    /// 0 for the client's own certificate, more for its issuers.
    pub depth: u32,
    hint: &'static str,
    result: X509VerifyResult,
}

impl CertificateFault {
    /// From OpenSSL's result for a certificate at a place of its chain.
    pub(super) fn new(result: X509VerifyResult, depth: u32, at_fault: Option<&X509Ref>) -> Self {
        let reason = FaultReason::from_verification(result);
        let fault = Self {
            reason,
            explanation: result.error_string().to_owned(),
            depth,
            hint: reason.hint(),
            result,
        };
        match result.as_raw() {
            openssl_sys::X509_V_ERR_PERMITTED_VIOLATION | openssl_sys::X509_V_ERR_EXCLUDED_VIOLATION => {
                return fault.because(
                    depth,
                    Obstacle {
                        explanation: "its names are not within the nameConstraints of its issuers".into(),
                        hint: "ask for a certificate with names that its CA may issue (nameConstraints)",
                    },
                );
            }
            openssl_sys::X509_V_ERR_PATH_LENGTH_EXCEEDED => {
                return fault.because(
                    depth,
                    Obstacle {
                        explanation: "there are more CAs below one than the pathLenConstraint of its \
                                      basicConstraints allows"
                            .into(),
                        hint: "ask for a certificate from a CA that may issue it",
                    },
                );
            }
            _ => {}
        }
        let Some(certificate) = at_fault else { return fault };
        match result.as_raw() {
            openssl_sys::X509_V_ERR_INVALID_PURPOSE
            | openssl_sys::X509_V_ERR_INVALID_CA
            | openssl_sys::X509_V_ERR_KEYUSAGE_NO_CERTSIGN => {
                match obstacle(certificate, usize::try_from(depth).unwrap_or(usize::MAX)) {
                    Some(obstacle) => fault.because(depth, obstacle),
                    None => fault,
                }
            }
            openssl_sys::X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION => {
                let unknown = unknown_critical(certificate).join(", ");
                let explanation = format!("{}: {unknown}", fault.explanation);
                Self { explanation, ..fault }
            }
            _ => fault,
        }
    }

    /// The same fault, naming the extension that is in the way.
    pub(super) fn because(self, depth: u32, obstacle: Obstacle) -> Self {
        Self {
            explanation: format!("{}: {}", self.result.error_string(), obstacle.explanation),
            hint: obstacle.hint,
            depth,
            ..self
        }
    }

    /// A fault that this module finds itself, as one of OpenSSL's results.
    #[expect(
        unsafe_code,
        reason = "the crate has no safe way to name a verification result"
    )]
    fn raw(result: i32, depth: u32, at_fault: Option<&X509Ref>) -> Self {
        // SAFETY: any of OpenSSL's X509_V_ERR_ constants is a result; every caller gives one.
        let result = unsafe { X509VerifyResult::from_raw(result) };
        Self::new(result, depth, at_fault)
    }

    /// For a certificate of a trusted CA that was revoked.
    pub(super) fn revoked() -> Self {
        Self::raw(openssl_sys::X509_V_ERR_CERT_REVOKED, 0, None)
    }

    /// For a critical extension that neither OpenSSL nor this program acts on.
    pub(super) fn unknown_critical(depth: u32, certificate: &X509Ref) -> Self {
        let result = openssl_sys::X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION;
        Self::raw(result, depth, Some(certificate))
    }

    /// For an issuer that is not a CA.
    pub(super) fn no_authority(depth: u32) -> Self {
        Self::raw(openssl_sys::X509_V_ERR_INVALID_CA, depth, None)
    }

    /// For a certificate whose verification could not even be tried.
    pub(super) fn unverified() -> Self {
        Self::other(0, "it could not be verified")
    }

    /// For a certificate with bytes that could not be parsed.
    pub(super) fn unreadable(depth: u32) -> Self {
        Self::other(depth, "a certificate of its chain cannot be read")
    }

    /// For a certificate whose validity dates cannot be read.
    pub(super) fn undated() -> Self {
        Self::other(0, "its dates cannot be read")
    }

    /// Whether it is a fault of this module rather than of OpenSSL: unverified, unreadable or undated.
    pub(super) fn is_unreadable(&self) -> bool {
        self.result.as_raw() == openssl_sys::X509_V_ERR_UNSPECIFIED
    }

    fn other(depth: u32, explanation: &str) -> Self {
        Self {
            explanation: explanation.to_owned(),
            ..Self::raw(openssl_sys::X509_V_ERR_UNSPECIFIED, depth, None)
        }
    }

    /// What the owner of the certificate can do about it.
    pub fn hint(&self) -> &'static str {
        self.hint
    }

    /// OpenSSL's result, from which it chooses the alert.
    pub(super) fn result(&self) -> X509VerifyResult {
        self.result
    }

    /// The same fault, saying that no CA of the issuer's name has the key that authorityKeyIdentifier names.
    pub(super) fn with_other_key(self, depth: u32) -> Self {
        self.because(
            depth,
            Obstacle {
                explanation: "its authorityKeyIdentifier names another key than that of the CA of this name".into(),
                hint: "use a certificate issued by a CA of the server's client_ca_file; if the CA renewed its key, add \
                       its new certificate beside the old one",
            },
        )
    }

    /// Whether another issuer of the same name might be the right one.
    pub(super) fn is_about_the_issuer(&self) -> bool {
        matches!(self.reason, FaultReason::UnknownCa | FaultReason::BadSignature)
    }

    /// Whether the only objection is that it is not for TLS clients.
    pub(super) fn is_about_the_purpose(&self) -> bool {
        self.result.as_raw() == openssl_sys::X509_V_ERR_INVALID_PURPOSE
    }
}
