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

use super::{forget_errors, purpose::obstacle};

/// Extended key usages by which some client takes a certificate for a server's beside serverAuth and any: the old
/// "server gated crypto" of Microsoft and Netscape.
const GATED_CRYPTO: [&str; 2] = ["1.3.6.1.4.1.311.10.3.3", "2.16.840.1.113730.4.1"];
/// Critical extensions that Go's clients of every age act on.
const GO_KNOWS: [&str; 10] = [
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.35",
    "2.5.29.37",
    "1.3.6.1.5.5.7.1.1",
];
/// Critical extensions that Go does not act on, or not for long, and another client may: policy mappings, policy
/// constraints, inhibitAnyPolicy, issuerAltName, the resources of RFC 3779, proxyCertInfo, TLS features (RFC 7633),
/// nsCertType, and that an OCSP responder needs no check.
const KNOWN_TO_OTHERS: [&str; 10] = [
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.54",
    "2.5.29.18",
    "1.3.6.1.5.5.7.1.7",
    "1.3.6.1.5.5.7.1.8",
    "1.3.6.1.5.5.7.1.14",
    "1.3.6.1.5.5.7.1.24",
    "2.16.840.1.113730.1.1",
    "1.3.6.1.5.5.7.48.1.5",
];

/// Who does not accept a certificate as a server's, whoever issued it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerCertificateFault {
    /// No client accepts it, because of a critical extension; the reason.
    Critical(String),
    /// No client accepts it, because it is for something else; the reason.
    Purpose(String),
    /// Some clients do not.
    Some {
        /// Which.
        clients: &'static str,
        /// Why.
        reason: String,
    },
}

/// What in the extensions of a server's certificate keeps clients from accepting it: OpenSSL's own verification of a
/// TLS server, which trusts the certificate itself and does not look at dates, and what Go's verification of one looks at.
/// Nothing if neither finds anything.
pub fn server_certificate_fault(certificate: &X509Ref) -> Option<ServerCertificateFault> {
    let verdict = verdict(certificate);
    forget_errors();
    let openssl = match verdict.ok()?.as_raw() {
        openssl_sys::X509_V_ERR_INVALID_PURPOSE => Some("it is not for a TLS server"),
        openssl_sys::X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION => Some("it has a critical extension"),
        _ => None,
    };
    let critical = critical_extensions(certificate);
    let beyond = |known: &dyn Fn(&str) -> bool| -> Vec<String> {
        critical.iter().filter(|oid| !known(oid)).cloned().collect()
    };
    let unknown = beyond(&|oid| GO_KNOWS.contains(&oid) || KNOWN_TO_OTHERS.contains(&oid));
    if openssl.is_some() && !unknown.is_empty() {
        let unknown = unknown.join(", ");
        return Some(ServerCertificateFault::Critical(format!(
            "it has a critical extension that no client knows ({unknown})"
        )));
    }
    let purposes = purposes(certificate);
    if openssl.is_some() && purposes == Purposes::Others {
        return Some(ServerCertificateFault::Purpose(
            "its extended key usage (extendedKeyUsage) does not include serverAuth".into(),
        ));
    }
    let unheeded = beyond(&|oid| GO_KNOWS.contains(&oid));
    let go = if purposes == Purposes::Server {
        (!unheeded.is_empty()).then(|| format!("it has critical extensions ({})", unheeded.join(", ")))
    } else {
        Some("its extended key usage (extendedKeyUsage) does not include serverAuth".to_owned())
    };
    let (clients, reason) = match (openssl, go) {
        (None, None) => return None,
        (Some(_), Some(go)) => ("notary, docker, curl and others", go),
        (None, Some(go)) => ("clients made with Go, such as notary", go),
        (Some(openssl), None) => (
            "clients built on OpenSSL, such as curl",
            format!("{openssl}: look at its keyUsage, extendedKeyUsage, nsCertType and critical extensions"),
        ),
    };
    Some(ServerCertificateFault::Some { clients, reason })
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

fn critical_extensions(certificate: &X509Ref) -> Vec<String> {
    let der = certificate.to_der().unwrap_or_default();
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
        return Vec::new();
    };
    let critical = parsed.extensions().iter().filter(|extension| extension.critical);
    critical.map(|extension| extension.oid.to_id_string()).collect()
}

/// What an extended key usage says about TLS servers.
#[derive(PartialEq, Eq)]
enum Purposes {
    /// It allows them, or there is none.
    Server,
    /// It does so for those who know an old name of it.
    GatedCrypto,
    /// It does not.
    Others,
}

fn purposes(certificate: &X509Ref) -> Purposes {
    let der = certificate.to_der().unwrap_or_default();
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
        return Purposes::Server;
    };
    let found = parsed.extensions().iter().find_map(|extension| {
        let ParsedExtension::ExtendedKeyUsage(usage) = extension.parsed_extension() else {
            return None;
        };
        let gated = |oid: &x509_parser::asn1_rs::Oid<'_>| GATED_CRYPTO.contains(&oid.to_id_string().as_str());
        Some(if usage.server_auth || usage.any {
            Purposes::Server
        } else if usage.other.iter().any(gated) {
            Purposes::GatedCrypto
        } else {
            Purposes::Others
        })
    });
    found.unwrap_or(Purposes::Server)
}
