//! Checks whether an import names keys that the signer made for another repository.
//!
//! The server signs with whatever keys a stored root names, so an imported repository must not name those of another
//! one.

use tokio::runtime::Runtime;
use tuf::{Document, Gun};

use super::MoveError;
use crate::{
    config::{Config, TrustService},
    publish::SERVER_SIGNED_ROLES,
    state,
    store::ImportError,
};

/// Asks the configured signer, if there is one.
pub(super) struct KeyCheck {
    runtime: Runtime,
    keys: Option<signing::KeyService>,
}

impl KeyCheck {
    pub(super) fn of(config: &Config) -> Result<Self, MoveError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(MoveError::Runtime)?;
        let keys = match &config.trust_service {
            // Its keys are in the server's process and lost when that ends.
            TrustService::Local => None,
            remote @ TrustService::Remote { .. } => {
                let _entered = runtime.enter();
                let (keys, _) = state::key_service(remote).map_err(MoveError::Signer)?;
                Some(keys)
            }
        };
        Ok(Self { runtime, keys })
    }

    /// Checks the newest root of an import.
    pub(super) fn judge(&self, gun: &Gun, root: &Document) -> Result<(), ImportError> {
        let Some(keys) = &self.keys else { return Ok(()) };
        for role in SERVER_SIGNED_ROLES {
            // The audit has already parsed it.
            for key in tuf::role_keys(&root.bytes, &role).unwrap_or_default() {
                let held = self.runtime.block_on(keys.key_info(key.id()));
                let held = held.map_err(|reason| ImportError::Signer(reason.to_string()))?;
                if held.is_some_and(|held| held.made_for(gun, &role) == Some(false)) {
                    return Err(ImportError::KeyOfAnother {
                        role,
                        id: key.id().clone(),
                    });
                }
            }
        }
        Ok(())
    }
}
