//! `/api/v0/accounts/{nameOrID}/publicKeys` and `/api/v0/accountPublicKeys`: the keys of accounts, in the shape of those of
//! Docker Enterprise. Every certificate of a registered key logs in as its account.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    account::uuid,
    accounts,
    changing::{ChangeFault, Changed, change, confirmed, done, if_present, page, read},
    json,
    openapi::Errors,
};
use crate::{
    access::AccessChanges,
    administration::{KeyText, check_text},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    state::State,
    store::{AccountKey, KeyAdded, SecurityChange},
};

/// Between the account and the key in a path.
const KEYS: &str = "/publicKeys";

/// Keys of accounts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountPublicKeys {
    account_public_keys: Vec<AccountPublicKey>,
    /// The `pageStart` of the next page; empty on the last.
    next_page_start: String,
}

/// A key of an account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountPublicKey {
    /// The SHA-256 of the key (SubjectPublicKeyInfo), in hex.
    id: String,
    #[serde(rename = "accountID")]
    account_id: String,
    account_name: String,
    label: String,
    /// In PEM.
    public_key: String,
    /// A certificate of it, if one was registered.
    certificates: Vec<KeyCertificate>,
    /// What people should know about it.
    note: String,
    /// The key's ID in metadata as a bare key, under which clients store the private key.
    #[serde(rename = "keyID")]
    key_id: String,
    /// Its ID in metadata as this certificate.
    #[serde(rename = "x509KeyID", skip_serializing_if = "Option::is_none")]
    x509_key_id: Option<String>,
    created_at: DateTime<Utc>,
}

/// A certificate of a key.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyCertificate {
    /// Taken as that of the key, if the key has none.
    #[serde(default)]
    pub label: String,
    /// In PEM.
    pub cert: String,
}

/// A key to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WantedKey {
    pub label: Option<String>,
    /// In PEM; may be left out if there is a certificate.
    pub public_key: Option<String>,
    /// At most one certificate, of this key.
    #[serde(default)]
    pub certificates: Vec<KeyCertificate>,
    /// What people should know about it, such as where it is held.
    pub note: Option<String>,
}

/// What is to be noted about a key. What is left out stays, null or an empty text removes it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyNotes {
    #[serde(default, deserialize_with = "if_present")]
    #[schema(value_type = Option<String>)]
    pub label: Option<Option<String>>,
    #[serde(default, deserialize_with = "if_present")]
    #[schema(value_type = Option<String>)]
    pub note: Option<Option<String>>,
}

impl AccountPublicKey {
    fn new(account: &str, key: AccountKey) -> Self {
        let label = key.label.unwrap_or_default();
        let certificates = key.certificate.into_iter().map(|cert| KeyCertificate {
            label: label.clone(),
            cert,
        });
        Self {
            id: key.spki_sha256,
            account_id: uuid(account),
            account_name: account.to_owned(),
            public_key: key.public_key,
            certificates: certificates.collect(),
            label,
            note: key.note.unwrap_or_default(),
            key_id: key.key_id,
            x509_key_id: key.certificate_key_id,
            created_at: key.created_at,
        }
    }
}

/// The keys of an account, oldest first.
#[utoipa::path(get, path = "/api/v0/accounts/{nameOrID}/publicKeys", tag = "accounts",
    params(("nameOrID" = String, Path, description = "The account's name or ID")),
    responses((status = 200, description = "All of them", body = AccountPublicKeys),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such account", body = Errors)))]
pub async fn of_account(exchange: &mut Exchange<'_>, _: AccessChanges) -> Result<Outcome, ApiError> {
    let wanted = exchange.target.selector.clone().unwrap_or_default();
    let name = accounts::find(exchange.state, &wanted).await?.name;
    let of = name.clone();
    let keys = exchange
        .state
        .with_store(move |store| store.account_keys(&of))
        .await?;
    json(&AccountPublicKeys {
        account_public_keys: keys
            .into_iter()
            .map(|key| AccountPublicKey::new(&name, key))
            .collect(),
        next_page_start: String::new(),
    })
}

/// The keys of all accounts, by their IDs.
#[utoipa::path(get, path = "/api/v0/accountPublicKeys", tag = "accounts",
    params(("pageSize" = Option<u32>, Query, description = "Keys on a page, 10 by default"),
           ("pageStart" = Option<String>, Query, description = "The ID of the first key of the page")),
    responses((status = 200, description = "A page", body = AccountPublicKeys),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors)))]
