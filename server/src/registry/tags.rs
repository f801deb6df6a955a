//! The tags of a repository, and what each of them names.

use futures_util::{StreamExt, stream};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::{
    Asked, Gateway, Listed as Numbers, MANIFEST_LIMIT, Refusal, Resource, manifest::ACCEPTED, tag_numbers,
};

/// How many tags are looked at.
const MOST: usize = 1_000;
/// How many pages of names are read of a repository.
const PAGES: usize = 10;
/// How many names are read of a repository.
const MOST_NAMES: usize = MOST * PAGES;
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
    /// The registry's name of the repository with this GUN; `None` if the GUN is that of another registry, or no registry
    /// has such a name.
    pub fn name_of<'a>(&self, gun: &'a str) -> Option<&'a str> {
        let name = gun.strip_prefix(self.host.as_str())?.strip_prefix('/')?;
        Resource::is_name(name).then_some(name)
    }

    /// The tags of a repository, at most 1,000; none if the registry does not have it.
    ///
    /// # Errors
    /// When the registry does not answer, or not with what is asked for.
    pub async fn tags(&self, name: &str) -> Result<Vec<RegistryTag>, Refusal> {
        let Some((names, _)) = self.names_after(name, None).await? else {
            return Ok(Vec::new());
        };
        let looked_at = stream::iter(names.into_iter().take(MOST)).map(|tag| self.look_at(name, tag));
        let found: Vec<_> = looked_at.buffered(AT_ONCE).collect().await;
        found.into_iter().filter_map(Result::transpose).collect()
    }

    /// The names of a repository's tags, as numbers; none if the registry does not have it. At most 10,000 are read.
    ///
    /// # Errors
    /// When the registry does not answer, or not with what is asked for.
    pub async fn tag_names(&self, name: &str) -> Result<Numbers, Refusal> {
        let mut names = Vec::new();
        let mut complete = false;
        for _ in 0..PAGES {
            let last = names.last().map(String::as_str);
            let Some((listed, more)) = self.names_after(name, last).await? else {
                complete = true;
                break;
            };
            let is_new = !listed.is_empty() && listed.last() != names.last();
            names.extend(listed);
            complete = !more;
            if complete || !is_new || names.len() >= MOST_NAMES {
                break;
            }
        }
        complete &= names.len() <= MOST_NAMES;
        names.truncate(MOST_NAMES);
        let names = names.iter().map(String::as_str);
        Ok(Numbers {
            tags: tag_numbers(names.filter(|name| is_tag(name))),
            complete,
        })
    }

    /// A page of the names of a repository's tags, and whether there are more; `None` if the registry does not have it.
    async fn names_after(
        &self,
        name: &str,
        last: Option<&str>,
    ) -> Result<Option<(Vec<String>, bool)>, Refusal> {
        let mut query = format!("n={MOST}");
        if let Some(last) = last {
            query.push_str("&last=");
            query.extend(percent_encoding::utf8_percent_encode(
                last,
                percent_encoding::NON_ALPHANUMERIC,
            ));
        }
        let list = Asked {
            method: "GET",
            path: &format!("/v2/{name}/tags/list"),
            query: Some(&query),
            headers: HeaderMap::new(),
        };
        let answer = self.upstream.ask(list).await?;
        match answer.status {
            200 => {}
            404 => return Ok(None),
            status => return Err(Refusal::Unusable(format!("it has the status {status}"))),
        }
        let more = answer.has_next();
        let listed: Listed = serde_json::from_slice(&answer.body.read(MANIFEST_LIMIT).await?)
            .map_err(|cause| Refusal::Unusable(cause.to_string()))?;
        Ok(Some((listed.tags.unwrap_or_default(), more)))
    }

    /// What a tag names; `None` if it is gone meanwhile, or its name is none.
    async fn look_at(&self, name: &str, tag: String) -> Result<Option<RegistryTag>, Refusal> {
        if !is_tag(&tag) {
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

/// Whether a registry can have a tag of this name.
fn is_tag(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain)
}
