//! Who may sign a role, and how many of them must.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tuf::KeyId;

use crate::envelope::Envelope;
use crate::fields::{Fields, refuse};
use crate::key::PublicKey;
use crate::refusal::Refusal;
use crate::role::Role;

/// The keys of a role, and how many of them must sign. In a file that was read no key is there twice, and there are as
/// many as must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signers {
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) threshold: u32,
}

impl Signers {
    /// These keys, of which so many must sign. Whether that can be is judged where a file is written or read.
    pub fn new(keys: Vec<PublicKey>, threshold: u32) -> Self {
        Self { keys, threshold }
    }

    /// The keys, in the order in which the delegating file lists them.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// How many of them must sign.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Takes the members `keyids` and `threshold` of a role.
    pub(crate) fn read(fields: &Fields<'_>, known: &BTreeMap<KeyId, PublicKey>) -> Result<Self, Refusal> {
        let threshold = fields.threshold()?;
        let mut keys: Vec<PublicKey> = Vec::new();
        for id in fields.key_ids()? {
            let Some(key) = known.get(&id) else {
                return Err(fields.refuse("keyids", format!("key {id} is not among the keys: add it there")));
            };
            if let Some(same) = keys.iter().find(|other| other.identity() == key.identity()) {
                let problem = format!(
                    "keys {} and {id} are one key written in two ways, which clients count twice: leave out one",
                    same.id()
                );
                return Err(fields.refuse("keyids", problem));
            }
            keys.push(key.clone());
        }
        if keys.len() < threshold as usize {
            let problem = format!(
                "{threshold} must sign, and there are {} keys: add keys, or lower it",
                keys.len()
            );
            return Err(fields.refuse("threshold", problem));
        }
        Ok(Self { keys, threshold })
    }

    pub(crate) fn key(&self, id: &KeyId) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// Which of the keys have a good signature on a file.
    pub(crate) fn signed<'a>(&'a self, file: &Envelope) -> Vec<&'a PublicKey> {
        let good = |signature: &crate::envelope::Signature| {
            let key = self.key(&signature.key_id)?;
            key.verify(&file.message, &signature.bytes).then_some(key)
        };
        file.signatures.iter().filter_map(good).collect()
    }

    /// Whether enough of the keys signed a file; otherwise how many did.
    pub(crate) fn enough(&self, file: &Envelope) -> Result<(), u32> {
        let have = u32::try_from(self.signed(file).len()).unwrap_or(u32::MAX);
        if have >= self.threshold { Ok(()) } else { Err(have) }
    }
}

/// Takes a map of keys by key ID.
pub(crate) fn read_keys(
    role: &Role,
    place: &str,
    keys: &Map<String, Value>,
) -> Result<BTreeMap<KeyId, PublicKey>, Refusal> {
    let mut read = BTreeMap::new();
    for (id, value) in keys {
        let place = format!("{place}.{id}");
        let key = PublicKey::from_json(value).map_err(|e| refuse(role, &place, e.to_string()))?;
        if key.id().as_str() != id {
            let problem = format!(
                "the ID of this key is {}, the SHA-256 of its canonical form",
                key.id()
            );
            return Err(refuse(role, &place, problem));
        }
        read.insert(key.id().clone(), key);
    }
    Ok(read)
}