pub async fn of_all(exchange: &mut Exchange<'_>, _: AccessChanges) -> Result<Outcome, ApiError> {
    let (start, size) = page(exchange.query())?;
    let mut keys = exchange
        .state
        .with_store(move |store| store.keys_of_all(&start, size + 1))
        .await?;
    let next = (keys.len() > size).then(|| keys.pop()).flatten();
    json(&AccountPublicKeys {
        account_public_keys: keys
            .into_iter()
            .map(|(account, key)| AccountPublicKey::new(&account, key))
            .collect(),
        next_page_start: next.map(|(_, key)| key.spki_sha256).unwrap_or_default(),
    })
}

/// Registers a key to an account.
#[utoipa::path(post, path = "/api/v0/accounts/{nameOrID}/publicKeys", tag = "accounts",
    params(("nameOrID" = String, Path, description = "The account's name or ID"),
           ("confirm" = Option<String>, Query, description = "`lock-out`: also if that locks out the caller")),
    request_body = WantedKey,
    responses((status = 200, description = "It was registered to this account before", body = AccountPublicKey),
              (status = 201, description = "It is new", body = AccountPublicKey),
              (status = 400, description = "The body or a value in it is wrong", body = Errors),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such account", body = Errors),
              (status = 409, description = "It is a key of another account, or would lock out the caller", body = Errors)))]
pub async fn add(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let confirmed = confirmed(exchange.query())?;
    let wanted = exchange.target.selector.clone().unwrap_or_default();
    let body: WantedKey = read(exchange).await?;
    register(exchange, &grant, &wanted, &body, confirmed)
        .await?
        .answer()
}

/// Registers a key to an account.
pub async fn register(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    wanted: &str,
    body: &WantedKey,
    confirmed: bool,
) -> Result<Changed<AccountPublicKey>, ApiError> {
    let key = body.read(exchange.state.clock.now())?;
    let account = accounts::find(exchange.state, wanted).await?.name;
    let spki = key.spki_sha256.clone();
    let becomes = SecurityChange::Key(spki.clone(), account.clone());
    let of = account.clone();
    let (added, stored) = change(exchange, grant, confirmed, Some(becomes), move |store, actor| {
        let added = store.add_account_key(&of, &key, actor)?;
        let keys = store.account_keys(&of)?;
        Ok((
            added,
            keys.into_iter()
                .find(|stored| stored.spki_sha256 == key.spki_sha256),
        ))
    })
    .await?;
    let (is_new, outcome) = match added {
        KeyAdded::New => (true, "registered to"),
        KeyAdded::Same => (false, "is already registered to"),
        KeyAdded::Changed => (false, "has a new label, certificate or note at"),
        KeyAdded::OfOther(other) => return Err(ChangeFault::OfOther(other).into()),
        KeyAdded::NoAccount => return Err(ChangeFault::NoAccount(account).into()),
    };
    let stored = stored.ok_or_else(|| ChangeFault::NoKey(account.clone()))?;
    Ok(Changed {
        is_new,
        value: AccountPublicKey::new(&account, stored),
        remark: format!("key {spki} {outcome} account {account}"),
    })
}

/// Changes what is noted about a key.
#[utoipa::path(patch, path = "/api/v0/accounts/{nameOrID}/publicKeys/{keyID}", tag = "accounts",
    params(("nameOrID" = String, Path, description = "The account's name or ID"),
           ("keyID" = String, Path, description = "The key's ID, or one of its IDs in metadata")),
    request_body = KeyNotes,
    responses((status = 200, description = "It is so now", body = AccountPublicKey),
              (status = 400, description = "The body or a value in it is wrong", body = Errors),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such account or key", body = Errors)))]
pub async fn describe(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let (account, key) = named(exchange).await?;
    let body: KeyNotes = read(exchange).await?;
    note(exchange, &grant, account, key, body).await?.answer()
}

/// Changes what is noted about a key, by any of its names, of an account.
pub async fn describe_named(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    (account, key): (&str, &str),
    body: KeyNotes,
) -> Result<Changed<AccountPublicKey>, ApiError> {
    let account = accounts::find(exchange.state, account).await?.name;
    let key = find(exchange.state, &account, key).await?;
    note(exchange, grant, account, key, body).await
}

async fn note(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    account: String,
    key: AccountKey,
    body: KeyNotes,
) -> Result<Changed<AccountPublicKey>, ApiError> {
    let kept = |given: Option<Option<String>>, before: Option<String>| {
        given.unwrap_or(before).filter(|text| !text.is_empty())
    };
    let key = AccountKey {
        label: kept(body.label, key.label.clone()),
        note: kept(body.note, key.note.clone()),
        ..key
    };
    check_text("the label", key.label.as_deref())?;
    check_text("the note", key.note.as_deref())?;
    let (of, form) = (account.clone(), key.clone());
    let changed = change(exchange, grant, false, None, move |store, actor| {
        let texts = (form.label.as_deref(), form.note.as_deref());
        store.describe_account_key(&of, &form.spki_sha256, texts, actor)
    });
    if changed.await?.is_none() {
        return Err(ChangeFault::NoKey(account).into());
    }
    let remark = format!("key {} of account {account} described", key.spki_sha256);
    Ok(Changed {
        is_new: false,
        value: AccountPublicKey::new(&account, key),
        remark,
    })
}

/// Removes a key from an account: its certificates no longer log in as this account.
#[utoipa::path(delete, path = "/api/v0/accounts/{nameOrID}/publicKeys/{keyID}", tag = "accounts",
    params(("nameOrID" = String, Path, description = "The account's name or ID"),
           ("keyID" = String, Path, description = "The key's ID, or one of its IDs in metadata"),
           ("confirm" = Option<String>, Query, description = "`lock-out`: also if that locks out the caller")),
    responses((status = 204, description = "It is gone"),
              (status = 403, description = "No rule of the policy allows the caller admin", body = Errors),
              (status = 404, description = "No such account or key", body = Errors),
              (status = 409, description = "It would lock out the caller", body = Errors)))]
