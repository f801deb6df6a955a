//! What all changes through the interface have in common: strict JSON bodies, confirmations, and what goes wrong.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    http::header::{CONTENT_TYPE, ContentType},
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::parameter;
use crate::{
    access::AccessChanges,
    administration::{ChangeRefused, DenialFault, KeyFault, WrongText, carried_out},
    http::{body, error::ApiError, exchange::Exchange, outcome::Outcome},
    store::{Actor, SecurityChange, Store, StoreError},
};

/// The largest body, in bytes: a key and a certificate take a few thousand.
const BODY_LIMIT: usize = 64 * 1024;
/// The default page size.
const PAGE: usize = 10;
/// The largest page size.
const PAGE_LIMIT: usize = 1000;
/// The value of `confirm` with which a change is carried out that locks out whoever asks for it.
const LOCK_OUT: &str = "lock-out";

/// Why a change is refused.
#[derive(Debug, thiserror::Error)]
pub enum ChangeFault {
    /// The body is not announced as JSON.
    #[error("the body has to be JSON: send Content-Type: application/json")]
    MediaType,
    /// The body is not what is expected.
    #[error("{0}")]
    Json(String),
    /// The body is not a form as this server's pages send it.
    #[error("this is no form of a page of this server")]
    NoForm,
    /// A value in it, or a parameter, is wrong.
    #[error("{0}")]
    Wrong(String),
    /// Nobody can be an administrator.
    #[error("without a policy nobody may change who has access: write one whose rule allows \"admin\"")]
    NoPolicy,
    /// There is no such account.
    #[error("there is no account {0}")]
    NoAccount(String),
    /// The account has no such key.
    #[error("the account {0} has no such key")]
    NoKey(String),
    /// The deny list has no such entry.
    #[error("the deny list has no such entry")]
    NoDenial,
    /// A key can be registered to one account only.
    #[error("the key is registered to the account {0}, and a key can have only one; remove it there first")]
    OfOther(String),
    /// A configuration is refused; the one before stays.
    #[error("the reload was refused, and everything stays as it was: {0}")]
    Reload(String),
    /// This server issues no certificates.
    #[error("this server issues no certificates: set issuing.ca")]
    IssuesNothing,
    /// A certificate request is refused.
    #[error("the certificate request is refused: {0}")]
    Request(String),
    /// A client with the certificate would be somebody else, or nobody.
    #[error("no certificate is issued: {0}")]
    OtherName(String),
    /// What is to be attested is not so.
    #[error("this is not recorded, because it is not so: {0}")]
    Untrue(String),
    /// Nothing would show later that an image was attested.
    #[error("this server keeps no record of changes, and without one no image is attested: set audit.table")]
    NoRecords,
    /// The change itself is refused, or the database failed.
    #[error(transparent)]
    Refused(#[from] ChangeRefused),
}

impl From<ChangeFault> for ApiError {
    fn from(fault: ChangeFault) -> Self {
        match fault {
            ChangeFault::Refused(ChangeRefused::Service(cause)) => Self::Service(cause),
            other => Self::Change(other),
        }
    }
}

impl From<WrongText> for ApiError {
    fn from(fault: WrongText) -> Self {
        ChangeFault::Wrong(fault.to_string()).into()
    }
}

impl From<KeyFault> for ApiError {
    fn from(fault: KeyFault) -> Self {
        ChangeFault::Wrong(format!("publicKey, certificates: {fault}")).into()
    }
}

impl From<DenialFault> for ApiError {
    fn from(fault: DenialFault) -> Self {
        ChangeFault::Wrong(fault.to_string()).into()
    }
}

/// Reads the body: one JSON object with known members, each at most once.
pub(super) async fn read<T: DeserializeOwned>(exchange: &mut Exchange<'_>) -> Result<T, ApiError> {
    let kind = exchange.request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(ChangeFault::MediaType.into());
    }
    let text = body::read_whole(exchange.request, exchange.payload, BODY_LIMIT).await?;
    // A list would be read as the members in their order.
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(ChangeFault::Json("the body has to be a JSON object".to_owned()).into());
    }
    serde_json::from_slice(&text).map_err(|cause| ChangeFault::Json(cause.to_string()).into())
}

/// For a member that may be left out or null: `None` if it is left out.
pub(super) fn if_present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// What came of a change, for whoever asked for it: a program or a page.
pub struct Changed<T> {
    /// Whether it made something that was not there before.
    pub is_new: bool,
    /// How it is now.
    pub value: T,
    /// What was done, for the record.
    pub remark: String,
}

impl<T: Serialize> Changed<T> {
    /// The answer to a program.
    pub(super) fn answer(self) -> Result<Outcome, ApiError> {
        let status = if self.is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        answer(status, &self.value, self.remark)
    }
}

/// Whether the caller says that a change is meant although it locks the caller out.
pub(super) fn confirmed(query: &str) -> Result<bool, ApiError> {
    match parameter(query, "confirm").as_deref() {
        None => Ok(false),
        Some(LOCK_OUT) => Ok(true),
        Some(_) => Err(ChangeFault::Wrong(format!("confirm: the only value is {LOCK_OUT}")).into()),
    }
}

/// Carries out a change that the caller asks for; `change` is what it does to who has access, if it may lock out anybody.
pub(super) async fn change<T, F>(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    confirmed: bool,
    change: Option<SecurityChange>,
    apply: F,
) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: Fn(&Store, &Actor) -> Result<T, StoreError> + Send + Sync + 'static,
{
    let actor = grant.principal().actor();
    let (state, generation, caller) = (exchange.state, &exchange.generation, grant.principal());
    let outcome = carried_out(state, generation, caller, confirmed, change, move |store| {
        apply(store, &actor)
    });
    Ok(outcome.await.map_err(ChangeFault::from)?)
}

/// Which page is asked for: where it starts, and how many entries it has.
pub(super) fn page(query: &str) -> Result<(String, usize), ApiError> {
    let size = match parameter(query, "pageSize") {
        None => PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=PAGE_LIMIT).contains(size))
            .ok_or_else(|| ChangeFault::Wrong("pageSize: a whole number from 1 to 1000".to_owned()))?,
    };
    Ok((parameter(query, "pageStart").unwrap_or_default(), size))
}

/// An answer to a change, with what the record says about it.
pub(super) fn answer<T: Serialize>(
    status: StatusCode,
    value: &T,
    remark: String,
) -> Result<Outcome, ApiError> {
    let body = serde_json::to_string(value).map_err(|cause| ApiError::StoredState(cause.to_string()))?;
    let response = HttpResponse::build(status)
        .content_type(ContentType::json())
        .body(body);
    Ok(Outcome::from(response).remarked(Some(remark)))
}

/// The same without content.
pub(super) fn done(remark: String) -> Outcome {
    Outcome::from(HttpResponse::NoContent().finish()).remarked(Some(remark))
}
