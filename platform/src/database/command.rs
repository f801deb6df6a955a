//! The subcommand `migrate`, for both programs.

use super::{DatabaseError, Location, pool, schema, schema::Migrations};
use crate::config::{ConfigError, Settings};

/// What to do about the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrateAction {
    /// Say which migrations the database has; change nothing.
    Status,
    /// Apply those it lacks.
    Up,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The configuration does not say where the database is.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer, or refuses.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Does it with the database that the `storage` keys name; returns lines for the operator.
///
/// # Errors
/// When the database is not configured, does not answer, or was used by a newer version.
pub fn migrate(
    settings: &Settings,
    action: MigrateAction,
    migrations: &Migrations,
) -> Result<Vec<String>, MigrateError> {
    let location = Location::read(settings)?;
    let mut connection = pool::connect(&location, pool::Purpose::Write)?;
    let place = location.place();
    let lines = match action {
        MigrateAction::Status => schema::status(&mut connection, migrations)?
            .into_iter()
            .map(|step| {
                format!(
                    "{} {}",
                    if step.applied { "applied" } else { "missing" },
                    step.name
                )
            })
            .collect(),
        MigrateAction::Up => schema::up(&mut connection, migrations)?
            .into_iter()
            .map(|name| format!("applied {name}"))
            .collect(),
    };
    let summary = match action {
        MigrateAction::Up => format!("{place} is up to date"),
        MigrateAction::Status => place,
    };
    Ok([lines, vec![summary]].concat())
}
