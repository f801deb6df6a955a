//! The client of a signer, ours or a Notary signer.

use std::{future::Future, sync::Arc, time::Duration};

use platform::tls::{Connector, LastFailure};
use tokio::time::timeout;
use tonic::{Request, Response, Status, metadata::MetadataValue, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tuf::{Gun, KeyId, PublicKey, RoleName, Signature};

use crate::{
    Announced, HeldKey, KeyAlgorithm, SigningError, connection,
    error::{connection_broke, from_status},
    health, metadata, reply,
    wire::{self, key_management_client::KeyManagementClient, signer_client::SignerClient as SignClient},
};

/// How long any call may take, connecting and a second attempt included.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Asks a signer for keys and signatures. Clones share one connection.
#[derive(Clone, Debug)]
pub struct SignerClient {
    channel: Channel,
    address: Arc<str>,
    last_failure: LastFailure,
}

impl SignerClient {
    /// A client for the signer at `host` (a name or an IP address) and `port`.
    ///
    /// Nothing is connected before the first call, and a broken connection is replaced by the next
    /// one, so a server starts while its signer is down. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When `host` and `port` do not make an address.
    pub fn new(host: &str, port: u16, tls: Connector) -> Result<Self, SigningError> {
        let (channel, last_failure) = connection::channel(host, port, tls)?;
        Ok(Self {
            channel,
            last_failure,
            address: format!("{host}:{port}").into(),
        })
    }

    /// The key waiting for its first use in this GUN and role, or a new one.
    ///
    /// # Errors
    /// As [`SigningError`] describes them.
    pub async fn create_key(
        &self,
        gun: &Gun,
        role: &RoleName,
        algorithm: KeyAlgorithm,
    ) -> Result<PublicKey, SigningError> {
        let request = wire::CreateKeyRequest {
            algorithm: algorithm.as_str().to_owned(),
            gun: gun.as_str().to_owned(),
            role: role.as_str().to_owned(),
        };
        let answer = self
            .call(None, |channel| {
                let request = bounded(request.clone());
                async move { KeyManagementClient::new(channel).create_key(request).await }
            })
            .await?;
        let key = reply::public_key(answer.key_info, answer.public_key)?;
        if *key.key_type() == algorithm.key_type() {
            Ok(key)
        } else {
            Err(SigningError::BadReply(format!(
                "a key of another algorithm than {algorithm}"
            )))
        }
    }

    /// A key by its ID; `None` when the signer says that it does not have it.
    ///
    /// # Errors
    /// As [`SigningError`] describes them.
    pub async fn key_info(&self, id: &KeyId) -> Result<Option<HeldKey>, SigningError> {
        let request = wire::KeyId { id: id.to_string() };
        let answer = self
            .call(Some(id), |channel| {
                let request = bounded(request.clone());
                async move { KeyManagementClient::new(channel).get_key_info(request).await }
            })
            .await;
        match answer {
            Ok(answer) => {
                let key = reply::public_key(answer.key_info, answer.public_key)?;
                let said = |text: String| (!text.is_empty()).then_some(text);
                Ok(Some(HeldKey {
                    public: reply::expected_key(id, key)?,
                    role: said(answer.role),
                    gun: said(answer.gun),
                }))
            }
            Err(SigningError::KeyUnknown(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Makes a key unusable; one that the signer does not have is no error.
    ///
    /// # Errors
    /// As [`SigningError`] describes them.
    pub async fn delete_key(&self, id: &KeyId) -> Result<(), SigningError> {
        let request = wire::KeyId { id: id.to_string() };
        let answer = self
            .call(Some(id), |channel| {
                let request = bounded(request.clone());
                async move { KeyManagementClient::new(channel).delete_key(request).await }
            })
            .await;
        match answer {
            Ok(_) | Err(SigningError::KeyUnknown(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// What the signer gives as signature by `key` over `message`; it is not verified here. With `gun`, signers of ours
    /// sign only with a key that was made for it. `next` is the signature that will be asked for next, if that is known.
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
        let request = wire::SignatureRequest {
            key_id: Some(wire::KeyId {
                id: key.id().to_string(),
            }),
            content: message.to_vec(),
        };
        let answer = self
            .call(Some(key.id()), |channel| {
                let mut request = bounded(request.clone());
                if let Some(gun) = gun {
                    let gun = MetadataValue::from_bytes(gun.as_str().as_bytes());
                    request.metadata_mut().insert_bin(metadata::GUN, gun);
                }
                if let Some(next) = next {
                    let next = MetadataValue::from_bytes(&next.encode());
                    request.metadata_mut().insert_bin(metadata::NEXT, next);
                }
                async move { SignClient::new(channel).sign(request).await }
            })
            .await?;
        reply::signature(key, answer.content)
    }

    /// Asks whether keys can be managed and signatures be made now.
    ///
    /// # Errors
    /// [`SigningError::Unavailable`] when the signer is away or says that it is not serving.
    pub async fn health(&self) -> Result<(), SigningError> {
        for service in [health::KEY_MANAGEMENT, health::SIGNER] {
            let request = HealthCheckRequest {
                service: service.to_owned(),
            };
            let answer = self
                .call(None, |channel| {
                    let request = bounded(request.clone());
                    async move { HealthClient::new(channel).check(request).await }
                })
                .await?;
            if answer.status() != ServingStatus::Serving {
                return Err(SigningError::Unavailable(format!("{service} is not serving")));
            }
        }
        Ok(())
    }

    /// Makes one call within [`CALL_LIMIT`]. If the connection broke during the call it is made once more, which is
    /// harmless because every method may be repeated.
    async fn call<T, F>(&self, key: Option<&KeyId>, attempt: impl Fn(Channel) -> F) -> Result<T, SigningError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let attempts = async {
            match attempt(self.channel.clone()).await {
                Err(status) if connection_broke(&status) => attempt(self.channel.clone()).await,
                answer => answer,
            }
        };
        match timeout(CALL_LIMIT, attempts).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(from_status(&self.address, &self.last_failure, &status, key)),
            Err(_) => Err(SigningError::Unavailable(format!(
                "{}: no answer within {CALL_LIMIT:?}",
                self.address
            ))),
        }
    }
}

/// A request that tells the signer how long its answer is of use.
fn bounded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_LIMIT);
    request
}
