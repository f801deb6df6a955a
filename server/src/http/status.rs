//! The server's state: for clients that start, for load balancers and for Prometheus.

use actix_web::{HttpResponse, http::header::ContentType};
use serde_json::Value;

use super::{
    error::ApiError,
    exchange::Exchange,
    outcome::Outcome,
    stages::{Heard, Open},
};
use crate::{access::Identified, telemetry::metrics};

/// Answers `{}` to clients that are let in; every client starts with this request.
pub async fn ping(exchange: &mut Exchange<'_>, _: Heard) -> Result<Outcome, ApiError> {
    let mut answer = HttpResponse::Ok();
    if exchange.state.registry.is_some() {
        // Old docker programs try other protocols with a registry that does not say this.
        answer.insert_header(("Docker-Distribution-Api-Version", "registry/2.0"));
    }
    Ok(answer.content_type(ContentType::json()).body("{}").into())
}

/// Answers clients that are let in that there is no such route.
pub async fn no_route(_: &mut Exchange<'_>, _: Identified) -> Result<Outcome, ApiError> {
    Err(ApiError::NoRoute)
}

/// 200 and `{}` if everything works, otherwise 503 and what fails.
pub async fn health(exchange: &mut Exchange<'_>, _: Open) -> Result<Outcome, ApiError> {
    let failing: serde_json::Map<String, Value> = exchange
        .state
        .health
        .failing()
        .into_iter()
        .map(|(check, reason)| (check, Value::String(reason)))
        .collect();
    let mut response = if failing.is_empty() {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    let answer = response
        .content_type(ContentType::json())
        .body(Value::Object(failing).to_string());
    Ok(answer.into())
}

/// The metrics in Prometheus' text format.
pub async fn metrics(exchange: &mut Exchange<'_>, _: Open) -> Result<Outcome, ApiError> {
    metrics::collect_process_figures();
    let answer = HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(exchange.state.metrics.render());
    Ok(answer.into())
}
