//! Fetches the revocation lists of CAs when they are due.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::{
    generation::Generation,
    revocation::{FetchedList, ListSource, fetch_client},
    telemetry::metrics,
};

/// How often the task checks whether a list is due.
const LOOK: Duration = Duration::from_secs(1);
/// The time after which a failed fetch is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// One configured URL, and when it is due.
struct Due {
    source: ListSource,
    at: Instant,
}

/// Fetches every configured list when it is due, for as long as the server runs.
pub async fn run(generation: Arc<ArcSwap<Generation>>) {
    // Made when it is needed first: it reads all CAs of the system, which takes longer than the rest of a start.
    let mut made = None;
    let mut lists: BTreeMap<String, Due> = BTreeMap::new();
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let revocation = Arc::clone(&generation.load().revocation);
        let Some(settings) = revocation.crl_settings() else {
            continue;
        };
        lists.retain(|url, _| settings.urls.contains(url));
        for url in &settings.urls {
            let list = lists.entry(url.clone()).or_insert_with(|| Due {
                source: ListSource::default(),
                at: Instant::now(),
            });
            if list.at > Instant::now() {
                continue;
            }
            if made.is_none() {
                match fetch_client() {
                    Ok(client) => made = Some(client),
                    Err(cause) => {
                        tracing::error!(%cause, "revocation lists cannot be fetched");
                        return;
                    }
                }
            }
            let Some(client) = &made else {
                continue;
            };
            let outcome = revocation.fetch(client, url, &mut list.source).await;
            // A reload may meanwhile have read what an earlier fetch stored.
            let current = Arc::clone(&generation.load().revocation);
            if outcome == Ok(FetchedList::New) && !Arc::ptr_eq(&current, &revocation) {
                current.read_lists_again();
            }
            let fetched = outcome.is_ok();
            list.at = Instant::now();
            match outcome {
                Ok(fetched) => {
                    list.at += settings.every;
                    if fetched == FetchedList::New {
                        tracing::info!(url, "took up a revocation list");
                    }
                }
                Err(reason) => {
                    list.at += RETRY.min(settings.every);
                    tracing::error!(
                        url,
                        reason,
                        "a revocation list could not be fetched; the last one stays"
                    );
                }
            }
            // Counted last, so that a reader who sees the count sees its effects as well.
            metrics::crl_fetched(fetched);
        }
    }
}
