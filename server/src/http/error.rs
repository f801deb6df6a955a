//! The only place where refusals and failures become HTTP answers.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde_json::{Value, json};
use tuf::{IntakeError, Rejection};

use crate::{
    access::Denied,
    app::ServiceError,
    identity::{
        IdentityError,
        password::{self, PasswordRefusal},
        token::{Access, TokenRefusal},
    },
    publish::PublishError,
    store::StoreError,
};

/// The stock clients read no more than this of an error, in bytes.
const BODY_LIMIT: usize = 1024;
/// How long a message may be so that the whole stays within the limit, in characters.
const MESSAGE_LIMIT: usize = 600;
/// Seconds after which a client may ask again when something was away.
const RETRY_SECONDS: u16 = 5;
/// Seconds after which wrong passwords are forgotten.
const GUESSING_SECONDS: u16 = 60;

/// Why a request is not answered with what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No such route.
    #[error("no such route")]
    NoRoute,
    /// No such document.
    #[error("no such metadata")]
    NotFound,
    /// A version that no document can have.
    #[error("version {0} is out of range")]
    VersionOverflow(String),
    /// The body is no multipart form.
    #[error("{0}")]
    MalformedUpload(String),
    /// A part of the body is refused.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The publish is refused or failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The GUN is outside of the configured prefixes, which are given.
    #[error("the GUN has none of the prefixes {0}")]
    GunPrefix(String),
    /// The GUN cannot be served at all.
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
    /// The client may not publish this.
    #[error(transparent)]
    PublishDenied(Denied),
    /// The client has neither certificate nor a token that is good enough.
    #[error("{refusal}")]
    Challenged {
        /// The `WWW-Authenticate` header.
        challenge: String,
        /// What a token has to grant.
        required: Vec<Access>,
        /// What is wrong.
        refusal: TokenRefusal,
    },
    /// The body is larger than the limit, in bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    Timeout,
    /// The database or the signing service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Stored metadata cannot be used.
    #[error("stored metadata cannot be used: {0}")]
    StoredState(String),
}

