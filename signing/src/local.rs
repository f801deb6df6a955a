//! A signer inside the process, for trials: its keys are gone when the process ends.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ed25519_dalek::{Signer, SigningKey};
use tuf::{Gun, KeyId, KeyType, PublicKey, RoleName, Signature, SignatureMethod};

use crate::{HeldKey, SigningError};

/// Ed25519 keys in memory, wiped when dropped.
#[derive(Default)]
pub struct LocalSigner {
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<KeyId, LocalKey>,
    /// Keys that have not signed yet; asking again for such a key returns the same one.
    pending: HashMap<(Gun, RoleName), KeyId>,
}

struct LocalKey {
    secret: SigningKey,
    public: PublicKey,
    made_for: (Gun, RoleName),
}

impl LocalSigner {
    /// A signer without keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key waiting for its first use in this GUN and role, or a new one.
    ///
    /// # Errors
    /// [`SigningError::Unavailable`] when the system has no random numbers.
    pub fn create_key(&self, gun: &Gun, role: &RoleName) -> Result<PublicKey, SigningError> {
        let made_for = (gun.clone(), role.clone());
        let mut keys = self.lock();
        if let Some(waiting) = keys.pending.get(&made_for).and_then(|id| keys.by_id.get(id)) {
            return Ok(waiting.public.clone());
        }
        let secret = new_secret()?;
        let public = PublicKey::new(KeyType::Ed25519, secret.verifying_key().to_bytes().to_vec());
        keys.pending.insert(made_for.clone(), public.id().clone());
        keys.by_id.insert(
            public.id().clone(),
            LocalKey {
                secret,
                public: public.clone(),
                made_for,
            },
        );
        Ok(public)
    }

    /// A key by its ID, if it is here.
    pub fn key_info(&self, id: &KeyId) -> Option<HeldKey> {
        self.lock().by_id.get(id).map(|key| HeldKey {
            public: key.public.clone(),
            role: Some(key.made_for.1.to_string()),
            gun: Some(key.made_for.0.to_string()),
        })
    }

    /// Makes a key unusable.
    pub fn delete_key(&self, id: &KeyId) {
        let mut keys = self.lock();
        keys.by_id.remove(id);
        keys.pending.retain(|_, waiting| waiting != id);
    }

    /// A signature by `key` over `message`. The key counts as used from then on.
    ///
    /// # Errors
    /// [`SigningError::KeyUnknown`] when the key is not here, [`SigningError::OtherPurpose`] when it was made for
    /// another GUN than `gun`.
    pub fn sign(
        &self,
        gun: Option<&Gun>,
        key: &PublicKey,
        message: &[u8],
    ) -> Result<Signature, SigningError> {
        let mut keys = self.lock();
        let Keys { by_id, pending } = &mut *keys;
        let found = by_id
            .get(key.id())
            .ok_or_else(|| SigningError::KeyUnknown(key.id().clone()))?;
        if gun.is_some_and(|gun| *gun != found.made_for.0) {
            return Err(SigningError::OtherPurpose(
                "the key was made for another repository".to_owned(),
            ));
        }
        if pending.get(&found.made_for) == Some(key.id()) {
            pending.remove(&found.made_for);
        }
        Ok(Signature {
            key_id: key.id().clone(),
            method: SignatureMethod::EdDsa,
            bytes: found.secret.sign(message).to_bytes().to_vec(),
        })
    }

    /// The maps are consistent after every statement, so a panic elsewhere does not matter.
    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_secret() -> Result<SigningKey, SigningError> {
    let mut seed = zeroize::Zeroizing::new([0; ed25519_dalek::SECRET_KEY_LENGTH]);
    openssl::rand::rand_priv_bytes(seed.as_mut())
        .map_err(|cause| SigningError::Unavailable(format!("no random numbers: {cause}")))?;
    Ok(SigningKey::from_bytes(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str) -> (Gun, RoleName) {
        (Gun::parse(name).unwrap(), RoleName::Timestamp)
    }

    #[test]
    fn a_key_is_handed_out_again_until_it_has_signed() {
        let signer = LocalSigner::new();
        let (gun, role) = repository("example.com/app");
        let first = signer.create_key(&gun, &role).unwrap();
        assert_eq!(signer.create_key(&gun, &role).unwrap().id(), first.id());
        signer.sign(Some(&gun), &first, b"message").unwrap();
        let second = signer.create_key(&gun, &role).unwrap();
        assert_ne!(second.id(), first.id());
        assert_eq!(
            signer.key_info(first.id()).map(|key| key.public.id().clone()),
            Some(first.id().clone())
        );
    }

    #[test]
    fn guns_do_not_share_keys() {
        let signer = LocalSigner::new();
        let (one, role) = repository("example.com/one");
        let (other, _) = repository("example.com/other");
        let key = signer.create_key(&one, &role).unwrap();
        assert_ne!(signer.create_key(&other, &role).unwrap().id(), key.id());
        assert!(matches!(
            signer.sign(Some(&other), &key, b"message"),
            Err(SigningError::OtherPurpose(_))
        ));
    }

    #[test]
    fn signatures_verify() {
        let signer = LocalSigner::new();
        let (gun, role) = repository("example.com/app");
        let key = signer.create_key(&gun, &role).unwrap();
        let signature = signer.sign(None, &key, b"message").unwrap();
        assert!(tuf::verify_signature(&key, signature.method, b"message", &signature.bytes).is_ok());
        assert!(tuf::verify_signature(&key, signature.method, b"another", &signature.bytes).is_err());
    }

    #[test]
    fn a_key_made_elsewhere_is_unknown() {
        let (gun, role) = repository("example.com/app");
        let elsewhere = LocalSigner::new().create_key(&gun, &role).unwrap();
        let refused = LocalSigner::new().sign(Some(&gun), &elsewhere, b"message");
        assert!(matches!(refused, Err(SigningError::KeyUnknown(id)) if id == *elsewhere.id()));
    }
}
