//! `GET /tuf/repository/activity?gun=`: what was done to a TUF 1.0 repository, by whom.

use actix_web::http::StatusCode;

use super::{
    super::response,
    head::{Opened, Page},
};
use crate::{
    access::{Grant, Pull},
    audit::record::{Change, ChangeRecord},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{Text, When, native::NativeActivity, repository::Publish, visible},
    store::SERVER,
};

/// How many changes are shown.
const SHOWN: u32 = 50;
/// How many files a change names.
const NAMED: usize = 5;

/// The changes, for browsers. The audit's table has them, so there are none without it.
pub async fn activity(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let gun = opened.name.gun().clone();
    let records = exchange
        .state
        .with_store(move |store| store.native_history(&gun, SHOWN))
        .await?;
    let page = NativeActivity {
        shell: opened.shell(),
        head: opened.head(Page::Activity),
        changes: records.iter().map(|record| change(&opened, record)).collect(),
        none: match exchange.state.config.audit.table {
            true => "The audit has no record of this repository.",
            false => "This server keeps no table of its audit (audit.table), which this page reads.",
        },
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

fn change(opened: &Opened<'_>, record: &ChangeRecord) -> Publish {
    let tells = opened.reader.tells_actors(opened.name.as_str());
    let is_server = record.who.principal == SERVER;
    let by = match is_server {
        true => "the server, by itself",
        false if tells => &*record.who.principal,
        false => "not for you to know",
    };
    let shown = tells && !is_server;
    let certificate = record.who.cert.as_ref().filter(|_| shown);
    let address = record.who.real_addr.as_deref().filter(|_| shown);
    Publish {
        at: When::relative(record.ts, opened.reader.now),
        by: Text::from(by),
        subject: certificate.map(|certificate| Text::from(&*certificate.subject)),
        did: Text::new(did(&record.change)),
        // The port says nothing about who it was.
        from: address
            .and_then(|address| address.parse::<std::net::SocketAddr>().ok())
            .map(|address| Text::new(address.ip().to_string())),
        version: None,
    }
}

/// What a change did, in words.
fn did(change: &Change) -> String {
    let of_people = change
        .documents
        .iter()
        .filter(|document| !matches!(document.role.as_str(), "snapshot" | "timestamp"));
    let mut files: Vec<String> = of_people
        .map(|document| format!("{} version {}", visible(&document.role), document.version))
        .collect();
    if files.len() > NAMED {
        let more = files.len() - NAMED;
        files.truncate(NAMED);
        files.push(format!("{more} more"));
    }
    let files = files.join(", ");
    let subject = change.subject.as_deref().map(visible).unwrap_or_default();
    match change.action.as_str() {
        "tuf.publish" => format!("published {files}"),
        "tuf.renew" => "renewed what the server signs".to_owned(),
        "tuf.delete" => "deleted the repository".to_owned(),
        "tuf.sign" => format!("signed {subject}, which waits for more signatures"),
        "tuf.unsign" => format!("withdrew {subject}, which waited for signatures"),
        "tuf.target" => format!(
            "stored a target file, SHA-256 {}",
            visible(change.detail.as_deref().unwrap_or_default())
        ),
        "tuf.rotate-key" => format!("had a new {subject} key made"),
        other => format!("{} {subject}{files}", visible(other)),
    }
}
