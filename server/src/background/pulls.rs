//! Stores how often repositories were pulled.

use std::time::Duration;

use crate::{state::with_store, store::Store};

/// How often it is stored; a crash loses the pulls of that time.
const INTERVAL: Duration = Duration::from_secs(10);

/// Stores what was counted, round after round, for as long as the server runs.
pub async fn run(store: Store) {
    let mut rounds = tokio::time::interval(INTERVAL);
    loop {
        rounds.tick().await;
        store_now(&store).await;
    }
}

/// Stores what was counted.
pub async fn store_now(store: &Store) {
    if let Err(reason) = with_store(store, Store::store_pulls).await {
        tracing::warn!(%reason, "the pulls of repositories could not be stored; the next round tries again");
    }
}
