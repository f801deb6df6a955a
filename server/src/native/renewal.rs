//! Renews the timestamps and snapshots of TUF 1.0 repositories before they expire.

use actix_web::web;
use chrono::TimeDelta;
use tuf_native::RepositoryName;

use super::{
    NativeError, Room, current, listed,
    seal::{Seals, lifetimes},
    stored,
};
use crate::{
    state::{ServiceError, State},
    store::{Actor, CommitError, NativeChange, SERVER},
};

/// How many names are read at a time.
const PAGE: u32 = 100;
/// How long a server keeps other servers from renewing a repository that it is renewing.
const LEASE: TimeDelta = TimeDelta::minutes(2);

/// Renews what has passed half of its life. Returns how many repositories were renewed, and for how many that failed.
///
/// # Errors
/// When the database does not answer.
pub async fn renew_due(state: &State, holder: &str) -> Result<(u32, u32), NativeError> {
    let within = lifetimes(state)?.timestamp / 2;
    let (mut after, mut renewed, mut failed) = (String::new(), 0, 0);
    loop {
        let (end, from) = (state.clock.now() + within, after.clone());
        let names = state
            .with_store(move |store| store.native_expiring(end, &from, PAGE))
            .await?;
        let Some(last) = names.last() else {
            return Ok((renewed, failed));
        };
        after.clone_from(last);
        for name in names {
            let Ok(name) = RepositoryName::parse(&name) else {
                continue;
            };
            let (kept, holder, now) = (name.gun().of_tuf_1(), holder.to_owned(), state.clock.now());
            let ours = state
                .with_store(move |store| store.take_lease(kept.as_str(), &holder, now, now + LEASE))
                .await?;
            if !ours {
                continue;
            }
            match renew(state, &name, within).await {
                Ok(true) => renewed += 1,
                Ok(false) => {}
                Err(reason) => {
                    failed += 1;
                    tracing::warn!(repo.name = %name, %reason, "a TUF repository could not be renewed");
                    if matches!(&reason, NativeError::Service(cause) if cause.is_outage()) {
                        return Err(reason);
                    }
                }
            }
        }
    }
}

/// Renews the timestamp of a repository if it expires within this time, and the snapshot if half of its life is over.
/// Returns false if there was nothing to do.
///
/// # Errors
/// When the database or the signer fails.
pub async fn renew(state: &State, name: &RepositoryName, within: TimeDelta) -> Result<bool, NativeError> {
    let mut room = Room::new(state).await?;
    let Some(before) = current(state, name, &mut room).await? else {
        return Ok(false);
    };
    let (now, lifetimes) = (state.clock.now(), lifetimes(state)?);
    let trusted = before.trusted.clone();
    let (Some(root), Some(snapshot), Some(timestamp)) =
        (&trusted.root, &trusted.snapshot, &trusted.timestamp)
    else {
        return Ok(false);
    };
    if before.repository.deleted_at.is_some() || timestamp.expires().min(snapshot.expires()) > now + within {
        return Ok(false);
    }
    let seals = Seals::named(state, name, |role| listed(root, role)).await?;
    let new_snapshot = snapshot.expires() <= now + lifetimes.snapshot / 2;
    let files = if new_snapshot {
        let unsigned = tuf_native::renewed_snapshot(&trusted, now + lifetimes.snapshot)?;
        seals
            .sign(state, name, (&trusted, root), unsigned)
            .await?
            .to_vec()
    } else {
        vec![
            seals
                .sign_timestamp(state, name, (&trusted, root), snapshot)
                .await?,
        ]
    };
    let (Some(timestamp), current_snapshot) = (files.last(), files.first().filter(|_| new_snapshot)) else {
        return Ok(false);
    };
    let current_snapshot = current_snapshot.unwrap_or(snapshot);
    let (timestamp_version, snapshot_version) = (timestamp.version().get(), current_snapshot.version().get());
    let expires_at = timestamp.expires().min(current_snapshot.expires());
    let (store, gun, base) = (
        state.store.clone(),
        name.gun().clone(),
        before.repository.timestamp,
    );
    let outcome = web::block(move || {
        let files: Vec<_> = files.iter().map(stored).collect();
        let actor = Actor {
            principal: SERVER.to_owned(),
            ..Actor::default()
        };
        let change = NativeChange {
            base: Some(base),
            files: &files,
            timestamp: timestamp_version,
            snapshot: snapshot_version,
            expires_at,
            named_keys: Vec::new(),
            finished: &[],
            action: "tuf.renew",
        };
        store.commit_native(&gun, &change, &actor, now)
    })
    .await
    .map_err(|_| ServiceError::Stopping)?;
    match outcome {
        Ok(_) => {
            tracing::info!(repo.name = %name, "renewed a TUF repository");
            Ok(true)
        }
        // Whoever came first has made a new timestamp.
        Err(CommitError::Conflict) => Ok(true),
        Err(CommitError::Store(cause)) => Err(ServiceError::from(cause).into()),
    }
}
