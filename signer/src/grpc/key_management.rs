//! The service `proto.KeyManagement`.

use std::sync::Arc;

use signing::{
    KeyAlgorithm,
    wire::{self, key_management_server::KeyManagement},
};
use tonic::{Request, Response, Status};

use super::{
    Peer,
    status::{Method, unsupported_algorithm},
};
use crate::{
    audit,
    keyring::{KeyPurpose, Keyring, OpenedKey},
};

/// Creates, deletes and describes keys.
pub(super) struct KeyManagementService {
    keyring: Keyring,
}

impl KeyManagementService {
    pub(super) fn new(keyring: Keyring) -> Self {
        Self { keyring }
    }

    async fn create(&self, wanted: &wire::CreateKeyRequest) -> Result<Arc<OpenedKey>, Status> {
        let algorithm: KeyAlgorithm = wanted
            .algorithm
            .parse()
            .map_err(|_| unsupported_algorithm(&wanted.algorithm))?;
        let failed = |cause| {
            tracing::error!(
                repo.gun = wanted.gun,
                role.name = wanted.role,
                "cannot create a key: {cause}"
            );
            Method::CreateKey.status(&cause)
        };
        let purpose = KeyPurpose::new(wanted.gun.clone(), wanted.role.clone())
            .map_err(|cause| Method::CreateKey.status(&cause.into()))?;
        self.keyring.create(purpose, algorithm).await.map_err(failed)
    }

    async fn find(&self, id: &str) -> Result<Arc<OpenedKey>, Status> {
        let id = Method::GetKeyInfo.key_id(Some(id))?;
        self.keyring
            .find(&id)
            .await
            .map_err(|cause| Method::GetKeyInfo.failed(&id, &cause))
    }

    async fn delete(&self, id: &str) -> Result<(), Status> {
        let id = Method::DeleteKey.key_id(Some(id))?;
        self.keyring
            .delete(&id)
            .await
            .map_err(|cause| Method::DeleteKey.failed(&id, &cause))
    }
}

#[tonic::async_trait]
impl KeyManagement for KeyManagementService {
    async fn create_key(
        &self,
        request: Request<wire::CreateKeyRequest>,
    ) -> Result<Response<wire::PublicKey>, Status> {
        let peer = Peer::of(request.extensions());
        let wanted = request.into_inner();
        let call = |key_id| audit::Request {
            action: Method::CreateKey.name(),
            key_id,
            gun: &wanted.gun,
            role: &wanted.role,
            version: None,
        };
        match self.create(&wanted).await {
            Ok(key) => {
                audit::granted(peer.caller(), &call(key.public().id().as_str()));
                let public_key = key.public().public().to_vec();
                Ok(Response::new(wire::PublicKey {
                    key_info: Some(key_info(&key)),
                    public_key,
                }))
            }
            Err(status) => {
                audit::refused(peer.caller(), &call(""), status.code(), status.message());
                Err(status)
            }
        }
    }

    /// Unlike in the Notary signer, an empty ID deletes nothing, and a failed deletion is an error. Deleting a key that
    /// does not exist succeeds.
    async fn delete_key(&self, request: Request<wire::KeyId>) -> Result<Response<wire::Void>, Status> {
        let peer = Peer::of(request.extensions());
        let id = request.into_inner().id;
        let call = audit::Request {
            action: Method::DeleteKey.name(),
            key_id: &id,
            ..Default::default()
        };
        match self.delete(&id).await {
            Err(status) if status.code() != tonic::Code::NotFound => {
                audit::refused(peer.caller(), &call, status.code(), status.message());
                Err(status)
            }
            Ok(()) | Err(_) => {
                audit::granted(peer.caller(), &call);
                Ok(Response::new(wire::Void {}))
            }
        }
    }

    async fn get_key_info(
        &self,
        request: Request<wire::KeyId>,
    ) -> Result<Response<wire::GetKeyInfoResponse>, Status> {
        let peer = Peer::of(request.extensions());
        let id = request.into_inner().id;
        match self.find(&id).await {
            // A caller that reads a public key gets no signature, so there is no audit line for it.
            Ok(key) => Ok(Response::new(wire::GetKeyInfoResponse {
                key_info: Some(key_info(&key)),
                public_key: key.public().public().to_vec(),
                role: key.role().to_owned(),
                gun: key.gun().to_owned(),
            })),
            Err(status) => {
                let action = Method::GetKeyInfo.name();
                let call = audit::Request {
                    action,
                    key_id: &id,
                    ..Default::default()
                };
                audit::refused(peer.caller(), &call, status.code(), status.message());
                Err(status)
            }
        }
    }
}

/// ID and key type. A Notary server crashes on a reply without them.
pub(super) fn key_info(key: &OpenedKey) -> wire::KeyInfo {
    wire::KeyInfo {
        key_id: Some(wire::KeyId {
            id: key.public().id().to_string(),
        }),
        algorithm: Some(wire::Algorithm {
            algorithm: key.public().key_type().to_string(),
        }),
    }
}
