//! The network interface: accepts TLS connections, passes gRPC calls to the keyring, and answers them.

mod admission;
mod generation;
mod health;
mod incoming;
mod key_management;
mod peer;
mod server;
mod signing;
mod status;

pub use admission::Admission;
pub use generation::{Generation, Generations};
pub use peer::Peer;
pub use server::{GrpcServer, ServeError};
