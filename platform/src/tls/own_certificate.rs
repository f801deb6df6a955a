//! Whether the other side can accept a daemon's own certificate, by what its extensions say.

use openssl::{
    error::ErrorStack,
    stack::Stack,
    x509::{
        X509PurposeId, X509Ref, X509StoreContext, X509VerifyResult, store::X509StoreBuilder,
        verify::X509VerifyFlags,
    },
};
use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer};

use super::{
    forget_errors,
    purpose::{obstacle, unknown_critical},
};

/// Extended key usages by which some client takes a certificate for a server's beside serverAuth and any: the old
/// "server gated crypto" of Microsoft and Netscape.
const GATED_CRYPTO: [&str; 2] = ["1.3.6.1.4.1.311.10.3.3", "2.16.840.1.113730.4.1"];
/// Critical extensions that OpenSSL does not act on and another client may: policy constraints and mappings, issuerAltName,
/// authority information, the resources of RFC 3779, TLS features (RFC 7633).
const KNOWN_TO_OTHERS: [&str; 9] = [
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.54",
    "2.5.29.18",
    "1.3.6.1.5.5.7.1.1",
    "1.3.6.1.5.5.7.1.7",
    "1.3.6.1.5.5.7.1.8",
    "1.3.6.1.5.5.7.1.14",
    "1.3.6.1.5.5.7.1.24",
];

/// Who does not accept a certificate as a server's, whoever issued it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCertificateFault {
    /// No client accepts it, because of a critical extension; the reason.
    Critical(String),
    /// No client accepts it, because it is for something else; the reason.
    Purpose(String),
    /// Clients built on OpenSSL (curl and others) do not; the reason. Go's, such as docker and notary, may.
    OpenSsl(String),
}

/// What in the extensions of a server's certificate keeps clients from accepting it: OpenSSL's own verification of a
/// TLS server, which trusts the certificate itself and does not look at dates, decides first. Nothing if it finds
/// nothing.
pub fn server_certificate_fault(certificate: &X509Ref) -> Option<ServerCertificateFault> {
    let verdict = verdict(certificate);
    forget_errors();
    let verdict = verdict.ok()?;
    if ![
        openssl_sys::X509_V_ERR_INVALID_PURPOSE,
        openssl_sys::X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION,
    ]
    .contains(&verdict.as_raw())
    {
        return None;
    }
    let unknown: Vec<String> = unknown_critical(certificate)
        .into_iter()
        .filter(|oid| !KNOWN_TO_OTHERS.contains(&oid.as_str()))
        .collect();
    if !unknown.is_empty() {
        return Some(ServerCertificateFault::Critical(format!(
            "it has a critical extension that no client knows ({})",
            unknown.join(", ")
        )));
    }
    if names_other_purposes(certificate) {
        return Some(ServerCertificateFault::Purpose(
            "its extended key usage (extendedKeyUsage) does not include serverAuth".into(),
        ));
    }
    Some(ServerCertificateFault::OpenSsl(format!(
        "{}: look at its keyUsage, extendedKeyUsage, nsCertType and critical extensions",
        verdict.error_string()
    )))
}

/// Which extension keeps servers from accepting a certificate as a TLS client's; nothing if none does.
pub fn client_certificate_obstacle(certificate: &X509Ref) -> Option<String> {
    obstacle(certificate, 0).map(|found| found.explanation)
}

/// What OpenSSL finds wrong with the certificate as a TLS server's.
fn verdict(certificate: &X509Ref) -> Result<X509VerifyResult, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(certificate.to_owned())?;
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME)?;
    store.set_purpose(X509PurposeId::SSL_SERVER)?;
    let store = store.build();
    let untrusted = Stack::new()?;
    X509StoreContext::new()?.init(&store, certificate, &untrusted, |context| {
        let good = context.verify_cert()?;
        Ok(if good {
            X509VerifyResult::OK
        } else {
            context.error()
        })
    })
}

/// Whether its extended key usage says purposes, and none by which anybody takes it for a server's.
fn names_other_purposes(certificate: &X509Ref) -> bool {
    let der = certificate.to_der().unwrap_or_default();
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
        return false;
    };
    parsed.extensions().iter().any(|extension| {
        let ParsedExtension::ExtendedKeyUsage(usage) = extension.parsed_extension() else {
            return false;
        };
        let gated = usage
            .other
            .iter()
            .any(|oid| GATED_CRYPTO.contains(&oid.to_id_string().as_str()));
        !(usage.server_auth || usage.any || gated)
    })
}
