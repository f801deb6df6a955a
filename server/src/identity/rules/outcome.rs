//! The outcome of the identity rules: a principal, or why there is none.

use std::fmt;

/// The identity of a certificate's holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The name that policies and records use.
    pub principal: String,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// The name of the rule that matched.
    pub rule: String,
}

/// Why a certificate gives no identity, as a machine-readable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityFault {
    /// No rule matches it.
    Unmapped,
    /// A name in it is ambiguous.
    AmbiguousName,
    /// Its name is reserved for another use.
    ReservedName,
    /// It is valid for longer than the rule allows.
    LifetimeTooLong,
    /// It lacks a purpose that the rule requires.
    WrongPurpose,
    /// Its key or signature is weaker than the rule allows.
    KeyTooWeak,
    /// Its key belongs to an account that is disabled.
    AccountDisabled,
}

impl IdentityFault {
    /// The code as responses and logs contain it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unmapped => "unmapped",
            Self::AmbiguousName => "ambiguous_name",
            Self::ReservedName => "reserved_name",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::WrongPurpose => "wrong_purpose",
            Self::KeyTooWeak => "key_too_weak",
            Self::AccountDisabled => "account_disabled",
        }
    }

    /// What the client can do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Unmapped => {
                "ask the server's operator to map this certificate (identity rules, \"countersign-server whoami\")"
            }
            Self::AmbiguousName | Self::ReservedName => {
                "use a certificate with one plain name, or ask the server's operator"
            }
            Self::LifetimeTooLong => "use a certificate with a shorter lifetime",
            Self::WrongPurpose => "use a certificate whose extended key usage lists the purpose",
            Self::KeyTooWeak => "use a certificate with a stronger key and signature",
            Self::AccountDisabled => "ask the server's operator to enable the account",
        }
    }
}

/// A certificate gives no identity. The sentence is shown to its holder and reveals nothing about others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct NotIdentified {
    /// Why, as a code.
    pub reason: IdentityFault,
    /// The rule that refused it; `None` if no rule matched.
    pub rule: Option<String>,
    /// Why, as a sentence.
    pub sentence: String,
}

impl NotIdentified {
    pub(super) fn new(reason: IdentityFault, sentence: impl Into<String>) -> Self {
        Self {
            reason,
            rule: None,
            sentence: sentence.into(),
        }
    }

    pub(super) fn ambiguous(sentence: impl Into<String>) -> Self {
        Self::new(IdentityFault::AmbiguousName, sentence)
    }
}

/// What one rule makes of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleOutcome {
    /// It does not match, for this reason.
    NoMatch(String),
    /// It matches and identifies the holder.
    Identified(Identified),
    /// It matches and refuses the certificate.
    Refused(NotIdentified),
}

/// What one rule contributes to an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTrace {
    /// The rule's name.
    pub rule: String,
    /// What it makes of the certificate.
    pub outcome: RuleOutcome,
    /// Whether it decides. At most one does: the first that matches.
    pub decides: bool,
}

impl fmt::Display for RuleTrace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let late = if self.decides {
            ""
        } else {
            " (a rule before it decides)"
        };
        write!(formatter, "rule {}: ", self.rule)?;
        match &self.outcome {
            RuleOutcome::NoMatch(why) => write!(formatter, "does not match: {why}"),
            RuleOutcome::Identified(found) => {
                write!(formatter, "matches{late}: {}", found.principal)?;
                if found.groups.is_empty() {
                    Ok(())
                } else {
                    write!(formatter, " in {}", found.groups.join(", "))
                }
            }
            RuleOutcome::Refused(refused) => {
                write!(
                    formatter,
                    "matches and refuses{late}: {refused} ({})",
                    refused.reason.code()
                )
            }
        }
    }
}
