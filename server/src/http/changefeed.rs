//! The changefeed: what happened to which GUN.

use std::collections::HashMap;

use actix_web::{HttpResponse, http::header::ContentType};
use serde_json::{Value, json};

use super::{error::ApiError, exchange::Exchange, outcome::Outcome};
use crate::{
    access::ChangesGrant,
    store::{Change, ChangeQuery, RecordedActor},
};

/// The number of changes returned when a client asks for 0.
const DEFAULT_PAGE: u32 = 100;
/// The most changes in one response, about 2 MB; a client that wants more asks again, starting from the last one.
const PAGE_LIMIT: u32 = 10_000;

/// Serves the changes of one GUN, or of all, that the query asks for; with `actor=true` also who made them, if the
/// client may know.
pub async fn read(exchange: &mut Exchange<'_>, grant: ChangesGrant) -> Result<Outcome, ApiError> {
    let with_actors = asks_for_actors(exchange.query());
    if with_actors {
        grant.actors()?;
    }
    let (query, count) = parse(exchange.query())?;
    let gun = grant.gun().cloned();
    let (changes, actors) = exchange
        .state
        .with_store(move |store| {
            let changes = store.changes(gun.as_ref(), query, count)?;
            let actors = match (changes.first(), changes.last()) {
                (Some(first), Some(last)) if with_actors => {
                    store.actors_of(gun.as_ref(), first.id, last.id)?
                }
                _ => Vec::new(),
            };
            Ok((changes, actors))
        })
        .await?;
    let actors: HashMap<i32, RecordedActor> =
        actors.into_iter().map(|actor| (actor.change_id, actor)).collect();
    let records: Vec<_> = changes
        .iter()
        .map(|change| {
            let mut shown = record(change);
            if with_actors {
                shown["actor"] = actors.get(&change.id).map_or(Value::Null, actor);
            }
            shown
        })
        .collect();
    let body = json!({"count": records.len(), "records": records}).to_string();
    let answer = HttpResponse::Ok().content_type(ContentType::json()).body(body);
    Ok(answer.into())
}

fn record(change: &Change) -> serde_json::Value {
    json!({
        "ID": change.id.to_string(),
        "CreatedAt": change.created_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        "GUN": change.gun,
        "Version": change.version,
        "SHA256": change.sha256,
        "Category": change.category,
    })
}

/// `null` for changes made by Notary's own server, which records no principal.
fn actor(actor: &RecordedActor) -> Value {
    json!({
        "principal": actor.principal,
        "subject": actor.certificate_subject,
        "issuer": actor.certificate_issuer,
        "serial": actor.certificate_serial,
    })
}

fn asks_for_actors(query: &str) -> bool {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query);
    pairs.is_ok_and(|pairs| {
        pairs
            .iter()
            .any(|(name, value)| name == "actor" && value == "true")
    })
}

fn parse(query: &str) -> Result<(ChangeQuery, u32), ApiError> {
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query)
        .map(actix_web::web::Query::into_inner)
        .unwrap_or_default();
    let parameter = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    let number = |name: &str, text: &str| {
        text.parse::<i32>().map_err(|_| {
            ApiError::InvalidParameter(format!(
                "invalid {name} parameter: {text:?} is not a 32-bit integer"
            ))
        })
    };
    let records = number("records", parameter("records"))?;
    let change_id = match parameter("change_id") {
        "" => 0,
        text => number("change_id", text)?,
    };
    let query = match (change_id, records) {
        (..0, _) => ChangeQuery::Newest,
        (0, ..0) => ChangeQuery::Newest,
        (0, _) => ChangeQuery::Oldest,
        (id, ..0) => ChangeQuery::Before(id),
        (id, _) => ChangeQuery::After(id),
    };
    let count = if records == 0 {
        DEFAULT_PAGE
    } else {
        records.unsigned_abs().min(PAGE_LIMIT)
    };
    Ok((query, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_the_paging_table() {
        let cases = [
            ("records=5", (ChangeQuery::Oldest, 5)),
            ("records=0", (ChangeQuery::Oldest, 100)),
            ("records=-5&change_id=0", (ChangeQuery::Newest, 5)),
            ("records=5&change_id=7", (ChangeQuery::After(7), 5)),
            ("records=-5&change_id=7", (ChangeQuery::Before(7), 5)),
            ("records=5&change_id=-3", (ChangeQuery::Newest, 5)),
            ("records=%2B5&records=9", (ChangeQuery::Oldest, 5)),
            ("records=2147483647", (ChangeQuery::Oldest, PAGE_LIMIT)),
            ("records=-2147483648", (ChangeQuery::Newest, PAGE_LIMIT)),
        ];
        for (query, expected) in cases {
            assert_eq!(parse(query).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn missing_and_unreadable_numbers_are_refused_by_name() {
        for (query, name) in [
            ("", "records"),
            ("records=", "records"),
            ("records=abc", "records"),
            ("records=2147483648", "records"),
            ("Records=1", "records"),
            ("records=1&change_id=x", "change_id"),
        ] {
            let refused = parse(query).unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("invalid {name} parameter")),
                "{query}: {refused}"
            );
        }
    }
}
