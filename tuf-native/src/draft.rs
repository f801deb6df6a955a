//! Files that wait for signatures of several people.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tuf::{KeyId, Version};

use crate::check::{check_next, check_version, names_online_keys};
use crate::envelope;
use crate::key::PublicKey;
use crate::metadata::Metadata;
use crate::name::RepositoryName;
use crate::refusal::{Delegator, Refusal};
use crate::role::Role;
use crate::signers::Signers;
use crate::trusted::{Limits, OnlineKeys, Trusted};

/// A root, targets or delegated role whose signatures may not reach the threshold yet.
#[derive(Debug, Clone)]
pub struct Draft(Metadata);

/// Who has signed a draft, and who has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Keys that may sign it and did, in the order in which they are named.
    pub signed: Vec<KeyId>,
    /// Keys that may sign it and did not.
    pub missing: Vec<KeyId>,
    /// What each of those who name its keys demands.
    pub needed: Vec<Needed>,
    /// Whether enough have signed: for a root by the keys of both the stored root and its own, for the others by those that
    /// the delegator names which waits beside it, or else the stored one.
    pub complete: bool,
}

/// What one of those who name the keys of a role demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Who names the keys, such as `root version 2` or `targets`.
    pub by: Delegator,
    /// How many of the keys must sign.
    pub threshold: u32,
    /// How many did.
    pub have: u32,
}

/// The drafts that can be published now, together: enough have signed each, by what is stored and by what waits beside it. A
/// draft stays out that names keys for another one which stays out, unless they signed what is stored: one without the other
/// would be refused, or take away what the other waits for.
pub fn ready(trusted: &Trusted, drafts: &[Draft]) -> Vec<Metadata> {
    let complete =
        |draft: &&Draft| draft.standing(trusted, drafts).complete && !draft.0.signature_ids().is_empty();
    let mut ready: Vec<&Draft> = drafts.iter().filter(complete).collect();
    loop {
        let before = ready.len();
        let stays = |draft: &&Draft| {
            let is_ready = |other: &Draft| ready.iter().any(|ready| ready.role() == other.role());
            let role = draft.role();
            let signed = |by: &Draft| by.names(role).map(|signers| draft.0.is_signed_by(signers));
            let stored = trusted.root.iter().chain(&trusted.targets).cloned().map(Draft);
            let named = *role == Role::Root
                || stored
                    .chain(ready.iter().copied().cloned())
                    .any(|by| signed(&by) == Some(true));
            let named_well = named && drafts.iter().all(|by| signed(by) != Some(false));
            let names_well = drafts.iter().filter(|other| !is_ready(other)).all(|other| {
                let stored = || trusted.file(other.role());
                draft
                    .names(other.role())
                    .is_none_or(|signers| stored().is_some_and(|file| file.is_signed_by(signers)))
            });
            named_well && names_well
        };
        let left: Vec<&Draft> = ready.iter().copied().filter(stays).collect();
        ready = left;
        if ready.len() == before {
            return ready.into_iter().map(|draft| draft.0.clone()).collect();
        }
    }
}

/// Someone who names the keys of a draft.
struct Naming<'a> {
    by: &'a Metadata,
    signers: &'a Signers,
    /// Whether it waits itself, and is not stored.
    waits: bool,
}

impl Draft {
    /// Reads a file with any number of signatures, none among them.
    ///
    /// # Errors
    /// As [`Metadata::parse`]; and for snapshots and timestamps, which the server makes.
    pub fn parse(role: &Role, bytes: Bytes) -> Result<Self, Refusal> {
        if matches!(role, Role::Snapshot | Role::Timestamp) {
            return Err(Refusal::MadeByServer { role: role.clone() });
        }
        Metadata::parse_unsigned(role, bytes).map(Self)
    }

    /// Its role.
    pub fn role(&self) -> &Role {
        self.0.role()
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.0.version()
    }

    /// When it ends.
    pub fn expires(&self) -> DateTime<Utc> {
        self.0.expires()
    }

    /// The file.
    pub fn bytes(&self) -> &Bytes {
        self.0.bytes()
    }

    /// The canonical form of its signed value: what is signed.
    pub fn message(&self) -> &[u8] {
        &self.0.envelope().message
    }

    /// Refuses a draft that names another repository.
    ///
    /// # Errors
    /// [`Refusal::OtherRepository`].
    pub fn check_repository(&self, asked: &RepositoryName) -> Result<(), Refusal> {
        self.0.check_repository(asked)
    }

