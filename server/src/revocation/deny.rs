//! The deny list: who is refused, whatever the CA says.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use openssl::x509::{X509, X509NameRef, X509Ref};
use platform::{
    config::{ConfigError, Sections, Settings},
    x509::{hashes_of_key, name_text, older_name_text, read_name},
};
use serde::Deserialize;

use super::RevocationError;
use crate::store::{DenialKey, DeniedSubject as Subject};

/// Why a deny list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DenyError {
    /// The file cannot be read or parsed, or an entry is wrong.
    #[error("the deny list {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The entries of a deny list file.
#[derive(Debug, Default)]
pub struct DenyList {
    entries: Vec<Subject>,
    /// The keys of the entries, and of those with the issuer exactly as written where that differs from the normal form;
    /// older versions stored these.
    keys: HashSet<DenialKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    serial: Option<String>,
    issuer: Option<String>,
    spki_sha256: Option<String>,
    principal: Option<String>,
    #[serde(rename = "reason")]
    _reason: Option<String>,
}

impl DenyList {
    /// Reads a list: JSON, TOML or YAML with the key `denied`.
    ///
    /// # Errors
    /// When the file cannot be read, or an entry does not name exactly one subject.
    pub fn read(path: &Path) -> Result<Self, DenyError> {
        let refuse = |cause: ConfigError| DenyError::File {
            path: path.to_path_buf(),
            // The message names the file already.
            reason: match cause {
                ConfigError::Read { cause, .. } => cause.to_string(),
                ConfigError::Format { reason, .. } => reason,
                other => other.to_string(),
            },
        };
        let settings = Settings::load(path, "COUNTERSIGN_DENY_LIST").map_err(refuse)?;
        let entries: Vec<Entry> = settings.typed("denied").map_err(refuse)?.unwrap_or_default();
        let sections = Sections {
            ours: &["denied"],
            security: &["denied"],
            other_variables: true,
        };
        if let Some(unknown) = settings.unknown_keys(&sections).first() {
            // An entry under a misspelt key would be ignored, and its subject let in.
            return Err(DenyError::File {
                path: path.to_path_buf(),
                reason: format!("unknown key {}; entries belong under \"denied\"", unknown.key),
            });
        }
        let as_written: Vec<Subject> = entries.iter().filter_map(Entry::as_written).collect();
        let entries = entries.into_iter().enumerate().map(|(position, entry)| {
            entry.subject().map_err(|reason| DenyError::File {
                path: path.to_path_buf(),
                reason: format!("denied[{position}]: {reason}"),
            })
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            keys: entries.iter().chain(&as_written).map(DenialKey::of).collect(),
            entries,
        })
    }

    /// Whether the list contains any of the subjects of a chain (`subjects`), by their keys.
    pub fn has_any(&self, subjects: &[DenialKey]) -> bool {
        !self.keys.is_empty() && subjects.iter().any(|subject| self.keys.contains(subject))
    }

    /// Whether the list has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The issuers named by entries that are the name of no certificate in `issuers`.
    pub fn unknown_issuers(&self, issuers: &[X509]) -> Vec<&str> {
        let known: Vec<String> = issuers
            .iter()
            .map(|issuer| issuer.subject_name())
            .flat_map(|name| [name_text(name), older_name_text(name)])
            .collect();
        let named = self.entries.iter().filter_map(|entry| match entry {
            Subject::Certificate { issuer, .. } => Some(issuer.as_str()),
            _ => None,
        });
        named
            .filter(|issuer| !known.iter().any(|name| name == issuer))
            .collect()
    }

    /// Whether a principal is on the list.
    pub fn has_principal(&self, name: &str) -> bool {
        !self.keys.is_empty() && self.keys.contains(&DenialKey::of_principal(name))
    }
}

/// The subjects by which entries could name a verified chain: each certificate by issuer and serial number, and by its
/// key, also in the forms that older versions wrote. The last certificate of several is trusted by configuration, so
/// an invalid serial number does not matter there.
///
/// # Errors
/// When a certificate has a serial number that no entry or revocation list could contain.
pub fn subjects(chain: &[X509]) -> Result<Vec<Subject>, RevocationError> {
    let mut found = Vec::new();
    for (place, certificate) in chain.iter().enumerate() {
        let cannot = |why: String| RevocationError::CannotBeTold(why);
        let whose = |what: &str| match place {
            0 => format!("its {what}"),
            _ => format!(
                "the {what} of its issuer {}",
                name_text(certificate.subject_name())
            ),
        };
        let keys =
            hashes_of_key(certificate).ok_or_else(|| cannot(format!("{} cannot be read", whose("key"))))?;
        found.extend(keys.into_iter().map(Subject::Key));
        match serial(certificate) {
            Some(serial) => {
                // Chain verification compares names without regard to case and spaces, so a certificate may write its
                // issuer differently from the issuer's own certificate.
                let names = chain.get(place + 1).map(|issuer| issuer.subject_name());
                let names = names.into_iter().chain([certificate.issuer_name()]);
                for subject in names.flat_map(|name| by_serial(name, &serial)) {
                    if !found.contains(&subject) {
                        found.push(subject);
                    }
                }
            }
            None if place > 0 && place + 1 == chain.len() => {}
            None => {
                return Err(cannot(format!(
                    "{} is negative or zero (RFC 5280 section 4.1.2.2)",
                    whose("serial number")
                )));
            }
        }
    }
    Ok(found)
}

