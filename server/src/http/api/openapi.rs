//! `GET /openapi.json`: what this server answers beside the Notary contract, for programs.

use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::{account, ca, json, repositories, server, tags};
use crate::http::{error::ApiError, exchange::Exchange, outcome::Outcome, stages::Open};

/// Every refusal.
#[derive(Serialize, ToSchema)]
pub struct Errors {
    errors: Vec<OneError>,
}

/// One of them; there is always one.
#[derive(Serialize, ToSchema)]
struct OneError {
    /// Such as `NOT_AUTHENTICATED`.
    code: String,
    message: String,
    /// Reason code, certificate and hint.
    detail: Option<serde_json::Value>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "What the trust server answers beside the Notary v1 contract."
    ),
    paths(
        account::basic_info,
        ca::ca,
        ca::setup_script,
        repositories::list,
        repositories::one,
        tags::tags,
        tags::tag,
        server::health,
        server::version,
        server::settings
    )
)]
pub(super) struct Description;

/// The description.
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
