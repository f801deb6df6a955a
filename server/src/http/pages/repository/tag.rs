//! `GET /repository/tag?gun=&tag=`: one tag, how it is verified, and what it meant before.

use actix_web::http::StatusCode;
use tuf::{PublicKey, RoleName, VerifiedRole};

use super::{
    super::response,
    head::Opened,
    history::{History, Publishers},
    tags::size,
};
use crate::{
    access::{Grant, Pull},
    confirmed::catalogue::Verified,
    http::{
        api::{Tag, parameter, tags_of},
        error::ApiError,
        exchange::Exchange,
        outcome::Outcome,
    },
    pages::{
        Command, Digest, Gun, State, Text, When, quoted, relative,
        repository::{Span, Step, Tag as Page},
        visible,
    },
};

/// One tag, for browsers.
pub async fn tag(exchange: &mut Exchange<'_>, grant: Grant<Pull>) -> Result<Outcome, ApiError> {
    let exchange = &*exchange;
    let opened = Opened::new(exchange, &grant).await?;
    let name = parameter(exchange.query(), "tag").ok_or(ApiError::NotFound)?;
    let all = tags_of(exchange.state, opened.gun.clone()).await?;
    let roles: Vec<RoleName> = opened.files.targets.keys().cloned().collect();
    let tells = opened.reader.tells_actors(opened.gun.as_str());
    let gun = opened.gun.clone();
    let (history, publishers) = exchange
        .state
        .with_store(move |store| {
            let publishers = if tells {
                Publishers::read(store, &gun)?
            } else {
                Publishers::unknown()
            };
            Ok((History::read(store, &gun, &roles)?, publishers))
        })
        .await?;
    let history = spans(&opened, &history, &publishers, &name);
    let tag = all.iter().find(|tag| tag.name == name);
    if tag.is_none() && history.is_empty() {
        return Err(ApiError::NotFound);
    }
    let page = make(&opened, &all, tag, &name, history);
    Ok(response::page(&exchange.state.config, StatusCode::OK, &page)?.into())
}

/// The role from which readers take the tag, with what it says.
fn accepted<'v>(verified: &'v Verified, tag: &Tag) -> Option<&'v VerifiedRole> {
    let names = |role: &&VerifiedRole| role.targets.iter().any(|target| target.name == tag.name);
    let mut roles = verified.targets.roles.iter();
    let preferred = roles.find(|role| role.role.as_str() == tag.role).filter(names);
    preferred.or_else(|| verified.targets.roles.iter().find(names))
}

