//! Reads request bodies within limits of size and time.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    http::header::CONTENT_LENGTH,
    web,
};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{connections::InUse, error::ApiError};
use crate::upload_memory::Taken;

/// A body is abandoned when nothing arrives for this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A body is abandoned when it is not complete after this long, however steadily it arrives.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(600);

/// A response is sent in pieces of this size, in bytes.
const PIECE: usize = 32 * 1024;

/// The size of the body that the request announces, in bytes.
pub fn announced(request: &HttpRequest) -> Option<u64> {
    let length = request.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Reads the whole body, if it is at most `limit` bytes, and sends it on piece by piece. A larger one is refused before it
/// is read, or as soon as it exceeds the limit. `memory` grows with it if its size was not announced. What nobody takes any more is read and dropped.
pub async fn read(
    request: &HttpRequest,
    payload: &mut web::Payload,
    limit: usize,
    memory: &mut Taken,
    pieces: mpsc::Sender<Bytes>,
) -> Result<(), ApiError> {
    check_announced(request, limit)?;
    let mut length = 0;
    let end = Instant::now() + TOTAL_TIMEOUT;
    loop {
        let deadline = end.min(Instant::now() + IDLE_TIMEOUT);
        let piece = timeout_at(deadline, payload.next())
            .await
            .map_err(|_| ApiError::Timeout)?;
        let Some(piece) = piece else {
            return Ok(());
        };
        let piece = piece.map_err(|cause| ApiError::MalformedUpload(cause.to_string()))?;
        length += piece.len();
        if length > limit {
            return Err(ApiError::TooLarge(limit));
        }
        memory.cover(length).await?;
        let _ = pieces.send(piece).await;
    }
}

/// Reads the whole body, if it is at most `limit` bytes, which have to be few.
pub async fn read_whole(
    request: &HttpRequest,
    payload: &mut web::Payload,
    limit: usize,
) -> Result<Vec<u8>, ApiError> {
    check_announced(request, limit)?;
    let mut whole = Vec::new();
    let end = Instant::now() + IDLE_TIMEOUT;
    while let Some(piece) = timeout_at(end, payload.next())
        .await
        .map_err(|_| ApiError::Timeout)?
    {
        let piece = piece.map_err(|cause| ApiError::MalformedUpload(cause.to_string()))?;
        if whole.len() + piece.len() > limit {
            return Err(ApiError::TooLarge(limit));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// Refuses a body that is announced to be larger than `limit` bytes.
pub fn check_announced(request: &HttpRequest, limit: usize) -> Result<(), ApiError> {
    if announced(request).is_some_and(|length| length > limit as u64) {
        return Err(ApiError::TooLarge(limit));
    }
    Ok(())
}

/// Wraps a response that may be sent before the request's body has been read completely.
///
/// If nothing can read a chunked body any more, actix reads it to its end, however long that takes. If something still
/// could, actix gives it up soon after the response, with enough time for the client to read that.
///
/// The response is sent in pieces, so that no second copy of it is made for a connection. `in_use` is held until it is
/// sent.
pub fn without_rest(answer: HttpResponse, payload: web::Payload, in_use: Option<InUse>) -> HttpResponse {
    answer.map_body(|_, body| {
        BoxBody::new(Answer {
            body,
            rest_of_piece: Bytes::new(),
            _rest: payload,
            _in_use: in_use,
        })
    })
}

struct Answer {
    body: BoxBody,
    rest_of_piece: Bytes,
    _rest: web::Payload,
    _in_use: Option<InUse>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest_of_piece.is_empty() {
            match ready!(self.body.as_pin_mut().poll_next(cx)) {
                Some(Ok(piece)) => self.rest_of_piece = piece,
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest_of_piece.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest_of_piece.split_to(length))))
    }
}
