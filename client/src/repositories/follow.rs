//! Reads a repository again when its server says that something happened (`docs/events.md`). Events are news, not proofs:
//! nothing of them is used but that there was one.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use tuf::Gun;
use verifier::Anchor;

use super::{Demand, Repositories};
use crate::reading::has_address;
use crate::server::Server;

/// How long is waited before following again, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long reading after an event is waited for.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// A repository that is read again with every event, for as long as this is kept.
#[derive(Debug)]
pub struct Following {
    task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    /// Whether it is still followed. It is not if the server has no events.
    pub fn is_active(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Repositories {
    /// Follows the events of a repository, so that what is in memory is what the server has. `None` if too many of the
    /// server's repositories are followed already: it is read now and then when it is asked for, as every other one.
    pub fn follow(&self, server: &Arc<Server>, gun: &Gun, anchor: &Anchor) -> Option<Following> {
        let place = Arc::clone(&server.followers).try_acquire_owned().ok()?;
        let (repositories, server) = (self.clone(), Arc::clone(server));
        let (gun, anchor) = (gun.clone(), anchor.clone());
        let task = tokio::spawn(async move {
            let _place = place;
            repositories.keep_up(&server, &gun, &anchor).await;
        });
        Some(Following { task })
    }

    async fn keep_up(&self, server: &Arc<Server>, gun: &Gun, anchor: &Anchor) {
        if !has_address(gun) {
            return;
        }
        let address = server.address(gun, ["events"]);
        let mut pause = PAUSE;
        loop {
            match server.stream(gun, &address).await {
                Ok(None) => {
                    tracing::debug!(%gun, server = server.label(), "the server has no events");
                    return;
                }
                Ok(Some(mut stream)) => {
                    // Whatever happened before is not told.
                    self.current(server, gun, anchor, Demand::now(READ_LIMIT)).await;
                    pause = PAUSE;
                    let mut events = Events::default();
                    while let Ok(Some(piece)) = stream.chunk().await {
                        if events.any(&piece) {
                            self.current(server, gun, anchor, Demand::now(READ_LIMIT)).await;
                        }
                    }
                }
                Err(cause) => {
                    tracing::debug!(%gun, %cause, "following events failed");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Finds events in a stream: a field `data` at the beginning of a line (HTML standard, section 9.2). Nothing of the lines
/// is kept, however long they are.
struct Events {
    /// How much of the name of the field the current line has so far; `None` if it is another line.
    matched: Option<usize>,
}

impl Default for Events {
    fn default() -> Self {
        Self { matched: Some(0) }
    }
}

impl Events {
    /// Whether an event begins in the next piece of a stream.
    fn any(&mut self, piece: &[u8]) -> bool {
        const FIELD: &[u8] = b"data:";
        let mut found = false;
        for byte in piece {
            self.matched = match (byte, self.matched) {
                (b'\n' | b'\r', _) => Some(0),
                (byte, Some(matched)) if FIELD.get(matched) == Some(byte) => {
                    found |= matched + 1 == FIELD.len();
                    Some(matched + 1)
                }
                _ => None,
            };
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_pieces_end() {
        let stream = b": comment data: x\n\nid: 1\nevent: published\ndata: {\"data:\": 1}\n\n:data:\n";
        for length in 1..stream.len() {
            let mut events = Events::default();
            let found = stream.chunks(length).filter(|piece| events.any(piece)).count();
            assert_eq!(found, 1, "{length}");
        }
    }
}
