//! The loaded revocation lists: where they come from, what they say about a certificate, and which lists may replace
//! them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use openssl::x509::{X509, X509Ref};
use platform::{tls::ClientCertificate, x509::name_text};

use super::{
    RevocationError,
    crl::{Crl, Scope, checked, same_name},
};
use crate::config::CrlSettings;

/// How far the CA's clock may be ahead of this server's.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// The file or directory cannot be read.
    #[error("the revocation list {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A list in use would be replaced by an older one or by none, so that certificates which it revokes would be
    /// accepted again.
    #[error(
        "{} has {found} of {issuer}, and the one in use is of {edition}: put a current list there; only a restart, or \
         taking it out of the configuration, goes back", place.display()
    )]
    GoesBack {
        /// The configured file or directory.
        place: PathBuf,
        /// What was found there.
        found: String,
        /// The issuer of the list.
        issuer: String,
        /// The edition in use.
        edition: String,
    },
}

/// Where a list comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    /// A configured file, or a directory of files.
    Configured(PathBuf),
    /// The URL from which it was fetched.
    Fetched(String),
}

#[derive(Clone)]
struct Held {
    origin: Origin,
    list: Arc<Crl>,
}

fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// A revocation list in use.
#[derive(Debug, Clone)]
pub struct ListInUse {
    /// The name of the CA that it is of.
    pub issuer: String,
    /// The file, directory or URL that it is from.
    pub origin: String,
    /// When it was made.
    pub this_update: DateTime<Utc>,
    /// When it ends.
    pub next_update: DateTime<Utc>,
    /// How many certificates it withdraws.
    pub revoked: usize,
}

/// All loaded lists.
#[derive(Clone, Default)]
pub(super) struct CrlSet {
    /// Differs between sets with different lists.
    number: u64,
    lists: Vec<Held>,
    grace: TimeDelta,
}

impl CrlSet {
    /// Reads every configured list, and the stored copies of fetched lists.
    ///
    /// # Errors
    /// When a configured list cannot be read, or its signature is wrong.
    pub(super) fn load(settings: &CrlSettings, issuers: &[X509]) -> Result<Self, CrlError> {
        let mut lists = Vec::new();
        let mut hold = |place: &PathBuf, found: Vec<Crl>| {
            lists.extend(found.into_iter().map(|list| Held {
                origin: Origin::Configured(place.clone()),
                list: Arc::new(list),
            }));
        };
        for path in &settings.files {
            hold(path, read(path, issuers)?);
        }
        for directory in &settings.directories {
            for path in entries(directory)? {
                hold(directory, read(&path, issuers)?);
            }
        }
        let mut set = Self {
            number: next_number(),
            lists,
            grace: TimeDelta::from_std(settings.grace).unwrap_or_default(),
        };
        set.read_fetched(settings, issuers);
        Ok(set)
    }

    /// The same configured lists, with the stored copies of fetched lists read again.
    pub(super) fn with_fetched(&self, settings: &CrlSettings, issuers: &[X509]) -> Self {
        let mut set = self.clone();
        set.number = next_number();
        set.lists
            .retain(|held| matches!(held.origin, Origin::Configured(_)));
        set.read_fetched(settings, issuers);
        set.keep_newest(self, settings);
        set
    }

    /// Stored copies of fetched lists are a cache: a damaged one is fetched again.
    fn read_fetched(&mut self, settings: &CrlSettings, issuers: &[X509]) {
        for url in &settings.urls {
            let Some(directory) = &settings.kept else { continue };
            let path = super::fetch::kept_as(directory, url);
            match path.exists().then(|| read(&path, issuers)).transpose() {
                Ok(found) => self.lists.extend(found.into_iter().flatten().map(|list| Held {
                    origin: Origin::Fetched(url.clone()),
                    list: Arc::new(list),
                })),
                Err(reason) => {
                    tracing::warn!(url, %reason, "a stored revocation list cannot be used")
                }
            }
        }
    }

    /// Prepares to replace the lists in use. A fetched list stays in use if it is newer than its stored copy.
    ///
    /// # Errors
    /// When a configured list would be replaced by an older edition, or by none although it is still configured.
    pub(super) fn succeed(
        &mut self,
        before: &Self,
        settings: &CrlSettings,
        issuers: &[X509],
        now: DateTime<Utc>,
    ) -> Result<(), CrlError> {
        for held in &before.lists {
            let Origin::Configured(place) = &held.origin else {
                continue;
            };
            let old = &held.list;
            let configured = settings.files.contains(place) || settings.directories.contains(place);
            // If a CA is no longer trusted, none of its certificates can be accepted again.
            let trusted = |issuer: &X509| same_name(issuer.subject_name(), old.issuer());
            if !configured || (old.expected && !issuers.iter().any(trusted)) {
                continue;
            }
            let editions = || self.lists.iter().filter(|new| new.list.is_edition_of(old));
            if editions().any(|new| !new.list.is_older_than(old)) {
                continue;
            }
            let found = match editions().map(|new| new.list.edition()).max() {
                Some(edition) => format!("an older list, of {edition},"),
                None if old.next_update > now => "no list".to_owned(),
                None => continue,
            };
            return Err(CrlError::GoesBack {
                place: place.clone(),
                found,
                issuer: name_text(old.issuer()),
                edition: old.edition(),
            });
        }
        self.number = next_number();
        self.keep_newest(before, settings);
        Ok(())
    }

