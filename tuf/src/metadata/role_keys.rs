//! The keys of a role, as root and targets documents declare them, and the check against a threshold.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::Fields;
use super::{Envelope, MetadataError, RawSignature};
use crate::json::Json;
use crate::key::{KeyType, PublicKey};
use crate::role::RoleName;
use crate::signature::{SignatureMethod, verify_signature};

/// Keys by the ID they are listed under, which need not be their own.
pub(crate) type KeyMap = BTreeMap<String, PublicKey>;

/// The keys that may sign for a role, and how many of them must sign.
#[derive(Debug, Clone)]
pub(crate) struct RoleKeys {
    pub(crate) key_ids: Vec<String>,
    pub(crate) threshold: i64,
    /// The listed keys, by listed ID.
    pub(crate) keys: KeyMap,
    /// What counts towards the threshold.
    pub(crate) counting: Counting,
}

/// What counts towards a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Private keys, however many of their forms are listed.
    Keys,
    /// Listed IDs, as Notary counts. For documents that were stored before private keys were counted, and whose
    /// threshold cannot be met by counting them.
    Ids,
}

impl RoleKeys {
    /// Reads `keyids` and `threshold` and picks the keys out of `keys`. IDs without a key are kept for the
    /// structure check.
    pub(crate) fn read(fields: &Fields<'_>, keys: &KeyMap) -> Result<Self, MetadataError> {
        let key_ids: Vec<String> = fields.strings("keyids")?.into_iter().map(str::to_owned).collect();
        let listed = |id: &String| keys.get_key_value(id).map(|(id, key)| (id.clone(), key.clone()));
        let keys = key_ids.iter().filter_map(listed).collect();
        Ok(Self {
            threshold: fields.integer("threshold")?,
            keys,
            key_ids,
            counting: Counting::Keys,
        })
    }

    /// Checks that the threshold is at least 1 and every key ID has a key. `document` is the role of the document
    /// that declares them and `name` the role they are for.
    pub(crate) fn check(&self, document: &RoleName, name: &str) -> Result<(), MetadataError> {
        if self.threshold < 1 {
            // The blank at the end is in Notary's message too.
            let problem = format!("invalid threshold specified for {name}: {} ", self.threshold);
            return Err(MetadataError::structure(document, problem));
        }
        match self.key_ids.iter().find(|&id| !self.keys.contains_key(id)) {
            Some(id) => {
                let problem = format!("key ID {id} specified in {name} without corresponding key");
                Err(MetadataError::structure(document, problem))
            }
            None => Ok(()),
        }
    }

    /// The number of listed IDs that can count, and of different private keys among them; `None` for a threshold of 1,
    /// where the two cannot differ.
    fn usable_forms(&self) -> Option<(usize, usize)> {
        if self.threshold < 2 {
            return None;
        }
        let usable: Vec<_> = self.usable().iter().filter_map(PublicKey::identity).collect();
        let different: BTreeSet<_> = usable.iter().collect();
        Some((usable.len(), different.len()))
    }

    /// Whether the threshold can be met only by counting a private key more than once.
    pub(crate) fn counts_twice(&self) -> bool {
        self.usable_forms().is_some_and(|(listed, different)| {
            let threshold = usize::try_from(self.threshold).unwrap_or(usize::MAX);
            different < threshold && different < listed
        })
    }

    /// Takes the keys as they stand in a stored document.
    pub(crate) fn tolerate(&mut self) {
        if self.counts_twice() {
            self.counting = Counting::Ids;
        }
    }

    /// Checks that the threshold of a new document can be met by counting each private key once, unless the same was
    /// declared before. `document` is the role of the document, `name` the role they are for.
    pub(crate) fn check_forms(
        &mut self,
        document: &RoleName,
        name: &str,
        before: Option<&Self>,
    ) -> Result<(), MetadataError> {
        if !self.counts_twice() {
            return Ok(());
        }
        let same = |before: &Self| before.threshold == self.threshold && before.key_ids == self.key_ids;
        if before.is_some_and(same) {
            self.counting = Counting::Ids;
            return Ok(());
        }
        let problem = format!(
            "{name} needs {} keys, but several of those listed are one private key, which counts once",
            self.threshold
        );
        Err(MetadataError::structure(document, problem))
    }

