//! What is stored of a repository, the keys that its server holds, and how far a publish may go.

use tuf::Version;

use crate::key::PublicKey;
use crate::metadata::Metadata;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::signers::Signers;

/// What is stored of a repository and current.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    /// The newest root.
    pub root: Option<Metadata>,
    /// Targets and every delegated role.
    pub targets: Vec<Metadata>,
    /// The current snapshot.
    pub snapshot: Option<Metadata>,
    /// The current timestamp.
    pub timestamp: Option<Metadata>,
}

/// How far a publish may go.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How far above the stored version a targets file may be. Who signs by mistake, or by theft, the last version there
    /// is would end the role.
    pub max_version_jump: u32,
    /// How many delegated roles there may be: python-tuf and tuf-js visit 32.
    pub max_delegated_roles: usize,
    /// How many roots one publish may bring: python-tuf follows 256 at a time.
    pub max_roots: usize,
    /// How many comparisons of a pattern with a target a publish may take.
    pub max_comparisons: usize,
}

/// The public keys that the signer holds for a repository: what a root must name, each alone and with threshold 1.
#[derive(Debug, Clone)]
pub struct OnlineKeys {
    /// Signs snapshots.
    pub snapshot: PublicKey,
    /// Signs timestamps.
    pub timestamp: PublicKey,
}

impl Trusted {
    /// The current file of targets or of a delegated role.
    pub fn file(&self, role: &Role) -> Option<&Metadata> {
        self.targets.iter().find(|file| file.role() == role)
    }

    /// The highest version of a role that clients may have seen.
    pub(crate) fn seen(&self, role: &Role) -> Option<Version> {
        let stored = self.file(role).map(Metadata::version);
        let meta = self.snapshot.as_ref().and_then(|snapshot| snapshot.body().meta());
        let named = meta.and_then(|meta| meta.0.get(role)).map(|file| file.version);
        stored.max(named)
    }
}

impl OnlineKeys {
    /// Refuses signers among which a key of the server is.
    pub(crate) fn check_absent(
        &self,
        file: &Metadata,
        named_for: &Role,
        signers: &Signers,
    ) -> Result<(), Refusal> {
        let own = |key: &&PublicKey| {
            [&self.snapshot, &self.timestamp]
                .iter()
                .any(|own| own.identity() == key.identity())
        };
        match signers.keys().iter().find(own) {
            None => Ok(()),
            Some(key) => Err(Refusal::OnlineKeyElsewhere {
                role: file.role().clone(),
                key: key.id().clone(),
                named_for: named_for.clone(),
            }),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_version_jump: 1000,
            max_delegated_roles: 32,
            max_roots: 256,
            max_comparisons: 20_000_000,
        }
    }
}
