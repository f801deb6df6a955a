//! The way from a Notary repository to one of TUF 1.0: the publisher signs the same content again, with the same keys.
//!
//! No signature can be carried over, because every file is written otherwise. [`propose`] makes the contents of root,
//! targets and delegated roles from what a reader has verified, for the owners of the keys to sign. It claims nothing that
//! the source does not: the same keys and thresholds, the same targets, and no file ends later than its source. What the
//! source says and the proposal cannot, is told as [`Loss`].

mod keys;
mod paths;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Map;
use thiserror::Error;
use tuf::{LeftOutCause, RoleName, SignedTarget, VerifiedRole, VerifiedRoot, VerifiedTargets};

use crate::authoring::{Delegate, RootContent, Target, TargetsContent};
use crate::fields::path_problem;
use crate::metadata::Metadata;
use crate::name::RepositoryName;
use crate::refusal::Refusal;
use crate::role::{Role, RoleError};
use crate::trusted::{OnlineKeys, Trusted};

/// Contents for the owners of the keys to sign.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The root; `None` if the stored one says the same already.
    pub root: Option<RootContent>,
    /// Targets and delegated roles, delegating roles first, without those of which the stored file says the same already.
    pub targets: Vec<TargetsContent>,
    /// What the source says and the proposal cannot.
    pub losses: Vec<Loss>,
}

/// What the source says and TUF 1.0 cannot, or not in this way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Loss {
    /// Of every repository.
    #[error("no signature is carried over: each owner of a key signs again")]
    Signatures,
    /// Of every repository.
    #[error(
        "the certificates of root keys are left out, with their names and dates: the keys alone are trusted"
    )]
    Certificates,
    /// Of every repository.
    #[error("further data of targets is left out (custom, hashes other than SHA-256)")]
    FurtherData,
    /// A key that not every client reads.
    #[error("{role}: the key {key} is left out: {reason}")]
    Key {
        /// The role that names it.
        role: RoleName,
        /// Its ID in the source.
        key: String,
        /// Why.
        reason: String,
    },
    /// A target that cannot be named, or has no SHA-256.
    #[error("{role}: the target {target:?} is left out: {reason}")]
    Target {
        /// The role that lists it.
        role: RoleName,
        /// Its name.
        target: String,
        /// Why.
        reason: String,
    },
    /// A delegation that readers of the source do not accept.
    #[error("the delegation to {role} is left out: {reason}")]
    Delegation {
        /// The role.
        role: RoleName,
        /// Why.
        reason: String,
    },
    /// Role names with a slash.
    #[error("the file of {role} is named {file}")]
    FileName {
        /// The role.
        role: RoleName,
        /// The name of its file.
        file: String,
    },
    /// The delegation of every name.
    #[error("{role}: that it may name everything is written as 16 path_hash_prefixes")]
    Everything {
        /// The role.
        role: RoleName,
    },
    /// The delegation of names with a beginning.
    #[error(
        "{role}: names that begin with {prefix:?} are written as the pattern {pattern:?}, which covers none with a slash after that or a dot at once after a slash"
    )]
    Prefix {
        /// The role.
        role: RoleName,
        /// What names begin with in the source.
        prefix: String,
        /// What is written instead.
        pattern: String,
    },
}

/// Why nothing can be proposed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CannotMigrate {
    /// Too few keys are left.
    #[error(
        "{role}: {threshold} keys have to sign, and clients of TUF 1.0 read {usable} of its keys ({problem}): give the role \
         keys of ECDSA P-256, Ed25519 or RSA with 2048 to 8192 bits first"
    )]
    Keys {
        /// The role in the source.
        role: RoleName,
        /// How many must sign.
        threshold: i64,
        /// How many keys are left.
        usable: usize,
        /// What is wrong with one of the others.
        problem: String,
    },
    /// The server would sign content.
    #[error(
        "{role}: its key is held by the server, which must not sign content in TUF 1.0: give the role another key first"
    )]
    ServerKey {
        /// The role in the source.
        role: RoleName,
    },
    /// A name that clients read differently.
    #[error("{role}: {problem}")]
    Role {
        /// The role in the source.
        role: RoleName,
        /// What is wrong.
        problem: RoleError,
    },
    /// No pattern means what the beginning of a name means.
    #[error(
        "{role}: no pattern says that names begin with {prefix:?}: {problem}; delegate another path first"
    )]
    Path {
        /// The role in the source.
        role: RoleName,
        /// What names begin with.
        prefix: String,
        /// Why.
        problem: String,
    },
    /// What is proposed would be refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl CannotMigrate {
    /// A word for machines, which stays the same.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Keys { .. } => "keys",
            Self::ServerKey { .. } => "server_key",
            Self::Role { .. } => "role",
            Self::Path { .. } => "path",
            Self::Refused(refusal) => refusal.code(),
        }
    }
}

