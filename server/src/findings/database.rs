//! Examines the database without writing to it: whether it answers, whether the server would start with it, and whether
//! the server could write to it.

use platform::database::{DatabaseError, Location, Obstacle};

use super::Finding;
use crate::{
    config::Config,
    store::{Store, StoreError},
};

/// What a start would find. A missing SQLite file is no finding, because the start creates it; a database server that
/// does not answer is a note, because the start waits for it.
pub fn at_start(config: &Config) -> Vec<Finding> {
    match &config.storage {
        Location::Memory => return Vec::new(),
        Location::Sqlite(path) if !path.exists() => return Vec::new(),
        _ => {}
    }
    match Store::open_read_only(&config.storage) {
        Ok(store) => of_open(&store, config),
        Err(cause) if config.storage.is_embedded() => vec![Finding::refusal(format!("storage: {cause}"))],
        Err(cause) => vec![Finding::note(
            cause.to_string(),
            "the server starts all the same, answers 503, and goes on trying",
        )],
    }
}

/// Problems of a database that answers.
pub fn of_open(store: &Store, config: &Config) -> Vec<Finding> {
    match store.obstacles(config.storage_options) {
        Ok(obstacles) => obstacles.into_iter().map(finding).collect(),
        Err(StoreError::Connection(cause @ DatabaseError::Newer { .. })) => {
            vec![Finding::refusal(format!("storage: {cause}"))]
        }
        // What is wrong with a file does not pass by waiting.
        Err(cause) if config.storage.is_embedded() => vec![Finding::refusal(format!(
            "storage: the database {} cannot be used: {cause}",
            config.storage.place()
        ))],
        Err(cause) => vec![Finding::remark(format!(
            "whether the database takes writes is not known: {cause}"
        ))],
    }
}

fn finding(obstacle: Obstacle) -> Finding {
    let Obstacle {
        what,
        fix,
        refuses_start,
    } = obstacle;
    let what = format!("storage: {what}");
    let found = if refuses_start {
        Finding::refusal(what).fixed_by(fix)
    } else {
        Finding::broken(what, fix)
    };
    found.shown_as("unable to reach trust server at this time: 500.")
}
