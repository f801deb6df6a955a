//! The index of the certificates that a CA issued and revoked, in `issued.json` next to it.

use std::fs::File;

use chrono::{DateTime, Utc};
use openssl::x509::X509;
use platform::{pki::Issued, tls::ClientCertificate};
use serde::{Deserialize, Serialize};

use super::{
    IssuingError,
    files::{Directory, PUBLIC, file_error},
};

use crate::clock::Clock;

const INDEX: &str = "issued.json";
const LOCK: &str = ".issued.lock";

/// One certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The serial number in upper-case hex without leading zeros.
    pub serial: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    pub not_after: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revoked>,
}

/// When and why a certificate was revoked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Revoked {
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Record {
    pub(crate) fn of(issued: &Issued, name: &str, groups: &[String]) -> Self {
        Self::of_certificate(&issued.certificate, name, groups)
    }

    pub(crate) fn of_certificate(certificate: &X509, name: &str, groups: &[String]) -> Self {
        let described = ClientCertificate::new(certificate.clone());
        let serial = described
            .as_ref()
            .map_or_else(String::new, ClientCertificate::serial);
        Self {
            serial: serial.trim_start_matches('0').to_uppercase(),
            name: name.to_owned(),
            groups: groups.to_vec(),
            not_after: described.map_or_else(|| Clock::System.now(), |described| described.not_after()),
            revoked: None,
        }
    }

    /// One word that says whether it can be used.
    pub(crate) fn status(&self, now: DateTime<Utc>) -> &'static str {
        match &self.revoked {
            Some(_) => "revoked",
            None if self.not_after < now => "expired",
            None => "valid",
        }
    }
}

#[derive(Serialize, Deserialize, Default)]
struct Content {
    /// The number of the latest revocation list.
    #[serde(default)]
    lists: u64,
    issued: Vec<Record>,
}

/// The index, locked so that no other command writes to it meanwhile.
pub(crate) struct Index<'a> {
    directory: &'a Directory,
    content: Content,
    _lock: File,
}

impl<'a> Index<'a> {
    pub(crate) fn open(directory: &'a Directory) -> Result<Self, IssuingError> {
        let path = directory.path().join(LOCK);
        let lock = File::create(&path).map_err(|cause| file_error(&path, cause))?;
        lock.lock().map_err(|cause| file_error(&path, cause))?;
        let content = if directory.has(INDEX) {
            serde_json::from_slice(&directory.read(INDEX)?).map_err(|cause| IssuingError::Damaged {
                path: directory.path().join(INDEX),
                reason: format!(
                    "it cannot be read ({cause}); without it no certificate can be revoked, so restore it"
                ),
            })?
        } else {
            Content::default()
        };
        Ok(Self {
            directory,
            content,
            _lock: lock,
        })
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.content.issued
    }

    pub(crate) fn records_mut(&mut self) -> &mut [Record] {
        &mut self.content.issued
    }

    pub(crate) fn add(&mut self, record: Record) {
        self.content.issued.push(record);
    }

    /// The number of the next list: higher than all before (RFC 5280 section 5.2.3).
    pub(crate) fn next_list(&mut self) -> u64 {
        self.content.lists += 1;
        self.content.lists
    }

    pub(crate) fn save(&self) -> Result<(), IssuingError> {
        let text = serde_json::to_vec_pretty(&self.content).map_err(|cause| IssuingError::Damaged {
            path: self.directory.path().join(INDEX),
            reason: cause.to_string(),
        })?;
        self.directory.replace(INDEX, &text, PUBLIC)
    }
}
