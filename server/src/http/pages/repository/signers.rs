//! `GET /repository/signers?gun=`: roles, thresholds, paths and keys, and who is behind them.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use tuf::{LeftOutCause, PublicKey, RoleName};

use super::{
    super::response,
    head::{Opened, Page},
    keys::describe,
};
use crate::{
    access::{Grant, Pull},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{
        Badge, Digest, State, Text, When, relative,
        repository::{KeyRow, RoleNode, Signers},
        visible,
    },
};

/// How many roles are shown.
const ROLES: usize = 300;

/// The roles and keys, for browsers.
pub async fn signers(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let page = Signers {
        shell: opened.shell(),
        head: opened.head(Page::Signers),
        roles: nodes(&opened),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

/// A role before it has its place in the tree.
struct Role {
    depth: usize,
    node: RoleNode,
}

fn nodes(opened: &Opened<'_>) -> Vec<RoleNode> {
    let targets = opened.files.targets.values();
    let read: Read = opened
        .files
        .root
        .iter()
        .chain(targets)
        .take(ROLES)
        .map(|document| {
            let read = serde_json::from_slice(&document.bytes).unwrap_or_default();
            (document.role.clone(), read)
        })
        .collect();
    let mut roles = vec![role(opened, &read, &RoleName::Root, 0)];
    let mut below: BTreeMap<Vec<String>, Role> = BTreeMap::new();
    let parts = |name: &RoleName| name.as_str().split('/').map(str::to_owned).collect::<Vec<_>>();
    let declared = opened.files.targets.iter().flat_map(|(name, document)| {
        let mut found = tuf::delegated_roles(name, &document.bytes).unwrap_or_default();
        found.insert(0, name.clone());
        found
    });
    for name in declared.take(ROLES) {
        let depth = parts(&name).len();
        below
            .entry(parts(&name))
            .or_insert_with(|| role(opened, &read, &name, depth));
    }
    roles.extend(below.into_values());
    roles.push(role(opened, &read, &RoleName::Snapshot, 1));
    roles.push(role(opened, &read, &RoleName::Timestamp, 1));
    // A role whose parent is not there hangs below the one before it.
    let mut depth = 0;
    let depths: Vec<usize> = roles
        .iter()
        .map(|role| {
            depth = role.depth.min(depth + 1);
            depth
        })
        .collect();
    let next = depths.iter().skip(1).copied().chain([0]);
    let nodes = roles.into_iter().zip(depths.iter().copied().zip(next));
    let last = depths.len() - 1;
    nodes
        .enumerate()
        .map(|(position, (role, (depth, next)))| RoleNode {
            opens: position != last && next > depth,
            closes: if position == last {
                depth
            } else {
                depth.saturating_sub(next)
            },
            ..role.node
        })
        .collect()
}

/// The documents that say who may sign, each read once.
type Read = BTreeMap<RoleName, Outline>;

/// The parts of a document that say so; its targets are left where they are.
#[derive(Default, Deserialize)]
struct Outline {
    #[serde(default)]
    signed: Parts,
}

#[derive(Default, Deserialize)]
struct Parts {
    #[serde(default)]
    delegations: Value,
    #[serde(default)]
    roles: Value,
}

/// What the document above a role says about it.
struct Declared {
    keys: Vec<PublicKey>,
    threshold: Option<i64>,
    paths: Vec<String>,
}

fn declared(opened: &Opened<'_>, read: &Read, name: &RoleName) -> Declared {
    let verified = opened.verified.as_ref().ok();
    let root = opened.files.root.as_ref();
    let Some(parent) = name.parent().filter(|_| matches!(name, RoleName::Delegation(_))) else {
        let roles = read.get(&RoleName::Root).map(|root| &root.signed.roles);
        return Declared {
            keys: root
                .and_then(|root| tuf::role_keys(&root.bytes, name).ok())
                .unwrap_or_default(),
            threshold: roles.and_then(|roles| roles[name.as_str()]["threshold"].as_i64()),
            paths: Vec::new(),
        };
    };
    let delegations = read.get(&parent).map(|parent| &parent.signed.delegations);
    let roles = delegations.and_then(|delegations| delegations["roles"].as_array());
    let entry = roles
        .into_iter()
        .flatten()
        .find(|role| role["name"] == name.as_str());
    let paths = entry
        .and_then(|entry| entry["paths"].as_array())
        .into_iter()
        .flatten();
    let accepted = verified.and_then(|verified| {
        let role = verified.targets.roles.iter().find(|role| role.role == *name);
        let left_out = verified.targets.left_out.iter().find(|role| role.role == *name);
        let of_role = role.map(|role| role.document.declared.clone());
        of_role.or_else(|| left_out.map(|role| role.declared.clone()))
    });
    Declared {
        keys: accepted.unwrap_or_default(),
        threshold: entry.and_then(|entry| entry["threshold"].as_i64()),
        paths: paths
            .filter_map(|path| path.as_str().map(str::to_owned))
            .collect(),
    }
}

fn role(opened: &Opened<'_>, read: &Read, name: &RoleName, depth: usize) -> Role {
    let now = opened.reader.now;
    let declared = declared(opened, read, name);
    let document = match name {
        RoleName::Root => opened.files.root.as_ref(),
        RoleName::Timestamp => Some(&opened.files.timestamp),
        RoleName::Snapshot => opened.files.snapshot.as_ref(),
        _ => opened.files.targets.get(name),
    };
    let verified = opened.verified.as_ref().ok();
    let signed_by: Vec<&PublicKey> = verified.map_or_else(Vec::new, |verified| match name {
        RoleName::Root => verified.root_signers.iter().collect(),
        RoleName::Timestamp => verified.targets.timestamp.signers.iter().collect(),
        RoleName::Snapshot => verified.targets.snapshot.signers.iter().collect(),
        _ => {
            let roles = verified.targets.roles.iter();
            roles
                .filter(|role| role.role == *name)
                .flat_map(|role| &role.document.signers)
                .collect()
        }
    });
    let left_out = verified.and_then(|verified| {
        let mut left_out = verified.targets.left_out.iter();
        left_out.find(|left_out| left_out.role == *name)
    });
    let count = declared.keys.len();
    let plain = visible(name.as_str());
    let node = RoleNode {
        name: Text::from(name.as_str()),
        plain,
        threshold: match (count, declared.threshold) {
            (1, _) => "1 key, 1 signature".to_owned(),
            (count, Some(needed)) if usize::try_from(needed).is_ok_and(|needed| needed == count) => {
                format!("all {count} keys must sign")
            }
            (count, Some(1)) => format!("1 of {count} keys is enough"),
            (count, Some(needed)) => format!("{needed} of {count} keys must sign"),
            (count, None) => format!("{count} keys"),
        },
        paths: match name {
            RoleName::Targets => vec![Text::from("all tags")],
            RoleName::Delegation(_) => declared
                .paths
                .iter()
                .map(|path| match path.is_empty() {
                    true => Text::from("all tags"),
                    false => Text::new(format!("tags {path}*")),
                })
                .collect(),
            _ => Vec::new(),
        },
        version: document.map(|document| document.version.get()),
        until: document
            .and_then(|document| tuf::usable_until(&opened.gun, name, &document.bytes).ok())
            .map(|(end, _)| When::date(end)),
        fault: left_out.and_then(|left_out| match &left_out.cause {
            LeftOutCause::Unpublished => None,
            LeftOutCause::Missing => Some(Text::from(
                "The snapshot names a document of this role that is not stored.",
            )),
            LeftOutCause::Refused(reason) => Some(Text::new(format!("Clients leave it out: {reason}."))),
        }),
        keys: declared
            .keys
            .iter()
            .map(|key| {
                key_row(
                    opened,
                    name,
                    key,
                    signed_by.iter().any(|signer| signer.id() == key.id()),
                    document.is_some(),
                    now,
                )
            })
            .collect(),
        opens: false,
        closes: 0,
    };
    Role { depth, node }
}

fn key_row(
    opened: &Opened<'_>,
    role: &RoleName,
    key: &PublicKey,
    has_signed: bool,
    is_published: bool,
    now: chrono::DateTime<chrono::Utc>,
) -> KeyRow {
    let described = describe(key);
    let account = opened.account_of(key);
    let holder = match (&described.subject, role) {
        (Some(subject), _) => Some(Text::from(&**subject)),
        (None, RoleName::Timestamp) => Some(Text::from("signer of this server")),
        (None, _) if account.is_some() => Some(Text::from("a bare key, registered to this account")),
        (None, RoleName::Snapshot) => Some(Text::from("signer of this server, or whoever publishes")),
        (None, _) => Some(Text::from("a bare key; nobody known here")),
    };
    let soon = now + chrono::TimeDelta::days(super::super::reader::SOON);
    let state = match described.until {
        Some(end) if end <= now => Badge::new(State::Bad, "Ended"),
        Some(end) if end <= soon => Badge::new(State::Warn, format!("Ends {}", relative(end, now))),
        _ if matches!(role, RoleName::Timestamp) => Badge::new(State::Automatic, "Automatic"),
        _ if has_signed => Badge::new(State::Good, "Signed this version"),
        _ if !is_published => Badge::new(State::Plain, "Has not signed yet"),
        _ => Badge::new(State::Plain, "Did not sign this version"),
    };
    KeyRow {
        id: Digest::key(key.id().as_str()),
        kind: Text::new(described.kind),
        account: account.map(Text::new),
        holder,
        state,
        until: described.until.map(When::date),
    }
}
