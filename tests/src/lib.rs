//! Starts real servers and drives real clients against them.
//!
//! `TestServer::builder().start()` gives a test its own trust server and signer, with their own databases, ports and
//! PKI, which end with the test.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails, and says where"
)]

pub mod alternator;
pub mod authority;
pub mod bridge;
pub mod browser;
pub mod certificate_table;
pub mod countersign;
pub mod craft;
pub mod database;
pub mod docker;
pub mod flows;
pub mod http;
pub mod issued_tokens;
pub mod judged;
pub mod messages;
pub mod mutation;
pub mod namespace;
pub mod native;
pub mod notary;
pub mod openssl_files;
pub mod operator;
pub mod password_users;
pub mod person;
pub mod pki;
pub mod process;
pub mod publisher;
mod records;
pub mod registry;
pub mod revocation;
pub mod server;
pub mod startup;
pub mod terminal;
pub mod token;
pub mod token_service;
pub mod web;

pub use authority::Authority;
pub use database::{Cluster, DatabaseServer, Databases, ENGINES, Engine, SERVED, Whose};
pub use http::{Client, Response};
pub use notary::Notary;
pub use pki::{ClientFiles, TestPki};
pub use process::{Finished, Stop};
pub use server::{Programs, TestServer};
