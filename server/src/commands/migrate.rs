//! `migrate`: shows or changes the schema of the database that a configuration file names.

use platform::database::{Migrate, MigrateError};

use crate::{config::ENVIRONMENT_PREFIX, store::MIGRATIONS};

/// Prints the result.
///
/// # Errors
/// When the configuration is refused or the database does not answer.
pub fn run(action: &Migrate) -> Result<(), MigrateError> {
    for line in action.run(ENVIRONMENT_PREFIX, &MIGRATIONS)? {
        platform::say!("{line}");
    }
    Ok(())
}
