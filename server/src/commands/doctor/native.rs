//! Examines the TUF 1.0 repositories: whether they are served, still verify, end soon, and can be renewed.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use signing::KeyService;
use tuf::{Gun, RoleName};
use tuf_native::{Metadata, Role};

use crate::{
    config::Config,
    findings::{Finding, Level},
    native::{
        audit::{Found, audit},
        listed,
    },
    state,
    store::{Store, StoreError},
};

/// What ends within this time is told.
const SOON: TimeDelta = TimeDelta::days(30);
/// How many repositories are examined; `check` examines all.
const EXAMINED: usize = 200;
/// How many of one kind are told by name.
const NAMED: usize = 3;

/// Examines what is stored.
///
/// # Errors
/// When the database fails.
pub fn examine(store: &Store, config: &Config, now: DateTime<Utc>) -> Result<Vec<Finding>, StoreError> {
    let names = store.native_versions()?;
    if config.native.is_none() {
        return Ok(match names.len() {
            0 => Vec::new(),
            count => vec![Finding::note(
                format!(
                    "{} stored and not served, and what ends of them is not renewed",
                    repositories(count)
                ),
                "set tuf.enabled to true",
            )],
        });
    }
    let (mut broken, mut ended, mut ending, mut without_key) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let signer = Signer::of(config);
    for (name, _) in names.iter().take(EXAMINED) {
        let Ok(gun) = Gun::parse(name) else { continue };
        let found = audit(store, &gun, now, SOON)?;
        if found.iter().any(|found| matches!(found, Found::Broken(_))) {
            broken.push(name.as_str());
        } else if let Some(signer) = &signer
            && !signer.holds_keys_of(store, &gun)?
        {
            without_key.push(name.as_str());
        }
        let ends = found.iter().filter_map(|found| match found {
            Found::Ends(end) => Some(end.at),
            Found::Broken(_) => None,
        });
        match ends.min() {
            Some(end) if end <= now => ended.push(name.as_str()),
            Some(_) => ending.push(name.as_str()),
            None => {}
        }
    }
    let lists = [
        (
            &broken,
            Level::Broken,
            "does not verify, so clients refuse it",
            "run countersign-server check, which says what is wrong",
        ),
        (
            &without_key,
            Level::Broken,
            "has a root that names keys for snapshot and timestamp which the signer does not hold, so nothing can be published \
             there, and the timestamp will not be renewed",
            "connect the signer that made them, or give it its keys back; for keys that are lost, its owners run countersign tuf renew NAME \
             root, which names new ones",
        ),
        (
            &ended,
            Level::Broken,
            "has ended in part, and clients refuse that part",
            "its owner runs countersign tuf renew; countersign-server expiry says which roles",
        ),
        (
            &ending,
            Level::Note,
            "has a role that ends within 30 days",
            "its owner runs countersign tuf renew; countersign-server expiry says which roles",
        ),
    ];
    let mut findings: Vec<Finding> = Vec::new();
    for (names, level, what, fix) in lists {
        let Some(told) = told(names) else { continue };
        let what = format!("TUF: {told} {what}");
        findings.push(match level {
            Level::Broken => Finding::broken(what, fix),
            _ => Finding::note(what, fix),
        });
    }
    if findings.is_empty() && !names.is_empty() {
        let examined = names.len().min(EXAMINED);
        findings.push(Finding::fine(format!("{} verify", repositories(examined))));
    }
    Ok(findings)
}

fn repositories(count: usize) -> String {
    match count {
        1 => "1 TUF 1.0 repository".to_owned(),
        count => format!("{count} TUF 1.0 repositories"),
    }
}

/// The names, at most some of them: each of these is so.
fn told(names: &[&str]) -> Option<String> {
    let first = names.first()?;
    let more: Vec<&str> = names.iter().skip(1).take(NAMED - 1).copied().collect();
    let rest = names.len().saturating_sub(NAMED);
    let others = match (more.is_empty(), rest) {
        (true, _) => String::new(),
        (false, 0) => format!(" (and {})", more.join(", ")),
        (false, rest) => format!(" (and {}, and {rest} more)", more.join(", ")),
    };
    Some(format!("{first}{others}"))
}

/// The signing service, and what asks it.
struct Signer {
    keys: KeyService,
    runtime: tokio::runtime::Runtime,
}

impl Signer {
    /// `None` if it does not answer, which is told elsewhere.
    fn of(config: &Config) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        let keys = runtime.block_on(async {
            let (keys, _) = state::key_service(&config.trust_service).ok()?;
            keys.health().await.ok()?;
            Some(keys)
        })?;
        Some(Self { keys, runtime })
    }

    /// Whether the signer holds a key that the newest root names for each role that it signs.
    fn holds_keys_of(&self, store: &Store, name: &Gun) -> Result<bool, StoreError> {
        let newest = store.native_newest_roots(name, 1)?;
        let root = newest
            .into_iter()
            .next()
            .and_then(|(_, bytes)| Metadata::parse(&Role::Root, Bytes::from(bytes)).ok());
        let Some(root) = root else { return Ok(true) };
        let roles = [
            (Role::Snapshot, RoleName::Snapshot),
            (Role::Timestamp, RoleName::Timestamp),
        ];
        let holds = |role: &Role, signer_role: &RoleName| {
            listed(&root, role).iter().any(|key| {
                let Some(id) = key.to_notary().map(|key| key.id().clone()) else {
                    return false;
                };
                match self.runtime.block_on(self.keys.key_info(&id)) {
                    Ok(Some(held)) => held.made_for(&name.of_tuf_1(), signer_role) != Some(false),
                    Ok(None) => false,
                    // That it does not answer is told elsewhere.
                    Err(_) => true,
                }
            })
        };
        Ok(roles.iter().all(|(role, signer_role)| holds(role, signer_role)))
    }
}
