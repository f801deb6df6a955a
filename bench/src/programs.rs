//! The options that say which programs are measured, on which databases.

use std::path::PathBuf;

use clap::ValueEnum;
use tests::Engine;

use crate::{fault::Result, subject::Setup};

/// A kind of database, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineName {
    Sqlite,
    Postgres,
    Mysql,
}

impl From<EngineName> for Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Sqlite => Self::Sqlite,
            EngineName::Postgres => Self::Postgres,
            EngineName::Mysql => Self::Mysql,
        }
    }
}

/// Which programs are measured.
#[derive(Debug, clap::Args)]
pub struct Programs {
    /// The directory with our programs, instead of that of this program.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// The level at which all programs log.
    #[arg(long, default_value = "info")]
    log_level: String,
}

impl Programs {
    /// How they are started.
    ///
    /// # Errors
    /// When it is not known where this program is.
    pub fn setup(&self) -> Result<Setup> {
        let beside = std::env::current_exe()?;
        let programs = match &self.programs {
            Some(directory) => directory.clone(),
            None => beside.parent().unwrap_or(&beside).to_path_buf(),
        };
        Ok(Setup {
            programs,
            other: None,
            log_level: self.log_level.clone(),
        })
    }
}
