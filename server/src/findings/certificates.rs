//! What can be wrong with a server's certificates, by looking at them alone.

use std::{net::IpAddr, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use openssl::x509::{X509, X509Ref, X509VerifyResult};
use platform::tls::{
    ClientCertificate, ServerCertificateFault, client_certificate_obstacle, read_certificates,
    server_certificate_fault, utc,
};

use super::finding::Finding;
use crate::{
    config::{Config, TrustService},
    generation::host_names,
};

/// What expires within this time is told.
const SOON: TimeDelta = TimeDelta::days(30);

/// Whether a certificate is for the host of a URL.
pub fn names(leaf: &X509Ref, host: &str) -> Finding {
    let (mut dns, mut addresses) = (Vec::new(), Vec::new());
    for name in leaf.subject_alt_names().iter().flatten() {
        if let Some(name) = name.dnsname() {
            dns.push(name.to_owned());
        }
        if let Some(bytes) = name.ipaddress() {
            let address = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            addresses.extend(address.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)));
        }
    }
    let wanted: Option<IpAddr> = host.parse().ok();
    let good = match wanted {
        Some(address) => addresses.contains(&address),
        None => dns.iter().any(|name| covers(name, host)),
    };
    if good {
        return Finding::fine(format!("the server's certificate is for {host}"));
    }
    let all: Vec<String> = match wanted {
        Some(_) => addresses.iter().map(ToString::to_string).collect(),
        None => dns.clone(),
    };
    // Go's sentences, which docker and notary print.
    let shown = match (all.is_empty(), wanted) {
        (true, Some(_)) => {
            format!("x509: cannot validate certificate for {host} because it doesn't contain any IP SANs")
        }
        (true, None) if addresses.is_empty() => {
            "x509: certificate relies on legacy Common Name field, use SANs instead".to_owned()
        }
        (true, None) => format!("x509: certificate is not valid for any names, but wanted to match {host}"),
        (false, _) => format!("x509: certificate is valid for {}, not {host}", all.join(", ")),
    };
    Finding::broken(
        format!("the server's certificate is not for {host}"),
        format!(
            "issue it with the subject alternative name {host}, or let clients use a name that it has and say that name in server.external_url"
        ),
    )
    .shown_as(shown)
}

/// The subject alternative names of all listeners' certificates, as one text for messages.
pub fn all_names(config: &Config) -> String {
    let mut names: Vec<String> = Vec::new();
    for tls in config
        .listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref())
    {
        let chain = read_certificates("the certificate", &tls.certificate).unwrap_or_default();
        for name in chain.first().map(|leaf| host_names(leaf)).unwrap_or_default() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return "none".to_owned();
    }
    names.join(", ")
}

fn covers(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_lowercase(), host.to_lowercase());
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(rest), Some((_, parent))) => rest == parent,
        _ => pattern == host,
    }
}

/// Whether the certificates of a file or a handshake follow one another, up to a CA that clients trust.
pub fn chain(chain: &[X509], authorities: &[X509]) -> Vec<Finding> {
    const SHOWN: &str = "x509: certificate signed by unknown authority";
    let mut findings = Vec::new();
    for pair in chain.windows(2) {
        let [one, next] = pair else { continue };
        if next.issued(one) != X509VerifyResult::OK {
            findings.push(
                Finding::broken(
                    format!("the server's certificates are out of order: {} does not issue {}", subject(next), subject(one)),
                    "put the server's own certificate first into server.tls_cert_file, then its issuer, then that one's",
                )
                .shown_as(SHOWN),
            );
            return findings;
        }
    }
    let Some(last) = chain.last() else { return findings };
    let known = |certificate: &X509| {
        authorities.iter().any(|authority| {
            authority.issued(certificate) == X509VerifyResult::OK
                && authority
                    .public_key()
                    .is_ok_and(|key| certificate.verify(&key).unwrap_or(false))
                || authority.to_der().ok() == certificate.to_der().ok()
        })
    };
    if authorities.is_empty() {
        findings.push(Finding::note(
            "nobody said which CA clients trust, so the chain was not followed to its end",
            "say --ca FILE, or set server.ca_file",
        ));
    } else if !chain.iter().any(known) {
        findings.push(
            Finding::broken(
                format!("an intermediate certificate is missing: clients do not know {}, which issued {}", issuer(last), subject(last)),
                "append the certificate of the missing issuer to server.tls_cert_file, or give clients the CA that they need",
            )
            .shown_as(SHOWN),
        );
    } else {
        findings.push(Finding::fine(
            "the server's certificates lead to the CA that clients trust",
        ));
    }
    findings
}

