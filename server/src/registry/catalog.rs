//! The list of repositories, with those left out that its reader may not see. Not even the name at which a page goes on
//! is one of them.

use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{Asked, Gateway, Refusal};

/// How many entries a page has if its reader does not say.
const PAGE: usize = 100;
/// How many entries the registry is asked for at a time, unless the reader wants more; more than 1000 are refused by some.
const AT_ONCE: usize = 500;
const MOST: usize = 1000;
/// The largest page, in bytes.
const LIMIT: usize = 4 * 1024 * 1024;
/// How many pages of the registry are read for one.
const PAGES: usize = 1000;

/// A page of the list.
#[derive(Debug, Serialize)]
pub struct Page {
    repositories: Vec<String>,
    /// Where the next page begins, if there is one: after this name.
    #[serde(skip)]
    pub next: Option<String>,
    /// How many entries a page has.
    #[serde(skip)]
    pub size: usize,
}

#[derive(Deserialize)]
struct Listed {
    repositories: Option<Vec<String>>,
}

impl Gateway {
    /// A page of the repositories that `shows` lets through, with at most `n` entries, from after `last` on.
    ///
    /// # Errors
    /// When `n` is no number, or the registry does not list its repositories.
    pub async fn catalog(
        &self,
        n: Option<&str>,
        last: Option<String>,
        shows: impl Fn(&str) -> bool,
    ) -> Result<Page, Refusal> {
        let size = match n {
            None => PAGE,
            Some(text) => text
                .parse::<usize>()
                .map_err(|_| Refusal::PageSize(text.chars().take(40).collect()))?
                .min(MOST),
        };
        if size == 0 {
            return Ok(Page {
                repositories: Vec::new(),
                next: None,
                size,
            });
        }
        timeout(self.upstream().answer_timeout(), self.filled(size, last, shows))
            .await
            .map_err(|_| Refusal::Slow("list its repositories"))?
    }

    async fn filled(
        &self,
        size: usize,
        mut last: Option<String>,
        shows: impl Fn(&str) -> bool,
    ) -> Result<Page, Refusal> {
        let mut shown = Vec::new();
        let at_once = size.clamp(AT_ONCE, MOST);
        for _ in 0..PAGES {
            let (listed, more) = self.listed(at_once, last.as_deref()).await?;
            last = listed.last().cloned();
            shown.extend(listed.into_iter().filter(|name| shows(name)));
            if shown.len() > size {
                shown.truncate(size);
                return Ok(Page {
                    next: shown.last().cloned(),
                    repositories: shown,
                    size,
                });
            }
            if !more || last.is_none() {
                return Ok(Page {
                    repositories: shown,
                    next: None,
                    size,
                });
            }
        }
        Err(Refusal::Unusable(
            "its list of repositories does not end".to_owned(),
        ))
    }

    /// What the registry lists after a name, and whether there is more.
    async fn listed(&self, n: usize, last: Option<&str>) -> Result<(Vec<String>, bool), Refusal> {
        let mut query = format!("n={n}");
        if let Some(last) = last {
            query.push_str("&last=");
            query.extend(percent_encoding::utf8_percent_encode(
                last,
                percent_encoding::NON_ALPHANUMERIC,
            ));
        }
        let asked = Asked {
            method: "GET",
            path: "/v2/_catalog",
            query: Some(&query),
            headers: reqwest::header::HeaderMap::new(),
        };
        let answer = self.upstream().ask(asked).await?;
        if answer.status != 200 {
            return Err(Refusal::Unusable(format!(
                "/v2/_catalog: it answered {}",
                answer.status
            )));
        }
        let more = answer.has_next();
        let body = answer.body.read(LIMIT).await?;
        let listed: Listed = serde_json::from_slice(&body)
            .map_err(|cause| Refusal::Unusable(format!("/v2/_catalog: {cause}")))?;
        Ok((listed.repositories.unwrap_or_default(), more))
    }
}
