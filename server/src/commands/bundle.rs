//! `ca` and `bundle`: issuing and revoking client certificates.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use platform::{pki::Issued, tls::utc};

use super::deny::{DenyCommandError, deny_certificates};
use crate::clock::Clock;
use crate::issuing::{
    AUTHORITY_DAYS, CERTIFICATE_DAYS, IssuingError, authority,
    bundle::{self, Bundle, UserName},
    files::{self, Directory, PUBLIC},
    index::{Index, Record, Revoked},
    revocation_list,
};

/// Why a bundle command failed, or did not do everything.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Nothing was issued or revoked.
    #[error(transparent)]
    Issuing(#[from] IssuingError),
    /// The deny list could not be changed.
    #[error("the certificates are revoked and the list is written, but the deny list was not changed: {0}")]
    Deny(#[from] DenyCommandError),
}

/// A week. A server that uses only this list can be kept from learning of a revocation for as long as an old list is
/// valid.
const LIST_DAYS: u32 = 7;

/// The directory of a CA, and the passphrase for its key.
#[derive(Debug, Clone, clap::Args)]
pub struct Authority {
    /// The directory of the CA.
    #[arg(long = "ca", value_name = "DIR")]
    directory: PathBuf,
    /// A file with the passphrase of the CA's key, if it is encrypted.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// The revocation list to write.
#[derive(Debug, Clone, clap::Args)]
pub struct List {
    /// Where to write the revocation list: a file of revocation.crl.files.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The list's validity in days. Write it again before it expires, because servers then stop using it.
    #[arg(long, value_name = "N", default_value_t = LIST_DAYS)]
    days: u32,
}

/// `ca ...`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum CaCommand {
    /// Create a client CA in a directory; existing files are left alone.
    Init {
        /// The directory.
        #[arg(long)]
        dir: PathBuf,
        /// The CA's name.
        #[arg(long, default_value = "Countersign client CA")]
        name: String,
        /// How many days it is valid.
        #[arg(long, value_name = "N", default_value_t = AUTHORITY_DAYS)]
        days: u32,
        /// Encrypt its key with the passphrase in this file.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Write the revocation list again, before it expires.
    Crl {
        #[command(flatten)]
        authority: Authority,
        #[command(flatten)]
        list: List,
    },
}

/// `bundle ...`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum BundleCommand {
    /// Create a user's key and certificate, and everything that the user's programs need, in a new directory.
    Issue {
        /// The user's name.
        name: String,
        #[command(flatten)]
        authority: Authority,
        /// The directory of the bundle.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// A group that the certificate names as an organisation; may be given several times.
        #[arg(long = "group", value_name = "NAME")]
        groups: Vec<String>,
        /// How many days it is valid.
        #[arg(long, value_name = "N", default_value_t = CERTIFICATE_DAYS)]
        days: u32,
        /// The trust server, as clients write it: https://host:port.
        #[arg(long)]
        url: Option<String>,
        /// The registry, as written in image names: host:port.
        #[arg(long, value_name = "HOST:PORT")]
        registry: Option<String>,
        /// The CA that issued the server's certificate [default: this one].
        #[arg(long, value_name = "FILE")]
        server_ca: Option<PathBuf>,
    },
    /// Revoke a certificate, or all of a user, and write the revocation list.
    Revoke {
        /// The user whose certificates are all revoked.
        #[arg(conflicts_with = "serial")]
        name: Option<String>,
        /// The serial number of one certificate, in hex.
        #[arg(long, value_name = "HEX")]
        serial: Option<String>,
        #[command(flatten)]
        authority: Authority,
        #[command(flatten)]
        list: List,
        /// The reason, for the index and the deny list.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Also add them to the deny list of the servers with this configuration, effective from the next request on.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show the certificates that were issued.
    List {
        /// The directory of the CA.
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a subcommand of `ca`.
///
/// # Errors
/// When it failed.
pub fn run_ca(command: &CaCommand) -> Result<(), IssuingError> {
    match command {
        CaCommand::Init {
            dir,
            name,
            days,
            passphrase_file,
        } => {
            let directory = Directory::make(dir)?;
            let passphrase = authority::passphrase(passphrase_file.as_deref())?;
            authority::init(&directory, name, *days, passphrase.as_deref())?;
            let path = directory.path().display();
            platform::say!(
                "\nServers that accept its certificates need {path}/ca.pem in server.client_ca_file.\n\
                 Keep ca-key.pem secret: with it, anyone can issue certificates for any name. Issue with\n\
                 \n  countersign-server bundle issue NAME --ca {path} --out DIR --url https://HOST:PORT\n"
            );
            Ok(())
        }
        CaCommand::Crl { authority, list } => {
            let (directory, issuer) = authority.open()?;
            let mut index = Index::open(&directory)?;
            list.write(&issuer, &mut index)
        }
    }
}

/// Runs a subcommand of `bundle`.
///
/// # Errors
/// When it failed.
pub fn run_bundle(command: &BundleCommand) -> Result<(), BundleError> {
    match command {
        BundleCommand::Issue {
            name,
            authority,
            out,
            groups,
            days,
            url,
            registry,
            server_ca,
        } => {
            let user = UserName::parse(name)?;
            groups.iter().try_for_each(|group| bundle::check_group(group))?;
            url.as_deref().map(bundle::check_url).transpose()?;
            registry.as_deref().map(bundle::check_registry).transpose()?;
            let (directory, issuer) = authority.open()?;
            check_days(&issuer, *days)?;
            let server_ca = match server_ca {
                Some(path) => platform::files::read(path).map_err(|cause| files::file_error(path, cause))?,
                None => issuer.certificate_pem().map_err(IssuingError::from)?,
            };
            let target = Directory::make(out)?;
            if target.has("cert.pem") || target.has("key.pem") {
                return Err(IssuingError::BundleExists(target.path().to_path_buf()).into());
            }
            let wanted = Bundle {
                user: &user,
                groups,
                days: *days,
                url: url.as_deref(),
                registry: registry.as_deref(),
                server_ca: &server_ca,
            };
            let mut index = Index::open(&directory)?;
            // A user who left a group must not get it back silently by a renewal.
            let before = index
                .records()
                .iter()
                .rfind(|record| record.name == user.as_str());
            let lost: Vec<&str> = before
                .iter()
                .flat_map(|record| &record.groups)
                .filter(|group| !groups.contains(group))
                .map(String::as_str)
                .collect();
            if !lost.is_empty() {
                platform::say!(
                    "note: the previous certificate of {name} names groups that this one does not: {}; \
                     use --group to put {name} into a group",
                    lost.join(", ")
                );
            }
            if let Some(issued) = bundle::make(&target, ".", &issuer, &wanted)? {
                index.add(Record::of(&issued, user.as_str(), groups));
            }
            index.save()?;
            Ok(())
        }
        BundleCommand::Revoke {
            name,
            serial,
            authority,
            list,
            reason,
            config,
        } => {
            let (directory, issuer) = authority.open()?;
            let mut index = Index::open(&directory)?;
            let serials = revoke(&mut index, name.as_deref(), serial.as_deref(), reason.as_deref())?;
            list.write(&issuer, &mut index)?;
            match config {
                Some(config) => {
                    deny_certificates(config, &authority::subject(&issuer), &serials, reason.as_deref())?;
                }
                None => platform::say!(
                    "Servers refuse them as soon as they read this list (revocation.crl.files);\n\
                     with --config FILE they are added to the deny list as well, which needs no such setting."
                ),
            }
            Ok(())
        }
        BundleCommand::List { ca, json } => {
            let directory = Directory::make(ca)?;
            let index = Index::open(&directory)?;
            show(index.records(), *json);
            Ok(())
        }
    }
}

impl Authority {
    fn open(&self) -> Result<(Directory, Issued), IssuingError> {
        if !self.directory.is_dir() {
            return Err(IssuingError::NoAuthority(self.directory.clone()));
        }
        let directory = Directory::make(&self.directory)?;
        let passphrase = authority::passphrase(self.passphrase_file.as_deref())?;
        let issuer = authority::open(&directory, passphrase.as_deref())?;
        authority::warn_if_open(&directory);
        Ok((directory, issuer))
    }
}

impl List {
    /// Writes the list before the index, so that no list number is used twice.
    fn write(&self, issuer: &Issued, index: &mut Index<'_>) -> Result<(), IssuingError> {
        let number = index.next_list();
        index.save()?;
        let next_update = Clock::System.now() + TimeDelta::days(i64::from(self.days));
        let list = revocation_list::make(issuer, index.records(), number, next_update)?;
        let absolute = std::path::absolute(&self.out).map_err(|cause| files::file_error(&self.out, cause))?;
        let parent = absolute.parent().unwrap_or(&absolute);
        let name = absolute.file_name().unwrap_or_default().to_string_lossy();
        Directory::make(parent)?.replace(&name, &list.to_pem()?, PUBLIC)?;
        let revoked = index.records().iter().filter(|record| record.revoked.is_some());
        platform::say!(
            "wrote {}: list {number}, {} revoked; write it again before {}",
            absolute.display(),
            revoked.count(),
            next_update.format("%F")
        );
        Ok(())
    }
}

fn check_days(issuer: &Issued, days: u32) -> Result<(), IssuingError> {
    let end: Option<DateTime<Utc>> = utc(issuer.certificate.not_after());
    match end {
        Some(end) if Clock::System.now() + TimeDelta::days(i64::from(days)) > end => {
            Err(IssuingError::OutlivesAuthority(end.format("%F").to_string()))
        }
        _ => Ok(()),
    }
}

/// Marks certificates as revoked. Returns the serial numbers of all that were asked for, including those revoked
/// before.
fn revoke(
    index: &mut Index<'_>,
    name: Option<&str>,
    serial: Option<&str>,
    reason: Option<&str>,
) -> Result<Vec<String>, IssuingError> {
    let now = Clock::System.now();
    let digits = serial.map(|serial| serial.replace(':', "").trim_start_matches('0').to_uppercase());
    let none_found = match (name, &digits) {
        (Some(name), _) => format!("this CA issued no certificate to \"{name}\" that is still valid"),
        (None, Some(digits)) => format!("this CA issued no certificate with the serial number {digits}"),
        (None, None) => return Err(IssuingError::NoSelection),
    };
    let is_meant = |record: &Record| match name {
        Some(name) => record.name == name && record.not_after > now,
        None => digits.as_ref() == Some(&record.serial),
    };
    let mut serials = Vec::new();
    for record in index.records_mut().iter_mut().filter(|record| is_meant(record)) {
        serials.push(record.serial.clone());
        if record.revoked.is_some() {
            platform::say!("{} of {} was already revoked", record.serial, record.name);
            continue;
        }
        record.revoked = Some(Revoked {
            at: now,
            reason: reason.map(str::to_owned),
        });
        platform::say!("revoked {} of {}", record.serial, record.name);
    }
    if serials.is_empty() {
        return Err(IssuingError::NotIssued(none_found));
    }
    Ok(serials)
}

fn show(records: &[Record], json: bool) {
    let now = Clock::System.now();
    if json {
        platform::say!("{:#}", serde_json::json!(records));
    } else if records.is_empty() {
        platform::say!("no certificate was issued");
    }
    for record in records.iter().filter(|_| !json) {
        platform::say!(
            "{}  {:7}  {}  {}  {}",
            record.serial,
            record.status(now),
            record.not_after.format("%F"),
            record.name,
            record.groups.join(",")
        );
    }
}
