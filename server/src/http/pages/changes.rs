//! `/access/account`, `/access/confirm` and `/access/change`: changes to who has access, by forms. What locks somebody out is
//! asked for once more. Every form carries a token, and every change goes through the same functions as that of a program.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::LOCATION},
};

use super::{
    access::{split, state_of},
    form::{self, Form},
    only_browsers,
    reader::Reader,
    response,
};
use crate::{
    access::AccessChanges,
    administration::{ChangeRefused, KeyText, Named, would_lock_out},
    http::{
        api::{
            self, AccountState, ChangeFault, KeyCertificate, KeyNotes, WantedAccount, WantedDenial, WantedKey,
        },
        error::ApiError,
        exchange::Exchange,
        outcome::Outcome,
    },
    pages::{self, Confirm, Digest, Existing, KeyRow, Place, Text, When, address},
    store::SecurityChange,
};

/// What a denial and a removal do not do.
const SIGNATURES_STAY: &str = "What was signed stays good. This closes the door; it takes no signature back. If a key is in wrong \
                               hands, replace it in the roles as well.";
/// What is said where a form is not of its sender.
const STALE: &str =
    "This form was made before the server took up other rules, or by another server: look at it once more.";

/// One account, or a form for a new one.
pub async fn account(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    let state = exchange.state;
    let now = state.clock.now();
    let query = Form::parse(exchange.query())?;
    let name = query.get("name").to_owned();
    let found = match name.as_str() {
        "" => None,
        name => {
            let account = api::find_account(state, name).await?;
            let of = account.name.clone();
            let keys = state.with_store(move |store| store.account_keys(&of)).await?;
            Some((account, keys))
        }
    };
    let doing = |what: &str, more: &[(&str, &str)]| {
        let pairs = [&[("do", what), ("name", name.as_str())], more].concat();
        address("/access/confirm", &pairs)
    };
    let account = found.as_ref().map(|(account, _)| account);
    let page = pages::Account {
        shell: Reader::new(exchange, grant.principal())
            .await?
            .shell(Place::Access),
        token: form::token(exchange, grant.principal())?,
        full_name: account
            .and_then(|account| account.full_name.clone())
            .unwrap_or_default(),
        groups: account
            .map(|account| account.groups.join(", "))
            .unwrap_or_default(),
        is_admin: account.is_some_and(|account| account.is_admin),
        existing: found.as_ref().map(|(account, keys)| Existing {
            name: Text::from(account.name.as_str()),
            state: state_of(account),
            disabled: account.disabled_at.map(|since| {
                let why = account.disabled_reason.as_deref().unwrap_or_default();
                (When::relative(since, now), Text::from(why))
            }),
            keys: keys
                .iter()
                .map(|key| KeyRow {
                    id: Digest::key(key.spki_sha256.clone()),
                    label: Text::from(key.label.as_deref().unwrap_or_default()),
                    note: Text::from(key.note.as_deref().unwrap_or_default()),
                    key: key.spki_sha256.clone(),
                    noted: [&key.label, &key.note].map(|text| text.clone().unwrap_or_default()),
                    since: When::relative(key.created_at, now),
                    remove: doing("key.remove", &[("key", &key.spki_sha256)]),
                    plain: pages::visible(key.label.as_deref().unwrap_or(&key.spki_sha256)),
                })
                .collect(),
            disable: doing("account.disable", &[]),
            remove: doing("account.remove", &[]),
        }),
        name: name.clone(),
    };
    Ok(response::page(&state.config, StatusCode::OK, &page)?.into())
}

/// Asks whether something is meant, of what takes access away. A link of another site may lead here, with fields that nobody sees:
/// what gives access is asked about only after its own form was sent.
pub async fn confirm(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    let form = Form::parse(exchange.query())?;
    if !["account.disable", "account.remove", "key.remove", "deny"].contains(&form.get("do")) {
        return Err(ChangeFault::NoForm.into());
    }
    ask(exchange, &grant, &form, StatusCode::OK, None).await
}

/// Does what a form asks for, and leads to the page that shows it.
pub async fn change(exchange: &mut Exchange<'_>, grant: AccessChanges) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    let form = Form::read(exchange).await?;
    if !form.is_of(exchange, grant.principal()) {
        return ask(
            exchange,
            &grant,
            &form,
            StatusCode::CONFLICT,
            Some(STALE.to_owned()),
        )
        .await;
    }
    if let Some(typed) = to_type(&form)
        && form.get("sure") != typed
    {
        let refused = format!("Nothing was changed: type {typed} to say that you mean it.");
        return ask(exchange, &grant, &form, StatusCode::CONFLICT, Some(refused)).await;
    }
    match carry_out(exchange, &grant, &form).await {
        Ok((remark, place)) => {
            let response = HttpResponse::SeeOther().insert_header((LOCATION, place)).finish();
            Ok(Outcome::from(response).remarked(Some(remark)))
        }
        Err(ApiError::Change(ChangeFault::Refused(ChangeRefused::LocksOut(why)))) => {
            let refused = format!("Nothing was changed: {why}.");
            ask(exchange, &grant, &form, StatusCode::CONFLICT, Some(refused)).await
        }
        Err(other) => Err(other),
    }
}

