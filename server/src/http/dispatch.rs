//! The way of every request: route, prefix, identity, authorization, handler, answer.

use std::time::Instant;

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{
        StatusCode,
        header::{ACCEPT, ContentType, LOCATION},
    },
    web,
};
use tuf::Gun;

use super::{
    api,
    authenticate::authenticate,
    body, changefeed,
    decision::Seen,
    error::ApiError,
    keys, metadata, repository,
    routes::{self, Operation, Resolution, Target},
    status,
};
use crate::{app::State, telemetry};

/// Answers any request.
pub async fn dispatch(
    request: HttpRequest,
    mut payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let started = Instant::now();
    let resolution = routes::resolve(request.method(), request.uri().path(), request.query_string());
    let operation = match &resolution {
        Resolution::Target(target) => target.operation,
        Resolution::Moved(_) | Resolution::MethodNotAllowed | Resolution::ReadOnly => Operation::Unknown,
    };
    let mut seen = Seen::new(&request);
    let answer = match resolution {
        Resolution::MethodNotAllowed => Ok(HttpResponse::MethodNotAllowed().finish()),
        Resolution::ReadOnly => Err(ApiError::ReadOnly),
        Resolution::Moved(location) => Ok(HttpResponse::MovedPermanently()
            .insert_header((LOCATION, location))
            .finish()),
        Resolution::Target(target) => handle(&state, &request, &mut payload, &target, &mut seen).await,
    };
    if let Err(error) = &answer {
        report(&request, error, &seen);
    }
    seen.record(&state, &request, &answer, started.elapsed());
    let mut response = answer.unwrap_or_else(|error| match (&error, operation) {
        (ApiError::Unidentified(reason), Operation::Overview) if wants_page(&request) => api::refused(reason),
        _ => error.to_response(operation.is_api()),
    });
    seen.name(&mut response);
    seen.warn(&mut response, state.clock.now());
    telemetry::metrics::record(
        operation.label(),
        request.method().as_str(),
        response.status(),
        telemetry::metrics::Cost {
            duration: started.elapsed(),
            request_bytes: body::announced(&request).unwrap_or(0),
            response_bytes: match response.body().size() {
                BodySize::Sized(bytes) => bytes,
                BodySize::None | BodySize::Stream => 0,
            },
        },
    );
    tracing::info!(
        http.method = request.method().as_str(),
        http.path = request.path(),
        http.status = response.status().as_u16(),
        http.duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        principal = seen.principal(),
        request.id = seen.request_id(),
        peer.address = request.peer_addr().map(tracing::field::display),
        "answered"
    );
    body::without_rest(response, payload)
}

