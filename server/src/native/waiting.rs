//! Metadata that waits for signatures, so that several people sign without mailing files.

use std::collections::BTreeMap;

use actix_web::web;
use bytes::Bytes;
use tuf_native::{Draft, Refusal, RepositoryName, Role, Standing, Trusted};

use super::{Current, NativeError, REPOSITORY_LIMIT, Room, current, listed, publish::limits, seal::Seals};
use crate::{
    identity::Principal,
    state::{ServiceError, State},
    store::CommitError,
};

/// How often signatures are added again because somebody else added theirs meanwhile.
const ATTEMPTS: usize = 8;

/// A file that waits for signatures, and how far it is.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The file with the signatures so far.
    pub draft: Draft,
    /// Who signed, and who is missing.
    pub standing: Standing,
}

/// What waits in a repository.
///
/// # Errors
/// When the database fails, or there is no memory for it.
pub async fn waiting(
    state: &State,
    name: &RepositoryName,
    room: &mut Room,
) -> Result<Vec<Waiting>, NativeError> {
    let found = current(state, name, room).await?;
    let trusted = found
        .as_ref()
        .map(|found| found.trusted.clone())
        .unwrap_or_default();
    let drafts = drafts(state, name, room).await?;
    Ok(stand(&trusted, drafts.into_values().collect()))
}

fn stand(trusted: &Trusted, drafts: Vec<Draft>) -> Vec<Waiting> {
    let standings: Vec<Standing> = drafts
        .iter()
        .map(|draft| draft.standing(trusted, &drafts))
        .collect();
    let both = drafts.into_iter().zip(standings);
    both.map(|(draft, standing)| Waiting { draft, standing })
        .collect()
}

/// What waits, by role. What cannot be read any more is left out.
async fn drafts(
    state: &State,
    name: &RepositoryName,
    room: &mut Room,
) -> Result<BTreeMap<Role, Draft>, NativeError> {
    let gun = name.gun().clone();
    let stored = state.with_store(move |store| store.native_drafts(&gun)).await?;
    room.more(stored.iter().map(|(_, bytes)| bytes.len()).sum())
        .await?;
    let read = |(role, bytes): (String, Vec<u8>)| {
        let role = Role::parse(&role).ok()?;
        let draft = Draft::parse(&role, Bytes::from(bytes)).ok()?;
        Some((role, draft))
    };
    Ok(stored.into_iter().filter_map(read).collect())
}

/// Adds files to what waits for signatures: a new one is opened, the signatures of one that waits are united with it.
///
/// # Errors
/// When a file is refused, or the database or the signer fails. Those before it were added.
pub async fn add(
    state: &State,
    principal: &Principal,
    name: &RepositoryName,
    files: Vec<Draft>,
    room: &mut Room,
) -> Result<Vec<Waiting>, NativeError> {
    for file in &files {
        file.check_repository(name)?;
    }
    for _ in 0..ATTEMPTS {
        room.begin_again();
        match try_to_add(state, principal, name, &files, room).await {
            Err(NativeError::Conflict) => {}
            outcome => return outcome,
        }
    }
    Err(NativeError::Conflict)
}

async fn try_to_add(
    state: &State,
    principal: &Principal,
    name: &RepositoryName,
    files: &[Draft],
    room: &mut Room,
) -> Result<Vec<Waiting>, NativeError> {
    let found = current(state, name, room).await?;
    let trusted = match &found {
        Some(Current { repository, .. })
            if repository.deleted_at.is_some() && !files.iter().any(|file| *file.role() == Role::Root) =>
        {
            return Err(NativeError::Deleted);
        }
        Some(found) => found.trusted.clone(),
        None => Trusted::default(),
    };
    let stored = drafts(state, name, room).await?;
    // As everything will wait: a root that is added decides about targets that are added with it.
    let mut after = stored.clone();
    for file in files {
        let united = match stored.get(file.role()) {
            Some(there) => there.merge(file)?,
            None => file.clone(),
        };
        after.insert(file.role().clone(), united);
    }
    let size = after.values().map(|draft| draft.bytes().len()).sum();
    if size > REPOSITORY_LIMIT {
        return Err(NativeError::RepositoryTooLarge(size));
    }
    let seals = match (after.get(&Role::Root), &trusted.root) {
        (Some(coming), _) => Seals::named(state, name, |role| listed(coming.metadata(), role)).await?,
        (None, Some(root)) => Seals::named(state, name, |role| listed(root, role)).await?,
        (None, None) => return Err(Refusal::NoRoot.into()),
    };
    let beside: Vec<Draft> = after.values().cloned().collect();
    for file in files {
        let united = after.get(file.role()).unwrap_or(file);
        united.check(
            &trusted,
            &beside,
            &seals.public(),
            &limits(state),
            state.clock.now(),
        )?;
    }
    for file in files {
        let (role, before) = (file.role().clone(), stored.get(file.role()));
        let united = after.get(&role).unwrap_or(file).bytes().clone();
        let before = before.map(|draft| draft.bytes().clone());
        if before.as_ref() == Some(&united) {
            continue;
        }
        let (store, gun, actor, now) = (
            state.store.clone(),
            name.gun().clone(),
            principal.actor(),
            state.clock.now(),
        );
        let outcome = web::block(move || {
            store.put_native_draft(&gun, (role.as_str(), before.as_deref(), &united), &actor, now)
        })
        .await
        .map_err(|_| ServiceError::Stopping)?;
        match outcome {
            Ok(_) => {}
            Err(CommitError::Conflict) => return Err(NativeError::Conflict),
            Err(CommitError::Store(cause)) => return Err(ServiceError::from(cause).into()),
        }
    }
    Ok(stand(&trusted, after.into_values().collect()))
}

/// Removes a file that waits; false if none of this role does.
///
/// # Errors
/// When the database fails.
pub async fn withdraw(
    state: &State,
    principal: &Principal,
    name: &RepositoryName,
    role: &Role,
) -> Result<bool, NativeError> {
    let (gun, role, actor, now) = (
        name.gun().clone(),
        role.clone(),
        principal.actor(),
        state.clock.now(),
    );
    Ok(state
        .with_store(move |store| store.drop_native_draft(&gun, role.as_str(), &actor, now))
        .await?)
}
