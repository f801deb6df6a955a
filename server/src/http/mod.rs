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
mod handshakes;
mod keys;
mod listener;
mod metadata;
mod multipart;
mod origin;
mod outcome;
mod pace;
mod proxy_protocol;
mod repository;
mod routes;
mod status;

pub use listener::{ListenError, listen};
