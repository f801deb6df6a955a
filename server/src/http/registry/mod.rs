//! Hands requests for images on to the registry, after the stages that every request passes.

mod forward;
mod judge;
mod route;

use actix_web::{HttpResponse, http::Method};
use reqwest::Url;
use tuf::Gun;

use super::{error::ApiError, exchange::Exchange, outcome::Outcome};
use crate::{
    access::{Delete, Grant, Identified, Image, Pull, PushImage, policy::Action},
    identity::Principal,
    registry::{Changing, Gateway, Reference, Refusal, Resource},
};

pub use route::resolve;

use forward::{forwarded, respond};

/// Hands out a manifest, a blob, or a list of tags or referrers.
pub async fn pull(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let (gateway, resource) = asked(exchange)?;
    let name = resource.name().unwrap_or_default();
    let image = Image {
        gun: grant.gun(),
        name,
    };
    let is_manifest = matches!(resource, Resource::Manifest(..));
    let demand = exchange.generation.enforcement.of(grant.gun().as_str(), name);
    // Whoever signs an image has to see it before it is signed.
    let demand = demand.filter(|_| is_manifest && !exchange.access().makes(grant.principal(), image));
    let outcome = match demand {
        Some(demand) => judge::judged(exchange, gateway, resource, grant.gun(), &demand).await?,
        None => {
            let query = exchange.query().to_owned();
            let answer = forwarded(exchange, gateway, &resource.path(), Some(&query)).await?;
            respond(exchange, gateway, answer).into()
        }
    };
    if is_manifest && exchange.request.method() == Method::GET && outcome.response.status().is_success() {
        exchange.state.store.count_pull(grant.gun().as_str());
    }
    Ok(outcome)
}

/// Takes a manifest, or a blob in one piece or several.
pub async fn push(exchange: &mut Exchange<'_>, grant: Grant<PushImage>) -> Result<Outcome, ApiError> {
    let (gateway, resource) = asked(exchange)?;
    let query = match resource {
        Resource::Uploads(_) => with_mount_if_allowed(exchange, gateway, grant.principal()),
        _ => exchange.query().to_owned(),
    };
    let _changing = changing(gateway, resource);
    let answer = forwarded(exchange, gateway, &resource.path(), Some(&query)).await?;
    Ok(respond(exchange, gateway, answer).into())
}

/// Deletes a manifest or a blob, unless it is a manifest that somebody signed.
pub async fn delete(exchange: &mut Exchange<'_>, grant: Grant<Delete>) -> Result<Outcome, ApiError> {
    let (gateway, resource) = asked(exchange)?;
    let (force, query) = without_force(exchange.query());
    if let Resource::Manifest(name, reference) = resource
        && !force
    {
        judge::check_unnamed(exchange, gateway, grant.gun(), name, reference).await?;
    }
    let _changing = changing(gateway, resource);
    let answer = forwarded(exchange, gateway, &resource.path(), Some(&query)).await?;
    Ok(respond(exchange, gateway, answer).into())
}

/// While it is there, a manifest is pushed or deleted: afterwards, or when the client goes away in between, what the registry
/// said of the tags before does not count.
fn changing<'a>(gateway: &'a Gateway, resource: &Resource) -> Option<Changing<'a>> {
    match resource {
        Resource::Manifest(name, _) => Some(gateway.said().changing(gateway.gun_of(name))),
        _ => None,
    }
}

/// Lists the repositories that the caller may see.
pub async fn catalog(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let (gateway, _) = asked(exchange)?;
    let pairs = pairs(exchange.query());
    let first = |name: &str| {
        let found = pairs.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    };
    let shows = |name: &str| {
        let gun = Gun::parse(&gateway.gun_of(name));
        gun.is_ok_and(|gun| {
            let image = Image { gun: &gun, name };
            exchange.access().shows_image(grant.principal(), image)
        })
    };
    let page = gateway
        .catalog(first("n").as_deref(), first("last"), shows)
        .await?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header(("Docker-Distribution-Api-Version", "registry/2.0"));
    if let Some(next) = &page.next {
        let (n, size) = ("n".to_owned(), page.size.to_string());
        let query = written(&[(n, size), ("last".to_owned(), next.clone())]);
        answer.insert_header(("Link", format!("</v2/_catalog?{query}>; rel=\"next\"")));
    }
    Ok(answer.json(&page).into())
}

/// Tells a client that is let in that its path names nothing.
pub async fn unknown(_: &mut Exchange<'_>, _: Identified) -> Result<Outcome, ApiError> {
    Err(Refusal::Name.into())
}

/// Tells a client that is let in that there is no such operation.
pub async fn unsupported(_: &mut Exchange<'_>, _: Identified) -> Result<Outcome, ApiError> {
    Err(Refusal::Unsupported.into())
}

/// The registry, and what the path names there. Without both there is no such route.
fn asked<'a>(exchange: &Exchange<'a>) -> Result<(&'a Gateway, &'a Resource), ApiError> {
    let gateway = exchange.state.registry.as_ref();
    gateway
        .zip(exchange.target.resource.as_ref())
        .ok_or(ApiError::NoRoute)
}

/// The query of a new upload. A blob of another repository is mounted only for somebody who may pull there; otherwise
/// the registry is not asked to, and starts an ordinary upload.
fn with_mount_if_allowed(exchange: &Exchange<'_>, gateway: &Gateway, principal: &Principal) -> String {
    let (mount, rest): (Vec<_>, Vec<_>) = pairs(exchange.query())
        .into_iter()
        .partition(|(name, _)| ["mount", "from"].iter().any(|own| own.eq_ignore_ascii_case(name)));
    let one = |name: &str| {
        let mut values = mount
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    };
    let mut kept = rest;
    if let (Some(digest), Some(from)) = (one("mount"), one("from"))
        && may_pull(exchange, gateway, principal, from)
    {
        kept.push(("mount".to_owned(), digest.clone()));
        kept.push(("from".to_owned(), from.clone()));
    }
    written(&kept)
}

fn may_pull(exchange: &Exchange<'_>, gateway: &Gateway, principal: &Principal, name: &str) -> bool {
    let gun = Gun::parse(&gateway.gun_of(name))
        .ok()
        .filter(|_| Resource::is_name(name));
    gun.is_some_and(|gun| {
        let image = Image { gun: &gun, name };
        exchange.access().holds(principal, &Action::Pull, image)
    })
}

/// Whether deleting is asked for whatever is signed, and the query without that.
fn without_force(query: &str) -> (bool, String) {
    let (force, rest): (Vec<_>, Vec<_>) = pairs(query).into_iter().partition(|(name, _)| name == "force");
    (force.iter().any(|(_, value)| value == "true"), written(&rest))
}

/// The parameters of a query.
fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query);
    pairs.map(actix_web::web::Query::into_inner).unwrap_or_default()
}

/// A query with these parameters, which everybody reads alike.
fn written(pairs: &[(String, String)]) -> String {
    let Ok(mut url) = Url::parse("http://localhost") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// The digest in a reference, if it is a SHA-256, the only kind that images are signed by.
fn sha256_of(reference: &Reference) -> Option<tuf::Checksum> {
    match reference {
        Reference::Digest(digest) => tuf::Checksum::parse(digest.strip_prefix("sha256:")?).ok(),
        Reference::Tag(_) => None,
    }
}
