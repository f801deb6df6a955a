//! The algorithms a signer can make keys for.

use std::{fmt, str::FromStr};

use tuf::KeyType;

/// What kind of key to make. RSA keys can be used by a signer, but not made by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// ECDSA on the curve P-256.
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

/// The text is not the name of an algorithm that keys can be made for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key algorithm \"{0}\" (allowed: ecdsa, ed25519)")]
pub struct UnknownAlgorithm(pub String);

impl KeyAlgorithm {
    /// Every algorithm.
    pub const ALL: [KeyAlgorithm; 2] = [KeyAlgorithm::Ecdsa, KeyAlgorithm::Ed25519];

    /// The name on the wire, in configurations and in the signer's database.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyAlgorithm::Ecdsa => "ecdsa",
            KeyAlgorithm::Ed25519 => "ed25519",
        }
    }

    /// The TUF key type of the keys made.
    pub fn key_type(self) -> KeyType {
        match self {
            KeyAlgorithm::Ecdsa => KeyType::Ecdsa,
            KeyAlgorithm::Ed25519 => KeyType::Ed25519,
        }
    }
}

impl FromStr for KeyAlgorithm {
    type Err = UnknownAlgorithm;

    /// Names are exact: Notary signers refuse `ECDSA`.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        assert_eq!("ecdsa".parse(), Ok(KeyAlgorithm::Ecdsa));
        assert_eq!("ed25519".parse(), Ok(KeyAlgorithm::Ed25519));
        for refused in ["ECDSA", "rsa", "ecdsa-x509", ""] {
            assert_eq!(
                refused.parse::<KeyAlgorithm>(),
                Err(UnknownAlgorithm(refused.to_owned()))
            );
        }
    }
}
