//! Whether an image is signed: before it leaves, and before it is deleted. What is judged is the digest of the bytes
//! themselves, never a tag.

use actix_web::http::Method;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use tuf::{Checksum, Document, Gun};

use super::{
    forward::{headers, respond},
    sha256_of,
};
use crate::{
    config::EnforceMode,
    http::{error::ApiError, exchange::Exchange, metadata::current_bundle, outcome::Outcome},
    registry::{
        ACCEPTED, Answer, ArtifactType, Asked, Body, Demand, Gateway, MANIFEST_LIMIT, Reference, Refusal,
        Resource,
    },
    state::ServiceError,
    store::StoreError,
};

/// Hands out a manifest if it is signed as `demand` wants it.
pub(super) async fn judged(
    exchange: &Exchange<'_>,
    gateway: &Gateway,
    resource: &Resource,
    gun: &Gun,
    demand: &Demand,
) -> Result<Outcome, ApiError> {
    let name = resource.name().unwrap_or_default();
    let mut headers = headers(exchange, gateway)?;
    // A part of a manifest cannot be judged.
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
    let mut answer = ask(gateway, &resource.path(), headers).await?;
    match answer.status {
        200 => {}
        // There is nothing in it that could be run.
        304 | 400..=599 => return Ok(respond(exchange, gateway, answer).into()),
        // A redirect would lead around this server.
        other => return Err(Refusal::Unusable(format!("a manifest with the status {other}")).into()),
    }
    let bytes = answer.body.read(MANIFEST_LIMIT).await?;
    let digest = Checksum::of(&bytes);
    let kind = ArtifactType::of(answer.headers.get("content-type").map_or("", text), &bytes);
    let excepted = kind.is_some_and(|kind| demand.excepts(&kind));
    let verdict = if excepted {
        Ok(())
    } else {
        verdict(exchange, gateway, name, gun, digest, demand).await?
    };
    let remark = match verdict {
        Ok(()) => {
            // What this says is what some clients believe in.
            let said = answer.headers.get("docker-content-digest").map(text);
            if !excepted && said.is_some_and(|said| said != format!("sha256:{}", digest.as_hex())) {
                return Err(Refusal::Unusable("it calls a manifest by another digest".to_owned()).into());
            }
            gateway.note(name, digest, &bytes).await;
            None
        }
        Err(reason) if demand.mode == EnforceMode::Audit => {
            tracing::warn!(
                repo.gun = gun.as_str(),
                reason,
                "an image that is not signed is pulled; {} is in audit mode",
                demand.place
            );
            Some(format!("{} (audit): {reason}", demand.place))
        }
        Err(reason) => return Err(Refusal::NotSigned(reason).into()),
    };
    answer
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    answer.body = Body::whole(bytes);
    Ok(Outcome::from(respond(exchange, gateway, answer)).remarked(remark))
}

/// Whether an image is signed; otherwise why not, in a sentence that docker shows.
async fn verdict(
    exchange: &Exchange<'_>,
    gateway: &Gateway,
    name: &str,
    gun: &Gun,
    digest: Checksum,
    demand: &Demand,
) -> Result<Result<(), String>, ApiError> {
    let bundle = match bundle(exchange, gun).await? {
        Bundle::None => {
            let reason = format!("only signed images may be pulled from {gun}, and nothing in it is signed");
            return Ok(Err(reason));
        }
        Bundle::TooLarge => {
            return Ok(Err(format!(
                "the signatures of {gun} take more than this server verifies at once"
            )));
        }
        Bundle::Found(bundle) => bundle,
    };
    let signed = match gateway.signed(gun, &bundle).await {
        Ok(signed) => signed,
        Err(reason) => {
            return Ok(Err(format!(
                "the signatures of {gun} cannot be verified: {reason}"
            )));
        }
    };
    let now = exchange.state.clock.now();
    if signed.usable_until() <= now {
        let reason =
            format!("the signatures of {gun} have expired, and only signed images may be pulled from it");
        return Ok(Err(reason));
    }
    if gateway.is_signed(name, digest, &signed, demand, now).await? {
        return Ok(Ok(()));
    }
    let signers: Vec<&str> = demand.signers.iter().map(tuf::RoleName::as_str).collect();
    let by = if signers.is_empty() {
        String::new()
    } else {
        format!(" by {}", signers.join(" or "))
    };
    Ok(Err(format!(
        "only signed images may be pulled from {gun}, and sha256:{} is not signed{by}",
        digest.as_hex()
    )))
}

/// Checks before a manifest is deleted that nobody signed it.
pub(super) async fn check_unnamed(
    exchange: &Exchange<'_>,
    gateway: &Gateway,
    gun: &Gun,
    name: &str,
    reference: &Reference,
) -> Result<(), ApiError> {
    let protected = |why: String| {
        let message =
            format!("{why}; revoke the signature first, or delete it all the same with ?force=true");
        Err(Refusal::Protected(message).into())
    };
    let bundle = match bundle(exchange, gun).await? {
        Bundle::None => return Ok(()),
        Bundle::TooLarge => {
            return protected(format!(
                "the signatures of {gun} take more than this server verifies at once"
            ));
        }
        Bundle::Found(bundle) => bundle,
    };
    let digest = match sha256_of(reference) {
        Some(digest) => digest,
        None => match digest_of(gateway, name, reference).await? {
            Some(digest) => digest,
            None => return Ok(()),
        },
    };
    match gateway.signed(gun, &bundle).await {
        Err(reason) => protected(format!("the signatures of {gun} cannot be verified: {reason}")),
        Ok(signed) if gateway.is_named(name, digest, &signed).await? => protected(format!(
            "sha256:{} is signed in {gun}, or part of an image that is",
            digest.as_hex()
        )),
        Ok(_) => Ok(()),
    }
}

/// The digest of what a tag names at the moment; `None` if it names nothing.
async fn digest_of(
    gateway: &Gateway,
    name: &str,
    reference: &Reference,
) -> Result<Option<Checksum>, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
    let path = Resource::Manifest(name.to_owned(), reference.clone()).path();
    let answer = ask(gateway, &path, headers).await?;
    match answer.status {
        200 => Ok(Some(Checksum::of(&answer.body.read(MANIFEST_LIMIT).await?))),
        404 => Ok(None),
        other => Err(Refusal::Unusable(format!("{path}: it answered {other}"))),
    }
}

async fn ask(gateway: &Gateway, path: &str, headers: HeaderMap) -> Result<Answer, Refusal> {
    let asked = Asked {
        method: Method::GET.as_str(),
        path,
        query: None,
        headers,
    };
    gateway.upstream().ask(asked).await
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// The documents of a repository.
enum Bundle {
    None,
    TooLarge,
    Found(Document),
}

async fn bundle(exchange: &Exchange<'_>, gun: &Gun) -> Result<Bundle, ApiError> {
    let too_large = |cause: &StoreError| matches!(cause, StoreError::LargeBundle);
    match current_bundle(exchange, gun).await {
        Ok(Some(served)) => Ok(Bundle::Found(served.stored.document.clone())),
        Ok(None) => Ok(Bundle::None),
        Err(ServiceError::SharedStore(cause)) if too_large(&cause) => Ok(Bundle::TooLarge),
        Err(ServiceError::Store(cause)) if too_large(&cause) => Ok(Bundle::TooLarge),
        Err(cause) => Err(cause.into()),
    }
}
