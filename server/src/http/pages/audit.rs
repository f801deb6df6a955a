//! `/audit` and `/audit.jsonl`: what was done, by whom, and whether the records fit together; and what was refused.

use actix_web::{HttpResponse, http::StatusCode};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::Deserialize;

use super::{form::Form, reader::Reader, response};
use crate::{
    access::{Access, Identified},
    audit::{lines_backwards, record::ChangeRecord},
    config::Sink,
    http::{api::ChangeFault, error::ApiError, exchange::Exchange, outcome::Outcome},
    identity::{Method, Principal},
    pages::{
        self, Badge, ChangeKind, Followed, Gun, Place, Record, Refusal, Search, State, Text, When, address,
    },
    store::{AuditQuery, FoundRecord, StoreError},
};

/// How many changes and refusals are on a page.
const SHOWN: usize = 50;
/// How many changes are downloaded at once.
const DOWNLOADED: usize = 10_000;
/// How much of the audit's file one page looks through for refusals, in bytes; it has a link to the rest.
const LOOKED_THROUGH: u64 = 64 * 1024 * 1024;
/// What stands in a line about a refusal.
const DENIED: &[u8] = br#""decision":"denied""#;
/// The kinds of changes to choose from: the beginnings of actions.
const CHOICES: [ChangeKind; 7] = [
    ChangeKind {
        value: "",
        words: "anything",
    },
    ChangeKind {
        value: "publish",
        words: "publishes",
    },
    ChangeKind {
        value: "delete",
        words: "deletions",
    },
    ChangeKind {
        value: "tuf",
        words: "TUF 1.0 repositories",
    },
    ChangeKind {
        value: "account",
        words: "accounts and keys",
    },
    ChangeKind {
        value: "deny",
        words: "denials",
    },
    ChangeKind {
        value: "attest",
        words: "attestations",
    },
];

/// What a search is about, as typed and as understood.
struct Asked {
    search: Search,
    query: AuditQuery,
    /// Only refusals before this place in the file of the audit.
    refused_before: Option<u64>,
}

impl Asked {
    fn read(query: &str) -> Result<Self, ApiError> {
        let form = Form::parse(query)?;
        let search = Search {
            who: form.get("who").to_owned(),
            what: form.get("what").to_owned(),
            gun: form.get("gun").to_owned(),
            from: form.get("from").to_owned(),
            to: form.get("to").to_owned(),
        };
        let wrong = |name: &str| ChangeFault::Wrong(format!("{name}: a day such as 2026-11-25"));
        let day = |name: &str, text: &str| -> Result<Option<DateTime<Utc>>, ApiError> {
            if text.is_empty() {
                return Ok(None);
            }
            let day: NaiveDate = text.parse().map_err(|_| wrong(name))?;
            Ok(Some(day.and_time(chrono::NaiveTime::MIN).and_utc()))
        };
        let before = match form.get("before") {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| ChangeFault::Wrong("before: a number".to_owned()))?,
            ),
        };
        let refused_before = match form.get("refused_before") {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| ChangeFault::Wrong("refused_before: a number".to_owned()))?,
            ),
        };
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let to = day("to", &search.to)?.and_then(|day| day.checked_add_signed(TimeDelta::days(1)));
        Ok(Self {
            query: AuditQuery {
                who: some(&search.who),
                what: some(&search.what),
                gun: some(&search.gun),
                from: day("from", &search.from)?,
                to,
                before,
            },
            search,
            refused_before,
        })
    }

    /// The address of the same search, elsewhere, with one pair more.
    fn address(&self, path: &str, more: (&str, &str)) -> String {
        let Search {
            who,
            what,
            gun,
            from,
            to,
        } = &self.search;
        let pairs = [
            ("who", who.as_str()),
            ("what", what),
            ("gun", gun),
            ("from", from),
            ("to", to),
        ];
        address(path, &[pairs.as_slice(), &[more]].concat())
    }
}

/// Which records a reader may see. Those of a repository: with the right to read its changes, or the reader's own while
/// the repository is shown. Those of accounts and denials: as an administrator.
fn may_see(access: &Access, reader: &Principal, is_admin: bool, record: &ChangeRecord) -> bool {
    let Some(name) = &record.change.gun else {
        return is_admin;
    };
    access.tells_actors(reader, name)
        || reader.method() != Method::Anonymous
            && record.who.principal == reader.name()
            && access.reads(reader, name)
}

