//! `countersign-server`: the command line of the trust server.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use server::{
    app, check,
    config::Config,
    moving::{export, import, mirror},
    quickstart,
};

/// A Notary v1 trust server that knows its clients by their certificates.
#[derive(Parser)]
#[command(name = "countersign-server", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration file: that of a Notary server (JSON, TOML or YAML) starts this one unchanged.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Accepted for compatibility; set logging.level instead.
    #[arg(long, hide = true)]
    debug: bool,
    /// Accepted for compatibility; logs are always JSON.
    #[arg(long, hide = true, value_name = "FORMAT")]
    logf: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Make a development PKI, both configurations and client bundles in a directory.
    Quickstart(quickstart::Options),
    /// Read a configuration file and say what is wrong with it, without starting.
    CheckConfig {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Verify what is stored and ask the signer for the keys, and say what would fail; changes nothing.
    Check(check::Options),
    /// Write repositories with their whole history to a file.
    Export(export::Options),
    /// Take repositories from a file that export wrote.
    Import(import::Options),
    /// Take repositories from another Notary v1 server over its API.
    Mirror(mirror::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse_from(platform::args::with_double_dashes(std::env::args()));
    let outcome = match arguments.command {
        Some(Command::Quickstart(options)) => quickstart::run(&options).map_err(|error| error.to_string()),
        Some(Command::CheckConfig { config }) => check_config(&config),
        Some(Command::Check(options)) => match check::run(&options) {
            Ok(true) => Ok(()),
            // Everything has been said.
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error.to_string()),
        },
        Some(Command::Export(options)) => export::run(&options).map_err(|error| error.to_string()),
        Some(Command::Import(options)) => import::run(&options).map_err(|error| error.to_string()),
        Some(Command::Mirror(options)) => mirror::run(&options).map_err(|error| error.to_string()),
        None => match arguments.config {
            Some(path) => serve(&path),
            None => Err(
                "no configuration: use --config FILE, or make one with \"countersign-server quickstart\""
                    .into(),
            ),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("countersign-server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &std::path::Path) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|cause| format!("cannot start the runtime: {cause}"))?;
    runtime
        .block_on(app::run(path))
        .map_err(|error| error.to_string())
}

fn check_config(path: &std::path::Path) -> Result<(), String> {
    let (config, unknown_keys) = Config::load(path).map_err(|error| error.to_string())?;
    if let Some(tls) = &config.tls {
        tls.acceptor().map_err(|error| error.to_string())?;
    }
    for unknown in unknown_keys {
        match unknown.nearest {
            Some(nearest) => println!("warning: nobody reads {}; did you mean {nearest}?", unknown.key),
            None => println!("warning: nobody reads {}", unknown.key),
        }
    }
    println!("{} is fine", path.display());
    Ok(())
}
