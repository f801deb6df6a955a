//! The command line of `account`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The configuration file that says where accounts are kept.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// An account on the command line.
#[derive(Debug, Clone, Args)]
pub struct Named {
    /// The account's name.
    pub name: String,
    #[command(flatten)]
    pub place: Place,
}

/// What to do with accounts.
#[derive(Debug, Clone, Subcommand)]
pub enum AccountCommand {
    /// Make an account, or give it these groups and rights if it is there.
    Add {
        #[command(flatten)]
        named: Named,
        /// A group that it belongs to; repeat for more.
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<String>,
        /// Give it administrator rights: it then belongs to the group admins.
        #[arg(long)]
        admin: bool,
        /// Whose it is, for people.
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
    /// Refuse whoever logs in with its keys, from the next request on.
    Disable(Named),
    /// Take it back.
    Enable(Named),
    /// Remove an account and its keys.
    Remove(Named),
    /// The keys of accounts.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

/// What to do with the keys of an account.
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Register a key: its certificates, renewed ones too, then log in as this account.
    Add {
        #[command(flatten)]
        named: Named,
        /// A certificate of the key, in PEM.
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
        /// What it is for, for people.
        #[arg(long)]
        label: Option<String>,
    },
    /// List the keys of an account.
    List(Named),
    /// Take a key from an account.
    Remove {
        #[command(flatten)]
        named: Named,
        /// Any of the three names that list shows.
        #[arg(value_name = "KEYID")]
        key: String,
    },
}
