//! `GET /repository/root?gun=`: the chain of roots.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use tuf::{RoleName, VerifiedRoot};

use super::{
    super::response,
    head::{Opened, Page},
    history::Publishers,
};
use crate::{
    access::{Grant, Pull},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Command, Digest, State, Text, When, quoted,
        repository::{Root, RootVersion},
    },
    store::Stored,
};

/// How many versions are shown.
const VERSIONS: usize = 100;
/// How many bytes of them are read.
const BYTES: usize = 32 * 1024 * 1024;
/// The roles whose keys a root names.
const ROLES: [(RoleName, &str); 4] = [
    (RoleName::Root, "Root"),
    (RoleName::Targets, "Targets"),
    (RoleName::Snapshot, "Snapshot"),
    (RoleName::Timestamp, "Timestamp"),
];

/// The chain of roots, for browsers.
pub async fn root(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let tells = opened.reader.tells_actors(opened.gun.as_str());
    let gun = opened.gun.clone();
    let (roots, publishers) = exchange
        .state
        .with_store(move |store| {
            let publishers = if tells {
                Publishers::read(store, &gun)?
            } else {
                Publishers::unknown()
            };
            let mut budget = BYTES;
            let roots = store.versions(&gun, &RoleName::Root, VERSIONS + 1, &mut budget)?;
            Ok((roots, publishers))
        })
        .await?;
    let shown = roots.len().min(VERSIONS);
    let versions: Vec<RootVersion> = (0..shown)
        .map(|position| version(&opened, &publishers, &roots, position))
        .collect();
    let keys = opened
        .files
        .root
        .as_ref()
        .map(|root| tuf::role_keys(&root.bytes, &RoleName::Root));
    let pin = keys.and_then(Result::ok).and_then(|keys| keys.into_iter().next());
    let page = Root {
        shell: opened.shell(),
        head: opened.head(Page::Root),
        is_whole: versions.iter().all(|root| root.state != State::Bad),
        is_cut: roots.len() > VERSIONS,
        versions,
        pin: pin.map(|key| {
            let (gun, id) = (quoted(opened.gun.as_str()), quoted(key.id().as_str()));
            Command::new(format!("countersign inspect {gun} --root-key {id}"))
        }),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

fn version(opened: &Opened<'_>, publishers: &Publishers, roots: &[Stored], position: usize) -> RootVersion {
    let now = opened.reader.now;
    // Newest first: the one after it in the list is the one before it in time.
    let (this, before) = (&roots[position], roots.get(position + 1));
    let read = |stored: &Stored| VerifiedRoot::read(&opened.gun, &stored.document.bytes);
    let own = read(this);
    let outcome = match (&own, before) {
        (Ok(root), Some(before)) => read(before).and_then(|before| root.check_follows(&before)),
        (Ok(_), None) => Ok(()),
        (Err(cause), _) => Err(cause.clone()),
    };
    let ids = |stored: &Stored, role: &RoleName| -> BTreeSet<String> {
        let keys = tuf::role_keys(&stored.document.bytes, role).unwrap_or_default();
        keys.iter().map(|key| key.id().as_str().to_owned()).collect()
    };
    let changes: Vec<_> = ROLES
        .into_iter()
        .filter_map(|(role, name)| {
            let (old, new) = (ids(before?, &role), ids(this, &role));
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
    let end = tuf::usable_until(&opened.gun, &RoleName::Root, &this.document.bytes).ok();
    let names: Vec<&str> = changes.iter().map(|(name, ..)| *name).collect();
    let sentence = match (&outcome, before) {
        (Err(cause), _) => format!("Clients do not go on to it: {cause}."),
        (Ok(()), None) => "The first version that is stored here.".to_owned(),
        (Ok(()), Some(_)) if names.is_empty() => "No key changed; it was signed anew.".to_owned(),
        (Ok(()), Some(_)) if names.contains(&"Root") => {
            "The root key changed. It is signed with the old keys and the new ones, so that clients follow."
                .to_owned()
        }
        (Ok(()), Some(_)) => format!(
            "Keys changed: {}. The root key stayed.",
            names.join(", ").to_lowercase()
        ),
    };
    let signed_by = own.as_ref().map(|root| {
        let signers = root.signers().iter().map(|key| {
            let name = opened.account_of(key).map(Text::new);
            (Digest::key(key.id().as_str()), name)
        });
        signers.collect()
    });
    RootVersion {
        version: this.document.version.get(),
        is_current: position == 0,
        state: if outcome.is_ok() { State::Good } else { State::Bad },
        stored: this.stored_at.map(|at| When::date_and_relative(at, now)),
        by: publishers
            .at(this.stored_at)
            .map(|actor| Text::from(&*actor.principal)),
        sentence: Text::new(sentence),
        signed_by: signed_by.unwrap_or_default(),
        changes,
        until: end.map(|(end, _)| When::date_and_relative(end, now)),
    }
}
