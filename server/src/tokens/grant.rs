//! What of the asked is granted: what the policy allows, and nothing beyond it.

use std::borrow::Cow;

use tuf::Gun;

use super::{Entry, Scope};
use crate::{
    access::{Access, Image, Right, policy::Action},
    config::TokenAudience,
    identity::Principal,
};

const PULL: &str = "pull";
const PUSH: &str = "push";
const DELETE: &str = "delete";
const EVERYTHING: &str = "*";

/// What is granted, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// What the token says.
    pub entries: Vec<Entry>,
    /// The rules of the policy that allowed it, each once.
    pub rules: Vec<String>,
}

/// What a principal asks for at a service and may do. Who asks for too much is given less, and nothing of what we do not
/// know.
pub fn granted(access: &Access, principal: &Principal, service: &TokenAudience, asked: &[Scope]) -> Granted {
    let mut judge = Judge {
        access,
        principal,
        rules: Vec::new(),
    };
    let mut entries: Vec<Entry> = Vec::new();
    for scope in asked {
        let actions = judge.actions(service, scope);
        if actions.is_empty() {
            continue;
        }
        let same = |entry: &&mut Entry| {
            entry.kind == scope.kind && entry.class == scope.class && entry.name == scope.name
        };
        match entries.iter_mut().find(same) {
            Some(entry) => {
                for action in actions {
                    if !entry.actions.iter().any(|known| known == action) {
                        entry.actions.push(action.to_owned());
                    }
                }
            }
            None => entries.push(Entry {
                kind: scope.kind.clone(),
                class: scope.class.clone(),
                name: scope.name.clone(),
                actions: actions.into_iter().map(str::to_owned).collect(),
            }),
        }
    }
    judge.rules.sort();
    judge.rules.dedup();
    Granted {
        entries,
        rules: judge.rules,
    }
}

/// What a token is asked for: a GUN, or a repository of images, which rules may also call by its name at the registry.
#[derive(Clone, Copy)]
struct About<'a> {
    gun: &'a Gun,
    image: Option<&'a str>,
}

struct Judge<'a> {
    access: &'a Access,
    principal: &'a Principal,
    rules: Vec<String>,
}

impl Judge<'_> {
    fn actions(&mut self, service: &TokenAudience, scope: &Scope) -> Vec<&'static str> {
        match scope.kind.as_str() {
            "repository" => self.of_repository(service, scope),
            // A registry does not leave out of its catalog what somebody may not pull.
            "registry" if scope.name == "catalog" && scope.asks(EVERYTHING) => {
                if self.may(&Right::To(Action::Pull), None) {
                    vec![EVERYTHING]
                } else {
                    Vec::new()
                }
            }
            _ => Vec::new(),
        }
    }

    fn of_repository(&mut self, service: &TokenAudience, scope: &Scope) -> Vec<&'static str> {
        let (gun, name) = names(service, &scope.name);
        let Ok(gun) = Gun::parse(&gun) else {
            return Vec::new();
        };
        let about = About {
            gun: &gun,
            image: name,
        };
        // As at this server's own registry: whoever may only sign pushes no images.
        let push = match name {
            Some(_) => Right::To(Action::Push(None)),
            None => Right::PushSomething,
        };
        let rights = [
            (PULL, Right::To(Action::Pull)),
            (PUSH, push),
            (DELETE, Right::To(Action::Delete)),
        ];
        let mut actions: Vec<&'static str> = rights
            .into_iter()
            .filter(|(action, right)| scope.asks(action) && self.may(right, Some(about)))
            .map(|(action, _)| action)
            .collect();
        let further = [Action::Push(None), Action::Init, Action::RotateKey];
        if scope.actions.iter().any(|action| action == EVERYTHING)
            && actions.len() == 3
            && further
                .into_iter()
                .all(|action| self.may(&Right::To(action), Some(about)))
        {
            actions.push(EVERYTHING);
        }
        actions
    }

    fn may(&mut self, right: &Right, about: Option<About<'_>>) -> bool {
        let allowed = match about {
            Some(About {
                gun,
                image: Some(name),
            }) => self
                .access
                .check_image(self.principal, right, Image { gun, name }),
            Some(About { gun, image: None }) => self.access.check(self.principal, right, Some(gun)),
            None => self.access.check(self.principal, right, None),
        };
        match allowed {
            Ok(allowed) => {
                self.rules.extend(allowed.rule);
                true
            }
            Err(denied) => {
                tracing::debug!(rule = denied.rule, reason = %denied, "a token does not grant what was asked for");
                false
            }
        }
    }
}

/// The GUN of a service's repository, and its name at a registry, if that is what was asked for.
fn names<'a>(service: &TokenAudience, name: &'a str) -> (Cow<'a, str>, Option<&'a str>) {
    match &service.host {
        Some(host)
            if name
                .strip_prefix(host.as_str())
                .is_none_or(|rest| !rest.starts_with('/')) =>
        {
            (Cow::Owned(format!("{host}/{name}")), Some(name))
        }
        _ => (Cow::Borrowed(name), None),
    }
}