    /// Whether it may wait beside what is stored and beside other drafts: it would be the next version, has not expired,
    /// names the server's keys where it must and nowhere else, and every signature is a good one by a key that counts.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(
        &self,
        trusted: &Trusted,
        beside: &[Self],
        online: &OnlineKeys,
        limits: &Limits,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let file = &self.0;
        if self.expires() <= now {
            return Err(Refusal::Expired {
                role: self.role().clone(),
                at: self.expires(),
            });
        }
        if *self.role() == Role::Root {
            check_next(trusted.root.as_ref(), file)?;
            names_online_keys(file, online)?;
            for role in [Role::Root, Role::Targets] {
                if let Some(signers) = file.root_signers(&role) {
                    online.check_absent(file, &role, signers)?;
                }
            }
        } else {
            check_version(trusted, file, limits)?;
            for (role, signers) in file.delegations() {
                online.check_absent(file, role, signers)?;
            }
        }
        let naming = self.naming(trusted, beside);
        if naming.is_empty() {
            return Err(match self.role() {
                Role::Targets => Refusal::NoRoot,
                role => Refusal::NotDelegated { role: role.clone() },
            });
        }
        for signature in &file.envelope().signatures {
            let (role, key) = (self.role().clone(), signature.key_id.clone());
            let counts = naming.iter().find_map(|naming| naming.signers.key(&key));
            match counts {
                None => return Err(Refusal::ForeignSignature { role, key }),
                Some(known) if !known.verify(self.message(), &signature.bytes) => {
                    return Err(Refusal::BadSignature { role, key });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// A draft with the signatures of both. Of two by one key, this draft's is kept.
    ///
    /// # Errors
    /// When they are not about the same content.
    pub fn merge(&self, other: &Self) -> Result<Self, Refusal> {
        if self.role() != other.role() || self.message() != other.message() {
            return Err(Refusal::OtherContent {
                role: self.role().clone(),
            });
        }
        let own = self.0.envelope();
        let mut signatures = own.signatures.clone();
        let known = |key: &KeyId| own.signature_ids().any(|own| own == key);
        let further = &other.0.envelope().signatures;
        signatures.extend(
            further
                .iter()
                .filter(|signature| !known(&signature.key_id))
                .cloned(),
        );
        if signatures.len() == own.signatures.len() {
            return Ok(self.clone());
        }
        Self::parse(self.role(), envelope::write(&own.raw, &signatures))
    }

    /// Adds the signature of a key; an earlier one of the same key is replaced.
    ///
    /// # Errors
    /// When it is not one of this key over the content.
    pub fn sign(&self, key: &PublicKey, signature: &[u8]) -> Result<Self, Refusal> {
        if !key.verify(self.message(), signature) {
            return Err(Refusal::BadSignature {
                role: self.role().clone(),
                key: key.id().clone(),
            });
        }
        let own = self.0.envelope();
        let mut signatures = own.signatures.clone();
        signatures.retain(|signature| signature.key_id != *key.id());
        signatures.push(envelope::Signature {
            key_id: key.id().clone(),
            bytes: signature.to_vec(),
        });
        Self::parse(self.role(), envelope::write(&own.raw, &signatures))
    }

    /// Every key that may sign it, once.
    pub fn may_sign(&self, trusted: &Trusted, beside: &[Self]) -> Vec<PublicKey> {
        let mut keys: Vec<PublicKey> = Vec::new();
        for naming in self.naming(trusted, beside) {
            let new = naming.signers.keys().iter().filter(|key| !keys.contains(key));
            let new: Vec<PublicKey> = new.cloned().collect();
            keys.extend(new);
        }
        keys
    }

    /// Who has signed, who is missing, and whether that is enough.
    pub fn standing(&self, trusted: &Trusted, beside: &[Self]) -> Standing {
        let file = self.0.envelope();
        let mut standing = Standing {
            signed: Vec::new(),
            missing: Vec::new(),
            needed: Vec::new(),
            complete: false,
        };
        let naming = self.naming(trusted, beside);
        let mut enough = Vec::with_capacity(naming.len());
        for Naming { by, signers, waits } in naming {
            let signed = signers.signed(file);
            for key in signers.keys() {
                let list = if signed.contains(&key) {
                    &mut standing.signed
                } else {
                    &mut standing.missing
                };
                if !list.contains(key.id()) {
                    list.push(key.id().clone());
                }
            }
            let have = u32::try_from(signed.len()).unwrap_or(u32::MAX);
            enough.push((waits, have >= signers.threshold()));
            standing.needed.push(Needed {
                by: by.as_delegator(),
                threshold: signers.threshold(),
                have,
            });
        }
        // Once what waits is published, the stored one names no keys any more.
        let decides =
            |waiting: bool| *self.role() == Role::Root || waiting == enough.iter().any(|(waits, _)| *waits);
        let mut deciding = enough.iter().filter(|(waits, _)| decides(*waits)).peekable();
        standing.complete = deciding.peek().is_some() && deciding.all(|(_, enough)| *enough);
        standing
    }

    /// The file, if enough have signed it. Whether it may be published is for [`check()`](crate::check()) to say.
    pub fn complete(self, trusted: &Trusted, beside: &[Self]) -> Option<Metadata> {
        let complete = self.standing(trusted, beside).complete && !self.0.envelope().signatures.is_empty();
        complete.then_some(self.0)
    }

    /// The file as it is, whether enough have signed it or not.
    pub fn metadata(&self) -> &Metadata {
        &self.0
    }

    /// Who signs another role, if this file says so.
    fn names(&self, role: &Role) -> Option<&Signers> {
        match (self.role(), role) {
            (Role::Root, Role::Root) => None,
            (Role::Root, _) => self.0.root_signers(role),
            _ => self
                .0
                .delegations()
                .find(|(name, _)| *name == role)
                .map(|(_, signers)| signers),
        }
    }

    /// Those who name its keys: for a root the stored root and itself; for the others what is stored and delegates to it,
    /// and what waits beside it and does.
    fn naming<'a>(&'a self, trusted: &'a Trusted, beside: &'a [Self]) -> Vec<Naming<'a>> {
        let role = self.role();
        let stored = |by| (by, false);
        let candidates: Vec<(&Metadata, bool)> = match role {
            Role::Root => trusted.root.iter().chain([&self.0]).map(stored).collect(),
            _ => {
                let waiting = beside
                    .iter()
                    .map(|draft| (&draft.0, true))
                    .filter(|(other, _)| other.role() != role);
                let current = trusted.root.iter().chain(&trusted.targets);
                current.map(stored).chain(waiting).collect()
            }
        };
        candidates
            .into_iter()
            .filter_map(|(by, waits)| {
                let signers = match by.role() {
                    Role::Root => by.root_signers(role),
                    _ => by
                        .delegations()
                        .find(|(name, _)| *name == role)
                        .map(|(_, signers)| signers),
                };
                signers.map(|signers| Naming { by, signers, waits })
            })
            .collect()
    }
}
