//! Checks each file of a configuration by itself, so that a problem with one does not hide a problem with the next.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use platform::tls::{ClientTls, ClientTrust, PemSource, read_certificates};

use super::Finding;
use crate::{
    clock::Clock,
    config::{Config, TrustService},
    generation::token_auth,
    identity::password::Passwords,
    issuing::own::OwnAuthority,
    registry::Gateway,
    revocation::Revocation,
};

fn refusal(cause: impl std::fmt::Display) -> Finding {
    Finding::refusal(cause.to_string())
}

/// Checks the files of a generation: certificates, keys and client CAs of the listeners, revocation lists, password
/// files, and the certificates that sign tokens.
pub(super) fn of_a_generation(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut trusts = Vec::new();
    for listener in &config.listeners {
        if let Some(tls) = &listener.tls {
            findings.extend(tls.acceptor(None, None).err().map(refusal));
        }
        for set in &listener.client_cas {
            match ClientTrust::load(std::slice::from_ref(set)) {
                Ok(trust) => trusts.push(trust),
                Err(cause) => findings.push(refusal(cause)),
            }
        }
    }
    if let Some(issuing) = &config.issuing {
        let loaded = OwnAuthority::load(issuing);
        findings.extend(
            loaded
                .err()
                .map(|cause| Finding::refusal(format!("issuing: {cause}"))),
        );
    }
    if let Some(path) = config.public.ca.as_ref().and_then(PemSource::file) {
        findings.extend(
            read_certificates("the file of server.ca_file", path)
                .err()
                .map(refusal),
        );
    }
    let issuers = trusts.iter().flat_map(|trust| trust.certificates().cloned());
    findings.extend(
        Revocation::load(&config.revocation, issuers.collect(), Clock::Fixed(now))
            .err()
            .map(refusal),
    );
    let passwords = config.password.as_ref().map(Passwords::load);
    findings.extend(passwords.and_then(Result::err).map(refusal));
    let auth = config.auth.as_ref().map(token_auth);
    findings.extend(auth.and_then(Result::err).map(refusal));
    findings
}

/// Checks the other files that are read at start: those for TLS to the signer and for the registry.
pub(super) fn of_others(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let TrustService::Remote { tls, .. } = &config.trust_service {
        findings.extend(of_signer(tls));
    }
    if let Some(registry) = &config.registry {
        findings.extend(Gateway::new(registry, &config.public).err().map(refusal));
    }
    findings
}

/// Checks the CA file and the client certificate for the connection to the signer.
fn of_signer(tls: &ClientTls) -> Vec<Finding> {
    let halves = [
        ClientTls {
            ca: tls.ca.clone(),
            identity: None,
        },
        ClientTls {
            ca: None,
            identity: tls.identity.clone(),
        },
    ];
    let causes = halves.iter().filter_map(|half| half.connector().err());
    causes
        .map(|cause| refusal(format!("trust_service: {cause}")))
        .collect()
}

/// The files that are not part of a generation and that a start needs.
pub fn further_files(config: &Config) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if let TrustService::Remote { tls, .. } = &config.trust_service {
        files.extend(tls.ca.clone());
        files.extend(
            tls.identity
                .iter()
                .flat_map(|(certificate, key)| [certificate, key])
                .cloned(),
        );
    }
    if let Some(registry) = &config.registry {
        files.extend(registry.ca.clone());
        let pair = registry.identity.iter();
        files.extend(pair.flat_map(|(certificate, key)| [certificate, key]).cloned());
        files.extend(registry.login.iter().map(|login| login.file().clone()));
    }
    files
}