/// What has to be typed before something is done that is hard to undo.
fn to_type(form: &Form) -> Option<&str> {
    match form.get("do") {
        "account.disable" | "account.remove" => Some(form.get("name")),
        "deny" => Some(form.get("principal")).filter(|name| !name.is_empty()),
        _ => None,
    }
}

/// Carries out what a form asks for; returns what was done, and where it shows.
async fn carry_out(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    form: &Form,
) -> Result<(String, String), ApiError> {
    let confirmed = match form.get("confirm") {
        "" => false,
        "lock-out" => true,
        _ => return Err(ChangeFault::NoForm.into()),
    };
    let name = form.get("name");
    let of_account = || address("/access/account", &[("name", name)]);
    let accounts = || "/access#accounts".to_owned();
    let reason = form.some("reason");
    match form.get("do") {
        "account.put" => {
            let wanted = WantedAccount {
                name: name.to_owned(),
                full_name: form.some("full_name"),
                is_admin: form.get("admin") == "yes",
                groups: split(form.get("groups")),
            };
            let changed = api::put_account(exchange, grant, &wanted, confirmed).await?;
            Ok((changed.remark, of_account()))
        }
        what @ ("account.disable" | "account.enable") => {
            let wanted = AccountState {
                is_active: what == "account.enable",
                reason,
            };
            let changed = api::switch_account(exchange, grant, name, wanted, confirmed).await?;
            Ok((changed.remark, of_account()))
        }
        "account.remove" => Ok((
            api::delete_account(exchange, grant, name, confirmed).await?,
            accounts(),
        )),
        "key.add" => {
            let pem = form.get("pem");
            let is_certificate = is_certificate(form);
            let certificate = KeyCertificate {
                label: String::new(),
                cert: pem.to_owned(),
            };
            let wanted = WantedKey {
                label: form.some("label"),
                public_key: (!is_certificate).then(|| pem.to_owned()),
                certificates: is_certificate.then_some(certificate).into_iter().collect(),
                note: form.some("note"),
            };
            let changed = api::register_key(exchange, grant, name, &wanted, confirmed).await?;
            Ok((changed.remark, of_account()))
        }
        "key.note" => {
            let notes = KeyNotes {
                label: Some(form.some("label")),
                note: Some(form.some("note")),
            };
            let key = (name, form.get("key"));
            let changed = api::describe_named_key(exchange, grant, key, notes).await?;
            Ok((changed.remark, of_account()))
        }
        "key.remove" => {
            let key = (name, form.get("key"));
            Ok((
                api::remove_named_key(exchange, grant, key, confirmed).await?,
                of_account(),
            ))
        }
        "deny" => {
            let changed = api::deny_subject(exchange, grant, &denial(form), confirmed).await?;
            Ok((changed.remark, "/access#denials".to_owned()))
        }
        "undo" => {
            let remark = api::undo_by_id(exchange, grant, form.get("id"), reason).await?;
            Ok((remark, "/access#denials".to_owned()))
        }
        "renew" => {
            let gun = form.get("gun");
            let outcome = api::renew_named(exchange, grant, gun).await?;
            let place = address("/repository/commands", &[("gun", gun), ("renewal", outcome)]);
            Ok((format!("{gun}: {outcome}"), place))
        }
        "reload" => {
            let (_, remark) = api::reload_now(exchange.state).await?;
            Ok((remark, "/access#reload".to_owned()))
        }
        _ => Err(ChangeFault::NoForm.into()),
    }
}

fn denial(form: &Form) -> WantedDenial {
    WantedDenial {
        principal: form.some("principal"),
        spki_sha256: form.some("spki"),
        serial: form.some("serial"),
        issuer: form.some("issuer"),
        reason: form.some("reason"),
        ..WantedDenial::default()
    }
}

