//! What a policy says, and why.

use std::fmt;

use crate::config::PolicyMode as Mode;

use super::Asking;

/// What a policy says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Whether a refusal is to be one; otherwise it is only recorded.
    pub enforced: bool,
    /// The rule that decides; nothing when no rule allows it.
    pub rule: Option<String>,
    /// Whether what is published has to be signed with a key of its publisher: an allowing rule asks for it, and no
    /// other allowing rule does without.
    pub own_key: bool,
    /// A rule on trial that would have denied what is allowed.
    pub would_deny: Option<String>,
}

impl Verdict {
    /// Whether it may happen.
    pub fn permits(&self) -> bool {
        self.allowed || !self.enforced
    }

    /// The verdict for people. Of other people and other rules it tells nothing.
    pub fn sentence(&self, asking: &Asking<'_>) -> String {
        let (who, what) = (asking.who(), asking.what());
        match (&self.rule, self.allowed) {
            (_, true) if self.own_key => {
                format!("{who} may {what}, signed with a key of their own")
            }
            (_, true) => format!("{who} may {what}"),
            (Some(rule), false) => format!("{who} may not {what}: the policy's rule {rule} denies it"),
            (None, false) => format!("{who} may not {what}: no rule of the policy allows it"),
        }
    }
}

/// One rule's part in an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTrace {
    /// The rule's name.
    pub rule: String,
    /// Whether it allows where it applies; otherwise it denies.
    pub allows: bool,
    /// Whether it is enforced or on trial.
    pub mode: Mode,
    /// Why it does not apply; nothing if it does.
    pub why_not: Option<String>,
}

impl fmt::Display for PolicyTrace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match (self.allows, self.mode) {
            (true, _) => "allow",
            (false, Mode::Enforce) => "deny",
            (false, Mode::Audit) => "deny, on trial",
        };
        write!(formatter, "rule {} ({effect}): ", self.rule)?;
        match &self.why_not {
            None => formatter.write_str("applies"),
            Some(why) => write!(formatter, "does not apply: {why}"),
        }
    }
}
