//! The registry's answer to one request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use reqwest::{Url, header::HeaderMap};
use tokio::time::{Instant, Sleep, timeout};

use super::Refusal;

/// What the registry answered.
pub struct Answer {
    /// The URL that it was asked for.
    pub url: Url,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Answer {
    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is a page of a list, and there is another.
    pub(super) fn has_next(&self) -> bool {
        self.header("link").is_some_and(|link| link.contains("next"))
    }

    /// The length of the body as announced.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }
}

/// A body that arrives piece by piece, when it is asked for. A registry that stops in the middle of it is not waited for.
pub struct Body {
    pieces: Pin<Box<dyn Stream<Item = Result<Bytes, reqwest::Error>> + Send>>,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Body {
    pub(super) fn new(response: reqwest::Response, idle: Duration) -> Self {
        Self::of(response.bytes_stream(), idle)
    }

    /// A body that is here already.
    pub fn whole(bytes: Bytes) -> Self {
        Self::of(futures_util::stream::iter([Ok(bytes)]), Duration::from_secs(60))
    }

    fn of(
        pieces: impl Stream<Item = Result<Bytes, reqwest::Error>> + Send + 'static,
        idle: Duration,
    ) -> Self {
        Self {
            pieces: Box::pin(pieces),
            idle,
            timer: Box::pin(tokio::time::sleep(idle)),
        }
    }

    /// The next piece.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Refusal>>> {
        if let Poll::Ready(piece) = self.pieces.as_mut().poll_next(cx) {
            let next = Instant::now() + self.idle;
            self.timer.as_mut().reset(next);
            return Poll::Ready(piece.map(|piece| {
                piece.map_err(|cause| Refusal::Unreachable(platform::reason::innermost(&cause)))
            }));
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Refusal::Slow("go on with its answer"))))
    }

    /// The whole body, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// When it is larger, breaks off, or stands still.
    pub async fn read(mut self, limit: usize) -> Result<Bytes, Refusal> {
        let mut whole = BytesMut::new();
        loop {
            let piece = timeout(self.idle, self.pieces.next()).await;
            match piece.map_err(|_| Refusal::Slow("go on with its answer"))? {
                None => return Ok(whole.freeze()),
                Some(Err(cause)) => return Err(Refusal::Unreachable(platform::reason::innermost(&cause))),
                Some(Ok(piece)) if whole.len() + piece.len() > limit => {
                    return Err(Refusal::Unusable(format!("it has more than {limit} bytes")));
                }
                Some(Ok(piece)) => whole.extend_from_slice(&piece),
            }
        }
    }
}
