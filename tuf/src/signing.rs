//! The documents that the server asks its signing service to sign, and the verification of the signatures.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::canonical::push_string;
use crate::document::Document;
use crate::encoding::encode_base64;
use crate::key::{KeyId, PublicKey};
use crate::metadata::RoleKeys;
use crate::role::RoleName;
use crate::signature::{Signature, SignatureError, verify_signature};
use crate::version::Version;

/// A document that the server makes, to be signed.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    /// Snapshot or timestamp.
    pub role: RoleName,
    /// The version of the document.
    pub version: Version,
    /// The canonical form of the signed part: what to sign.
    pub message: Vec<u8>,
    /// The keys that may sign. The signing service need not hold all of them.
    pub keys: Vec<PublicKey>,
    /// How many of them must sign.
    pub threshold: usize,
}

/// Why signatures do not make a document of a [`SigningRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SealError {
    /// Fewer keys signed than the threshold.
    #[error("{role} needs signatures by {need} of its keys, the signing service gave {have}")]
    TooFew {
        /// The role of the document.
        role: RoleName,
        /// How many keys signed.
        have: usize,
        /// How many must.
        need: usize,
    },
    /// A signature is by a key that may not sign for the role.
    #[error("{key_id} is not a key of {role}")]
    UnknownKey {
        /// The role of the document.
        role: RoleName,
        /// The key named by the signature.
        key_id: KeyId,
    },
    /// A signature is wrong.
    #[error("the signature for {role} by {key_id} is wrong: {reason}")]
    Wrong {
        /// The role of the document.
        role: RoleName,
        /// The key named by the signature.
        key_id: KeyId,
        /// What is wrong with it.
        reason: SignatureError,
    },
}

impl SigningRequest {
    /// Asks for a document of `role` signed by the keys that a root lists for it.
    pub(crate) fn new(role: RoleName, version: Version, message: Vec<u8>, keys: &RoleKeys) -> Self {
        // A root with a threshold below 1 is never trusted, and a threshold beyond usize can never be met.
        let threshold = usize::try_from(keys.threshold).unwrap_or(usize::MAX);
        Self {
            role,
            version,
            message,
            keys: keys.usable(),
            threshold,
        }
    }

    /// Verifies the signatures and writes the document.
    pub(crate) fn seal(&self, signatures: &[Signature]) -> Result<Document, SealError> {
        let role = || self.role.clone();
        let mut signers = BTreeSet::new();
        for signature in signatures {
            let key_id = &signature.key_id;
            let Some(key) = self.keys.iter().find(|key| key.id() == key_id) else {
                return Err(SealError::UnknownKey {
                    role: role(),
                    key_id: key_id.clone(),
                });
            };
            verify_signature(key, signature.method, &self.message, &signature.bytes).map_err(|reason| {
                SealError::Wrong {
                    role: role(),
                    key_id: key_id.clone(),
                    reason,
                }
            })?;
            // A signature that verifies is by a key with an identity.
            signers.insert(key.identity());
        }
        if signers.len() < self.threshold {
            return Err(SealError::TooFew {
                role: role(),
                have: signers.len(),
                need: self.threshold,
            });
        }
        Ok(Document::new(
            role(),
            self.version,
            write_document(&self.message, signatures),
        ))
    }
}

/// Writes a document the way Go does: `signed` first, then `signatures`, no line end. `message` is the canonical form of the
/// signed part. Notary's server hashes some documents as it would write them itself, so that others cannot be read from it.
pub fn write_document(message: &[u8], signatures: &[Signature]) -> Vec<u8> {
    let mut out = br#"{"signed":"#.to_vec();
    push_escaped(&mut out, message);
    out.extend_from_slice(br#","signatures":["#);
    for (i, signature) in signatures.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let members = [
            (&br#"{"keyid":"#[..], signature.key_id.as_str()),
            (br#","method":"#, signature.method.as_str()),
            (br#","sig":"#, &encode_base64(&signature.bytes)),
        ];
        for (name, value) in members {
            out.extend_from_slice(name);
            push_string(&mut out, value);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// Turns a canonical form, where such characters can only stand in strings, into the text of a file: `<`, `>`, `&`
/// and the line separators escaped as Go escapes them, and control characters as JSON demands.
fn push_escaped(out: &mut Vec<u8>, message: &[u8]) {
    for chunk in message.utf8_chunks() {
        for c in chunk.valid().chars() {
            if matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') || c < ' ' {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            } else {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::canonical_form;

    #[test]
    fn the_file_escapes_what_the_message_holds_raw() {
        let message = canonical_form("{\"<é&>\u{2028}\":\"\\u0001\\\\\"}".as_bytes()).unwrap();
        let mut file = Vec::new();
        push_escaped(&mut file, &message);
        let expected = "{\"\\u003cé\\u0026\\u003e\\u2028\":\"\\u0001\\\\\"}";
        assert_eq!(String::from_utf8(file.clone()).unwrap(), expected);
        assert_eq!(canonical_form(&file).unwrap(), message);
    }
}
