//! `/api/v0/denials`: who is refused, whatever the CA says.

use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    changing::{ChangeFault, Changed, change, confirmed, done, page, read},
    json,
    openapi::Errors,
    parameter,
};
use crate::{
    access::AccessChanges,
    administration::{Named, check_text},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    store::{Denial, SecurityChange, StoreError},
};

/// A page of the deny list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Denials {
    denials: Vec<DenialInfo>,
    /// The `pageStart` of the next page; empty on the last.
    next_page_start: String,
}

/// An entry of the deny list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DenialInfo {
    /// Stable: derived from what is denied.
    id: String,
    /// `certificate`, `key` or `principal`.
    kind: String,
    /// What is denied, as a text for people.
    subject: String,
    reason: String,
    since: DateTime<Utc>,
    /// That nobody is known by this name yet, in answer to a new entry: it may be misspelt.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// Whom to deny: exactly one of `principal`, `certificate`, `spkiSHA256`, and `serial` with `issuer`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WantedDenial {
    /// A principal, however it authenticates.
    pub principal: Option<String>,
    /// A certificate, in PEM.
    pub certificate: Option<String>,
    /// With `certificate`: every certificate of its key.
    #[serde(default)]
    pub every_certificate_of_key: bool,
    /// Every certificate of a key, by the SHA-256 of the key in hex.
    #[serde(rename = "spkiSHA256")]
    pub spki_sha256: Option<String>,
    /// The serial number of a certificate, in hex.
    pub serial: Option<String>,
    /// The issuer of that certificate.
    pub issuer: Option<String>,
    /// Why, for the list and the record.
    pub reason: Option<String>,
}

impl From<Denial> for DenialInfo {
    fn from(denial: Denial) -> Self {
        Self {
            id: id(&denial.kind, &denial.subject),
            kind: denial.kind,
            subject: denial.shown,
            reason: denial.reason.unwrap_or_default(),
            since: denial.since,
            warning: None,
        }
    }
}

/// The ID of an entry.
pub fn id(kind: &str, subject: &str) -> String {
    BASE64URL_NOPAD.encode(format!("{kind}\n{subject}").as_bytes())
}

/// The kind and key of an entry, from its ID.
pub fn of_id(id: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASE64URL_NOPAD.decode(id.as_bytes()).ok()?).ok()?;
    let (kind, subject) = text.split_once('\n')?;
    Some((kind.to_owned(), subject.to_owned()))
}

/// The deny list in the database, which every server on it applies.
#[utoipa::path(get, path = "/api/v0/denials", tag = "denials",
    params(("pageSize" = Option<u32>, Query, description = "Entries on a page, 10 by default"),
           ("pageStart" = Option<String>, Query, description = "The ID of the first entry of the page")),
    responses((status = 200, description = "A page", body = Denials),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors)))]
pub async fn list(exchange: &mut Exchange<'_>, _: AccessChanges) -> Result<Outcome, ApiError> {
    let (start, size) = page(exchange.query())?;
    let (kind, subject) = match start.as_str() {
        "" => Default::default(),
        id => of_id(id).ok_or_else(|| ChangeFault::Wrong("pageStart: the ID of an entry".to_owned()))?,
    };
    let mut found = exchange
        .state
        .with_store(move |store| store.denials_from((&kind, &subject), size + 1))
        .await?;
    let next = (found.len() > size).then(|| found.pop()).flatten();
    json(&Denials {
        denials: found.into_iter().map(DenialInfo::from).collect(),
        next_page_start: next
            .map(|denial| id(&denial.kind, &denial.subject))
            .unwrap_or_default(),
    })
}

/// Denies a principal, a certificate, or every certificate of a key, from the next request on.
#[utoipa::path(post, path = "/api/v0/denials", tag = "denials",
    params(("confirm" = Option<String>, Query, description = "`lock-out`: also if that locks out the caller")),
    request_body = WantedDenial,
    responses((status = 200, description = "It was on the list before; its reason stays", body = DenialInfo),
              (status = 201, description = "It is new", body = DenialInfo),
              (status = 400, description = "The body or a value in it is wrong", body = Errors),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 409, description = "It would lock out the caller", body = Errors)))]
