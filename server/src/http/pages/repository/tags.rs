//! `GET /repository?gun=`: the signed tags.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use tuf::RoleName;

use super::{
    super::response,
    head::{Opened, Page},
    history::History,
};
use crate::{
    access::{Grant, Pull},
    http::{
        api::{Tag, TagSignature, parameter, tags_of},
        error::ApiError,
        exchange::Exchange,
        outcome::Outcome,
    },
    pages::{
        Badge, Choice, Digest, State, Text, When, number,
        repository::{SignedBy, TagRow, Tags, UnsignedRow},
        visible,
    },
};

/// How many tags are on a page.
const PAGE: usize = 100;
/// How many unsigned tags are named.
const UNSIGNED: usize = 100;

/// The signed tags, for browsers.
pub async fn tags(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let all = tags_of(exchange.state, opened.gun.clone()).await?;
    let get = |name| parameter(exchange.query(), name).unwrap_or_default();
    let (q, role, sort, after) = (get("q"), get("role"), get("sort"), get("after"));
    let (signed, unsigned): (Vec<Tag>, Vec<Tag>) = all.into_iter().partition(|tag| tag.in_notary);
    let roles: BTreeSet<String> = signed
        .iter()
        .flat_map(|tag| tag.signatures.iter().map(|signature| signature.role.clone()))
        .collect();
    let named: Vec<RoleName> = roles
        .iter()
        .filter_map(|role| RoleName::parse(role).ok())
        .collect();
    let gun = opened.gun.clone();
    let history = exchange
        .state
        .with_store(move |store| History::read(store, &gun, &named))
        .await?;
    let total = signed.len();
    let mut found: Vec<TagOf> = signed
        .into_iter()
        .filter(|tag| tag.name.contains(&q))
        .filter(|tag| role.is_empty() || tag.signatures.iter().any(|signature| signature.role == role))
        .map(|tag| TagOf::new(tag, &history))
        .collect();
    match &*sort {
        "name" => {}
        "size" => found.sort_by_key(|tag| std::cmp::Reverse(tag.tag.size)),
        _ => found.sort_by_key(|tag| std::cmp::Reverse(tag.since)),
    }
    let start = match after.is_empty() {
        true => 0,
        false => found
            .iter()
            .position(|tag| tag.tag.name == after)
            .map_or(0, |position| position + 1),
    };
    let shown = found.get(start..).unwrap_or_default();
    let shown = &shown[..shown.len().min(PAGE)];
    let left = found.len() - start - shown.len();
    let page_after = |after: &str| {
        let pairs = [("q", &*q), ("role", &*role), ("sort", &*sort), ("after", after)];
        opened.address("/repository", &pairs)
    };
    let order = match &*sort {
        "name" => "by name",
        "size" => "largest first",
        _ => "last signed first",
    };
    let page = Tags {
        shell: opened.shell(),
        head: opened.head(Page::Tags),
        q: q.clone(),
        roles: choices(
            std::iter::once(("", "any")).chain(roles.iter().map(|role| (&**role, &**role))),
            &role,
        ),
        orders: choices(
            [("", "last signed"), ("name", "name"), ("size", "size")].into_iter(),
            &sort,
        ),
        caption: match (shown.len(), total) {
            (0, 0) => "Nobody has signed a tag in this repository yet.".to_owned(),
            (0, total) => format!("None of {} signed tags is like this.", number(total)),
            (count, total) => format!("{} of {} signed tags, {order}", number(count), number(total)),
        },
        rows: shown.iter().map(|tag| tag.row(&opened)).collect(),
        unsigned: unsigned
            .into_iter()
            .filter(|tag| tag.name.contains(&q))
            .take(UNSIGNED)
            .map(|tag| UnsignedRow {
                name: Text::new(tag.name),
                digest: Digest::new(tag.digest),
            })
            .collect(),
        first: (start > 0).then(|| page_after("")),
        next: shown
            .last()
            .filter(|_| left > 0)
            .map(|last| (page_after(&last.tag.name), format!("Next {}", left.min(PAGE)))),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

/// A tag, with what its history tells.
struct TagOf {
    tag: Tag,
    since: Option<chrono::DateTime<chrono::Utc>>,
    moved_from: Option<String>,
}

impl TagOf {
    fn new(tag: Tag, history: &History) -> Self {
        let meant = match RoleName::parse(&tag.role) {
            Ok(role) => history.of(&role, &tag.name),
            Err(_) => Vec::new(),
        };
        let mut meant = meant.into_iter();
        let now = meant
            .next()
            .filter(|meant| meant.digest.as_ref() == Some(&tag.digest));
        Self {
            since: now.as_ref().and_then(|now| now.from),
            moved_from: now.and_then(|_| meant.next()?.digest),
            tag,
        }
    }

    fn row(&self, opened: &Opened<'_>) -> TagRow {
        let (tag, now) = (&self.tag, opened.reader.now);
        let until = tag.signatures.first().map(|signature| signature.expires);
        TagRow {
            name: Text::from(&*tag.name),
            address: opened.address("/repository/tag", &[("tag", &*tag.name)]),
            digest: Digest::new(&*tag.digest),
            size: size(tag.size),
            signed_by: tag.signatures.iter().flat_map(signed_by).collect(),
            since: self.since.map(|since| When::relative(since, now)),
            moved_from: self
                .moved_from
                .as_ref()
                .map(|digest| Digest::new(&**digest).without_copy()),
            until: until.map(When::date),
            badge: match until {
                _ if tag.hash_mismatch => Some(Badge::new(State::Warn, "Several digests")),
                Some(end) if end <= now => Some(Badge::new(State::Bad, "Ended")),
                _ => None,
            },
        }
    }
}

/// Who signed, as the table shows it.
fn signed_by(signature: &TagSignature) -> Vec<SignedBy> {
    let of_key = |signer: &crate::http::api::Signer| SignedBy {
        name: Text::from(signer.account.as_deref().unwrap_or("no known holder")),
        role: Text::from(&*signature.role),
        key: Some(Digest::key(&*signer.key_id)),
    };
    if signature.signers.is_empty() {
        return vec![SignedBy {
            name: Text::from("no valid signature"),
            role: Text::from(&*signature.role),
            key: None,
        }];
    }
    signature.signers.iter().map(of_key).collect()
}

fn choices<'a>(values: impl Iterator<Item = (&'a str, &'a str)>, chosen: &str) -> Vec<Choice> {
    let choices = values.map(|(value, shown)| Choice {
        value: value.to_owned(),
        shown: visible(shown),
        is_chosen: value == chosen,
    });
    choices.collect()
}

/// A length in decimal units, as registries show it: `148.2 MB`.
pub fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let bytes = bytes.max(0);
    let (mut tenths, mut unit) = (bytes.saturating_mul(10), 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    match unit {
        0 => format!("{bytes} {name}"),
        _ => format!("{}.{} {name}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "1.5 kB"),
            (148_212_904, "148.2 MB"),
            (i64::MAX, "922337.2 TB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
    }
}