/// Proposes what makes a TUF 1.0 repository say what a Notary repository says.
///
/// `stored` is what the TUF 1.0 repository says already, nothing for a new one: of files that need not change nothing is
/// proposed, and the others follow the stored versions. So calling this again keeps both in step.
///
/// # Errors
/// When a role would have too few keys, or what it may name cannot be written.
pub fn propose(
    repository: &RepositoryName,
    root: &VerifiedRoot,
    targets: &VerifiedTargets,
    online: &OnlineKeys,
    stored: &Trusted,
) -> Result<Proposal, CannotMigrate> {
    let mut losses = vec![Loss::Signatures, Loss::Certificates, Loss::FurtherData];
    let top = targets.roles.iter().find(|role| role.role == RoleName::Targets);
    let Some(top) = top else {
        return Err(Refusal::NoTargets.into());
    };
    let of_root = keys::signers(
        &RoleName::Root,
        &root.declared(),
        root.threshold(),
        online,
        &mut losses,
    )?;
    let document = &top.document;
    let of_targets = keys::signers(
        &top.role,
        &document.declared,
        document.threshold,
        online,
        &mut losses,
    )?;
    let content = RootContent::first(repository, of_root, of_targets, online, root.usable_until());
    let root = follow_root(content, stored)?;
    let mut files = Vec::new();
    for role in &targets.roles {
        let mut content = content_of(repository, role, &mut losses)?;
        let below = targets
            .roles
            .iter()
            .filter(|other| other.role.parent().as_ref() == Some(&role.role));
        for delegated in below {
            content.delegate(delegate(delegated, online, &mut losses)?);
        }
        files.push(content);
    }
    paths::check(&targets.roles, &files)?;
    for left_out in &targets.left_out {
        losses.push(Loss::Delegation {
            role: left_out.role.clone(),
            reason: match &left_out.cause {
                LeftOutCause::Unpublished => "it was never published".to_owned(),
                LeftOutCause::Missing => "its file is missing".to_owned(),
                LeftOutCause::Refused(cause) => cause.to_string(),
            },
        });
    }
    let mut changed = Vec::new();
    for content in files {
        changed.extend(follow(content, stored)?);
    }
    losses.sort();
    losses.dedup();
    Ok(Proposal {
        root,
        targets: changed,
        losses,
    })
}

/// Targets or a delegated role, without its delegations.
fn content_of(
    repository: &RepositoryName,
    source: &VerifiedRole,
    losses: &mut Vec<Loss>,
) -> Result<TargetsContent, CannotMigrate> {
    let mut content = TargetsContent::first(repository, role_of(&source.role)?, source.document.expires);
    for target in &source.targets {
        match target_of(target) {
            Ok(made) => {
                content.targets.insert(target.name.clone(), made);
            }
            Err(reason) => losses.push(Loss::Target {
                role: source.role.clone(),
                target: target.name.clone(),
                reason: reason.to_owned(),
            }),
        }
    }
    Ok(content)
}

fn target_of(target: &SignedTarget) -> Result<Target, &'static str> {
    if let Some(problem) = path_problem(&target.name) {
        return Err(problem);
    }
    Ok(Target {
        length: u64::try_from(target.length).map_err(|_| "its length is negative")?,
        sha256: target.sha256.ok_or("it has no SHA-256")?,
        sha512: None,
        custom: Map::new(),
    })
}

fn delegate(
    source: &VerifiedRole,
    online: &OnlineKeys,
    losses: &mut Vec<Loss>,
) -> Result<Delegate, CannotMigrate> {
    let role = role_of(&source.role)?;
    losses.push(Loss::FileName {
        role: source.role.clone(),
        file: role.file_name(),
    });
    let document = &source.document;
    Ok(Delegate {
        signers: keys::signers(
            &source.role,
            &document.declared,
            document.threshold,
            online,
            losses,
        )?,
        paths: paths::convert(&source.role, &source.paths, losses)?,
        terminating: false,
        role,
    })
}

fn role_of(source: &RoleName) -> Result<Role, CannotMigrate> {
    Role::parse(source.as_str()).map_err(|problem| CannotMigrate::Role {
        role: source.clone(),
        problem,
    })
}

/// The root as it follows the stored one; `None` if that says the same.
fn follow_root(mut content: RootContent, stored: &Trusted) -> Result<Option<RootContent>, Refusal> {
    let Some(before) = &stored.root else {
        return Ok(Some(content));
    };
    let Some(mut next) = RootContent::following(before, before.expires())? else {
        return Ok(Some(content));
    };
    content.extensions.extend(std::mem::take(&mut next.extensions));
    content.version = next.version;
    let same = same_content(before, content.expires, content.draft()?.metadata());
    Ok((!same).then_some(content))
}

/// A file as it follows the stored one; `None` if that says the same.
fn follow(mut content: TargetsContent, stored: &Trusted) -> Result<Option<TargetsContent>, Refusal> {
    if let Some(before) = stored.file(&content.role) {
        let next = TargetsContent::following(before, before.expires())?;
        content.extensions.extend(next.extensions);
        content.version = next.version;
        if same_content(before, content.expires, content.draft()?.metadata()) {
            return Ok(None);
        }
    } else if let Some(seen) = stored.seen(&content.role) {
        content.version = seen.next().ok_or_else(|| Refusal::LastVersion {
            role: content.role.clone(),
        })?;
    }
    Ok(Some(content))
}

/// Whether a stored file says the same as another, whatever their versions. One that ends later than its source does not.
fn same_content(before: &Metadata, expires: DateTime<Utc>, other: &Metadata) -> bool {
    let of = |file: &Metadata| -> BTreeMap<String, serde_json::Value> {
        let members = file
            .signed()
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "version" | "spec_version"));
        members
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    before.expires() <= expires && of(before) == of(other)
}

#[cfg(test)]
mod tests;
