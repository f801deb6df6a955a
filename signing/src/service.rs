//! The holder of a server's keys: a signing service, or the server itself.

use tuf::{Gun, KeyId, PublicKey, RoleName, Signature};

use crate::{Announced, HeldKey, KeyAlgorithm, LocalSigner, SignerClient, SigningError};

/// The holder of snapshot and timestamp keys.
pub enum KeyService {
    /// A signing service (`trust_service.type: remote`).
    Remote(SignerClient),
    /// Keys in memory (`trust_service.type: local`).
    Local(LocalSigner),
}

impl KeyService {
    /// The key waiting for its first use in this GUN and role, or a new one. Local keys are always
    /// Ed25519, as in Notary.
    ///
    /// # Errors
    /// As [`SigningError`] describes them.
    pub async fn create_key(
        &self,
        gun: &Gun,
        role: &RoleName,
        algorithm: KeyAlgorithm,
    ) -> Result<PublicKey, SigningError> {
        match self {
            Self::Remote(client) => client.create_key(gun, role, algorithm).await,
            Self::Local(signer) => signer.create_key(gun, role),
        }
    }

    /// A key by its ID; `None` when the holder does not have it.
    ///
    /// # Errors
    /// As [`SigningError`] describes them.
    pub async fn key_info(&self, id: &KeyId) -> Result<Option<HeldKey>, SigningError> {
        match self {
            Self::Remote(client) => client.key_info(id).await,
            Self::Local(signer) => Ok(signer.key_info(id)),
        }
    }

    /// A signature by `key` over `message`. With `gun`, only if the key was made for it; Notary signers do
    /// not check that. `next` is the signature that will be asked for next, if that is known.
    ///
    /// # Errors
    /// As [`SigningError`] describes them.
    pub async fn sign(
        &self,
        gun: Option<&Gun>,
        key: &PublicKey,
        message: &[u8],
        next: Option<&Announced>,
    ) -> Result<Signature, SigningError> {
        match self {
            Self::Remote(client) => client.sign(gun, key, message, next).await,
            Self::Local(signer) => signer.sign(gun, key, message),
        }
    }

    /// Makes a key unusable; a key that the holder does not have is no error.
    ///
    /// # Errors
    /// As [`SigningError`] describes them.
    pub async fn delete_key(&self, id: &KeyId) -> Result<(), SigningError> {
        match self {
            Self::Remote(client) => client.delete_key(id).await,
            Self::Local(signer) => {
                signer.delete_key(id);
                Ok(())
            }
        }
    }

    /// Whether keys and signatures can be had now.
    ///
    /// # Errors
    /// [`SigningError::Unavailable`] when they cannot.
    pub async fn health(&self) -> Result<(), SigningError> {
        match self {
            Self::Remote(client) => client.health().await,
            Self::Local(_) => Ok(()),
        }
    }
}
