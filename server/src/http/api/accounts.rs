//! `/api/v0/accounts`: accounts, in the shape of those of Docker Enterprise.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    account::uuid,
    changing::{ChangeFault, Changed, change, confirmed, done, page, read},
    json,
    openapi::Errors,
};
use crate::{
    access::AccessChanges,
    administration::{account, check_text},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    state::State,
    store::{Account, AccountAdded, Registered, SecurityChange, StoreError},
};

/// A page of accounts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accounts {
    accounts: Vec<AccountInfo>,
    /// The `pageStart` of the next page; empty on the last.
    next_page_start: String,
}

/// An account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountInfo {
    name: String,
    /// Stable: derived from the name.
    id: String,
    full_name: String,
    is_org: bool,
    /// Whether it is in the group `admins`; what that means is up to the policy.
    is_admin: bool,
    /// Whether its holder may log in.
    is_active: bool,
    is_imported: bool,
    groups: Vec<String>,
    created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<String>,
}

/// An account as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WantedAccount {
    pub name: String,
    pub full_name: Option<String>,
    /// Whether it is to be in the group `admins`.
    #[serde(default)]
    pub is_admin: bool,
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Whether an account is to be enabled.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountState {
    pub is_active: bool,
    /// Why, for the list and the record.
    pub reason: Option<String>,
}

impl From<Account> for AccountInfo {
    fn from(account: Account) -> Self {
        Self {
            id: uuid(&account.name),
            full_name: account.full_name.unwrap_or_default(),
            is_org: false,
            is_admin: account.is_admin,
            is_active: account.disabled_at.is_none(),
            is_imported: false,
            groups: account.groups,
            created_at: account.created_at,
            disabled_at: account.disabled_at,
            disabled_reason: account.disabled_reason,
            name: account.name,
        }
    }
}

/// All accounts, by name.
#[utoipa::path(get, path = "/api/v0/accounts", tag = "accounts",
    params(("pageSize" = Option<u32>, Query, description = "Accounts on a page, 10 by default"),
           ("pageStart" = Option<String>, Query, description = "The first name of the page")),
    responses((status = 200, description = "A page", body = Accounts),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors)))]
pub async fn list(exchange: &mut Exchange<'_>, _: AccessChanges) -> Result<Outcome, ApiError> {
    let (start, size) = page(exchange.query())?;
    let mut found = exchange
        .state
        .with_store(move |store| store.accounts_from(&start, size + 1))
        .await?;
    let next = (found.len() > size).then(|| found.pop()).flatten();
    json(&Accounts {
        accounts: found.into_iter().map(AccountInfo::from).collect(),
        next_page_start: next.map(|account| account.name).unwrap_or_default(),
    })
}

/// One account, by name or ID.
#[utoipa::path(get, path = "/api/v0/accounts/{nameOrID}", tag = "accounts",
    params(("nameOrID" = String, Path, description = "The name or the ID")),
    responses((status = 200, description = "The account", body = AccountInfo),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such account", body = Errors)))]
pub async fn one(exchange: &mut Exchange<'_>, _: AccessChanges) -> Result<Outcome, ApiError> {
    let name = exchange.target.selector.clone().unwrap_or_default();
    json(&AccountInfo::from(find(exchange.state, &name).await?))
}

/// Creates an account, or changes it to this form. An account that is disabled stays so.
#[utoipa::path(post, path = "/api/v0/accounts", tag = "accounts",
    params(("confirm" = Option<String>, Query, description = "`lock-out`: also if that locks out the caller")),
    request_body = WantedAccount,
    responses((status = 200, description = "It existed, and has this form now", body = AccountInfo),
              (status = 201, description = "It is new", body = AccountInfo),
              (status = 400, description = "The body or a value in it is wrong", body = Errors),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 409, description = "It would lock out the caller", body = Errors)))]
pub async fn add(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let confirmed = confirmed(exchange.query())?;
    let body: WantedAccount = read(exchange).await?;
    put(exchange, &grant, &body, confirmed).await?.answer()
}

/// Creates an account, or changes it.
pub async fn put(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    body: &WantedAccount,
    confirmed: bool,
) -> Result<Changed<AccountInfo>, ApiError> {
    let full_name = body.full_name.as_deref().filter(|name| !name.is_empty());
    let now = exchange.state.clock.now();
    let wanted = account(&body.name, &body.groups, body.is_admin, full_name, now)?;
    let becomes = registered(&wanted);
    let form = wanted.clone();
    let added = change(exchange, grant, confirmed, Some(becomes), move |store, actor| {
        store.add_account(&form, actor)
    })
    .await?;
    let (outcome, before) = match added {
        AccountAdded::New => ("added", None),
        AccountAdded::Same(before) => ("is so already", Some(before)),
        AccountAdded::Changed(before) => ("changed", Some(before)),
    };
    let is_new = before.is_none();
    let now_is = Account {
        created_at: before
            .as_ref()
            .map_or(wanted.created_at, |before| before.created_at),
        disabled_at: before.as_ref().and_then(|before| before.disabled_at),
        disabled_reason: before.and_then(|before| before.disabled_reason),
        ..wanted
    };
    Ok(Changed {
        is_new,
        remark: format!("account {} {outcome}", now_is.name),
        value: now_is.into(),
    })
}

