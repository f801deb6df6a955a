//! What a publisher wants to be different.

use serde_json::{Map, Value, json};
use tuf::{Checksum, DelegationName, KeyId, PublicKey, RoleName};

/// One change of a repository. Several are published together, or none.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Names a target, or names it anew.
    AddTarget {
        /// `targets` or a delegation.
        role: RoleName,
        /// The name: for Docker, a tag.
        name: String,
        /// What it names.
        target: Target,
    },
    /// Takes a target away. An error if the role does not name it.
    RemoveTarget {
        /// `targets` or a delegation.
        role: RoleName,
        /// The name.
        name: String,
    },
    /// Makes a delegation, or gives more keys and paths to one that is there.
    AddDelegation {
        /// Its full name.
        role: DelegationName,
        /// The keys that may sign for it.
        keys: Vec<PublicKey>,
        /// What the names of its targets may begin with; `""` is everything.
        paths: Vec<String>,
    },
    /// Takes keys away from a delegation.
    RemoveDelegationKeys {
        /// Its full name.
        role: DelegationName,
        /// The keys, by the IDs under which they are listed or by those of the bare public keys.
        keys: Vec<KeyId>,
    },
    /// Gives other keys to a delegation in place of all it has. One change, so that it can always be read.
    ReplaceDelegationKeys {
        /// Its full name.
        role: DelegationName,
        /// The keys that may sign for it from now on.
        keys: Vec<PublicKey>,
    },
    /// Removes a delegation and what it delegates to.
    RemoveDelegation {
        /// Its full name.
        role: DelegationName,
    },
    /// Signs a role again without changing what it says, which also puts off its end.
    Witness {
        /// Any role but the timestamp.
        role: RoleName,
    },
    /// Gives other keys to a base role. Those of the root are certificates of root keys
    /// ([`root_certificate`](super::root_certificate)).
    SetRoleKeys {
        /// The base role.
        role: RoleName,
        /// Its keys from now on.
        keys: Vec<PublicKey>,
    },
}

/// What a target names.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The SHA-256 of the content: for Docker, the digest of the manifest.
    pub sha256: Checksum,
    /// The length of the content, in bytes.
    pub length: u64,
    /// Anything that its publisher wants to say about it.
    pub custom: Option<Value>,
}

impl Target {
    /// As it stands in metadata.
    pub(super) fn to_json(&self) -> Value {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let mut fields = Map::new();
        if let Some(custom) = &self.custom {
            fields.insert("custom".into(), custom.clone());
        }
        let sha256 = STANDARD.encode(self.sha256.as_bytes());
        fields.insert("hashes".into(), json!({ "sha256": sha256 }));
        fields.insert("length".into(), self.length.into());
        Value::Object(fields)
    }
}