pub async fn add(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let confirmed = confirmed(exchange.query())?;
    let body: WantedDenial = read(exchange).await?;
    deny(exchange, &grant, &body, confirmed).await?.answer()
}

/// Denies somebody.
pub async fn deny(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    body: &WantedDenial,
    confirmed: bool,
) -> Result<Changed<DenialInfo>, ApiError> {
    let reason = body.reason.clone().filter(|reason| !reason.is_empty());
    check_text("the reason", reason.as_deref())?;
    let subject = body.named()?.subject;
    let now = exchange.state.clock.now();
    let locks = SecurityChange::Denied(subject.clone());
    let shown = subject.to_string();
    let (is_new, warning, stored) = change(exchange, grant, confirmed, Some(locks), move |store, actor| {
        // Asked before the entry is added: its record would make the name known.
        let warning = Named::from(subject.clone()).unknown(store)?;
        let is_new = store.deny(&subject, reason.as_deref(), actor, now)?;
        let stored = store.denial(subject.kind(), &subject.key())?;
        Ok::<_, StoreError>((is_new, warning, stored))
    })
    .await?;
    let stored = stored.ok_or(ChangeFault::NoDenial)?;
    let info = DenialInfo {
        warning,
        ..DenialInfo::from(stored)
    };
    let outcome = if is_new { "denied" } else { "is already denied" };
    Ok(Changed {
        is_new,
        value: info,
        remark: format!("{shown} {outcome}"),
    })
}

/// Takes an entry off the list.
#[utoipa::path(delete, path = "/api/v0/denials/{id}", tag = "denials",
    params(("id" = String, Path, description = "The entry's ID"),
           ("reason" = Option<String>, Query, description = "Why, for the record")),
    responses((status = 204, description = "It is off the list"),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such entry", body = Errors)))]
pub async fn undo(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let given = exchange.target.selector.clone().unwrap_or_default();
    let reason = parameter(exchange.query(), "reason");
    Ok(done(undo_by_id(exchange, &grant, &given, reason).await?))
}

/// Takes an entry off the list; returns what was done.
pub async fn undo_by_id(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    given: &str,
    reason: Option<String>,
) -> Result<String, ApiError> {
    let (kind, subject) = of_id(given).ok_or(ChangeFault::NoDenial)?;
    let reason = reason.filter(|reason| !reason.is_empty());
    check_text("the reason", reason.as_deref())?;
    let now = exchange.state.clock.now();
    let shown = change(exchange, grant, false, None, move |store, actor| {
        let entry = store.denial(&kind, &subject)?;
        let removed = store.undo_denial((&kind, &subject), reason.as_deref(), actor, now)?;
        Ok::<_, StoreError>(entry.filter(|_| removed).map(|entry| entry.shown))
    });
    let shown = shown.await?.ok_or(ChangeFault::NoDenial)?;
    Ok(format!("{shown} is no longer denied"))
}

impl WantedDenial {
    /// Whom it names.
    pub fn named(&self) -> Result<Named, ApiError> {
        let Self {
            principal,
            certificate,
            spki_sha256,
            serial,
            issuer,
            ..
        } = self;
        if self.every_certificate_of_key && certificate.is_none() {
            let why = "everyCertificateOfKey belongs to certificate";
            return Err(ChangeFault::Wrong(why.to_owned()).into());
        }
        Ok(match (principal, certificate, spki_sha256, serial, issuer) {
            (Some(name), None, None, None, None) => Named::principal(name)?,
            (None, Some(pem), None, None, None) => {
                Named::certificate(pem.as_bytes(), self.every_certificate_of_key)?
            }
            (None, None, Some(hash), None, None) => Named::key(hash)?,
            (None, None, None, Some(serial), Some(issuer)) => Named::serial(serial, issuer)?,
            _ => {
                let why = "name exactly one of: principal, certificate, spkiSHA256, serial with issuer";
                return Err(ChangeFault::Wrong(why.to_owned()).into());
            }
        })
    }
}