async fn handle(
    state: &State,
    request: &HttpRequest,
    payload: &mut web::Payload,
    target: &Target,
    seen: &mut Seen,
) -> Result<HttpResponse, ApiError> {
    match target.operation {
        Operation::Health => return Ok(status::health(state)),
        Operation::Metrics => return Ok(status::metrics(state)),
        _ => {}
    }
    let generation = state.generation.load_full();
    match target.operation {
        Operation::Ca => return api::ca(&generation, request),
        Operation::SetupScript => return api::setup_script(state, &generation),
        Operation::OpenApi => return api::description(),
        Operation::HealthInfo => {
            let caller = authenticate(state, &generation, request, target).await.ok();
            return api::health(state, &generation, caller.as_ref());
        }
        _ => {}
    }
    check_prefix(state, target)?;
    seen.asked(&generation, target);
    let principal = authenticate(state, &generation, request, target).await?;
    let principal = seen.identified(principal);
    let access = &generation.access;
    if target.operation == Operation::Overview {
        access.identified(&principal)?;
        // Programs know of no page here: to them it is what it is in Notary.
        if !wants_page(request) {
            return Err(ApiError::NoRoute);
        }
        return api::overview(state, access, &principal).await;
    }
    if target.operation.is_api() {
        accepts_json(request)?;
        let (query, which) = (
            request.query_string(),
            target.which.as_deref().unwrap_or_default(),
        );
        return match target.operation {
            Operation::BasicInfo => api::basic_info(state, access, &principal).await,
            Operation::Repositories => api::list(state, access, &principal, query).await,
            Operation::Tags => api::tags(state, access, &principal, which).await,
            Operation::Repository => api::one(state, access, &principal, which).await,
            Operation::Version => api::version(access, &principal),
            Operation::Settings => api::settings(state, &generation, &principal),
            _ => Err(ApiError::NoRoute),
        };
    }
    let gun = target.gun.as_deref().map(Gun::parse).transpose();
    let gun = match (gun, target.operation) {
        (Ok(gun), _) => gun,
        (Err(reason), Operation::Publish | Operation::ReadKey | Operation::RotateKey) => {
            access.identified(&principal)?;
            return Err(ApiError::InvalidGun(reason.to_string()));
        }
        (Err(_), _) => {
            access.identified(&principal)?;
            return Err(ApiError::NotFound);
        }
    };
    let Some(gun) = gun else {
        return match target.operation {
            Operation::Ping => {
                access.ping(&principal)?;
                Ok(HttpResponse::Ok().content_type(ContentType::json()).body("{}"))
            }
            Operation::Changefeed => {
                let actors = access.may_see_actors(&principal, None);
                let _grant = access.authorize_catalog(principal)?;
                changefeed::read(state, None, request.query_string(), actors).await
            }
            _ => {
                access.identified(&principal)?;
                Err(ApiError::NoRoute)
            }
        };
    };
    match target.operation {
        Operation::Publish => {
            let grant = access
                .authorize(principal, gun)
                .map_err(ApiError::PublishDenied)?;
            repository::publish(state, access, request, payload, grant).await
        }
        Operation::Delete => repository::delete(state, access.authorize(principal, gun)?).await,
        Operation::ReadByChecksum | Operation::ReadByVersion | Operation::ReadCurrent => {
            metadata::read(state, request, access.authorize(principal, gun)?, target).await
        }
        Operation::ReadKey => {
            // The first step of a first publish, so it is refused in the words that its publisher gets to see.
            let grant = access
                .authorize(principal, gun)
                .map_err(ApiError::PublishDenied)?;
            keys::read(state, grant, target).await
        }
        Operation::RotateKey => keys::rotate(state, access.authorize(principal, gun)?, target).await,
        Operation::Changefeed => {
            let actors = access.may_see_actors(&principal, Some(&gun));
            let grant = access.authorize_changes(principal, gun)?;
            changefeed::read(state, Some(grant.gun().clone()), request.query_string(), actors).await
        }
        _ => Err(ApiError::NoRoute),
    }
}

/// Whether a browser asks.
fn wants_page(request: &HttpRequest) -> bool {
    let mut accepted = request.headers().get_all(ACCEPT);
    accepted.any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

/// These answers are JSON and nothing else.
fn accepts_json(request: &HttpRequest) -> Result<(), ApiError> {
    let mut accepted = request.headers().get_all(ACCEPT).peekable();
    let fits = |range: &str| {
        let kind = range.split(';').next().unwrap_or_default().trim();
        matches!(kind, "" | "*/*" | "application/*" | "application/json")
    };
    if accepted.peek().is_none()
        || accepted.any(|value| value.to_str().is_ok_and(|text| text.split(',').any(fits)))
    {
        Ok(())
    } else {
        Err(ApiError::NotAcceptable)
    }
}

/// Before anybody is asked who they are, as in the Notary server.
fn check_prefix(state: &State, target: &Target) -> Result<(), ApiError> {
    match &target.gun {
        Some(gun) if !state.config.gun_prefixes.allow(gun) => Err(match target.operation {
            Operation::Publish => ApiError::GunPrefix(state.config.gun_prefixes.to_string()),
            _ => ApiError::NoRoute,
        }),
        _ => Ok(()),
    }
}

/// What the client is not told in full goes to the log.
fn report(request: &HttpRequest, error: &ApiError, seen: &Seen) {
    let (method, path) = (request.method().as_str(), request.path());
    let (principal, request_id) = (seen.principal(), seen.request_id());
    if error.status() >= StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(http.method = method, http.path = path, principal, request.id = request_id, reason = %error, "a request failed");
    } else {
        tracing::info!(http.method = method, http.path = path, principal, request.id = request_id, reason = %error, "a request was refused");
    }
}