/// Disables an account, or enables it. Clients that log in with its keys are refused from the next request on.
#[utoipa::path(patch, path = "/api/v0/accounts/{nameOrID}", tag = "accounts",
    params(("nameOrID" = String, Path, description = "The name or the ID"),
           ("confirm" = Option<String>, Query, description = "`lock-out`: also if that locks out the caller")),
    request_body = AccountState,
    responses((status = 200, description = "It is so now", body = AccountInfo),
              (status = 400, description = "The body or a value in it is wrong", body = Errors),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such account", body = Errors),
              (status = 409, description = "It would lock out the caller", body = Errors)))]
pub async fn set_state(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let confirmed = confirmed(exchange.query())?;
    let wanted = exchange.target.selector.clone().unwrap_or_default();
    let body: AccountState = read(exchange).await?;
    switch(exchange, &grant, &wanted, body, confirmed).await?.answer()
}

/// What an account of this form does to who has access.
pub fn registered(account: &Account) -> SecurityChange {
    SecurityChange::Account(Registered {
        name: account.name.clone(),
        groups: account.groups.clone(),
        disabled: false,
        is_admin: account.is_admin,
    })
}

/// Disables an account, or enables it.
pub async fn switch(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    wanted: &str,
    body: AccountState,
    confirmed: bool,
) -> Result<Changed<AccountInfo>, ApiError> {
    let reason = body.reason.filter(|reason| !reason.is_empty());
    check_text("the reason", reason.as_deref())?;
    let name = find(exchange.state, wanted).await?.name;
    let since = (!body.is_active).then(|| exchange.state.clock.now());
    let locks = since.map(|_| SecurityChange::Disabled(name.clone()));
    let of = name.clone();
    let changed = change(exchange, grant, confirmed, locks, move |store, actor| {
        let changed = store.set_disabled(&of, since, reason.as_deref(), actor)?;
        Ok(changed.zip(store.account(&of)?))
    })
    .await?;
    let (changed, account) = changed.ok_or_else(|| ChangeFault::NoAccount(name.clone()))?;
    let state = if body.is_active { "enabled" } else { "disabled" };
    let already = if changed { "" } else { "is already " };
    Ok(Changed {
        is_new: false,
        value: account.into(),
        remark: format!("account {name} {already}{state}"),
    })
}

/// Removes an account and its keys.
#[utoipa::path(delete, path = "/api/v0/accounts/{nameOrID}", tag = "accounts",
    params(("nameOrID" = String, Path, description = "The name or the ID"),
           ("confirm" = Option<String>, Query, description = "`lock-out`: also if that locks out the caller")),
    responses((status = 204, description = "It is gone"),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such account", body = Errors),
              (status = 409, description = "It would lock out the caller", body = Errors)))]
pub async fn remove(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let confirmed = confirmed(exchange.query())?;
    let wanted = exchange.target.selector.clone().unwrap_or_default();
    Ok(done(delete(exchange, &grant, &wanted, confirmed).await?))
}

/// Removes an account and its keys; returns what was done.
pub async fn delete(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    wanted: &str,
    confirmed: bool,
) -> Result<String, ApiError> {
    let name = find(exchange.state, wanted).await?.name;
    let (locks, of) = (SecurityChange::Removed(name.clone()), name.clone());
    let removed = change(exchange, grant, confirmed, Some(locks), move |store, actor| {
        store.remove_account(&of, actor)
    });
    if !removed.await? {
        return Err(ChangeFault::NoAccount(name).into());
    }
    Ok(format!("account {name} removed"))
}

/// An account by its name or ID.
pub async fn find(state: &State, name_or_id: &str) -> Result<Account, ApiError> {
    let wanted = name_or_id.trim_end_matches('/').to_owned();
    let id = wanted.to_lowercase();
    let found = state
        .with_store(move |store| {
            if let Some(account) = store.account(&wanted)? {
                return Ok(Ok(account));
            }
            // Only what looks like an ID is looked for among all.
            let all = if Uuid::try_parse(&wanted).is_ok() {
                store.accounts()?
            } else {
                Vec::new()
            };
            let found = all.into_iter().find(|account| uuid(&account.name) == id);
            Ok::<_, StoreError>(found.ok_or(wanted))
        })
        .await?;
    found.map_err(|wanted| ChangeFault::NoAccount(wanted).into())
}
