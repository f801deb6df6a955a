//! `countersign`: the command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
#[cfg(feature = "native")]
use countersign::commands::tuf::{self, TufCommand};
use countersign::commands::{
    Failure, Outcome, attest,
    bundle::{self, BundleCommand},
    documents::{self, CompletionsOptions, ManOptions},
    gate::{self, GateCommand},
    policy::{self, PolicyCommand},
    signing::{
        self, AnchorCommand, GunCommand, InitOptions, InspectOptions, KeyCommand, RevokeOptions, SignOptions,
        SignerCommand, WitnessOptions,
    },
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
    /// Attest images that are signed as the policy demands to cosign, podman and skopeo, with a key of its own that these
    /// trust: status 0 if all are, 1 if one is not signed so, 2 if it could not be done.
    Attest(Box<attest::Options>),
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
    /// Sign the digest of an image under its tag, and print the image with its digest.
    Sign(Box<SignOptions>),
    /// Take a tag out of what is signed.
    Revoke(Box<RevokeOptions>),
    /// Show the signed tags, signers, keys and dates of a repository.
    Inspect(Box<InspectOptions>),
    /// Begin the trust data of a repository: its root and its owner's key, and the server's keys.
    Init(Box<InitOptions>),
    /// Say who may sign a repository beside its owner.
    Signer {
        #[command(subcommand)]
        command: Box<SignerCommand>,
    },
    /// Make, list, keep and replace keys.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Sign roles again without changing what they say: after a change of keys, or before they end.
    Witness(Box<WitnessOptions>),
    /// Move trust data to another repository name.
    Gun {
        #[command(subcommand)]
        command: GunCommand,
    },
    /// Accept a repository that was deleted and made anew.
    Anchor {
        #[command(subcommand)]
        command: AnchorCommand,
    },
    /// Make, sign, publish, verify and download TUF 1.0 repositories.
    #[cfg(feature = "native")]
    Tuf {
        #[command(subcommand)]
        command: Box<TufCommand>,
    },
    /// Renew the certificate with which this machine's programs log in.
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Print the completions of a shell.
    Completions(CompletionsOptions),
    /// Write the manual pages into a directory.
    Man(ManOptions),
}

fn main() -> ExitCode {
    platform::output::finish(run())
}

fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Verify(options) => verify::run(&options),
        Command::Attest(options) => attest::run(&options),
        Command::Policy { command } => policy::run(&command),
        Command::Gate { command } => gate::run(*command),
        Command::Sign(options) => signing::sign(&options),
        Command::Revoke(options) => signing::revoke(&options),
        Command::Inspect(options) => signing::inspect(&options),
        Command::Init(options) => signing::init(&options),
        Command::Signer { command } => signing::signer(&command),
        Command::Key { command } => signing::key(&command),
        Command::Witness(options) => signing::witness(&options),
        Command::Gun { command } => signing::gun(&command),
        Command::Anchor { command } => signing::anchor(&command),
        #[cfg(feature = "native")]
        Command::Tuf { command } => tuf::run(&command),
        Command::Bundle { command } => bundle::run(&command),
        Command::Completions(options) => documents::completions(&options, Arguments::command()),
        Command::Man(options) => documents::man(&options, Arguments::command()),
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
