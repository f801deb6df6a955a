//! The attested mirror: a repository whose targets `GUN/TAG` say what an operator, who verified the Notary repository GUN, saw
//! signed there at a time.
//!
//! The operator signs it and nobody else, so a reader may conclude that the operator saw a valid statement then, and nothing
//! more. Each target says whose word it was ([`Statement`]). Nothing outlives its source.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use thiserror::Error;
use tuf::{Gun, LeftOutCause, RoleName, SignedTarget, VerifiedRole, VerifiedRoot, VerifiedTargets};

use crate::authoring::{Target, TargetsContent};
use crate::fields::path_problem;
use crate::roots;
use crate::statement::Statement;

/// The role whose content is released, before that of targets.
const RELEASES: &str = "targets/releases";

/// What a Notary repository releases, as its reader verified it.
#[derive(Debug, Clone)]
pub struct Source {
    gun: Gun,
    targets: BTreeMap<String, Target>,
    /// What is signed there and not mirrored, a line each.
    pub left_out: Vec<String>,
}

/// Why a repository cannot be mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CannotMirror {
    /// Nothing valid can be seen.
    #[error("{gun} says nothing valid now: {what} expired at {at}; whoever has the key has to publish again")]
    Expired {
        /// The repository.
        gun: Gun,
        /// Which document.
        what: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// What is released cannot be told.
    #[error("what {gun} releases cannot be told: its {RELEASES} cannot be used ({reason})")]
    Releases {
        /// The repository.
        gun: Gun,
        /// Why.
        reason: String,
    },
    /// A name that is taken.
    #[error("{name:?} is a target of something else already: mirror {gun} into another repository")]
    Taken {
        /// The repository.
        gun: Gun,
        /// The target.
        name: String,
    },
}

impl Source {
    /// What a repository releases at a time: the tags of `targets/releases`, and those of targets that it does not name.
    ///
    /// # Errors
    /// When something of it has expired, or what it releases cannot be told.
    pub fn of(
        gun: &Gun,
        root: &VerifiedRoot,
        verified: &VerifiedTargets,
        now: DateTime<Utc>,
    ) -> Result<Self, CannotMirror> {
        let expired = |what: &str, at: DateTime<Utc>| CannotMirror::Expired {
            gun: gun.clone(),
            what: what.to_owned(),
            at,
        };
        if verified.usable_until <= now {
            return Err(expired(
                "its root, timestamp, snapshot or targets",
                verified.usable_until,
            ));
        }
        let unusable = verified
            .left_out
            .iter()
            .find(|role| role.role.as_str() == RELEASES);
        if let Some(unusable) = unusable
            && unusable.cause != LeftOutCause::Unpublished
        {
            return Err(CannotMirror::Releases {
                gun: gun.clone(),
                reason: match &unusable.cause {
                    LeftOutCause::Refused(cause) => cause.to_string(),
                    _ => "its document is missing".to_owned(),
                },
            });
        }
        let mut source = Self {
            gun: gun.clone(),
            targets: BTreeMap::new(),
            left_out: Vec::new(),
        };
        let named = |name: &str| verified.roles.iter().find(|role| role.role.as_str() == name);
        let mut named_already = std::collections::BTreeSet::new();
        for role in [named(RELEASES), named("targets")].into_iter().flatten() {
            if role.expires <= now {
                return Err(expired(role.role.as_str(), role.expires));
            }
            for target in role
                .targets
                .iter()
                .filter(|target| named_already.insert(target.name.clone()))
            {
                source.add(root, role, target, now);
            }
        }
        let others = verified
            .roles
            .iter()
            .filter(|role| !matches!(role.role.as_str(), RELEASES | "targets"));
        for (role, target) in others.flat_map(|role| role.targets.iter().map(move |target| (role, target))) {
            if !named_already.contains(&target.name) {
                let tag = &target.name;
                source
                    .left_out
                    .push(format!("{tag:?}: {} names it, and it is not released", role.role));
            }
        }
        Ok(source)
    }

    fn add(&mut self, root: &VerifiedRoot, role: &VerifiedRole, target: &SignedTarget, now: DateTime<Utc>) {
        let name = format!("{}/{}", self.gun, target.name);
        let problem = if target.name.contains('/') {
            // It would be the name of a tag of another repository.
            Some("its name has a slash")
        } else if roots::is_name(&name) {
            // Whoever signs tags must not make roots.
            Some("it has the name of a trust root")
        } else if let Some(problem) = path_problem(&name) {
            Some(problem)
        } else if target.sha256.is_none() {
            Some("it has no SHA-256")
        } else if target.length < 0 {
            Some("its length is negative")
        } else {
            None
        };
        let (Some(sha256), Ok(length), None) = (target.sha256, u64::try_from(target.length), problem) else {
            let problem = problem.unwrap_or("it is none");
            self.left_out.push(format!("{:?}: {problem}", target.name));
            return;
        };
        let statement = statement(&self.gun, root, role, now);
        let target = Target {
            length,
            sha256,
            sha512: None,
            custom: statement.to_custom(),
        };
        self.targets.insert(name, target);
    }

    /// How many tags it releases that can be mirrored.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether it releases no tag.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Makes the content of a role say what the repository releases, no longer than it does: tags that are gone there go here.
    /// Whether that changes anything that a reader may conclude. `stored_end` is when the stored file of the role ends: it
    /// must be renewed as well when that is nearer than half of the time that there is.
    ///
    /// # Errors
    /// When something else has the name of one of the targets.
    pub fn mirror_into(
        &self,
        content: &mut TargetsContent,
        stored_end: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, CannotMirror> {
        let of_this = |target: &Target| {
            Statement::of_custom(&target.custom).is_some_and(|statement| statement.gun == self.gun.as_str())
        };
        let mut changed = false;
        for (name, target) in &self.targets {
            match content.targets.get(name) {
                Some(before) if !of_this(before) => {
                    return Err(CannotMirror::Taken {
                        gun: self.gun.clone(),
                        name: name.clone(),
                    });
                }
                Some(before) => changed |= !says_the_same(before, target),
                None => changed = true,
            }
        }
        let before = content.targets.len();
        content
            .targets
            .retain(|name, target| self.targets.contains_key(name) || !of_this(target));
        changed |= content.targets.len() < before;
        content.targets.extend(self.targets.clone());
        let end = content.end();
        let due = stored_end - now < (end - now) / 2;
        Ok(changed || due || stored_end > end)
    }
}

fn statement(gun: &Gun, root: &VerifiedRoot, role: &VerifiedRole, now: DateTime<Utc>) -> Statement {
    let bare = root.signers().iter().filter_map(tuf::PublicKey::bare);
    let mut root_key_ids: Vec<String> = bare.map(|key| key.id().to_string()).collect();
    root_key_ids.sort();
    root_key_ids.dedup();
    Statement {
        gun: gun.to_string(),
        role: RoleName::to_string(&role.role),
        version: role.document.version.get().into(),
        sha256: role.document.sha256.as_hex(),
        root_key_ids,
        verified_at: now.trunc_subsecs(0),
        // As it is written.
        expires: role.expires.min(root.usable_until()).trunc_subsecs(0),
    }
}

/// Whether two targets say the same, whenever it was verified.
fn says_the_same(one: &Target, other: &Target) -> bool {
    let said = |target: &Target| {
        Statement::of_custom(&target.custom).map(|statement| Statement {
            verified_at: DateTime::<Utc>::MIN_UTC,
            ..statement
        })
    };
    (one.length, one.sha256, said(one)) == (other.length, other.sha256, said(other))
}
