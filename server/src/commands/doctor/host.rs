//! Examines the server as a client sees it.

use chrono::{DateTime, TimeDelta, Utc};
use openssl::x509::{X509, X509VerifyResult};
use reqwest::Url;

use crate::{
    clients::{
        pair::Pair,
        probe::{self, Observed, ProbeError},
    },
    clock::Clock,
    findings::{Finding, certificates},
};

/// How much clocks may differ before certificates and timestamps look expired, or not yet valid.
const SKEW: TimeDelta = TimeDelta::minutes(1);

pub(super) fn examine(
    url: &str,
    authorities: &[X509],
    pair: Option<&Pair>,
    now: DateTime<Utc>,
    findings: &mut Vec<Finding>,
) {
    if url.ends_with('/') {
        findings.push(
            Finding::broken(format!("the URL {url} ends in a slash"), "remove the slash")
                .shown_as("unable to reach trust server at this time: 301."),
        );
    }
    if url.starts_with("http:") {
        findings.push(
            Finding::broken(format!("{url} is not https"), "use TLS, and https:// in the URL")
                .shown_as(format!("valid https URL required for trust server, got {url}")),
        );
        return;
    }
    let seen = match probe::look(url, authorities, pair) {
        Ok(seen) => seen,
        Err(cause) => {
            findings.push(unreachable(url, &cause));
            return;
        }
    };
    if seen.addresses.iter().any(std::net::IpAddr::is_loopback) {
        findings.push(
            Finding::note(
                format!("{url} leads to a loopback address: docker treats a registry there as insecure and sends no client certificate"),
                "use a server name whose address is not a loopback address",
            )
            .shown_as("Client sent an HTTP request to an HTTPS server."),
        );
    }
    let host = Url::parse(url).ok();
    let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
    if let Some(leaf) = seen.chain.first() {
        findings.push(certificates::names(leaf, host.trim_matches(['[', ']'])));
    }
    findings.extend(certificates::chain(&seen.chain, authorities));
    findings.extend(certificates::expiries(&seen.chain, now));
    if seen.verdict != X509VerifyResult::OK && authorities.is_empty() {
        findings.push(
            Finding::broken(
                format!(
                    "this machine does not trust {url}: {}",
                    seen.verdict.error_string()
                ),
                "use --ca FILE with the server's CA: curl -k URL/ca -o ca.crt",
            )
            .shown_as("x509: certificate signed by unknown authority"),
        );
    }
    answer(url, seen, pair, findings);
}

fn unreachable(url: &str, cause: &ProbeError) -> Finding {
    let fix = match cause {
        ProbeError::Url(_) => "write the URL as clients do: https://host:port",
        ProbeError::Name { .. } => "add the name to DNS or /etc/hosts",
        ProbeError::Unreachable { .. } => "start the server, or make its address reachable",
        ProbeError::Handshake(..) | ProbeError::OpenSsl(_) => "make sure that this port uses TLS",
    };
    Finding::broken(cause.to_string(), fix)
        .shown_as(format!("could not reach {url}, then: client is offline"))
}

fn answer(url: &str, seen: Observed, pair: Option<&Pair>, findings: &mut Vec<Finding>) {
    let answer = match seen.answer {
        Ok(answer) => answer,
        Err(cause) => {
            let what = match pair {
                Some(_) => format!("{url} refuses the certificate in the handshake: {cause}"),
                None => format!("{url} ends a connection without a certificate: {cause}"),
            };
            let finding = match pair {
                Some(_) => Finding::broken(
                    what,
                    "see the server's log, or set tls.client_auth to request, so that the server answers why",
                ),
                None => Finding::note(what, "use --cert and --key to see what a client sees"),
            };
            findings.push(finding.shown_as("remote error: tls: ..., then: client is offline"));
            return;
        }
    };
    match (answer.status, pair) {
        (200, Some(_)) => findings.push(Finding::fine(format!("{url} accepts the certificate"))),
        (200 | 401, None) => findings.push(Finding::fine(format!("{url} answers"))),
        (status, Some(_)) => findings.push(
            Finding::broken(
                format!("{url} answers {status}: {}", answer.body),
                "follow the hint in the answer",
            )
            .shown_as("you are not authorized to perform this operation: server returned 401."),
        ),
        (status, None) => findings.push(
            Finding::broken(
                format!("{url} answers {status}: {}", answer.body),
                "make sure that this is a trust server",
            )
            .shown_as(format!("unable to reach trust server at this time: {status}.")),
        ),
    }
    let Some(date) = answer.date else { return };
    let difference = date - Clock::System.now();
    if difference.abs() > SKEW {
        findings.push(
            Finding::broken(
                format!(
                    "this machine's clock and that of {url} differ by {} seconds",
                    difference.num_seconds().abs()
                ),
                "synchronise both with NTP",
            )
            .shown_as("x509: certificate has expired or is not yet valid"),
        );
    } else {
        findings.push(Finding::fine("both clocks agree"));
    }
}
