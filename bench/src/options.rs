//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use tests::Engine;

use crate::{
    acceptor,
    fault::Result,
    subject::{Kind, Setup},
    workload::{Amount, WORKLOADS, Workload},
};

/// Measures Countersign beside Notary's programs and a bare acceptor, with every answer checked.
#[derive(Debug, Parser)]
#[command(name = "countersign-bench")]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answers every request with the same, as the floor of all measurements; started by the others.
    #[command(hide = true)]
    Acceptor(acceptor::Options),
}

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

/// What to measure, and how long.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Measure for a short time only: for a look, not for figures to publish.
    #[arg(long)]
    pub quick: bool,
    /// Only these workloads, such as v2, timestamp, targets, by-version, by-checksum, new-connection, publish-10, mixed,
    /// sign-8, create-key-8.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Workload>,
    /// Our programs on these databases only.
    #[arg(long, value_enum, value_delimiter = ',')]
    engine: Vec<EngineName>,
    /// Leave out Notary's programs.
    #[arg(long)]
    skip_peer: bool,
    /// Leave out the bare acceptor.
    #[arg(long)]
    skip_floor: bool,
    /// Seconds that each round is measured.
    #[arg(long)]
    seconds: Option<f64>,
    /// Rounds, each of which measures everybody once.
    #[arg(long)]
    rounds: Option<usize>,
    /// The threads of the load generator.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Connections of readers and newcomers, instead of 16 and 8.
    #[arg(long)]
    connections: Option<usize>,
    /// The directory with our programs, instead of that of this program.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// The directory with another build of our programs, to compare the two.
    #[arg(long)]
    other: Option<PathBuf>,
    /// The level at which all programs log.
    #[arg(long, default_value = "info")]
    log_level: String,
    /// Write a page with tables and plots into this directory.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl Run {
    /// What is measured.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        if !self.skip_floor {
            kinds.push(Kind::Floor);
        }
        if !self.skip_peer {
            kinds.push(Kind::Notary(Engine::Postgres));
        }
        let all = [EngineName::Postgres, EngineName::Sqlite, EngineName::Mysql];
        let engines = if self.engine.is_empty() {
            &all
        } else {
            self.engine.as_slice()
        };
        for engine in engines {
            kinds.push(Kind::Ours((*engine).into()));
            if self.other.is_some() {
                kinds.push(Kind::Other((*engine).into()));
            }
        }
        kinds
    }

    /// With what.
    pub fn workloads(&self) -> Vec<Workload> {
        if !self.only.is_empty() {
            return self.only.clone();
        }
        let takes_long = |workload: &Workload| matches!(workload, Workload::CreateKeyAmong(_));
        let all = WORKLOADS.into_iter();
        all.filter(|workload| !(self.quick && takes_long(workload)))
            .collect()
    }

    /// How often.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    /// How long.
    pub fn amount(&self) -> Amount {
        let seconds = self.seconds.unwrap_or(if self.quick { 0.8 } else { 4.0 });
        let measured = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1));
        Amount {
            warm_up: (measured / 4).min(Duration::from_secs(1)),
            measured,
            threads: self.threads,
            connections: self.connections,
        }
    }

    /// The programs.
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
            other: self.other.clone(),
            log_level: self.log_level.clone(),
        })
    }
}
