//! Reading a request body within limits of size and time.

use std::time::Duration;

use actix_web::{HttpRequest, http::header::CONTENT_LENGTH, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;

/// A body that stops arriving for this long is given up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A body that has not arrived after this long is given up, however steadily it drips.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(600);

/// The size that the request says its body has, in bytes.
pub fn announced(request: &HttpRequest) -> Option<u64> {
    let length = request.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// The whole body, if it is at most `limit` bytes. A larger one is refused before it is read, or at the
/// byte too many.
pub async fn read(request: &HttpRequest, mut payload: web::Payload, limit: usize) -> Result<Bytes, ApiError> {
    if announced(request).is_some_and(|length| length > limit as u64) {
        return Err(ApiError::TooLarge(limit));
    }
    let mut body = BytesMut::new();
    let end = Instant::now() + TOTAL_TIMEOUT;
    loop {
        let deadline = end.min(Instant::now() + IDLE_TIMEOUT);
        let chunk = timeout_at(deadline, payload.next())
            .await
            .map_err(|_| ApiError::Timeout)?;
        let Some(chunk) = chunk else {
            return Ok(body.freeze());
        };
        let chunk = chunk.map_err(|cause| ApiError::MalformedUpload(cause.to_string()))?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
}
