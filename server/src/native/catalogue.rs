//! A line about every TUF 1.0 repository, for pages that list them. A repository is read again when its timestamp has
//! another version than when it was read last, which every change raises.

use std::sync::Arc;

use tuf_native::RepositoryName;

use super::{NativeError, Room, current};
use crate::{
    confirmed::native::{Line, Summary},
    state::{ServiceError, State},
    store::Store,
};

/// As many repositories are read while somebody waits. More of them are read in the background.
const AT_ONCE: usize = 20;

/// The lines of all repositories as of now, by name, and how many repositories are still to be read.
///
/// # Errors
/// When the database fails.
pub async fn lines(state: &State) -> Result<(Vec<Line>, usize), ServiceError> {
    let there = state.with_store(Store::native_versions).await?;
    let (mut lines, missing) = state.native_lines.of(there);
    if missing.len() > AT_ONCE {
        state.native_lines.wanted.notify_one();
        return Ok((lines, missing.len()));
    }
    for (name, timestamp) in missing {
        lines.extend(read(state, name, timestamp).await?);
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((lines, 0))
}

/// Reads what is missing, whenever somebody wants to see it, for as long as the server runs.
pub async fn keep(state: &State) {
    loop {
        state.native_lines.wanted.notified().await;
        if let Err(reason) = read_missing(state).await {
            tracing::warn!(%reason, "the TUF repositories cannot be read for the pages that list them");
        }
    }
}

async fn read_missing(state: &State) -> Result<(), ServiceError> {
    let there = state.with_store(Store::native_versions).await?;
    let (_, missing) = state.native_lines.of(there);
    for (name, timestamp) in missing {
        read(state, name, timestamp).await?;
    }
    Ok(())
}

/// Reads a repository, and keeps its line; `None` if it is gone, or there is no memory for it now.
async fn read(state: &State, name: String, timestamp: i32) -> Result<Option<Line>, ServiceError> {
    let line = try_to_read(state, name, timestamp).await?;
    if let Some(line) = &line {
        state.native_lines.keep(line.clone());
    }
    Ok(line)
}

async fn try_to_read(state: &State, name: String, timestamp: i32) -> Result<Option<Line>, ServiceError> {
    let line = |timestamp, summary| Line {
        name: name.clone(),
        timestamp,
        summary: Arc::new(summary),
    };
    let parsed = match RepositoryName::parse(&name) {
        Ok(parsed) => parsed,
        Err(reason) => return Ok(Some(line(timestamp, Summary::unreadable(reason.to_string())))),
    };
    let mut room = match Room::new(state).await {
        Ok(room) => room,
        Err(_) => return Ok(None),
    };
    match current(state, &parsed, &mut room).await {
        Ok(Some(found)) => {
            let timestamp = found.repository.timestamp;
            // Signatures are verified.
            let summary = actix_web::web::block(move || Summary::of(&found.trusted)).await;
            Ok(Some(line(
                timestamp,
                summary.map_err(|_| ServiceError::Stopping)?,
            )))
        }
        Ok(None) | Err(NativeError::NoMemory) => Ok(None),
        Err(NativeError::Service(cause)) if cause.is_outage() => Err(cause),
        Err(other) => Ok(Some(line(timestamp, Summary::unreadable(other.to_string())))),
    }
}
