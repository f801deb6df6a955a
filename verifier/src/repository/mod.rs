//! A repository after everything but dates was verified.

mod history;
mod rollback;
mod roots;
mod verify;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use tuf::{Checksum, Gun, LeftOut, LeftOutCause, PublicKey, VerifiedDocument, VerifiedRoot};

pub use verify::verify;

use crate::evidence::{DocumentEvidence, Evidence, RoleEvidence};
use crate::reason::{Denial, Reason};
use crate::seen::Seen;

/// A repository after everything but dates was verified. Dates are judged with each decision, so that what is kept can be
/// judged again.
#[derive(Debug, Clone)]
pub struct Repository {
    gun: Gun,
    anchor: String,
    root: DocumentEvidence,
    timestamp: DocumentEvidence,
    snapshot: DocumentEvidence,
    roles: Vec<SignedRole>,
    left_out: Vec<Unusable>,
    /// The roles, by index, and tags that name a digest.
    digests: HashMap<Checksum, Vec<(usize, String)>>,
    /// What was signed and is no longer, or not for the same tag.
    former: Vec<Former>,
    usable_until: DateTime<Utc>,
    seen: Seen,
}

/// A role whose document is signed by enough of its keys: `targets` or a delegation.
#[derive(Debug, Clone)]
pub struct SignedRole {
    name: String,
    document: DocumentEvidence,
    /// When it or what leads to it expires.
    expires: DateTime<Utc>,
    pub(crate) signers: Vec<Signature>,
    pub(crate) declared: Declared,
    targets: HashMap<String, Option<Checksum>>,
}

/// A key in the forms by which it may be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    /// The ID under which the declaring document lists it.
    pub(crate) listed: String,
    /// The ID of the bare key.
    pub(crate) bare: Option<String>,
    /// Equal for all forms of one private key, in hexadecimal.
    pub(crate) identity: String,
}

/// Who may sign for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    pub(crate) keys: Vec<Signature>,
    /// Whether every one of the keys has to sign each version. Otherwise whoever signs last signs what others have put
    /// there.
    pub(crate) all_sign: bool,
}

/// A declared delegation that cannot be used.
#[derive(Debug, Clone)]
pub(crate) struct Unusable {
    pub(crate) role: String,
    pub(crate) declared: Vec<Signature>,
    pub(crate) cause: LeftOutCause,
}

/// A digest that a role named, and does not name any more for this tag.
#[derive(Debug, Clone)]
pub(crate) struct Former {
    pub(crate) role: String,
    pub(crate) tag: String,
    pub(crate) digest: Checksum,
    pub(crate) last_seen: DateTime<Utc>,
    pub(crate) revoked: bool,
    /// Those of its signers that are declared for the role still, if they are enough.
    pub(crate) signers: Vec<Signature>,
    /// Who may sign for the role now; nobody if there is no such role any more.
    pub(crate) declared: Declared,
}

impl Repository {
    /// Its name.
    pub fn gun(&self) -> &Gun {
        &self.gun
    }

    /// What to keep and to give to the next [`verify`].
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// When the first of root (with its certificates), timestamp, snapshot and targets expires.
    pub fn usable_until(&self) -> DateTime<Utc> {
        self.usable_until
    }

    /// The version of its root.
    pub fn root_version(&self) -> i32 {
        self.root.version
    }

    /// The version of its timestamp.
    pub fn timestamp_version(&self) -> i32 {
        self.timestamp.version
    }

    /// `targets` and each delegation that readers accept, parents first.
    pub fn roles(&self) -> &[SignedRole] {
        &self.roles
    }

    /// The role of this name.
    pub fn role(&self, name: &str) -> Option<&SignedRole> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// What was verified, with each role that names the tag (`None`: without roles).
    pub fn evidence(&self, tag: Option<&str>) -> Evidence {
        self.evidence_with(|role| {
            let tag = tag.filter(|tag| role.targets.contains_key(*tag));
            tag.map(str::to_owned).into_iter().collect()
        })
    }

    /// What was verified, with each role and tag that names the digest.
    pub(crate) fn evidence_of_digest(&self, digest: &Checksum) -> Evidence {
        let named = self.digests.get(digest).map_or(&[][..], Vec::as_slice);
        self.evidence_with(|role| {
            let of_role =
                |(index, _): &&(usize, String)| self.roles.get(*index).is_some_and(|r| r.name == role.name);
            // One tag of each role is evidence enough.
            named
                .iter()
                .find(of_role)
                .map(|(_, tag)| tag.clone())
                .into_iter()
                .collect()
        })
    }

    fn evidence_with(&self, tags: impl Fn(&SignedRole) -> Vec<String>) -> Evidence {
        let mut roles = Vec::new();
        for role in &self.roles {
            for tag in tags(role) {
                roles.push(RoleEvidence {
                    role: role.name.clone(),
                    document: DocumentEvidence {
                        expires: role.expires,
                        ..role.document.clone()
                    },
                    digest: role
                        .target(&tag)
                        .flatten()
                        .map(|digest| format!("sha256:{digest}")),
                    tag,
                    signers: Vec::new(),
                });
            }
        }
        let targets = self.roles.first().map(|role| role.document.clone());
        Evidence {
            gun: self.gun.to_string(),
            root: self.root.clone(),
            timestamp: self.timestamp.clone(),
            snapshot: self.snapshot.clone(),
            targets: targets.unwrap_or_else(|| self.snapshot.clone()),
            roles,
            left_out: self.left_out.iter().map(Unusable::sentence).collect(),
        }
    }

