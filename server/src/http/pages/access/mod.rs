//! `/access`: the reader's rights, and for administrators who has access and by which rules.

mod administration;
mod listed;
mod own_certificate;
mod rights;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::LOCATION},
};
use chrono::{DateTime, Utc};

use super::{
    form::{self, Form},
    only_browsers,
    reader::Reader,
    response, whose,
};
use crate::{
    access::{AccessChanges, Identified},
    http::{error::ApiError, exchange::Exchange, outcome::Outcome},
    identity::{Method, Principal},
    pages::{self, Certificate, Digest, Place, Question, Renewal, Text, When, Whose},
    revocation::Status,
};

pub(super) use administration::state_of;
pub use own_certificate::{new_certificate, own_certificate};

use administration::administration;
use rights::answer;

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

async fn show(
    exchange: &Exchange<'_>,
    reader: &Principal,
    whose: Option<(String, Whose)>,
    renewal: Option<Renewal>,
) -> Result<Outcome, ApiError> {
    let (state, generation) = (exchange.state, &exchange.generation);
    let now = state.clock.now();
    let renewal = match renewal {
        None if own_certificate::is_issued_to(exchange, reader) => Some(Renewal {
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
