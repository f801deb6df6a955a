//! The gate daemon: one process that is asked in many ways, and decides in one.

mod http;
mod listening;
mod plugin;
mod routes;
mod serve;
mod tls;

pub use listening::ListenError;
pub use serve::{GateError, GateSettings, PluginSettings, serve};
pub use tls::{GateTls, GateTlsError};
