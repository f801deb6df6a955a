//! `countersign signer`: who may sign beside the owner.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use client::{
    keys::{KeyStore, read_public_key},
    publish::{Change, PublishError},
};
use tuf::{DelegationName, KeyId, PublicKey, RoleName};
use verifier::{Documents, Repository};

use super::{
    delegations::{self, Delegation, bare_id},
    session::{self, RELEASES, RepositoryOptions, Session},
};
use crate::commands::{Failure, Outcome, block_on};

/// What is done with a signer.
#[derive(Debug, Subcommand)]
pub enum SignerCommand {
    /// Let somebody sign, in a role of their own and in targets/releases, as docker does it.
    Add(AddOptions),
    /// Let somebody sign no more.
    Remove(RemoveOptions),
    /// Give a signer another key, in an order in which their role can always be read.
    Replace(ReplaceOptions),
}

/// Who is added.
#[derive(Debug, Args)]
pub struct AddOptions {
    /// The name of the signer; the role is targets/NAME.
    #[arg(value_name = "NAME")]
    name: String,
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// Certificates, or public keys as `countersign key generate` and `docker trust key generate` write them.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What the tags begin with that may be signed, such as `nightly-`; every tag if absent. Several may be given. Whoever
    /// may not sign every tag does not sign in targets/releases, where nothing could be told apart.
    #[arg(long, value_name = "PREFIX")]
    path: Vec<String>,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// Who is removed.
#[derive(Debug, Args)]
pub struct RemoveOptions {
    /// The name of the signer.
    #[arg(value_name = "NAME")]
    name: String,
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// Whose key is replaced.
#[derive(Debug, Args)]
pub struct ReplaceOptions {
    /// The name of the signer.
    #[arg(value_name = "NAME")]
    name: String,
    /// The repository.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// The new certificates or public keys.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The ID of the key that is replaced; all keys of the signer if absent.
    #[arg(long, value_name = "ID")]
    old: Vec<String>,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// Does what was asked.
///
/// # Errors
/// When it cannot be done.
pub fn run(command: &SignerCommand) -> Result<Outcome, Failure> {
    match command {
        SignerCommand::Add(options) => add(options),
        SignerCommand::Remove(options) => remove(options),
        SignerCommand::Replace(options) => replace(options),
    }
}

/// A repository whose signers are changed.
struct Work {
    session: Session,
    role: DelegationName,
    releases: DelegationName,
}

impl Work {
    fn begin(name: &str, repository: &str, options: &RepositoryOptions) -> Result<Self, Failure> {
        let role = session::signer(name)?;
        let image = session::repository(repository)?;
        Ok(Self {
            session: options.open(&image)?,
            role,
            releases: session::releases()?,
        })
    }

    fn name(&self) -> &str {
        let role = self.role.as_str();
        role.strip_prefix("targets/").unwrap_or(role)
    }

    async fn publish(&self, changes: &[Change]) -> Result<(), PublishError> {
        let Ok(anchor) = self.session.anchor() else {
            return Ok(());
        };
        let editor = self.session.editor();
        editor.publish(&self.session.gun, anchor, changes).await.map(drop)
    }

    /// The signer as declared.
    fn found<'a>(&self, declared: &'a [Delegation]) -> Result<&'a Delegation, Failure> {
        delegations::must_have(
            declared,
            &RoleName::Delegation(self.role.clone()),
            &self.session.gun,
        )?;
        let found = declared.iter().find(|known| known.role == self.role);
        found.ok_or_else(|| Failure(format!("there is no {}", self.role)))
    }

    /// Of these keys of the signer, those that only this one has among the signers.
    fn only_theirs<'a>(&self, declared: &[Delegation], keys: &'a [PublicKey]) -> Vec<&'a PublicKey> {
        let others = declared
            .iter()
            .filter(|known| known.role != self.role && known.role != self.releases);
        let others: Vec<String> = others.flat_map(|known| known.keys.iter().map(bare_id)).collect();
        keys.iter()
            .filter(|key| !others.contains(&bare_id(key)))
            .collect()
    }
}

