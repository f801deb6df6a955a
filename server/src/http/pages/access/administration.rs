//! What administrators see: accounts, denials, rules as loaded, CAs and lists.

use chrono::{DateTime, TimeDelta, Utc};
use platform::{tls::ClientCertificate, x509::name_text};

use super::{
    super::form::{self, Form},
    listed::{identity_rule, listener, policy_rule},
};
use crate::{
    config::PolicyMode,
    http::{
        api::{denial_id, of_denial_id},
        error::ApiError,
        exchange::Exchange,
    },
    identity::Principal,
    pages::{
        self, AccountRow, Administration, Badge, CaRow, DenialRow, Digest, ListRow, State, Text, When, Whose,
        address,
    },
    store::{Account, StoreError},
};

/// How many accounts and denials are on a page.
const SHOWN: usize = 50;
/// Who is warned of a CA or list that ends before this long.
const SOON: TimeDelta = TimeDelta::days(30);

pub(super) async fn administration(
    exchange: &Exchange<'_>,
    reader: &Principal,
    query: &Form,
    whose: Option<(String, Whose)>,
    now: DateTime<Utc>,
) -> Result<Administration, ApiError> {
    let (state, generation) = (exchange.state, &exchange.generation);
    let (from, older) = (query.get("accounts").to_owned(), query.get("denials").to_owned());
    let older = of_denial_id(&older).unwrap_or_default();
    let (accounts, denials) = state
        .with_store(move |store| {
            let accounts = store.accounts_from(&from, SHOWN + 1)?;
            let accounts: Vec<_> = accounts
                .into_iter()
                .map(|account| Ok((store.account_keys(&account.name)?, account)))
                .collect::<Result<_, StoreError>>()?;
            Ok((accounts, store.denials_from((&older.0, &older.1), SHOWN + 1)?))
        })
        .await?;
    let more_accounts = accounts.get(SHOWN).map(|(_, account)| account.name.clone());
    let more_denials = denials
        .get(SHOWN)
        .map(|entry| denial_id(&entry.kind, &entry.subject));
    let (pem, whose) = whose.unzip();
    let written = &generation.written;
    let policy = written.policy.as_ref();
    Ok(Administration {
        token: form::token(exchange, reader)?,
        accounts: accounts
            .into_iter()
            .take(SHOWN)
            .map(|(keys, account)| AccountRow {
                name: Text::from(account.name.as_str()),
                address: address("/access/account", &[("name", &account.name)]),
                is_me: account.name == reader.name(),
                groups: Text::new(account.all_groups().join(", ")),
                keys: keys.into_iter().map(|key| Digest::key(key.spki_sha256)).collect(),
                state: state_of(&account),
            })
            .collect(),
        more_accounts: more_accounts
            .map(|name| format!("{}#accounts", address("/access", &[("accounts", &name)]))),
        denials: denials
            .into_iter()
            .take(SHOWN)
            .map(|entry| DenialRow {
                id: denial_id(&entry.kind, &entry.subject),
                plain: pages::visible(&entry.shown),
                subject: Text::new(entry.shown),
                reason: Text::new(entry.reason.unwrap_or_default()),
                since: When::relative(entry.since, now),
            })
            .collect(),
        more_denials: more_denials.map(|id| format!("{}#denials", address("/access", &[("denials", &id)]))),
        pem: pem.unwrap_or_default(),
        whose,
        on_trial: policy.is_some_and(|policy| policy.mode == PolicyMode::Audit),
        policy: policy
            .map(|policy| {
                policy
                    .rules
                    .iter()
                    .map(|(place, rule)| policy_rule(place, rule))
                    .collect()
            })
            .unwrap_or_default(),
        identity: written
            .identity
            .as_ref()
            .map(|identity| {
                identity
                    .rules
                    .iter()
                    .map(|(place, rule)| identity_rule(place, rule))
                    .collect()
            })
            .unwrap_or_default(),
        listeners: state.config.listeners.iter().map(listener).collect(),
        cas: generation
            .client_cas()
            .map(|ca| {
                let until = ClientCertificate::new(ca.clone()).map(|ca| ca.not_after());
                CaRow {
                    subject: Text::new(name_text(ca.subject_name())),
                    until: until.map(|until| When::date_and_relative(until, now)),
                    state: until.map_or_else(
                        || Badge::new(State::Bad, "Cannot be read"),
                        |until| ending(until, now),
                    ),
                }
            })
            .collect(),
        lists: generation
            .revocation
            .lists()
            .into_iter()
            .map(|list| ListRow {
                issuer: Text::new(list.issuer),
                origin: Text::new(list.origin),
                made: When::relative(list.this_update, now),
                ends: When::relative(list.next_update, now),
                revoked: list.revoked,
                state: if list.next_update < now {
                    Badge::new(State::Bad, "Ended")
                } else {
                    Badge::new(State::Good, "Good")
                },
            })
            .collect(),
        generation: generation.number(),
        reload: state.last_reload.get().map(|last| {
            let outcome = match &last.refused {
                None => Badge::new(State::Good, "Taken up"),
                Some(_) => Badge::new(State::Bad, "Refused"),
            };
            (When::relative(last.at, now), outcome, last.refused.map(Text::new))
        }),
        warnings: generation.warnings(now).into_iter().map(Text::new).collect(),
    })
}

/// The state of an account.
pub fn state_of(account: &Account) -> Badge {
    match account.disabled_at {
        Some(_) => Badge::new(State::Plain, "Disabled"),
        None => Badge::new(State::Good, "Active"),
    }
}

fn ending(until: DateTime<Utc>, now: DateTime<Utc>) -> Badge {
    if until <= now {
        Badge::new(State::Bad, "Ended")
    } else if until - now < SOON {
        Badge::new(State::Warn, format!("Ends in {}", pages::length(until - now)))
    } else {
        Badge::new(State::Good, "Good")
    }
}
