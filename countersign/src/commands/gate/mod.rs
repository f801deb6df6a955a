//! `countersign gate`.

mod containerd;
mod render;
mod serve;

use clap::Subcommand;

use super::{Failure, Outcome};

/// What a gate does.
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Answer Kubernetes' API server, Gatekeeper, Docker Engine and plain questions, until stopped.
    Serve(Box<serve::Options>),
    /// Judge one image for containerd, which calls this itself; `gate render containerd` prints how to set it up.
    Containerd(Box<containerd::Options>),
    /// Print what has to be configured elsewhere, ready to be applied.
    Render {
        #[command(subcommand)]
        what: render::What,
    },
}

/// Runs the command.
///
/// # Errors
/// When something that the command line names cannot be used.
pub fn run(command: GateCommand) -> Result<Outcome, Failure> {
    match command {
        GateCommand::Serve(options) => serve::run(*options),
        GateCommand::Containerd(options) => containerd::run(&options),
        GateCommand::Render { what } => render::run(&what),
    }
}
