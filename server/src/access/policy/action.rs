//! The actions that a request can ask for, and the actions that a rule covers.

use std::fmt;

use tuf::RoleName;

use super::glob::Glob;

/// An action that a principal asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Reading metadata.
    Pull,
    /// Publishing a role; `None` means publishing anything.
    Push(Option<RoleName>),
    /// The first publish of a repository.
    Init,
    /// Deleting a repository.
    Delete,
    /// Having a new server key made for a repository.
    RotateKey,
    /// Learning that a repository exists; without a repository, asking for the list of them.
    List,
    /// Reading the changes of a repository; without one, of all.
    Changefeed,
    /// What only administrators may do.
    Admin,
    /// Having a certificate of one's own issued.
    Bundle,
    /// Having it recorded that an image is attested to programs that read other signatures.
    Attest,
}

/// The names of actions in configurations; `push` may be followed by a role.
const NAMES: [(&str, Action); 10] = [
    ("pull", Action::Pull),
    ("push", Action::Push(None)),
    ("init", Action::Init),
    ("delete", Action::Delete),
    ("rotate-key", Action::RotateKey),
    ("list", Action::List),
    ("changefeed", Action::Changefeed),
    ("admin", Action::Admin),
    ("bundle", Action::Bundle),
    ("attest", Action::Attest),
];
/// In a rule: every action.
const EVERY: &str = "*";

impl Action {
    /// Reads an action, such as `pull` or `push:targets/releases`.
    ///
    /// # Errors
    /// A list of the actions that exist.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(role) = text.strip_prefix("push:") {
            let role = RoleName::parse(role).map_err(|cause| cause.to_string())?;
            return Ok(Self::Push(Some(role)));
        }
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, action)| action.clone()).ok_or_else(allowed)
    }
}

fn allowed() -> String {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    format!("allowed: {}, push:<role>", names.join(", "))
}

/// Writes the action as configurations do.
impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Push(Some(role)) = self {
            return write!(formatter, "push:{}", role.as_str());
        }
        let name = NAMES.iter().find(|(_, action)| action == self);
        formatter.write_str(name.map_or("", |(name, _)| *name))
    }
}

/// Which actions a rule covers.
#[derive(Debug, Clone)]
pub(super) enum Covered {
    /// Everything.
    Every,
    /// This action; `push` covers every role.
    One(Action),
    /// Publishing roles whose names match.
    PushOf(Glob),
}

impl Covered {
    /// Reads an action of a rule; the role of a push may contain stars.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == EVERY {
            return Ok(Self::Every);
        }
        match text.strip_prefix("push:") {
            Some(role) if role.contains('*') => {
                let plain = role.replace('*', "");
                let known = plain
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'/'));
                if !known {
                    return Err("a role is written like targets/releases, with * as a wildcard".into());
                }
                Glob::parse(role).map(Self::PushOf)
            }
            Some(role) => {
                RoleName::parse(role).map_err(|cause| cause.to_string())?;
                Glob::parse(role).map(Self::PushOf)
            }
            None => Action::parse(text)
                .map(Self::One)
                .map_err(|allowed| format!("{allowed}, *")),
        }
    }

    pub(super) fn covers(&self, action: &Action) -> bool {
        match (self, action) {
            (Self::Every, _) | (Self::One(Action::Push(None)), Action::Push(_)) => true,
            (Self::One(covered), asked) => covered == asked,
            (Self::PushOf(roles), Action::Push(Some(role))) => roles.matches(role.as_str(), None),
            (Self::PushOf(_), _) => false,
        }
    }

    /// Whether it covers publishing a role.
    pub(super) fn is_push(&self) -> bool {
        matches!(self, Self::Every | Self::One(Action::Push(_)) | Self::PushOf(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(rule: &str, asked: &str) -> bool {
        let asked = Action::parse(asked).unwrap();
        Covered::parse(rule).unwrap().covers(&asked)
    }

    #[test]
    fn push_covers_every_role_and_a_role_only_itself() {
        assert!(covers("push", "push") && covers("push", "push:targets/a") && covers("push", "push:root"));
        assert!(covers("push:targets/*", "push:targets/a"));
        assert!(!covers("push:targets/*", "push:targets/a/b") && !covers("push:targets/*", "push:targets"));
        assert!(covers("push:targets/**", "push:targets/a/b"));
        assert!(!covers("push:targets/a", "push:targets/b") && !covers("push:targets/a", "push"));
        assert!(!covers("push", "init") && !covers("pull", "push"));
        assert!(covers("*", "admin") && covers("*", "push:targets/a"));
        assert!(covers("attest", "attest") && covers("*", "attest") && !covers("push", "attest"));
    }

    #[test]
    fn wrong_actions_are_refused_and_right_ones_print_as_written() {
        for wrong in [
            "",
            "write",
            "Push",
            "push:",
            "push:Targets/a",
            "push:targets/A*",
            "push:target",
            "atest",
            "attest:targets",
        ] {
            assert!(Covered::parse(wrong).is_err(), "{wrong}");
        }
        for (name, action) in NAMES {
            assert_eq!(action.to_string(), name);
        }
        let role = "push:targets/a";
        assert_eq!(Action::parse(role).unwrap().to_string(), role);
    }
}
