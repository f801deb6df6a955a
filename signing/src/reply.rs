//! From a signer's replies to TUF types. Everything in them that can be checked is checked.

use tuf::{KeyId, KeyType, PublicKey, Signature, SignatureMethod};

use crate::{SigningError, wire};

/// The key of a CreateKey or GetKeyInfo reply. Its ID is computed here, not taken from the reply.
///
/// A Notary signer that cannot reach its database answers CreateKey with success and an empty key.
pub(crate) fn public_key(info: Option<wire::KeyInfo>, public: Vec<u8>) -> Result<PublicKey, SigningError> {
    let algorithm = info
        .and_then(|info| info.algorithm)
        .map(|a| a.algorithm)
        .unwrap_or_default();
    if algorithm.is_empty() || public.is_empty() {
        return Err(SigningError::BadReply(
            "a key without an algorithm or without a public key".to_owned(),
        ));
    }
    Ok(PublicKey::new(KeyType::parse(&algorithm), public))
}

/// A key that was asked for by its ID.
pub(crate) fn expected_key(asked: &KeyId, key: PublicKey) -> Result<PublicKey, SigningError> {
    if key.id() == asked {
        Ok(key)
    } else {
        Err(SigningError::BadReply(format!("another key than {asked}")))
    }
}

/// A signature by `key`. Whether it is one is found out where it is used: `tuf` makes documents only of signatures that
/// it has verified, and verifying costs more than everything else about a reply.
pub(crate) fn signature(key: &PublicKey, bytes: Vec<u8>) -> Result<Signature, SigningError> {
    let method = SignatureMethod::for_key(key)
        .ok_or_else(|| SigningError::BadReply("a signature of an unknown algorithm".to_owned()))?;
    Ok(Signature {
        key_id: key.id().clone(),
        method,
        bytes,
    })
}
