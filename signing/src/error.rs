//! Why the signer did not do what it was asked.

use std::error::Error;

use platform::{reason, tls::LastFailure};
use tonic::{Code, Status};
use tuf::KeyId;

use crate::metadata;

/// The longest part of a signer's message that is repeated, in characters.
const MESSAGE_LIMIT: usize = 200;
/// What hyper says when a connection is gone, whatever the reason.
const VAGUE: [&str; 3] = ["connection closed", "operation was canceled", "channel closed"];

/// Why the signer gave no key or signature. Never contains the content to be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The signer does not have this key. A Notary signer also says so when it cannot read its
    /// database or decrypt the key.
    #[error("the signer does not have the key {0}")]
    KeyUnknown(KeyId),
    /// The signer cannot be reached, did not answer in time, or says it cannot work now.
    #[error("the signer cannot be used now: {0}")]
    Unavailable(String),
    /// The key was made for another repository or another role.
    #[error("the signer refused: {0}")]
    OtherPurpose(String),
    /// The signer answered that it will not do this.
    #[error("the signer refused: {0}")]
    Refused(String),
    /// The signer's answer is empty, contradicts itself, or does not verify.
    #[error("the signer gave an answer that cannot be used: {0}")]
    BadReply(String),
}

/// Sorts a failed call to the signer at `address`, whose connection broke as `last_failure` says. `key` is the key the
/// call was about, if any.
pub(crate) fn from_status(
    address: &str,
    last_failure: &LastFailure,
    status: &Status,
    key: Option<&KeyId>,
) -> SigningError {
    if let Some(reason) = transport_reason(status) {
        // A call that waits for a connection hears only that it is gone, not why.
        let is_vague = VAGUE.contains(&reason.as_str());
        let reason = last_failure.reason().filter(|_| is_vague).unwrap_or(reason);
        let names_it = reason.starts_with(address);
        return SigningError::Unavailable(if names_it {
            reason
        } else {
            format!("{address}: {reason}")
        });
    }
    let refusal = status.metadata().get(metadata::REFUSAL);
    if refusal.is_some_and(|kind| kind == metadata::PURPOSE) {
        return SigningError::OtherPurpose(printable(status.message()));
    }
    match (status.code(), key) {
        (Code::NotFound, Some(key)) => SigningError::KeyUnknown(key.clone()),
        (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, _) => {
            SigningError::Unavailable(printable(status.message()))
        }
        // Notary signers put the content to be signed into the text of internal errors.
        (Code::Internal, _) => SigningError::Refused("it had an internal error; see its log".to_owned()),
        (code, _) => SigningError::Refused(format!("{} ({code:?})", printable(status.message()))),
    }
}

/// True when the connection broke while the call was on its way: a second attempt gets a new one.
pub(crate) fn connection_broke(status: &Status) -> bool {
    let reached = !chain(status).any(|cause| cause.is::<tonic::ConnectError>());
    reached && transport_reason(status).is_some()
}

/// The innermost cause of a failure below gRPC, in words: refused connections, certificates, broken pipes.
fn transport_reason(status: &Status) -> Option<String> {
    let cause = chain(status).last()?;
    let reason = reason::of_library(cause).unwrap_or_else(|| cause.to_string());
    Some(printable(&reason))
}

fn chain(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = status.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// One line of limited length, whatever the other side sent.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_LIMIT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyId {
        KeyId::parse("e7be50deec5114cbe0a220e019a351ffe32b78a1f9b4a57058954373bfa26743").unwrap()
    }

    #[test]
    fn not_found_names_the_key_asked_for() {
        let sorted = from_status(
            "h:1",
            &LastFailure::default(),
            &Status::not_found("signing key not found: x"),
            Some(&key()),
        );
        assert!(matches!(sorted, SigningError::KeyUnknown(id) if id == key()));
    }

    #[test]
    fn internal_errors_do_not_repeat_the_content() {
        let echoed = Status::internal("Signing failed for KeyID 1 on hash {\"_type\":\"Snapshot\"}");
        assert!(
            !from_status("h:1", &LastFailure::default(), &echoed, Some(&key()))
                .to_string()
                .contains("Snapshot")
        );
    }

    #[test]
    fn a_refusal_keeps_its_reason_on_one_short_line() {
        let long = format!("algorithm rsa not supported\nfor create key{}", "x".repeat(1000));
        let text = from_status("h:1", &LastFailure::default(), &Status::unknown(long), None).to_string();
        assert!(
            text.contains("algorithm rsa not supported for create key"),
            "{text}"
        );
        assert!(text.len() < 300);
    }

    #[test]
    fn an_overdue_answer_is_an_outage() {
        let sorted = from_status(
            "h:1",
            &LastFailure::default(),
            &Status::deadline_exceeded("late"),
            Some(&key()),
        );
        assert!(matches!(sorted, SigningError::Unavailable(_)));
    }
}