fn add(options: &AddOptions) -> Result<Outcome, Failure> {
    let work = Work::begin(&options.name, &options.repository, &options.options)?;
    let keys = read(&options.files)?;
    block_on(async {
        let (repository, documents) = work.session.read().await?;
        let declared = delegations::of(&repository, &documents)?;
        let bare: Vec<String> = keys.iter().map(bare_id).collect();
        for known in &declared {
            let same = known.keys.iter().any(|key| bare.contains(&bare_id(key)));
            if same && known.role != work.role && known.role.as_str() != RELEASES {
                return Err(Failure(format!(
                    "{} has this key already: with one key for two signers nobody could tell who signed",
                    known.role
                )));
            }
        }
        let paths = paths(&options.path, &work, &declared)?;
        let change = |role: &DelegationName| Change::AddDelegation {
            role: role.clone(),
            keys: keys.clone(),
            paths: paths.clone(),
        };
        let mut changes = vec![change(&work.role)];
        let restricted = is_restricted(&paths);
        if !restricted {
            changes.push(change(&work.releases));
        } else if declared
            .iter()
            .filter(|known| known.role == work.releases)
            .any(|known| known.keys.iter().any(|key| bare.contains(&bare_id(key))))
        {
            return Err(Failure(format!(
                "this key may sign every tag in {RELEASES}: it has to go from there before it is restricted"
            )));
        }
        work.publish(&changes)
            .await
            .map_err(|cause| work.session.explained(cause))?;
        let which = if restricted {
            format!(
                "tags of {} that begin with {}",
                work.session.gun,
                paths.join(" or ")
            )
        } else {
            work.session.gun.to_string()
        };
        platform::say!("{} may sign {which} now", work.name());
        if restricted {
            platform::complain!(
                "note: {} does not sign in {RELEASES}, so docker takes nothing for released that {} alone signs",
                work.name(),
                work.name()
            );
        }
        warn_of_snapshot(&work.session, &documents)?;
        Ok(Outcome::Done)
    })?
}

fn is_restricted(paths: &[String]) -> bool {
    !paths.iter().any(String::is_empty)
}

/// What the tags of a signer are to begin with. Nobody is restricted or let loose without a word.
fn paths(asked: &[String], work: &Work, declared: &[Delegation]) -> Result<Vec<String>, Failure> {
    let in_tags = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(wrong) = asked.iter().find(|path| !path.chars().all(in_tags)) {
        return Err(Failure(format!(
            "--path {wrong:?} is not what a tag begins with: write v1. for v1.0 and v1.1, without stars"
        )));
    }
    let known = declared.iter().find(|known| known.role == work.role);
    let was_restricted = known.map(|known| is_restricted(&known.paths));
    match (asked.is_empty(), was_restricted, known) {
        (true, Some(true), Some(known)) => Err(Failure(format!(
            "{} is for tags that begin with {}: say the same with --path, or --path \"\" for every tag",
            known.role,
            known.paths.join(" or ")
        ))),
        (false, Some(false), Some(known)) if is_restricted(asked) => Err(Failure(format!(
            "{} may sign every tag already: remove {} first, with `countersign signer remove`",
            known.role,
            work.name()
        ))),
        (true, ..) => Ok(vec![String::new()]),
        (false, ..) => Ok(asked.to_vec()),
    }
}

fn remove(options: &RemoveOptions) -> Result<Outcome, Failure> {
    let work = Work::begin(&options.name, &options.repository, &options.options)?;
    block_on(async {
        let (repository, documents) = work.session.read().await?;
        let declared = delegations::of(&repository, &documents)?;
        if !declared.iter().any(|known| known.role == work.role) {
            platform::say!(
                "{} is no signer of {}: nothing to remove",
                work.name(),
                work.session.gun
            );
            return Ok(Outcome::Done);
        }
        let theirs = work.only_theirs(&declared, &work.found(&declared)?.keys);
        let mut changes = vec![Change::RemoveDelegation {
            role: work.role.clone(),
        }];
        changes.extend(out_of_releases(&work, &declared, &theirs));
        match work.publish(&changes).await {
            Ok(()) => {}
            Err(PublishError::WouldBreak { role }) => {
                return Err(Failure(format!(
                    "{role} was signed last by {}, and nobody could read it any more. Let another signer sign it first with \
                     `countersign witness {} {role}`, and run this again",
                    work.name(),
                    work.session.gun
                )));
            }
            Err(cause) => return Err(work.session.explained(cause)),
        }
        platform::say!("{} may not sign {} any more", work.name(), work.session.gun);
        Ok(Outcome::Done)
    })?
}

/// Takes keys out of targets/releases, which ends with its last one.
fn out_of_releases(work: &Work, declared: &[Delegation], keys: &[&PublicKey]) -> Option<Change> {
    let releases = declared.iter().find(|known| known.role == work.releases)?;
    let ids: Vec<String> = keys.iter().map(|key| bare_id(key)).collect();
    let (gone, left): (Vec<_>, Vec<_>) = releases.keys.iter().partition(|key| ids.contains(&bare_id(key)));
    if gone.is_empty() {
        return None;
    }
    if left.is_empty() {
        return Some(Change::RemoveDelegation {
            role: work.releases.clone(),
        });
    }
    Some(Change::RemoveDelegationKeys {
        role: work.releases.clone(),
        keys: gone.iter().map(|key| key.id().clone()).collect(),
    })
}

