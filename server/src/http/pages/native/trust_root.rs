//! `GET /tuf/repository/root?gun=`: the chain of roots of a TUF 1.0 repository.

use std::collections::BTreeSet;

use actix_web::{http::StatusCode, web};
use bytes::Bytes;
use tuf_native::{Metadata, Role};

use super::{
    super::response,
    head::{Opened, Page},
};
use crate::{
    access::{Grant, Pull},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Command, Digest, State, Text, When, quoted,
        repository::{Root, RootVersion},
    },
    state::ServiceError,
};

/// How many versions are shown.
const VERSIONS: usize = 100;
/// The roles whose keys a root names.
const ROLES: [(Role, &str); 4] = [
    (Role::Root, "Root"),
    (Role::Targets, "Targets"),
    (Role::Snapshot, "Snapshot"),
    (Role::Timestamp, "Timestamp"),
];

/// The chain of roots, for browsers.
pub async fn root(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let gun = opened.name.gun().clone();
    let stored = exchange
        .state
        .with_store(move |store| store.native_newest_roots(&gun, VERSIONS + 1))
        .await?;
    let read = web::block(move || {
        let read = stored.into_iter().map(|(version, bytes)| {
            let root = Metadata::parse(&Role::Root, Bytes::from(bytes));
            (version, root.map_err(|reason| reason.to_string()))
        });
        read.collect::<Vec<_>>()
    })
    .await
    .map_err(|_| ServiceError::Stopping)?;
    let shown = read.len().min(VERSIONS);
    let versions: Vec<RootVersion> = (0..shown)
        .map(|position| version(&opened, &read, position))
        .collect();
    let pin = opened.first_root_key().await?;
    let page = Root {
        shell: opened.shell(),
        head: opened.head(Page::Root),
        is_whole: versions.iter().all(|root| root.state != State::Bad),
        is_cut: read.len() > VERSIONS,
        versions,
        pin: pin.map(|id| {
            let (name, id) = (quoted(opened.name.as_str()), quoted(&id));
            Command::new(format!("countersign tuf verify {name} --root-key {id}"))
        }),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

/// A root as it was stored: its version, and what was read.
type Read = (i32, Result<Metadata, String>);

/// Newest first: the one after it in the list is the one before it in time.
fn version(opened: &Opened<'_>, roots: &[Read], position: usize) -> RootVersion {
    let now = opened.reader.now;
    let (version, this) = &roots[position];
    let before = roots.get(position + 1);
    let fault = fault(*version, this, before);
    let this = this.as_ref().ok();
    let before = before.and_then(|(_, before)| before.as_ref().ok());
    let ids = |root: &Metadata, role: &Role| -> BTreeSet<String> {
        let keys = root.root_signers(role).map(tuf_native::Signers::keys);
        keys.unwrap_or_default()
            .iter()
            .map(|key| key.id().to_string())
            .collect()
    };
    let changes: Vec<_> = ROLES
        .into_iter()
        .filter_map(|(role, name)| {
            let (old, new) = (ids(before?, &role), ids(this?, &role));
            let digests = |ids: Vec<&String>| {
                ids.into_iter()
                    .map(|id| Digest::key(id.as_str()))
                    .collect::<Vec<_>>()
            };
            (old != new).then(|| {
                (
                    name,
                    digests(old.difference(&new).collect()),
                    digests(new.difference(&old).collect()),
                )
            })
        })
        .collect();
    let names: Vec<&str> = changes.iter().map(|(name, ..)| *name).collect();
    let sentence = match (&fault, before) {
        (Some(fault), _) => format!("Clients do not go on to it: {fault}."),
        (None, None) => "The first version.".to_owned(),
        (None, Some(_)) if names.is_empty() => "No key changed; it was signed anew.".to_owned(),
        (None, Some(_)) if names.contains(&"Root") => {
            "The root keys changed. It is signed with the old keys and the new ones, so that clients follow."
                .to_owned()
        }
        (None, Some(_)) => format!(
            "Keys changed: {}. The root keys stayed.",
            names.join(", ").to_lowercase()
        ),
    };
    let signed_by = this.map(|root| root.signed_by(&Role::Root)).unwrap_or_default();
    RootVersion {
        version: *version,
        is_current: position == 0,
        state: if fault.is_none() { State::Good } else { State::Bad },
        stored: None,
        by: None,
        sentence: Text::new(sentence),
        signed_by: signed_by.iter().map(|key| opened.named(key)).collect(),
        changes,
        until: this.map(|root| When::date_and_relative(root.expires(), now)),
    }
}

/// Why clients do not go on to a root from the one before it.
fn fault(version: i32, this: &Result<Metadata, String>, before: Option<&Read>) -> Option<String> {
    let this = match this {
        Ok(this) => this,
        Err(reason) => return Some(reason.clone()),
    };
    let follows = before.map_or(version, |(version, _)| version + 1);
    if this.version().get() != version || version != follows {
        return Some(format!("version {follows} has to stand here"));
    }
    let old = before.and_then(|(_, before)| before.as_ref().ok()?.root_signers(&Role::Root));
    let mut signers = old.into_iter().chain(this.root_signers(&Role::Root));
    signers
        .any(|signers| !this.is_signed_by(signers))
        .then(|| "it is not signed by enough of the keys".to_owned())
}
