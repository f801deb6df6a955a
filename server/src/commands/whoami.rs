//! `whoami`: shows whom a certificate identifies, and why, without asking a server.

use std::path::PathBuf;

use openssl::x509::X509;
use platform::{
    config::{ConfigError, Settings},
    database::Location,
    tls::{ClientTrust, TlsError},
};

use crate::{
    clock::Clock,
    config::{RevocationSettings, client_cas},
    identity::{
        facts::{CertificateFacts, FactsError, purpose_shown},
        rules::{IdentityRules, Registered},
    },
    revocation::{Revocation, RevocationError, SetUpError, VerifiedChain},
    store::{Store, StoreError},
};

/// Why the certificate cannot be examined.
#[derive(Debug, thiserror::Error)]
pub enum WhoamiError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client CAs cannot be used.
    #[error(transparent)]
    ClientCa(#[from] TlsError),
    /// The revocation lists cannot be used.
    #[error(transparent)]
    Revocation(#[from] SetUpError),
    /// A rule needs the account of the key, and the database cannot be read.
    #[error("the account of the key cannot be looked up: {0}")]
    Store(#[from] StoreError),
    /// A file cannot be read.
    #[error("{} cannot be read: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificate cannot be read.
    #[error(transparent)]
    Facts(#[from] FactsError),
}

/// The options of `whoami`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The configuration file; without one the default rules apply, and no CA is checked.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The certificate in PEM, optionally followed by its chain.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// More certificates of the chain, in PEM.
    #[arg(long, value_name = "FILE")]
    chain: Vec<PathBuf>,
    /// Show for every rule whether it matches, and why not.
    #[arg(long)]
    explain: bool,
}

/// Prints the identity; returns true if the certificate is verified and a rule identifies it.
///
/// # Errors
/// When a file or the configuration cannot be used.
pub fn run(options: &Options) -> Result<bool, WhoamiError> {
    let mut chain = certificates(&options.cert)?;
    let leaf = chain.remove(0);
    for file in &options.chain {
        chain.extend(certificates(file)?);
    }
    let settings = options.config.as_ref().map(|path| crate::config::settings(path));
    let settings = settings.transpose()?;
    let (verified, verified_by, verified_chain) = verify(settings.as_ref(), &leaf, &chain)?;
    let facts = CertificateFacts::new(&leaf, &chain, verified_by)?;
    describe(&facts);
    let revocation = settings.as_ref().map(revocation).transpose()?;
    // Checked as the server does, so that both give the same answer.
    let mut refused_as_revoked = verified
        .then(|| check_revocation_files(revocation.as_ref(), &verified_chain).err())
        .flatten();
    let rules = match &settings {
        Some(settings) => IdentityRules::read(settings)?,
        None => IdentityRules::built_in(),
    };
    let registered = match &settings {
        Some(settings) if rules.needs_accounts() => account(settings, &facts)?,
        _ => None,
    };
    let identified = rules.identify(&facts, registered.as_ref());
    if let (Ok(found), Some(revocation), None) = (&identified, &revocation, &refused_as_revoked) {
        refused_as_revoked = revocation.check_principal(found.principal.as_str()).err();
    }
    if let Some(reason) = &refused_as_revoked {
        platform::say!("revocation: {reason} ({}); {}", reason.code(), reason.hint());
    }
    let trusted = verified && refused_as_revoked.is_none();
    match &identified {
        Ok(found) if trusted => {
            platform::say!("principal: {}", found.principal);
            platform::say!("groups: {}", list(&found.groups));
            platform::say!("rule: {}", found.rule);
        }
        Ok(_) if !verified => platform::say!("not identified: no client CA verifies the certificate"),
        Ok(_) if matches!(refused_as_revoked, Some(RevocationError::Revoked { .. })) => {
            platform::say!("not identified: the certificate or its holder is refused");
        }
        Ok(_) => platform::say!("not identified: whether the certificate was revoked cannot be determined"),
        Err(refused) => platform::say!(
            "not identified: {refused} ({}); {}",
            refused.reason.code(),
            refused.reason.hint()
        ),
    }
    if options.explain {
        for trace in rules.explain(&facts, registered.as_ref()) {
            platform::say!("{trace}");
        }
    }
    Ok(trusted && identified.is_ok())
}

/// Verifies the certificate. Returns whether it is trusted, the client CA sets that verify it, and its chain as far as
/// it is verified; prints the result.
fn verify(
    settings: Option<&Settings>,
    leaf: &X509,
    chain: &[X509],
) -> Result<(bool, Vec<String>, Vec<X509>), WhoamiError> {
    let mut verified_chain = vec![leaf.clone()];
    let Some(settings) = settings else {
        platform::say!("verified by: no CA was checked, for there is no --config");
        return Ok((true, Vec::new(), verified_chain));
    };
    let mut verified_by = Vec::new();
    for set in client_cas(settings)? {
        let name = set.name.clone();
        match ClientTrust::load(&[set])?.verify(leaf, chain) {
            Ok(verified) => {
                verified_by.push(name);
                verified_chain = verified.chain;
            }
            Err(fault) => platform::say!(
                "CA set {name}: {} ({}); {}",
                fault.explanation,
                fault.reason.code(),
                fault.hint()
            ),
        }
    }
    platform::say!("verified by: {}", list(&verified_by));
    Ok((!verified_by.is_empty(), verified_by, verified_chain))
}

/// The revocation lists in files.
fn revocation(settings: &Settings) -> Result<Revocation, WhoamiError> {
    let mut issuers = Vec::new();
    for set in client_cas(settings)? {
        issuers.extend(ClientTrust::load(&[set])?.certificates().cloned());
    }
    Ok(Revocation::load(
        &RevocationSettings::read(settings)?,
        issuers,
        Clock::System,
    )?)
}

/// Prints what the lists in files say about a verified chain. A missing or expired list is only reported: whether it
/// is tolerated depends on the request.
fn check_revocation_files(revocation: Option<&Revocation>, chain: &[X509]) -> Result<(), RevocationError> {
    let chain = VerifiedChain::new(chain.to_vec());
    chain.denied_as()?;
    let Some(revocation) = revocation else {
        return Ok(());
    };
    match revocation.check_lists(&chain, Clock::System.now()) {
        Ok(Some(status)) => {
            let until = status
                .next_update
                .map_or_else(String::new, |until| format!(", next update {until}"));
            platform::say!(
                "revocation: not on any list in files{until}; neither the database nor OCSP was asked"
            );
            Ok(())
        }
        Ok(None) => {
            platform::say!(
                "revocation: no CA list is configured as a file; neither the database nor OCSP was asked"
            );
            Ok(())
        }
        Err(reason @ RevocationError::Revoked { .. }) => Err(reason),
        Err(unknown) => {
            platform::say!(
                "revocation: {unknown} ({}), considering files only: lists were not fetched, and OCSP was not asked",
                unknown.code()
            );
            Ok(())
        }
    }
}

/// The account of the certificate's key, read without changing the database.
fn account(settings: &Settings, facts: &CertificateFacts) -> Result<Option<Registered>, WhoamiError> {
    let location = Location::read(settings)?;
    if location == Location::Memory {
        platform::say!("account: not known, because storage.backend is memory");
        return Ok(None);
    }
    let found = Store::open_read_only(&location)?.account_by_key(facts.key_hashes())?;
    let shown = found.as_ref().map_or("none", |account| &account.name);
    platform::say!("account: {shown}");
    Ok(found)
}

fn describe(facts: &CertificateFacts) {
    platform::say!("subject: {}", facts.subject());
    platform::say!("issuer: {}", facts.issuer());
    platform::say!("serial: {}", facts.serial());
    platform::say!("valid: {} to {}", facts.not_before(), facts.not_after());
    let purposes: Vec<&str> = facts.purposes().iter().map(|oid| purpose_shown(oid)).collect();
    platform::say!("extended key usage: {}", list(&purposes));
    let key = facts.key();
    platform::say!(
        "key: {}, {} bits, spki_sha256 {}",
        key.key_type,
        key.bits,
        facts.spki_sha256()
    );
    platform::say!("cert_sha256: {}", facts.cert_sha256());
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    names.join(", ")
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &std::path::Path) -> Result<Vec<X509>, WhoamiError> {
    let refused = |reason: String| WhoamiError::File {
        path: path.to_path_buf(),
        reason,
    };
    let pem = platform::files::read(path).map_err(|cause| refused(cause.to_string()))?;
    platform::tls::parse_certificates(&pem).map_err(refused)
}
