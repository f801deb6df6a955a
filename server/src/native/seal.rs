//! Has the signer sign the snapshots and timestamps of TUF 1.0 repositories.

use openssl::{bn::BigNum, ecdsa::EcdsaSig};
use signing::{Announced, SigningError};
use tuf::KeyType;
use tuf_native::{Metadata, PublicKey, RepositoryName, Role, Trusted, Unsigned};

use super::{NativeError, ServerKey, keys};
use crate::state::{ServiceError, State};

/// The server's keys that are in force.
pub(super) struct Seals {
    pub(super) snapshot: ServerKey,
    pub(super) timestamp: ServerKey,
}

impl Seals {
    /// Those that a root names; `listed` tells which keys it lists for a role.
    pub(super) async fn named(
        state: &State,
        name: &RepositoryName,
        listed: impl Fn(&Role) -> Vec<PublicKey>,
    ) -> Result<Self, NativeError> {
        let mut found = Vec::new();
        for role in [Role::Snapshot, Role::Timestamp] {
            let key = keys::named(state, name, &listed(&role), &role).await?;
            found.push(key.ok_or(NativeError::KeyNotHeld(role))?);
        }
        let (Some(timestamp), Some(snapshot)) = (found.pop(), found.pop()) else {
            return Err(NativeError::KeyNotHeld(Role::Snapshot));
        };
        Ok(Self { snapshot, timestamp })
    }

    /// The public keys, as a root has to name them.
    pub(super) fn public(&self) -> tuf_native::OnlineKeys {
        tuf_native::OnlineKeys {
            snapshot: self.snapshot.public.clone(),
            timestamp: self.timestamp.public.clone(),
        }
    }

    /// Has a snapshot signed, and a timestamp that names it. `trusted` is what came before, `root` the root after it.
    pub(super) async fn sign(
        &self,
        state: &State,
        name: &RepositoryName,
        (trusted, root): (&Trusted, &Metadata),
        snapshot: Unsigned,
    ) -> Result<[Metadata; 2], NativeError> {
        let next = trusted
            .timestamp
            .as_ref()
            .map_or(1, |before| i64::from(before.version().get()) + 1);
        let next = Announced::new(&self.timestamp.held, next);
        let snapshot = sign(state, name, &self.snapshot, snapshot, Some(&next)).await?;
        let timestamp = self
            .sign_timestamp(state, name, (trusted, root), &snapshot)
            .await?;
        Ok([snapshot, timestamp])
    }

    /// Has a timestamp signed that names a snapshot.
    pub(super) async fn sign_timestamp(
        &self,
        state: &State,
        name: &RepositoryName,
        (trusted, root): (&Trusted, &Metadata),
        snapshot: &Metadata,
    ) -> Result<Metadata, NativeError> {
        let expires = state.clock.now() + lifetimes(state)?.timestamp;
        let timestamp = tuf_native::timestamp(root, trusted.timestamp.as_ref(), snapshot, expires)?;
        sign(state, name, &self.timestamp, timestamp, None).await
    }
}

/// How long what the server signs lasts.
pub(super) struct Lifetimes {
    pub(super) snapshot: chrono::TimeDelta,
    pub(super) timestamp: chrono::TimeDelta,
}

/// Those of the configuration.
pub(super) fn lifetimes(state: &State) -> Result<Lifetimes, NativeError> {
    // Without the section there are no routes that lead here.
    let settings = state.config.native.as_ref().ok_or(NativeError::NoRepository)?;
    Ok(Lifetimes {
        snapshot: settings.snapshot_lifetime,
        timestamp: settings.timestamp_lifetime,
    })
}

async fn sign(
    state: &State,
    name: &RepositoryName,
    key: &ServerKey,
    unsigned: Unsigned,
    next: Option<&Announced>,
) -> Result<Metadata, NativeError> {
    let gun = name.gun().of_tuf_1();
    let signature = state
        .keys
        .sign(Some(&gun), &key.held, unsigned.message(), next)
        .await
        .map_err(ServiceError::from)?;
    let bytes = match key.held.key_type() {
        KeyType::Ecdsa => der(&signature.bytes).ok_or_else(|| {
            ServiceError::from(SigningError::BadReply(
                "a signature that is none of ECDSA".to_owned(),
            ))
        })?,
        _ => signature.bytes,
    };
    unsigned.seal(&key.public, &bytes).map_err(|cause| {
        let reason = format!("a signature that does not verify: {cause}");
        ServiceError::from(SigningError::BadReply(reason)).into()
    })
}

/// An ECDSA signature as TUF 1.0 has it (DER), made of the one that the signer gives: r and s, of the same length.
fn der(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    let number = |bytes| BigNum::from_slice(bytes).ok();
    EcdsaSig::from_private_components(number(r)?, number(s)?)
        .and_then(|signature| signature.to_der())
        .ok()
}