/// Whether something has expired, or will within a month.
pub fn expiry(what: &str, until: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Finding> {
    let day = until.format("%F %R UTC");
    if until < now {
        vec![
            Finding::broken(format!("{what} expired at {day}"), "renew it")
                .shown_as("x509: certificate has expired or is not yet valid"),
        ]
    } else if until < now + SOON {
        let days = (until - now).num_days();
        vec![
            Finding::note(format!("{what} expires in {days} days, at {day}"), "renew it")
                .shown_as("(from then on) x509: certificate has expired or is not yet valid"),
        ]
    } else {
        Vec::new()
    }
}

/// The same for each certificate of a chain.
pub fn expiries(chain: &[X509], now: DateTime<Utc>) -> Vec<Finding> {
    let dated = chain
        .iter()
        .filter_map(|certificate| Some((certificate, utc(certificate.not_after())?)));
    dated
        .flat_map(|(certificate, until)| {
            expiry(&format!("the certificate {}", subject(certificate)), until, now)
        })
        .collect()
}

/// Examines the certificates of the listeners, each file once.
pub fn of_listeners(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: Vec<&Path> = Vec::new();
    for tls in config
        .listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref())
    {
        let path = tls.certificate.as_path();
        // What is wrong with the file itself is told with its key.
        let chain = read_certificates("the certificate", path).unwrap_or_default();
        let Some((leaf, issuers)) = chain.split_first().filter(|_| !seen.contains(&path)) else {
            continue;
        };
        seen.push(path);
        findings.extend(usable(leaf, path, now));
        for issuer in issuers {
            let subject = subject(issuer);
            let ended = utc(issuer.not_after()).filter(|until| *until < now);
            findings.extend(ended.map(|until| {
                Finding::note(
                    format!(
                        "the certificate {subject} in {} expired at {}",
                        path.display(),
                        until.format("%F %R UTC")
                    ),
                    "put its successor into the file, or leave it out if clients have that",
                )
            }));
        }
    }
    findings
}

/// Examines the client certificate that the server presents to the signer.
pub fn towards_the_signer(trust_service: &TrustService, now: DateTime<Utc>) -> Vec<Finding> {
    let TrustService::Remote { tls, .. } = trust_service else {
        return Vec::new();
    };
    let Some((path, _)) = &tls.identity else {
        return Vec::new();
    };
    let chain = read_certificates("the client certificate", path).unwrap_or_default();
    let Some(leaf) = chain.first() else {
        return Vec::new();
    };
    let file = format!("trust_service.tls_client_cert {}", path.display());
    let shown = "unable to reach trust server at this time: 503.";
    let mut findings = Vec::new();
    if let Some(reason) = client_certificate_obstacle(leaf) {
        findings.push(
            Finding::note(
                format!("{file} is refused by a signer that asks for a certificate: {reason}"),
                "issue one for a TLS client (extendedKeyUsage clientAuth)",
            )
            .shown_as(shown),
        );
    }
    if let Some(until) = utc(leaf.not_after()).filter(|until| *until < now) {
        let day = until.format("%F %R UTC");
        findings.push(Finding::broken(format!("{file} expired at {day}"), "renew it").shown_as(shown));
    }
    findings
}

/// Finds reasons why clients do not accept a listener's certificate, apart from its names and its issuer. A certificate
/// that no client accepts prevents a start. An expired one, or one that is not valid yet, does not: a restart in
/// production must not turn an expired certificate into a server that is down.
fn usable(leaf: &X509, path: &Path, now: DateTime<Utc>) -> Vec<Finding> {
    let file = format!("the server's certificate {}", path.display());
    let useless = |reason: &str| Finding::refusal(format!("{file} cannot be used by any client: {reason}"));
    let mut findings = Vec::new();
    match server_certificate_fault(leaf) {
        Some(ServerCertificateFault::Purpose(reason)) => findings.push(
            useless(&reason)
                .fixed_by("issue one for a TLS server (extendedKeyUsage serverAuth)")
                .shown_as("x509: certificate specifies an incompatible key usage"),
        ),
        Some(ServerCertificateFault::Critical(reason)) => findings.push(
            useless(&reason)
                .fixed_by("issue one without it, or with it not critical")
                .shown_as("x509: unhandled critical extension"),
        ),
        Some(ServerCertificateFault::Some { clients, reason }) => findings.push(Finding::note(
            format!("{file} is refused by {clients}: {reason}"),
            "issue one for a TLS server (keyUsage digitalSignature, extendedKeyUsage serverAuth)",
        )),
        None => {}
    }
    if leaf.subject_alt_names().is_none_or(|names| names.is_empty()) {
        findings.push(
            Finding::note(
                format!(
                    "{file} has no subject alternative names, and docker and notary look at nothing else"
                ),
                "issue one with the host that clients use among its subject alternative names",
            )
            .shown_as("x509: certificate relies on legacy Common Name field, use SANs instead"),
        );
    }
    let dates = [utc(leaf.not_before()), utc(leaf.not_after())];
    if let [Some(from), Some(until)] = dates {
        const SHOWN: &str = "x509: certificate has expired or is not yet valid";
        if until < now {
            findings.push(
                Finding::broken(
                    format!("{file} expired at {}", until.format("%F %R UTC")),
                    "renew it",
                )
                .shown_as(SHOWN),
            );
        }
        if from > now {
            findings.push(
                Finding::broken(
                    format!("{file} is not valid before {}", from.format("%F %R UTC")),
                    "set this machine's clock, or use another certificate until then",
                )
                .shown_as(SHOWN),
            );
        }
    }
    findings
}

fn subject(certificate: &X509) -> String {
    ClientCertificate::new(certificate.clone()).map_or_else(String::new, |certificate| certificate.subject())
}

fn issuer(certificate: &X509) -> String {
    ClientCertificate::new(certificate.clone()).map_or_else(String::new, |certificate| certificate.issuer())
}