/// The page.
pub async fn audit(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let (state, reader) = (exchange.state, grant.principal());
    let asked = Asked::read(exchange.query())?;
    let is_admin = exchange.access().authorize_access_changes(reader).is_ok();
    let found = find(exchange, reader, is_admin, &asked, SHOWN).await?;
    let follow = is_admin && Form::parse(exchange.query())?.get("follow") == "yes";
    let followed = if follow {
        let whole = state.with_store(|store| store.follow_chains()).await?;
        Some(Followed {
            chains: whole.chains,
            records: whole.records,
            broken: whole.broken.into_iter().map(Text::new).collect(),
        })
    } else {
        None
    };
    let misfit = found.records.iter().any(|found| !found.fits);
    let found_refusals = refusals(exchange, reader, is_admin, &asked).await?;
    let earlier_refusals = found_refusals.as_ref().and_then(|(_, rest)| *rest);
    let page = pages::Audit {
        shell: Reader::new(exchange, reader).await?.shell(Place::Audit),
        lead: Text::new(lead(state.config.audit.table, &found.records, misfit)),
        choices: CHOICES.to_vec(),
        misfit,
        followed,
        may_follow: is_admin,
        older: found
            .more
            .map(|before| asked.address("/audit", ("before", &before.to_string()))),
        download: asked.address("/audit.jsonl", ("before", "")),
        records: found
            .records
            .into_iter()
            .map(|found| record(exchange.access(), reader, found))
            .collect(),
        earlier_refusals: earlier_refusals.map(|place| {
            let address = asked.address("/audit", ("refused_before", &place.to_string()));
            address + "#h-refusals"
        }),
        refusals: found_refusals.map(|(found, _)| found),
        search: asked.search,
    };
    Ok(response::page(&state.config, StatusCode::OK, &page)?.into())
}

/// The changes as JSON lines, newest first: each is `{"hash": ..., "record": ...}`, the record as it was hashed.
pub async fn lines(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    let reader = grant.principal();
    let asked = Asked::read(exchange.query())?;
    let is_admin = exchange.access().authorize_access_changes(reader).is_ok();
    let found = find(exchange, reader, is_admin, &asked, DOWNLOADED).await?;
    let mut text = String::new();
    for FoundRecord { row, .. } in &found.records {
        text.push_str("{\"hash\":\"");
        text.push_str(&row.hash);
        text.push_str("\",\"record\":");
        text.push_str(&row.record);
        text.push_str("}\n");
    }
    let mut response = HttpResponse::Ok();
    response
        .content_type("application/x-ndjson")
        .insert_header(("Content-Disposition", "attachment; filename=\"audit.jsonl\""))
        .insert_header(("Cache-Control", "private, no-store"));
    if let Some(before) = found.more {
        response.insert_header(("X-Next-Before", before.to_string()));
    }
    response::everywhere(&exchange.state.config, &mut response);
    Ok(response.body(text).into())
}

async fn find(
    exchange: &Exchange<'_>,
    reader: &Principal,
    is_admin: bool,
    asked: &Asked,
    count: usize,
) -> Result<crate::store::FoundRecords, ApiError> {
    let (access, reader, query) = (exchange.access().clone(), reader.clone(), asked.query.clone());
    let found = exchange.state.with_store(move |store| {
        store.search_audit(&query, count, |record| {
            may_see(&access, &reader, is_admin, record)
        })
    });
    Ok(found.await?)
}

fn lead(is_kept: bool, records: &[FoundRecord], misfit: bool) -> String {
    match records {
        [] if !is_kept => "This server keeps no record of changes (audit.table is off).".to_owned(),
        [] => "Nothing that you may see was changed.".to_owned(),
        _ if misfit => "A record of the changes below does not fit the one before it.".to_owned(),
        [one] => format!(
            "One change, by {}. Its record fits the one before it.",
            one.record.who.principal
        ),
        several => format!(
            "The last {} changes. Each record fits the one before it.",
            several.len()
        ),
    }
}

