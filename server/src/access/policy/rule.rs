//! One rule of the policy, and whether it applies to a question.

use crate::config::{Effect, PolicyMode as Mode};

use super::{
    Asking,
    action::{Action, Covered},
    glob::Glob,
    subject::Subject,
};

/// A rule as written in the configuration.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) effect: Effect,
    pub(super) mode: Mode,
    pub(super) principals: Vec<Subject>,
    pub(super) unless: Vec<Subject>,
    pub(super) actions: Vec<Covered>,
    /// The repositories that it covers; `None` for all.
    pub(super) guns: Option<Vec<Glob>>,
    pub(super) own_key: OwnKey,
}

/// Which of the published roles must be signed with the publisher's own key.
#[derive(Debug, Clone)]
pub(super) enum OwnKey {
    /// None.
    NotRequired,
    /// All of them.
    EveryRole,
    /// Those whose names match.
    Roles(Vec<Glob>),
}

impl OwnKey {
    /// Whether an own key is required for an action. For a push whose roles are not known yet: whether one may be.
    fn required_for(&self, action: &Action) -> bool {
        match (self, action) {
            (Self::NotRequired, _) => false,
            (Self::EveryRole, _) => true,
            (Self::Roles(roles), Action::Push(Some(role))) => {
                roles.iter().any(|glob| glob.matches(role.as_str(), None))
            }
            (Self::Roles(_), _) => true,
        }
    }
}

impl Rule {
    /// Whether it allows an action only for documents that the publisher signed with its own key.
    pub(super) fn requires_own_key(&self, action: &Action) -> bool {
        self.own_key.required_for(action)
    }

    /// Checks that the rule applies; the error says why it does not.
    pub(super) fn applies(&self, asking: &Asking<'_>) -> Result<(), String> {
        if !self.actions.iter().any(|action| action.covers(asking.action)) {
            return Err(format!("it does not cover {}", asking.action));
        }
        self.concerns(asking)
    }

    /// Like [`Rule::applies`], but ignores the action.
    pub(super) fn concerns(&self, asking: &Asking<'_>) -> Result<(), String> {
        let among = |subjects: &[Subject]| {
            subjects
                .iter()
                .any(|subject| subject.is(asking.principal, asking.groups))
        };
        if !among(&self.principals) {
            return Err(format!("it does not cover {}", asking.who()));
        }
        if among(&self.unless) {
            return Err(format!("it excepts {}", asking.who()));
        }
        match (&self.guns, asking.gun) {
            (None, _) => Ok(()),
            (Some(globs), Some(gun)) => self.about(globs, gun, asking),
            (Some(_), None) => self.about_all(asking.action),
        }
    }

    fn about(&self, globs: &[Glob], gun: &str, asking: &Asking<'_>) -> Result<(), String> {
        let principal = asking.principal;
        let named = |glob: &Glob| {
            let mut names = std::iter::once(gun).chain(asking.image);
            names.any(|name| glob.matches(name, principal))
        };
        // `${principal}` with a slash in it would match repositories that belong to another principal, whose name is
        // its first part.
        let reaches_out =
            self.effect == Effect::Allow && principal.is_some_and(|principal| principal.contains('/'));
        let found = globs
            .iter()
            .any(|glob| named(glob) && !(reaches_out && glob.names_principal()));
        if found {
            return Ok(());
        }
        if reaches_out && globs.iter().any(Glob::names_principal) {
            return Err(format!(
                "{gun} is not one of its guns; ${{principal}} does not allow names with a slash"
            ));
        }
        let written: Vec<&str> = globs.iter().map(Glob::as_str).collect();
        Err(format!("{gun} is not one of its guns: {}", written.join(", ")))
    }

    /// Checks a rule for some repositories against a question about all. The list of repositories is filtered by these
    /// rules, so a rule that allows any of them allows asking for the list, and a rule that denies some does not deny
    /// it. Nothing else is filtered.
    fn about_all(&self, action: &Action) -> Result<(), String> {
        match (self.effect, action) {
            (Effect::Allow, Action::List) => Ok(()),
            (Effect::Deny, Action::List) => Err("the list is filtered".to_owned()),
            (Effect::Deny, _) => Ok(()),
            (Effect::Allow, _) => {
                Err("it covers some repositories, and the question is about all".to_owned())
            }
        }
    }
}
