//! The subcommands, one module each. Rules, records and findings that requests need as well are in the modules that
//! they are about.

pub mod account;
pub mod audit;
pub mod bundle;
pub mod check;
pub mod check_config;
pub mod client_dirs;
pub mod deny;
pub mod doctor;
pub mod expiry;
pub mod migrate;
pub mod policy;
pub mod quickstart;
pub mod serve;
pub mod transfer;
#[cfg(feature = "native")]
pub mod tuf;
pub mod webhook;
pub mod whoami;
