//! TUF 1.0 repositories (`/tuf/v1/…`): metadata and target files for clients, publishing, the server's keys, and what waits
//! for signatures.

mod fault;
mod files;
mod list;
mod path;
mod publish;
mod targets;
mod waiting;

use tuf_native::RepositoryName;

pub use fault::answer as fault_answer;
pub use files::{metadata, rotate, server_keys};
pub use list::list;
pub use path::split;
pub use publish::{delete, publish};
pub use targets::{read as target, store as store_target};
pub use waiting::{add as sign, read as waiting, withdraw};

use super::{error::ApiError, exchange::Exchange};

/// The repository that the path names.
fn name(exchange: &Exchange<'_>) -> Result<RepositoryName, ApiError> {
    let text = exchange.target.gun.as_deref().unwrap_or_default();
    RepositoryName::parse(text).map_err(|reason| ApiError::InvalidGun(reason.to_string()))
}

/// What the path names below the repository's `metadata`, `targets` or `sign`.
fn below<'a>(exchange: &'a Exchange<'_>) -> &'a str {
    exchange.target.selector.as_deref().unwrap_or_default()
}

/// Checks that the path names nothing below the repository's `metadata` or `sign`.
fn nothing_below(exchange: &Exchange<'_>) -> Result<(), ApiError> {
    if below(exchange).is_empty() {
        Ok(())
    } else {
        Err(ApiError::NoRoute)
    }
}
