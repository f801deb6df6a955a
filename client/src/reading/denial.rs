//! What a failed reading means for an image.

use verifier::{Denial, Reason};

use crate::failure::ReadError;

/// The denial that a failed reading is.
pub fn denial(cause: &ReadError) -> Denial {
    let reason = match cause {
        ReadError::NoTrustData { .. } => Reason::NoTrustData,
        ReadError::Unauthorized { .. } | ReadError::Forbidden { .. } => Reason::AccessDenied,
        ReadError::Unreachable { .. } | ReadError::Deadline { .. } => Reason::ServerUnreachable,
        ReadError::Malformed { .. } | ReadError::TooLarge { .. } | ReadError::Rejected { .. } => {
            Reason::ServerError
        }
        ReadError::Name { .. } => Reason::InvalidReference,
    };
    Denial::new(reason, cause.to_string())
}