pub async fn remove(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    let confirmed = confirmed(exchange.query())?;
    let (account, key) = named(exchange).await?;
    Ok(done(unregister(exchange, &grant, account, key, confirmed).await?))
}

/// Removes a key, by any of its names, from an account; returns what was done.
pub async fn remove_named(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    (account, key): (&str, &str),
    confirmed: bool,
) -> Result<String, ApiError> {
    let account = accounts::find(exchange.state, account).await?.name;
    let key = find(exchange.state, &account, key).await?;
    unregister(exchange, grant, account, key, confirmed).await
}

async fn unregister(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    account: String,
    key: AccountKey,
    confirmed: bool,
) -> Result<String, ApiError> {
    let locks = SecurityChange::NoKey(key.spki_sha256.clone());
    let (of, spki) = (account.clone(), key.spki_sha256.clone());
    let removed = change(exchange, grant, confirmed, Some(locks), move |store, actor| {
        store.remove_account_key(&of, &spki, actor)
    });
    if !removed.await? {
        return Err(ChangeFault::NoKey(account).into());
    }
    Ok(format!("key {} removed from account {account}", key.spki_sha256))
}

impl WantedKey {
    fn read(&self, now: DateTime<Utc>) -> Result<AccountKey, ApiError> {
        let certificate = match self.certificates.as_slice() {
            [] => None,
            [one] => Some(one),
            _ => {
                let why = "certificates: one is stored for a key, and any other of it logs in all the same";
                return Err(ChangeFault::Wrong(why.to_owned()).into());
            }
        };
        let not_empty = |text: &&str| !text.is_empty();
        let of_certificate = certificate.map(|certificate| certificate.label.as_str());
        let label = self
            .label
            .as_deref()
            .filter(not_empty)
            .or(of_certificate)
            .filter(not_empty);
        let note = self.note.as_deref().filter(not_empty);
        check_text("the label", label)?;
        check_text("the note", note)?;
        let public_key = self.public_key.as_deref().filter(not_empty);
        let certificate = certificate.map(|certificate| certificate.cert.as_bytes());
        let text = match (public_key.map(str::as_bytes), certificate) {
            (Some(key), Some(certificate)) => KeyText::Both(key, certificate),
            (Some(key), None) => KeyText::PublicKey(key),
            (None, Some(certificate)) => KeyText::Certificate(certificate),
            (None, None) => return Err(ChangeFault::Wrong("publicKey is missing".to_owned()).into()),
        };
        Ok(text.read(label, note, now)?)
    }
}

/// The account and the key that a path names.
async fn named(exchange: &Exchange<'_>) -> Result<(String, AccountKey), ApiError> {
    let path = exchange.target.selector.as_deref().unwrap_or_default();
    let (account, id) = path.rsplit_once('/').unwrap_or_default();
    let account = account.strip_suffix(KEYS).unwrap_or_default();
    let account = accounts::find(exchange.state, account).await?.name;
    let key = find(exchange.state, &account, id).await?;
    Ok((account, key))
}

/// A key of an account, by any of its three names.
async fn find(state: &State, account: &str, id: &str) -> Result<AccountKey, ApiError> {
    let (of, id) = (account.to_owned(), id.to_lowercase());
    let keys = state.with_store(move |store| store.account_keys(&of)).await?;
    let named = |key: &AccountKey| {
        key.spki_sha256 == id || key.key_id == id || key.certificate_key_id.as_deref() == Some(id.as_str())
    };
    let found = keys.into_iter().find(named);
    found.ok_or_else(|| ChangeFault::NoKey(account.to_owned()).into())
}
