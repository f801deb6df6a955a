//! `GET /`: what matters now.

use actix_web::http::StatusCode;

use super::{only_browsers, response, shell::shell};
use crate::{
    access::Identified,
    http::{api, error::ApiError, exchange::Exchange, outcome::Outcome},
    pages::{Badge, Gun, Overview, Place, Row, State, Text, When},
};

/// How many repositories the page shows.
const SHOWN: usize = 100;

/// The overview, for browsers.
pub async fn overview(exchange: &mut Exchange<'_>, grant: Identified) -> Result<Outcome, ApiError> {
    only_browsers(exchange.request)?;
    let (state, reader) = (exchange.state, grant.principal());
    let now = state.clock.now();
    let (repositories, more) = api::first(state, exchange.access(), reader, SHOWN).await?;
    let page = Overview {
        shell: shell(
            &state.config,
            &exchange.generation,
            exchange.request,
            Some(reader),
            Place::Overview,
        ),
        lead: Text::new(match (repositories.len(), more) {
            (0, _) => "There are no repositories that you may see.".to_owned(),
            (1, false) => "You may see one repository.".to_owned(),
            (count, false) => format!("You may see {count} repositories."),
            (_, true) => format!("You may see more than {SHOWN} repositories."),
        }),
        rows: repositories
            .iter()
            .map(|repository| Row {
                gun: Gun::new(repository.gun()),
                state: match repository.expires() {
                    Some(end) if end <= now => Badge::new(State::Bad, "Ended"),
                    _ if repository.is_signed() => Badge::new(State::Good, "Signed"),
                    _ => Badge::new(State::Plain, "Nothing signed"),
                },
                ends: repository.expires().map(When::date),
            })
            .collect(),
        groups: reader.groups().iter().map(|group| Text::from(&**group)).collect(),
    };
    Ok(response::page(&state.config, StatusCode::OK, &page)?.into())
}