fn make(opened: &Opened<'_>, all: &[Tag], tag: Option<&Tag>, name: &str, history: Vec<Span>) -> Page {
    let now = opened.reader.now;
    let signed = tag.filter(|tag| tag.in_notary);
    let role = signed.and_then(|tag| accepted(opened.verified.as_ref().ok()?, tag));
    let holds = role.is_some_and(|role| role.expires > now);
    let (state, verdict) = match (&opened.verified, signed, role) {
        (_, None, _) => (State::Warn, "Not signed"),
        (Err(_), ..) => (State::Bad, "Does not verify"),
        (Ok(_), _, None) => (State::Bad, "No accepted role signs it"),
        (Ok(_), _, Some(_)) if !holds => (State::Bad, "Has ended"),
        _ => (State::Good, "Verifies"),
    };
    let lead = match (&opened.verified, signed, role) {
        (_, None, _) if tag.is_some() => "It is in the registry, and nobody signed it.".to_owned(),
        (_, None, _) => "Nobody signs it any more: it was taken back. What it meant is below.".to_owned(),
        (Err(reason), ..) => format!("Clients refuse the whole repository: {}.", visible(reason)),
        (Ok(_), _, None) => "The documents that name it are not signed as they must be.".to_owned(),
        (Ok(_), _, Some(role)) => {
            let end = without_timestamp(opened, role);
            let by: Vec<String> = role
                .document
                .signers
                .iter()
                .map(|key| holder(opened, &role.role, key))
                .collect();
            let verb = if holds { "good until" } else { "was good until" };
            format!(
                "Signed by {}, and {verb} {} ({}), if clients see a fresh timestamp.",
                by.join(" and "),
                crate::pages::day(end),
                relative(end, now)
            )
        }
    };
    let digest = tag.map(|tag| tag.digest.clone()).unwrap_or_default();
    let also = all
        .iter()
        .filter(|other| !digest.is_empty() && other.in_notary && other.digest == digest && other.name != name)
        .take(20)
        .map(|other| {
            let address = opened.address("/repository/tag", &[("tag", &*other.name)]);
            (Text::from(&*other.name), address)
        });
    let disagreeing = tag
        .into_iter()
        .flat_map(|tag| &tag.signatures)
        .filter(|signature| signature.digest != digest)
        .map(|signature| (Text::from(&*signature.role), Digest::new(&*signature.digest)));
    Page {
        shell: opened.shell(),
        gun: Gun::new(opened.gun.as_str()),
        gun_address: opened.address("/repository", &[]),
        namespace: opened.namespace(),
        name: Text::from(name),
        lead: Text::new(lead),
        state,
        verdict,
        digest: (!digest.is_empty()).then(|| Text::from(&*digest)),
        digest_plain: visible(&digest),
        size: tag.map(|tag| size(tag.size)).unwrap_or_default(),
        also: also.collect(),
        disagreeing: disagreeing.collect(),
        steps: match (&opened.verified, signed) {
            (Ok(verified), Some(tag)) => steps(opened, verified, role, tag),
            (Err(reason), Some(_)) => vec![Step {
                state: State::Bad,
                symbol: State::Bad.symbol(),
                title: Text::from("The repository does not verify"),
                sentence: Text::from(&**reason),
                until: None,
                keys: Vec::new(),
            }],
            _ => Vec::new(),
        },
        history,
        command: Command::new(format!(
            "countersign verify --explain {}",
            quoted(&format!("{}:{name}", opened.gun))
        )),
    }
}

/// Until when a role's word counts, for clients that see a fresh timestamp.
fn without_timestamp(opened: &Opened<'_>, accepted: &VerifiedRole) -> chrono::DateTime<chrono::Utc> {
    let files = &opened.files;
    let above = accepted.role.ancestors();
    let of_roles = files
        .targets
        .values()
        .filter(|document| document.role == accepted.role || above.contains(&document.role));
    let ends = files.root.iter().chain(&files.snapshot).chain(of_roles);
    let ends =
        ends.filter_map(|document| tuf::usable_until(&opened.gun, &document.role, &document.bytes).ok());
    ends.map(|(end, _)| end).min().unwrap_or(accepted.expires)
}

