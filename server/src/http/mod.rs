//! HTTP: the Notary contract. One page of routes, one file a handler group, one mapping of errors.

mod body;
mod changefeed;
mod connection;
mod dispatch;
mod error;
mod generation;
mod keys;
mod listener;
mod metadata;
mod multipart;
mod repository;
mod routes;
mod status;

pub use generation::Generation;
pub use listener::{ListenError, listen};
