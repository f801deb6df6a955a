//! A file that was read: its signed value, the message of its signatures, and the signatures.

use std::collections::BTreeSet;

use bytes::Bytes;
use olpc_cjson::CanonicalFormatter;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tuf::KeyId;

use crate::refusal::Refusal;
use crate::role::Role;

/// The most signatures that a file may carry: enough for the keys of two roots.
const MAX_SIGNATURES: usize = 128;

/// Longest signature in bytes: that of the largest RSA key.
const MAX_SIGNATURE: usize = 1024;

/// A signature by a key that has an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) key_id: KeyId,
    /// The bytes, laid out as the key's scheme says.
    pub(crate) bytes: Vec<u8>,
}

/// A file, taken apart.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) signed: Map<String, Value>,
    /// The signed value as it was written.
    pub(crate) raw: Box<RawValue>,
    /// What the signatures are made over.
    pub(crate) message: Vec<u8>,
    pub(crate) signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    signatures: Vec<FileSignature>,
    signed: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileSignature {
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Takes a file apart. Its text has one meaning for every reader, and its signed value one canonical form.
    pub(crate) fn read(role: &Role, bytes: &Bytes) -> Result<Self, Refusal> {
        let limit = limit(role);
        if bytes.len() > limit {
            return Err(Refusal::TooLarge {
                role: role.clone(),
                length: bytes.len(),
                limit,
            });
        }
        let malformed = |problem: String| Refusal::Json {
            role: role.clone(),
            problem,
        };
        // The whole file must have one meaning, not only what is signed.
        tuf::canonical_form(bytes).map_err(|e| malformed(e.to_string()))?;
        let file: File = serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
        let text = file.signed.get().as_bytes();
        let message = tuf::canonical_form(text).map_err(|e| malformed(e.to_string()))?;
        let value: Value = serde_json::from_slice(text).map_err(|e| malformed(e.to_string()))?;
        if olpc_form(&value).as_deref() != Some(&message) {
            return Err(Refusal::Canonical { role: role.clone() });
        }
        check_names(role, &value)?;
        let Value::Object(signed) = value else {
            return Err(malformed("the member signed is not an object".to_owned()));
        };
        Ok(Self {
            signed,
            raw: file.signed,
            message,
            signatures: signatures(role, file.signatures)?,
        })
    }

    /// The key IDs of the signatures.
    pub(crate) fn signature_ids(&self) -> impl Iterator<Item = &KeyId> {
        self.signatures.iter().map(|signature| &signature.key_id)
    }
}

/// Writes a file of the signed value, which is kept as it is written, and signatures.
pub(crate) fn write(raw: &RawValue, signatures: &[Signature]) -> Bytes {
    #[derive(Serialize)]
    struct Written {
        keyid: String,
        sig: String,
    }
    let signatures: Vec<Written> = signatures
        .iter()
        .map(|signature| Written {
            keyid: signature.key_id.to_string(),
            sig: hex::encode(&signature.bytes),
        })
        .collect();
    // Strings alone are always written.
    let signatures = serde_json::to_string(&signatures).unwrap_or_default();
    format!(r#"{{"signatures":{signatures},"signed":{raw}}}"#).into()
}

/// The longest file of a role, in bytes: the smallest limit of python-tuf, tough and go-tuf.
pub(crate) fn limit(role: &Role) -> usize {
    match role {
        Role::Root => 512_000,
        Role::Timestamp => 16_384,
        Role::Snapshot => 1_048_576,
        Role::Targets | Role::Delegated(_) => 5_000_000,
    }
}

/// The canonical form as olpc-cjson, which tough uses, writes it.
fn olpc_form(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, CanonicalFormatter::new());
    value.serialize(&mut serializer).ok()?;
    Some(out)
}

/// JavaScript sorts names by UTF-16, which differs from the order of UTF-8 for characters beyond U+FFFF, and gives one
/// name a meaning of its own.
fn check_names(role: &Role, value: &Value) -> Result<(), Refusal> {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(elements) => open.extend(elements),
            Value::Object(members) => {
                for (name, member) in members {
                    if name == "__proto__" || name.chars().any(|c| c > '\u{ffff}') {
                        return Err(Refusal::Profile {
                            role: role.clone(),
                            place: format!("member {name:?}"),
                            problem: "clients in JavaScript read this name otherwise: use another one"
                                .to_owned(),
                        });
                    }
                    open.push(member);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn signatures(role: &Role, written: Vec<FileSignature>) -> Result<Vec<Signature>, Refusal> {
    let refuse = |problem: String| Refusal::Profile {
        role: role.clone(),
        place: "signatures".to_owned(),
        problem,
    };
    if written.len() > MAX_SIGNATURES {
        return Err(refuse(format!(
            "more than {MAX_SIGNATURES}: leave out those that do not count"
        )));
    }
    let mut seen = BTreeSet::new();
    let mut read = Vec::with_capacity(written.len());
    for FileSignature { keyid, sig } in written {
        let key_id = KeyId::parse(&keyid).map_err(|e| refuse(e.to_string()))?;
        if !seen.insert(key_id.clone()) {
            return Err(refuse(format!(
                "key {key_id} is there twice: leave out one of them"
            )));
        }
        let bytes = hex::decode(&sig).unwrap_or_default();
        if bytes.is_empty() || bytes.len() > MAX_SIGNATURE || hex::encode(&bytes) != sig {
            return Err(refuse(format!(
                "that of key {key_id} is not 1 to {MAX_SIGNATURE} bytes in lower case hexadecimal"
            )));
        }
        read.push(Signature { key_id, bytes });
    }
    Ok(read)
}
