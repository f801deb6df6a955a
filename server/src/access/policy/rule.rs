//! One rule, and whether it applies.

use crate::config::{Effect, PolicyMode as Mode};

use super::{
    Asking,
    action::{Action, Covered},
    glob::Glob,
    subject::Subject,
};

/// A rule as the configuration has it.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) effect: Effect,
    pub(super) mode: Mode,
    pub(super) principals: Vec<Subject>,
    pub(super) unless: Vec<Subject>,
    pub(super) actions: Vec<Covered>,
    /// The repositories it is about; nothing for all.
    pub(super) guns: Option<Vec<Glob>>,
    pub(super) own_key: OwnKey,
}

/// Which of the published roles have to be signed with a key of their publisher.
#[derive(Debug, Clone)]
pub(super) enum OwnKey {
    /// None.
    NotRequired,
    /// All of them.
    EveryRole,
    /// Those with such names.
    Roles(Vec<Glob>),
}

impl OwnKey {
    /// Whether it is required for an action; for a push of nobody knows what, whether it may be.
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
    /// Whether it allows an action only for what its publisher signed with a key of their own.
    pub(super) fn requires_own_key(&self, action: &Action) -> bool {
        self.own_key.required_for(action)
    }

    /// Why it does not apply, if it does not.
    pub(super) fn applies(&self, asking: &Asking<'_>) -> Result<(), String> {
        if !self.actions.iter().any(|action| action.covers(asking.action)) {
            return Err(format!("it is not about {}", asking.action));
        }
        self.concerns(asking)
    }

    /// Like [`Rule::applies`], whatever the action is.
    pub(super) fn concerns(&self, asking: &Asking<'_>) -> Result<(), String> {
        let among = |subjects: &[Subject]| {
            subjects
                .iter()
                .any(|subject| subject.is(asking.principal, asking.groups))
        };
        if !among(&self.principals) {
            return Err(format!("it is not about {}", asking.who()));
        }
        if among(&self.unless) {
            return Err(format!("it excepts {}", asking.who()));
        }
        match (&self.guns, asking.gun) {
            (None, _) => Ok(()),
            (Some(globs), Some(gun)) => self.about(globs, gun, asking.principal),
            (Some(_), None) => self.about_all(asking.action),
        }
    }

    fn about(&self, globs: &[Glob], gun: &str, principal: Option<&str>) -> Result<(), String> {
        // A name with slashes would reach into the repositories of the names that are parts of it.
        let reaches_out =
            self.effect == Effect::Allow && principal.is_some_and(|principal| principal.contains('/'));
        let found = globs
            .iter()
            .any(|glob| glob.matches(gun, principal) && !(reaches_out && glob.names_principal()));
        if found {
            return Ok(());
        }
        if reaches_out && globs.iter().any(Glob::names_principal) {
            return Err(format!(
                "{gun} is none of its guns; ${{principal}} does not allow names with a slash"
            ));
        }
        let written: Vec<&str> = globs.iter().map(Glob::as_str).collect();
        Err(format!("{gun} is none of its guns: {}", written.join(", ")))
    }

    /// A rule for some repositories, and a question about all of them. The list of repositories is filtered, so any of
    /// them is enough to ask for it, and none is a reason to refuse it. Nothing else is filtered.
    fn about_all(&self, action: &Action) -> Result<(), String> {
        match (self.effect, action) {
            (Effect::Allow, Action::List) => Ok(()),
            (Effect::Deny, Action::List) => Err("the list is filtered".to_owned()),
            (Effect::Deny, _) => Ok(()),
            (Effect::Allow, _) => Err("it is about some repositories, and this about all".to_owned()),
        }
    }
}
