//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tests::Engine;

use crate::{
    acceptor,
    fault::Result,
    gate, growth, pages,
    programs::{EngineName, Programs},
    subject::{Kind, Setup},
    workload::{Amount, WORKLOADS, Workload},
};

/// Measures Countersign beside Notary's programs and a bare acceptor, with every answer checked.
#[derive(Debug, Parser)]
#[command(name = "countersign-bench", args_conflicts_with_subcommands = true)]
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
    /// The same with the HTTP framework of our server; started by the others.
    #[command(hide = true)]
    Framework(acceptor::Options),
    /// Measures how cost grows with what is stored, connected or denied.
    Growth(growth::Options),
    /// Measures the decisions of `countersign gate serve`.
    Gate(gate::Options),
    /// Measures how long web pages take with many repositories.
    Pages(pages::Options),
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
    /// Leave out our programs.
    #[arg(long)]
    skip_ours: bool,
    /// Leave out the bare acceptor and the bare framework.
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
    /// The directory with another build of our programs, to compare the two.
    #[arg(long)]
    other: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
    /// Write a page with tables and plots into this directory.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl Run {
    /// What is measured.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        if !self.skip_floor {
            kinds.extend([Kind::Floor, Kind::Framework]);
        }
        if !self.skip_peer {
            kinds.push(Kind::Notary(Engine::Postgres));
        }
        let all = [EngineName::Postgres, EngineName::Sqlite, EngineName::Mysql];
        let engines = if self.skip_ours {
            &[]
        } else if self.engine.is_empty() {
            all.as_slice()
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
        let takes_long =
            |workload: &Workload| matches!(workload, Workload::CreateKeyAmong(_) | Workload::Publish(10_000));
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
        let seconds = self.seconds.unwrap_or(if self.quick { 0.8 } else { 3.0 });
        Amount {
            threads: self.threads,
            connections: self.connections,
            ..Amount::of(seconds)
        }
    }

    /// The programs.
    ///
    /// # Errors
    /// When it is not known where this program is.
    pub fn setup(&self) -> Result<Setup> {
        Ok(Setup {
            other: self.other.clone(),
            ..self.programs.setup()?
        })
    }
}
