//! What the policy decides, and why.

use std::fmt;

use crate::config::PolicyMode as Mode;

use super::Asking;

/// The policy's answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Whether a refusal is enforced; otherwise it is only recorded.
    pub enforced: bool,
    /// The rule that decides; `None` if no rule allows it.
    pub rule: Option<String>,
    /// Whether the published documents must be signed with the publisher's own key: a rule that allows the action
    /// requires it, and no other rule allows the action without.
    pub own_key: bool,
    /// An audit-mode rule that would have denied what is allowed.
    pub would_deny: Option<String>,
}

impl Verdict {
    /// Whether the action may be carried out.
    pub fn permits(&self) -> bool {
        self.allowed || !self.enforced
    }

    /// The verdict as a sentence for users. It reveals nothing about other principals or other rules.
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

/// What one rule contributes to an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyTrace {
    /// The rule's name.
    pub rule: String,
    /// Whether the rule allows; otherwise it denies.
    pub allows: bool,
    /// Whether the rule is enforced or in audit mode.
    pub mode: Mode,
    /// Why it does not apply; `None` if it does.
    pub why_not: Option<String>,
}

impl fmt::Display for PolicyTrace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match (self.allows, self.mode) {
            (true, _) => "allow",
            (false, Mode::Enforce) => "deny",
            (false, Mode::Audit) => "deny, audit mode",
        };
        write!(formatter, "rule {} ({effect}): ", self.rule)?;
        match &self.why_not {
            None => formatter.write_str("applies"),
            Some(why) => write!(formatter, "does not apply: {why}"),
        }
    }
}
