//! `GET /`: what matters now.

use actix_web::http::StatusCode;
use chrono::TimeDelta;

use super::{
    ends::{Scale, describe, endings},
    expiry::{count, lead},
    reader::Reader,
    repository::{Made, did},
    response,
};
use crate::{
    access::{Identified, Right, policy::Action},
    confirmed::catalogue::Lines,
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Badge, Gun, Place, State, Text, When, address,
        ends::{Overview, Part, Recent},
        number, relative,
    },
    store::{Change, ChangeQuery, SERVER},
};

/// How many endings are drawn.
const DRAWN: usize = 8;
/// How far apart they are drawn, and where the first one is.
const STEP: usize = 40;
const FIRST: usize = 50;
/// How many changes are shown, and among how many they are looked for.
const RECENT: usize = 6;
const LOOKED_AT: u32 = 500;

/// The overview, for browsers.
pub async fn overview(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let reader = Reader::new(exchange, grant.principal()).await?;
    let recent = recent(&reader).await?;
    let page = make(&reader, recent);
    Ok(response::page(&reader.state.config, StatusCode::OK, &page)?.into())
}

fn make(reader: &Reader<'_>, recent: Vec<Recent>) -> Overview {
    let lines = reader.state.catalogue.lines();
    let seen = reader.seen(&lines);
    let shell = reader.shell_with(Place::Overview, &seen);
    let endings = endings(reader, &seen, reader.now + TimeDelta::days(90), false);
    let mut ends: Vec<_> = endings
        .iter()
        .take(DRAWN)
        .map(|ending| describe(reader, &lines, ending, Scale::Quarter))
        .collect();
    for (position, end) in ends.iter_mut().enumerate() {
        end.y = FIRST + STEP * position;
    }
    let good = seen
        .iter()
        .filter(|(_, summary)| summary.is_good(reader.now))
        .count();
    let tags: usize = seen
        .iter()
        .map(|(_, summary)| usize::try_from(summary.tags).unwrap_or_default())
        .sum();
    let certificate = reader
        .principal
        .certificate()
        .map(|verified| &verified.certificate);
    Overview {
        lead: format!("{} {}", verifying(good, seen.len()), lead(reader, &endings)),
        reading: reader.reading(),
        figures: [
            number(seen.len()),
            number(tags),
            number(signers(reader, &lines, &seen)),
        ],
        height: FIRST + STEP * ends.len(),
        scale: Scale::Quarter.marks(),
        more: (endings.len() > ends.len()).then(|| format!("{} more", number(endings.len() - ends.len()))),
        ends,
        recent,
        health: health(reader),
        groups: reader
            .principal
            .groups()
            .iter()
            .map(|group| Text::from(&**group))
            .collect(),
        certificate: certificate
            .map(|certificate| (Text::new(certificate.issuer()), Text::new(certificate.serial()))),
        shell,
    }
}

fn verifying(good: usize, all: usize) -> String {
    match (good, all) {
        (_, 0) => "There are no repositories that you may see.".to_owned(),
        (good, all) if good == all => format!(
            "{} that you may see, and all verify.",
            count(all, "repository", "repositories")
        ),
        (good, all) => format!(
            "{} of the {} that you may see verify.",
            number(good),
            count(all, "repository", "repositories")
        ),
    }
}

/// How many people and machines signed, each counted once.
fn signers(
    reader: &Reader<'_>,
    lines: &Lines,
    seen: &[(&str, &crate::confirmed::catalogue::Summary)],
) -> usize {
    let signers = lines.signers_of(seen.iter().map(|(_, summary)| *summary));
    let names: std::collections::HashSet<String> = signers
        .iter()
        .filter(|signer| signer.role != "root")
        .map(|signer| {
            let account = reader.account_of(signer.spki_sha256);
            account.unwrap_or_else(|| format!("key {}", signer.spki_sha256))
        })
        .collect();
    names.len()
}

async fn recent(reader: &Reader<'_>) -> Result<Vec<Recent>, ApiError> {
    let newest = reader
        .state
        .with_store(|store| store.changes(None, ChangeQuery::Newest, LOOKED_AT));
    let newest = newest.await?;
    let access = reader.exchange.access();
    let wanted: Vec<Change> = newest
        .into_iter()
        .rev()
        .filter(|change| access.reads(reader.principal, &change.gun))
        .take(RECENT)
        .collect();
    let made: Vec<Made> = reader
        .state
        .with_store(move |store| {
            wanted
                .into_iter()
                .map(|change| Made::read(store, change))
                .collect()
        })
        .await?;
    let recent = made.iter().map(|made| {
        let change = &made.change;
        let tells = reader.tells_actors(&change.gun);
        let actor = made.actor.as_ref();
        Recent {
            at: When::relative(change.created_at, reader.now),
            by: Text::from(match actor {
                Some(actor) if actor.principal == SERVER => "the server",
                Some(actor) if tells => &*actor.principal,
                _ => "somebody",
            }),
            did: Text::new(did(&made.event)),
            gun: Gun::new(&*change.gun),
            address: address("/repository", &[("gun", &change.gun)]),
        }
    });
    Ok(recent.collect())
}

/// The parts of the server, with what `/health` says of them. Reasons are for administrators.
fn health(reader: &Reader<'_>) -> Vec<Part> {
    let (state, generation) = (reader.state, &reader.exchange.generation);
    let failing = state.health.failing();
    let is_admin = reader
        .exchange
        .access()
        .check(reader.principal, &Right::To(Action::Admin), None)
        .is_ok();
    let part = |name: &'static str, check: &str| match failing.get(check) {
        Some(reason) => Part {
            name,
            state: Badge::new(State::Bad, "Failing"),
            seen: Text::from(if is_admin {
                &**reason
            } else {
                "an administrator sees why"
            }),
        },
        None => Part {
            name,
            state: Badge::new(State::Good, "Good"),
            seen: Text::from("checked every ten seconds"),
        },
    };
    let mut parts = vec![
        part("Database", "DB operational"),
        part("Signer", "Trust operational"),
    ];
    if let Some((_, end)) = generation.expiries().into_iter().find(|(kind, _)| *kind == "crl") {
        let is_late = end <= reader.now;
        parts.push(Part {
            name: "CRLs",
            state: if is_late {
                Badge::new(State::Bad, "Out of date")
            } else {
                Badge::new(State::Good, "Good")
            },
            seen: Text::new(format!(
                "the first of them is to be replaced {}",
                relative(end, reader.now)
            )),
        });
    }
    let warnings = generation.warnings(reader.now).len();
    let last = state.last_reload.get();
    parts.push(Part {
        name: "Configuration",
        state: match (&last, warnings) {
            (Some(reloaded), _) if reloaded.refused.is_some() => Badge::new(State::Bad, "Reload refused"),
            (_, 0) => Badge::new(State::Good, "Good"),
            (_, 1) => Badge::new(State::Warn, "1 warning"),
            (_, warnings) => Badge::new(State::Warn, format!("{warnings} warnings")),
        },
        seen: Text::new(match last {
            Some(reloaded) => format!("read again {}", relative(reloaded.at, reader.now)),
            None => "as at the start".to_owned(),
        }),
    });
    parts
}
