//! `countersign-server`: the command line of the trust server.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use platform::{
    args::ConfigFile,
    database::Migrate,
    logging::{self, Format},
};
use server::{
    access::policy,
    accounts::{self, AccountCommand},
    app,
    audit::command::{self as audit, AuditCommand},
    check,
    clients::directories,
    config::{Config, ENVIRONMENT_PREFIX},
    doctor,
    findings::{self, Finding, Level},
    identity::whoami,
    issuing::{self, BundleCommand, CaCommand},
    moving::{export, import, mirror},
    quickstart, refresh, revocation,
    store::{self, Store},
};

/// A Notary v1 trust server that knows its clients by their certificates.
#[derive(Parser)]
#[command(name = "countersign-server", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration file: that of a Notary server (JSON, TOML or YAML) starts this one unchanged.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Start with no unknown key in the configuration file or the environment.
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
    Expiry {
        #[command(flatten)]
        file: ConfigFile,
        /// How far to look ahead, such as 90d.
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = humantime::parse_duration)]
        within: std::time::Duration,
    },
    /// Read a configuration file and say what is wrong with it, without starting.
    CheckConfig {
        #[command(flatten)]
        file: ConfigFile,
        /// Take no unknown key.
        #[arg(long)]
        strict: bool,
    },
    /// Verify what is stored and ask the signer for the keys, and say what would fail; changes nothing.
    Check(check::Options),
    /// Look for what users get stuck on, and say what they would see and what to do; changes nothing.
    Doctor(doctor::Options),
    /// Say who a certificate's holder is, by which rule and why; status 1 if nobody can tell.
    Whoami(whoami::Options),
    /// Put a certificate, its key and the server's CA where notary, docker and dockerd look for them.
    ClientDirs(directories::Options),
    /// A client CA for those who have no PKI.
    Ca {
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Client bundles: a user's certificate, key, and what their programs need.
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Accounts and the keys that log in as them.
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Ask the policy of a configuration file.
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
    /// Say who must not get in, whatever their certificates say.
    Deny {
        #[command(subcommand)]
        command: revocation::command::DenyCommand,
    },
    /// What was changed and by whom, and whether the record of it is whole.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Look at or change the schema of the database that a configuration file names.
    Migrate {
        #[command(subcommand)]
        action: Migrate,
    },
}

#[derive(Subcommand)]
enum PolicyAction {
    /// Say whether somebody may do something, by which rule and why; status 1 if not.
    Test(policy::test_command::Options),
}

fn main() -> ExitCode {
    platform::output::finish(run())
}

fn run() -> ExitCode {
    let arguments = Arguments::parse_from(platform::args::with_double_dashes(std::env::args()));
    let outcome = match arguments.command {
        Some(Command::Quickstart(options)) => quickstart::run(&options).map_err(|error| error.to_string()),
        Some(Command::CheckConfig { file, strict }) => check_config(&file.config, strict),
        Some(Command::Check(options)) => match check::run(&options) {
            Ok(true) => Ok(()),
            // Everything has been said.
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error.to_string()),
        },
        Some(Command::Doctor(options)) if doctor::run(&options) => Ok(()),
        Some(Command::Doctor(_)) => return ExitCode::FAILURE,
        Some(Command::Whoami(options)) => match whoami::run(&options) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error.to_string()),
        },
        Some(Command::Policy {
            action: PolicyAction::Test(options),
        }) => match policy::test_command::run(&options) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error.to_string()),
        },
        Some(Command::ClientDirs(options)) => directories::run(&options).map_err(|error| error.to_string()),
        Some(Command::Ca { command }) => issuing::run_ca(&command).map_err(|error| error.to_string()),
        Some(Command::Bundle { command }) => issuing::run_bundle(&command).map_err(|error| error.to_string()),
        Some(Command::Account { command }) => accounts::run(&command).map_err(|error| error.to_string()),
        Some(Command::Deny { command }) => {
            revocation::command::run(&command).map_err(|error| error.to_string())
        }
        Some(Command::Audit { command }) => match audit::run(&command) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error.to_string()),
        },
        Some(Command::Export(options)) => export::run(&options).map_err(|error| error.to_string()),
        Some(Command::Import(options)) => import::run(&options).map_err(|error| error.to_string()),
        Some(Command::Mirror(options)) => mirror::run(&options).map_err(|error| error.to_string()),
        Some(Command::Migrate { action }) => migrate(&action),
        Some(Command::Expiry { file, within }) => match expiry(&file.config, within) {
            Ok(false) => Ok(()),
            Ok(true) => return ExitCode::FAILURE,
            Err(message) => Err(message),
        },
        None => match arguments.config {
            Some(path) => serve(&path, arguments.strict, arguments.debug, arguments.logf),
            None => Err(
                "no configuration: use --config FILE, or make one with \"countersign-server quickstart\""
                    .into(),
            ),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            platform::complain!("countersign-server: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &std::path::Path, strict: bool, debug: bool, format: Format) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|cause| format!("cannot start the runtime: {cause}"))?;
    runtime
        .block_on(app::run(
            path,
            strict,
            debug.then_some(logging::Level::Debug),
            format,
        ))
        .map_err(|error| error.to_string())
}

fn migrate(action: &Migrate) -> Result<(), String> {
    let lines = action
        .run(ENVIRONMENT_PREFIX, &store::MIGRATIONS)
        .map_err(|error| error.to_string())?;
    for line in lines {
        platform::say!("{line}");
    }
    Ok(())
}

fn check_config(path: &std::path::Path, strict: bool) -> Result<(), String> {
    let findings = findings::at_start(path, strict, chrono::Utc::now());
    let (broken, notes): (Vec<_>, Vec<_>) = findings
        .iter()
        .filter(|found| found.level != Level::Fine)
        .partition(|found| found.level == Level::Broken);
    for note in notes {
        platform::say!("warning: {}", note.sentence());
    }
    if broken.is_empty() {
        platform::say!("{} is fine", path.display());
        return Ok(());
    }
    let broken: Vec<String> = broken.into_iter().map(Finding::sentence).collect();
    Err(broken.join("\n"))
}

/// Prints what expires; true if there is anything.
fn expiry(path: &std::path::Path, within: std::time::Duration) -> Result<bool, String> {
    let config = Config::load(path, false).map_err(|error| error.to_string())?;
    let store = Store::open_for_command(&config.storage, config.storage_options)
        .map_err(|error| error.to_string())?;
    let within = chrono::TimeDelta::from_std(within).map_err(|_| "--within is too long".to_owned())?;
    let lines =
        refresh::expiry::report(&store, chrono::Utc::now(), within).map_err(|error| error.to_string())?;
    if lines.is_empty() {
        platform::say!("nothing expires within {} days", within.num_days());
    }
    lines.iter().for_each(|line| platform::say!("{line}"));
    if lines.iter().any(|line| line.contains("notary ")) {
        platform::say!("Add -s and the URL of this server, and -d ~/.docker/trust if docker made the keys.");
    }
    Ok(!lines.is_empty())
}
