//! HTTP: the Notary contract. One page of routes, one file a handler group, one mapping of errors.

mod api;
mod authenticate;
mod body;
mod browser;
mod changefeed;
mod connection;
mod connections;
mod decision;
mod dispatch;
mod error;
mod exchange;
mod handshakes;
mod keys;
mod listener;
mod metadata;
mod multipart;
mod operation;
mod origin;
mod outcome;
mod pace;
mod path;
mod proxy_protocol;
mod repository;
mod routes;
mod stages;
mod status;

pub use listener::{ListenError, listen};
