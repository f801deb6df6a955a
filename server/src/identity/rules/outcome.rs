//! What the rules found: who it is, or why that is not known.

use std::fmt;

/// Who a certificate's holder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The name that policies and records use.
    pub principal: String,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// The name of the rule that said so.
    pub rule: String,
}

/// Why a certificate gives no identity, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityFault {
    /// No rule matches it.
    Unmapped,
    /// A name in it can be taken in more than one way.
    AmbiguousName,
    /// Its name is one that certificates must not give.
    ReservedName,
    /// It is valid for longer than the rule allows.
    LifetimeTooLong,
    /// It lacks a purpose that the rule asks for.
    WrongPurpose,
    /// Its key or signature is weaker than the rule allows.
    KeyTooWeak,
    /// Its key belongs to an account that is disabled.
    AccountDisabled,
}

impl IdentityFault {
    /// The reason as answers and logs carry it.
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

    /// What can be done about it.
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

/// A certificate gives no identity. The sentence is for its holder: it tells nothing of others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct NotIdentified {
    /// Why, for programs.
    pub reason: IdentityFault,
    /// The rule that refused it; nothing when none matched.
    pub rule: Option<String>,
    /// Why, for people.
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

/// What one rule says about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleOutcome {
    /// It does not match, and why.
    NoMatch(String),
    /// It matches and says who this is.
    Identified(Identified),
    /// It matches and refuses.
    Refused(NotIdentified),
}

/// One rule's part in an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTrace {
    /// The rule's name.
    pub rule: String,
    /// What it says.
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