fn record(access: &Access, reader: &Principal, found: FoundRecord) -> Record {
    let ChangeRecord { ts, who, change, .. } = found.record;
    let documents: Vec<String> = change
        .documents
        .iter()
        .map(|document| format!("{} {}", document.role, document.version))
        .collect();
    let detail = change
        .detail
        .or_else(|| Some(documents.join(", ")).filter(|text| !text.is_empty()));
    Record {
        at: When::clock(ts),
        by: who.cert.as_ref().map(|cert| Text::from(cert.subject.as_str())),
        who: Text::new(who.principal),
        did: Text::from(&*change.action),
        address: match &change.gun {
            Some(gun) if access.reads(reader, gun) => {
                let path = match change.action.starts_with("tuf.") {
                    true => "/tuf/repository/activity",
                    false => "/repository/activity",
                };
                address(path, &[("gun", gun)])
            }
            _ => String::new(),
        },
        gun: change.gun.map(Gun::new),
        subject: change.subject.map(Text::new),
        detail: detail.map(Text::new),
        from: Text::new(who.real_addr.unwrap_or_else(|| "here".to_owned())),
        chain: if found.fits {
            Badge::new(State::Good, "Fits")
        } else {
            Badge::new(State::Bad, "Broken")
        },
    }
}

/// A decision as the sinks write it, as far as a page shows it.
#[derive(Deserialize)]
struct Decided {
    ts: DateTime<Utc>,
    decision: String,
    principal: Option<String>,
    action: Option<String>,
    gun: Option<String>,
    role: Option<String>,
    reason: Option<String>,
    policy_rule: Option<String>,
    request_id: Option<String>,
    peer_addr: Option<String>,
    real_addr: Option<String>,
}

/// The last refusals in the file of the audit, and the place before which the rest of the file is; `None` if there is no
/// file.
async fn refusals(
    exchange: &Exchange<'_>,
    reader: &Principal,
    is_admin: bool,
    asked: &Asked,
) -> Result<Option<(Vec<Refusal>, Option<u64>)>, ApiError> {
    let sinks = &exchange.state.config.audit.sinks;
    let file = sinks.iter().find_map(|sink| match sink {
        Sink::File(path) => Some(path.clone()),
        _ => None,
    });
    let Some(file) = file else { return Ok(None) };
    if reader.method() == Method::Anonymous && !is_admin {
        return Ok(Some((Vec::new(), None)));
    }
    let (mine, query, before) = (
        reader.name().to_owned(),
        asked.query.clone(),
        asked.refused_before,
    );
    let wanted = move |decided: &Decided| {
        let who = decided.principal.as_deref().unwrap_or_default();
        decided.decision == "denied"
            && (is_admin || who == mine)
            && query.who.as_ref().is_none_or(|wanted| wanted == who)
            && query.gun.as_ref().is_none_or(|part| {
                decided
                    .gun
                    .as_ref()
                    .is_some_and(|gun| gun.contains(part.as_str()))
            })
            && query.from.is_none_or(|from| decided.ts >= from)
            && query.to.is_none_or(|to| decided.ts < to)
    };
    let found = exchange
        .state
        .with_store(move |_| {
            let mut found = Vec::new();
            let rest = lines_backwards(&file, before, LOOKED_THROUGH, |line| {
                // Most lines are about something that was allowed.
                if memchr::memmem::find(line, DENIED).is_some()
                    && let Ok(decided) = serde_json::from_slice::<Decided>(line)
                    && wanted(&decided)
                {
                    found.push(decided);
                }
                found.len() < SHOWN
            });
            Ok::<_, StoreError>(rest.map(|rest| (found, rest)))
        })
        .await?;
    Ok(match found {
        Ok((found, rest)) => Some((found.into_iter().map(refusal).collect(), rest)),
        Err(reason) => {
            tracing::warn!(%reason, "the refusals in the file of the audit cannot be read");
            None
        }
    })
}

fn refusal(decided: Decided) -> Refusal {
    let rule = decided
        .policy_rule
        .map(|rule| format!(" (rule {rule})"))
        .unwrap_or_default();
    let role = decided.role.map(|role| format!(" {role}")).unwrap_or_default();
    Refusal {
        at: When::clock(decided.ts),
        who: Text::new(decided.principal.unwrap_or_else(|| "nobody".to_owned())),
        asked: Text::new(format!("{}{role}", decided.action.unwrap_or_default())),
        gun: decided.gun.map(Gun::new),
        why: Text::new(format!("{}{rule}", decided.reason.unwrap_or_default())),
        request: Text::new(decided.request_id.unwrap_or_default()),
        from: Text::new(decided.real_addr.or(decided.peer_addr).unwrap_or_default()),
    }
}