    fn keep_newest(&mut self, before: &Self, settings: &CrlSettings) {
        for held in &before.lists {
            let Origin::Fetched(url) = &held.origin else {
                continue;
            };
            let is_at_least =
                |new: &Held| new.list.is_edition_of(&held.list) && !new.list.is_older_than(&held.list);
            if settings.urls.contains(url) && !self.lists.iter().any(is_at_least) {
                self.lists.push(held.clone());
            }
        }
    }

    /// Returns until when it is known that a certificate is not revoked.
    ///
    /// # Errors
    /// When it is revoked, or no list covers it.
    pub(super) fn check(
        &self,
        certificate: &X509Ref,
        issuer: &X509Ref,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, RevocationError> {
        let name =
            || ClientCertificate::new(issuer.to_owned()).map_or_else(String::new, |issuer| issuer.subject());
        let missing = || RevocationError::CrlMissing(name());
        let scope = Scope::of(certificate).ok_or_else(missing)?;
        let (mut known, mut outdated, mut elsewhere) = (None, false, false);
        for list in self.lists.iter().map(|held| &held.list) {
            if !same_name(certificate.issuer_name(), list.issuer()) || !list.is_signed_by(issuer) {
                continue;
            }
            if !list.covers(&scope) {
                elsewhere = true;
                continue;
            }
            // An expired list, or one of another distribution point, still counts if it revokes the certificate.
            if list.revokes(certificate) {
                return Err(RevocationError::Revoked { source_name: "CRL" });
            }
            if !list.is_of(&scope) {
                elsewhere = true;
            } else if now > list.next_update + self.grace || list.this_update > now + SKEW {
                outdated = true;
            } else {
                known = known.max(Some(list.next_update));
            }
        }
        match known {
            Some(until) => Ok(until),
            None if outdated => Err(RevocationError::CrlExpired(name())),
            None if elsewhere => Err(RevocationError::CrlOfOthers(name())),
            None => Err(missing()),
        }
    }

    /// The number of this set, which no other set in this process has.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn described(&self) -> Vec<ListInUse> {
        let lists = self.lists.iter().map(|held| ListInUse {
            issuer: name_text(held.list.issuer()),
            origin: match &held.origin {
                Origin::Configured(path) => path.display().to_string(),
                Origin::Fetched(url) => url.clone(),
            },
            this_update: held.list.this_update,
            next_update: held.list.next_update,
            revoked: held.list.length(),
        });
        lists.collect()
    }

    pub(super) fn nearest_next_update(&self) -> Option<DateTime<Utc>> {
        self.lists.iter().map(|held| held.list.next_update).min()
    }

    pub(super) fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut found = Vec::new();
        for list in self.lists.iter().map(|held| &held.list) {
            let issuer = name_text(list.issuer());
            if list.next_update < now {
                found.push(format!(
                    "the revocation list of {issuer} expired at {}",
                    list.next_update
                ));
            }
            if list.this_update > now + SKEW {
                found.push(format!(
                    "the revocation list of {issuer} is not valid before {}",
                    list.this_update
                ));
            }
            if !list.expected {
                found.push(format!(
                    "the revocation list of {issuer} is not of a configured client CA; it counts only for \
                     certificates that come with one of that name which signed it"
                ));
            }
        }
        found
    }
}

/// Checks that fetched lists do not go back. An attacker who can change the response of an unprotected URL must not be
/// able to bring back an old list, which lacks later revocations, or to replace a list that is still valid by another
/// CA's.
///
/// # Errors
/// When a valid list in `kept` has no successor in `lists`.
pub(super) fn check_succession(lists: &[Crl], kept: &[Crl], now: DateTime<Utc>) -> Result<(), String> {
    let in_force = kept.iter().filter(|old| old.next_update > now);
    for old in in_force {
        let succeeds = |new: &Crl| new.is_edition_of(old) && !new.is_older_than(old);
        if !lists.iter().any(succeeds) {
            return Err(format!(
                "its list of {} is missing, or older than the one in use, of {}",
                name_text(old.issuer()),
                old.edition()
            ));
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, CrlError> {
    let refuse = |cause: std::io::Error| CrlError::File {
        path: directory.to_path_buf(),
        reason: cause.to_string(),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path, issuers: &[X509]) -> Result<Vec<Crl>, CrlError> {
    let refuse = |reason: String| CrlError::File {
        path: path.to_path_buf(),
        reason,
    };
    let bytes = platform::files::read(path).map_err(|cause| refuse(cause.to_string()))?;
    checked(&bytes, issuers).map_err(refuse)
}
