//! Fetching the list of a CA, and keeping it.

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
/// The largest list that is taken, in bytes: those of large public CAs have about 10 MB.
const SIZE_LIMIT: usize = 64 * 1024 * 1024;

/// The file that the list of a URL is kept in.
pub(super) fn kept_as(directory: &Path, url: &str) -> PathBuf {
    directory.join(format!("{}.crl", hex::encode(sha256(url.as_bytes()))))
}

/// A list at a URL, as it was last fetched.
#[derive(Debug, Default)]
pub struct ListSource {
    etag: Option<String>,
}

/// What a fetch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchedList {
    /// Another list than before, now in use.
    New,
    /// The list that is in use already.
    Same,
}

/// The HTTP client that lists are fetched with.
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
    /// Fetches a list, checks it, keeps it in its directory and uses it from now on.
    ///
    /// # Errors
    /// Why it could not be fetched or is not taken, in words; the list that is in use stays.
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
        check_succession(&lists, &kept.unwrap_or_default(), self.clock.now())?;
        keep(&path, &body).map_err(|cause| format!("it cannot be kept as {}: {cause}", path.display()))?;
        self.read_lists_again();
        source.etag = etag;
        Ok(FetchedList::New)
    }

    /// Reads the fetched lists again, which another generation may have replaced meanwhile.
    pub fn read_lists_again(&self) {
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
