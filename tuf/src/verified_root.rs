//! A root as a reader verifies it, and the step from one root to the next.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::checksum::Checksum;
use crate::document::Document;
use crate::gun::Gun;
use crate::key::PublicKey;
use crate::metadata::{Envelope, MetadataError};
use crate::reading::usable_until;
use crate::role::RoleName;
use crate::trusted_root::TrustedRoot;
use crate::version::Version;

/// A root that enough of its own root keys signed, with certificates for the repository. Whether it may be trusted is
/// for the caller to say: it follows from a trusted one, or meets an anchor.
#[derive(Debug, Clone)]
pub struct VerifiedRoot {
    document: Document,
    envelope: Envelope,
    trusted: TrustedRoot,
    usable_until: DateTime<Utc>,
    signers: Vec<PublicKey>,
}

impl VerifiedRoot {
    /// Reads a root and verifies its own signatures. Every private key counts once, and only keys whose certificate is
    /// for the repository. Dates are not judged.
    ///
    /// # Errors
    /// When the bytes are not a root, no certificate of its root role is for the repository, or too few of its keys
    /// signed it.
    pub fn read(gun: &Gun, bytes: &Bytes) -> Result<Self, MetadataError> {
        let envelope = Envelope::parse(bytes)?;
        let trusted = TrustedRoot::of_reader(gun, &envelope)?;
        let signers = trusted.signers().verify_all(&RoleName::Root, &envelope)?;
        let (usable_until, _) = usable_until(gun, &RoleName::Root, bytes)?;
        Ok(Self {
            document: Document::new(RoleName::Root, envelope.version(&RoleName::Root)?, bytes.clone()),
            envelope,
            trusted,
            usable_until,
            signers,
        })
    }

    /// Checks that this root may replace another: its version is the next, and enough of the other's root keys signed
    /// it.
    ///
    /// # Errors
    /// When a reader who trusts the other must not go on to this one.
    pub fn check_follows(&self, before: &Self) -> Result<(), MetadataError> {
        if before.version().next() != Some(self.version()) {
            let problem = format!(
                "version {} does not follow version {}",
                self.version(),
                before.version()
            );
            return Err(MetadataError::structure(&RoleName::Root, problem));
        }
        self.check_signed_by(before)
    }

    /// Checks that enough of another root's keys signed this one, whatever its version.
    ///
    /// # Errors
    /// When they did not.
    pub fn check_signed_by(&self, other: &Self) -> Result<(), MetadataError> {
        let signed = other.trusted.signed(&self.envelope);
        signed.map_err(|_| MetadataError::PreviousRoot)
    }

    /// The file.
    pub fn bytes(&self) -> &Bytes {
        &self.document.bytes
    }

    /// The SHA-256 of the file.
    pub fn sha256(&self) -> Checksum {
        self.document.sha256
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.document.version
    }

    /// When it, or the certificates of its keys, expires.
    pub fn usable_until(&self) -> DateTime<Utc> {
        self.usable_until
    }

    /// The keys of its root role with a good signature on it, each with its certificate, by the IDs under which it lists
    /// them.
    pub fn signers(&self) -> &[PublicKey] {
        &self.signers
    }

    /// The keys of its root role that may sign roots of the repository: those whose certificate is for it.
    pub fn declared(&self) -> Vec<PublicKey> {
        self.trusted.signers().usable()
    }

    /// How many of them have to sign.
    pub fn threshold(&self) -> i64 {
        self.trusted.signers().threshold
    }

    pub(crate) fn trusted(&self) -> &TrustedRoot {
        &self.trusted
    }
}
