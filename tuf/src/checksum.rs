//! The SHA-256 of a document's bytes, by which it is found.

use std::fmt;

use thiserror::Error;

/// The SHA-256 of the raw bytes of a document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum([u8; 32]);

/// The text is not a SHA-256 in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a SHA-256 checksum is written as 64 hexadecimal digits")]
pub struct ChecksumError;

impl Checksum {
    /// The checksum of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(openssl::sha::sha256(bytes))
    }

    /// A checksum from its 32 bytes.
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Reads 64 hexadecimal digits of either case.
    ///
    /// # Errors
    ///
    /// Refuses any other length or character.
    pub fn parse(hexadecimal: &str) -> Result<Self, ChecksumError> {
        let mut digest = [0; 32];
        hex::decode_to_slice(hexadecimal, &mut digest).map_err(|_| ChecksumError)?;
        Ok(Self(digest))
    }

    /// 64 lower case hexadecimal digits.
    pub fn as_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The 32 bytes of the digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_hex())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn checksum_is_sha256_in_lower_case() {
        assert_eq!(Checksum::of(b"abc").as_hex(), ABC);
    }

    #[test]
    fn either_case_reads_the_same() {
        assert_eq!(Checksum::parse(&ABC.to_uppercase()), Ok(Checksum::of(b"abc")));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "ba", &ABC[..63], &format!("{ABC}0"), &ABC.replace('b', "g")] {
            assert_eq!(Checksum::parse(text), Err(ChecksumError), "{text}");
        }
    }
}
