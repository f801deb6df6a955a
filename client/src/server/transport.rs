//! One request and its answer: tokens, limits, and failures in words.

use bytes::{Bytes, BytesMut};
use chrono::Utc;
use platform::reason;
use reqwest::{
    RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, ETAG, LOCATION, WWW_AUTHENTICATE},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tuf::Gun;

use super::login::{Challenge, TokenAnswer};
use super::settings::Credentials;
use super::{Access, Server};
use crate::failure::ReadError;

/// The largest answer of a token service, and the largest refusal, in bytes.
const SMALL_LIMIT: u64 = 1 << 18;
/// The media type of server-sent events.
const EVENT_STREAM: &str = "text/event-stream";
/// Where the next page of a list begins.
#[cfg(feature = "native")]
const NEXT_PAGE: reqwest::header::HeaderName = reqwest::header::HeaderName::from_static("x-next-page-start");
/// The longest sentence of a server that is passed on, in characters.
const SENTENCE_LIMIT: usize = 500;

/// An answer that was read completely.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its `ETag`.
    pub(crate) etag: Option<String>,
    /// Its `Location`.
    pub(crate) location: Option<String>,
    /// Where the next page of a list begins, if it is one and goes on.
    #[cfg(feature = "native")]
    pub(crate) next_page: Option<String>,
    /// Its content, which is a refusal unless the status is a success.
    pub(crate) body: Bytes,
}

/// How a request says who asks.
enum Proof {
    Nothing,
    Token(SecretString),
    Password { name: String, password: SecretString },
}

#[derive(Deserialize)]
struct Refusals {
    errors: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: serde_json::Value,
}

