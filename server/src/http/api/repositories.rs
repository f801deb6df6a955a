//! `GET /api/v0/repositories`: which repositories the caller may see.

use actix_web::{HttpResponse, HttpResponseBuilder, http::header::ContentType};
use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use tuf::Gun;
use utoipa::ToSchema;

use super::{json, names, parameter, tags::tag};
use crate::{
    access::Identified,
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    identity::Principal,
    registry::{Unsigned, tag_numbers},
    store::{Store, StoreError},
};

/// The default page size.
const PAGE: usize = 10;
/// The largest page size.
const PAGE_LIMIT: usize = 1000;
/// How many repositories are read at a time: all their documents are in memory together.
const TOGETHER: usize = 16;

/// A page of repositories.
#[derive(Serialize, ToSchema)]
pub struct Repositories {
    repositories: Vec<Repository>,
}

/// A repository, with those of a registry's properties that a trust server can fill in.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Stable: derived from the GUN.
    id: String,
    namespace: String,
    /// Always `organization`.
    namespace_type: &'static str,
    name: String,
    short_description: String,
    long_description: String,
    /// Always `private`: the policy decides what others may see.
    visibility: &'static str,
    scan_on_push: bool,
    immutable_tags: bool,
    enable_manifest_lists: bool,
    /// How often this server served current metadata since it started.
    pulls: u64,
    /// The number of publishes, as far as the changefeed goes back.
    pushes: u64,
    tag_limit: u64,
    /// The full name.
    gun: String,
    /// Whether it has any signed metadata.
    signed: bool,
    /// When the first document that only its publishers can renew expires.
    expires: Option<DateTime<Utc>>,
    /// How many tags the registry behind this server has that nobody signed, at least; left out where there is no registry,
    /// while it was not asked since the repository was pushed to, and for callers who may not pull the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsigned_tags: Option<u32>,
    /// When the registry said so. It is asked in the background, while somebody wants to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    registry_asked_at: Option<DateTime<Utc>>,
    /// The numbers of the signed tags, to compare.
    #[serde(skip)]
    #[schema(ignore)]
    signed_tags: Box<[u64]>,
}

/// The repositories that the caller may see, in the order of their names.
#[utoipa::path(get, path = "/api/v0/repositories", tag = "repositories",
    params(("pageSize" = Option<u32>, Query, description = "Repositories on a page, 10 by default"),
           ("pageStart" = Option<String>, Query, description = "The ID of the first repository of the page"),
           ("count" = Option<bool>, Query, description = "Whether to say in X-Resource-Count how many there are")),
    responses((status = 200, description = "A page; X-Next-Page-Start names the next", body = Repositories),
              (status = 401, description = "The caller has no identity", body = super::openapi::Errors)))]
pub async fn list(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let (state, access, principal) = (exchange.state, exchange.access(), grant.principal());
    let query = exchange.query();
    let size = match parameter(query, "pageSize") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=PAGE_LIMIT).contains(size))
            .ok_or_else(|| invalid("pageSize", &text, "a whole number from 1 to 1000"))?,
    };
    let start = parameter(query, "pageStart").filter(|start| !start.is_empty());
    let start = start
        .map(|start| gun_of(&start).ok_or_else(|| invalid("pageStart", &start, "the ID of a repository")))
        .transpose()?;
    let count = match parameter(query, "count").as_deref() {
        None | Some("" | "false" | "0") => false,
        Some("true" | "1") => true,
        Some(other) => return Err(invalid("count", other, "true or false")),
    };
    let shows = names::shows(access, principal);
    let mut page = state
        .with_store(move |store| names::page(store, start.as_deref(), size + 1, shows))
        .await?;
    let total = match count {
        true => Some(names::all(exchange, principal, |_| true).await?.len()),
        false => None,
    };
    let next = (page.len() > size).then(|| page.pop()).flatten();
    let described = described(exchange, principal, page).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = next {
        response.insert_header(("X-Next-Page-Start", id_of(&next)));
    }
    if let Some(total) = total {
        response.insert_header(("X-Resource-Count", total));
    }
    Ok(finish(
        &mut response,
        &Repositories {
            repositories: described,
        },
    )?
    .into())
}

