//! Publishes changes: reads what is there, verifies it, changes it, signs it, and begins again if somebody else was faster.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tuf::{Gun, KeyId, PublicKey, RoleName};
use verifier::{Anchor, Documents, Repository};

use super::certificate::root_certificate;
use super::change::Change;
use super::draft::Draft;
use super::error::PublishError;
use super::seal::{KeyRing, Sealed, seal};
use super::wire::Which;
use crate::failure::ReadError;
use crate::keys::KeyStore;
use crate::reading::Reading;
use crate::repositories::{Demand, Repositories};
use crate::server::Server;

/// How often a publish is tried that somebody else was faster than.
const ATTEMPTS: usize = 6;
/// How long is waited before trying again, times the number of the attempt.
const PAUSE: Duration = Duration::from_millis(60);
/// The code of servers for a version that is not the next.
const LOST_RACE: &str = "VERSION";

/// Publishes to repositories of one server with the keys of one store. Opening a key may ask a person, and blocks then.
pub struct Editor<'a> {
    repositories: &'a Repositories,
    server: Arc<Server>,
    keys: &'a dyn KeyStore,
    wait: Duration,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The version of each new document by its role, without those that the server makes.
    pub versions: BTreeMap<String, i64>,
}

impl<'a> Editor<'a> {
    /// An editor. `wait` is how long reading the repository may take.
    pub fn new(
        repositories: &'a Repositories,
        server: Arc<Server>,
        keys: &'a dyn KeyStore,
        wait: Duration,
    ) -> Self {
        Self {
            repositories,
            server,
            keys,
            wait,
        }
    }

    /// The repository as it is now, with the documents that were verified.
    ///
    /// # Errors
    /// When the server cannot be asked now, or what it says does not verify.
    pub async fn read(
        &self,
        gun: &Gun,
        anchor: &Anchor,
    ) -> Result<(Arc<Repository>, Arc<Documents>), PublishError> {
        let demand = Demand::now(self.wait);
        let read = self
            .repositories
            .documents(&self.server, gun, anchor, demand)
            .await;
        let (repository, documents, contact) = read.map_err(PublishError::Denied)?;
        match contact.failure {
            // Nothing is built on what may be old.
            Some(cause) => Err(cause.into()),
            None => Ok((repository, documents)),
        }
    }

    /// Publishes changes of a repository, all or none, and verifies the result. Whatever would not be readable any more
    /// is signed anew in the same publish, if the keys are at hand, and refused otherwise.
    ///
    /// # Errors
    /// When what is there does not verify, a change makes no sense, a key is missing, or the server refuses.
    pub async fn publish(
        &self,
        gun: &Gun,
        anchor: &Anchor,
        changes: &[Change],
    ) -> Result<Published, PublishError> {
        let mut keys = KeyRing::new(self.keys)?;
        for attempt in 1..=ATTEMPTS {
            let (repository, documents) = self.read(gun, anchor).await?;
            let mut draft = Draft::of(&repository, &documents)?;
            for change in changes {
                draft.apply(change)?;
            }
            match self.send(gun, &mut draft, &mut keys).await {
                Err(PublishError::Server(ReadError::Rejected { code, .. })) if code == LOST_RACE => {
                    tokio::time::sleep(PAUSE * attempt as u32).await;
                }
                Err(cause) => return Err(cause),
                Ok(published) => {
                    self.see(gun, anchor).await?;
                    return Ok(published);
                }
            }
        }
        Err(PublishError::Race {
            gun: gun.to_string(),
            attempts: ATTEMPTS,
        })
    }

    /// Begins a repository: a certificate for the root key, the targets key (a new one, which is kept in the store, if none is
    /// named), and the server's keys for snapshot and timestamp, so that delegates can publish. `changes` are made in the same
    /// publish.
    ///
    /// # Errors
    /// When the repository exists, a key is missing or cannot be kept, or the server refuses.
    pub async fn init(
        &self,
        gun: &Gun,
        anchor: &Anchor,
        root: &KeyId,
        targets: Option<&KeyId>,
        changes: &[Change],
    ) -> Result<Published, PublishError> {
        let certificate = root_certificate(self.keys.open(root)?.as_ref(), gun, self.now())?;
        self.init_with(gun, anchor, certificate, targets, changes).await
    }

    /// The same with a certificate of the root key that somebody else issued. Its common name has to be the repository.
    ///
    /// # Errors
    /// As [`init`](Self::init).
    pub async fn init_with(
        &self,
        gun: &Gun,
        anchor: &Anchor,
        certificate: PublicKey,
        targets: Option<&KeyId>,
        changes: &[Change],
    ) -> Result<Published, PublishError> {
        self.must_be_new(gun).await?;
        let timestamp = self
            .server
            .server_key(gun, &RoleName::Timestamp, Which::Current)
            .await?;
        let snapshot = self
            .server
            .server_key(gun, &RoleName::Snapshot, Which::Current)
            .await?;
        let targets = self.named_or_new("targets", targets, gun)?;
        let base = [
            (RoleName::Root, certificate),
            (RoleName::Targets, targets),
            (RoleName::Snapshot, snapshot),
            (RoleName::Timestamp, timestamp),
        ];
        let mut draft = Draft::new_repository(gun, &base)?;
        for change in changes {
            draft.apply(change)?;
        }
        let mut keys = KeyRing::new(self.keys)?;
        let published = self.send(gun, &mut draft, &mut keys).await?;
        self.see(gun, anchor).await?;
        Ok(published)
    }

