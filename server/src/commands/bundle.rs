//! `ca` and `bundle`: what an operator types.

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

/// Why a bundle command did not do all of its work.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Nothing was issued or revoked.
    #[error(transparent)]
    Issuing(#[from] IssuingError),
    /// The deny list could not be changed.
    #[error("the certificates are revoked and the list is written, but the deny list is as it was: {0}")]
    Deny(#[from] DenyCommandError),
}

/// A week: the longest that a stolen list hides a revocation from a server that reads nothing else.
const LIST_DAYS: u32 = 7;

/// The directory of a CA, and what opens its key.
#[derive(Debug, Clone, clap::Args)]
pub struct Authority {
    /// The directory of the CA.
    #[arg(long = "ca", value_name = "DIR")]
    directory: PathBuf,
    /// A file with the passphrase of the CA's key, if it has one.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// The list that is written.
#[derive(Debug, Clone, clap::Args)]
pub struct List {
    /// Where to write the revocation list: a file of revocation.crl.files.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// After how many days servers stop believing it: write it again before.
    #[arg(long, value_name = "N", default_value_t = LIST_DAYS)]
    days: u32,
}

/// `ca ...`
#[derive(Debug, Clone, clap::Subcommand)]
pub enum CaCommand {
    /// Make a client CA in a directory; what is there is left alone.
    Init {
        /// The directory.
        #[arg(long)]
        dir: PathBuf,
        /// The CA's name.
        #[arg(long, default_value = "Countersign client CA")]
        name: String,
        /// How long it is valid.
        #[arg(long, value_name = "N", default_value_t = AUTHORITY_DAYS)]
        days: u32,
        /// Encrypt its key with the passphrase in this file.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Write the revocation list again, before it runs out.
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
    /// Make a user's key and certificate, and all that their programs need, in a new directory.
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
        /// How long it is valid.
        #[arg(long, value_name = "N", default_value_t = CERTIFICATE_DAYS)]
        days: u32,
        /// The trust server, as clients write it: https://host:port.
        #[arg(long)]
        url: Option<String>,
        /// The registry, as image names begin: host:port.
        #[arg(long, value_name = "HOST:PORT")]
        registry: Option<String>,
        /// The CA that issued the server's certificate [default: this one].
        #[arg(long, value_name = "FILE")]
        server_ca: Option<PathBuf>,
    },
    /// Revoke a user's certificates, or one, and write the revocation list.
    Revoke {
        /// The user, all of whose certificates are meant.
        #[arg(conflicts_with = "serial")]
        name: Option<String>,
        /// One certificate, by its serial number in hex.
        #[arg(long, value_name = "HEX")]
        serial: Option<String>,
        #[command(flatten)]
        authority: Authority,
        #[command(flatten)]
        list: List,
        /// Why, for the index and the deny list.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Also put them on the deny list of the servers with this configuration, effective on the next request.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Show what was issued.
    List {
        /// The directory of the CA.
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Does what `ca` says.
///
/// # Errors
/// When it is not done.
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
                "\nServers that are to know its certificates need {path}/ca.pem in server.client_ca_file.\n\
                 Keep ca-key.pem secret: whoever has it can be anybody. Issue with\n\
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

/// Does what `bundle` says.
///
/// # Errors
/// When it is not done.
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
            // Not kept silently: whoever left a group must not get it back by a renewal.
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
                    "note: the certificate that {name} got before names groups that this one does not: {}; \
                     --group puts {name} into one",
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
                     with --config FILE they are put on the deny list as well, which needs no such setting."
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
    /// Writes the list, then the index, so that a number is never used twice.
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
            "wrote {}: list {number}, {} revoked, to be written again before {}",
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

/// Marks certificates as revoked; returns the serial numbers of all that were meant, also of those revoked before.
fn revoke(
    index: &mut Index<'_>,
    name: Option<&str>,
    serial: Option<&str>,
    reason: Option<&str>,
) -> Result<Vec<String>, IssuingError> {
    let now = Clock::System.now();
    let digits = serial.map(|serial| serial.replace(':', "").trim_start_matches('0').to_uppercase());
    let nobody = match (name, &digits) {
        (Some(name), _) => format!("this CA issued nothing to \"{name}\" that is still valid"),
        (None, Some(digits)) => format!("this CA issued nothing with the serial number {digits}"),
        (None, None) => return Err(IssuingError::Nobody),
    };
    let is_meant = |record: &Record| match name {
        Some(name) => record.name == name && record.not_after > now,
        None => digits.as_ref() == Some(&record.serial),
    };
    let mut serials = Vec::new();
    for record in index.records_mut().iter_mut().filter(|record| is_meant(record)) {
        serials.push(record.serial.clone());
        if record.revoked.is_some() {
            platform::say!("{} of {} was revoked before", record.serial, record.name);
            continue;
        }
        record.revoked = Some(Revoked {
            at: now,
            reason: reason.map(str::to_owned),
        });
        platform::say!("revoked {} of {}", record.serial, record.name);
    }
    if serials.is_empty() {
        return Err(IssuingError::NotIssued(nobody));
    }
    Ok(serials)
}

fn show(records: &[Record], json: bool) {
    let now = Clock::System.now();
    if json {
        platform::say!("{:#}", serde_json::json!(records));
    } else if records.is_empty() {
        platform::say!("nothing was issued");
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