    /// Checks that enough of these keys signed the document.
    ///
    /// A private key counts once, in however many forms it is listed. Wrong signatures and those by an unknown key or
    /// with an unknown method do not count. A signature by a key that is listed under an ID other than its own refuses
    /// the document.
    pub(crate) fn verify(&self, role: &RoleName, document: &Envelope) -> Result<(), MetadataError> {
        self.verify_signatures(role, document.message(), document.signatures(), None)
    }

    /// Like [`verify`](Self::verify), but all signatures are verified: the keys with a good one are returned, sorted by
    /// key ID.
    pub(crate) fn verify_all(
        &self,
        role: &RoleName,
        document: &Envelope,
    ) -> Result<Vec<PublicKey>, MetadataError> {
        let mut good = BTreeMap::new();
        self.verify_signatures(role, document.message(), document.signatures(), Some(&mut good))?;
        Ok(good.into_values().collect())
    }

    fn verify_signatures(
        &self,
        role: &RoleName,
        message: &[u8],
        signatures: &[RawSignature],
        mut good: Option<&mut BTreeMap<String, PublicKey>>,
    ) -> Result<(), MetadataError> {
        if signatures.is_empty() {
            return Err(MetadataError::NoSignatures);
        }
        let Some(threshold) = usize::try_from(self.threshold).ok().filter(|&needed| needed > 0) else {
            return Err(MetadataError::NoThreshold(role.clone()));
        };
        let mut signers = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for signature in signatures {
            let Some((id, key)) = self.keys.get_key_value(&signature.key_id) else {
                continue;
            };
            if key.id().as_str() != id {
                return Err(MetadataError::KeyId);
            }
            // Once the threshold is met, the other signatures need not be verified, unless somebody asks for them.
            if good.is_none() && signers.len() >= threshold || seen.contains(id) {
                continue;
            }
            if let Some(method) = SignatureMethod::parse(&signature.method)
                && verify_signature(key, method, message, &signature.bytes).is_ok()
            {
                seen.insert(id);
                if let Some(good) = &mut good {
                    good.insert(id.clone(), key.clone());
                }
                signers.insert(match self.counting {
                    // A key whose signature was verified has an identity, unless the threshold is 1, where none is
                    // needed.
                    Counting::Keys if threshold > 1 => Signer::Key(key.identity()),
                    _ => Signer::Id(id),
                });
            }
        }
        if signers.len() < threshold {
            Err(MetadataError::Threshold(role.clone()))
        } else {
            Ok(())
        }
    }

    /// Every one of these keys with a good signature on the document.
    pub(crate) fn signers(&self, document: &Envelope) -> Result<Vec<PublicKey>, MetadataError> {
        let message = document.message();
        let good = |signature: &&RawSignature| {
            let method = SignatureMethod::parse(&signature.method);
            self.keys.get(&signature.key_id).is_some_and(|key| {
                key.id().as_str() == signature.key_id
                    && method.is_some_and(|method| {
                        verify_signature(key, method, message, &signature.bytes).is_ok()
                    })
            })
        };
        let signatures = document.signatures().iter().filter(good);
        Ok(signatures
            .filter_map(|signature| self.keys.get(&signature.key_id).cloned())
            .collect())
    }

    /// The keys that can sign: those listed under their own ID.
    pub(crate) fn usable(&self) -> Vec<PublicKey> {
        self.keys
            .iter()
            .filter(|(id, key)| key.id().as_str() == *id)
            .map(|(_, key)| key.clone())
            .collect()
    }
}

/// What a threshold counts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Signer<'a> {
    Key(Option<[u8; 32]>),
    Id(&'a String),
}

/// Reads the `keys` of a root or of delegations. A private value is ignored if there is one; but clients cannot read a
/// document in which it is not base64, so that is refused.
pub(crate) fn read_keys(fields: &Fields<'_>) -> Result<KeyMap, MetadataError> {
    let read = |(id, value): (&str, Json<'_>)| Ok((id.to_owned(), read_key(value)?));
    fields.map("keys")?.into_iter().map(read).collect()
}

fn read_key(value: Json<'_>) -> Result<PublicKey, MetadataError> {
    let key = Fields::of(value, "keys")?;
    let public = match key.object("keyval", "keys.keyval")? {
        Some(value) => {
            value.bytes("private")?;
            value.bytes("public")?
        }
        None => Vec::new(),
    };
    Ok(PublicKey::new(KeyType::parse(key.string("keytype")?), public))
}
