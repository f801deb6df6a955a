//! The path of every request: route, stages and handler, record, response.

use std::{sync::Arc, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::{StatusCode, header::LOCATION},
    web,
};
use tokio::sync::OnceCell;

use super::{
    body,
    connections::OpenConnection,
    decision::RequestRecord,
    error::ApiError,
    exchange::Exchange,
    operation::Operation,
    pages,
    path::{self, Resolution},
    registry, routes,
};
use crate::{config::Serves, identity::Peer, state::State, telemetry};

/// Answers a request.
pub async fn dispatch(
    request: HttpRequest,
    mut payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    let started = Instant::now();
    let in_use = request
        .conn_data::<Arc<OpenConnection>>()
        .map(|connection| connection.begin());
    let mut record = RequestRecord::new(&request);
    let mut operation = Operation::Unknown;
    let of_images = state
        .registry
        .as_ref()
        .and_then(|gateway| registry::resolve(&request, gateway));
    let generation = state.generation.load_full();
    let resolution = of_images
        .unwrap_or_else(|| path::resolve(request.method(), request.uri().path(), request.query_string()));
    let serves = request
        .conn_data::<Arc<Peer>>()
        .and_then(|peer| state.config.listeners.get(peer.listener))
        .map(|listener| listener.serves);
    let answer = match resolution {
        resolution if serves == Some(Serves::Health) && !is_of_health(&resolution) => {
            Err(ApiError::HealthOnly)
        }
        Resolution::MethodNotAllowed => Ok(HttpResponse::MethodNotAllowed().finish().into()),
        Resolution::OtherMethod(methods) => Err(ApiError::OtherMethod(methods)),
        Resolution::Moved(location) => Ok(HttpResponse::MovedPermanently()
            .insert_header((LOCATION, location))
            .finish()
            .into()),
        Resolution::Route(target, handler) => {
            let absent = target.operation.is_of_token_service() && generation.token_service.is_none();
            let absent = absent || target.operation.is_native() && state.config.native.is_none();
            let absent = absent || serves == Some(Serves::AllButPages) && target.operation.is_of_pages();
            let (target, handler) = if absent {
                routes::unknown()
            } else {
                (target, handler)
            };
            operation = target.operation;
            let mut exchange = Exchange {
                state: &state,
                generation: Arc::clone(&generation),
                request: &request,
                payload: &mut payload,
                target: &target,
                record: &mut record,
                token_request: None,
                moment: OnceCell::new(),
            };
            handler.run(&mut exchange).await
        }
    };
    if let Err(error) = &answer {
        report(&request, error, &record);
    }
    record.write(&state, &request, &answer, started.elapsed());
    let answer = answer.map(|outcome| outcome.response);
    let mut response = answer.unwrap_or_else(|error| {
        let page = (serves == Some(Serves::All) && pages::is_for(operation, &request))
            .then(|| pages::refusal(&state, &generation, &request, &record, &error))
            .flatten();
        page.unwrap_or_else(|| error.to_response(operation.is_api()))
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

/// Whether a listener for health and metrics alone answers it.
fn is_of_health(resolution: &Resolution) -> bool {
    matches!(resolution, Resolution::Route(target, _) if target.operation.is_of_health())
}

/// Logs the details that the client is not told.
fn report(request: &HttpRequest, error: &ApiError, record: &RequestRecord) {
    let (method, path) = (request.method().as_str(), request.path());
    let (principal, request_id) = (record.principal(), record.request_id());
    if error.status() >= StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(http.method = method, http.path = path, principal, request.id = request_id, reason = %error, "a request failed");
    } else {
        tracing::info!(http.method = method, http.path = path, principal, request.id = request_id, reason = %error, "a request was refused");
    }
}