/// From the root to the digest.
fn steps(opened: &Opened<'_>, verified: &Verified, accepted: Option<&VerifiedRole>, tag: &Tag) -> Vec<Step> {
    let now = opened.reader.now;
    let step = |title: String, sentence: String, until: Option<chrono::DateTime<chrono::Utc>>, keys| {
        let state = match until {
            Some(end) if end <= now => State::Bad,
            _ => State::Good,
        };
        Step {
            state,
            symbol: state.symbol(),
            title: Text::new(title),
            sentence: Text::new(sentence),
            until: until.map(|end| When::date_and_relative(end, now)),
            keys,
        }
    };
    let keys = |role: &RoleName, signers: &[PublicKey]| -> Vec<(Digest, Text)> {
        let described = signers.iter().map(|key| {
            let id = Digest::key(key.id().as_str());
            let account = opened.account_of(key).map(Text::new);
            (id, account.unwrap_or_else(|| unknown_holder(role)))
        });
        described.collect()
    };
    let mut steps = Vec::new();
    if let Some(root) = &opened.files.root {
        let end = tuf::usable_until(&opened.gun, &RoleName::Root, &root.bytes).ok();
        let mut first = step(
            format!("Root version {}", root.version),
            "What a client trusts: it pinned this root, or an older one from which the chain of roots leads here. It \
             names the keys of the roles below."
                .to_owned(),
            end.map(|(end, _)| end),
            keys(&RoleName::Root, &verified.root_signers),
        );
        if first.state == State::Good {
            first.state = State::Plain;
            first.symbol = "pin";
        }
        steps.push(first);
    }
    let targets = &verified.targets;
    steps.push(step(
        format!("Timestamp version {}", targets.timestamp.version),
        "Signed by the key that the root names. It says what is current, so that nobody can show an old state.".to_owned(),
        Some(targets.timestamp.expires),
        keys(&RoleName::Timestamp, &targets.timestamp.signers),
    ));
    steps.push(step(
        format!("Snapshot version {}", targets.snapshot.version),
        "Its hash is the one in the timestamp. It fixes the version of every other role, so that none can be held back."
            .to_owned(),
        Some(targets.snapshot.expires),
        keys(&RoleName::Snapshot, &targets.snapshot.signers),
    ));
    let Some(accepted) = accepted else {
        return steps;
    };
    for role in &targets.roles {
        let is_above = accepted.role == role.role || accepted.role.ancestors().contains(&role.role);
        if !is_above {
            continue;
        }
        let names_it = role.role == accepted.role;
        let signatures = match role.document.threshold {
            1 => "One signature is asked for".to_owned(),
            count => format!("{count} signatures are asked for"),
        };
        let found = role.document.signers.len();
        let what = if names_it {
            "It names the tag"
        } else {
            "It hands on to the role below"
        };
        steps.push(step(
            format!("{} version {}", role.role, role.document.version),
            format!(
                "{signatures}, {found} of {} keys signed. {what}.",
                role.document.declared.len()
            ),
            Some(role.document.expires),
            keys(&role.role, &role.document.signers),
        ));
    }
    let digest = accepted
        .targets
        .iter()
        .find(|target| target.name == tag.name)
        .and_then(|target| target.sha256);
    steps.push(step(
        "The digest".to_owned(),
        match digest {
            Some(digest) => format!(
                "{} is sha256:{digest}. Whoever pulls it compares what arrives with this.",
                visible(&tag.name)
            ),
            None => "It names no SHA-256, so nothing can be compared with it.".to_owned(),
        },
        None,
        Vec::new(),
    ));
    steps
}

/// What is said of a key that is registered to no account.
fn unknown_holder(role: &RoleName) -> Text {
    match role {
        RoleName::Timestamp => Text::from("signer of this server"),
        RoleName::Snapshot => Text::from("signer of this server, or whoever publishes"),
        _ => Text::from("registered to no account here"),
    }
}

/// Who holds a key, as far as this server knows.
fn holder(opened: &Opened<'_>, role: &RoleName, key: &PublicKey) -> String {
    if let Some(account) = opened.account_of(key) {
        return account;
    }
    match role {
        RoleName::Timestamp => "the server".to_owned(),
        RoleName::Delegation(_) => format!("the key of {role}"),
        _ => format!("key {}", key.id().as_str().chars().take(8).collect::<String>()),
    }
}

fn spans(opened: &Opened<'_>, history: &History, publishers: &Publishers, name: &str) -> Vec<Span> {
    let now = opened.reader.now;
    let mut spans = Vec::new();
    for role in opened.files.targets.keys() {
        for meant in history.of(role, name) {
            spans.push((
                meant.from,
                Span {
                    digest: meant.digest.map(Digest::new),
                    role: Text::from(meant.role.as_str()),
                    from: meant.from.map(|from| When::relative(from, now)),
                    to: meant.to.map(|to| When::relative(to, now)),
                    by: publishers
                        .at(meant.from)
                        .map(|actor| Text::from(&*actor.principal)),
                },
            ));
        }
    }
    spans.sort_by_key(|(from, _)| std::cmp::Reverse(*from));
    spans.into_iter().map(|(_, span)| span).collect()
}
