//! `/access`: the reader's rights, and for administrators who has access and by which rules.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::LOCATION},
};
use chrono::{DateTime, TimeDelta, Utc};
use platform::{
    config::{Text as Written, Texts},
    tls::ClientCertificate,
    x509::name_text,
};
use tuf::Gun as Name;

use super::{
    form::{self, Form},
    only_browsers,
    reader::Reader,
    response, whose,
};
use crate::{
    access::{
        AccessChanges, Identified, OwnBundle, Right,
        policy::{Action, Asking},
    },
    config::{Effect, IdentityRule, Listener, OwnKey, PolicyMode, PolicyRule, Serves},
    http::{
        api::{self, denial_id},
        error::ApiError,
        exchange::Exchange,
        outcome::Outcome,
    },
    identity::{Method, Principal},
    pages::{
        self, AccountRow, Administration, Answer, Badge, CaRow, Certificate, DenialRow, Digest, ListRow,
        ListenerRow, Place, Question, Renewal, RuleSays, State, Text, When, Whose, WrittenRule, address,
    },
    revocation::Status,
    store::Account,
};

/// How many accounts and denials are on a page.
const SHOWN: usize = 50;
/// Who is warned of a CA or list that ends before this long.
const SOON: TimeDelta = TimeDelta::days(30);

/// The page.
pub async fn access(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    show(exchange, grant.principal(), None, None).await
}

/// Leads to the page, for browsers that open the address of one of its forms again.
pub async fn to_access(exchange: &mut Exchange<'_>, _: Identified) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    let response = HttpResponse::SeeOther()
        .insert_header((LOCATION, "/access"))
        .finish();
    Ok(response.into())
}

/// The page, with whose certificate a form holds. Nothing is changed.
pub async fn whose_certificate(
    exchange: &mut Exchange<'_>,
    grant: AccessChanges,
) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    let form = Form::read(exchange).await?;
    let pem = form.get("pem").to_owned();
    let found = if form.is_of(exchange, grant.principal()) {
        whose::whose(exchange, &pem).await?
    } else {
        Whose::not_asked()
    };
    show(exchange, grant.principal(), Some((pem, found)), None).await
}

/// Issues a certificate for the key of a request that the reader pasted, and shows it.
pub async fn own_certificate(exchange: &mut Exchange<'_>, grant: OwnBundle) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    let form = Form::read(exchange).await?;
    let (request, reader) = (form.get("request").to_owned(), grant.principal());
    let mut renewal = Renewal {
        token: form::token(exchange, reader)?,
        request: request.clone(),
        refused: None,
        issued: None,
    };
    let mut remark = None;
    if form.is_of(exchange, reader) {
        match api::issue_for(exchange, &grant, &request).await {
            Ok((issued, done)) => {
                let until = issued.not_after;
                let until = until.map(|end| When::date_and_relative(end, exchange.state.clock.now()));
                renewal.issued = Some((issued.certificate, until));
                remark = Some(done);
            }
            Err(ApiError::Change(fault)) => renewal.refused = Some(Text::new(fault.to_string())),
            Err(other) => return Err(other),
        }
    } else {
        renewal.refused = Some(Text::from(
            "this form is older than the rules that are in force, or of another server; send it once more",
        ));
    }
    let outcome = show(exchange, reader, None, Some(renewal)).await?;
    Ok(outcome.remarked(remark))
}

async fn show(
    exchange: &Exchange<'_>,
    reader: &Principal,
    whose: Option<(String, Whose)>,
    renewal: Option<Renewal>,
) -> Result<Outcome, ApiError> {
    let (state, generation) = (exchange.state, &exchange.generation);
    let now = state.clock.now();
    let issues = generation.issuing.is_some() && generation.access.authorize_bundle(reader).is_ok();
    let renewal = match renewal {
        None if issues => Some(Renewal {
            token: form::token(exchange, reader)?,
            request: String::new(),
            refused: None,
            issued: None,
        }),
        renewal => renewal,
    };
    let is_admin = generation.access.authorize_access_changes(reader).is_ok();
    let query = Form::parse(exchange.query())?;
    let question = Question {
        gun: query.get("gun").to_owned(),
        action: query.get("action").to_owned(),
        name: query.get("as").to_owned(),
        groups: query.get("groups").to_owned(),
        of_others: is_admin,
    };
    let answer = if question.action.is_empty() {
        None
    } else {
        Some(answer(exchange, reader, &question).await?)
    };
    let administration = if is_admin {
        Some(administration(exchange, reader, &query, whose, now).await?)
    } else {
        None
    };
    let page = pages::Access {
        shell: Reader::new(exchange, reader).await?.shell(Place::Access),
        lead: lead(reader, is_admin),
        question,
        answer,
        certificate: certificate(reader, now),
        renewal,
        administration,
    };
    Ok(response::page(&state.config, StatusCode::OK, &page)?.into())
}

