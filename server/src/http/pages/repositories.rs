//! `GET /repositories`: which repositories there are, as far as the reader may see them.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    reader::{Reader, SOON, judgement},
    response,
    unsigned::Found,
};
use crate::{
    access::Identified,
    confirmed::catalogue::{Lines, Summary},
    http::{api::parameter, error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{Choice, Gun, Place, Repositories, RepositoryRow, Sorting, Text, When, address, number, visible},
};

/// How many repositories are on a page.
const PAGE: usize = 50;
/// How many values a filter offers; others can be written into the address.
const CHOICES: usize = 500;
/// The state of repositories that have tags in the registry which nobody signed.
const UNSIGNED: &str = "unsigned";

/// What is asked for.
struct Asked {
    q: String,
    ns: String,
    signer: String,
    state: String,
    sort: String,
    after: String,
}

impl Asked {
    fn read(query: &str) -> Self {
        let get = |name| parameter(query, name).unwrap_or_default();
        Self {
            q: get("q").trim().to_owned(),
            ns: get("ns"),
            signer: get("signer"),
            state: get("state"),
            sort: get("sort"),
            after: get("after"),
        }
    }

    fn address(&self, sort: &str, after: &str) -> String {
        let pairs = [
            ("q", &*self.q),
            ("ns", &*self.ns),
            ("signer", &*self.signer),
            ("state", &*self.state),
            ("sort", sort),
            ("after", after),
        ];
        address("/repositories", &pairs)
    }
}

/// The repositories, for browsers.
pub async fn repositories(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let reader = Reader::new(exchange, grant.principal()).await?;
    let asked = Asked::read(exchange.query());
    let page = make(&reader, &asked);
    Ok(response::page(&reader.state.config, StatusCode::OK, &page)?.into())
}

fn make(reader: &Reader<'_>, asked: &Asked) -> Repositories {
    let lines = reader.state.catalogue.lines();
    let seen = reader.seen(&lines);
    let shell = reader.shell_with(Place::Repositories, &seen);
    let mut namespaces: Vec<&str> = seen.iter().map(|(gun, _)| namespace(gun)).collect();
    // By name, most of those of a namespace are neighbours.
    namespaces.dedup();
    namespaces.sort_unstable();
    namespaces.dedup();
    let signers = lines.signers_of(seen.iter().map(|(_, summary)| *summary));
    let signers: BTreeSet<String> = signers.iter().map(|signer| reader.name_of(signer)).collect();
    let by_registry = asked.state == UNSIGNED;
    let unsigned = by_registry
        .then(|| Found::among(reader, seen.iter().copied()))
        .flatten();
    let fits = |(gun, summary): &(&str, &Summary)| fits(reader, &lines, asked, gun, summary);
    let mut found: Vec<(&str, &Summary)> = match &unsigned {
        Some(unsigned) => unsigned.repositories().filter(fits).collect(),
        // Without a registry, nothing is known of such tags.
        None if by_registry => Vec::new(),
        None => seen.iter().copied().filter(fits).collect(),
    };
    sort(reader, &mut found, &asked.sort);
    let count = found.len();
    let start = match found.iter().position(|(gun, _)| *gun == asked.after) {
        Some(position) if !asked.after.is_empty() => position + 1,
        // The one that the page before ended with is gone: go on where it would be.
        _ if !asked.after.is_empty() && !matches!(&*asked.sort, "published" | "ends") => {
            found.partition_point(|(gun, _)| *gun <= &*asked.after)
        }
        _ => 0,
    };
    let shown: Vec<_> = found.get(start..).unwrap_or_default().iter().take(PAGE).collect();
    let left = count - start.min(count) - shown.len();
    let next = shown.last().filter(|_| left > 0).map(|(last, _)| {
        let words = format!("Next {}", number(left.min(PAGE)));
        (asked.address(&asked.sort, last), words)
    });
    let of_shown = Found::among(reader, shown.iter().map(|shown| **shown));
    let rows = shown
        .iter()
        .map(|(gun, summary)| RepositoryRow {
            unsigned: of_shown.as_ref().and_then(|of_shown| of_shown.of(gun)),
            ..row(reader, &lines, gun, summary)
        })
        .collect();
    let mut states = vec![
        ("", "any"),
        ("30", "ends within 30 days"),
        ("90", "ends within 90 days"),
        ("bad", "does not verify"),
        ("empty", "nothing signed"),
    ];
    if reader.state.registry.is_some() {
        states.push((UNSIGNED, "has unsigned tags"));
    }
    Repositories {
        shell,
        lead: Text::new(match &unsigned {
            Some(unsigned) => unsigned.sentence(),
            None => lead(reader, asked, &seen, count),
        }),
        asked: unsigned.as_ref().map(|unsigned| unsigned.age(reader.now)),
        reading: reader.reading(),
        q: visible(&asked.q),
        namespaces: choices("all", namespaces.into_iter(), &asked.ns),
        signers: choices("anybody", signers.iter().map(String::as_str), &asked.signer),
        states: fixed(&states, &asked.state),
        orders: fixed(
            &[
                ("", "name"),
                ("published", "last published"),
                ("ends", "ends first"),
            ],
            &asked.sort,
        ),
        sorting: ["", "published", "ends"].map(|sort| Sorting {
            address: asked.address(sort, ""),
            is_current: asked.sort == sort,
        }),
        caption: format!(
            "{} of {} repositories that you may see{}",
            number(shown.len()),
            number(seen.len()),
            match &*asked.sort {
                "published" => ", last published first",
                "ends" => ", what ends first at the top",
                _ => ", by name",
            }
        ),
        rows,
        total: number(seen.len()),
        first: (start > 0).then(|| asked.address(&asked.sort, "")),
        next,
    }
}

fn row(reader: &Reader<'_>, lines: &Lines, gun: &str, summary: &Summary) -> RepositoryRow {
    let signers = lines.signers(summary);
    let names: BTreeSet<String> = signers
        .iter()
        .filter(|signer| signer.role != "root")
        .map(|signer| reader.name_of(signer))
        .collect();
    RepositoryRow {
        gun: Gun::new(gun),
        address: address("/repository", &[("gun", gun)]),
        unsigned: None,
        tags: number(usize::try_from(summary.tags).unwrap_or(usize::MAX)),
        signers: names.into_iter().map(Text::new).collect(),
        published: summary.published_at.map(|at| When::relative(at, reader.now)),
        publisher: lines
            .publisher(summary)
            .filter(|_| reader.tells_actors(gun))
            .map(Text::from),
        ends: summary.ends.first(reader.late()).map(When::date),
        state: judgement(reader, summary),
    }
}

fn lead(reader: &Reader<'_>, asked: &Asked, seen: &[(&str, &Summary)], found: usize) -> String {
    let bad = seen
        .iter()
        .filter(|(_, summary)| !summary.is_good(reader.now))
        .count();
    let plural = |count: usize| if count == 1 { "repository" } else { "repositories" };
    if found == 0 && !asked.q.is_empty() {
        return format!(
            "No repository that you may see has “{}” in its name.",
            visible(&asked.q)
        );
    }
    let total = seen.len();
    match bad {
        _ if total == 0 => "There are no repositories that you may see.".to_owned(),
        0 if total == 1 => "One repository, and it verifies.".to_owned(),
        0 => format!("{} {}, all of which verify.", number(total), plural(total)),
        1 => format!(
            "{} {}; one does not verify any more.",
            number(total),
            plural(total)
        ),
        bad => format!(
            "{} {}; {} do not verify any more.",
            number(total),
            plural(total),
            number(bad)
        ),
    }
}

fn fits(reader: &Reader<'_>, lines: &Lines, asked: &Asked, gun: &str, summary: &Summary) -> bool {
    let within = |days: i64| {
        let limit = reader.now + TimeDelta::days(days);
        summary.ends.first(reader.late()).is_some_and(|end| end <= limit)
    };
    let in_state = match &*asked.state {
        "30" => within(SOON),
        "90" => within(90),
        "bad" => !summary.is_good(reader.now),
        "empty" => summary.tags == 0,
        _ => true,
    };
    in_state
        && (asked.q.is_empty() || gun.contains(&*asked.q))
        && (asked.ns.is_empty() || namespace(gun) == asked.ns)
        && (asked.signer.is_empty()
            || lines
                .signers(summary)
                .iter()
                .any(|signer| reader.name_of(signer) == asked.signer))
}

/// They are sorted by name already; those without a date come last.
fn sort(reader: &Reader<'_>, found: &mut [(&str, &Summary)], order: &str) {
    let late = reader.late();
    match order {
        // Some databases keep whole seconds; rows are numbered in the order in which they were stored.
        "published" => {
            found.sort_by_key(|(_, summary)| std::cmp::Reverse((summary.published_at, summary.newest_id)));
        }
        "ends" => found
            .sort_by_cached_key(|(_, summary)| summary.ends.first(late).unwrap_or(DateTime::<Utc>::MAX_UTC)),
        _ => {}
    }
}

/// Everything before the last part of a name; `_` if there is nothing.
pub fn namespace(gun: &str) -> &str {
    gun.rsplit_once('/').map_or("_", |(namespace, _)| namespace)
}

fn choices<'a>(all: &str, values: impl Iterator<Item = &'a str>, chosen: &str) -> Vec<Choice> {
    let mut choices = fixed(&[("", all)], chosen);
    let mut is_offered = chosen.is_empty();
    for value in values.take(CHOICES) {
        is_offered |= value == chosen;
        choices.push(choice(value, chosen));
    }
    if !is_offered {
        choices.push(choice(chosen, chosen));
    }
    choices
}

fn choice(value: &str, chosen: &str) -> Choice {
    Choice {
        value: value.to_owned(),
        shown: visible(value),
        is_chosen: value == chosen,
    }
}

fn fixed(values: &[(&str, &str)], chosen: &str) -> Vec<Choice> {
    let choices = values.iter().map(|(value, shown)| Choice {
        value: (*value).to_owned(),
        shown: (*shown).to_owned(),
        is_chosen: *value == chosen,
    });
    choices.collect()
}
