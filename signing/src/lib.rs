//! The signing service as its users see it: the wire types and the client that speaks them.
//!
//! A trust server asks a signer for snapshot and timestamp keys and for signatures by them. The
//! interface is that of the Notary signer (`proto/signer.proto`), so that either side may be a
//! Notary program.

#![forbid(unsafe_code)]

mod algorithm;
mod announcement;
mod client;
mod connection;
mod error;
mod held;
mod local;
mod reply;
mod service;

pub use algorithm::{KeyAlgorithm, UnknownAlgorithm};
pub use announcement::Announced;
pub use client::SignerClient;
pub use error::SigningError;
pub use held::HeldKey;
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

/// Metadata of calls and answers that Notary programs do not know and ignore.
pub mod metadata {
    /// In a call of Sign: the GUN that the signature is for, in UTF-8.
    pub const GUN: &str = "countersign-gun-bin";
    /// In a call of Sign: the `Announcement` of the signature that will be asked for next.
    pub const NEXT: &str = "countersign-next-bin";
    /// In a refusal: its kind, where callers treat it differently.
    pub const REFUSAL: &str = "countersign-refusal";
    /// The key was made for another GUN or role.
    pub const PURPOSE: &str = "purpose";
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use serde_json::Value;

    use super::wire;

    fn again<M: Message + Default>(bytes: &[u8]) -> Vec<u8> {
        M::decode(bytes).unwrap().encode_to_vec()
    }

    #[test]
    fn messages_of_a_notary_server_and_signer_are_read_and_written_to_the_byte() {
        let file = include_str!("../../fixtures/signer/go-signer-vectors.json");
        let file: Value = serde_json::from_str(file).unwrap();
        let mut seen = 0;
        for call in ["postgres", "mysql"]
            .iter()
            .flat_map(|name| file[name]["rpcs"].as_array().unwrap())
        {
            let bytes = |name: &str| hex::decode(call[name].as_str().unwrap_or_default()).unwrap();
            let (request, reply) = (bytes("request_hex"), bytes("response_hex"));
            let (request_again, reply_again) = match call["method"].as_str().unwrap() {
                "/proto.KeyManagement/CreateKey" => (
                    again::<wire::CreateKeyRequest>(&request),
                    again::<wire::PublicKey>(&reply),
                ),
                "/proto.KeyManagement/GetKeyInfo" => (
                    again::<wire::KeyId>(&request),
                    again::<wire::GetKeyInfoResponse>(&reply),
                ),
                "/proto.KeyManagement/DeleteKey" => {
                    (again::<wire::KeyId>(&request), again::<wire::Void>(&reply))
                }
                "/proto.Signer/Sign" => (
                    again::<wire::SignatureRequest>(&request),
                    again::<wire::Signature>(&reply),
                ),
                other => panic!("{other}"),
            };
            assert_eq!((request_again, reply_again), (request, reply));
            seen += 1;
        }
        assert_eq!(seen, 26);
    }
}