    /// The identity of the anchor from which it was verified.
    pub(crate) fn anchor(&self) -> &str {
        &self.anchor
    }

    pub(crate) fn left_out(&self) -> &[Unusable] {
        &self.left_out
    }

    pub(crate) fn former(&self) -> &[Former] {
        &self.former
    }

    /// The roles that name a digest, each with a tag.
    pub(crate) fn naming(&self, digest: &Checksum) -> impl Iterator<Item = (&SignedRole, &str)> {
        let named = self.digests.get(digest).map_or(&[][..], Vec::as_slice);
        named
            .iter()
            .filter_map(|(index, tag)| Some((self.roles.get(*index)?, tag.as_str())))
    }

    /// Checks that root, timestamp, snapshot and targets can be used at this moment.
    pub(crate) fn check_dates(&self, moment: DateTime<Utc>) -> Result<(), Denial> {
        let targets = self.roles.first().map(|role| &role.document);
        let documents = [
            ("root", Some(&self.root)),
            ("timestamp", Some(&self.timestamp)),
            ("snapshot", Some(&self.snapshot)),
            ("targets", targets),
        ];
        for (role, document) in documents {
            let Some(document) = document else { continue };
            if document.expires < moment {
                let fix = match role {
                    "root" => {
                        "its owner has to publish a new root, or rotate its key if only the certificate has expired"
                    }
                    "targets" => "its owner has to publish again",
                    _ => "whoever keeps its key, mostly the trust server, has to sign a new one",
                };
                let sentence = format!(
                    "the {role} of {} expired at {}; {fix}",
                    self.gun,
                    document.expires.format("%Y-%m-%d %H:%M UTC")
                );
                return Err(Denial::new(Reason::Expired, sentence));
            }
        }
        Ok(())
    }
}

impl SignedRole {
    /// `targets`, or the full name of a delegation.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of its document.
    pub fn version(&self) -> i32 {
        self.document.version
    }

    /// When it, or the first of the documents that lead to it, expires.
    pub fn expires(&self) -> DateTime<Utc> {
        self.expires
    }

    /// The IDs of the keys with a good signature on it.
    pub fn key_ids(&self) -> &[String] {
        &self.document.key_ids
    }

    /// Its tags, each with the digest that it names; in no order.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Option<&Checksum>)> {
        self.targets
            .iter()
            .map(|(tag, digest)| (tag.as_str(), digest.as_ref()))
    }

    /// The digest that it names for a tag: `None` if it does not name the tag, `Some(None)` if it names it without one.
    pub fn target(&self, tag: &str) -> Option<Option<&Checksum>> {
        self.targets.get(tag).map(Option::as_ref)
    }
}

impl Signature {
    fn of(key: &PublicKey) -> Option<Self> {
        Some(Self {
            listed: key.id().to_string(),
            bare: key.bare().map(|bare| bare.id().to_string()),
            identity: hex::encode(key.identity()?),
        })
    }

    fn all(keys: &[PublicKey]) -> Vec<Self> {
        keys.iter().filter_map(Self::of).collect()
    }
}

impl Declared {
    fn of(keys: &[PublicKey], threshold: i64) -> Self {
        let keys = Signature::all(keys);
        let different: BTreeSet<&str> = keys.iter().map(|key| key.identity.as_str()).collect();
        let all_sign = i64::try_from(different.len()).is_ok_and(|count| threshold >= count);
        Self { keys, all_sign }
    }

    /// Of a role that is not there.
    fn nobody() -> Self {
        Self {
            keys: Vec::new(),
            all_sign: false,
        }
    }
}

impl Unusable {
    fn of(left_out: &LeftOut) -> Self {
        Self {
            role: left_out.role.to_string(),
            declared: Signature::all(&left_out.declared),
            cause: left_out.cause.clone(),
        }
    }

    pub(crate) fn sentence(&self) -> String {
        let role = &self.role;
        match &self.cause {
            LeftOutCause::Unpublished => format!("{role} is declared, but nothing was ever published for it"),
            LeftOutCause::Missing => {
                format!("{role} is named by the snapshot, but the server did not give its document")
            }
            LeftOutCause::Refused(cause) => format!(
                "{role} is not signed as its parent demands ({cause}); whoever has its key has to publish it again"
            ),
        }
    }
}

/// Whether a document with these signers would still be accepted with the keys that are declared now.
fn still_signed(signers: &BTreeSet<String>, declared: &[Signature], threshold: i64) -> bool {
    let declared: BTreeSet<&str> = declared.iter().map(|key| key.identity.as_str()).collect();
    let count = signers
        .iter()
        .filter(|signer| declared.contains(signer.as_str()))
        .count();
    i64::try_from(count).is_ok_and(|count| count >= threshold.max(1))
}

fn document_evidence(document: &VerifiedDocument) -> DocumentEvidence {
    DocumentEvidence {
        version: document.version.get(),
        expires: document.expires,
        key_ids: document.signers.iter().map(|key| key.id().to_string()).collect(),
    }
}

fn root_evidence(root: &VerifiedRoot) -> DocumentEvidence {
    DocumentEvidence {
        version: root.version().get(),
        expires: root.usable_until(),
        key_ids: root.signers().iter().map(|key| key.id().to_string()).collect(),
    }
}