/// One answer: status, code, message, and `null` for no detail.
struct Answer(StatusCode, &'static str, String, Value);

const NOT_FOUND: &str = "You have requested metadata that does not exist.";
const UNKNOWN: &str = "unknown error";

impl ApiError {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.answer().0
    }

    /// The answer to send.
    pub fn to_response(&self) -> HttpResponse {
        let Answer(status, code, message, detail) = self.answer();
        let mut response = HttpResponse::build(status);
        response.insert_header((
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        ));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((RETRY_AFTER, HeaderValue::from(RETRY_SECONDS)));
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
        if matches!(self, Self::TooLarge(_) | Self::Timeout) {
            response.insert_header((CONNECTION, HeaderValue::from_static("close")));
        }
        response.body(body(code, &message, detail))
    }

    /// Where a password would have helped, what it is asked for as.
    fn password_realm(&self) -> Option<&str> {
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

    fn answer(&self) -> Answer {
        let text = |message: &str| message.to_owned();
        match self {
            Self::NoRoute => Answer(
                StatusCode::NOT_FOUND,
                "METADATA_NOT_FOUND",
                text(NOT_FOUND),
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
            // The stock clients show nothing of a 403 to a publish, but this sentence.
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
            Self::Timeout => {
                let message = text("The body of your request did not arrive in time.");
                Answer(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", message, Value::Null)
            }
            Self::StoredState(_) => internal(),
            Self::Service(ServiceError::Store(cause)) => store_answer(cause),
            Self::Service(ServiceError::Signing(cause)) => signing_answer(cause),
            Self::Service(ServiceError::Stopping) => stopping(),
        }
    }
}

const INVALID_GUN: &str = "The server does not support actions on images of this name.";

fn bad_request(code: &'static str, message: &str, detail: Value) -> Answer {
    Answer(StatusCode::BAD_REQUEST, code, message.to_owned(), detail)
}

fn unavailable(message: &str) -> Answer {
    Answer(
        StatusCode::SERVICE_UNAVAILABLE,
        "UNAVAILABLE",
        message.to_owned(),
        Value::Null,
    )
}

/// What went wrong is in the log; what a client can do about it is nothing.
fn internal() -> Answer {
    Answer(
        StatusCode::INTERNAL_SERVER_ERROR,
        "UNKNOWN",
        UNKNOWN.to_owned(),
        json!({}),
    )
}

fn stopping() -> Answer {
    unavailable("The server is stopping; nothing was changed. Try again.")
}

fn store_answer(cause: &StoreError) -> Answer {
    match cause {
        StoreError::Damaged { .. } => internal(),
        _ => unavailable("The database does not answer. Try again."),
    }
}

fn signing_answer(cause: &signing::SigningError) -> Answer {
    match cause {
        signing::SigningError::Unavailable(_) => {
            unavailable("The signing service does not answer; nothing was changed. Try again.")
        }
        _ => internal(),
    }
}

fn intake_answer(refusal: &IntakeError) -> Answer {
    match refusal {
        IntakeError::NoFilename => bad_request("NO_FILENAME", "No file/role name provided.", Value::Null),
        IntakeError::InvalidRole(role) => bad_request(
            "INVALID_ROLE",
            "The role you are attempting to operate on is invalid.",
            json!(shorten(role)),
        ),
        IntakeError::MalformedJson { .. } => bad_request(
            "MALFORMED_JSON",
            "JSON sent by the client could not be parsed by the server.",
            validation_detail("ErrValidation", &refusal.to_string()),
        ),
    }
}

fn publish_answer(error: &PublishError) -> Answer {
    match error {
        PublishError::Rejected(Rejection::StoredState(_)) => internal(),
        PublishError::Rejected(rejection) => bad_request(
            "INVALID_UPDATE",
            "Update sent by the client is invalid.",
            rejection_detail(rejection),
        ),
        PublishError::NotOwnKey { .. } => bad_request(
            "INVALID_UPDATE",
            "Update sent by the client is invalid.",
            validation_detail("ErrValidation", &error.to_string()),
        ),
        PublishError::Conflict => bad_request(
            "VERSION",
            "A newer version of metadata is already available.",
            validation_detail(
                "ErrValidation",
                "somebody else published to this repository first; run the command again",
            ),
        ),
        PublishError::Service(ServiceError::Store(cause)) => store_answer(cause),
        PublishError::Service(ServiceError::Signing(cause)) => signing_answer(cause),
        PublishError::Service(ServiceError::Stopping) => stopping(),
    }
}

fn rejection_detail(rejection: &Rejection) -> Value {
    let message = rejection.to_string();
    match rejection {
        Rejection::BadRoot(_) => validation_detail("ErrBadRoot", &message),
        Rejection::BadTargets(_) => validation_detail("ErrBadTargets", &message),
        Rejection::BadSnapshot(_) => validation_detail("ErrBadSnapshot", &message),
        Rejection::BadHierarchy { missing, .. } => {
            json!({"Name": "ErrBadHierarchy", "Error": {"Missing": missing.as_str(), "Msg": shorten(&message)}})
        }
        Rejection::Validation(_) | Rejection::StoredState(_) => validation_detail("ErrValidation", &message),
    }
}

/// What the stock clients turn into a sentence for their user.
fn validation_detail(name: &str, message: &str) -> Value {
    json!({"Name": name, "Error": {"Msg": shorten(message)}})
}

fn identity_detail(error: &IdentityError) -> Value {
    let described = |reason: &str, certificate: &platform::tls::ClientCertificate, hint: &str| {
        json!({
            "reason": reason,
            "subject": clip(&certificate.subject(), 120),
            "not_before": certificate.not_before(),
            "not_after": certificate.not_after(),
            "hint": hint,
        })
    };
    match error {
        IdentityError::NoCertificate => json!({
            "reason": "no_certificate",
            "hint": "connect with a client certificate and its key \
                     (notary: --tlscert and --tlskey; docker: ~/.docker/tls/<host:port>/client.cert and client.key)",
        }),
        IdentityError::NoCredentials(_) => json!({
            "reason": "no_credentials",
            "hint": "connect with a client certificate and its key, or with a user name and a password \
                     (notary: when it asks, or in NOTARY_AUTH; docker: docker login)",
        }),
        IdentityError::Password(..) => json!({
            "reason": "wrong_password",
            "hint": "check the user name and the password that you, or docker login, have given",
        }),
        IdentityError::Rejected(certificate, fault) => {
            described(fault.reason.code(), certificate, fault.reason.hint())
        }
        IdentityError::Revoked(certificate, reason) => described(reason.code(), certificate, reason.hint()),
        IdentityError::Barred(_) => json!({
            "reason": "barred",
            "hint": "ask whoever runs this server",
        }),
        IdentityError::Forwarded(_) => json!({
            "reason": "forwarded_certificate_invalid",
            "hint": "this is between the proxy and this server: see proxies.client_certificate in the configuration",
        }),
        IdentityError::Unreadable(certificate, _) => described(
            "certificate_invalid",
            certificate,
            "ask whoever issued the certificate for a correct one",
        ),
        IdentityError::Unidentified(certificate, refusal) => {
            described(refusal.reason.code(), certificate, refusal.reason.hint())
        }
    }
}

fn denied_detail(denied: &Denied) -> Value {
    json!({
        "reason": "policy",
        "principal": clip(&denied.principal, 120),
        "action": denied.right,
        "gun": denied.gun.as_ref().map(|gun| clip(gun.as_str(), 200)),
        "hint": "ask whoever runs this server for the right to do this",
    })
}

fn access_detail(access: &Access) -> Value {
    let name = clip(&access.name, 200);
    json!({"Type": access.kind, "Class": "", "Name": name, "Action": access.action})
}

fn shorten(text: &str) -> String {
    clip(text, MESSAGE_LIMIT)
}

fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((position, _)) => format!("{}…", text.get(..position).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The envelope, with `<`, `>` and `&` escaped as the Notary server does, and never too long to be read.
fn body(code: &str, message: &str, detail: Value) -> String {
    let mut error = json!({"code": code, "message": message});
    if !detail.is_null() {
        error["detail"] = detail;
    }
    let text = format!("{}\n", escape_html(&json!({"errors": [error]}).to_string()));
    if text.len() <= BODY_LIMIT {
        return text;
    }
    // Escapes may have made a message of the right length too long; its beginning says the most.
    let detail = error["detail"]["Error"]["Msg"].as_str().map(|message| {
        json!({"Name": error["detail"]["Name"], "Error": {"Msg": clip(message, MESSAGE_LIMIT / 6)}})
    });
    let mut error = json!({"code": code, "message": clip(message, MESSAGE_LIMIT / 6)});
    if let Some(detail) = detail {
        error["detail"] = detail;
    }
    format!("{}\n", escape_html(&json!({"errors": [error]}).to_string()))
}

/// These characters stand in JSON only inside of strings.
fn escape_html(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests;
