//! The signing service: holds snapshot and timestamp keys and signs with them.
//!
//! The path of a call: [`grpc`] admits the caller and reads the message, [`keyring`] finds or makes the key, [`policy`]
//! judges what is to be signed, [`store`] makes it durable, [`audit`] records who did what.

#![forbid(unsafe_code)]

pub mod app;
pub mod audit;
pub mod check;
pub mod config;
pub mod grpc;
pub mod keyring;
pub mod passphrase;
pub mod policy;
pub mod reload;
pub mod seal;
pub mod store;

#[cfg(test)]
mod test_vectors;
