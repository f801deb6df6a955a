//! The trust server: knows its clients by certificate, validates and stores TUF metadata.
//!
//! Two floors. On the path of a request data flows one way: [`http`] accepts a connection, [`identity`] and
//! [`revocation`] make a principal of its certificate, [`access`] grants the action, [`publish`] and [`refresh`]
//! validate and sign, [`store`] holds the documents, [`audit`] records what was decided and changed. [`commands`] are
//! what an operator types, one module a command.

#![forbid(unsafe_code)]

pub mod access;
pub mod administration;
pub mod app;
pub mod audit;
pub mod background;
pub mod clients;
pub mod clock;
pub mod commands;
pub mod config;
pub mod confirmed;
pub mod events;
pub mod findings;
pub mod form_key;
pub mod generation;
pub mod http;
pub mod identity;
pub mod issuing;
#[cfg(feature = "native")]
pub mod native;
pub mod pages;
pub mod publish;
pub mod refresh;
pub mod registry;
pub mod revocation;
pub mod server_ca;
pub mod shared_documents;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod tokens;
pub mod turns;
pub mod upload_memory;
