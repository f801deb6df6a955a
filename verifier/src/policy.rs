//! The policy: which images need which signatures.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use crate::anchor::Anchor;
use crate::pattern::Pattern;
use crate::reason::{Denial, Reason};
use crate::reference::ImageReference;
use crate::repository::Repository;
use crate::verdict::{Mode, Verdict};

/// A policy file after it was read and checked.
#[derive(Debug, Clone)]
pub struct Policy {
    servers: Vec<ServerRule>,
}

/// Where the trust data of some images is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRule {
    /// The images.
    pub pattern: Pattern,
    /// The address of the trust server.
    pub url: String,
    /// Files, as written: relative to the policy file.
    pub ca: Option<String>,
    /// The client certificate.
    pub cert: Option<String>,
    /// Its key.
    pub key: Option<String>,
}

/// Why a text is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Something is wrong at a place of the file.
    #[error("{path}: {problem}")]
    At {
        /// Such as `rules[0].require`.
        path: String,
        /// Cause and fix.
        problem: String,
    },
}

/// Who asks, from where, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// The Kubernetes namespace.
    pub namespace: Option<String>,
    /// The authenticated user, never what an object says about itself.
    pub user: Option<String>,
    /// The authenticated user's groups.
    pub groups: Vec<String>,
    /// Annotations of the object or the review.
    pub annotations: BTreeMap<String, String>,
    /// The moment of the decision.
    pub now: DateTime<Utc>,
}

/// What a policy says about an image.
#[derive(Debug)]
pub enum Plan<'a> {
    /// The decision needs no trust data.
    Decided(Box<Verdict>),
    /// The decision needs the repository.
    Check(Check<'a>),
}

/// The part of a policy that judges an image, once there is a repository.
#[derive(Debug, Clone)]
pub struct Check<'a> {
    anchor: &'a Anchor,
    rule: &'a str,
    mode: Mode,
    max_staleness: TimeDelta,
}

/// How current the trust data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// How long ago the server last gave, or confirmed, the documents.
    pub age: TimeDelta,
    /// Whether the last attempt to reach the server succeeded.
    pub reachable: bool,
}

impl Policy {
    /// Reads a policy file. `read` gives the contents of the files that it names, which are relative to it.
    ///
    /// # Errors
    /// For everything that is not understood: nothing is ignored.
    pub fn parse(_text: &str, _read: &dyn Fn(&str) -> Result<Vec<u8>, String>) -> Result<Self, PolicyError> {
        Err(PolicyError::At {
            path: "version".to_owned(),
            problem: "policy files cannot be read".to_owned(),
        })
    }

    /// A policy for one command without a file: every image is checked from this anchor.
    pub fn ad_hoc(_anchor: Anchor) -> Self {
        Self { servers: Vec::new() }
    }

    /// The same policy, whose every rule that checks demands these signers too: names of the policy, or names of
    /// delegations (`alice` for `targets/alice`) where the policy defines no signers.
    ///
    /// # Errors
    /// For names that the policy does not define.
    pub fn with_signers(self, _names: &[&str]) -> Result<Self, PolicyError> {
        Err(PolicyError::At {
            path: "--signer".to_owned(),
            problem: "signers cannot be required".to_owned(),
        })
    }

    /// The rules by which servers are chosen, as written.
    pub fn servers(&self) -> &[ServerRule] {
        &self.servers
    }

    /// The server of an image's trust data; `None` if the policy names none.
    pub fn server_for(&self, image: &ImageReference) -> Option<&ServerRule> {
        self.servers
            .iter()
            .find(|server| server.pattern.matches(image.matched_name()))
    }

    /// What the policy says about an image.
    pub fn plan<'a>(&'a self, image: &ImageReference, _request: &RequestContext) -> Plan<'a> {
        let denial = Denial::new(Reason::NoRule, format!("no rule matches {image}"));
        Plan::Decided(Box::new(Verdict::denied(image.to_string(), &denial)))
    }
}

impl Check<'_> {
    /// Where trust begins.
    pub fn anchor(&self) -> &Anchor {
        self.anchor
    }

    /// For how long decisions go on while the server cannot be reached.
    pub fn max_staleness(&self) -> TimeDelta {
        self.max_staleness
    }

    /// The pattern of the rule.
    pub fn rule(&self) -> &str {
        self.rule
    }

    /// Whether a denial counts.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Decides. `repository` is what [`verify`](crate::verify) gave, or why there is none.
    pub fn judge(
        &self,
        image: &ImageReference,
        repository: Result<&Repository, &Denial>,
        _freshness: Freshness,
        _now: DateTime<Utc>,
    ) -> Verdict {
        let closed = Denial::new(Reason::TagNotSigned, format!("{image} cannot be judged"));
        let denial = repository.err().unwrap_or(&closed);
        Verdict {
            mode: self.mode,
            rule: Some(self.rule.to_owned()),
            ..Verdict::denied(image.to_string(), denial)
        }
    }
}
