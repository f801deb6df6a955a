//! Fetches and stores the revocation list of a CA.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use openssl::sha::sha256;
use reqwest::{StatusCode, header};

use super::{Revocation, crl::checked, crl_set::check_succession};

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest list accepted, in bytes; those of large public CAs have about 10 MB.
const SIZE_LIMIT: usize = 64 * 1024 * 1024;

/// The file in which the list from a URL is stored.
pub(super) fn kept_as(directory: &Path, url: &str) -> PathBuf {
    directory.join(format!("{}.crl", hex::encode(sha256(url.as_bytes()))))
}

/// The source of one fetched list.
#[derive(Debug, Default)]
pub struct ListSource {
    etag: Option<String>,
}

/// The outcome of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchedList {
    /// A new list, which is now in use.
    New,
    /// The same list as before.
    Same,
}

/// The HTTP client for fetching lists.
///
/// # Errors
/// When it cannot be made.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::limited(3))
        .build()
}

impl Revocation {
    /// Fetches a list, checks it, stores it in its directory and puts it to use.
    ///
    /// # Errors
    /// Why it could not be fetched or was refused, in words; the previous list stays in use.
    pub async fn fetch(
        &self,
        client: &reqwest::Client,
        url: &str,
        source: &mut ListSource,
    ) -> Result<FetchedList, String> {
        let Some(settings) = &self.settings.crl else {
            return Ok(FetchedList::Same);
        };
        let Some(directory) = &settings.kept else {
            return Ok(FetchedList::Same);
        };
        let path = kept_as(directory, url);
        let mut request = client.get(url);
        if let Some(etag) = source.etag.as_ref().filter(|_| path.exists()) {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(|cause| chain(&cause))?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(FetchedList::Same);
        }
        if response.status() != StatusCode::OK {
            return Err(format!("the server answered {}", response.status()));
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
        // A stored list that is damaged, or not signed by a current CA, need not be preserved.
        let kept = kept.and_then(|kept| checked(&kept, &self.issuers).ok());
        check_succession(&lists, &kept.unwrap_or_default(), self.clock.now())?;
        keep(&path, &body).map_err(|cause| format!("it cannot be stored as {}: {cause}", path.display()))?;
        self.read_lists_again();
        source.etag = etag;
        Ok(FetchedList::New)
    }

    /// Reads the stored lists again, because another generation may have replaced them meanwhile.
    pub fn read_lists_again(&self) {
        if let Some(settings) = &self.settings.crl {
            let set = self.crls.load().with_fetched(settings, &self.issuers);
            self.crls.store(Arc::new(set));
        }
    }
}

/// Writes the file atomically and durably, so that a power failure leaves no partial file.
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

/// The text of an error and all its causes; the cause usually says what really happened.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
