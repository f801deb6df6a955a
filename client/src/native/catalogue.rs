//! Which Notary repositories a server has.

use reqwest::StatusCode;
use serde::Deserialize;
use tuf::Gun;
use tuf_native::RepositoryName;

use crate::failure::ReadError;
use crate::server::{Access, Server};

/// How many repositories are asked for at a time.
const PAGE: &str = "200";
/// The longest page, in bytes.
const PAGE_LIMIT: u64 = 4 << 20;

/// How many repositories are listed at most: a list that never ends is none.
const MAX_REPOSITORIES: usize = 1_000_000;

#[derive(Deserialize)]
struct Page {
    repositories: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    gun: String,
}

impl Server {
    /// The names of all Notary repositories that whoever asks may see, in their order; `None` if the server lists none.
    /// `asking` is the repository for which a token is asked, where the server demands one.
    ///
    /// # Errors
    /// When the server refuses, cannot be reached, or answers otherwise.
    pub async fn notary_repositories(&self, asking: &RepositoryName) -> Result<Option<Vec<Gun>>, ReadError> {
        let mut all: Vec<Gun> = Vec::new();
        let mut start: Option<String> = None;
        loop {
            let mut address = self.interface_address(["repositories"]);
            address.query_pairs_mut().append_pair("pageSize", PAGE);
            if let Some(start) = &start {
                address.query_pairs_mut().append_pair("pageStart", start);
            }
            let answer = self
                .exchange(
                    asking.gun(),
                    Access::Pull,
                    "the list of repositories",
                    PAGE_LIMIT,
                    |client| client.get(address.clone()),
                )
                .await?;
            match answer.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND if start.is_none() => return Ok(None),
                status if status.is_client_error() => return Err(self.rejection(&answer)),
                _ => return Err(self.unexpected(&answer)),
            }
            let malformed = |what: String| ReadError::Malformed {
                server: self.label().to_owned(),
                what,
            };
            let page: Page = serde_json::from_slice(&answer.body)
                .map_err(|cause| malformed(format!("its list of repositories cannot be read: {cause}")))?;
            for listed in &page.repositories {
                let gun = Gun::parse(&listed.gun).map_err(|cause| {
                    malformed(format!("it lists the repository {:?}: {cause}", listed.gun))
                })?;
                all.push(gun);
            }
            if all.len() > MAX_REPOSITORIES {
                return Err(malformed(format!(
                    "it lists more than {MAX_REPOSITORIES} repositories"
                )));
            }
            match answer.next_page {
                Some(next) if start.as_ref() != Some(&next) && !page.repositories.is_empty() => {
                    start = Some(next)
                }
                Some(_) => return Err(malformed("its list of repositories does not go on".to_owned())),
                None => return Ok(Some(all)),
            }
        }
    }
}
