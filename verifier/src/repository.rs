//! A repository after everything but dates was verified.

use chrono::{DateTime, Utc};
use tuf::Gun;

use crate::anchor::Anchor;
use crate::documents::Documents;
use crate::evidence::Evidence;
use crate::reason::{Denial, Reason};
use crate::seen::Seen;

/// A repository after everything but dates was verified. Dates are judged with each decision, so that what is kept can be
/// judged again.
#[derive(Debug, Clone)]
pub struct Repository {
    gun: Gun,
    evidence: Evidence,
    seen: Seen,
    usable_until: DateTime<Utc>,
}

/// Verifies the documents of a repository, from the anchor and from what was seen before. Dates are not judged; `now`
/// is kept as the moment at which the tags were seen signed.
///
/// # Errors
/// When a reader must not use the documents.
pub fn verify(
    gun: &Gun,
    _anchor: &Anchor,
    _documents: &Documents,
    _seen: Option<&Seen>,
    _now: DateTime<Utc>,
) -> Result<Repository, Denial> {
    // Fails closed until it is written.
    Err(Denial::new(
        Reason::InvalidDocument,
        format!("the documents of {gun} cannot be verified"),
    ))
}

impl Repository {
    /// Its name.
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// What to keep and to give to the next [`verify`].
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// When the first of root (with its certificates), timestamp, snapshot and targets expires.
    pub fn usable_until(&self) -> DateTime<Utc> {
        self.usable_until
    }

    /// The version of its timestamp.
    pub fn timestamp_version(&self) -> i32 {
        self.evidence.timestamp.version
    }

    /// What was verified, with each role that names the tag (`None`: without roles).
    pub fn evidence(&self, _tag: Option<&str>) -> Evidence {
        self.evidence.clone()
    }
}
