//! The service `proto.Signer`.

use signing::{
    Announced, metadata,
    wire::{self, signer_server::Signer},
};
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

    async fn sign(
        &self,
        gun: Option<&[u8]>,
        id: Option<&str>,
        content: &[u8],
        next: Option<&Announced>,
    ) -> Result<Signed, Status> {
        let id = Method::Sign.key_id(id)?;
        let gun = gun.map(std::str::from_utf8).transpose();
        let gun = gun.map_err(|_| Status::invalid_argument("the GUN is not UTF-8"))?;
        self.keyring
            .sign(gun, &id, content, next)
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
        let gun = match request
            .metadata()
            .get_bin(metadata::GUN)
            .map(|gun| gun.to_bytes())
        {
            None => None,
            Some(Ok(gun)) => Some(gun),
            Some(Err(_)) => return Err(Status::invalid_argument("the GUN is not base64")),
        };
        let next = request.metadata().get_bin(metadata::NEXT);
        let next = next
            .and_then(|next| next.to_bytes().ok())
            .and_then(|next| Announced::decode(&next));
        let wire::SignatureRequest { key_id, content } = request.into_inner();
        let id = key_id.as_ref().map(|key| key.id.as_str());
        match self.sign(gun.as_deref(), id, &content, next.as_ref()).await {
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
                audit::granted(peer.caller(), &call);
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
                audit::refused(peer.caller(), &call, status.code(), status.message());
                Err(status)
            }
        }
    }
}
