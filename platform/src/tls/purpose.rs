//! What the extensions of a certificate allow, and which of them forbids the use by a TLS client.

use openssl::x509::{X509, X509Ref};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{NSCertType, ParsedExtension},
    prelude::FromDer,
    x509::X509Version,
};

use super::CertificateFault;
use crate::x509::name_text;

/// Critical extensions that OpenSSL knows but ignores by default: policy mappings, policy constraints,
/// inhibitAnyPolicy, proxyCertInfo.
const IGNORED_BY_OPENSSL: [&str; 4] = ["2.5.29.33", "2.5.29.36", "2.5.29.54", "1.3.6.1.5.5.7.1.14"];
/// Critical extensions that OpenSSL 3 acts on.
const KNOWN: [&str; 11] = [
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.35",
    "2.5.29.37",
    "1.3.6.1.5.5.7.48.1.5",
    "2.16.840.1.113730.1.1",
];

/// The extension that keeps a certificate from its place in a client's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) explanation: String,
    pub(super) hint: &'static str,
}

/// Whether a chain that is good except for its purposes may be used by a TLS client. The rules are OpenSSL's, except
/// that anyExtendedKeyUsage counts as every purpose.
///
/// # Errors
/// The fault that OpenSSL found, with the extension that is in the way.
pub(super) fn check(chain: &[X509], fault: CertificateFault) -> Result<(), CertificateFault> {
    for (depth, certificate) in chain.iter().enumerate() {
        if let Some(obstacle) = obstacle(certificate, depth) {
            let depth = u32::try_from(depth).unwrap_or(u32::MAX);
            return Err(fault.because(depth, obstacle));
        }
    }
    Ok(())
}

/// Refuses what OpenSSL accepts against RFC 5280: critical extensions that it does not act on (section 4.2), and an
/// issuer of version 3 without basicConstraints (section 4.2.1.9).
///
/// # Errors
/// When there is such a certificate.
pub(super) fn check_rfc5280(chain: Vec<X509>) -> Result<Vec<X509>, CertificateFault> {
    for (depth, certificate) in chain.iter().enumerate() {
        match fault_by_rfc5280(certificate, depth) {
            Some(fault) if fault.is_unreadable() && depth + 1 == chain.len() => {
                // An anchor that this reader cannot parse is exempt: the operator configured it, and its clients must
                // not be locked out.
            }
            Some(fault) => return Err(fault),
            None => {}
        }
    }
    Ok(chain)
}

fn fault_by_rfc5280(certificate: &X509Ref, depth: usize) -> Option<CertificateFault> {
    let place = u32::try_from(depth).unwrap_or(u32::MAX);
    let Ok(der) = certificate.to_der() else {
        return Some(CertificateFault::unverified());
    };
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
        return Some(CertificateFault::unreadable(place));
    };
    let known = |oid: &String| IGNORED_BY_OPENSSL.contains(&oid.as_str());
    let critical = parsed.extensions().iter().filter(|extension| extension.critical);
    if critical
        .map(|extension| extension.oid.to_id_string())
        .any(|oid| known(&oid))
    {
        return Some(CertificateFault::unknown_critical(place, certificate));
    }
    let constrained =
        |parsed: &X509Certificate<'_>| parsed.basic_constraints().is_ok_and(|found| found.is_some());
    if depth > 0 && parsed.version() != X509Version::V1 && !constrained(&parsed) {
        return Some(CertificateFault::no_authority(place).because(
            place,
            Obstacle {
                explanation: format!(
                    "its issuer {} has no basicConstraints",
                    name_text(certificate.subject_name())
                ),
                hint: "ask for a certificate from a CA that may issue it",
            },
        ));
    }
    None
}

/// What is in the way of a client's certificate (`depth` 0), or of one of its issuers.
pub(super) fn obstacle(certificate: &X509Ref, depth: usize) -> Option<Obstacle> {
    let whose = |extension: &str| match depth {
        0 => format!("its {extension}"),
        _ => format!(
            "the {extension} of its issuer {}",
            name_text(certificate.subject_name())
        ),
    };
    let unreadable = || Obstacle {
        explanation: format!("{} cannot be read", whose("extensions")),
        hint: "ask the CA that issued the certificate for a correct one",
    };
    let Ok(der) = certificate.to_der() else {
        return Some(unreadable());
    };
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
        return Some(unreadable());
    };
    for extension in parsed.extensions() {
        let found = match extension.parsed_extension() {
            ParsedExtension::ExtendedKeyUsage(usage) if !(usage.client_auth || usage.any) => Some((
                "extendedKeyUsage",
                "does not include clientAuth",
                "use a certificate whose extended key usage (extendedKeyUsage) includes clientAuth",
            )),
            ParsedExtension::KeyUsage(usage)
                if depth == 0 && !(usage.digital_signature() || usage.key_agreement()) =>
            {
                Some((
                    "keyUsage",
                    "does not include digitalSignature, so its key may not prove who a client is",
                    "use a certificate whose keyUsage includes digitalSignature, or that has no keyUsage",
                ))
            }
            ParsedExtension::KeyUsage(usage) if depth > 0 && !usage.key_cert_sign() => Some((
                "keyUsage",
                "does not include keyCertSign",
                "ask for a certificate from a CA that may issue it",
            )),
            ParsedExtension::NSCertType(usage) if !allows_client(usage, depth) => Some((
                "nsCertType",
                "does not include client",
                "use a certificate without nsCertType, or with client in it",
            )),
            ParsedExtension::ParseError { .. } => return Some(unreadable()),
            _ => None,
        };
        if let Some((name, what, hint)) = found {
            let explanation = format!("{} {what}", whose(name));
            return Some(Obstacle { explanation, hint });
        }
    }
    None
}

/// The nsCertType bits for a client, or for a CA of clients.
fn allows_client(usage: &NSCertType, depth: usize) -> bool {
    if depth == 0 {
        usage.ssl_client()
    } else {
        usage.ssl_ca()
    }
}

/// The critical extensions that neither OpenSSL nor this program acts on.
pub(super) fn unknown_critical(certificate: &X509Ref) -> Vec<String> {
    let der = certificate.to_der().unwrap_or_default();
    let Ok((_, parsed)) = X509Certificate::from_der(&der) else {
        return Vec::new();
    };
    let critical = parsed.extensions().iter().filter(|extension| extension.critical);
    critical
        .map(|extension| extension.oid.to_id_string())
        .filter(|oid| !KNOWN.contains(&oid.as_str()))
        .collect()
}
