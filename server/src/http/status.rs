//! How the server is: for load balancers and for Prometheus.

use actix_web::{HttpResponse, http::header::ContentType};
use serde_json::Value;

use crate::{state::State, telemetry::metrics};

/// 200 and `{}` when all is well, otherwise 503 and what fails.
pub fn health(state: &State) -> HttpResponse {
    let failing: serde_json::Map<String, Value> = state
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
    response
        .content_type(ContentType::json())
        .body(Value::Object(failing).to_string())
}

/// The figures in Prometheus' text format.
pub fn metrics(state: &State) -> HttpResponse {
    metrics::collect_process_figures();
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(state.metrics.render())
}
