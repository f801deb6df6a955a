//! What expires when: for the operator, and for the figures.

use chrono::{DateTime, TimeDelta, Utc};
use tuf::{EndOf, Gun, RoleName};

use crate::store::{Store, StoreError};

/// GUNs read at a time.
const PAGE: u32 = 500;

/// One current document and its end.
pub struct Expiring {
    /// The repository.
    pub gun: Gun,
    /// The document's role.
    pub role: RoleName,
    /// Until when readers take it.
    pub expires: DateTime<Utc>,
    /// What ends then.
    pub end_of: EndOf,
}

/// Hands every current document of every GUN to `visit`.
///
/// # Errors
/// When the database fails.
pub fn each(store: &Store, mut visit: impl FnMut(Expiring)) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let page = store.guns(&after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(last);
        for gun in page {
            let Ok(gun) = Gun::parse(&gun) else { continue };
            for document in store.current_set(&gun)? {
                let Ok((expires, end_of)) = tuf::usable_until(&gun, &document.role, &document.bytes) else {
                    continue;
                };
                visit(Expiring {
                    gun: gun.clone(),
                    role: document.role,
                    expires,
                    end_of,
                });
            }
        }
    }
}

/// The role as figures name it: all delegations count as one.
pub fn sort(role: &RoleName) -> &'static str {
    match role {
        RoleName::Root => "root",
        RoleName::Targets => "targets",
        RoleName::Snapshot => "snapshot",
        RoleName::Timestamp => "timestamp",
        RoleName::Delegation(_) => "delegation",
    }
}

/// A report of what expires within a time that somebody has to do something about: everything but
/// timestamps, which the server renews by itself. Soonest first.
///
/// # Errors
/// When the database fails.
pub fn report(store: &Store, now: DateTime<Utc>, within: TimeDelta) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    each(store, |document| {
        if document.role != RoleName::Timestamp && document.expires <= now + within {
            found.push(document);
        }
    })?;
    found.sort_by(|a, b| (a.expires, &a.gun, &a.role).cmp(&(b.expires, &b.gun, &b.role)));
    Ok(found.iter().map(|document| line(document, now)).collect())
}

fn line(document: &Expiring, now: DateTime<Utc>) -> String {
    let Expiring {
        gun,
        role,
        expires,
        end_of,
    } = document;
    let days = (*expires - now).num_days();
    let when = match days {
        ..0 => format!("expired {} days ago", -days),
        0 if *expires < now => "expired today".to_owned(),
        days => format!("expires in {days} days"),
    };
    let what = match end_of {
        EndOf::Document => role.to_string(),
        EndOf::Certificates => format!("{role} (the certificates of its keys)"),
    };
    let cure = match role {
        // Clients refuse a root without a valid certificate before they could replace it.
        RoleName::Root if *end_of == EndOf::Certificates && *expires < now => {
            format!("its owner begins anew: notary delete {gun} --remote, and notary init {gun}")
        }
        RoleName::Root => format!("its owner runs: notary key rotate {gun} root"),
        RoleName::Targets | RoleName::Snapshot => {
            format!("its owner runs: notary witness {gun} targets --publish")
        }
        RoleName::Delegation(_) => format!("a delegate runs: notary witness {gun} {role} --publish"),
        RoleName::Timestamp => "the server renews it".to_owned(),
    };
    format!("{}  {gun}  {what}  {when}; {cure}", expires.format("%Y-%m-%d"))
}
