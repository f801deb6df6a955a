//! `deny`: manages the deny list, which every server on the database applies from the next request on.

mod known;

use std::path::{Path, PathBuf};

use platform::{
    config::ConfigError,
    database::{Location, Options},
};

use crate::{
    administration::{DenialFault, Named},
    clock::Clock,
    config::AuditSettings,
    revocation::{RevocationError, Subject, normal_serial},
    store::{Actor, Store, StoreError},
};

/// Why the command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum DenyCommandError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// The certificate's file cannot be used.
    #[error("{}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The command line does not say whom to deny.
    #[error(
        "say whom: --principal NAME, --cert FILE (with --key for every certificate of its key), --spki-sha256 HEX, or --serial HEX with --issuer NAME"
    )]
    NoSubject,
    /// No certificate could match such an entry.
    #[error("{0}; deny its key instead: --cert FILE with --key, or --spki-sha256 HEX")]
    CannotBeTold(RevocationError),
    /// The serial number is malformed.
    #[error("--serial {0}: write a positive number in hex, as \"openssl x509 -serial\" prints it")]
    Serial(String),
    /// The hash is malformed.
    #[error("--spki-sha256 {0}: write 64 hex digits")]
    Hash(String),
    /// The entry cannot be stored.
    #[error(transparent)]
    Named(DenialFault),
}

/// Whom to deny.
#[derive(Debug, Clone, clap::Args)]
pub struct Who {
    /// A principal, however it authenticates.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["cert", "spki_sha256", "serial"])]
    principal: Option<String>,
    /// A certificate, in PEM.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["spki_sha256", "serial"])]
    cert: Option<PathBuf>,
    /// With --cert: deny every certificate of its key.
    #[arg(long, requires = "cert")]
    key: bool,
    /// Every certificate of a key, by the SHA-256 of the key in hex.
    #[arg(long, value_name = "HEX", conflicts_with = "serial")]
    spki_sha256: Option<String>,
    /// The serial number of a certificate, in hex.
    #[arg(long, value_name = "HEX", requires = "issuer", allow_hyphen_values = true)]
    serial: Option<String>,
    /// The issuer of the certificate, as "whoami" prints it.
    #[arg(long, value_name = "NAME", requires = "serial")]
    issuer: Option<String>,
}

/// The subcommands of `deny`.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum DenyCommand {
    /// Deny a principal or certificate from the next request on, on open connections too.
    Add {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        who: Who,
        /// The reason, for the list.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Remove an entry from the deny list.
    Remove {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        who: Who,
    },
    /// Show the deny list.
    List {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs the command and prints the result.
///
/// # Errors
/// When it failed.
pub fn run(command: &DenyCommand) -> Result<(), DenyCommandError> {
    match command {
        DenyCommand::Add { config, who, reason } => {
            let named = who.named()?;
            let store = open(config)?;
            let subject = &named.subject;
            let new = store.deny(subject, reason.as_deref(), &actor(), Clock::System.now())?;
            let already = if new { "" } else { " already" };
            platform::say!("{subject} is{already} refused by every server on this database");
            if let Some(warning) = known::warning(config, &store, &named)? {
                platform::say!("warning: {warning}");
            }
        }
        DenyCommand::Remove { config, who } => {
            let Named { subject, older, .. } = who.named()?;
            if open(config)?.remove_denial(&subject, &older, &actor(), Clock::System.now())? {
                platform::say!("{subject} is no longer refused by this list");
            } else {
                platform::say!("{subject} is not on the list; nothing to do");
            }
        }
        DenyCommand::List { config } => {
            let denials = open(config)?.denials()?;
            if denials.is_empty() {
                platform::say!("the deny list is empty");
            }
            for denial in denials {
                let reason = denial.reason.unwrap_or_default();
                platform::say!("{}  {}  {reason}", denial.since.format("%F %T"), denial.shown);
            }
        }
    }
    Ok(())
}

/// Denies certificates by the serial numbers that a CA gave them, and prints that.
///
/// # Errors
/// When the database of the configuration cannot be used.
pub fn deny_certificates(
    config: &Path,
    issuer: &str,
    serials: &[String],
    reason: Option<&str>,
) -> Result<(), DenyCommandError> {
    let store = open(config)?;
    for serial in serials {
        let subject = Subject::Certificate {
            issuer: issuer.to_owned(),
            serial: normal_serial(serial).ok_or_else(|| DenyCommandError::Serial(serial.clone()))?,
        };
        store.deny(&subject, reason, &actor(), Clock::System.now())?;
        platform::say!("{subject} is refused by every server on this database");
    }
    Ok(())
}

fn open(config: &Path) -> Result<Store, DenyCommandError> {
    let settings = crate::config::settings(config)?;
    let location = Location::read(&settings)?;
    let store = Store::open_for_command(&location, Options::read(&settings)?)?;
    Ok(store.with_audit_table(AuditSettings::read(&settings)?.table))
}

fn actor() -> Actor {
    Actor::command("(deny)")
}

impl Who {
    fn named(&self) -> Result<Named, DenyCommandError> {
        let wrong = |fault| match fault {
            DenialFault::CannotBeTold(reason) => DenyCommandError::CannotBeTold(reason),
            DenialFault::Serial(text) => DenyCommandError::Serial(text),
            DenialFault::Hash(text) => DenyCommandError::Hash(text),
            other => DenyCommandError::Named(other),
        };
        match self {
            Self {
                principal: Some(name),
                ..
            } => Named::principal(name).map_err(wrong),
            Self { cert: Some(path), .. } => self.certificate(path),
            Self {
                spki_sha256: Some(hash),
                ..
            } => Named::key(hash).map_err(wrong),
            Self {
                serial: Some(serial),
                issuer: Some(issuer),
                ..
            } => Named::serial(serial, issuer).map_err(wrong),
            _ => Err(DenyCommandError::NoSubject),
        }
    }

    fn certificate(&self, path: &Path) -> Result<Named, DenyCommandError> {
        let refuse = |reason: String| DenyCommandError::Certificate {
            path: path.to_path_buf(),
            reason,
        };
        let pem = platform::files::read(path).map_err(|cause| refuse(cause.to_string()))?;
        Named::certificate(&pem, self.key).map_err(|fault| match fault {
            DenialFault::CannotBeTold(reason) => DenyCommandError::CannotBeTold(reason),
            other => refuse(other.to_string()),
        })
    }
}