    /// Has another key sign the root from now on. The new root is signed by the keys of the old one as well.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn rotate_root(
        &self,
        gun: &Gun,
        anchor: &Anchor,
        key: &KeyId,
    ) -> Result<Published, PublishError> {
        let certificate = root_certificate(self.keys.open(key)?.as_ref(), gun, self.now())?;
        self.set_role_key(gun, anchor, RoleName::Root, certificate).await
    }

    /// Has another key sign targets from now on: a new one, which is kept in the store, if none is named.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn rotate_targets(
        &self,
        gun: &Gun,
        anchor: &Anchor,
        key: Option<&KeyId>,
    ) -> Result<Published, PublishError> {
        let key = self.named_or_new("targets", key, gun)?;
        self.set_role_key(gun, anchor, RoleName::Targets, key).await
    }

    /// Has a new key sign the snapshot from now on, which is kept in the store. Then nobody can publish without it.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn rotate_snapshot_to_store(
        &self,
        gun: &Gun,
        anchor: &Anchor,
    ) -> Result<Published, PublishError> {
        let key = self.named_or_new("snapshot", None, gun)?;
        self.set_role_key(gun, anchor, RoleName::Snapshot, key).await
    }

    /// Has a new key of the server's sign the snapshot or timestamp from now on.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and before a new key is made if the root cannot be signed.
    pub async fn rotate_server_key(
        &self,
        gun: &Gun,
        anchor: &Anchor,
        role: RoleName,
    ) -> Result<Published, PublishError> {
        if !matches!(role, RoleName::Snapshot | RoleName::Timestamp) {
            let text = format!("servers have no key for {}", role.as_str());
            return Err(PublishError::Senseless(text));
        }
        // A server makes its new key at once: first see that it can be put into the root.
        let (repository, documents) = self.read(gun, anchor).await?;
        let mut trial = Draft::of(&repository, &documents)?;
        trial.apply(&Change::Witness { role: RoleName::Root })?;
        seal(&mut trial, &mut KeyRing::new(self.keys)?, self.now())?;
        let key = self.server.server_key(gun, &role, Which::New).await?;
        self.set_role_key(gun, anchor, role, key).await
    }

    /// The roles for which enough keys are at hand to sign, of those that may name targets, `targets` first.
    ///
    /// # Errors
    /// When the store or a document cannot be read.
    pub fn signable_roles(
        &self,
        repository: &Repository,
        documents: &Documents,
    ) -> Result<Vec<RoleName>, PublishError> {
        let draft = Draft::of(repository, documents)?;
        let keys = KeyRing::new(self.keys)?;
        let mut found = Vec::new();
        for role in draft.target_roles()? {
            if let Some(declared) = draft.declared(&role)?
                && keys.at_hand(&declared) >= declared.threshold.max(1)
            {
                found.push(role);
            }
        }
        Ok(found)
    }

    /// Checks that the server has no trust data for a repository.
    ///
    /// # Errors
    /// When it has, or does not say so.
    pub async fn must_be_new(&self, gun: &Gun) -> Result<(), PublishError> {
        match self.server.read(gun, None).await {
            Err(ReadError::NoTrustData { .. }) => Ok(()),
            Err(cause) => Err(cause.into()),
            Ok(Reading::Documents(_) | Reading::Unchanged) => {
                Err(PublishError::Exists { gun: gun.to_string() })
            }
        }
    }

    /// Looks at what was published, as every reader will.
    async fn see(&self, gun: &Gun, anchor: &Anchor) -> Result<(), PublishError> {
        let seen = self.read(gun, anchor).await;
        seen.map(drop).map_err(|cause| match cause {
            PublishError::Denied(denial) => PublishError::Afterwards(denial.to_string()),
            other => PublishError::Afterwards(other.to_string()),
        })
    }

    async fn set_role_key(
        &self,
        gun: &Gun,
        anchor: &Anchor,
        role: RoleName,
        key: PublicKey,
    ) -> Result<Published, PublishError> {
        let change = Change::SetRoleKeys {
            role,
            keys: vec![key],
        };
        self.publish(gun, anchor, &[change]).await
    }

    fn named_or_new(&self, role: &str, named: Option<&KeyId>, gun: &Gun) -> Result<PublicKey, PublishError> {
        match named {
            Some(id) => Ok(self.keys.open(id)?.public().clone()),
            None => Ok(self.keys.generate(role, Some(gun))?),
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.repositories.now()
    }

    async fn send(
        &self,
        gun: &Gun,
        draft: &mut Draft,
        keys: &mut KeyRing<'_>,
    ) -> Result<Published, PublishError> {
        if !draft.is_changed() {
            return Err(PublishError::Senseless(format!(
                "nothing of {gun} was to be changed"
            )));
        }
        let sealed = seal(draft, keys, self.now())?;
        if sealed.is_empty() {
            let text = format!("the server signs the snapshot of {gun}, and does so with every publish");
            return Err(PublishError::Senseless(text));
        }
        let version = |new: &Sealed| (new.role.as_str().to_owned(), new.version);
        let versions = sealed.iter().map(version).collect();
        let documents: Vec<(RoleName, Bytes)> = sealed.into_iter().map(|new| (new.role, new.bytes)).collect();
        self.server.upload(gun, &documents).await?;
        Ok(Published { versions })
    }
}
