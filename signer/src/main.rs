//! The signing service's command line.

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use platform::{
    args::with_double_dashes,
    database::Migrate,
    logging::{self, Format, Level, Log},
    signals, watch,
};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use signer::{app, check, config, reload::Reload, store};

/// Holds the snapshot and timestamp keys of a trust server and signs with them.
#[derive(Parser)]
#[command(name = "countersign-signer", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The configuration file (JSON, TOML or YAML; a Notary signer's file works without changes).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Refuse to start if the configuration file has an unknown key.
    #[arg(long)]
    strict: bool,
    /// Log everything, and allow debuggers and core dumps.
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
    /// Open stored keys with the configured passphrases, and report which cannot be used; changes nothing.
    Check(check::Options),
    /// Show or update the schema of the database that a configuration file names.
    Migrate {
        #[command(subcommand)]
        action: Migrate,
    },
}

fn main() -> ExitCode {
    platform::output::finish(command())
}

fn command() -> ExitCode {
    let arguments = Arguments::parse_from(with_double_dashes(std::env::args()));
    if let Some(Command::Check(options)) = &arguments.command {
        return check(options);
    }
    let log = logging::start(Level::Info, arguments.logf);
    match run(&arguments, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!("{cause}");
            ExitCode::FAILURE
        }
    }
}

fn check(options: &check::Options) -> ExitCode {
    let checked = keep_memory_private()
        .map_err(Box::from)
        .and_then(|()| check::run(options).map_err(Box::<dyn Error>::from));
    match checked {
        Ok(true) => ExitCode::SUCCESS,
        // The report has been printed.
        Ok(false) => ExitCode::FAILURE,
        Err(cause) => {
            platform::complain!("countersign-signer: {cause}");
            ExitCode::FAILURE
        }
    }
}

/// Passphrases and keys are in this process's memory: no debugger, no core dump.
fn keep_memory_private() -> std::io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

fn migrate(action: &Migrate) -> Result<(), Box<dyn Error>> {
    for line in action.run(config::ENVIRONMENT, &store::MIGRATIONS)? {
        platform::say!("{line}");
    }
    Ok(())
}

fn run(arguments: &Arguments, log: &Log) -> Result<(), Box<dyn Error>> {
    if let Some(Command::Migrate { action }) = &arguments.command {
        return migrate(action);
    }
    let path = arguments
        .config
        .as_deref()
        .ok_or("no configuration: use --config FILE")?;
    if !arguments.debug {
        keep_memory_private()?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        // Signals are caught before the signer can be reached, so that none that means "stop" or "reload" kills it.
        let (stop, hangups) = (signals::stop()?, signals::hangups()?);
        let as_read = watch::mark(path);
        let settings = config::load(path)?;
        let configured = config::log_level(&settings)?;
        let level = if arguments.debug { Level::Debug } else { configured };
        let control = log.control().clone();
        control.set(level);
        let config = config::Config::read(&settings, arguments.strict)?;
        // The command line has precedence over the file.
        let follows = (!arguments.debug).then(|| control.clone());
        tokio::spawn(async move {
            if let Err(cause) = control.follow_signals().await {
                tracing::warn!("SIGUSR1 and SIGUSR2 will not change the log level: {cause}");
            }
        });
        let reload = Reload::new(path, as_read, &config, arguments.strict, follows);
        let (server, generations) = app::start(config).await?;
        tokio::spawn(reload.run(generations, hangups));
        app::run(server, async {
            let signal = stop.requested().await;
            tracing::info!("stopping because of {signal}");
        })
        .await?;
        Ok(())
    })
}