/// One repository, by its full name or by namespace and name.
#[utoipa::path(get, path = "/api/v0/repositories/{namespace}/{name}", tag = "repositories",
    params(("namespace" = String, Path, description = "Everything between the host and the name; _ for none"),
           ("name" = String, Path, description = "The last part of the name")),
    responses((status = 200, description = "The repository; all of them, for a namespace alone", body = Repository),
              (status = 404, description = "No such repository, or the caller may not see it", body = super::openapi::Errors)))]
pub async fn one(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let principal = grant.principal();
    let path = exchange.target.selector.as_deref().unwrap_or_default();
    let found = match find(exchange, principal, path).await {
        // Repositories may have names like this, so it is read as a tag's path only if there is no such repository.
        Err(ApiError::NotFound) => match path.trim_end_matches('/').rsplit_once("/tags/") {
            Some((repository, name)) if !name.contains('/') => {
                return tag(exchange, principal, repository, name).await;
            }
            _ => return Err(ApiError::NotFound),
        },
        found => found?,
    };
    match found {
        Found::One(gun) => {
            let repository = described(exchange, principal, vec![gun]).await?;
            json(&repository.first())
        }
        Found::Namespace(guns) => {
            let repositories = described(exchange, principal, guns).await?;
            json(&Repositories { repositories })
        }
    }
}

/// What a path refers to.
pub(super) enum Found {
    One(String),
    Namespace(Vec<String>),
}

