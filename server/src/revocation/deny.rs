//! Our own list of who must not get in, whatever their CA says.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use openssl::{sha::sha256, x509::X509Ref};
use platform::{
    config::{ConfigError, Settings},
    tls::ClientCertificate,
};
use serde::Deserialize;

/// One entry: a certificate, a key, or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A certificate, by its issuer (RFC 4514 text) and serial number (upper-case hex).
    Certificate {
        /// The issuer.
        issuer: String,
        /// The serial number.
        serial: String,
    },
    /// Every certificate of a key, by the SHA-256 of its public half (lower-case hex).
    Key(String),
    /// A principal, however it shows who it is.
    Principal(String),
}

impl Subject {
    /// The sort of entry.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "certificate",
            Self::Key(_) => "key",
            Self::Principal(_) => "principal",
        }
    }

    /// What it is found by. Issuers can be longer than a column of a key.
    pub fn key(&self) -> String {
        match self {
            Self::Certificate { issuer, serial } => {
                hex::encode(sha256(format!("{serial}\n{issuer}").as_bytes()))
            }
            Self::Key(hash) => hash.clone(),
            Self::Principal(name) => name.clone(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate { issuer, serial } => write!(f, "certificate {serial} of {issuer}"),
            Self::Key(hash) => write!(f, "key {hash}"),
            Self::Principal(name) => write!(f, "principal {name}"),
        }
    }
}

/// Why a list cannot be used.
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

/// The entries of the file.
#[derive(Debug, Default)]
pub struct DenyList {
    entries: Vec<Subject>,
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
    /// When the file cannot be read, or an entry names nothing, or more than one thing.
    pub fn read(path: &Path) -> Result<Self, DenyError> {
        let refuse = |cause: ConfigError| DenyError::File {
            path: path.to_path_buf(),
            reason: cause.to_string(),
        };
        let settings = Settings::load(path, "COUNTERSIGN_DENY_LIST").map_err(refuse)?;
        let entries: Vec<Entry> = settings.typed("denied").map_err(refuse)?.unwrap_or_default();
        if let Some(unknown) = settings.unknown_keys().first() {
            // A misspelt key would leave somebody in.
            return Err(DenyError::File {
                path: path.to_path_buf(),
                reason: format!("unknown key {}; entries stand under \"denied\"", unknown.key),
            });
        }
        let entries = entries.into_iter().enumerate().map(|(position, entry)| {
            entry.subject().map_err(|reason| DenyError::File {
                path: path.to_path_buf(),
                reason: format!("denied[{position}]: {reason}"),
            })
        });
        Ok(Self {
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a certificate, or its key, is on the list.
    pub fn has_certificate(&self, certificate: &X509Ref) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let subjects = subjects(certificate);
        // What cannot be compared cannot be cleared.
        subjects.is_none_or(|subjects| subjects.iter().any(|subject| self.entries.contains(subject)))
    }

    /// Whether a principal is on the list.
    pub fn has_principal(&self, name: &str) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry, Subject::Principal(denied) if denied == name))
    }
}

/// What entries could name a certificate by; nothing if it cannot be read.
pub fn subjects(certificate: &X509Ref) -> Option<[Subject; 2]> {
    let described = ClientCertificate::new(certificate.to_owned())?;
    let key = certificate
        .public_key()
        .and_then(|key| key.public_key_to_der())
        .ok()?;
    Some([
        Subject::Certificate {
            issuer: described.issuer(),
            serial: normal_serial(&described.serial())?,
        },
        Subject::Key(hex::encode(sha256(&key))),
    ])
}

/// Upper-case hex without leading zeros; colons between bytes are allowed, as `openssl x509` writes them.
pub(super) fn normal_serial(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let digits = digits
        .trim_start_matches("0x")
        .trim_start_matches('0')
        .to_uppercase();
    digits.chars().all(|c| c.is_ascii_hexdigit()).then_some(digits)
}

impl Entry {
    fn subject(self) -> Result<Subject, &'static str> {
        match (self.serial, self.issuer, self.spki_sha256, self.principal) {
            (Some(serial), Some(issuer), None, None) => Ok(Subject::Certificate {
                issuer,
                serial: normal_serial(&serial).ok_or("serial is a number in hex")?,
            }),
            (None, None, Some(key), None)
                if key.len() == 64 && key.chars().all(|c| c.is_ascii_hexdigit()) =>
            {
                Ok(Subject::Key(key.to_lowercase()))
            }
            (None, None, Some(_), None) => Err("spki_sha256 is 64 hex digits"),
            (None, None, None, Some(principal)) => Ok(Subject::Principal(principal)),
            (Some(_), None, ..) | (None, Some(_), ..) => {
                Err("serial and issuer go together: other CAs use the same serial numbers")
            }
            _ => Err("one of: serial with issuer, spki_sha256, principal"),
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
            (r#"{"denied":[{"principle":"eve"}]}"#, "unknown field"),
            (r#"{"deny":[{"principal":"eve"}]}"#, "unknown key deny"),
        ] {
            let refused = read(wrong).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
