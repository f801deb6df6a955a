//! Asks the registry, with the credentials of this server and never with those of its clients.
//!
//! The client is reqwest: it reads the answer while it still sends a body, so that a registry which refuses an upload at
//! its start is heard. (awc sends all of a body first.)

use std::{fmt, io, path::Path, pin::pin, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use platform::reason;
use reqwest::{
    Client, Method, RequestBuilder, Response, Url,
    header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, VIA},
};
use tokio::{sync::mpsc, time::timeout};

use super::{Answer, Body, Refusal, places::Places};
use crate::config::{Login, RegistrySettings};

/// How many pieces of a body may wait until the registry takes them.
const PIECES: usize = 4;
/// How long a connection to the registry is kept for the next request.
const KEPT: Duration = Duration::from_secs(30);
/// The largest answer that is read before the request is sent completely: a refusal.
const EARLY_LIMIT: usize = 1024 * 1024;

/// Why the registry cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("registry.{key}: {reason}")]
pub struct SetUpError {
    key: &'static str,
    reason: String,
}

/// What the registry is asked for.
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// The query.
    pub query: Option<&'a str>,
    /// The headers.
    pub headers: HeaderMap,
}

/// The registry.
pub struct Upstream {
    client: Client,
    places: Places,
    own: HeaderMap,
    /// What this server calls itself on the way to the registry, to notice when that leads back here.
    via: String,
    answer_timeout: Duration,
    idle_timeout: Duration,
}

/// A piece of a body, or its end: without one, a body that broke off could pass for a complete one.
enum Piece {
    Data(Bytes),
    End,
}

impl Upstream {
    /// The registry of a configuration. This opens no connection yet.
    ///
    /// # Errors
    /// When a file that it needs cannot be used.
    pub(super) fn new(settings: &RegistrySettings, places: &Places) -> Result<Self, SetUpError> {
        let mut builder = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(KEPT);
        if let Some(path) = &settings.ca {
            builder = builder.tls_certs_only(authorities(path).map_err(wrong("upstream_ca"))?);
        }
        if let Some((certificate, key)) = &settings.identity {
            let identity = identity(certificate, key).map_err(wrong("upstream_client_cert"))?;
            builder = builder.identity(identity);
        }
        let client = builder
            .build()
            .map_err(|cause| wrong("upstream")(reason::innermost(&cause)))?;
        let via = format!("1.1 countersign-{}", uuid::Uuid::new_v4().simple());
        let mut own = HeaderMap::new();
        let value =
            |text: &str| HeaderValue::from_str(text).map_err(|cause| wrong("host")(cause.to_string()));
        own.insert(VIA, value(&via)?);
        if let Some((scheme, authority)) = places.public() {
            own.insert("x-forwarded-proto", value(scheme)?);
            own.insert("x-forwarded-host", value(&authority)?);
        }
        if let Some(login) = &settings.login {
            own.insert(AUTHORIZATION, authorization(login)?);
        }
        Ok(Self {
            client,
            places: places.clone(),
            own,
            via,
            answer_timeout: settings.answer_timeout,
            idle_timeout: settings.idle_timeout,
        })
    }

    /// Whether a request with this `Via` header came from here.
    pub fn is_own(&self, via: &str) -> bool {
        via.contains(&self.via)
    }

    /// How long the registry may take to answer.
    pub(super) fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    /// Asks without a body.
    ///
    /// # Errors
    /// When there is no answer in time, or it cannot be used.
    pub async fn ask(&self, asked: Asked<'_>) -> Result<Answer, Refusal> {
        let (url, request) = self.request(asked)?;
        let sent = timeout(self.answer_timeout, request.send()).await;
        self.answer(url, sent.map_err(|_| Refusal::Slow("answer"))?)
    }

