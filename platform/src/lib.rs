//! What both daemons need: configuration, TLS, databases, logging and signals.

pub mod args;
pub mod config;
pub mod database;
pub mod descriptors;
pub mod files;
pub mod logging;
pub mod output;
pub mod pki;
pub mod progress;
pub mod reason;
pub mod report;
pub mod signals;
pub mod tls;
pub mod watch;
pub mod x509;
