//! `GET /repository/activity?gun=&from=&to=&before=`: who published what, and what two publishes differ in.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;

use super::{
    super::response,
    head::{Opened, Page},
};
use crate::{
    access::{Grant, Pull},
    events::{Event, Kind, Target, Targets},
    http::{api::parameter, error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Digest, Text, When,
        repository::{Activity, Comparison, Difference, Publish},
        visible,
    },
    store::{Change, ChangeQuery, RecordedActor, SERVER, Store, StoreError},
};

/// How many publishes are on a page.
const PAGE: u32 = 20;
/// How many tags a publish names.
const NAMED: usize = 3;

/// The publishes, for browsers.
pub async fn activity(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let get = |name| parameter(exchange.query(), name).unwrap_or_default();
    let before: Option<i32> = get("before").parse().ok();
    let gun = opened.gun.clone();
    let changes: Vec<Made> = exchange
        .state
        .with_store(move |store| {
            let query = before.map_or(ChangeQuery::Newest, ChangeQuery::Before);
            let changes = store.changes(Some(&gun), query, PAGE)?;
            changes
                .into_iter()
                .rev()
                .map(|change| Made::read(store, change))
                .collect()
        })
        .await?;
    let oldest = changes.last().map(|made| made.change.id);
    let is_full = changes.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
    let (from, to) = (get("from"), get("to"));
    let comparison = match (from.parse::<i32>(), to.parse::<i32>()) {
        (Ok(from), Ok(to)) => Some(compare(&opened, from, to).await?),
        _ => None,
    };
    let current = opened.files.timestamp.version;
    let page = Activity {
        shell: opened.shell(),
        head: opened.head(Page::Activity),
        gun: opened.gun.to_string(),
        publishes: changes.iter().map(|made| publish(&opened, made)).collect(),
        older: oldest
            .filter(|_| is_full)
            .map(|id| opened.address("/repository/activity", &[("before", &*id.to_string())])),
        newest: before.map(|_| opened.address("/repository/activity", &[])),
        from,
        to: if to.is_empty() { current.to_string() } else { to },
        comparison,
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

/// A change, what it did, and who made it.
pub struct Made {
    pub change: Change,
    pub event: Event,
    pub actor: Option<RecordedActor>,
}

impl Made {
    /// Reads what a change did.
    ///
    /// # Errors
    /// When the database fails.
    pub fn read(store: &Store, change: Change) -> Result<Self, StoreError> {
        let effect = store.effect_of(&change)?;
        Ok(Self {
            event: Event::new(&change, &effect),
            actor: effect.actor,
            change,
        })
    }
}

fn publish(opened: &Opened<'_>, made: &Made) -> Publish {
    let Made {
        change,
        event,
        actor: recorded,
    } = made;
    let tells = opened.reader.tells_actors(opened.gun.as_str());
    let actor = recorded.as_ref().filter(|_| tells);
    let is_server = recorded.as_ref().is_some_and(|actor| actor.principal == SERVER);
    let by = match actor {
        _ if is_server => "the server, by itself",
        Some(actor) => &*actor.principal,
        None if recorded.is_some() => "not for you to know",
        None => "not recorded",
    };
    let versions = event.version.zip(event.previous_version);
    Publish {
        at: When::relative(change.created_at, opened.reader.now),
        by: Text::from(by),
        subject: actor
            .filter(|_| !is_server)
            .and_then(|actor| actor.certificate_subject.as_deref())
            .map(Text::from),
        did: Text::new(did(event)),
        from: actor
            .and_then(|actor| actor.peer_address.as_deref())
            .map(|address| {
                // The port says nothing about who it was.
                let address = address
                    .parse::<std::net::SocketAddr>()
                    .map(|address| address.ip().to_string());
                Text::new(address.unwrap_or_default())
            }),
        version: event.version.map(|version| {
            let address = match versions {
                Some((to, from)) => opened.address(
                    "/repository/activity",
                    &[("from", &*from.to_string()), ("to", &*to.to_string())],
                ),
                None => opened.address("/repository/activity", &[]),
            };
            (version, address)
        }),
    }
}

/// What a change did, in words.
pub fn did(event: &Event) -> String {
    let targets = match (event.kind, &event.targets) {
        (Kind::Deleted, _) => return "deleted the repository".to_owned(),
        (Kind::Renewed, _) => return "renewed what the server signs".to_owned(),
        (Kind::Published, None) => return "published; what it changed is not stored any more".to_owned(),
        (Kind::Published, Some(targets)) => targets,
    };
    let lists = [
        ("added", &targets.added),
        ("moved", &targets.changed),
        ("removed", &targets.removed),
    ];
    let parts: Vec<String> = lists
        .into_iter()
        .filter(|(_, tags)| !tags.is_empty())
        .map(|(verb, tags)| format!("{verb} {}", names(tags)))
        .collect();
    match parts.is_empty() {
        true if event.previous_version.is_none() => "created the repository".to_owned(),
        true => "changed keys, roles or dates, and no tag".to_owned(),
        false => parts.join(", "),
    }
}

/// The names of tags, each once: several roles may sign one.
fn names(tags: &[Target]) -> String {
    let all: BTreeSet<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
    let mut names: Vec<String> = all.iter().take(NAMED).map(|name| visible(name)).collect();
    if all.len() > NAMED {
        names.push(format!("{} more", all.len() - NAMED));
    }
    names.join(", ")
}

async fn compare(opened: &Opened<'_>, from: i32, to: i32) -> Result<Comparison, ApiError> {
    let gun = opened.gun.clone();
    let contents = opened
        .reader
        .state
        .with_store(move |store| store.contents_at(&gun, [from, to]))
        .await?;
    let (sentence, differences) = match &contents {
        None => (
            "One of the two is not stored, or not any more.".to_owned(),
            Vec::new(),
        ),
        Some(both) => {
            let targets = Targets::between(both);
            let differences = differences(&targets);
            let sentence = match (differences.len(), both[0].named == both[1].named) {
                (0, true) => "Nothing but what the server signs differs between the two.".to_owned(),
                (0, false) => "Keys, roles or dates differ between the two, and no tag.".to_owned(),
                (_, _) => format!(
                    "Between the two: {} added, {} moved, {} removed.",
                    targets.added.len(),
                    targets.changed.len(),
                    targets.removed.len()
                ),
            };
            (sentence, differences)
        }
    };
    Ok(Comparison {
        from: from.to_string(),
        to: to.to_string(),
        sentence,
        differences,
    })
}

fn differences(targets: &Targets) -> Vec<Difference> {
    let digest = |hash: &Option<String>| hash.as_ref().map(|hash| Digest::new(format!("sha256:{hash}")));
    let lists = [
        ("added", &targets.added),
        ("moved", &targets.changed),
        ("removed", &targets.removed),
    ];
    let mut found: Vec<(String, Difference)> = Vec::new();
    for (kind, tags) in lists {
        for tag in tags {
            let here = digest(&tag.sha256);
            let (before, after) = match kind {
                "added" => (None, here),
                "removed" => (here, None),
                _ => (digest(&tag.previous_sha256), here),
            };
            found.push((
                tag.name.clone(),
                Difference {
                    name: Text::from(&*tag.name),
                    kind,
                    before,
                    after,
                    role: Text::from(&*tag.role),
                },
            ));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.into_iter().map(|(_, difference)| difference).collect()
}
