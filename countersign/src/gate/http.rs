//! HTTP on one connection: bounded requests in, one handler, JSON or text out.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request as HttpRequest, Response as HttpResponse, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

/// The largest body, in bytes. The API server's own limit on objects is 3 MiB, and a review holds the old one too.
const BODY_LIMIT: usize = 8 << 20;
/// How long a client may take to send the head of a request, and may leave a connection idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request, complete.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path, as sent.
    pub path: String,
    /// Its body.
    pub body: Bytes,
}

/// What is answered.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
}

impl Response {
    /// JSON with status 200.
    pub fn json(value: &Value) -> Self {
        Self::with(StatusCode::OK, "application/json", value.to_string())
    }

    /// Plain text.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::with(status, "text/plain; charset=utf-8", text.into())
    }

    /// A refusal in the shape of the trust server's.
    pub fn error(status: StatusCode, code: &str, message: &str) -> Self {
        let body = json!({"errors": [{"code": code, "message": message}]});
        Self::with(status, "application/json", body.to_string())
    }

    fn with(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
        }
    }
}

/// Serves the requests of one connection, until its client closes it or `stopping` becomes true; then the request in
/// progress is still answered.
pub async fn serve<S, H, F>(stream: S, handler: Arc<H>, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(answer(request, &*handler).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer<H, F>(request: HttpRequest<Incoming>, handler: &H) -> HttpResponse<Full<Bytes>>
where
    H: Fn(Request) -> F,
    F: Future<Output = Response>,
{
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT).collect()).await;
    let response = match body {
        Ok(Ok(body)) => {
            handler(Request {
                method: head.method,
                path: head.uri.path().to_owned(),
                body: body.to_bytes(),
            })
            .await
        }
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => Response::error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "TOO_LARGE",
            &format!("the body is larger than {BODY_LIMIT} bytes"),
        ),
        Ok(Err(_)) => Response::error(StatusCode::BAD_REQUEST, "INVALID_BODY", "the body breaks off"),
        Err(_) => Response::error(
            StatusCode::REQUEST_TIMEOUT,
            "TIMEOUT",
            "the body did not come in time",
        ),
    };
    let mut answer = HttpResponse::new(Full::new(response.body));
    *answer.status_mut() = response.status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(response.content_type));
    answer
}
