//! The interface beyond the Notary contract, for people and scripts: who am I, which repositories exist, who signed
//! what. The shapes are those of Docker Trusted Registry, so that its clients keep working.

mod account;
mod account_keys;
mod accounts;
mod attestations;
mod bundle;
mod ca;
mod changing;
mod denials;
mod names;
mod openapi;
mod operate;
mod repositories;
mod server;
mod tags;

pub use account::basic_info;
pub use account_keys::{
    KeyCertificate, KeyNotes, WantedKey, add as add_key, describe as describe_key,
    describe_named as describe_named_key, of_account as keys_of_account, of_all as keys_of_all,
    register as register_key, remove as remove_key, remove_named as remove_named_key,
};
pub use accounts::{
    AccountState, WantedAccount, add as add_account, delete as delete_account, find as find_account,
    list as list_accounts, one as one_account, put as put_account, registered, remove as remove_account,
    set_state as set_account_state, switch as switch_account,
};
pub use attestations::attest;
pub use bundle::{issue as issue_bundle, issue_for};
pub use ca::{ca, setup_script};
pub use changing::ChangeFault;
pub use denials::{
    WantedDenial, add as deny, deny as deny_subject, id as denial_id, list as list_denials,
    of_id as of_denial_id, undo as undo_denial, undo_by_id,
};
pub(super) use names::rights_of;
pub use openapi::{Errors, description};
pub use operate::{reload, reload_now, renew, renew_named};
pub use repositories::{list, one};
pub use server::{health, settings, version};
pub use tags::tags;
pub(super) use tags::{Signer, Tag, TagSignature, of as tags_of};

use actix_web::{HttpResponse, http::header::ContentType};
use serde::Serialize;

use super::{error::ApiError, outcome::Outcome};

/// A JSON response.
fn json<T: Serialize>(value: &T) -> Result<Outcome, ApiError> {
    let body = serde_json::to_string(value).map_err(|cause| ApiError::StoredState(cause.to_string()))?;
    let answer = HttpResponse::Ok().content_type(ContentType::json()).body(body);
    Ok(answer.into())
}

/// The value of a query parameter; if it is repeated, the first.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query).ok()?;
    pairs
        .into_inner()
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}
