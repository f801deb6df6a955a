//! The gate daemon: one process that is asked in many ways, and decides in one.

mod http;
mod listening;
mod plugin;
mod routes;
mod serve;
mod tls;

pub use serve::{GateSettings, PluginSettings, serve};
pub use tls::GateTls;
