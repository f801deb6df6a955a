//! The server's keys for TUF 1.0 repositories. The signer makes and holds them, each for one repository and role.

use signing::SigningError;
use tuf::{PublicKey as SignerKey, RoleName};
use tuf_native::{PublicKey, RepositoryName, Role};

use super::NativeError;
use crate::state::{ServiceError, State};

/// A key of the signer, in both forms.
#[derive(Debug, Clone)]
pub struct ServerKey {
    /// As metadata of TUF 1.0 carries it.
    pub public: PublicKey,
    /// As the signer knows it.
    pub held: SignerKey,
}

impl ServerKey {
    /// A key that the signer has handed out.
    ///
    /// # Errors
    /// When it is of a kind that TUF 1.0 does not know.
    pub fn new(held: SignerKey) -> Result<Self, ServiceError> {
        let public = PublicKey::from_notary(&held)
            .map_err(|cause| SigningError::BadReply(format!("a key that TUF 1.0 does not know: {cause}")))?;
        Ok(Self { public, held })
    }
}

/// That one of these keys, which a root names for snapshots or timestamps, which the signer holds for this repository and
/// role; `None` if it holds none of them.
///
/// # Errors
/// When the database or the signer fails.
pub async fn named(
    state: &State,
    name: &RepositoryName,
    listed: &[PublicKey],
    role: &Role,
) -> Result<Option<ServerKey>, NativeError> {
    let gun = name.gun().of_tuf_1();
    let signer_role = match role {
        Role::Snapshot => RoleName::Snapshot,
        Role::Timestamp => RoleName::Timestamp,
        _ => return Ok(None),
    };
    for key in listed {
        let Some(id) = key.to_notary().map(|key| key.id().clone()) else {
            continue;
        };
        let held = state.keys.key_info(&id).await.map_err(ServiceError::from)?;
        let Some(held) = held else { continue };
        let ours = match held.made_for(&gun, &signer_role) {
            Some(answer) => answer,
            // A Notary signer does not say; this server recorded what it handed out.
            None => {
                let known = state.with_store(move |store| store.server_key(&id)).await?;
                known.is_some_and(|(of, role)| of == gun.as_str() && role == signer_role.as_str())
            }
        };
        if ours {
            return Ok(Some(ServerKey::new(held.public)?));
        }
    }
    Ok(None)
}
