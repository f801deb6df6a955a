//! Fetching the lists of CAs in the background, and keeping them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix_web::web;
use chrono::Utc;
use openssl::sha::sha256;
use reqwest::{StatusCode, header};
use tokio::time::Instant;

use super::{Revocation, crl::checked, crl_set::check_succession};
use crate::{app::State, telemetry::metrics};

/// How often the fetcher looks whether a list is due.
const LOOK: Duration = Duration::from_secs(1);
/// A list that could not be fetched is tried again after this time.
const RETRY: Duration = Duration::from_secs(30);
/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest list that is taken, in bytes: those of large public CAs have about 10 MB.
const SIZE_LIMIT: usize = 64 * 1024 * 1024;

/// The file that the list of a URL is kept in.
pub(super) fn kept_as(directory: &Path, url: &str) -> PathBuf {
    directory.join(format!("{}.crl", hex::encode(sha256(url.as_bytes()))))
}

/// What is known of a URL.
struct Source {
    etag: Option<String>,
    due: Instant,
}

/// Fetches every configured list when it is due, for as long as the server runs.
pub async fn follow(state: web::Data<State>) {
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::limited(3))
        .build();
    let client = match client {
        Ok(client) => client,
        Err(cause) => {
            tracing::error!(%cause, "revocation lists cannot be fetched");
            return;
        }
    };
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let revocation = Arc::clone(&state.generation.load().revocation);
        let Some(settings) = &revocation.settings.crl else {
            continue;
        };
        sources.retain(|url, _| settings.urls.contains(url));
        for url in &settings.urls {
            let source = sources.entry(url.clone()).or_insert_with(|| Source {
                etag: None,
                due: Instant::now(),
            });
            if source.due > Instant::now() {
                continue;
            }
            let outcome = revocation.fetch(&client, url, source).await;
            // A reload meanwhile may have read what was kept before.
            let current = Arc::clone(&state.generation.load().revocation);
            if outcome == Ok(true) && !Arc::ptr_eq(&current, &revocation) {
                current.read_lists_again();
            }
            let fetched = outcome.is_ok();
            source.due = Instant::now();
            match outcome {
                Ok(new) => {
                    source.due += settings.every;
                    if new {
                        tracing::info!(url, "took up a revocation list");
                    }
                }
                Err(reason) => {
                    source.due += RETRY.min(settings.every);
                    tracing::error!(
                        url,
                        reason,
                        "a revocation list could not be fetched; the last one stays"
                    );
                }
            }
            // Last, so that whoever sees it counted finds the rest.
            metrics::crl_fetched(fetched);
        }
    }
}

impl Revocation {
    /// Fetches a list, checks it, keeps it and takes it up; false if it is still the same.
    async fn fetch(&self, client: &reqwest::Client, url: &str, source: &mut Source) -> Result<bool, String> {
        let Some(settings) = &self.settings.crl else {
            return Ok(false);
        };
        let Some(directory) = &settings.kept else {
            return Ok(false);
        };
        let path = kept_as(directory, url);
        let mut request = client.get(url);
        if let Some(etag) = source.etag.as_ref().filter(|_| path.exists()) {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(|cause| chain(&cause))?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(false);
        }
        if response.status() != StatusCode::OK {
            return Err(format!("the answer is {}", response.status()));
        }
        let etag = response
            .headers()
            .get(header::ETAG)
            .and_then(|value| value.to_str().ok().map(str::to_owned));
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|cause| chain(&cause))? {
            body.extend_from_slice(&part);
            if body.len() > SIZE_LIMIT {
                return Err(format!("it is larger than {SIZE_LIMIT} bytes"));
            }
        }
        let lists = checked(&body, &self.issuers)?;
        let kept = std::fs::read(&path).ok();
        // One that is damaged, or not of the CAs of the day, protects nothing.
        let kept = kept.and_then(|kept| checked(&kept, &self.issuers).ok());
        check_succession(&lists, &kept.unwrap_or_default(), Utc::now())?;
        keep(&path, &body).map_err(|cause| format!("it cannot be kept as {}: {cause}", path.display()))?;
        self.read_lists_again();
        source.etag = etag;
        Ok(true)
    }

    fn read_lists_again(&self) {
        if let Some(settings) = &self.settings.crl {
            let set = self.crls.load().with_fetched(settings, &self.issuers);
            self.crls.store(Arc::new(set));
        }
    }
}

/// Whole or not at all, also when the power fails.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    std::fs::File::open(directory)?.sync_all()
}

/// An error with its causes, which say what really happened.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
