//! The subcommand `migrate`, for both programs.

use super::{DatabaseError, Location, pool, schema, schema::Migrations};
use crate::{
    args::ConfigFile,
    config::{ConfigError, Settings},
};

/// What to do about the schema.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Migrate {
    /// Say which migrations the database has; changes nothing.
    Status(ConfigFile),
    /// Apply the migrations that the database lacks.
    Up(ConfigFile),
}

/// Why `migrate` failed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The configuration does not say where the database is.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database does not answer, or refuses.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Migrate {
    /// Runs the subcommand on the database that the `storage` keys of the file, or of environment variables that begin
    /// with `prefix`, name; returns lines for the operator.
    ///
    /// # Errors
    /// When the database is not configured, does not answer, or was used by a newer version.
    pub fn run(&self, prefix: &'static str, migrations: &Migrations) -> Result<Vec<String>, MigrateError> {
        let (Self::Status(file) | Self::Up(file)) = self;
        let location = Location::read(&Settings::load(&file.config, prefix)?)?;
        let mut connection = pool::connect(&location, pool::Purpose::Write)?;
        let place = location.place();
        let (mut lines, summary): (Vec<String>, String) = match self {
            Self::Status(_) => {
                let steps = schema::status(&mut connection, migrations)?.into_iter();
                let line = |step: schema::Step| {
                    format!(
                        "{} {}",
                        if step.applied { "applied" } else { "missing" },
                        step.name
                    )
                };
                (steps.map(line).collect(), place)
            }
            Self::Up(_) => {
                let applied = schema::up(&mut connection, migrations)?.into_iter();
                (
                    applied.map(|name| format!("applied {name}")).collect(),
                    format!("{place} is up to date"),
                )
            }
        };
        lines.push(summary);
        Ok(lines)
    }
}
