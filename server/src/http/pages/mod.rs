//! Web pages for people: gathers what a page shows, with the same functions as the interface for programs, and answers
//! browsers. What pages look like is in the room `pages`.

mod access;
mod assets;
mod audit;
mod changes;
mod ends;
mod expiry;
mod form;
#[cfg(feature = "native")]
pub mod native;
mod overview;
mod reader;
mod refusals;
mod repositories;
mod repository;
mod response;
mod shell;
mod unsigned;
mod whose;

pub use access::{access, new_certificate, own_certificate, to_access, whose_certificate};
pub use assets::asset;
pub use audit::{audit, lines};
pub use changes::{account, change, confirm};
pub use expiry::expiry;
pub use overview::overview;
pub use refusals::refusal;
pub use repositories::repositories;
pub use repository::{activity, commands, documents, root, signers, tag, tags};

use actix_web::{HttpRequest, http::header::ACCEPT};

use super::{error::ApiError, operation::Operation};

/// Whether a refusal of this operation is answered with a page.
pub fn is_for(operation: Operation, request: &HttpRequest) -> bool {
    let path = request.path();
    let may_be_mistyped = operation == Operation::Unknown
        && !["/v2", "/api/", "/_notary_server/", "/auth/", "/tuf/v1"]
            .iter()
            .any(|programs| path.starts_with(programs));
    (operation.is_page() || may_be_mistyped) && wants_page(request)
}

/// Whether a browser sent the request. Programs get the Notary server's answer.
fn wants_page(request: &HttpRequest) -> bool {
    let mut accepted = request.headers().get_all(ACCEPT);
    accepted.any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

/// Refuses programs.
fn only_browsers(request: &HttpRequest) -> Result<(), ApiError> {
    if wants_page(request) {
        Ok(())
    } else {
        Err(ApiError::NoRoute)
    }
}
