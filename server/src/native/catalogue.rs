//! A line about every TUF 1.0 repository, for pages that list them. A repository is read again when its timestamp has
//! another version than when it was read last, which every change raises.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tuf_native::RepositoryName;

use super::{NativeError, Room, current};
use crate::{
    confirmed::native::{Line, Summary},
    state::{ServiceError, State},
    store::Store,
};

/// How long one refresh reads repositories. The next one goes on where it ended.
const READING: Duration = Duration::from_millis(500);

/// The lines of all repositories as of now, by name, and how many repositories are still to be read.
///
/// # Errors
/// When the database fails.
pub async fn lines(state: &State) -> Result<(Vec<Line>, usize), ServiceError> {
    let mut known = state.native_lines.lock().await;
    // Asked while nobody else refreshes: otherwise an older answer could undo a newer one.
    let there = state.with_store(Store::native_versions).await?;
    let mut before = std::mem::take(&mut *known);
    let started = Instant::now();
    let mut left = 0;
    for (name, timestamp) in there {
        if let Some(line) = before.remove(&name).filter(|line| line.timestamp == timestamp) {
            known.insert(name, line);
        } else if started.elapsed() > READING {
            left += 1;
        } else if let Some(line) = read(state, name, timestamp).await? {
            known.insert(line.name.clone(), line);
        }
    }
    Ok((known.values().cloned().collect(), left))
}

/// Reads a repository; `None` if it is gone, or there is no memory for it now.
async fn read(state: &State, name: String, timestamp: i32) -> Result<Option<Line>, ServiceError> {
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
        Err(NativeError::Service(cause)) => Err(cause),
        Err(other) => Ok(Some(line(timestamp, Summary::unreadable(other.to_string())))),
    }
}
