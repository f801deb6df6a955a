//! What snapshots and timestamps say about a document: its hashes and length.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::MetadataError;
use super::fields::Fields;
use crate::canonical::push_string;
use crate::checksum::Checksum;
use crate::document::Document;
use crate::encoding::{decode_base64, encode_base64, is_base64};
use crate::json::Json;
use crate::role::RoleName;
use crate::time;
use crate::version::Version;

/// Hashes and length of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileMeta {
    /// By the name of the algorithm; `sha256` and `sha512` are checked, others are only kept.
    hashes: BTreeMap<String, Vec<u8>>,
    length: i64,
}

impl FileMeta {
    /// Describes the raw bytes of a document.
    pub(crate) fn of(document: &Document) -> Self {
        let hashes = [
            ("sha256".to_owned(), document.sha256.as_bytes().to_vec()),
            (
                "sha512".to_owned(),
                openssl::sha::sha512(&document.bytes).to_vec(),
            ),
        ];
        Self {
            hashes: hashes.into(),
            length: document.bytes.len() as i64,
        }
    }

    /// The stated length, in bytes.
    pub(crate) fn length(&self) -> i64 {
        self.length
    }

    /// Reads an entry. Hashes may be missing or of any length; fields other than hashes and length are left out.
    pub(crate) fn read(value: Json<'_>, path: &'static str) -> Result<Self, MetadataError> {
        let fields = Fields::of(value, path)?;
        let mut hashes = BTreeMap::new();
        for (algorithm, hash) in fields.map("hashes")? {
            let digest = match hash {
                Json::String(string) => decode_base64(string.text),
                _ => None,
            };
            let digest = digest.ok_or_else(|| fields.wrong("hashes", "a map of base64"))?;
            hashes.insert(algorithm.to_owned(), digest);
        }
        Ok(Self {
            hashes,
            length: fields.integer("length")?,
        })
    }

    /// Checks the kind of the fields of an entry, as [`read`](Self::read) does.
    pub(crate) fn check_fields(value: Json<'_>, path: &'static str) -> Result<(), MetadataError> {
        let fields = Fields::of(value, path)?;
        for (_, hash) in fields.map("hashes")? {
            let is_base64 = match hash {
                Json::String(string) => is_base64(string.text),
                _ => false,
            };
            if !is_base64 {
                return Err(fields.wrong("hashes", "a map of base64"));
            }
        }
        fields.integer("length").map(drop)
    }

    /// Reads the `meta` of a snapshot or timestamp.
    pub(crate) fn read_map(fields: &Fields<'_>) -> Result<BTreeMap<String, Self>, MetadataError> {
        let read = |(name, value): (&str, Json<'_>)| {
            Ok((name.to_owned(), Self::read(value, "document.signed.meta")?))
        };
        fields.map("meta")?.into_iter().map(read).collect()
    }

    /// Checks that there is a SHA-256 and that known hashes have their length. `document` is the role of the
    /// document that holds this entry, `name` the entry's name.
    pub(crate) fn check(meta: Option<&Self>, document: &RoleName, name: &str) -> Result<(), MetadataError> {
        let Some(sha256) = meta.and_then(|meta| meta.hashes.get("sha256")) else {
            let problem = format!("missing {name} sha256 checksum information");
            return Err(MetadataError::structure(document, problem));
        };
        let sha512 = meta.and_then(|meta| meta.hashes.get("sha512"));
        for (algorithm, digest, length) in [("sha256", Some(sha256), 32), ("sha512", sha512, 64)] {
            if digest.is_some_and(|digest| digest.len() != length) {
                let problem = format!("invalid {name} checksum information, {algorithm} checksum invalid");
                return Err(MetadataError::structure(document, problem));
            }
        }
        Ok(())
    }

    /// The SHA-256, if there is one of the right length.
    pub(crate) fn sha256(&self) -> Option<Checksum> {
        let digest: &[u8; 32] = self.hashes.get("sha256")?.as_slice().try_into().ok()?;
        Some(Checksum::from_bytes(*digest))
    }

    /// Checks the raw bytes of a document against every given hash of a known algorithm, of which there must be at
    /// least one. The length is not checked.
    pub(crate) fn verify(meta: Option<&Self>, document: &Document) -> Result<(), MetadataError> {
        let role = &document.role;
        let hash = |algorithm| meta.and_then(|meta| meta.hashes.get(algorithm));
        let (sha256, sha512) = (hash("sha256"), hash("sha512"));
        if sha256.is_none() && sha512.is_none() {
            return Err(MetadataError::NoChecksum(role.clone()));
        }
        let mismatch = |algorithm, expected: &Vec<u8>| MetadataError::Checksum {
            algorithm,
            role: role.clone(),
            expected: hex::encode(expected),
        };
        if let Some(expected) = sha256
            && document.sha256.as_bytes() != &**expected
        {
            return Err(mismatch("sha256", expected));
        }
        if let Some(expected) = sha512
            && openssl::sha::sha512(&document.bytes) != **expected
        {
            return Err(mismatch("sha512", expected));
        }
        Ok(())
    }

    /// Like [`verify`](Self::verify), but the SHA-256, by which documents are found, must be among the hashes, and the
    /// length must be right.
    pub(crate) fn verify_exactly(meta: Option<&Self>, document: &Document) -> Result<(), MetadataError> {
        Self::verify(meta, document)?;
        let role = || document.role.clone();
        let meta = meta
            .filter(|meta| meta.hashes.contains_key("sha256"))
            .ok_or_else(|| MetadataError::NoChecksum(role()))?;
        if i64::try_from(document.bytes.len()).ok() == Some(meta.length) {
            return Ok(());
        }
        Err(MetadataError::Length {
            role: role(),
            stated: meta.length,
            actual: document.bytes.len(),
        })
    }

    /// Appends the canonical form.
    fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"hashes":{"#);
        for (i, (algorithm, digest)) in self.hashes.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            push_string(out, algorithm);
            out.push(b':');
            push_string(out, &encode_base64(digest));
        }
        out.extend_from_slice(format!(r#"}},"length":{}}}"#, self.length).as_bytes());
    }
}

/// The message of a server-made snapshot or timestamp: the canonical form of its signed part.
pub(crate) fn write_meta(
    type_name: &str,
    expires: DateTime<Utc>,
    meta: &BTreeMap<String, FileMeta>,
    version: Version,
) -> Vec<u8> {
    let mut out = br#"{"_type":"#.to_vec();
    push_string(&mut out, type_name);
    out.extend_from_slice(br#","expires":"#);
    push_string(&mut out, &time::write(expires));
    out.extend_from_slice(br#","meta":{"#);
    for (i, (name, meta)) in meta.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_string(&mut out, name);
        out.push(b':');
        meta.push(&mut out);
    }
    out.extend_from_slice(format!(r#"}},"version":{version}}}"#).as_bytes());
    out
}
