//! Answers to failures of the database, the signer and a publish.

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use tuf::{IntakeError, Rejection};

use super::super::api::ChangeFault;
use super::detail::{rejection_detail, shorten, validation_detail};
use crate::{
    administration::ChangeRefused,
    publish::PublishError,
    state::ServiceError,
    store::{BUNDLE_LIMIT, StoreError},
};

const UNKNOWN: &str = "unknown error";

/// One response: status, code, message, and detail (`null` for none).
pub(super) struct Answer(
    pub(super) StatusCode,
    pub(super) &'static str,
    pub(super) String,
    pub(super) Value,
);

pub(super) fn bad_request(code: &'static str, message: &str, detail: Value) -> Answer {
    Answer(StatusCode::BAD_REQUEST, code, message.to_owned(), detail)
}

pub(super) fn unavailable(message: &str) -> Answer {
    Answer(
        StatusCode::SERVICE_UNAVAILABLE,
        "UNAVAILABLE",
        message.to_owned(),
        Value::Null,
    )
}

/// The log says what went wrong; the client can do nothing about it.
pub(super) fn internal() -> Answer {
    Answer(
        StatusCode::INTERNAL_SERVER_ERROR,
        "UNKNOWN",
        UNKNOWN.to_owned(),
        json!({}),
    )
}

pub(super) fn stopping() -> Answer {
    unavailable("The server is stopping; nothing was changed. Try again.")
}

pub(super) fn store_answer(cause: &StoreError) -> Answer {
    match cause {
        StoreError::Damaged { .. } => internal(),
        StoreError::Overtaken => {
            unavailable("Somebody else changed the same meanwhile; nothing was changed. Try again.")
        }
        StoreError::LargeBundle => {
            let mebibytes = BUNDLE_LIMIT / 1024 / 1024;
            let message = format!("The documents take more than {mebibytes} MiB: read them one by one.");
            bad_request("TOO_LARGE", &message, Value::Null)
        }
        cause if cause.is_without_cluster() => unavailable(
            "The database server is a node of a cluster, and does not take part in the cluster at the moment. Try again.",
        ),
        _ => unavailable("The database does not answer. Try again."),
    }
}

pub(super) fn signing_answer(cause: &signing::SigningError) -> Answer {
    match cause {
        signing::SigningError::Unavailable(_) => {
            unavailable("The signing service does not answer; nothing was changed. Try again.")
        }
        _ => internal(),
    }
}

pub(super) fn intake_answer(refusal: &IntakeError) -> Answer {
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

pub(super) fn change_answer(fault: &ChangeFault) -> Answer {
    let (status, code) = match fault {
        ChangeFault::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE"),
        ChangeFault::Json(_) => (StatusCode::BAD_REQUEST, "INVALID_JSON"),
        ChangeFault::NoForm => (StatusCode::BAD_REQUEST, "INVALID_PARAMETERS"),
        ChangeFault::Wrong(_) => (StatusCode::BAD_REQUEST, "INVALID_PARAMETERS"),
        ChangeFault::NoPolicy => (StatusCode::FORBIDDEN, "NOT_AUTHORIZED"),
        ChangeFault::NoAccount(_) => (StatusCode::NOT_FOUND, "NO_SUCH_ACCOUNT"),
        ChangeFault::NoKey(_) => (StatusCode::NOT_FOUND, "NO_SUCH_KEY"),
        ChangeFault::NoDenial => (StatusCode::NOT_FOUND, "NO_SUCH_DENIAL"),
        ChangeFault::OfOther(_) => (StatusCode::CONFLICT, "KEY_OF_OTHER_ACCOUNT"),
        ChangeFault::IssuesNothing => (StatusCode::NOT_FOUND, "NOT_CONFIGURED"),
        ChangeFault::Request(_) => (StatusCode::BAD_REQUEST, "INVALID_REQUEST"),
        ChangeFault::OtherName(_) => (StatusCode::CONFLICT, "OTHER_NAME"),
        ChangeFault::Untrue(_) => (StatusCode::CONFLICT, "UNTRUE"),
        ChangeFault::NoRecords => (StatusCode::CONFLICT, "NO_RECORDS"),
        ChangeFault::Reload(_) => (StatusCode::CONFLICT, "RELOAD_REFUSED"),
        ChangeFault::Refused(ChangeRefused::LocksOut(_)) => {
            let hint = "if you mean it, ask again with the parameter confirm=lock-out";
            let detail = json!({"reason": "lock_out", "hint": hint});
            let message = shorten(&fault.to_string());
            return Answer(StatusCode::CONFLICT, "LOCKS_OUT", message, detail);
        }
        ChangeFault::Refused(ChangeRefused::NoLonger(_)) => (StatusCode::FORBIDDEN, "NOT_AUTHORIZED"),
        ChangeFault::Refused(ChangeRefused::Contended) => {
            return unavailable("Accounts, keys or denials are being changed by others. Try again.");
        }
        ChangeFault::Refused(ChangeRefused::Service(ServiceError::Store(cause))) => {
            return store_answer(cause);
        }
        ChangeFault::Refused(ChangeRefused::Service(_)) => return stopping(),
    };
    Answer(status, code, shorten(&fault.to_string()), Value::Null)
}

pub(super) fn publish_answer(error: &PublishError) -> Answer {
    match error {
        PublishError::Rejected(Rejection::StoredState(_)) => internal(),
        PublishError::Rejected(rejection) => bad_request(
            "INVALID_UPDATE",
            "Update sent by the client is invalid.",
            rejection_detail(rejection),
        ),
        PublishError::NotOwnKey { .. } | PublishError::Denied(_) => bad_request(
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
        PublishError::Service(ServiceError::SharedStore(cause)) => store_answer(cause),
        PublishError::Service(ServiceError::Signing(cause)) => signing_answer(cause),
        PublishError::Service(ServiceError::Stopping) => stopping(),
    }
}