fn lead(reader: &Principal, is_admin: bool) -> Text {
    if reader.method() == Method::Anonymous {
        return Text::from("This server does not ask who you are on this address.");
    }
    let rule = reader
        .rule()
        .map_or_else(String::new, |rule| format!(", by the identity rule {rule}"));
    let groups = match reader.groups() {
        [] => "You are in no group".to_owned(),
        groups => format!("You are in the groups {}", groups.join(", ")),
    };
    let admin = if is_admin {
        ", and you administer this server"
    } else {
        ""
    };
    Text::new(format!("You are {}{rule}. {groups}{admin}.", reader.name()))
}

/// Answers a question as `policy test` does. Readers who are no administrators may ask about themselves, and learn the name
/// of the rule that decides.
async fn answer(
    exchange: &Exchange<'_>,
    reader: &Principal,
    question: &Question,
) -> Result<Answer, ApiError> {
    let plain = |sentence: String| Answer {
        allowed: false,
        sentence: Text::new(sentence),
        remark: None,
        rules: Vec::new(),
    };
    let action = match Action::parse(&question.action) {
        Ok(action) => action,
        Err(allowed) => {
            return Ok(plain(format!(
                "There is no action {:?}; {allowed}",
                question.action
            )));
        }
    };
    let gun = match question.gun.as_str() {
        "" => None,
        name => match Name::parse(name) {
            Ok(gun) => Some(gun),
            Err(cause) => return Ok(plain(format!("No repository is called {name:?}: {cause}"))),
        },
    };
    let access = &exchange.generation.access;
    let about_other = question.of_others && !question.name.is_empty() && question.name != reader.name();
    let Some(policy) = access
        .policy()
        .filter(|_| about_other || reader.method() != Method::Token)
    else {
        let right = Right::To(action);
        let allowed = access.check(reader, &right, gun.as_ref());
        return Ok(Answer {
            allowed: allowed.is_ok(),
            sentence: Text::new(match allowed {
                Ok(_) => format!("{} may {right}", reader.name()),
                Err(denied) => denied.to_string(),
            }),
            remark: access.policy().is_none().then(|| {
                Text::from("There is no policy: who is let in may do everything, but change who has access.")
            }),
            rules: Vec::new(),
        });
    };
    let anonymous = reader.method() == Method::Anonymous;
    let (name, groups) = if about_other {
        (Some(question.name.clone()), groups_of(exchange, question).await?)
    } else {
        (
            (!anonymous).then(|| reader.name().to_owned()),
            reader.groups().to_vec(),
        )
    };
    let asking = Asking {
        principal: name.as_deref(),
        groups: &groups,
        action: &action,
        gun: gun.as_ref().map(Name::as_str),
        image: None,
    };
    let verdict = policy.decide(&asking);
    let remark = if !verdict.allowed && !verdict.enforced {
        Some(
            "This is recorded only, and the request is carried out: the rule or the policy is on trial."
                .to_owned(),
        )
    } else if let Some(rule) = &verdict.would_deny {
        Some(format!("The rule {rule}, which is on trial, would deny it."))
    } else {
        let by = verdict.rule.as_ref().filter(|_| verdict.allowed);
        by.map(|rule| format!("The rule {rule} allows it."))
    };
    let rules = if question.of_others {
        policy.explain(&asking)
    } else {
        Vec::new()
    };
    Ok(Answer {
        allowed: verdict.permits(),
        sentence: Text::new(verdict.sentence(&asking)),
        remark: remark.map(Text::new),
        rules: rules
            .into_iter()
            .map(|trace| RuleSays {
                decides: verdict.rule.as_ref() == Some(&trace.rule),
                effect: match (trace.allows, trace.mode) {
                    (true, _) => "allow",
                    (false, PolicyMode::Enforce) => "deny",
                    (false, PolicyMode::Audit) => "deny, on trial",
                },
                says: Text::new(
                    trace
                        .why_not
                        .map_or_else(|| "applies".to_owned(), |why| format!("does not apply: {why}")),
                ),
                rule: Text::new(trace.rule),
            })
            .collect(),
    })
}

/// The groups that were typed, or those of the account of the name.
async fn groups_of(exchange: &Exchange<'_>, question: &Question) -> Result<Vec<String>, ApiError> {
    if !question.groups.is_empty() {
        return Ok(split(&question.groups));
    }
    let name = question.name.clone();
    let account = exchange
        .state
        .with_store(move |store| store.account(&name))
        .await?;
    Ok(account.map(|account| account.all_groups()).unwrap_or_default())
}

