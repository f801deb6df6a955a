//! One event: a change of a repository, and what it changed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tuf::{RoleName, SignedTarget};
use utoipa::ToSchema;

use crate::store::{Change, Contents, Effect, RecordedActor};

/// The most targets that one event lists.
const LISTED: usize = 1_000;

/// What kind of change it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody published something.
    Published,
    /// The server renewed a timestamp or a snapshot, and nothing else.
    Renewed,
    /// The repository was deleted.
    Deleted,
}

impl Kind {
    /// Its name, as in configurations and headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Renewed => "renewed",
            Self::Deleted => "deleted",
        }
    }
}

/// A change of a repository.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The ID of the change in the changefeed. An event may be told more than once, always with the same ID.
    pub id: i32,
    /// What kind of change it was.
    pub kind: Kind,
    /// The repository.
    pub gun: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Who made it; null if that is not recorded or not for the reader.
    pub actor: Option<Actor>,
    /// The version of the timestamp since then; null for a deletion.
    pub version: Option<i32>,
    /// The version of the timestamp before; null for the first one.
    pub previous_version: Option<i32>,
    /// What it changed in targets and delegations; null if that is not stored any more.
    pub targets: Option<Targets>,
}

/// Who made a change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Actor {
    /// The principal's name.
    pub principal: String,
    /// The subject of its certificate.
    pub subject: Option<String>,
    /// The issuer of the certificate.
    pub issuer: Option<String>,
    /// Its serial number, in hex.
    pub serial: Option<String>,
}

/// What a change did to the targets.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Targets {
    /// Targets that were not there before.
    pub added: Vec<Target>,
    /// Targets with other content than before.
    pub changed: Vec<Target>,
    /// Targets that are not there any more.
    pub removed: Vec<Target>,
    /// Whether there are more than are listed.
    pub truncated: bool,
}

/// A target of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its name: for Docker, a tag.
    pub name: String,
    /// The role that signed it.
    pub role: String,
    /// The SHA-256 of its content, in hex.
    pub sha256: Option<String>,
    /// The length of its content, in bytes.
    pub length: i64,
    /// For a changed one: the SHA-256 before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_sha256: Option<String>,
}

impl Event {
    /// The event that a change and its effect make.
    pub fn new(change: &Change, effect: &Effect) -> Self {
        let is_update = change.category == "update";
        let kind = match &effect.contents {
            _ if !is_update => Kind::Deleted,
            Some([old, new]) if old.named == new.named && effect.before.is_some() => Kind::Renewed,
            _ => Kind::Published,
        };
        Self {
            id: change.id,
            kind,
            gun: change.gun.clone(),
            at: change.created_at,
            actor: effect.actor.as_ref().map(Actor::from),
            version: is_update.then_some(change.version),
            previous_version: effect.before.as_ref().map(|before| before.version),
            targets: effect.contents.as_ref().map(Targets::between),
        }
    }

    /// The same without who made it.
    #[must_use]
    pub fn without_actor(&self) -> Self {
        Self {
            actor: None,
            ..self.clone()
        }
    }
}

impl From<&RecordedActor> for Actor {
    fn from(actor: &RecordedActor) -> Self {
        Self {
            principal: actor.principal.clone(),
            subject: actor.certificate_subject.clone(),
            issuer: actor.certificate_issuer.clone(),
            serial: actor.certificate_serial.clone(),
        }
    }
}

impl Targets {
    /// The difference between what was signed at two moments.
    pub fn between([old, new]: &[Contents; 2]) -> Self {
        let mut found = Self::default();
        let roles = old.targets.keys().chain(new.targets.keys());
        let mut roles: Vec<&RoleName> = roles.collect();
        roles.sort();
        roles.dedup();
        for role in roles {
            found.compare(role, old.targets.get(role), new.targets.get(role));
        }
        for list in [&mut found.added, &mut found.changed, &mut found.removed] {
            found.truncated |= list.len() > LISTED;
            list.truncate(LISTED);
        }
        found
    }