fn replace(options: &ReplaceOptions) -> Result<Outcome, Failure> {
    let work = Work::begin(&options.name, &options.repository, &options.options)?;
    let new = read(&options.files)?;
    block_on(async {
        let (repository, documents) = work.session.read().await?;
        let declared = delegations::of(&repository, &documents)?;
        let known = work.found(&declared)?;
        let old = replaced(known, &options.old, &new)?;
        let also_new = |role: &DelegationName| Change::AddDelegation {
            role: role.clone(),
            keys: new.clone(),
            paths: Vec::new(),
        };
        let in_releases: Vec<PublicKey> = {
            let theirs = work.only_theirs(&declared, &old);
            let releases = declared.iter().find(|known| known.role == work.releases);
            let listed = releases.map_or(&[][..], |releases| releases.keys.as_slice());
            let ids: Vec<String> = theirs.iter().map(|key| bare_id(key)).collect();
            listed
                .iter()
                .filter(|key| ids.contains(&bare_id(key)) && !is_new(key, &new))
                .cloned()
                .collect()
        };
        let mut additions = vec![also_new(&work.role)];
        let mut removals = Vec::new();
        let without = |role: &DelegationName, keys: &[PublicKey]| Change::RemoveDelegationKeys {
            role: role.clone(),
            keys: keys.iter().map(|key| key.id().clone()).collect(),
        };
        if !old.is_empty() {
            removals.push(without(&work.role, &old));
        }
        if !in_releases.is_empty() {
            additions.push(also_new(&work.releases));
            removals.push(without(&work.releases, &in_releases));
        }
        let all: Vec<Change> = additions.iter().chain(&removals).cloned().collect();
        match work.publish(&all).await {
            Ok(()) => {
                platform::say!(
                    "{} signs {} with the new key alone now",
                    work.name(),
                    work.session.gun
                );
                Ok(Outcome::Done)
            }
            Err(PublishError::WouldBreak { role }) => {
                work.publish(&additions)
                    .await
                    .map_err(|cause| work.session.explained(cause))?;
                halfway(&work, &repository, &role);
                Ok(Outcome::Undecided)
            }
            Err(cause) => Err(work.session.explained(cause)),
        }
    })?
}

/// Says what is left to do where the new key is in other hands.
fn halfway(work: &Work, repository: &Repository, broken: &str) {
    let (gun, name) = (&work.session.gun, work.name());
    let roles: Vec<&str> = [&work.role, &work.releases]
        .into_iter()
        .map(DelegationName::as_str)
        .filter(|role| repository.role(role).is_some())
        .collect();
    platform::complain!(
        "the new key of {name} is added beside the old one, which cannot go yet: nobody could read {broken} without \
         it. Who has the new key now runs `countersign witness {gun} {}`; then run this command again",
        roles.join(" ")
    );
}

/// Whether a key is one of the new ones, also by its certificate: a renewed certificate is another one.
fn is_new(key: &PublicKey, new: &[PublicKey]) -> bool {
    new.iter().any(|new| new.id() == key.id())
}

/// The keys that go: those that were named, or all that are not new.
fn replaced(known: &Delegation, named: &[String], new: &[PublicKey]) -> Result<Vec<PublicKey>, Failure> {
    if named.is_empty() {
        return Ok(known
            .keys
            .iter()
            .filter(|key| !is_new(key, new))
            .cloned()
            .collect());
    }
    let mut found = Vec::new();
    for text in named {
        let id = KeyId::parse(text).map_err(|cause| Failure(format!("--old {text}: {cause}")))?;
        let is_named = |key: &&PublicKey| *key.id() == id || bare_id(key) == id.as_str();
        let keys: Vec<PublicKey> = known.keys.iter().filter(is_named).cloned().collect();
        if keys.is_empty() {
            let ids: Vec<String> = known.keys.iter().map(bare_id).collect();
            return Err(Failure(format!(
                "{} has no key {text}; it has {}",
                known.role,
                ids.join(", ")
            )));
        }
        found.extend(keys.into_iter().filter(|key| !is_new(key, new)));
    }
    Ok(found)
}

fn read(files: &[PathBuf]) -> Result<Vec<PublicKey>, Failure> {
    files.iter().map(|file| Ok(read_public_key(file)?)).collect()
}

/// Says when delegates could not publish because the owner keeps the key of the snapshot.
fn warn_of_snapshot(session: &Session, documents: &Documents) -> Result<(), Failure> {
    let root = documents.roots.last().cloned().unwrap_or_default();
    let snapshot = tuf::role_keys(&root, &RoleName::Snapshot)?;
    let at_hand = session.keys.list()?;
    let is_here = |key: &PublicKey| at_hand.iter().any(|known| known.id.as_str() == bare_id(key));
    if snapshot.iter().any(is_here) {
        platform::complain!(
            "note: the key of the snapshot is here and not with the server, so nobody else can publish; give it to the server \
             with `countersign key rotate {} snapshot`",
            session.gun
        );
    }
    Ok(())
}
