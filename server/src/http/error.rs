//! Maps refusals and failures to HTTP responses; the only place that does.

mod answer;
mod detail;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde_json::{Value, json};
use tuf::IntakeError;

#[cfg(feature = "native")]
use super::native;
use super::{api::ChangeFault, browser::CrossSite, tokens::TokenFault};
use answer::{
    Answer, bad_request, change_answer, intake_answer, internal, publish_answer, signing_answer, stopping,
    store_answer, unavailable,
};
use detail::{access_detail, clip, denied_detail, identity_detail, shorten, validation_detail};

#[cfg(feature = "native")]
use crate::native::NativeError;
use crate::{
    access::Denied,
    identity::{
        IdentityError,
        password::{self, PasswordRefusal},
        token::{Access, TokenRefusal},
    },
    publish::PublishError,
    registry::Refusal,
    state::ServiceError,
    upload_memory::NoMemory,
};

/// How much of an error response the stock clients read, in bytes.
const BODY_LIMIT: usize = 1024;
/// The longest message that keeps the response within that limit, in characters.
const MESSAGE_LIMIT: usize = 600;
/// Seconds after which a client may retry when a service was unavailable.
const RETRY_SECONDS: u16 = 5;
/// Seconds after which wrong passwords are forgotten.
const GUESSING_SECONDS: u16 = 60;

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No such route.
    #[error("no such route")]
    NoRoute,
    /// The listener answers health and metrics alone.
    #[error("this address answers /health, /_notary_server/health and /metrics, and nothing else")]
    HealthOnly,
    /// No such document.
    #[error("no such metadata")]
    NotFound,
    /// No such tag in a repository that exists.
    #[error("no such tag: {0}")]
    NoSuchTag(String),
    /// The version is outside of the range that documents can have.
    #[error("version {0} is out of range")]
    VersionOverflow(String),
    /// The body is not a multipart form.
    #[error("{0}")]
    MalformedUpload(String),
    /// A part of the body is refused.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The publish is refused or failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The GUN has none of the configured prefixes, which are given.
    #[error("the GUN has none of the prefixes {0}")]
    GunPrefix(String),
    /// The GUN is not valid.
    #[error("{0}")]
    InvalidGun(String),
    /// A parameter is missing or wrong.
    #[error("{0}")]
    InvalidParameter(String),
    /// The client has no identity.
    #[error(transparent)]
    Unidentified(#[from] IdentityError),
    /// The client may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The client asked for too many keys that no root names yet.
    #[error("{0} keys that were made for the client wait for a root that names them")]
    TooManyKeys(i64),
    /// A page of another site made a browser send the request.
    #[error(transparent)]
    CrossSite(#[from] CrossSite),
    /// The resource has only these methods.
    #[error("the methods of this are {}", .0.join(", "))]
    OtherMethod(Vec<&'static str>),
    /// A change to who has access, or to the running server, is refused.
    #[error("{0}")]
    Change(ChangeFault),
    /// The client accepts no JSON.
    #[error("the client does not accept JSON")]
    NotAcceptable,
    /// The CA that issued the server's certificate is not known.
    #[error("the CA of the server's certificate is not known: set server.ca_file")]
    NoServerCa,
    /// The URL under which clients reach the server is not known.
    #[error("the URL of this server is not known: set server.external_url")]
    NoExternalUrl,
    /// The client may not publish this.
    #[error(transparent)]
    PublishDenied(Denied),
    /// The client has neither a certificate nor a sufficient token.
    #[error("{refusal}")]
    Challenged {
        /// The `WWW-Authenticate` header.
        challenge: String,
        /// The access that a token must grant.
        required: Vec<Access>,
        /// What is wrong.
        refusal: TokenRefusal,
    },
    /// The body is larger than the limit, in bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// Other publishes take the memory that there is for them.
    #[error("other publishes take the memory that there is for them (limits.upload_memory)")]
    NoMemory,
    /// Too many clients follow events.
    #[error("too many clients follow events")]
    TooManyStreams,
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    Timeout,
    /// The request to the registry is refused, or failed.
    #[error(transparent)]
    Registry(#[from] Refusal),
    /// Something about a TUF 1.0 repository is refused, or failed.
    #[cfg(feature = "native")]
    #[error(transparent)]
    Native(NativeError),
    /// The database or the signing service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A request for a token is malformed.
    #[error(transparent)]
    TokenRequest(#[from] TokenFault),
    /// A token could not be signed.
    #[error("{0}")]
    Signing(String),
    /// Stored metadata cannot be used.
    #[error("stored metadata cannot be used: {0}")]
    StoredState(String),
}

const NOT_FOUND: &str = "You have requested metadata that does not exist.";

#[cfg(feature = "native")]
impl From<NativeError> for ApiError {
    fn from(error: NativeError) -> Self {
        match error {
            NativeError::Denied(denied) => Self::Denied(denied),
            NativeError::Service(cause) => Self::Service(cause),
            NativeError::NoMemory => Self::NoMemory,
            other => Self::Native(other),
        }
    }
}

impl From<NoMemory> for ApiError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

impl ApiError {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.answer().0
    }

    /// The response to send. With `api`, it uses the codes of Docker Trusted Registry's interface.
    pub fn to_response(&self, api: bool) -> HttpResponse {
        let Answer(status, code, message, detail) = if api { self.api_answer() } else { self.answer() };
        let mut response = HttpResponse::build(status);
        response.insert_header((
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        ));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((RETRY_AFTER, HeaderValue::from(RETRY_SECONDS)));
        }
        if let Self::OtherMethod(methods) = self {
            response.insert_header((ALLOW, methods.join(", ")));
        }
        if let Self::Challenged { challenge, .. } = self {
            response.insert_header((WWW_AUTHENTICATE, challenge.as_str()));
        }
        if let Some(realm) = self
            .password_realm()
            .filter(|_| status == StatusCode::UNAUTHORIZED)
        {
            response.insert_header((WWW_AUTHENTICATE, password::challenge(realm)));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.insert_header((RETRY_AFTER, HeaderValue::from(GUESSING_SECONDS)));
        }
        if matches!(
            self,
            Self::TooLarge(_) | Self::Timeout | Self::NoMemory | Self::Registry(Refusal::Idle)
        ) {
            response.insert_header((CONNECTION, HeaderValue::from_static("close")));
        }
        response.body(body(code, &message, detail))
    }

    /// The sentence that says what is wrong.
    pub fn message(&self) -> String {
        self.answer().2
    }

    /// The realm for passwords, where a password would be accepted.
    pub fn password_realm(&self) -> Option<&str> {
        let reason = match self {
            Self::Unidentified(reason) => reason,
            Self::Denied(denied) | Self::PublishDenied(denied) => denied.anonymous.as_deref()?,
            _ => return None,
        };
        match reason {
            IdentityError::NoCredentials(realm) | IdentityError::Password(_, realm) => Some(realm),
            _ => None,
        }
    }

    /// The response with the codes that clients of Docker Trusted Registry know.
    fn api_answer(&self) -> Answer {
        let Answer(status, code, message, detail) = self.answer();
        match status {
            StatusCode::UNAUTHORIZED => {
                let reason = format!("The client is not authenticated: {message}.");
                Answer(status, "NOT_AUTHENTICATED", reason, detail)
            }
            _ if matches!(self, Self::Change(_) | Self::CrossSite(_)) => {
                Answer(status, code, message, detail)
            }
            StatusCode::FORBIDDEN => Answer(status, "NOT_AUTHORIZED", message, detail),
            StatusCode::NOT_FOUND if matches!(self, Self::NoSuchTag(_)) => {
                Answer(status, "NO_SUCH_TAG", message, Value::Null)
            }
            StatusCode::NOT_FOUND => Answer(
                status,
                "NO_SUCH_REPOSITORY",
                "There is no such repository, or the client may not see it.".to_owned(),
                Value::Null,
            ),
            _ => Answer(status, code, message, detail),
        }
    }

    fn answer(&self) -> Answer {
        let text = |message: &str| message.to_owned();
        match self {
            Self::NoRoute => Answer(
                StatusCode::NOT_FOUND,
                "METADATA_NOT_FOUND",
                text(NOT_FOUND),
                Value::Null,
            ),
            Self::HealthOnly => Answer(
                StatusCode::NOT_FOUND,
                "HEALTH_ONLY",
                self.to_string(),
                Value::Null,
            ),
            Self::OtherMethod(methods) => Answer(
                StatusCode::METHOD_NOT_ALLOWED,
                "NOT_ALLOWED",
                if methods.as_slice() == ["GET"] {
                    text("This can only be read, with GET.")
                } else {
                    format!("This has the methods {}.", methods.join(", "))
                },
                Value::Null,
            ),
            Self::Change(fault) => change_answer(fault),
            // The stock clients show only the status of a 429, but the sentence of this response.
            Self::TooManyKeys(waiting) => bad_request(
                "INVALID_UPDATE",
                "Update sent by the client is invalid.",
                validation_detail(
                    "ErrValidation",
                    &format!(
                        "{waiting} keys that you asked for are in no repository yet: publish the repositories that they are \
                         for, or wait until the server deletes them (limits.pending_keys, limits.pending_keys_kept)"
                    ),
                ),
            ),
            Self::CrossSite(reason) => Answer(
                StatusCode::FORBIDDEN,
                "CROSS_SITE",
                shorten(&reason.to_string()),
                json!({
                    "reason": "cross_site",
                    "hint": "programs send neither Origin nor Sec-Fetch-Site; \
                             for pages of this server's own, set server.external_url to its address",
                }),
            ),
            Self::NotAcceptable => Answer(
                StatusCode::NOT_ACCEPTABLE,
                "NOT_ACCEPTABLE",
                text("The answer is JSON (application/json)."),
                Value::Null,
            ),
            Self::NoServerCa | Self::NoExternalUrl => Answer(
                StatusCode::NOT_FOUND,
                "NOT_CONFIGURED",
                self.to_string(),
                Value::Null,
            ),
            Self::NoSuchTag(name) => Answer(
                StatusCode::NOT_FOUND,
                "NO_SUCH_TAG",
                format!("There is no signed tag {:?} in this repository.", shorten(name)),
                Value::Null,
            ),
            Self::NotFound => Answer(
                StatusCode::NOT_FOUND,
                "METADATA_NOT_FOUND",
                text(NOT_FOUND),
                json!({}),
            ),
            Self::VersionOverflow(number) => {
                let detail = json!({"Func": "Atoi", "Num": shorten(number), "Err": {}});
                Answer(
                    StatusCode::NOT_FOUND,
                    "METADATA_NOT_FOUND",
                    text(NOT_FOUND),
                    detail,
                )
            }
            Self::MalformedUpload(reason) => bad_request(
                "MALFORMED_UPLOAD",
                "The body of your request is malformed.",
                validation_detail("ErrValidation", reason),
            ),
            Self::Intake(refusal) => intake_answer(refusal),
            Self::Publish(PublishError::Denied(denied)) => Self::PublishDenied(denied.clone()).answer(),
            Self::Publish(error) => publish_answer(error),
            Self::GunPrefix(prefixes) => bad_request(
                "INVALID_GUN",
                INVALID_GUN,
                json!(format!("Require GUNs with prefix: {}", shorten(prefixes))),
            ),
            Self::InvalidGun(reason) => bad_request(
                "INVALID_GUN",
                INVALID_GUN,
                validation_detail("ErrValidation", reason),
            ),
            Self::InvalidParameter(reason) => bad_request(
                "INVALID_PARAMETERS",
                "The parameters provided are not valid.",
                json!(shorten(reason)),
            ),
            Self::TokenRequest(fault) => Answer(
                StatusCode::BAD_REQUEST,
                "INVALID_PARAMETERS",
                shorten(&fault.to_string()),
                Value::Null,
            ),
            Self::Unidentified(
                error @ IdentityError::Password(PasswordRefusal::TooMany(_) | PasswordRefusal::Busy, _),
            ) => Answer(
                StatusCode::TOO_MANY_REQUESTS,
                "TOO_MANY_REQUESTS",
                shorten(&error.to_string()),
                Value::Null,
            ),
            Self::Unidentified(error) => {
                let message = shorten(&error.to_string());
                Answer(
                    StatusCode::UNAUTHORIZED,
                    "UNAUTHORIZED",
                    message,
                    identity_detail(error),
                )
            }
            Self::Denied(Denied {
                anonymous: Some(reason),
                ..
            })
            | Self::PublishDenied(Denied {
                anonymous: Some(reason),
                ..
            }) => Answer(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                shorten(&reason.to_string()),
                identity_detail(reason),
            ),
            Self::Denied(denied) => Answer(
                StatusCode::FORBIDDEN,
                "DENIED",
                shorten(&denied.to_string()),
                denied_detail(denied),
            ),
            // Of a refused publish the stock clients show nothing but this sentence.
            Self::PublishDenied(denied) => bad_request(
                "INVALID_UPDATE",
                "Update sent by the client is invalid.",
                validation_detail(
                    "ErrValidation",
                    &format!(
                        "{denied}: ask whoever runs this trust server for the right \"{}\"",
                        denied.right
                    ),
                ),
            ),
            Self::Challenged { required, .. } => {
                let detail = required.iter().map(access_detail).collect();
                Answer(
                    StatusCode::UNAUTHORIZED,
                    "UNAUTHORIZED",
                    text("authentication required"),
                    detail,
                )
            }
            Self::TooLarge(limit) => {
                let message = format!("The body of your request is larger than the limit of {limit} bytes.");
                Answer(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "TOO_LARGE",
                    message,
                    json!({"limit": limit}),
                )
            }
            Self::NoMemory => {
                unavailable("The server is busy with other publishes; nothing was changed. Try again.")
            }
            Self::TooManyStreams => {
                unavailable("Too many clients follow events; read the changefeed, or try again.")
            }
            Self::Timeout => {
                let message = text("The body of your request did not arrive in time.");
                Answer(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", message, Value::Null)
            }
            Self::Registry(refusal) => {
                let (status, code) = refusal.code();
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                Answer(status, code, shorten(&refusal.message()), Value::Null)
            }
            #[cfg(feature = "native")]
            Self::Native(error) => match native::fault_answer(error) {
                Some((status, code, message, detail)) => Answer(status, code, shorten(&message), detail),
                None => internal(),
            },
            Self::StoredState(_) | Self::Signing(_) => internal(),
            Self::Service(ServiceError::Store(cause)) => store_answer(cause),
            Self::Service(ServiceError::SharedStore(cause)) => store_answer(cause),
            Self::Service(ServiceError::Signing(cause)) => signing_answer(cause),
            Self::Service(ServiceError::Stopping) => stopping(),
        }
    }
}

const INVALID_GUN: &str = "The server does not support actions on images of this name.";

/// The error envelope, with `<`, `>` and `&` escaped as the Notary server does, and short enough for the clients to
/// read.
fn body(code: &str, message: &str, detail: Value) -> String {
    let mut error = json!({"code": code, "message": message});
    if !detail.is_null() {
        error["detail"] = detail;
    }
    let text = format!("{}\n", escape_html(&json!({"errors": [error]}).to_string()));
    if text.len() <= BODY_LIMIT {
        return text;
    }
    // Escapes may have made a message too long; its start is the most important part.
    let detail = error["detail"]["Error"]["Msg"].as_str().map(|message| {
        json!({"Name": error["detail"]["Name"], "Error": {"Msg": clip(message, MESSAGE_LIMIT / 6)}})
    });
    let mut error = json!({"code": code, "message": clip(message, MESSAGE_LIMIT / 6)});
    if let Some(detail) = detail {
        error["detail"] = detail;
    }
    format!("{}\n", escape_html(&json!({"errors": [error]}).to_string()))
}

/// In JSON, these characters appear only inside strings.
fn escape_html(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests;
