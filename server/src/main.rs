//! `countersign-server`: the command line of the trust server.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use platform::{
    database::Migrate,
    logging::{Format, Level},
};
#[cfg(feature = "native")]
use server::commands::tuf;
use server::commands::{
    account::{self, AccountCommand},
    audit::{self, AuditCommand},
    bundle::{self, BundleCommand, CaCommand},
    check, check_config, client_dirs,
    deny::{self, DenyCommand},
    doctor, expiry, migrate, policy, quickstart, serve,
    transfer::{export, import, mirror},
    webhook::{self, WebhookCommand},
    whoami,
};

/// A Notary v1 trust server that knows its clients by their certificates.
#[derive(Parser)]
#[command(name = "countersign-server", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration file: that of a Notary server (JSON, TOML or YAML) starts this one unchanged.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Refuse to start if the configuration file or the environment contains an unknown key.
    #[arg(long)]
    strict: bool,
    /// Log everything that helps to follow a request, whatever logging.level says.
    #[arg(long)]
    debug: bool,
    /// The format of log lines: json or logfmt.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    logf: Format,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Make a development PKI, both configurations and client bundles in a directory.
    Quickstart(quickstart::Options),
    /// Say which documents expire soon and what their owners have to do; status 1 if there are any.
    Expiry(expiry::Options),
    /// Read a configuration file and say what is wrong with it, without starting.
    CheckConfig(check_config::Options),
    /// Verify what is stored and ask the signer for the keys, and say what would fail; changes nothing.
    Check(check::Options),
    /// Look for what users get stuck on, and say what they would see and what to do; changes nothing.
    Doctor(doctor::Options),
    /// Say whom a certificate identifies, by which rule and why; status 1 if no rule matches.
    Whoami(whoami::Options),
    /// Put a certificate, its key and the server's CA where notary, docker and dockerd look for them.
    ClientDirs(client_dirs::Options),
    /// Run a client CA, if you have no PKI.
    Ca {
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Client bundles: a user's certificate, key, and what their programs need.
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Manage accounts and the keys that log in as them.
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Ask the policy of a configuration file what it decides.
    Policy {
        #[command(subcommand)]
        action: PolicyAction,
    },
    /// Write repositories with their whole history to a file.
    Export(export::Options),
    /// Take repositories from a file that export wrote.
    Import(import::Options),
    /// Take repositories from another Notary v1 server over its API.
    Mirror(mirror::Options),
    /// Manage the deny list: who is refused, whatever their certificate says.
    Deny {
        #[command(subcommand)]
        command: DenyCommand,
    },
    /// Show what webhooks were told, try them, and send events again.
    Webhook {
        #[command(subcommand)]
        command: WebhookCommand,
    },
    /// Show what was changed and by whom, and verify that the record is complete.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// TUF 1.0 repositories, as files.
    #[cfg(feature = "native")]
    Tuf {
        #[command(subcommand)]
        command: tuf::TufCommand,
    },
    /// Look at or change the schema of the database that a configuration file names.
    Migrate {
        #[command(subcommand)]
        action: Migrate,
    },
}

#[derive(Subcommand)]
enum PolicyAction {
    /// Say whether a principal may do something, by which rule and why; status 1 if not.
    Test(policy::Options),
}

fn main() -> ExitCode {
    platform::output::finish(run())
}

fn run() -> ExitCode {
    let arguments = Arguments::parse_from(platform::args::with_double_dashes(std::env::args()));
    let outcome = match arguments.command {
        Some(command) => run_command(command),
        None => match arguments.config {
            Some(path) => {
                let level = arguments.debug.then_some(Level::Debug);
                done(serve::run(&path, arguments.strict, level, arguments.logf))
            }
            None => Err(
                "no configuration: use --config FILE, or make one with \"countersign-server quickstart\""
                    .into(),
            ),
        },
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        // The command has already said why.
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            platform::complain!("countersign-server: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Returns true if the command did its work and found no problem.
fn run_command(command: Command) -> Result<bool, String> {
    match command {
        Command::Quickstart(options) => done(quickstart::run(&options)),
        Command::Expiry(options) => verdict(expiry::run(&options)),
        Command::CheckConfig(options) => done(check_config::run(&options)),
        Command::Check(options) => verdict(check::run(&options)),
        Command::Doctor(options) => Ok(doctor::run(&options)),
        Command::Whoami(options) => verdict(whoami::run(&options)),
        Command::ClientDirs(options) => done(client_dirs::run(&options)),
        Command::Ca { command } => done(bundle::run_ca(&command)),
        Command::Bundle { command } => done(bundle::run_bundle(&command)),
        Command::Account { command } => done(account::run(&command)),
        Command::Policy {
            action: PolicyAction::Test(options),
        } => verdict(policy::run(&options)),
        Command::Export(options) => done(export::run(&options)),
        Command::Import(options) => done(import::run(&options)),
        Command::Mirror(options) => done(mirror::run(&options)),
        Command::Deny { command } => done(deny::run(&command)),
        Command::Webhook { command } => verdict(webhook::run(&command)),
        Command::Audit { command } => verdict(audit::run(&command)),
        #[cfg(feature = "native")]
        Command::Tuf { command } => done(tuf::run(&command)),
        Command::Migrate { action } => done(migrate::run(&action)),
    }
}

fn done<E: std::fmt::Display>(outcome: Result<(), E>) -> Result<bool, String> {
    verdict(outcome.map(|()| true))
}

fn verdict<E: std::fmt::Display>(outcome: Result<bool, E>) -> Result<bool, String> {
    outcome.map_err(|error| error.to_string())
}