impl Server {
    /// Sends what `build` makes, with a token if the server asks for one, and reads an answer of at most `limit` bytes.
    /// Which answers are failures is for the caller to judge, but for 401 and 403.
    pub(crate) async fn exchange(
        &self,
        gun: &Gun,
        access: Access,
        what: &str,
        limit: u64,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Answer, ReadError> {
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|_| self.unreachable("it is not asked any more"))?;
        let response = self.respond(gun, access, build).await?;
        let status = response.status();
        let header = |name| {
            let value = response.headers().get(name);
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let (etag, location) = (header(ETAG), header(LOCATION));
        #[cfg(feature = "native")]
        let next_page = header(NEXT_PAGE);
        let limit = if status.is_success() { limit } else { SMALL_LIMIT };
        let body = self.body(response, what, limit).await?;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refusal(status, &body)),
            _ => Ok(Answer {
                status,
                etag,
                location,
                #[cfg(feature = "native")]
                next_page,
                body,
            }),
        }
    }

    /// Follows what a server sends for as long as it does; `None` if it has nothing of the kind.
    pub(crate) async fn stream(&self, gun: &Gun, address: &Url) -> Result<Option<Response>, ReadError> {
        let build = |client: &reqwest::Client| client.get(address.clone()).header(ACCEPT, EVENT_STREAM);
        let response = self.respond(gun, Access::Pull, build).await?;
        let status = response.status();
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        match status {
            StatusCode::OK if kind.is_some_and(|kind| kind.starts_with(EVENT_STREAM)) => Ok(Some(response)),
            StatusCode::OK | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
            _ => {
                let body = self.body(response, "the refusal", SMALL_LIMIT).await?;
                Err(self.refusal(status, &body))
            }
        }
    }

    /// Begins to read a file that may be large; `None` if there is none. A redirect to another server is followed, without
    /// saying who asks: what it gives is verified by its hash.
    pub(crate) async fn begin_file(&self, gun: &Gun, address: &Url) -> Result<Option<Response>, ReadError> {
        let mut response = self
            .respond(gun, Access::Pull, |client| client.get(address.clone()))
            .await?;
        if response.status().is_redirection() {
            let place = response.headers().get(LOCATION);
            let place = place.and_then(|place| place.to_str().ok());
            let place = place.and_then(|place| address.join(place).ok());
            let place = place.ok_or_else(|| self.unreachable("it redirects to nowhere"))?;
            if place.scheme() != "https" && place.scheme() != "http" {
                return Err(
                    self.unreachable(format!("it redirects to {}, which is not HTTP", place.scheme()))
                );
            }
            let client = self
                .elsewhere()
                .map_err(|cause| self.unreachable(cause.to_string()))?;
            let host = place.host_str().unwrap_or_default().to_owned();
            let sent = client.get(place).send().await;
            response = sent.map_err(|cause| {
                self.unreachable(format!("it redirects to {host}, where: {}", describe(&cause)))
            })?;
        }
        match response.status() {
            StatusCode::OK => Ok(Some(response)),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status => {
                let body = self.body(response, "the refusal", SMALL_LIMIT).await?;
                Err(self.refusal(status, &body))
            }
        }
    }

    /// Reads a file of at most `limit` bytes as [`begin_file`](Self::begin_file) does; `None` if there is none.
    pub(crate) async fn small_file(
        &self,
        gun: &Gun,
        address: &Url,
        what: &str,
        limit: u64,
    ) -> Result<Option<Bytes>, ReadError> {
        match self.begin_file(gun, address).await? {
            Some(response) => self.body(response, what, limit).await.map(Some),
            None => Ok(None),
        }
    }

    /// Sends what `build` makes, with a token if the server asks for one.
    async fn respond(
        &self,
        gun: &Gun,
        access: Access,
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, ReadError> {
        // Only what is needed now is asked for, whatever the server would have us ask for.
        let scope = format!("repository:{gun}:{}", access.actions());
        let mut proof = match (&self.credentials, self.tokens.get(&scope)) {
            (Credentials::Token(token), _) => Proof::Token(token.clone()),
            (_, Some(token)) => Proof::Token(token),
            _ => Proof::Nothing,
        };
        let mut logged_in = matches!(self.credentials, Credentials::Token(_));
        loop {
            let request = build(&self.client);
            let request = match &proof {
                Proof::Nothing => request,
                Proof::Token(token) => request.bearer_auth(token.expose_secret()),
                Proof::Password { name, password } => {
                    request.basic_auth(name, Some(password.expose_secret()))
                }
            };
            let response = request.send().await.map_err(|cause| self.broken(&cause))?;
            if response.status() != StatusCode::UNAUTHORIZED || logged_in {
                return Ok(response);
            }
            logged_in = true;
            self.tokens.forget(&scope);
            match self.log_in(&response, &scope).await? {
                Some(found) => proof = found,
                None => return Ok(response),
            }
        }
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> ReadError {
        let server = self.label().to_owned();
        let sentence = sentence(status, body);
        match status {
            StatusCode::UNAUTHORIZED => ReadError::Unauthorized { server, sentence },
            StatusCode::FORBIDDEN => ReadError::Forbidden { server, sentence },
            _ => self.unreachable(format!("it answered {sentence}")),
        }
    }

    /// How to prove who asks, after a 401; `None` if there is nothing that could prove it.
    async fn log_in(&self, refusal: &Response, scope: &str) -> Result<Option<Proof>, ReadError> {
        let headers = refusal.headers().get_all(WWW_AUTHENTICATE);
        let headers: Vec<&str> = headers.iter().filter_map(|value| value.to_str().ok()).collect();
        if headers.is_empty() {
            return Ok(None);
        }
        let unauthorized = |sentence: String| ReadError::Unauthorized {
            server: self.label().to_owned(),
            sentence,
        };
        let challenge = Challenge::read(headers, self.base.scheme() == "https").map_err(unauthorized)?;
        let (realm, service) = match (challenge, &self.credentials) {
            (Challenge::Basic, Credentials::User { name, password }) => {
                return Ok(Some(Proof::Password {
                    name: name.clone(),
                    password: password.clone(),
                }));
            }
            (Challenge::Basic, _) => return Ok(None),
            (Challenge::Bearer { realm, service }, _) => (realm, service),
        };
        let (token, lifetime) = self.token(realm, service.as_deref(), scope).await?;
        self.tokens.put(scope, token.clone(), lifetime);
        Ok(Some(Proof::Token(token)))
    }

    /// Asks a token service.
    async fn token(
        &self,
        realm: Url,
        service: Option<&str>,
        scope: &str,
    ) -> Result<(SecretString, std::time::Duration), ReadError> {
        let mut url = realm.clone();
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", scope);
        if let Credentials::User { name, .. } = &self.credentials {
            url.query_pairs_mut().append_pair("account", name);
        }
        let mut request = self.client.get(url);
        if let Credentials::User { name, password } = &self.credentials {
            request = request.basic_auth(name, Some(password.expose_secret()));
        }
        let mut named = realm;
        named.set_query(None);
        let failed = |reason: &str| format!("its token service {named} {reason}");
        let response = request
            .send()
            .await
            .map_err(|cause| self.unreachable(failed(&format!("cannot be asked: {}", describe(&cause)))))?;
        let status = response.status();
        let body = self.body(response, "the token", SMALL_LIMIT).await?;
        let server = self.label().to_owned();
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::BAD_REQUEST {
            let sentence = failed(&format!("says: {}", sentence(status, &body)));
            return Err(ReadError::Unauthorized { server, sentence });
        }
        if status == StatusCode::FORBIDDEN {
            let sentence = failed(&format!("says: {}", sentence(status, &body)));
            return Err(ReadError::Forbidden { server, sentence });
        }
        if !status.is_success() {
            return Err(self.unreachable(failed(&format!("answered {}", sentence(status, &body)))));
        }
        let answer: Option<TokenAnswer> = serde_json::from_slice(&body).ok();
        answer
            .and_then(|answer| answer.into_token(Utc::now()))
            .ok_or_else(|| ReadError::Malformed {
                server,
                what: failed("gave no token"),
            })
    }

    /// Reads a body of at most `limit` bytes.
    async fn body(&self, mut response: Response, what: &str, limit: u64) -> Result<Bytes, ReadError> {
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|cause| self.broken(&cause))? {
            if (body.len() as u64).saturating_add(piece.len() as u64) > limit {
                return Err(ReadError::TooLarge {
                    server: self.label().to_owned(),
                    what: what.to_owned(),
                    limit,
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    /// The failure that a broken exchange is. An alert about our certificate is a refusal in the words of TLS, not silence:
    /// whoever is refused must not go on with what was read before.
    pub(crate) fn broken(&self, cause: &reqwest::Error) -> ReadError {
        let text = describe(cause);
        if is_refusal(&text) {
            let server = self.label().to_owned();
            return ReadError::Unauthorized {
                server,
                sentence: text,
            };
        }
        self.unreachable(text)
    }

    pub(crate) fn unreachable(&self, cause: impl Into<String>) -> ReadError {
        ReadError::Unreachable {
            server: self.label().to_owned(),
            cause: cause.into(),
        }
    }

    /// The failure that an answer is whose status nobody expects: the server, or something before it, is out of order.
    pub(crate) fn unexpected(&self, answer: &Answer) -> ReadError {
        self.unreachable(format!("it answered {}", sentence(answer.status, &answer.body)))
    }

    /// The failure that the refusal of an upload is.
    pub(crate) fn rejection(&self, answer: &Answer) -> ReadError {
        ReadError::Rejected {
            server: self.label().to_owned(),
            code: code(&answer.body),
            sentence: sentence(answer.status, &answer.body),
        }
    }
}

impl Access {
    fn actions(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push,pull",
            Self::Everything => "*",
        }
    }
}

fn first(body: &[u8]) -> Option<Refusal> {
    let refusals: Refusals = serde_json::from_slice(body).ok()?;
    refusals.errors.into_iter().next()
}

/// The code of a refusal, or nothing.
pub(crate) fn code(body: &[u8]) -> String {
    let code = first(body).map(|refusal| refusal.code).unwrap_or_default();
    printable(&code)
}

/// What a refusal says: the words for people if there are any, else its message, else its status.
pub(crate) fn sentence(status: StatusCode, body: &[u8]) -> String {
    let Some(refusal) = first(body) else {
        return status.to_string();
    };
    let words = refusal
        .detail
        .pointer("/Error/Msg")
        .and_then(|text| text.as_str());
    let detail = refusal.detail.as_str();
    let text = words.or(detail).unwrap_or(&refusal.message);
    let text = printable(text);
    if text.is_empty() { status.to_string() } else { text }
}

/// A text of a server's as it may stand in a terminal or a log.
fn printable(text: &str) -> String {
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let kept: String = kept.take(SENTENCE_LIMIT).collect();
    kept.trim().to_owned()
}

/// Whether OpenSSL's reason is an alert by which a server refuses a client's certificate (RFC 8446 section 6.2).
fn is_refusal(reason: &str) -> bool {
    const ABOUT: [&str; 8] = [
        "certificate required",
        "unknown ca",
        "bad certificate",
        "certificate expired",
        "certificate revoked",
        "certificate unknown",
        "unsupported certificate",
        "access denied",
    ];
    ABOUT
        .iter()
        .any(|about| reason.contains(&format!("alert {about}")))
}

/// Why a request failed, with what to look at.
pub(super) fn describe(error: &reqwest::Error) -> String {
    let mut text = reason::innermost(error);
    if text.contains("certificate verify failed") {
        text.push_str(
            "; is its CA among those trusted, which --ca or ca.crt in ~/.docker/tls/<host:port> names, and is this its name?",
        );
    }
    if error.is_timeout() {
        let during = if error.is_connect() {
            "connecting"
        } else {
            "its answer"
        };
        return format!("{during} took too long");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_words_for_people() {
        let text = |body: &str| sentence(StatusCode::BAD_REQUEST, body.as_bytes());
        let wordy = r#"{"errors":[{"code":"VERSION","message":"m","detail":{"Error":{"Msg":"run it\u001b again"}}}]}"#;
        assert_eq!(text(wordy), "run it  again");
        assert_eq!(code(wordy.as_bytes()), "VERSION");
        assert_eq!(text(r#"{"errors":[{"code":"X","message":"m"}]}"#), "m");
        assert_eq!(text("<html>"), "400 Bad Request");
        assert_eq!(text(r#"{"errors":[]}"#), "400 Bad Request");
    }

    #[test]
    fn alerts_about_our_certificate_are_refusals_and_others_are_silence() {
        assert!(is_refusal(
            "the other side refused our certificate (ssl/tls alert certificate revoked)"
        ));
        assert!(is_refusal("... (tlsv13 alert certificate required)"));
        for silence in [
            "certificate verify failed",
            "tlsv1 alert internal error",
            "Connection refused",
        ] {
            assert!(!is_refusal(silence), "{silence}");
        }
    }
}
