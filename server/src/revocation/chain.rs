//! A verified chain, with what can be known of its revocation once for many requests.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use openssl::x509::X509;

use super::{RevocationError, Status, subjects};
use crate::store::DenialKey;

/// A verified chain of certificates, from a client's to the configured CA.
#[derive(Debug)]
pub struct VerifiedChain {
    certificates: Vec<X509>,
    denied_as: Result<Vec<DenialKey>, RevocationError>,
    listed: Mutex<Option<Listed>>,
}

/// What the CAs' lists said.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// The number of the set of lists.
    pub(super) set: u64,
    /// Until when they say it.
    pub(super) until: DateTime<Utc>,
    /// What they say.
    pub(super) status: Status,
}

impl VerifiedChain {
    /// Takes a chain that was verified.
    pub fn new(certificates: Vec<X509>) -> Self {
        Self {
            denied_as: subjects(&certificates).map(|found| found.iter().map(DenialKey::of).collect()),
            certificates,
            listed: Mutex::default(),
        }
    }

    /// The certificates, the client's first.
    pub fn certificates(&self) -> &[X509] {
        &self.certificates
    }

    /// The keys of all deny list entries that could name the chain.
    ///
    /// # Errors
    /// When a certificate has a serial number that no entry could contain.
    pub fn denied_as(&self) -> Result<&[DenialKey], RevocationError> {
        match &self.denied_as {
            Ok(keys) => Ok(keys),
            Err(reason) => Err(reason.clone()),
        }
    }

    /// What the set of lists with this number said before, if it still holds.
    pub(super) fn known(&self, set: u64, now: DateTime<Utc>) -> Option<Status> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = listed.as_ref()?;
        (listed.set == set && now <= listed.until).then(|| listed.status.clone())
    }

    pub(super) fn keep(&self, listed: Listed) {
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some(listed);
    }
}