/// The subjects of a certificate without its chain, also in the forms that older versions wrote.
///
/// # Errors
/// As for `subjects`.
pub fn certificate_subjects(certificate: &X509Ref) -> Result<Vec<Subject>, RevocationError> {
    let serial = serial(certificate).ok_or_else(RevocationError::unnamed_serial)?;
    Ok(by_serial(certificate.issuer_name(), &serial))
}

fn by_serial(name: &X509NameRef, serial: &str) -> Vec<Subject> {
    let mut issuers = vec![name_text(name), older_name_text(name)];
    issuers.dedup();
    let subject = |issuer| Subject::Certificate {
        issuer,
        serial: serial.to_owned(),
    };
    issuers.into_iter().map(subject).collect()
}

/// The serial number as entries write it; `None` if it is not positive.
fn serial(certificate: &X509Ref) -> Option<String> {
    let number = certificate.serial_number().to_bn().ok()?;
    let above_zero = !number.is_negative() && number.num_bits() > 0;
    above_zero
        .then(|| normal_serial(&number.to_hex_str().ok()?))
        .flatten()
}

/// Upper-case hex without leading zeros; colons between bytes are allowed, as `openssl x509` writes them. `None` if it
/// is not positive.
pub fn normal_serial(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let digits = digits
        .trim_start_matches("0x")
        .trim_start_matches('0')
        .to_uppercase();
    let above_zero = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
    above_zero.then_some(digits)
}

/// An issuer in the normal form of names, or as written if it is not a name.
pub fn normal_issuer(text: &str) -> String {
    read_name(text).unwrap_or_else(|| text.to_owned())
}

impl Entry {
    fn as_written(&self) -> Option<Subject> {
        let issuer = self.issuer.clone()?;
        let serial = normal_serial(self.serial.as_ref()?)?;
        (normal_issuer(&issuer) != issuer).then_some(Subject::Certificate { issuer, serial })
    }

    fn subject(self) -> Result<Subject, &'static str> {
        match (self.serial, self.issuer, self.spki_sha256, self.principal) {
            (Some(serial), Some(issuer), None, None) => Ok(Subject::Certificate {
                issuer: normal_issuer(&issuer),
                serial: normal_serial(&serial).ok_or("serial must be a positive number in hex")?,
            }),
            (None, None, Some(key), None)
                if key.len() == 64 && key.chars().all(|c| c.is_ascii_hexdigit()) =>
            {
                Ok(Subject::Key(key.to_lowercase()))
            }
            (None, None, Some(_), None) => Err("spki_sha256 must be 64 hex digits"),
            (None, None, None, Some(principal)) => Ok(Subject::Principal(principal)),
            (Some(_), None, ..) | (None, Some(_), ..) => {
                Err("serial and issuer go together: other CAs use the same serial numbers")
            }
            _ => Err("an entry needs exactly one of: serial with issuer, spki_sha256, principal"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DenyList, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deny.json");
        std::fs::write(&path, text).unwrap();
        DenyList::read(&path).map_err(|cause| cause.to_string())
    }

    #[test]
    fn entries_name_exactly_one_thing() {
        let list = read(r#"{"denied":[{"principal":"eve"},{"serial":"00:0a","issuer":"CN=CA"}]}"#).unwrap();
        assert!(list.has_principal("eve") && !list.has_principal("Eve"));
        for (wrong, why) in [
            (r#"{"denied":[{"serial":"0a"}]}"#, "serial and issuer go together"),
            (r#"{"denied":[{}]}"#, "one of"),
            (r#"{"denied":[{"spki_sha256":"ab"}]}"#, "64 hex digits"),
            (r#"{"denied":[{"principle":"eve"}]}"#, "did you mean principal?"),
            (r#"{"deny":[{"principal":"eve"}]}"#, "unknown key deny"),
        ] {
            let refused = read(wrong).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
