//! `GET /tuf/repository?gun=&q=&role=&after=`: the targets of a TUF 1.0 repository.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use serde_json::{Map, Value};
use tuf_native::{Metadata, Role};

use super::{
    super::response,
    head::{Opened, Page},
};
use crate::{
    access::{Grant, Pull},
    confirmed::native::visited,
    http::{api::parameter, error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Badge, Choice, Digest, State, Text, When,
        native::{NativeTargets, TargetRow},
        number, visible,
    },
};

/// How many targets are on a page.
const PAGE: usize = 100;
/// How much of what a signer added is shown, in characters.
const CUSTOM: usize = 300;

/// The targets, for browsers.
pub async fn targets(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let get = |name| parameter(exchange.query(), name).unwrap_or_default();
    let (q, role, after) = (get("q"), get("role"), get("after").parse::<usize>().unwrap_or(0));
    let files: Vec<&Metadata> = visited(&opened.files)
        .iter()
        .filter_map(|visited| visited.file)
        .collect();
    // The first role in this order that lists a path is the one that clients take.
    let mut first = HashMap::new();
    for (file, path) in files
        .iter()
        .flat_map(|file| file.targets().map(move |path| (file, path)))
    {
        first.entry(path).or_insert(file.role());
    }
    let listed = files
        .iter()
        .filter(|file| role.is_empty() || file.role().as_str() == role)
        .flat_map(|file| entries(file).map(move |(path, entry)| (*file, path, entry)));
    let found: Vec<_> = listed
        .filter(|(_, path, _)| q.is_empty() || path.contains(&*q))
        .collect();
    let start = after.min(found.len());
    let shown: Vec<_> = found.iter().skip(start).take(PAGE).collect();
    let rest = found.len() - start - shown.len();
    let to = |after: &str| opened.address("/tuf/repository", &[("q", &q), ("role", &role), ("after", after)]);
    let mut roles = vec![choice("", "any", &role)];
    roles.extend(
        files
            .iter()
            .map(|file| choice(file.role().as_str(), file.role().as_str(), &role)),
    );
    let page = NativeTargets {
        shell: opened.shell(),
        head: opened.head(Page::Targets),
        q: visible(&q),
        roles,
        caption: match found.len() {
            0 if q.is_empty() => "This repository lists no target there.".to_owned(),
            0 => "No path has that in it.".to_owned(),
            all => format!("{} of {} targets", number(shown.len()), number(all)),
        },
        rows: shown
            .iter()
            .map(|(file, path, entry)| {
                let taken = first
                    .get(path.as_str())
                    .copied()
                    .filter(|first| *first != file.role());
                row(&opened, file, (path, entry), taken)
            })
            .collect(),
        first: (start > 0).then(|| to("")),
        next: (rest > 0).then(|| {
            let words = format!("Next {}", number(rest.min(PAGE)));
            (to(&(start + shown.len()).to_string()), words)
        }),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

fn choice(value: &str, shown: &str, chosen: &str) -> Choice {
    Choice {
        value: value.to_owned(),
        shown: visible(shown),
        is_chosen: value == chosen,
    }
}

fn entries(file: &Metadata) -> impl Iterator<Item = (&String, &Value)> {
    let targets = file.signed().get("targets").and_then(Value::as_object);
    targets.into_iter().flat_map(Map::iter)
}

fn row(
    opened: &Opened<'_>,
    file: &Metadata,
    (path, entry): (&str, &Value),
    taken: Option<&Role>,
) -> TargetRow {
    let digest = entry["hashes"]["sha256"].as_str();
    let custom = entry.get("custom").map(ToString::to_string);
    TargetRow {
        path: Text::from(path),
        digest: Digest::new(digest.map_or_else(
            // The profile wants one of the two.
            || {
                format!(
                    "sha512:{}",
                    entry["hashes"]["sha512"].as_str().unwrap_or_default()
                )
            },
            |digest| format!("sha256:{digest}"),
        )),
        size: number(
            entry["length"]
                .as_u64()
                .and_then(|length| usize::try_from(length).ok())
                .unwrap_or_default(),
        ),
        role: Text::from(file.role().as_str()),
        custom: custom.map(|custom| Text::new(custom.chars().take(CUSTOM).collect::<String>())),
        until: When::date(file.expires()),
        badge: match taken {
            _ if file.expires() <= opened.reader.now => Some(Badge::new(State::Bad, "Ended")),
            Some(_) => Some(Badge::new(State::Plain, "Not reached")),
            None => None,
        },
        taken: taken.map(|first| Text::from(first.as_str())),
    }
}
