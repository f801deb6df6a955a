//! The tags of a repository, and what each of them names.

use futures_util::{StreamExt, stream};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::{Asked, Gateway, MANIFEST_LIMIT, Refusal, manifest::ACCEPTED};

/// How many tags are looked at.
const MOST: usize = 1_000;
/// How many tags are looked at at the same time.
const AT_ONCE: usize = 8;

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryTag {
    /// Its name.
    pub name: String,
    /// The digest that it names, with the algorithm before it.
    pub digest: String,
    /// The length of the manifest, in bytes; 0 if the registry does not say.
    pub size: i64,
}

#[derive(Deserialize)]
struct Listed {
    tags: Option<Vec<String>>,
}

impl Gateway {
    /// The registry's name of the repository with this GUN; `None` if the GUN is that of another registry.
    pub fn name_of<'a>(&self, gun: &'a str) -> Option<&'a str> {
        gun.strip_prefix(self.host.as_str())?.strip_prefix('/')
    }

    /// The tags of a repository, at most 1,000; none if the registry does not have it.
    ///
    /// # Errors
    /// When the registry does not answer, or not with what is asked for.
    pub async fn tags(&self, name: &str) -> Result<Vec<RegistryTag>, Refusal> {
        let list = Asked {
            method: "GET",
            path: &format!("/v2/{name}/tags/list"),
            query: Some(&format!("n={MOST}")),
            headers: HeaderMap::new(),
        };
        let answer = self.upstream.ask(list).await?;
        match answer.status {
            200 => {}
            404 => return Ok(Vec::new()),
            status => return Err(Refusal::Unusable(format!("it has the status {status}"))),
        }
        let listed: Listed = serde_json::from_slice(&answer.body.read(MANIFEST_LIMIT).await?)
            .map_err(|cause| Refusal::Unusable(cause.to_string()))?;
        let names = listed.tags.unwrap_or_default().into_iter().take(MOST);
        let looked_at = stream::iter(names).map(|tag| self.look_at(name, tag));
        let found: Vec<_> = looked_at.buffered(AT_ONCE).collect().await;
        found.into_iter().filter_map(Result::transpose).collect()
    }

    /// What a tag names; `None` if it is gone meanwhile, or its name is none.
    async fn look_at(&self, name: &str, tag: String) -> Result<Option<RegistryTag>, Refusal> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if tag.is_empty() || tag.starts_with('.') || !tag.bytes().all(is_plain) {
            return Ok(None);
        }
        let look = Asked {
            method: "HEAD",
            path: &format!("/v2/{name}/manifests/{tag}"),
            query: None,
            headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(ACCEPTED))]),
        };
        let answer = self.upstream.ask(look).await?;
        let digest = answer.header("docker-content-digest").map(str::to_owned);
        Ok(digest.filter(|_| answer.status == 200).map(|digest| RegistryTag {
            size: answer
                .length()
                .and_then(|length| i64::try_from(length).ok())
                .unwrap_or_default(),
            name: tag,
            digest,
        }))
    }
}