/// A list that was typed with commas or blanks in it.
pub(super) fn split(typed: &str) -> Vec<String> {
    let parts = typed.split([',', ' ', '\n', '\t']).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn certificate(reader: &Principal, now: DateTime<Utc>) -> Option<Certificate> {
    let verified = reader.certificate()?;
    Some(Certificate {
        subject: Text::new(verified.certificate.subject()),
        issuer: Text::new(verified.certificate.issuer()),
        serial: Text::new(verified.certificate.serial()),
        until: When::date_and_relative(verified.certificate.not_after(), now),
        revocation: Text::new(revocation(reader.revocation())),
        key: Digest::new(format!("sha256:{}", verified.facts.spki_sha256())),
    })
}

fn revocation(status: Option<&Status>) -> String {
    match status {
        Some(status) if status.fail_open.is_some() => {
            "not known, which the configuration tolerates".to_owned()
        }
        Some(status) if status.source != "none" => format!("not withdrawn, says {}", status.source),
        _ => "on no deny list; this server uses no list of its CA".to_owned(),
    }
}

async fn administration(
    exchange: &Exchange<'_>,
    reader: &Principal,
    query: &Form,
    whose: Option<(String, Whose)>,
    now: DateTime<Utc>,
) -> Result<Administration, ApiError> {
    let (state, generation) = (exchange.state, &exchange.generation);
    let (from, older) = (query.get("accounts").to_owned(), query.get("denials").to_owned());
    let older = crate::http::api::of_denial_id(&older).unwrap_or_default();
    let (accounts, denials) = state
        .with_store(move |store| {
            let accounts = store.accounts_from(&from, SHOWN + 1)?;
            let accounts: Vec<_> = accounts
                .into_iter()
                .map(|account| Ok((store.account_keys(&account.name)?, account)))
                .collect::<Result<_, crate::store::StoreError>>()?;
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
pub(super) fn state_of(account: &Account) -> Badge {
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

fn listener(listener: &Listener) -> ListenerRow {
    let addresses = listener.addresses.iter().map(ToString::to_string);
    ListenerRow {
        name: Text::from(listener.name.as_str()),
        addresses: Text::new(addresses.collect::<Vec<_>>().join(", ")),
        asks: if listener.demands() {
            "demanded in the handshake"
        } else if listener.proxy_trust.takes_certificates() {
            "handed on by proxies"
        } else if listener.asks() {
            "asked for; refused with a reason"
        } else {
            "not asked for"
        },
        serves: match listener.serves {
            Serves::All => "everything",
            Serves::AllButPages => "everything but pages",
            Serves::Health => "health, metrics",
        },
    }
}

fn joined(texts: &Texts) -> Text {
    Text::new(texts.0.join(", "))
}

fn policy_rule(place: &str, rule: &PolicyRule) -> WrittenRule {
    let on_trial = rule.mode == Some(PolicyMode::Audit);
    let values = [
        ("principals", rule.principals.as_ref().map(joined)),
        ("unless", rule.unless.as_ref().map(joined)),
        ("actions", rule.actions.as_ref().map(joined)),
        ("guns", rule.guns.as_ref().map(joined)),
        (
            "require_own_key",
            rule.require_own_key.as_ref().map(|own| match own {
                OwnKey::EveryRole(every) => Text::new(every.to_string()),
                OwnKey::Roles(roles) => Text::new(roles.join(", ")),
            }),
        ),
    ];
    WrittenRule {
        name: named(rule.name.as_ref(), place),
        what: Text::from(match (rule.effect, on_trial) {
            (Some(Effect::Deny), true) => "deny, on trial",
            (Some(Effect::Deny), false) => "deny",
            _ => "allow",
        }),
        values: values
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    }
}

fn identity_rule(place: &str, rule: &IdentityRule) -> WrittenRule {
    let text = |text: &Option<Written>| text.as_ref().map(|text| Text::from(text.0.as_str()));
    let list = |texts: &Texts| (!texts.0.is_empty()).then(|| joined(texts));
    let patterns = rule.patterns.as_ref().map(|patterns| {
        let patterns = patterns
            .iter()
            .map(|(field, pattern)| format!("{field} = {}", pattern.0));
        Text::new(patterns.collect::<Vec<_>>().join(", "))
    });
    let require = rule.require.as_ref();
    let values = [
        ("preset", text(&rule.preset)),
        (
            "issuer.ca",
            rule.issuer.as_ref().and_then(|issuer| text(&issuer.ca)),
        ),
        ("match", patterns),
        ("groups", list(&rule.groups)),
        ("groups_from", list(&rule.groups_from)),
        ("transform", text(&rule.transform)),
        ("require.eku", require.and_then(|require| list(&require.eku))),
        (
            "require.max_lifetime",
            require.and_then(|require| text(&require.max_lifetime)),
        ),
        (
            "require.min_rsa_bits",
            require.and_then(|require| Some(Text::new(require.min_rsa_bits?.to_string()))),
        ),
        (
            "require.min_ec_bits",
            require.and_then(|require| Some(Text::new(require.min_ec_bits?.to_string()))),
        ),
        (
            "require.key_types",
            require.and_then(|require| require.key_types.as_ref().map(joined)),
        ),
        (
            "require.digests",
            require.and_then(|require| require.digests.as_ref().map(joined)),
        ),
    ];
    WrittenRule {
        name: named(rule.name.as_ref(), place),
        what: rule.principal.as_ref().map_or_else(
            || Text::from("by the preset"),
            |principal| Text::from(principal.0.as_str()),
        ),
        values: values
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    }
}

fn named(name: Option<&Written>, place: &str) -> Text {
    Text::from(name.map_or(place, |name| name.0.as_str()))
}
