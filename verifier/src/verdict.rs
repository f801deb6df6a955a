//! The answer to the question whether an image may run.

use serde::{Serialize, Serializer};
use tuf::Checksum;

use crate::evidence::Evidence;
use crate::reason::{Denial, Reason};

/// What becomes of a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The image does not run.
    #[default]
    Enforce,
    /// The image runs, and the denial is told.
    Audit,
}

/// What was decided about an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The image as it was asked for.
    pub image: String,
    /// What was decided. In audit mode this is not what happens: see [`permits`](Self::permits).
    pub allow: bool,
    /// Whether a denial counts.
    pub mode: Mode,
    /// The pattern of the rule that decided.
    pub rule: Option<String>,
    /// The signed digest; `None` for denials and for what is allowed without being checked.
    #[serde(serialize_with = "as_digest")]
    pub digest: Option<Checksum>,
    /// The image with the digest in it; there whenever `digest` is.
    pub pinned: Option<String>,
    /// Why it is denied, or allowed without being checked; `None` for what is signed as demanded.
    pub reason: Option<Reason>,
    /// The reason in a sentence: cause and fix.
    pub sentence: String,
    /// What the verdict rests on, as far as anything was verified.
    pub evidence: Option<Evidence>,
}

impl Verdict {
    /// A denial, enforced.
    pub fn denied(image: impl Into<String>, denial: &Denial) -> Self {
        Self {
            image: image.into(),
            allow: false,
            mode: Mode::Enforce,
            rule: None,
            digest: None,
            pinned: None,
            reason: Some(denial.reason),
            sentence: denial.sentence.clone(),
            evidence: denial.evidence.as_deref().cloned(),
        }
    }

    /// Whether the image may run: it is allowed, or its denial does not count.
    pub fn permits(&self) -> bool {
        self.allow || self.mode == Mode::Audit
    }
}

fn as_digest<S: Serializer>(digest: &Option<Checksum>, serializer: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => serializer.collect_str(&format_args!("sha256:{digest}")),
        None => serializer.serialize_none(),
    }
}
