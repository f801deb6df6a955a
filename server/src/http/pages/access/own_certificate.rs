//! A certificate for the reader, by a client CA of the server's own.

use super::{
    super::{
        form::{self, Form},
        only_browsers,
        reader::Reader,
        response,
    },
    show, to_access,
};
use crate::{
    access::{Identified, OwnBundle},
    http::{api, error::ApiError, exchange::Exchange, outcome::Outcome},
    identity::Principal,
    pages::{NewCertificate, Place, Renewal, Text, When},
};

/// Whether the server issues a certificate to this reader.
pub(super) fn is_issued_to(exchange: &Exchange<'_>, reader: &Principal) -> bool {
    let generation = &exchange.generation;
    generation.issuing.is_some() && generation.access.authorize_bundle(reader).is_ok()
}

/// The page that makes a key in the browser. Whoever is issued no certificate is led to what they may do.
pub async fn new_certificate(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    let reader = grant.principal();
    if !is_issued_to(exchange, reader) {
        return to_access(exchange, grant).await;
    }
    let page = NewCertificate {
        shell: Reader::new(exchange, reader).await?.shell(Place::Access),
        name: Text::from(reader.name()),
    };
    Ok(response::asking_page(&exchange.state.config, &page)?.into())
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
