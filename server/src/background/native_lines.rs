//! Reads TUF 1.0 repositories for the pages that list them, once somebody looks.

use actix_web::web;

use crate::{native, state::State};

/// Reads them for as long as the server runs; returns at once where there are none.
pub async fn run(state: web::Data<State>) {
    if state.config.native.is_some() {
        native::keep_lines(&state).await;
    }
}
