//! `GET /expiry`: everything that ends, who has to act, and with which command.

use actix_web::http::StatusCode;
use chrono::TimeDelta;

use super::{
    ends::{Ending, Kind, Scale, describe, endings, who},
    reader::{Reader, SOON},
    response,
};
use crate::{
    access::Identified,
    http::{api::parameter, error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Choice, Place,
        ends::{Actor, End, Expiry},
        number,
    },
};

/// How many lines the table has.
const SHOWN: usize = 200;
/// How many of each list are described with what to do.
const DESCRIBED: usize = 20;

/// Everything that ends, for browsers.
pub async fn expiry(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let reader = Reader::new(exchange, grant.principal()).await?;
    let page = make(&reader, exchange.query());
    Ok(response::page(&reader.state.config, StatusCode::OK, &page)?.into())
}

fn make(reader: &Reader<'_>, query: &str) -> Expiry {
    let get = |name| parameter(query, name).unwrap_or_default();
    let (asked_who, asked_days, kind, q) = (get("who"), get("days"), get("kind"), get("q"));
    let days = match &*asked_days {
        "30" => SOON,
        "90" => 90,
        "3650" => 3653,
        _ => 366,
    };
    let lines = reader.state.catalogue.lines();
    let seen = reader.seen(&lines);
    let shell = reader.shell_with(Place::Expiry, &seen);
    // Thousands of timestamps say nothing that one line does not say.
    let automatic = asked_who == "server";
    let all = endings(reader, &seen, reader.now + TimeDelta::days(days), automatic);
    let fits = |ending: &&Ending<'_>| {
        let of_who = match &*asked_who {
            "" => true,
            asked => {
                let (actor, _) = who(reader, &lines, ending);
                match asked {
                    "you" => actor == Actor::You,
                    "server" => actor == Actor::Server,
                    _ => actor == Actor::Other,
                }
            }
        };
        (kind.is_empty() || ending.kind.group() == kind)
            && (q.is_empty() || ending.repository().is_some_and(|name| name.contains(&*q)))
            && of_who
    };
    let shown: Vec<&Ending<'_>> = all.iter().filter(fits).collect();
    let ends: Vec<End> = shown
        .iter()
        .take(SHOWN)
        .map(|ending| describe(reader, &lines, ending, Scale::Decade))
        .collect();
    let of_people: Vec<&&Ending<'_>> = shown.iter().filter(|ending| !ending.is_automatic).collect();
    let described = |wanted: &dyn Fn(&Ending<'_>, Actor) -> bool| -> Vec<End> {
        let mut found = Vec::new();
        for ending in of_people.iter().take(SHOWN) {
            let (actor, _) = who(reader, &lines, ending);
            if wanted(ending, actor) && found.len() < DESCRIBED {
                found.push(describe(reader, &lines, ending, Scale::Decade));
            }
        }
        found
    };
    let now = reader.now;
    let timestamps = seen.len();
    let late = seen
        .iter()
        .filter(|(_, summary)| summary.ends.timestamp.is_some_and(|end| end <= now))
        .count();
    Expiry {
        lead: lead(reader, &all),
        reading: reader.reading(),
        who: choices(
            &[
                ("", "anybody"),
                ("you", "you"),
                ("other", "other people"),
                ("server", "the server"),
            ],
            &asked_who,
        ),
        days: choices(
            &[
                ("", "a year"),
                ("30", "30 days"),
                ("90", "90 days"),
                ("3650", "ten years"),
            ],
            &asked_days,
        ),
        kinds: choices(
            &[
                ("", "everything"),
                ("certificates", "certificates"),
                ("metadata", "metadata"),
                ("crls", "revocation lists"),
            ],
            &kind,
        ),
        q,
        caption: format!(
            "{} of {} things that end.",
            number(ends.len()),
            number(shown.len())
        ),
        scale: Scale::Decade.marks(),
        ended: described(&|ending, _| ending.at <= now),
        yours: described(&|ending, actor| ending.at > now && actor == Actor::You),
        others: described(&|ending, actor| ending.at > now && actor == Actor::Other),
        by_itself: format!(
            "Timestamps of {}, and the snapshots whose keys the server holds, are renewed before they end. {}",
            count(timestamps, "repository", "repositories"),
            match late {
                0 => "None is late.".to_owned(),
                late => format!(
                    "{} late: its log says why.",
                    count(late, "timestamp is", "timestamps are")
                ),
            }
        ),
        ends,
        shell,
    }
}

/// What has ended and what ends soon, in a sentence.
pub fn lead(reader: &Reader<'_>, endings: &[Ending<'_>]) -> String {
    let soon = reader.now + TimeDelta::days(SOON);
    let of_people = || endings.iter().filter(|ending| !ending.is_automatic);
    let ended = of_people().filter(|ending| ending.at <= reader.now).count();
    let ending = of_people()
        .filter(|ending| ending.at > reader.now && ending.at <= soon)
        .count();
    let yours = of_people().find(|ending| ending.kind == Kind::Own && ending.at <= soon);
    let mut words = match (ended, ending) {
        (0, 0) => {
            return "Nothing has ended, and nothing that needs a person ends within 30 days.".to_owned();
        }
        (0, ending) => format!("{} within 30 days.", count(ending, "thing ends", "things end")),
        (ended, 0) => format!(
            "{} ended, and nothing else ends within 30 days.",
            count(ended, "thing has", "things have")
        ),
        (ended, ending) => format!(
            "{} ended, and {} within 30 days.",
            count(ended, "thing has", "things have"),
            count(ending, "ends", "end")
        ),
    };
    if let Some(own) = yours {
        words.push_str(&format!(
            " One of them is yours: your certificate, {}.",
            crate::pages::relative(own.at, reader.now)
        ));
    }
    words
}

/// `1 thing`, `12,000 things`.
pub fn count(count: usize, one: &str, several: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { several })
}

fn choices(values: &[(&str, &str)], chosen: &str) -> Vec<Choice> {
    let choices = values.iter().map(|(value, shown)| Choice {
        value: (*value).to_owned(),
        shown: (*shown).to_owned(),
        is_chosen: *value == chosen,
    });
    choices.collect()
}
