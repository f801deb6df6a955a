//! `countersign`: the command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use countersign::commands::{
    Failure, Outcome,
    gate::{self, GateCommand},
    policy::{self, PolicyCommand},
    verify,
};

/// Verifies and signs images with Notary v1 trust data, and keeps unsigned ones from running.
#[derive(Parser)]
#[command(name = "countersign", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say whether images are signed as the policy demands: status 0 if all are, 1 if one is not, 2 if that cannot be
    /// decided.
    Verify(Box<verify::Options>),
    /// Check a policy, ask what it demands, or write one from another product's configuration.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Keep unsigned images from running, on Kubernetes, Docker Engine and containerd.
    Gate {
        #[command(subcommand)]
        command: Box<GateCommand>,
    },
}

fn main() -> ExitCode {
    platform::output::finish(run())
}

fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Verify(options) => verify::run(&options),
        Command::Policy { command } => policy::run(&command),
        Command::Gate { command } => gate::run(*command),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Denied) => ExitCode::from(1),
        Ok(Outcome::Undecided) => ExitCode::from(2),
        Err(Failure(message)) => {
            platform::complain!("countersign: {message}");
            ExitCode::from(2)
        }
    }
}
