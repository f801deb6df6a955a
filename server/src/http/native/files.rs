//! Serves the metadata of TUF 1.0 repositories byte for byte, and the server's keys for them.

use actix_web::{HttpResponse, http::header::ContentType};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tuf::RoleName;
use tuf_native::{RepositoryName, Role};

use super::{below, name};
use crate::{
    access::{Grant, Pull, ReadKey, RotateKey},
    audit::record::Change,
    http::{caching::Caching, error::ApiError, exchange::Exchange, keys, outcome::Outcome},
    identity::Principal,
    native::{self, NativeError, Room, ServerKey},
    store::Committed,
};

/// Serves `N.ROLE.json`, which never changes, and `timestamp.json`.
pub async fn metadata(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let name = name(exchange)?;
    if below(exchange) == "timestamp.json" {
        return timestamp(exchange, &grant, &name).await;
    }
    let (role, version) = numbered(below(exchange)).ok_or(ApiError::NotFound)?;
    let gun = name.gun().clone();
    let found = exchange
        .state
        .with_store(move |store| store.native_file(&gun, role.as_str(), version))
        .await?;
    let Some(bytes) = found else {
        return Err(absent(exchange, &name).await?);
    };
    let caching = Caching {
        max_age: exchange.state.config.caching.consistent,
        current: false,
        public: exchange.access().is_public(grant.gun()),
    };
    Ok(answer(exchange, &caching, bytes))
}

/// Why a file is not there: the repository was deleted, there is none, or it has no such file.
pub(super) async fn absent(exchange: &Exchange<'_>, name: &RepositoryName) -> Result<ApiError, ApiError> {
    let gun = name.gun().clone();
    let found = exchange
        .state
        .with_store(move |store| store.native_repository(&gun))
        .await?;
    Ok(match found {
        Some(found) if found.deleted_at.is_some() => NativeError::Deleted.into(),
        Some(_) => ApiError::NotFound,
        None => NativeError::NoRepository.into(),
    })
}

/// Serves the newest timestamp. One that has expired is renewed first.
async fn timestamp(
    exchange: &Exchange<'_>,
    grant: &Grant<Pull>,
    name: &RepositoryName,
) -> Result<Outcome, ApiError> {
    let (state, gun) = (exchange.state, name.gun().clone());
    let find = async || {
        let gun = gun.clone();
        state.with_store(move |store| store.native_timestamp(&gun)).await
    };
    let mut found = find().await?;
    if let Some((repository, _)) = &found
        && repository.expires_at <= state.clock.now()
    {
        match native::renew(state, name, TimeDelta::zero()).await {
            Ok(_) => found = find().await?,
            Err(NativeError::Service(cause)) => return Err(cause.into()),
            // The client's own message about an expired timestamp says more than a server error.
            Err(reason) => {
                tracing::warn!(repo.name = %name, %reason, "a TUF repository cannot be renewed and is served as it is");
            }
        }
    }
    let Some((_, bytes)) = found else {
        return Err(absent(exchange, name).await?);
    };
    state.store.count_pull(name.gun().of_tuf_1().as_str());
    // Clients ask for it to learn what is new, so no cache may answer for this server.
    let caching = Caching {
        max_age: 0,
        current: true,
        public: exchange.access().is_public(grant.gun()),
    };
    Ok(answer(exchange, &caching, bytes))
}

fn answer(exchange: &Exchange<'_>, caching: &Caching, bytes: Vec<u8>) -> Outcome {
    let sha256 = hex::encode(openssl::sha::sha256(&bytes));
    let (mut response, unchanged) = caching.begin(exchange.request, &sha256);
    if unchanged {
        return response.finish().into();
    }
    response.content_type(ContentType::json()).body(bytes).into()
}

/// The role and version of `N.ROLE.json`.
fn numbered(file: &str) -> Option<(Role, i32)> {
    let (version, rest) = file.split_once('.')?;
    let digits =
        !version.is_empty() && !version.starts_with('0') && version.bytes().all(|b| b.is_ascii_digit());
    let role = Role::parse(rest.strip_suffix(".json")?).ok()?;
    let version = version.parse().ok().filter(|_| digits)?;
    Some((role, version))
}

/// Serves the keys that a root has to name for snapshots and timestamps: those that the stored root names, or new ones.
pub async fn server_keys(exchange: &mut Exchange<'_>, grant: Grant<ReadKey>) -> Result<Outcome, ApiError> {
    let name = name(exchange)?;
    let mut room = Room::new(exchange.state).await?;
    let stored = native::current(exchange.state, &name, &mut room).await?;
    let root = stored.and_then(|found| found.trusted.root);
    let mut answer = serde_json::Map::new();
    let mut made = false;
    for role in [Role::Snapshot, Role::Timestamp] {
        let listed = root
            .as_ref()
            .map(|root| native::listed(root, &role))
            .unwrap_or_default();
        let key = match native::named(exchange.state, &name, &listed, &role).await? {
            Some(key) => key,
            None => {
                made = true;
                make(exchange, grant.principal(), &name, &role).await?
            }
        };
        answer.insert(role.as_str().to_owned(), shown(&key));
    }
    let response = HttpResponse::Ok().json(Value::Object(answer));
    if !made {
        return Ok(response.into());
    }
    // The key may have been made just now, or earlier for a publish that never came; either way it is recorded.
    Ok(Outcome::changed(
        response,
        Committed {
            documents: Vec::new(),
            place: None,
            newest: None,
        },
    ))
}

/// Makes a key for snapshots or timestamps that the root does not name yet; it takes effect when a root that names it is
/// published.
pub async fn rotate(exchange: &mut Exchange<'_>, grant: Grant<RotateKey>) -> Result<Outcome, ApiError> {
    let name = name(exchange)?;
    let role = match below(exchange) {
        "snapshot" => Role::Snapshot,
        "timestamp" => Role::Timestamp,
        _ => return Err(ApiError::NoRoute),
    };
    let key = make(exchange, grant.principal(), &name, &role).await?;
    let change = Change {
        action: "tuf.rotate-key".to_owned(),
        gun: Some(name.to_string()),
        subject: Some(role.to_string()),
        detail: Some(key.public.id().to_string()),
        ..Change::default()
    };
    let (state, gun) = (exchange.state, name.gun().clone());
    let (actor, now) = (grant.principal().actor(), state.clock.now());
    let place = state
        .with_store(move |store| store.record_native_change(&gun, &actor, change, now))
        .await?;
    let committed = Committed {
        documents: Vec::new(),
        place,
        newest: None,
    };
    let response = HttpResponse::Ok().json(json!({ role.as_str(): shown(&key) }));
    Ok(Outcome::changed(response, committed))
}

/// Has the signer make a key, within the limit of unused keys for one principal.
async fn make(
    exchange: &Exchange<'_>,
    principal: &Principal,
    name: &RepositoryName,
    role: &Role,
) -> Result<ServerKey, ApiError> {
    let signer_role = if *role == Role::Snapshot {
        RoleName::Snapshot
    } else {
        RoleName::Timestamp
    };
    let gun = name.gun().of_tuf_1();
    let held = keys::create(exchange.state, principal, &gun, &signer_role).await?;
    Ok(ServerKey::new(held)?)
}

fn shown(key: &ServerKey) -> Value {
    json!({"keyid": key.public.id().to_string(), "key": key.public.to_json()})
}
