//! The way of every request: route, prefix, identity, authorization, handler, answer.

use std::{sync::Arc, time::Instant};

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
    body,
    browser::{self, OwnOrigins},
    changefeed,
    connections::OpenConnection,
    decision::RequestRecord,
    error::ApiError,
    keys, metadata,
    outcome::Outcome,
    repository,
    routes::{self, Operation, Resolution, Target},
    status,
};
use crate::{
    generation::Generation,
    identity::{Method, Peer, Principal},
    revocation::Class,
    state::State,
    telemetry,
};

/// Answers any request.
pub async fn dispatch(
    request: HttpRequest,
    mut payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let started = Instant::now();
    let in_use = request
        .conn_data::<Arc<OpenConnection>>()
        .map(|connection| connection.begin());
    let resolution = routes::resolve(request.method(), request.uri().path(), request.query_string());
    let operation = match &resolution {
        Resolution::Target(target) => target.operation,
        Resolution::Moved(_) | Resolution::MethodNotAllowed | Resolution::ReadOnly => Operation::Unknown,
    };
    let mut record = RequestRecord::new(&request);
    let answer = match resolution {
        Resolution::MethodNotAllowed => Ok(HttpResponse::MethodNotAllowed().finish().into()),
        Resolution::ReadOnly => Err(ApiError::ReadOnly),
        Resolution::Moved(location) => Ok(HttpResponse::MovedPermanently()
            .insert_header((LOCATION, location))
            .finish()
            .into()),
        Resolution::Target(target) => handle(&state, &request, &mut payload, &target, &mut record).await,
    };
    if let Err(error) = &answer {
        report(&request, error, &record);
    }
    record.record(&state, &request, &answer, started.elapsed());
    let answer = answer.map(|outcome| outcome.response);
    let mut response = answer.unwrap_or_else(|error| match (&error, operation) {
        (ApiError::Unidentified(reason), Operation::Overview) if wants_page(&request) => api::refused(reason),
        _ => error.to_response(operation.is_api()),
    });
    record.name(&mut response);
    record.warn(&mut response, state.clock.now());
    telemetry::metrics::record(
        operation.label(),
        request.method(),
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
        principal = record.principal(),
        request.id = record.request_id(),
        peer.address = request.peer_addr().map(tracing::field::display),
        "answered"
    );
    body::without_rest(response, payload, in_use)
}

