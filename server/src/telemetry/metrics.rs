//! Metrics for Prometheus, with the names that the Notary server uses.

use std::{cell::RefCell, collections::HashMap, sync::OnceLock, time::Duration};

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

// Looking a metric up by its labels costs as much as finding the route, so each thread keeps those that it has used.
thread_local! {
    /// Requests by operation, method and status.
    static REQUESTS: RefCell<HashMap<(&'static str, &'static str, u16), Counter>> = RefCell::default();
    /// Duration, size of the request and size of the response, by operation.
    static COSTS: RefCell<HashMap<&'static str, [Histogram; 3]>> = RefCell::default();
}

/// Starts recording; further calls in one process return the same handle.
///
/// # Errors
/// When another metrics recorder is already installed.
pub fn install() -> Result<PrometheusHandle, String> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let builder = PrometheusBuilder::new()
        .set_quantiles(&QUANTILES)
        .map_err(|cause| cause.to_string())?;
    let handle = builder.install_recorder().map_err(|cause| cause.to_string())?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// The time and sizes of one answered request.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// From the head of the request to the head of the response.
    pub duration: Duration,
    /// The announced size of the request's body, in bytes; 0 if there is none or its size is not announced.
    pub request_bytes: u64,
    /// The size of the response's body, in bytes.
    pub response_bytes: u64,
}

/// The label of a request's method. A client may send any token as a method, and every label is kept for as long as
/// the server runs, so only known methods are named.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        Method::PATCH => "patch",
        Method::CONNECT => "connect",
        Method::TRACE => "trace",
        _ => "other",
    }
}

/// Records one answered request.
pub fn record(operation: &'static str, method: &Method, status: StatusCode, cost: Cost) {
    let method = method_label(method);
    REQUESTS.with_borrow_mut(|requests| {
        let counter = requests
            .entry((operation, method, status.as_u16()))
            .or_insert_with(|| {
                let labels = [
                    ("operation", operation.to_owned()),
                    ("method", method.to_owned()),
                    ("code", status.as_str().to_owned()),
                ];
                metrics::counter!("notary_server_http_requests_total", &labels)
            });
        counter.increment(1);
    });
    let microseconds = u64::try_from(cost.duration.as_micros()).unwrap_or(u64::MAX);
    let values = [microseconds, cost.request_bytes, cost.response_bytes];
    COSTS.with_borrow_mut(|costs| {
        let of_operation = costs.entry(operation).or_insert_with(|| {
            [
                "notary_server_http_request_duration_microseconds",
                "notary_server_http_request_size_bytes",
                "notary_server_http_response_size_bytes",
            ]
            .map(|name| metrics::histogram!(name, "operation" => operation))
        });
        for (histogram, value) in of_operation.iter().zip(values) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "far below 2^53, the last exact whole number"
            )]
            histogram.record(value as f64);
        }
    });
}

/// Counts a connection whose handshake failed.
pub fn handshake_refused() {
    metrics::counter!("countersign_tls_handshakes_refused_total").increment(1);
}

/// Counts a handshake that was dropped in favour of newer ones.
pub fn handshake_displaced() {
    metrics::counter!("countersign_tls_handshakes_displaced_total").increment(1);
}

/// Counts a connection that was dropped in favour of newer ones, or that found no free place.
pub fn connection_displaced() {
    metrics::counter!("countersign_connections_displaced_total").increment(1);
}

/// Counts a key that was deleted because no root names it.
pub fn key_swept() {
    metrics::counter!("countersign_keys_swept_total").increment(1);
}

/// Counts an event that a webhook took, or did not take in the end.
pub fn webhook_told(webhook: &str, taken: bool) {
    let outcome = if taken { "taken" } else { "not_taken" };
    metrics::counter!("countersign_webhook_events_total", "webhook" => webhook.to_owned(), "outcome" => outcome)
        .increment(1);
}

/// Counts a header with a client certificate from a peer that is not a trusted proxy.
pub fn forwarded_header_ignored() {
    metrics::counter!("countersign_forwarded_headers_ignored_total").increment(1);
}

/// Counts a fetch of a CA's revocation list.
pub fn crl_fetched(good: bool) {
    let outcome = if good { "good" } else { "failed" };
    metrics::counter!("countersign_crl_fetches_total", "outcome" => outcome).increment(1);
}

/// Counts a question to the registry behind the server for the tags of a repository.
pub fn registry_tags_listed(good: bool) {
    let outcome = if good { "good" } else { "failed" };
    metrics::counter!("countersign_registry_tag_lists_total", "outcome" => outcome).increment(1);
}

/// Counts a reload.
pub fn reloaded(good: bool) {
    let outcome = if good { "taken" } else { "refused" };
    metrics::counter!("countersign_reloads_total", "outcome" => outcome).increment(1);
}

/// Records when the first current document of a role kind expires.
pub fn nearest_expiry(role: &'static str, moment: chrono::DateTime<chrono::Utc>) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 fit for the next 285 million years"
    )]
    let seconds = moment.timestamp() as f64;
    metrics::gauge!("countersign_nearest_expiry_timestamp_seconds", "role" => role).set(seconds);
}

/// Records when the first certificate, or revocation list, of a kind expires.
pub fn certificate_end(kind: &'static str, moment: chrono::DateTime<chrono::Utc>) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds since 1970 fit for the next 285 million years"
    )]
    let seconds = moment.timestamp() as f64;
    metrics::gauge!("countersign_certificate_not_after_timestamp_seconds", "role" => kind).set(seconds);
}

/// Counts the outcomes of renewals.
pub fn renewed(outcome: &'static str, count: u32) {
    metrics::counter!("countersign_refresh_total", "outcome" => outcome).increment(u64::from(count));
}

/// Updates the process's own metrics (`process_…`).
pub fn collect_process_figures() {
    metrics_process::Collector::default().collect();
    metrics::counter!("countersign_log_lines_lost_total").absolute(platform::logging::lost_lines());
}

/// Counts audit records that were not written to a sink.
pub fn audit_records_lost(count: u64) {
    metrics::counter!("countersign_audit_records_lost_total").increment(count);
}
