//! Where trust in a repository begins.

use std::collections::BTreeSet;

use thiserror::Error;
use tuf::KeyId;

use crate::pattern::Pattern;

/// What a root must have for trust to begin with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// One of these keys signed it. The IDs are those of bare public keys, as `notary key list` shows them.
    RootKeys(BTreeSet<KeyId>),
    /// The key of one of these certificates signed it. The IDs are those under which the root lists certificates.
    CertIds(BTreeSet<KeyId>),
    /// A certificate of a key that signed it was issued by this authority.
    Ca {
        /// Certificates of authorities in PEM.
        pem: Vec<u8>,
    },
    /// Nothing: the first root that is seen counts.
    Tofu {
        /// The repositories for which that is so.
        scope: Pattern,
    },
}

/// What was given is no anchor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnchorError {
    /// No key at all.
    #[error("an anchor needs at least one key ID: with none, nothing could ever meet it")]
    Empty,
    /// A text that is not a key ID.
    #[error("{0:?} is not a key ID: it is written as 64 lower case hexadecimal digits")]
    KeyId(String),
    /// A file without a usable authority.
    #[error("not the certificate of an authority in PEM: {0}")]
    Ca(String),
}

impl Anchor {
    /// Pins root keys by the IDs of the bare public keys.
    ///
    /// # Errors
    /// For an empty list and for texts that are not key IDs.
    pub fn root_keys<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<Self, AnchorError> {
        key_ids(ids).map(Self::RootKeys)
    }

    /// Pins root certificates by the IDs under which a root lists them.
    ///
    /// # Errors
    /// For an empty list and for texts that are not key IDs.
    pub fn cert_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<Self, AnchorError> {
        key_ids(ids).map(Self::CertIds)
    }
}

fn key_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<BTreeSet<KeyId>, AnchorError> {
    let read = |id: &str| KeyId::parse(id).map_err(|_| AnchorError::KeyId(id.to_owned()));
    let ids: BTreeSet<KeyId> = ids.into_iter().map(read).collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Err(AnchorError::Empty);
    }
    Ok(ids)
}
