//! `GET /tuf`: which TUF 1.0 repositories there are, as far as the reader may see them.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use chrono::TimeDelta;
use tuf_native::Role;

use super::super::{
    ends::{Kind, TufEnd},
    reader::{Reader, SOON},
    response,
};
use crate::{
    access::Identified,
    confirmed::native::Line,
    http::{api::parameter, error::ApiError, exchange::Exchange, outcome::Outcome},
    native,
    pages::{
        Badge, Choice, Gun, Place, State, Text, When, address,
        native::{NativeRepositories, NativeRow},
        number, relative, visible,
    },
};

/// How many repositories are on a page.
const PAGE: usize = 50;

/// The lines of the repositories that the reader may see, by name, and how many repositories are still to be read.
///
/// # Errors
/// When the database fails.
pub async fn lines(reader: &Reader<'_>) -> Result<(Vec<Line>, usize), ApiError> {
    let (lines, left) = native::lines(reader.state).await?;
    let access = reader.exchange.access();
    let seen = lines
        .into_iter()
        .filter(|line| access.reads(reader.principal, &line.name));
    Ok((seen.collect(), left))
}

/// What people sign in a repository, and when it ends.
pub fn ends(line: &Line) -> Vec<TufEnd> {
    let ends = line.summary.ends.iter().map(|end| TufEnd {
        name: line.name.clone(),
        role: end.role.as_str().to_owned(),
        kind: match end.role {
            Role::Root => Kind::TufRoot,
            Role::Delegated(_) => Kind::TufDelegation,
            _ => Kind::TufTargets,
        },
        at: end.at,
        keys: end.keys.clone(),
    });
    ends.collect()
}

/// The repositories, for browsers.
pub async fn list(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let reader = Reader::new(exchange, grant.principal()).await?;
    let get = |name| parameter(exchange.query(), name).unwrap_or_default();
    let (q, state, after) = (get("q").trim().to_owned(), get("state"), get("after"));
    let seen = &reader.tuf_lines;
    let left = reader.tuf.map_or(0, |(_, left)| left);
    let waiting = exchange.state.with_store(|store| store.native_waiting()).await?;
    let waiting = counted(waiting);
    let found: Vec<&Line> = seen
        .iter()
        .filter(|line| (q.is_empty() || line.name.contains(&*q)) && fits(&reader, &waiting, &state, line))
        .collect();
    let start = found.partition_point(|line| !after.is_empty() && *line.name <= *after);
    let shown: Vec<&&Line> = found.iter().skip(start).take(PAGE).collect();
    let rest = found.len() - start - shown.len();
    let to = |after: &str| address("/tuf", &[("q", &q), ("state", &state), ("after", after)]);
    let page = NativeRepositories {
        shell: reader.shell(Place::Tuf),
        lead: Text::new(lead(&reader, seen)),
        reading: (left > 0).then(|| {
            format!(
                "The server is reading its repositories: {} are left. This page is not complete yet.",
                number(left)
            )
        }),
        q: visible(&q),
        states: [
            ("", "any"),
            ("30", "ends within 30 days"),
            ("90", "ends within 90 days"),
            ("waiting", "waits for signatures"),
            ("bad", "does not verify"),
        ]
        .into_iter()
        .map(|(value, shown)| Choice {
            value: value.to_owned(),
            shown: shown.to_owned(),
            is_chosen: value == state,
        })
        .collect(),
        caption: format!(
            "{} of {} repositories that you may see, by name",
            number(shown.len()),
            number(seen.len())
        ),
        rows: shown.iter().map(|line| row(&reader, &waiting, line)).collect(),
        first: (start > 0).then(|| to("")),
        next: shown
            .last()
            .filter(|_| rest > 0)
            .map(|last| (to(&last.name), format!("Next {}", number(rest.min(PAGE))))),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

/// How many files wait in each repository.
type Waiting = BTreeMap<String, usize>;

fn counted(waiting: Vec<String>) -> Waiting {
    let mut counted = Waiting::new();
    for name in waiting {
        *counted.entry(name).or_default() += 1;
    }
    counted
}

fn fits(reader: &Reader<'_>, waiting: &Waiting, state: &str, line: &Line) -> bool {
    let within = |days| {
        let first = line.summary.first_end();
        first.is_some_and(|first| first.at <= reader.now + TimeDelta::days(days))
    };
    match state {
        "30" => within(SOON),
        "90" => within(90),
        "waiting" => waiting.contains_key(&line.name),
        "bad" => !is_good(reader, line),
        _ => true,
    }
}

/// Whether clients that verify go on to all of it.
fn is_good(reader: &Reader<'_>, line: &Line) -> bool {
    let summary = &line.summary;
    summary.fault.is_none() && summary.first_end().is_none_or(|first| first.at > reader.now)
}

fn lead(reader: &Reader<'_>, seen: &[Line]) -> String {
    let bad = seen.iter().filter(|line| !is_good(reader, line)).count();
    let plural = if seen.len() == 1 {
        "repository"
    } else {
        "repositories"
    };
    match (seen.len(), bad) {
        (0, _) => "There are no TUF 1.0 repositories that you may see.".to_owned(),
        (1, 0) => "One repository, and it verifies.".to_owned(),
        (all, 0) => format!("{} {plural}, all of which verify.", number(all)),
        (all, 1) => format!("{} {plural}; one does not verify any more.", number(all)),
        (all, bad) => format!(
            "{} {plural}; {} do not verify any more.",
            number(all),
            number(bad)
        ),
    }
}

fn row(reader: &Reader<'_>, waiting: &Waiting, line: &Line) -> NativeRow {
    let (summary, now) = (&line.summary, reader.now);
    let first = summary.first_end();
    let state = match (&summary.fault, first) {
        (Some(_), _) => Badge::new(State::Bad, "Does not verify"),
        (None, Some(first)) if first.at <= now && matches!(first.role, Role::Delegated(_)) => {
            Badge::new(State::Bad, "A part ended")
        }
        (None, Some(first)) if first.at <= now => Badge::new(State::Bad, "Ended"),
        (None, Some(first)) if first.at <= now + TimeDelta::days(SOON) => {
            Badge::new(State::Warn, format!("Ends {}", relative(first.at, now)))
        }
        (None, _) if summary.targets == 0 => Badge::new(State::Plain, "No targets"),
        (None, _) => Badge::new(State::Good, "Good"),
    };
    NativeRow {
        name: Gun::new(&*line.name),
        address: address("/tuf/repository", &[("gun", &line.name)]),
        targets: number(summary.targets),
        delegations: number(summary.delegations),
        waiting: waiting.get(&line.name).map(|count| {
            let words = format!("{count} {}", if *count == 1 { "file" } else { "files" });
            (words, address("/tuf/repository/signers", &[("gun", &line.name)]))
        }),
        ends: first.map(|first| (When::date(first.at), Text::from(first.role.as_str()))),
        state,
    }
}