async fn handle(
    state: &State,
    request: &HttpRequest,
    payload: &mut web::Payload,
    target: &Target,
    record: &mut RequestRecord,
) -> Result<Outcome, ApiError> {
    let generation = state.generation.load_full();
    match target.operation {
        Operation::Health => return Ok(status::health(state).into()),
        Operation::Metrics => return Ok(status::metrics(state).into()),
        Operation::Ca => return Ok(api::ca(&generation, request)?.into()),
        Operation::SetupScript => return Ok(api::setup_script(state, &generation)?.into()),
        Operation::OpenApi => return Ok(api::description()?.into()),
        // Open to everybody; but whoever says who they are is taken at their word no more than elsewhere.
        Operation::HealthInfo => {
            record.asked(&generation, target);
            let caller = match authenticate(state, &generation, request, target).await {
                Ok(principal) => Some(record.identified(principal)),
                Err(reason) => {
                    record.not_identified(&reason);
                    None
                }
            };
            return Ok(api::health(state, &generation, caller.as_ref())?.into());
        }
        _ => {}
    }
    record.asked(&generation, target);
    check_prefix(state, target)?;
    let principal = authenticate(state, &generation, request, target).await?;
    let principal = record.identified(principal);
    if principal.method() != Method::Anonymous
        && let Some(connection) = request.conn_data::<Arc<OpenConnection>>()
    {
        connection.identified();
    }
    if target.operation.class() == Class::Write {
        browser::check(request, &own_origins(state, &generation, request))?;
    }
    let access = &generation.access;
    if target.operation == Operation::Overview {
        access.identified(&principal)?;
        // Programs know of no page here: to them it is what it is in Notary.
        if !wants_page(request) {
            return Err(ApiError::NoRoute);
        }
        return Ok(api::overview(state, access, &principal).await?.into());
    }
    if target.operation.is_api() {
        return answer_api(state, &generation, request, &principal, target).await;
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
                Ok(HttpResponse::Ok()
                    .content_type(ContentType::json())
                    .body("{}")
                    .into())
            }
            Operation::Changefeed => {
                let actors = access.may_see_actors(&principal, None);
                record.granted(access.authorize_catalog(&principal)?.rule());
                changefeed::read(state, None, request.query_string(), actors)
                    .await
                    .map(Outcome::from)
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
            record.granted(grant.rule());
            repository::publish(state, access, request, payload, grant).await
        }
        Operation::Delete => {
            let grant = access.authorize(principal, gun)?;
            record.granted(grant.rule());
            repository::delete(state, grant).await
        }
        Operation::ReadByChecksum | Operation::ReadByVersion | Operation::ReadCurrent => {
            let grant = access.authorize(principal, gun)?;
            record.granted(grant.rule());
            metadata::read(state, access, request, grant, target)
                .await
                .map(Outcome::from)
        }
        Operation::ReadKey => {
            // The first step of a first publish, so it is refused in the words that its publisher gets to see.
            let grant = access
                .authorize(principal, gun)
                .map_err(ApiError::PublishDenied)?;
            record.granted(grant.rule());
            keys::read(state, grant, target).await
        }
        Operation::RotateKey => {
            let grant = access.authorize(principal, gun)?;
            record.granted(grant.rule());
            keys::rotate(state, grant, target).await
        }
        Operation::Changefeed => {
            let actors = access.may_see_actors(&principal, Some(&gun));
            let grant = access.authorize_changes(principal, gun)?;
            record.granted(grant.rule());
            changefeed::read(state, Some(grant.gun().clone()), request.query_string(), actors)
                .await
                .map(Outcome::from)
        }
        _ => Err(ApiError::NoRoute),
    }
}

async fn answer_api(
    state: &State,
    generation: &Generation,
    request: &HttpRequest,
    principal: &Principal,
    target: &Target,
) -> Result<Outcome, ApiError> {
    accepts_json(request)?;
    let access = &generation.access;
    let (query, which) = (
        request.query_string(),
        target.which.as_deref().unwrap_or_default(),
    );
    let response = match target.operation {
        Operation::BasicInfo => api::basic_info(state, access, principal).await,
        Operation::Repositories => api::list(state, access, principal, query).await,
        Operation::Tags => api::tags(state, access, principal, which).await,
        Operation::Repository => api::one(state, access, principal, which).await,
        Operation::Version => api::version(access, principal),
        Operation::Settings => api::settings(state, generation, principal),
        _ => Err(ApiError::NoRoute),
    };
    response.map(Outcome::from)
}

/// The origins of this server's own pages, for a request to one of its listeners.
fn own_origins<'a>(state: &'a State, generation: &'a Generation, request: &HttpRequest) -> OwnOrigins<'a> {
    let position = request.conn_data::<Arc<Peer>>().map(|peer| peer.listener);
    OwnOrigins {
        external_url: state.config.public.external_url.as_deref(),
        configured: position.and_then(|position| state.config.listeners.get(position)),
        listener: position.and_then(|position| generation.listener(position)),
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
fn report(request: &HttpRequest, error: &ApiError, record: &RequestRecord) {
    let (method, path) = (request.method().as_str(), request.path());
    let (principal, request_id) = (record.principal(), record.request_id());
    if error.status() >= StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(http.method = method, http.path = path, principal, request.id = request_id, reason = %error, "a request failed");
    } else {
        tracing::info!(http.method = method, http.path = path, principal, request.id = request_id, reason = %error, "a request was refused");
    }
}
