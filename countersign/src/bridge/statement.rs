//! What is attested: an image, and what the verdict about it rests on.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tuf::{Checksum, Gun};
use verifier::{ImageReference, Verdict};

/// What is said of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The repository.
    pub gun: Gun,
    /// The tag that is signed.
    pub tag: String,
    /// The image by its name, as readers compare it: with the tag if that was asked for, and otherwise with the digest.
    pub reference: String,
    /// What the tag is signed with.
    pub digest: Checksum,
    /// The manifest that is attested: that of the digest, or one in the index of that digest.
    pub manifest: Checksum,
    /// What the verdict rests on.
    pub basis: Basis,
}

/// What a verdict rests on, as it is signed with the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// The repository.
    pub gun: String,
    /// The tag.
    pub tag: String,
    /// The index that the tag is signed with, where the image is one in it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<String>,
    /// The root from which it was verified.
    pub root: Root,
    /// The timestamp with which it was.
    pub timestamp: Timestamp,
    /// The roles that sign the tag with the digest.
    pub roles: Vec<Role>,
}

/// The root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Its version.
    pub version: i32,
    /// The keys that signed it.
    pub key_ids: Vec<String>,
}

/// The timestamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// Its version.
    pub version: i32,
    /// When it ends, in RFC 3339.
    pub expires: String,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// `targets`, or the full name of a delegation.
    pub role: String,
    /// The version of its document.
    pub version: i32,
    /// The keys that signed it.
    pub key_ids: Vec<String>,
    /// Those signers of the policy who signed it.
    pub signers: Vec<String>,
}

/// Why a verdict says nothing that could be attested.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unattested {
    /// The image is not allowed.
    #[error("{0}")]
    Denied(String),
    /// It is allowed without anything having been verified.
    #[error(
        "{image} is allowed, but not because of its signatures: {why}; only what was verified is attested, so write a rule that \
         checks it"
    )]
    Unchecked {
        /// The image.
        image: String,
        /// Why it is allowed.
        why: String,
    },
}

impl Statement {
    /// What a verdict says.
    ///
    /// # Errors
    /// When it allows nothing, also where its denial does not count, or rests on nothing that is signed now.
    pub fn of(verdict: &Verdict) -> Result<Self, Unattested> {
        if !verdict.allow {
            return Err(Unattested::Denied(verdict.sentence.clone()));
        }
        let unchecked = |why: &str| Unattested::Unchecked {
            image: verdict.image.clone(),
            why: why.to_owned(),
        };
        let (None, Some(digest), Some(evidence)) = (verdict.reason, verdict.digest, &verdict.evidence) else {
            return Err(unchecked(&verdict.sentence));
        };
        let image = ImageReference::parse(&verdict.image).map_err(|cause| unchecked(&cause.to_string()))?;
        let text = Some(format!("sha256:{digest}"));
        let mut naming = evidence
            .roles
            .iter()
            .filter(|role| role.digest == text)
            .peekable();
        // A digest alone may have several tags.
        let first = naming.peek().map(|role| role.tag.clone());
        let tag = image.effective_tag().map(str::to_owned).or(first);
        let tag = tag.ok_or_else(|| unchecked("no role names it now"))?;
        let roles: Vec<Role> = naming
            .filter(|role| role.tag == tag)
            .map(|role| Role {
                role: role.role.clone(),
                version: role.document.version,
                key_ids: role.document.key_ids.clone(),
                signers: role.signers.clone(),
            })
            .collect();
        if roles.is_empty() {
            return Err(unchecked("no role names it now"));
        }
        let reference = match image.effective_tag() {
            Some(tag) => format!("{}:{tag}", image.name()),
            None => format!("{}@sha256:{digest}", image.name()),
        };
        Ok(Self {
            basis: Basis {
                gun: image.name().to_owned(),
                tag: tag.clone(),
                index: None,
                root: Root {
                    version: evidence.root.version,
                    key_ids: evidence.root.key_ids.clone(),
                },
                timestamp: Timestamp {
                    version: evidence.timestamp.version,
                    expires: written(evidence.timestamp.expires),
                },
                roles,
            },
            gun: image.gun().clone(),
            tag,
            reference,
            digest,
            manifest: digest,
        })
    }

    /// The same of an image in the index.
    pub fn of_image_in_index(&self, manifest: Checksum) -> Self {
        Self {
            manifest,
            reference: match self.reference.contains('@') {
                true => format!("{}@sha256:{manifest}", self.gun),
                false => self.reference.clone(),
            },
            basis: Basis {
                index: Some(format!("sha256:{}", self.digest)),
                ..self.basis.clone()
            },
            ..self.clone()
        }
    }
}

fn written(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}
