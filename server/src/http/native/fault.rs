//! How refusals about TUF 1.0 repositories are answered.

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use crate::native::NativeError;

/// Status, code, sentence and detail of the answer to a refusal; `None` for those that are answered as everywhere: a missing
/// right, and failures.
pub fn answer(error: &NativeError) -> Option<(StatusCode, &'static str, String, Value)> {
    let because =
        |status, code, reason: &str| Some((status, code, error.to_string(), json!({"reason": reason})));
    match error {
        NativeError::Refused(refusal) => because(StatusCode::BAD_REQUEST, "INVALID_UPDATE", refusal.code()),
        NativeError::KeyNotHeld(_) => because(StatusCode::BAD_REQUEST, "INVALID_UPDATE", "key_not_held"),
        NativeError::NotOwnKey { .. } => because(StatusCode::FORBIDDEN, "DENIED", "not_own_key"),
        NativeError::Conflict => because(StatusCode::CONFLICT, "CONFLICT", "overtaken"),
        NativeError::NoRepository => because(StatusCode::NOT_FOUND, "NO_SUCH_REPOSITORY", "no_repository"),
        NativeError::Deleted => because(StatusCode::GONE, "DELETED", "deleted"),
        NativeError::RepositoryTooLarge(_) => {
            because(StatusCode::BAD_REQUEST, "INVALID_UPDATE", "repository_too_large")
        }
        NativeError::NoMemory
        | NativeError::Denied(_)
        | NativeError::Stored(..)
        | NativeError::Service(_) => None,
    }
}