/// Looks for a GUN, then for namespace and name on any host, then for a namespace.
pub(super) async fn find(
    exchange: &Exchange<'_>,
    principal: &Principal,
    path: &str,
) -> Result<Found, ApiError> {
    let path = path.trim_end_matches('/').to_owned();
    if let Ok(gun) = Gun::parse(&path)
        && exchange.access().shows(principal, &path)
        && exchange.state.with_store(move |store| store.has(&gun)).await?
    {
        return Ok(Found::One(path));
    }
    let asked = path.clone();
    let all = names::all(exchange, principal, move |gun| matched(gun, &asked).is_some()).await?;
    let found: Vec<(Match, String)> = all
        .into_iter()
        .filter_map(|gun| Some((matched(&gun, &path)?, gun)))
        .collect();
    let of = |wanted: Match| {
        let guns = found.iter().filter(move |(kind, _)| *kind == wanted);
        guns.map(|(_, gun)| gun.clone()).collect::<Vec<_>>()
    };
    match (of(Match::Whole).as_slice(), of(Match::Namespace)) {
        ([one], _) => Ok(Found::One(one.clone())),
        ([], namespace) if !namespace.is_empty() => Ok(Found::Namespace(namespace)),
        ([], _) => Err(ApiError::NotFound),
        (several, _) => Err(ApiError::InvalidParameter(format!(
            "several hosts have a repository of this name; use the full name: {}",
            several.join(", ")
        ))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Whole,
    Namespace,
}

fn matched(gun: &str, path: &str) -> Option<Match> {
    let (namespace, name) = split(gun);
    if path
        .strip_prefix(namespace)
        .and_then(|rest| rest.strip_prefix('/'))
        == Some(name)
    {
        Some(Match::Whole)
    } else if path == namespace {
        Some(Match::Namespace)
    } else {
        None
    }
}

/// The host, as Docker recognises it, is not part of the namespace.
fn split(gun: &str) -> (&str, &str) {
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    let rest = match gun.split_once('/') {
        Some((host, rest)) if is_host(host) => rest,
        _ => gun,
    };
    rest.rsplit_once('/').unwrap_or(("_", rest))
}

/// What the caller may know of repositories.
async fn described(
    exchange: &Exchange<'_>,
    principal: &Principal,
    names: Vec<String>,
) -> Result<Vec<Repository>, ApiError> {
    let (state, access) = (exchange.state, exchange.access());
    let mut described = state.with_store(move |store| describe(store, &names)).await?;
    if let Some(registry) = &state.registry {
        registry.said().want();
        let known = described
            .iter_mut()
            .filter(|found| registry.name_of(&found.gun).is_some() && access.reads(principal, &found.gun));
        for repository in known {
            let unsigned = registry.said().unsigned(&repository.gun, &repository.signed_tags);
            if let Unsigned::Known {
                count,
                complete,
                asked_at,
            } = unsigned
                && (complete || count > 0)
            {
                repository.unsigned_tags = Some(count);
                repository.registry_asked_at = Some(asked_at);
            }
        }
    }
    Ok(described)
}

/// What is known of repositories, read several at a time.
fn describe(store: &Store, names: &[String]) -> Result<Vec<Repository>, StoreError> {
    let mut described = Vec::with_capacity(names.len());
    for names in names.chunks(TOGETHER) {
        described.extend(describe_together(store, names)?);
    }
    Ok(described)
}

fn describe_together(store: &Store, names: &[String]) -> Result<Vec<Repository>, StoreError> {
    let guns: Vec<Gun> = names.iter().filter_map(|name| Gun::parse(name).ok()).collect();
    let files = store.current_files(&guns)?;
    let pushes = store.counts_of_updates(&guns)?;
    let pulls = store.pulls_of(names)?;
    let described = names.iter().map(|name| {
        let gun = Gun::parse(name).ok();
        let current = gun.as_ref().and_then(|gun| Some((gun, files.get(gun)?)));
        let mut expires: Option<DateTime<Utc>> = None;
        let mut signed_tags = Box::default();
        if let Some((gun, current)) = current {
            let targets = current.targets.values();
            let found = targets.clone().flat_map(|document| {
                tuf::signed_targets(&document.role, &document.bytes).unwrap_or_default()
            });
            let found: Vec<String> = found.map(|target| target.name).collect();
            signed_tags = tag_numbers(found.iter().map(String::as_str));
            let ends = current.root.iter().chain(&current.snapshot).chain(targets);
            expires = ends
                .filter_map(|document| tuf::usable_until(gun, &document.role, &document.bytes).ok())
                .map(|(end, _)| end)
                .min();
        }
        let (namespace, last) = split(name);
        Repository {
            id: id_of(name),
            namespace: namespace.to_owned(),
            namespace_type: "organization",
            name: last.to_owned(),
            short_description: String::new(),
            long_description: String::new(),
            visibility: "private",
            scan_on_push: false,
            immutable_tags: false,
            enable_manifest_lists: true,
            pulls: pulls.get(name).copied().unwrap_or_default(),
            pushes: gun.and_then(|gun| pushes.get(&gun).copied()).unwrap_or_default(),
            tag_limit: 0,
            gun: name.clone(),
            signed: !signed_tags.is_empty(),
            expires,
            unsigned_tags: None,
            registry_asked_at: None,
            signed_tags,
        }
    });
    Ok(described.collect())
}

fn id_of(gun: &str) -> String {
    BASE64URL_NOPAD.encode(gun.as_bytes())
}

fn gun_of(id: &str) -> Option<String> {
    String::from_utf8(BASE64URL_NOPAD.decode(id.as_bytes()).ok()?).ok()
}

fn invalid(name: &str, value: &str, allowed: &str) -> ApiError {
    ApiError::InvalidParameter(format!("invalid {name} parameter: {value:?} ({allowed})"))
}

fn finish<T: Serialize>(response: &mut HttpResponseBuilder, body: &T) -> Result<HttpResponse, ApiError> {
    let body = serde_json::to_string(body).map_err(|cause| ApiError::StoredState(cause.to_string()))?;
    Ok(response.content_type(ContentType::json()).body(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_no_part_of_the_namespace() {
        for (gun, expected) in [
            ("reg.example:5000/org/team/app", ("org/team", "app")),
            ("localhost/org/app", ("org", "app")),
            ("org/app", ("org", "app")),
            ("reg.example/app", ("_", "app")),
            ("app", ("_", "app")),
        ] {
            assert_eq!(split(gun), expected, "{gun}");
            assert_eq!(gun_of(&id_of(gun)).as_deref(), Some(gun));
        }
    }
}
