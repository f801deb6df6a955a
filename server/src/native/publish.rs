//! Publishing to a TUF 1.0 repository: judges the files against what is stored, has snapshot and timestamp signed, and stores
//! everything together.

use actix_web::web;
use signing::SigningError;
use tuf::RoleName;
use tuf_native::{Limits, Metadata, Refusal, RepositoryName, Role, Trusted};

use super::{
    Current, NativeError, REPOSITORY_LIMIT, Room, current, listed, own_key,
    seal::{Seals, lifetimes},
    stored,
};
use crate::{
    access::{Access, Grant, Publish},
    state::{ServiceError, State},
    store::{CommitError, Committed, NativeChange},
};

/// How often a publish is judged and signed again because somebody else changed the repository meanwhile.
const ATTEMPTS: usize = 8;

/// What a publish did.
#[derive(Debug)]
pub struct Published {
    /// What was stored, for the record.
    pub committed: Committed,
    /// The published files.
    pub files: Vec<(Role, i32)>,
    /// The version of the new snapshot.
    pub snapshot: i32,
    /// The version of the new timestamp.
    pub timestamp: i32,
    /// Delegated roles that no role delegates to any more.
    pub dropped: Vec<Role>,
}

/// The role of Notary that stands for a role in the policy: `root` and `targets` are themselves, the delegated role `NAME`
/// is `targets/NAME` (or itself, if it is already called so). A delegated role that no role of Notary could be called is
/// `targets`: only who may publish that may publish it.
pub fn policy_role(role: &Role) -> RoleName {
    let delegated = |name: &str| {
        let full = if name.starts_with("targets/") {
            name.to_owned()
        } else {
            format!("targets/{name}")
        };
        RoleName::parse(&full).unwrap_or(RoleName::Targets)
    };
    match role {
        Role::Root => RoleName::Root,
        Role::Snapshot => RoleName::Snapshot,
        Role::Timestamp => RoleName::Timestamp,
        Role::Targets | Role::Delegated(_) => match role.as_str() {
            "targets" => RoleName::Targets,
            name => delegated(name),
        },
    }
}

/// Publishes files, or leaves everything unchanged.
///
/// # Errors
/// When the files are refused, come too late, or cannot be signed or stored.
pub async fn publish(
    state: &State,
    access: &Access,
    grant: &Grant<Publish>,
    name: &RepositoryName,
    files: &[Metadata],
    room: &mut Room,
) -> Result<Published, NativeError> {
    for file in files {
        file.check_repository(name)?;
    }
    let _turn = state.native_turns.take(name.as_str()).await;
    for _ in 0..ATTEMPTS {
        room.begin_again();
        let before = current(state, name, room).await?;
        let base = before.as_ref().map(|found| found.repository.timestamp);
        match attempt(state, access, grant, name, files, before).await {
            Err(NativeError::Conflict) => {}
            // The signer refuses a version below one that somebody else's publish had meanwhile.
            Err(reason @ NativeError::Service(ServiceError::Signing(SigningError::Refused(_)))) => {
                let gun = name.gun().clone();
                let now = state
                    .with_store(move |store| store.native_repository(&gun))
                    .await?;
                if now.map(|found| found.timestamp) == base {
                    return Err(reason);
                }
            }
            outcome => return outcome,
        }
    }
    Err(NativeError::Conflict)
}

async fn attempt(
    state: &State,
    access: &Access,
    grant: &Grant<Publish>,
    name: &RepositoryName,
    files: &[Metadata],
    before: Option<Current>,
) -> Result<Published, NativeError> {
    let newest_root = files
        .iter()
        .filter(|file| *file.role() == Role::Root)
        .max_by_key(|file| file.version());
    let (base, trusted, is_deleted) = match before {
        None => (None, Trusted::default(), false),
        Some(ref before) => (
            Some(before.repository.timestamp),
            before.trusted.clone(),
            before.repository.deleted_at.is_some(),
        ),
    };
    if is_deleted && newest_root.is_none() {
        return Err(NativeError::Deleted);
    }
    if base.is_none() || is_deleted {
        access.check_init(grant)?;
    }
    let root = newest_root.or(trusted.root.as_ref()).ok_or(Refusal::NoRoot)?;
    let seals = Seals::named(state, name, |role| listed(root, role)).await?;
    let checked = {
        let (trusted, files, online) = (trusted.clone(), files.to_vec(), seals.public());
        let (limits, now) = (limits(state), state.clock.now());
        web::block(move || tuf_native::check(&trusted, files, &online, &limits, now))
            .await
            .map_err(|_| ServiceError::Stopping)??
    };
    let size = checked.current_targets().iter().map(Metadata::length).sum();
    if size > REPOSITORY_LIMIT {
        return Err(NativeError::RepositoryTooLarge(size));
    }
    own_key::check(state, grant, &checked).await?;
    let expires = state.clock.now() + lifetimes(state)?.snapshot;
    let [snapshot, timestamp] = seals
        .sign(
            state,
            name,
            (&trusted, checked.root()),
            checked.snapshot(expires)?,
        )
        .await?;
    let published: Vec<(Role, i32)> = checked
        .new()
        .iter()
        .map(|file| (file.role().clone(), file.version().get()))
        .collect();
    let dropped = checked.dropped().to_vec();
    let (versions, expires_at) = (
        (snapshot.version().get(), timestamp.version().get()),
        snapshot.expires().min(timestamp.expires()),
    );
    let named_keys = match newest_root {
        Some(_) => vec![
            seals.snapshot.held.id().clone(),
            seals.timestamp.held.id().clone(),
        ],
        None => Vec::new(),
    };
    let (store, gun, actor, now) = (
        state.store.clone(),
        name.gun().clone(),
        grant.principal().actor(),
        state.clock.now(),
    );
    let committed = web::block(move || {
        let files: Vec<_> = checked
            .new()
            .iter()
            .chain([&snapshot, &timestamp])
            .map(stored)
            .collect();
        let finished: Vec<String> = checked
            .new()
            .iter()
            .map(|file| file.role().as_str().to_owned())
            .collect();
        let change = NativeChange {
            base,
            files: &files,
            timestamp: versions.1,
            snapshot: versions.0,
            expires_at,
            named_keys,
            finished: &finished,
            action: "tuf.publish",
        };
        store.commit_native(&gun, &change, &actor, now)
    })
    .await
    .map_err(|_| ServiceError::Stopping)?
    .map_err(|cause| match cause {
        CommitError::Conflict => NativeError::Conflict,
        CommitError::Store(cause) => ServiceError::from(cause).into(),
    })?;
    tracing::info!(
        repo.name = %name, principal = grant.principal().name(), timestamp = versions.1, "published to a TUF repository"
    );
    Ok(Published {
        committed,
        files: published,
        snapshot: versions.0,
        timestamp: versions.1,
        dropped,
    })
}

/// How far a publish may go.
pub(super) fn limits(state: &State) -> Limits {
    Limits {
        max_version_jump: state.config.version_step,
        ..Limits::default()
    }
}
