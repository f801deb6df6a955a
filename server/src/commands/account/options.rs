//! The command line of `account`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The configuration file that says where accounts are stored.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// One account, as named on the command line.
#[derive(Debug, Clone, Args)]
pub struct Named {
    /// The account's name.
    pub name: String,
    #[command(flatten)]
    pub place: Place,
}

/// The subcommands of `account`.
#[derive(Debug, Clone, Subcommand)]
pub enum AccountCommand {
    /// Create an account, or change the groups and rights of an existing one.
    Add {
        #[command(flatten)]
        named: Named,
        /// A group that it belongs to; repeat for more.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Give it administrator rights; it then belongs to the group admins.
        #[arg(long)]
        admin: bool,
        /// The full name of its owner, for display.
        #[arg(long, value_name = "NAME")]
        full_name: Option<String>,
    },
    /// List the accounts with their keys.
    List {
        #[command(flatten)]
        place: Place,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Refuse clients that log in with its keys, from the next request on.
    Disable {
        #[command(flatten)]
        named: Named,
        /// The reason, for the list and the record.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Enable it again.
    Enable(Named),
    /// Remove an account and its keys.
    Remove(Named),
    /// Manage the keys of accounts.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

/// The subcommands of `account key`.
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Register a key: clients with certificates of it, including renewed ones, then log in as this account.
    Add {
        #[command(flatten)]
        named: Named,
        /// A certificate for the key, in PEM.
        #[arg(
            long = "cert",
            value_name = "FILE",
            required_unless_present = "public_key",
            conflicts_with = "public_key"
        )]
        certificate: Option<PathBuf>,
        /// The public key, in PEM.
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// What the key is for, for display.
        #[arg(long)]
        label: Option<String>,
        /// What people should know about it, such as where it is held.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// List the keys of an account.
    List(Named),
    /// Remove a key from an account.
    Remove {
        #[command(flatten)]
        named: Named,
        /// Any of the three names that "account key list" shows.
        #[arg(value_name = "KEYID")]
        key: String,
    },
}
