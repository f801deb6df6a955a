//! `GET /tuf/repository/signers?gun=`: roles, thresholds, paths and keys of a TUF 1.0 repository, and what waits for
//! signatures.

use actix_web::http::StatusCode;
use serde_json::Value;
use tuf_native::{Draft, KeyId, Metadata, PublicKey, Role, Scheme, Signers};

use super::{
    super::response,
    head::{Opened, Page},
};
use crate::{
    access::{Grant, PublishAny, Pull, SingleRight},
    confirmed::native::{signers as signers_of, visited},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    native::{self, Waiting},
    pages::{
        Badge, Command, Digest, State, Text, When,
        native::{NativeSigners, WaitingFile},
        quoted,
        repository::{KeyRow, RoleNode},
        visible,
    },
};

/// The roles and keys, for browsers.
pub async fn signers(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let mut opened = Opened::new(exchange, &grant).await?;
    // As at `/tuf/v1/{repository}/sign`: those may see it who may publish something.
    let signs = exchange
        .access()
        .check(grant.principal(), &PublishAny::RIGHT, Some(grant.gun()))
        .is_ok();
    let waiting = if signs {
        let waiting = native::waiting(exchange.state, &opened.name, &mut opened.room).await?;
        let drafts: Vec<Draft> = waiting.iter().map(|file| file.draft.clone()).collect();
        let ready = tuf_native::ready(&opened.files, &drafts);
        let is_ready = |file: &Waiting| ready.iter().any(|ready| ready.role() == file.draft.role());
        let shown = waiting
            .iter()
            .map(|file| waiting_file(&opened, file, &drafts, is_ready(file)));
        Some(shown.collect())
    } else {
        None
    };
    let page = NativeSigners {
        shell: opened.shell(),
        head: opened.head(Page::Signers),
        waiting,
        roles: nodes(&opened),
    };
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

fn waiting_file(opened: &Opened<'_>, waiting: &Waiting, drafts: &[Draft], is_ready: bool) -> WaitingFile {
    let Waiting { draft, standing } = waiting;
    let (role, name) = (draft.role(), opened.name.as_str());
    let named = |id: &KeyId| match known(opened, drafts, id) {
        Some(key) => opened.named(&key),
        None => (Digest::key(id.as_str()), None),
    };
    let needs = standing.needed.iter().map(|needed| {
        Text::new(format!(
            "{} of {} signatures by the keys that {} names",
            needed.have, needed.threshold, needed.by
        ))
    });
    WaitingFile {
        role: Text::from(role.as_str()),
        plain: visible(role.as_str()),
        version: draft.version().get(),
        until: When::date(draft.expires()),
        needs: needs.collect(),
        signed: standing.signed.iter().map(named).collect(),
        missing: standing.missing.iter().map(named).collect(),
        state: match standing.complete {
            true if is_ready => Badge::new(State::Good, "Enough have signed"),
            true => Badge::new(State::Plain, "Enough have signed; it waits for the others"),
            false => Badge::new(State::Warn, "Signatures missing"),
        },
        command: match standing.complete {
            true if is_ready => Some(format!("countersign tuf publish {}", quoted(name))),
            true => None,
            false => Some(format!(
                "countersign tuf sign {} {}",
                quoted(name),
                quoted(role.as_str())
            )),
        }
        .map(Command::new),
        raw: opened.raw("sign", &role.file_name()),
    }
}

/// A key by its ID, where what is stored or what waits names it.
fn known(opened: &Opened<'_>, drafts: &[Draft], id: &KeyId) -> Option<PublicKey> {
    let files = &opened.files;
    let all: Vec<&Metadata> = drafts
        .iter()
        .map(Draft::metadata)
        .chain(&files.root)
        .chain(&files.targets)
        .collect();
    let of_roots = all
        .iter()
        .flat_map(|file| [Role::Root, Role::Targets].map(|role| file.root_signers(&role)));
    let delegated = all
        .iter()
        .flat_map(|file| file.delegations().map(|(_, signers)| signers));
    let mut signers = of_roots.flatten().chain(delegated);
    signers.find_map(|signers| signers.keys().iter().find(|key| key.id() == id).cloned())
}

fn nodes(opened: &Opened<'_>) -> Vec<RoleNode> {
    let mut order = vec![(&Role::Root, 0)];
    let visited = visited(&opened.files);
    order.extend(visited.iter().map(|visited| (visited.role, visited.depth + 1)));
    order.extend([(&Role::Snapshot, 1), (&Role::Timestamp, 1)]);
    let next: Vec<usize> = order.iter().skip(1).map(|(_, depth)| *depth).chain([0]).collect();
    let last = order.len() - 1;
    let nodes = order.iter().zip(next).enumerate();
    nodes
        .map(|(position, ((role, depth), next))| RoleNode {
            opens: position != last && next > *depth,
            closes: match position == last {
                true => *depth,
                false => depth.saturating_sub(next),
            },
            ..node(opened, role)
        })
        .collect()
}

fn node(opened: &Opened<'_>, role: &Role) -> RoleNode {
    let files = &opened.files;
    let file = match role {
        Role::Root => files.root.as_ref(),
        Role::Snapshot => files.snapshot.as_ref(),
        Role::Timestamp => files.timestamp.as_ref(),
        _ => files.file(role),
    };
    let signers = signers_of(files, role);
    let signed: Vec<KeyId> = signers
        .zip(file)
        .map(|(signers, file)| {
            let good = file.good_signers(signers);
            good.iter().map(|key| key.id().clone()).collect()
        })
        .unwrap_or_default();
    let keys = signers.map(Signers::keys).unwrap_or_default();
    let needed = signers.map_or(1, Signers::threshold);
    RoleNode {
        name: Text::from(role.as_str()),
        plain: visible(role.as_str()),
        threshold: match (keys.len(), needed) {
            (1, _) => "1 key, 1 signature".to_owned(),
            (count, needed) if usize::try_from(needed).is_ok_and(|needed| needed == count) => {
                format!("all {count} keys must sign")
            }
            (count, 1) => format!("1 of {count} keys is enough"),
            (count, needed) => format!("{needed} of {count} keys must sign"),
        },
        paths: paths(opened, role),
        version: file.map(|file| file.version().get()),
        until: file.map(|file| When::date(file.expires())),
        fault: fault(role, file, signers, opened.reader.now),
        keys: keys
            .iter()
            .map(|key| key_row(opened, role, key, signed.contains(key.id()), file.is_some()))
            .collect(),
        opens: false,
        closes: 0,
    }
}

fn fault(
    role: &Role,
    file: Option<&Metadata>,
    signers: Option<&Signers>,
    now: chrono::DateTime<chrono::Utc>,
) -> Option<Text> {
    let words = match (file, signers) {
        (Some(file), Some(signers)) if !file.is_signed_by(signers) => {
            "It is not signed by enough of its keys, so clients refuse it."
        }
        (Some(file), _) if file.expires() <= now => "It has ended, so clients refuse it.",
        (None, _) if !matches!(role, Role::Delegated(_)) => {
            "It is not there, so clients refuse the repository."
        }
        _ => return None,
    };
    Some(Text::from(words))
}

/// Which targets a role may list, as the file says that delegates to it.
fn paths(opened: &Opened<'_>, role: &Role) -> Vec<Text> {
    let delegates = |file: &Metadata| {
        let roles = file.signed().get("delegations")?.get("roles")?.as_array()?;
        let entry = roles.iter().find(|entry| entry["name"] == role.as_str())?;
        let listed = |member: &str| -> Vec<String> {
            let texts = entry.get(member).and_then(Value::as_array).into_iter().flatten();
            texts
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect()
        };
        let mut shown = listed("paths");
        let hashed = listed("path_hash_prefixes");
        if !hashed.is_empty() {
            // Every path's hash begins with one of the sixteen digits.
            shown.push(
                match hashed.len() == 16 && hashed.iter().all(|prefix| prefix.len() == 1) {
                    true => "all paths".to_owned(),
                    false => format!("paths whose SHA-256 begins with {}", hashed.join(", ")),
                },
            );
        }
        if entry["terminating"] == true {
            shown.push("no later role is asked about these".to_owned());
        }
        Some(shown)
    };
    match role {
        Role::Targets => vec![Text::from("all paths")],
        Role::Delegated(_) => {
            let found = opened.files.targets.iter().find_map(delegates);
            found.unwrap_or_default().into_iter().map(Text::new).collect()
        }
        _ => Vec::new(),
    }
}

fn key_row(
    opened: &Opened<'_>,
    role: &Role,
    key: &PublicKey,
    has_signed: bool,
    is_published: bool,
) -> KeyRow {
    let account = opened.account_of(key);
    let is_online = matches!(role, Role::Snapshot | Role::Timestamp);
    let holder = match &account {
        _ if is_online => "signer of this server",
        Some(_) => "registered to this account",
        None => "nobody known here",
    };
    KeyRow {
        id: Digest::key(key.id().as_str()),
        kind: Text::from(match key.scheme() {
            Scheme::EcdsaP256 => "ECDSA, P-256",
            Scheme::Ed25519 => "Ed25519",
            Scheme::RsaPss => "RSA, PSS",
        }),
        holder: Some(Text::from(holder)),
        account: account.map(Text::new),
        state: match () {
            () if is_online => Badge::new(State::Automatic, "Automatic"),
            () if has_signed => Badge::new(State::Good, "Signed this version"),
            () if !is_published => Badge::new(State::Plain, "Has not signed yet"),
            () => Badge::new(State::Plain, "Did not sign this version"),
        },
        until: None,
    }
}
