//! Reads and publishes to Notary v1 servers; keeps keys and verified state on disk.
//!
//! A [`Server`] is found by what a person gives and what docker and notary users have configured already
//! ([`Discovery`]). [`Server::read`] reads all documents of a repository, as they were at one moment, and verifies
//! nothing; [`Repositories::current`] reads, verifies and remembers, in memory and in a [`StateDirectory`].
//! [`Repositories::carried`] does the same with documents that somebody carried here in a file ([`Bundles`]).

#![forbid(unsafe_code)]

mod attestation;
mod failure;
pub mod keys;
#[cfg(feature = "native")]
pub mod native;
pub mod publish;
pub mod reading;
mod registry;
pub mod repositories;
pub mod server;
pub mod state;

pub use attestation::{Attestation, AttestationError, AttestationRecord};
pub use failure::ReadError;
pub use reading::{BundleError, Bundles};
pub use repositories::{Contact, Current, Demand, Following, Repositories, RootChange, RootSummary};
pub use server::{
    Connection, Credentials, Discovery, Identity, Server, ServerSettings, SettingsError, is_this_machine,
};
pub use state::{StateDirectory, StateError};
