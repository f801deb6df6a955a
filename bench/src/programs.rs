//! The options that say which programs are measured, on which databases.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;
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
    /// A setting of our server, as in --set reads.max_staleness=1s, to find out what it costs. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(&'static str, Value)>,
}

/// Reads a dotted key and a value: JSON, or else a text.
fn setting(text: &str) -> std::result::Result<(&'static str, Value), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    // Kept for as long as the program runs, as everything about servers that are started.
    Ok((String::leak(key.to_owned()), value))
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
            settings: self.settings.clone(),
        })
    }
}
