//! The signing service as its users see it: the wire types and the client that speaks them.
//!
//! A trust server asks a signer for snapshot and timestamp keys and for signatures by them. The
//! interface is that of the Notary signer (`proto/signer.proto`), so that either side may be a
//! Notary program.

mod algorithm;
mod client;
mod connection;
mod error;
mod local;
mod reply;
mod service;

pub use algorithm::{KeyAlgorithm, UnknownAlgorithm};
pub use client::SignerClient;
pub use error::SigningError;
pub use local::LocalSigner;
pub use service::KeyService;

/// The gRPC messages, clients and services generated from `proto/signer.proto`.
#[allow(missing_docs, clippy::pedantic)]
pub mod wire {
    tonic::include_proto!("proto");
}

/// The health protocol's service names, as Notary servers ask for them.
///
/// They are not the names of the gRPC services: Notary prefixes them with the name of the health
/// service itself.
pub mod health {
    /// Key creation, deletion and description.
    pub const KEY_MANAGEMENT: &str = "grpc.health.v1.Health.KeyManagement";
    /// Signing.
    pub const SIGNER: &str = "grpc.health.v1.Health.Signer";
}
