//! `GET /openapi.json`: a description of the interface beyond the Notary contract.

use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::{
    account, account_keys, accounts, attestations, bundle, ca, denials, json, operate, repositories, server,
    tags,
};
use crate::http::{error::ApiError, exchange::Exchange, outcome::Outcome, stages::Open, tokens};

/// The body of every error response.
#[derive(Serialize, ToSchema)]
pub struct Errors {
    errors: Vec<OneError>,
}

/// One error; there is always exactly one.
#[derive(Serialize, ToSchema)]
struct OneError {
    /// The error code, such as `NOT_AUTHENTICATED`.
    code: String,
    message: String,
    /// A reason code, the certificate and a hint.
    detail: Option<serde_json::Value>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "The interface of the trust server beyond the Notary v1 contract."
    ),
    paths(
        account::basic_info,
        accounts::list,
        accounts::one,
        accounts::add,
        accounts::set_state,
        accounts::remove,
        account_keys::of_account,
        account_keys::of_all,
        account_keys::add,
        account_keys::describe,
        account_keys::remove,
        denials::list,
        denials::add,
        denials::undo,
        operate::reload,
        operate::renew,
        bundle::issue,
        attestations::attest,
        ca::ca,
        ca::setup_script,
        repositories::list,
        repositories::one,
        tags::tags,
        tags::tag,
        server::health,
        server::version,
        server::settings,
        tokens::issue,
        tokens::keys
    )
)]
pub(super) struct Description;

/// Serves the description.
pub async fn description(_: &mut Exchange<'_>, _: Open) -> Result<Outcome, ApiError> {
    json(&Description::openapi())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_changes_only_on_purpose() {
        let mut description = serde_json::to_value(Description::openapi()).unwrap();
        description["info"]["version"] = "any".into();
        insta::assert_json_snapshot!("openapi", description);
    }
}
