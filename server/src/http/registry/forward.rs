//! Passes a request on to the registry, and its answer back, piece by piece in both directions.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::{
        Method, StatusCode,
        header::{TRANSFER_ENCODING, VIA},
    },
};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::{
    http::{body::announced, exchange::Exchange},
    registry::{Answer, Asked, Body, Gateway, Refusal, for_client, for_registry},
};

/// Passes a request on, with its body if its method has one.
pub(super) async fn forwarded(
    exchange: &mut Exchange<'_>,
    gateway: &Gateway,
    path: &str,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    let method = exchange.request.method().clone();
    let asked = Asked {
        method: method.as_str(),
        path,
        query,
        headers: headers(exchange, gateway)?,
    };
    if ![Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        return gateway.upstream().ask(asked).await;
    }
    let length = length(exchange)?;
    gateway
        .upstream()
        .send(asked, length, &mut *exchange.payload)
        .await
}

/// The headers of the request to the registry.
pub(super) fn headers(exchange: &Exchange<'_>, gateway: &Gateway) -> Result<HeaderMap, Refusal> {
    let given = exchange.request.headers();
    let from_here = given
        .get_all(VIA)
        .any(|via| via.to_str().is_ok_and(|via| gateway.upstream().is_own(via)));
    if from_here {
        return Err(Refusal::Circle);
    }
    let mut passed = for_registry(given);
    if let Ok(id) = HeaderValue::from_str(exchange.record.request_id()) {
        passed.insert("x-request-id", id);
    }
    Ok(passed)
}

/// The length of the request's body; `None` if it comes in chunks.
fn length(exchange: &Exchange<'_>) -> Result<Option<u64>, Refusal> {
    let request = exchange.request;
    let chunked = request.headers().contains_key(TRANSFER_ENCODING);
    match (announced(request), chunked) {
        (Some(_), true) => Err(Refusal::TwoLengths),
        (None, true) => Ok(None),
        (length, false) => Ok(Some(length.unwrap_or(0))),
    }
}

/// The answer for the client.
pub(super) fn respond(exchange: &Exchange<'_>, gateway: &Gateway, answer: Answer) -> HttpResponse {
    let length = answer.length();
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let is_head = exchange.request.method() == Method::HEAD;
    let without_body = is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let size = match (without_body, length) {
        (true, None) => BodySize::None,
        (true, Some(_)) if !is_head => BodySize::None,
        (_, Some(length)) => BodySize::Sized(length),
        (false, None) => BodySize::Stream,
    };
    let mut response = HttpResponse::build(status);
    for (name, value) in for_client(gateway.places(), &answer.url, &answer.headers) {
        response.append_header((name.as_str(), value));
    }
    response.body(BoxBody::new(Passed {
        body: (!without_body).then_some(answer.body),
        size,
    }))
}

/// The registry's body on its way to the client. The next piece is asked for when the client has room for it.
struct Passed {
    body: Option<Body>,
    size: BodySize,
}

impl MessageBody for Passed {
    type Error = Refusal;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        match &mut self.body {
            Some(body) => body.poll_piece(cx).map(|piece| {
                if let Some(Err(cause)) = &piece {
                    tracing::warn!(reason = %cause, "an answer of the registry broke off");
                }
                piece
            }),
            None => Poll::Ready(None),
        }
    }
}
