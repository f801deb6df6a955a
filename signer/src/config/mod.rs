//! The configuration: a Notary signer's file without changes, and a few keys of our own.

mod storage;
mod transport;

use std::path::Path;

use platform::{
    config::{ConfigError, Sections, Settings},
    logging::{LEVELS, Level},
    tls::TlsError,
};

use crate::policy::SigningPolicy;

pub use storage::Storage;
pub use transport::Transport;

/// The prefix of environment variables that override keys.
pub const ENVIRONMENT: &str = "NOTARY_SIGNER";

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    /// The addresses, TLS and the allowed clients.
    pub transport: Transport,
    /// Where keys are.
    pub storage: Storage,
    /// What may be signed.
    pub policy: SigningPolicy,
    /// What the operator should know about the file, one sentence each.
    pub remarks: Vec<String>,
}

/// Why the configuration is refused; one line that names the key or the file.
#[derive(Debug, thiserror::Error)]
pub enum RefusedConfig {
    /// A key is missing or has a value that is not allowed.
    #[error(transparent)]
    Key(#[from] ConfigError),
    /// A certificate or key file cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A reload would make a running signer serve clients without a certificate.
    #[error("server.client_ca_file was removed: to serve clients without a certificate, restart the signer")]
    NoClientCa,
}

/// The file's values with the environment's overrides.
///
/// # Errors
/// When the file cannot be read or parsed.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    Settings::load(path, ENVIRONMENT)
}

/// How much to log. It is read first, so that everything after it can be logged.
///
/// # Errors
/// When the name is not one of a level.
pub fn log_level(settings: &Settings) -> Result<Level, ConfigError> {
    let Some(name) = settings.text("logging.level")? else {
        return Ok(Level::Info);
    };
    name.parse().map_err(|()| {
        let names: Vec<_> = LEVELS.iter().map(|(name, _)| *name).collect();
        ConfigError::invalid("logging.level", name, format!("allowed: {}", names.join(", ")))
    })
}

impl Config {
    /// Checks the values in the order in which the Notary signer does, so that the first complaint
    /// is the same.
    ///
    /// # Errors
    /// When a key is missing, has a value that is not allowed, or names a file that cannot be used; when an unknown key
    /// looks like a misspelt one that decides about security; with `strict`, when any key is unknown.
    pub fn read(settings: &Settings, strict: bool) -> Result<Self, RefusedConfig> {
        let bugsnag = settings.text("reporting.bugsnag.api_key")?.is_some();
        let _ = (
            settings.text("reporting.bugsnag.release_stage")?,
            settings.text("reporting.bugsnag.endpoint")?,
        );
        let transport = Transport::read(settings)?;
        let storage = Storage::read(settings)?;
        let policies = [("metadata", SigningPolicy::Metadata), ("any", SigningPolicy::Any)];
        let policy = settings.choice("signing.policy", &policies)?.unwrap_or_default();
        let unknown = settings.tolerate_unknown_keys(&SECTIONS, strict)?;
        let mut remarks: Vec<_> = unknown.iter().map(ToString::to_string).collect();
        if bugsnag {
            remarks.push("reporting.bugsnag is not supported and ignored".to_owned());
        }
        Ok(Self {
            transport,
            storage,
            policy,
            remarks,
        })
    }
}

/// How unknown keys are judged here. Other variables with the prefix hold passphrases.
const SECTIONS: Sections = Sections {
    ours: &["signing"],
    security: &[
        "server.allowed_clients",
        "server.client_ca_file",
        "server.tls_cert_file",
        "server.tls_key_file",
        "signing",
        "storage.default_alias",
    ],
    other_variables: true,
};

#[cfg(test)]
mod tests;