    fn compare(&mut self, role: &RoleName, old: Option<&Vec<SignedTarget>>, new: Option<&Vec<SignedTarget>>) {
        let by_name = |targets: Option<&'_ Vec<SignedTarget>>| -> BTreeMap<String, SignedTarget> {
            let targets = targets.into_iter().flatten();
            targets
                .map(|target| (target.name.clone(), target.clone()))
                .collect()
        };
        let (mut old, new) = (by_name(old), by_name(new));
        for (name, target) in new {
            match old.remove(&name) {
                None => self.added.push(Target::new(role, &target)),
                Some(before) if before == target => {}
                Some(before) => self.changed.push(Target {
                    previous_sha256: before.sha256.map(|hash| hash.to_string()),
                    ..Target::new(role, &target)
                }),
            }
        }
        let gone = old.values().map(|target| Target::new(role, target));
        self.removed.extend(gone);
    }
}

impl Target {
    fn new(role: &RoleName, target: &SignedTarget) -> Self {
        Self {
            name: target.name.clone(),
            role: role.to_string(),
            sha256: target.sha256.as_ref().map(ToString::to_string),
            length: target.length,
            previous_sha256: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tuf::Checksum;

    use super::*;

    fn contents(role: &str, targets: &[(&str, &[u8])]) -> Contents {
        let role = RoleName::parse(role).unwrap();
        let signed = targets.iter().map(|(name, content)| SignedTarget {
            name: (*name).to_owned(),
            sha256: Some(Checksum::of(content)),
            length: 1,
        });
        let all: Vec<u8> = targets
            .iter()
            .flat_map(|(name, content)| [name.as_bytes(), content].concat())
            .collect();
        Contents {
            named: [(role.clone(), Checksum::of(&all))].into(),
            targets: [(role, signed.collect())].into(),
        }
    }

    fn event(category: &str, contents: Option<[Contents; 2]>) -> Event {
        let change = Change {
            id: 2,
            created_at: Utc::now(),
            gun: "g".into(),
            version: 8,
            sha256: String::new(),
            category: category.into(),
        };
        let before = Change {
            id: 1,
            version: 7,
            ..change.clone()
        };
        let effect = Effect {
            actor: None,
            before: Some(before),
            contents,
        };
        Event::new(&change, &effect)
    }

    fn names(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(|target| target.name.as_str()).collect()
    }

    #[test]
    fn targets_are_added_changed_and_removed_by_role() {
        let old = contents("targets/releases", &[("a", b"1"), ("b", b"1"), ("c", b"1")]);
        let new = contents("targets/releases", &[("b", b"2"), ("c", b"1"), ("d", b"1")]);
        let told = event("update", Some([old, new]));
        let targets = told.targets.unwrap();
        assert_eq!(told.kind, Kind::Published);
        assert_eq!((told.version, told.previous_version), (Some(8), Some(7)));
        assert_eq!(
            [&targets.added, &targets.changed, &targets.removed].map(|list| names(list).join(" ")),
            ["d", "b", "a"]
        );
        assert_eq!(
            targets.changed[0].previous_sha256,
            Some(Checksum::of(b"1").to_string())
        );
        assert_eq!(targets.changed[0].role, "targets/releases");
    }

    #[test]
    fn the_same_documents_as_before_are_a_renewal() {
        let same = contents("targets", &[("a", b"1")]);
        let named_only = Contents {
            targets: BTreeMap::new(),
            ..same
        };
        let told = event("update", Some([named_only.clone(), named_only]));
        assert_eq!(told.kind, Kind::Renewed);
        assert!(told.targets.unwrap().changed.is_empty());
    }

    #[test]
    fn a_deletion_has_neither_version_nor_targets() {
        let told = event("deletion", None);
        assert_eq!(told.kind, Kind::Deleted);
        assert_eq!((told.version, told.previous_version), (None, Some(7)));
        assert!(told.targets.is_none());
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let many: Vec<String> = (0..=LISTED).map(|number| format!("t{number}")).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"1"[..])).collect();
        let told = event("update", Some([Contents::default(), contents("targets", &many)]));
        let targets = told.targets.unwrap();
        assert!(targets.truncated);
        assert_eq!(targets.added.len(), LISTED);
    }
}
