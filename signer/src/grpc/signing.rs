//! The service `proto.Signer`.

use signing::wire::{self, signer_server::Signer};
use tonic::{Request, Response, Status};

use super::{Peer, key_management::key_info, status::Method};
use crate::{
    audit,
    keyring::{Keyring, Signed},
};

/// Signs.
pub(super) struct SigningService {
    keyring: Keyring,
}

impl SigningService {
    pub(super) fn new(keyring: Keyring) -> Self {
        Self { keyring }
    }

    async fn sign(&self, id: Option<&str>, content: &[u8]) -> Result<Signed, Status> {
        let id = Method::Sign.key_id(id)?;
        self.keyring
            .sign(&id, content)
            .await
            .map_err(|cause| Method::Sign.failed(&id, &cause))
    }
}

#[tonic::async_trait]
impl Signer for SigningService {
    async fn sign(
        &self,
        request: Request<wire::SignatureRequest>,
    ) -> Result<Response<wire::Signature>, Status> {
        let peer = Peer::of(request.extensions());
        let wire::SignatureRequest { key_id, content } = request.into_inner();
        let id = key_id.as_ref().map(|key| key.id.as_str());
        match self.sign(id, &content).await {
            Ok(Signed {
                key,
                document,
                signature,
            }) => {
                let call = audit::Request {
                    action: Method::Sign.name(),
                    key_id: key.public().id().as_str(),
                    gun: key.gun(),
                    role: key.role(),
                    version: document.map(|document| document.version),
                };
                audit::granted(&peer, &call);
                Ok(Response::new(wire::Signature {
                    key_info: Some(key_info(&key)),
                    algorithm: Some(wire::Algorithm {
                        algorithm: key.secret().method().to_owned(),
                    }),
                    content: signature,
                }))
            }
            Err(status) => {
                let key_id = id.unwrap_or_default();
                let call = audit::Request {
                    action: Method::Sign.name(),
                    key_id,
                    ..Default::default()
                };
                audit::refused(&peer, &call, status.code(), &status.message());
                Err(status)
            }
        }
    }
}
