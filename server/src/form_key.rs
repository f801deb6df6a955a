//! The key of the tokens in this server's own forms. A page of another site cannot know a token, so it cannot send a form.

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{PKey, Private},
    sign::Signer,
};

/// How long the key is, in bytes: as long as what it makes.
const LENGTH: usize = 32;

/// A key that is made at start and known to this process alone. Forms that another server made, or this one before it was
/// started again, are refused: whoever sent them sees the form anew.
pub struct FormKey(PKey<Private>);

impl FormKey {
    /// A new key.
    ///
    /// # Errors
    /// When OpenSSL has no random bytes.
    pub fn new() -> Result<Self, ErrorStack> {
        let mut bytes = [0; LENGTH];
        openssl::rand::rand_bytes(&mut bytes)?;
        PKey::hmac(&bytes).map(Self)
    }

    /// The token for a form: HMAC-SHA-256 over these parts, each with its length, in hex.
    ///
    /// # Errors
    /// When OpenSSL refuses.
    pub fn token(&self, parts: &[&[u8]]) -> Result<String, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.0)?;
        for part in parts {
            signer.update(&part.len().to_be_bytes())?;
            signer.update(part)?;
        }
        signer.sign_to_vec().map(hex::encode)
    }

    /// Whether a token is that for these parts.
    pub fn is_token(&self, token: &str, parts: &[&[u8]]) -> bool {
        let expected = self.token(parts);
        expected.is_ok_and(|expected| {
            expected.len() == token.len() && openssl::memcmp::eq(expected.as_bytes(), token.as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_its_parts_and_its_key_alone() {
        let key = FormKey::new().unwrap();
        let token = key.token(&[b"alice", b"1"]).unwrap();
        assert!(key.is_token(&token, &[b"alice", b"1"]));
        for other in [
            &[b"alice".as_slice(), b"2"],
            &[b"alic".as_slice(), b"e1"],
            &[b"".as_slice(), b"alice1"],
        ] {
            assert!(!key.is_token(&token, other));
        }
        assert!(
            !key.is_token("", &[b"alice", b"1"]) && !key.is_token(&token.to_uppercase(), &[b"alice", b"1"])
        );
        assert!(!FormKey::new().unwrap().is_token(&token, &[b"alice", b"1"]));
    }
}
