//! The signature that a server will ask for next, told to the signer with the one before.
//!
//! A signer stores each version before it signs it. A publish has two, of the snapshot and of the timestamp that names it;
//! a signer that knows both stores them with one commit.

use prost::Message;
use tuf::{KeyId, PublicKey};

use crate::wire;

/// A signature that will be asked for next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The ID of its key.
    pub key_id: KeyId,
    /// The version of the document.
    pub version: i64,
}

impl Announced {
    /// A signature by `key` of a document with this version.
    pub fn new(key: &PublicKey, version: i64) -> Self {
        Self {
            key_id: key.id().clone(),
            version,
        }
    }

    /// As it is sent.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let id = self.key_id.to_string();
        let message = wire::Announcement {
            key_id: Some(wire::KeyId { id }),
            version: self.version,
        };
        message.encode_to_vec()
    }

    /// Reads what was sent. `None` if it is not one: nothing depends on it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let message = wire::Announcement::decode(bytes).ok()?;
        Some(Self {
            key_id: KeyId::parse(&message.key_id?.id).ok()?,
            version: message.version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_read_and_anything_else_is_none() {
        let key_id = KeyId::parse(&"0a".repeat(32)).unwrap();
        let announced = Announced { key_id, version: 7 };
        let sent = announced.encode();
        assert_eq!(Announced::decode(&sent), Some(announced));
        for other in [&b""[..], b"\xff", &sent[1..], &sent[..9]] {
            assert_eq!(Announced::decode(other), None);
        }
    }
}
