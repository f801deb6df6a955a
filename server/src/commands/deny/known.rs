//! Warns if the subject of a new entry is unknown: a misspelt one would deny no client, and that would go unnoticed.

use std::path::Path;

use openssl::x509::X509;
use platform::{
    config::ConfigError,
    tls::ClientTrust,
    x509::{name_text, older_name_text},
};

use super::DenyCommandError;
use crate::{administration::Named, config::client_cas, revocation::Subject, store::Store};

/// The warning that no known account, key or CA matches a subject; `None` if one does.
pub(super) fn warning(
    config: &Path,
    store: &Store,
    named: &Named,
) -> Result<Option<String>, DenyCommandError> {
    Ok(match &named.subject {
        Subject::Principal(_) => named.unknown(store)?,
        Subject::Key(_) if named.certificates.is_empty() => named.unknown(store)?,
        Subject::Certificate { issuer, .. } if named.certificates.is_empty() => {
            let known = anchors(config)?.is_none_or(|anchors| anchors.iter().any(|ca| is_called(ca, issuer)));
            (!known && !store.knows_issuer(issuer)?).then(|| {
                format!(
                    "no client CA of the configuration is called {issuer}, and no client with a certificate of \
                     this issuer has changed anything yet; write the issuer as \"whoami\" prints it"
                )
            })
        }
        Subject::Key(_) | Subject::Certificate { .. } => unverified(config, &named.certificates)?,
    })
}

fn is_called(certificate: &X509, name: &str) -> bool {
    let subject = certificate.subject_name();
    name_text(subject) == name || older_name_text(subject) == name
}

/// The client CAs; `None` if their files cannot be read, which other commands report.
fn trust(config: &Path) -> Result<Option<ClientTrust>, ConfigError> {
    let sets = client_cas(&crate::config::settings(config)?)?;
    Ok(ClientTrust::load(&sets).ok().filter(|_| !sets.is_empty()))
}

fn anchors(config: &Path) -> Result<Option<Vec<X509>>, ConfigError> {
    Ok(trust(config)?.map(|trust| trust.certificates().cloned().collect()))
}

/// Says if a certificate given in a file would be refused anyway.
fn unverified(config: &Path, certificates: &[X509]) -> Result<Option<String>, ConfigError> {
    let (Some(trust), Some((leaf, issuers))) = (trust(config)?, certificates.split_first()) else {
        return Ok(None);
    };
    Ok(trust.verify(leaf, issuers).err().map(|fault| {
        format!(
            "no client CA of the configuration verifies this certificate now: {} ({})",
            fault.explanation,
            fault.reason.code()
        )
    }))
}
