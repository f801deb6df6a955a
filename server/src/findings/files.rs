//! The files of a configuration, each by itself: what is wrong with one does not hide what is wrong with the next.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use platform::tls::{CaSet, ClientTls, ClientTrust, read_certificates};

use super::{Finding, certificates};
use crate::{
    clock::Clock,
    config::{Config, TrustService},
    identity::{password::Passwords, token::TokenAuth},
    revocation::Revocation,
};

fn refusal(cause: impl std::fmt::Display) -> Finding {
    Finding::refusal(cause.to_string())
}

/// The certificates, keys and client CAs of the listeners.
pub(super) fn of_listeners(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for listener in &config.listeners {
        if let Some(tls) = &listener.tls {
            findings.extend(tls.acceptor(None, None).err().map(refusal));
            let chain = read_certificates("the certificate", &tls.certificate).unwrap_or_default();
            if let Some(leaf) = chain.first() {
                findings.extend(certificates::usable(leaf, &tls.certificate, now));
            }
        }
        for set in &listener.client_cas {
            findings.extend(trust(set).err());
        }
    }
    findings
}

fn trust(set: &CaSet) -> Result<Arc<ClientTrust>, Finding> {
    ClientTrust::load(std::slice::from_ref(set))
        .map(Arc::new)
        .map_err(refusal)
}

/// What else is read at start.
pub(super) fn of_others(config: &Config, now: DateTime<Utc>) -> Vec<Finding> {
    let sets = config.listeners.iter().flat_map(|listener| &listener.client_cas);
    let trusts: Vec<Arc<ClientTrust>> = sets.filter_map(|set| trust(set).ok()).collect();
    let issuers = trusts.iter().flat_map(|trust| trust.certificates().cloned());
    let revocation = Revocation::load(&config.revocation, issuers.collect(), Clock::Fixed(now));
    let passwords = config.password.as_ref().map(Passwords::load);
    let mut findings: Vec<Finding> = revocation.err().map(refusal).into_iter().collect();
    findings.extend(passwords.and_then(Result::err).map(refusal));
    if let TrustService::Remote { tls, .. } = &config.trust_service {
        findings.extend(of_signer(tls));
    }
    if let Some(auth) = &config.auth {
        let (realm, service, issuer) = (auth.realm.clone(), auth.service.clone(), auth.issuer.clone());
        let refused = TokenAuth::new(realm, service, issuer, &auth.bundle).err();
        findings.extend(refused.map(|cause| {
            refusal(format!(
                "auth.options.rootcertbundle: {}: {cause}",
                auth.bundle.display()
            ))
        }));
    }
    findings
}

/// The files of TLS towards the signer: who it is, and who the server is.
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

/// The files beside those of a generation without which a server does not start.
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
    files.extend(config.auth.iter().map(|auth| auth.bundle.clone()));
    files
}
