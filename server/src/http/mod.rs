//! The HTTP interface, first of all the Notary contract. All routes are in one file, each group of handlers has a
//! file, and all errors are mapped in one.

mod api;
mod authenticate;
mod body;
mod browser;
mod caching;
mod changefeed;
mod connection;
mod connections;
mod decision;
mod dispatch;
mod error;
mod events;
mod exchange;
mod handshakes;
mod keys;
mod listener;
mod metadata;
mod multipart;
#[cfg(feature = "native")]
mod native;
mod operation;
mod origin;
mod outcome;
mod pace;
mod pages;
mod path;
mod proxy_protocol;
mod registry;
mod repository;
mod routes;
mod stages;
mod status;
mod tokens;

pub use listener::{ListenError, listen};