    /// Asks with a body, which is passed on as it arrives. `length` is what the client announced.
    ///
    /// # Errors
    /// When there is no answer in time, it cannot be used, or the body breaks off.
    pub async fn send<E: fmt::Display>(
        &self,
        asked: Asked<'_>,
        length: Option<u64>,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Answer, Refusal> {
        let (url, mut request) = self.request(asked)?;
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        if length == Some(0) {
            let sent = timeout(self.answer_timeout, request.send()).await;
            return self.answer(url, sent.map_err(|_| Refusal::Slow("answer"))?);
        }
        let (pieces, received) = mpsc::channel(PIECES);
        let request = request.body(reqwest::Body::wrap_stream(stream_of(received)));
        let mut sending = pin!(request.send());
        let mut passing = pin!(self.pass(body, pieces));
        tokio::select! {
            answered = &mut sending => {
                // It is answered although not all was sent. What is left of the answer is read while the connection
                // stays as it is.
                let mut answer = self.answer(url, answered)?;
                answer.body = Body::whole(answer.body.read(EARLY_LIMIT).await?);
                Ok(answer)
            }
            passed = &mut passing => {
                // After a failure the registry sees a body that breaks off.
                passed?;
                let answered = timeout(self.answer_timeout, sending).await;
                self.answer(url, answered.map_err(|_| Refusal::Slow("answer"))?)
            }
        }
    }

    /// Passes a body on until it ends or nobody takes it any more.
    async fn pass<E: fmt::Display>(
        &self,
        body: impl Stream<Item = Result<Bytes, E>>,
        pieces: mpsc::Sender<Piece>,
    ) -> Result<(), Refusal> {
        let mut body = pin!(body);
        loop {
            let piece = match timeout(self.idle_timeout, body.next()).await {
                Err(_) => return Err(Refusal::Idle),
                Ok(Some(Err(cause))) => return Err(Refusal::BrokenOff(cause.to_string())),
                Ok(Some(Ok(data))) => Piece::Data(data),
                Ok(None) => Piece::End,
            };
            let last = matches!(piece, Piece::End);
            match timeout(self.idle_timeout, pieces.send(piece)).await {
                Err(_) => return Err(Refusal::Slow("go on reading")),
                // The answer says why the registry reads no more.
                Ok(Err(_)) => return Ok(()),
                Ok(Ok(())) if last => return Ok(()),
                Ok(Ok(())) => {}
            }
        }
    }

    fn request(&self, asked: Asked<'_>) -> Result<(Url, RequestBuilder), Refusal> {
        let method = Method::from_bytes(asked.method.as_bytes()).map_err(|_| Refusal::Unsupported)?;
        let url = self.places.at(asked.path, asked.query);
        let mut headers = asked.headers;
        headers.extend(self.own.clone());
        Ok((url.clone(), self.client.request(method, url).headers(headers)))
    }

    fn answer(&self, url: Url, sent: Result<Response, reqwest::Error>) -> Result<Answer, Refusal> {
        let response = sent.map_err(|cause| {
            if cause.is_timeout() {
                Refusal::Slow("accept a connection")
            } else {
                Refusal::Unreachable(reason::innermost(&cause))
            }
        })?;
        // A client that were passed the challenge would log in at the registry with what it has for us.
        if matches!(response.status().as_u16(), 401 | 407) {
            return Err(Refusal::Login);
        }
        Ok(Answer {
            url,
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: Body::new(response, self.idle_timeout),
        })
    }
}

/// The pieces of a body, which fails unless its end was passed on too.
fn stream_of(received: mpsc::Receiver<Piece>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::unfold(Some(received), async |state| {
        let mut received = state?;
        match received.recv().await {
            Some(Piece::Data(data)) => Some((Ok(data), Some(received))),
            Some(Piece::End) => None,
            None => Some((Err(io::ErrorKind::UnexpectedEof.into()), None)),
        }
    })
}

fn wrong(key: &'static str) -> impl Fn(String) -> SetUpError {
    move |reason| SetUpError { key, reason }
}

fn in_file(path: &Path) -> impl Fn(String) -> String {
    move |reason| format!("{}: {reason}", path.display())
}

fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let certificates =
        platform::tls::read_certificates("the CA file", path).map_err(|cause| cause.to_string())?;
    let converted = certificates.iter().map(|certificate| {
        let der = certificate.to_der().map_err(|cause| reason::of_openssl(&cause))?;
        reqwest::Certificate::from_der(&der).map_err(|cause| reason::innermost(&cause))
    });
    converted.collect::<Result<_, String>>().map_err(in_file(path))
}

/// The client certificate and key in the form that the HTTP library reads.
fn identity(certificate: &Path, key: &Path) -> Result<reqwest::Identity, String> {
    let pair = platform::tls::read_key_pair("the client certificate", certificate, "the client key", key);
    let (certificates, private) = pair.map_err(|cause| cause.to_string())?;
    let mut chain = Vec::new();
    for one in certificates {
        chain.extend(one.to_pem().map_err(|cause| reason::of_openssl(&cause))?);
    }
    let private = private
        .private_key_to_pem_pkcs8()
        .map_err(|cause| reason::of_openssl(&cause))?;
    reqwest::Identity::from_pkcs8_pem(&chain, &private)
        .map_err(|cause| in_file(certificate)(reason::innermost(&cause)))
}

/// The `Authorization` header of this server; it is not shown in logs.
fn authorization(login: &Login) -> Result<HeaderValue, SetUpError> {
    let (key, path) = match login {
        Login::Token(path) => ("upstream_token_file", path),
        Login::Password(path) => ("upstream_password_file", path),
    };
    let failed = |reason: String| wrong(key)(in_file(path)(reason));
    let bytes = platform::files::read(path).map_err(|cause| failed(cause.to_string()))?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim();
    let value = match login {
        Login::Token(_) if text.is_empty() || text.contains(char::is_whitespace) => {
            return Err(failed("it has to hold a token alone".to_owned()));
        }
        Login::Token(_) => format!("Bearer {text}"),
        Login::Password(_) if !text.contains(':') || text.contains('\n') => {
            return Err(failed("it has to hold one line, user:password".to_owned()));
        }
        Login::Password(_) => format!("Basic {}", STANDARD.encode(text)),
    };
    let mut value = HeaderValue::from_str(&value)
        .map_err(|_| failed("it has characters that no header may have".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
