//! What happened to which GUN.

use actix_web::{HttpResponse, http::header::ContentType};
use serde_json::json;
use tuf::Gun;

use super::error::ApiError;
use crate::{
    app::State,
    store::{Change, ChangeQuery},
};

/// The number of changes when a client asks for 0.
const DEFAULT_PAGE: u32 = 100;
/// The most changes in one answer, about 2 MB; a client that wants more asks again from the last one.
const PAGE_LIMIT: u32 = 10_000;

/// The changes of `gun`, or of every GUN, that the query asks for.
pub async fn read(state: &State, gun: Option<Gun>, query: &str) -> Result<HttpResponse, ApiError> {
    let (query, count) = parse(query)?;
    let changes = state
        .with_store(move |store| store.changes(gun.as_ref(), query, count))
        .await?;
    let records: Vec<_> = changes.iter().map(record).collect();
    let body = json!({"count": records.len(), "records": records}).to_string();
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
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
                "invalid {name} parameter: {text:?} is not a 32-bit whole number"
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