/// The page that asks whether what a form asks for is meant.
async fn ask(
    exchange: &Exchange<'_>,
    grant: &AccessChanges,
    form: &Form,
    status: StatusCode,
    refused: Option<String>,
) -> Result<Outcome, ApiError> {
    let reader = grant.principal();
    let name = form.get("name").to_owned();
    let of_account = address("/access/account", &[("name", &name)]);
    let words = |title: String, lead: &str, button: &str| (title, lead.to_owned(), button.to_owned());
    let (title, lead, button) = match form.get("do") {
        "account.disable" => words(
            format!("Disable {name}?"),
            "From the next request on, nobody comes in as this account, with any certificate of its keys.",
            "Disable it",
        ),
        "account.remove" => words(
            format!("Remove {name}?"),
            "The account and its keys are forgotten. Certificates of its keys may still get a name from another identity rule.",
            "Remove it",
        ),
        "key.remove" => words(
            format!("Remove a key of {name}?"),
            "Certificates of this key no longer come in as this account. They may still get a name from another identity rule.",
            "Remove the key",
        ),
        "deny" => {
            let subject = subject(form)?;
            words(
                format!("Deny {subject}?"),
                "From the next request on, whoever comes so is refused, on connections that are open too.",
                "Deny it",
            )
        }
        "account.put" => words(
            format!("Change {name}?"),
            "Groups decide what the policy allows to an account.",
            "Change it so",
        ),
        "account.enable" => words(format!("Enable {name}?"), "Its keys let in again.", "Enable it"),
        "key.add" => words(
            format!("Register a key to {name}?"),
            "Every certificate of this key comes in as this account.",
            "Register it",
        ),
        "key.note" => words(
            format!("Change what is noted about a key of {name}?"),
            "Label and note are for people. They decide nothing.",
            "Change it so",
        ),
        "undo" => words(
            "Take back a denial?".to_owned(),
            "Whoever it was about may come in again.",
            "Take it back",
        ),
        "renew" => words(
            format!("Renew {}?", form.get("gun")),
            "What this server signs of it, and what ends soon, is signed anew.",
            "Renew now",
        ),
        "reload" => words(
            "Reload?".to_owned(),
            "The configuration and its files are taken up as they are now, or refused as a whole.",
            "Reload now",
        ),
        _ => return Err(ChangeFault::NoForm.into()),
    };
    let locks_out = match becomes(exchange, form).await? {
        Some(change) => would_lock_out(exchange.state, &exchange.generation, reader, &change).await?,
        None => None,
    };
    let what = form.get("do");
    let page = Confirm {
        shell: Reader::new(exchange, reader).await?.shell(Place::Access),
        token: form::token(exchange, reader)?,
        title: Text::new(title),
        lead: Text::new(lead),
        refused: refused.map(Text::new),
        note: matches!(what, "account.disable" | "account.remove" | "key.remove" | "deny")
            .then_some(SIGNATURES_STAY),
        locks_out: locks_out.map(Text::new),
        fields: form.again(),
        typed: to_type(form).map(Text::from),
        asks_reason: matches!(what, "account.disable" | "deny" | "undo"),
        button,
        back: match what {
            "deny" | "undo" => "/access#denials".to_owned(),
            "reload" => "/access#reload".to_owned(),
            "renew" => address("/repository/commands", &[("gun", form.get("gun"))]),
            "account.put" if name.is_empty() => "/access#accounts".to_owned(),
            _ => of_account,
        },
    };
    Ok(response::page(&exchange.state.config, status, &page)?.into())
}

/// Whether a key was pasted as a certificate of it.
fn is_certificate(form: &Form) -> bool {
    form.get("pem").contains("BEGIN CERTIFICATE")
}

/// Whom a denial names.
fn subject(form: &Form) -> Result<String, ApiError> {
    Ok(denial(form).named()?.subject.to_string())
}

/// What a form would do to who has access, as far as it may lock out anybody.
async fn becomes(exchange: &Exchange<'_>, form: &Form) -> Result<Option<SecurityChange>, ApiError> {
    let name = form.get("name");
    Ok(match form.get("do") {
        "account.disable" => Some(SecurityChange::Disabled(name.to_owned())),
        "account.remove" => Some(SecurityChange::Removed(name.to_owned())),
        "account.put" => {
            let now = exchange.state.clock.now();
            let groups = split(form.get("groups"));
            let is_admin = form.get("admin") == "yes";
            let account = crate::administration::account(name, &groups, is_admin, None, now)?;
            Some(api::registered(&account))
        }
        "key.add" => {
            let pem = form.get("pem").as_bytes();
            let text = if is_certificate(form) {
                KeyText::Certificate(pem)
            } else {
                KeyText::PublicKey(pem)
            };
            let key = text.read(None, None, exchange.state.clock.now())?;
            Some(SecurityChange::Key(key.spki_sha256, name.to_owned()))
        }
        "key.remove" => Some(SecurityChange::NoKey(form.get("key").to_owned())),
        "deny" => {
            let Named { subject, .. } = denial(form).named()?;
            Some(SecurityChange::Denied(subject))
        }
        _ => None,
    })
}
