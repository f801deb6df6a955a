//! What can be wrong with a server's certificates, by looking at them alone.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use openssl::x509::{X509, X509Ref, X509VerifyResult};
use platform::tls::{ClientCertificate, utc};

use super::finding::Finding;

/// What expires within this time is told.
const SOON: TimeDelta = TimeDelta::days(30);

/// Whether a certificate is for the host of a URL.
pub(super) fn names(leaf: &X509Ref, host: &str) -> Finding {
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

fn covers(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_lowercase(), host.to_lowercase());
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(rest), Some((_, parent))) => rest == parent,
        _ => pattern == host,
    }
}

/// Whether the certificates of a file or a handshake follow one another, up to a CA that clients trust.
pub(super) fn chain(chain: &[X509], authorities: &[X509]) -> Vec<Finding> {
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
pub(super) fn expiry(what: &str, until: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Finding> {
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
pub(super) fn expiries(chain: &[X509], now: DateTime<Utc>) -> Vec<Finding> {
    let dated = chain
        .iter()
        .filter_map(|certificate| Some((certificate, utc(certificate.not_after())?)));
    dated
        .flat_map(|(certificate, until)| {
            expiry(&format!("the certificate {}", subject(certificate)), until, now)
        })
        .collect()
}

fn subject(certificate: &X509) -> String {
    ClientCertificate::new(certificate.clone()).map_or_else(String::new, |certificate| certificate.subject())
}

fn issuer(certificate: &X509) -> String {
    ClientCertificate::new(certificate.clone()).map_or_else(String::new, |certificate| certificate.issuer())
}
