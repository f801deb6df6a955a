//! Measures the programs side by side with Notary's, and checks every answer meanwhile.

mod acceptor;
mod clients;
mod fault;
mod filling;
mod framework;
mod gate;
mod growth;
mod http;
mod load;
mod measurement;
mod options;
mod pages;
mod processes;
mod programs;
mod report;
mod repository;
mod run;
mod signer;
mod statements;
mod subject;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use options::{Command, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.command {
        Some(Command::Acceptor(options)) => acceptor::run(options).map(|()| true),
        Some(Command::Framework(options)) => framework::run(options).map(|()| true),
        Some(Command::Growth(options)) => growth::run(options),
        Some(Command::Gate(options)) => gate::run(options),
        Some(Command::Pages(options)) => pages::run(options),
        None => run::run(&options.run),
    };
    platform::output::finish(match outcome {
        Ok(true) => ExitCode::SUCCESS,
        // What failed has been told.
        Ok(false) => ExitCode::FAILURE,
        Err(cause) => {
            platform::complain!("countersign-bench: {cause}");
            ExitCode::FAILURE
        }
    })
}
