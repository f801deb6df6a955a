//! Creates, finds, uses and deletes keys.

mod error;
mod opened;
mod purpose;
mod secret;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use moka::sync::Cache;
use openssl::sha::sha256;
use signing::{Announced, KeyAlgorithm};
use tokio::task::spawn_blocking;
use tuf::{KeyId, PublicKey, RoleName};

pub use error::{KeyringError, Unopenable};
pub use opened::OpenedKey;
pub use purpose::{InvalidPurpose, KeyPurpose};
pub use secret::{SecretKey, SecretKeyError};

use crate::{
    passphrase::{Alias, Passphrases},
    policy::{Document, Refusal, SigningPolicy},
    seal,
    store::{Inserted, Journal, KeyRow, NewKey, Store, Use, UseOutcome},
};
use opened::Record;

/// The most keys held open at once; each is about a kilobyte.
const CACHE_LIMIT: u64 = 10_000;
/// How long a key stays open before it is read again. This limits how long a key that another process deleted can still
/// repeat its last signature here.
const CACHE_TIME: Duration = Duration::from_secs(600);
/// How many of the newest and of the oldest keys are opened to test a passphrase. More than one, because a single row
/// may be damaged.
const PROOF_ROWS: i64 = 3;

/// The stored keys and the passphrases that they are sealed with. Clones share everything.
#[derive(Clone)]
pub struct Keyring {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    journal: Journal,
    passphrases: Passphrases,
    /// New keys are sealed with its passphrase.
    default_alias: Alias,
    policy: SigningPolicy,
    opened: Cache<KeyId, Arc<OpenedKey>>,
    /// The default alias' passphrase has opened stored keys (or there were none). It cannot change
    /// while the process runs.
    proven: AtomicBool,
}

/// A signature and what the audit records about it.
#[derive(Debug)]
pub struct Signed {
    /// The key that signed.
    pub key: Arc<OpenedKey>,
    /// What was signed, if the policy looked at it.
    pub document: Option<Document>,
    /// The signature in the form of its key type.
    pub signature: Vec<u8>,
}

impl Keyring {
    /// A keyring over `store`.
    ///
    /// # Errors
    /// When the operating system refuses a thread for the writer.
    pub fn new(
        store: Store,
        passphrases: Passphrases,
        default_alias: Alias,
        policy: SigningPolicy,
    ) -> std::io::Result<Self> {
        let journal = Journal::start(store.clone())?;
        let opened = Cache::builder()
            .max_capacity(CACHE_LIMIT)
            .time_to_live(CACHE_TIME)
            .build();
        let shared = Shared {
            store,
            journal,
            passphrases,
            default_alias,
            policy,
            opened,
            proven: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The key waiting for its first use for this purpose, or a new one.
    ///
    /// # Errors
    /// As [`KeyringError`] describes them.
    pub async fn create(
        &self,
        purpose: KeyPurpose,
        algorithm: KeyAlgorithm,
    ) -> Result<Arc<OpenedKey>, KeyringError> {
        let shared = self.shared.clone();
        spawn_blocking(move || shared.create(&purpose, algorithm)).await?
    }

    /// The key with this ID, opened.
    ///
    /// # Errors
    /// As [`KeyringError`] describes them.
    pub async fn find(&self, id: &KeyId) -> Result<Arc<OpenedKey>, KeyringError> {
        if let Some(key) = self.shared.opened.get(id) {
            return Ok(key);
        }
        let (shared, id) = (self.shared.clone(), id.clone());
        spawn_blocking(move || shared.find(&id)).await?
    }

    /// A signature over `content`, for the repository that the caller names, if it names one. The use of the key is on
    /// disk before the signature is returned, and with it that of `next`, a timestamp that the caller will ask for.
    ///
    /// # Errors
    /// As [`KeyringError`] describes them.
    pub async fn sign(
        &self,
        gun: Option<&str>,
        id: &KeyId,
        content: &[u8],
        next: Option<&Announced>,
    ) -> Result<Signed, KeyringError> {
        let key = self.find(id).await?;
        self.shared.policy.judge_gun(key.gun(), gun)?;
        let document = self.shared.policy.judge(key.gun(), key.role(), content)?;
        let digest = sha256(content);
        match key.record_needed(document.as_ref(), &digest, Utc::now()) {
            Record::Nothing => {}
            Record::Later(used) => self.shared.journal.note(used),
            Record::Now(used) => {
                let next = match &document {
                    Some(document) => self.expected(&key, document, next).await,
                    None => None,
                };
                let uses = std::iter::once(&used).chain(next.iter().map(|(_, used)| used));
                let outcomes = self.shared.journal.record(uses.cloned().collect()).await?;
                if let (Some((key, used)), Some(UseOutcome::Recorded)) = (&next, outcomes.get(1)) {
                    key.announced(used);
                }
                match outcomes.first() {
                    Some(UseOutcome::Recorded) => key.recorded(&used, digest),
                    Some(UseOutcome::LowerVersion(signed)) => {
                        let (version, signed) = (document.map_or(0, |document| document.version), *signed);
                        return Err(Refusal::LowerVersion { version, signed }.into());
                    }
                    Some(UseOutcome::KeyGone) | None => {
                        self.shared.opened.invalidate(id);
                        return Err(KeyringError::Unknown(id.to_string()));
                    }
                }
            }
        }
        let signature = key.secret().sign(content, &digest)?;
        Ok(Signed {
            key,
            document,
            signature,
        })
    }

    /// The key of a timestamp that was announced with a snapshot, and what is to be stored for it. None if it could not be
    /// signed: whoever asks for it learns the reason then.
    async fn expected(
        &self,
        with: &OpenedKey,
        document: &Document,
        next: Option<&Announced>,
    ) -> Option<(Arc<OpenedKey>, Use)> {
        let next = next.filter(|_| document.role == RoleName::Snapshot)?;
        let key = self.find(&next.key_id).await.ok()?;
        let timestamp = Document {
            role: RoleName::Timestamp,
            version: next.version,
        };
        let fits = key.gun() == with.gun() && key.role() == timestamp.role.as_str() && timestamp.version > 0;
        fits.then(|| {
            let used = key.announcement(&timestamp, Utc::now());
            (key, used)
        })
    }

    /// Deletes a key. Deleting a key that does not exist is no error.
    ///
    /// # Errors
    /// When the database fails; the key is then still usable.
    pub async fn delete(&self, id: &KeyId) -> Result<(), KeyringError> {
        let (shared, id) = (self.shared.clone(), id.clone());
        spawn_blocking(move || {
            shared.store.delete(id.as_str())?;
            shared.opened.invalidate(&id);
            Ok(())
        })
        .await?
    }

    /// Whether keys can be made and used now: the database answers, the default alias has a
    /// passphrase, and it opens the newest and the oldest keys sealed with that alias.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), KeyringError> {
        let shared = self.shared.clone();
        spawn_blocking(move || {
            shared.check()?;
            Ok(shared.store.can_write()?)
        })
        .await?
    }
}

impl Shared {
    fn create(&self, purpose: &KeyPurpose, algorithm: KeyAlgorithm) -> Result<Arc<OpenedKey>, KeyringError> {
        if let Some(row) = self
            .store
            .waiting(purpose.gun(), purpose.role(), algorithm.as_str())?
        {
            return self.open(row);
        }
        // New keys sealed with a mistyped passphrase would be lost when the operator corrects it.
        if !self.proven.load(Ordering::Relaxed) {
            self.check()?;
        }
        let passphrase = self.passphrases.find(&self.default_alias)?;
        let secret = SecretKey::generate(algorithm)?;
        let public = secret.public_key(&algorithm.key_type())?;
        let row = NewKey {
            key_id: public.id().to_string(),
            algorithm: algorithm.as_str(),
            passphrase_alias: self.default_alias.to_string(),
            public: public.public().to_vec(),
            private: seal::seal(&secret.to_plaintext()?, &passphrase)?,
            gun: purpose.gun().to_owned(),
            role: purpose.role().to_owned(),
        };
        match self.store.insert(&row)? {
            Inserted::Waiting(row) => self.open(*row),
            Inserted::New => {
                let key = Arc::new(OpenedKey::new(secret, public, purpose.clone(), None));
                self.opened.insert(key.public().id().clone(), key.clone());
                Ok(key)
            }
        }
    }

    fn find(&self, id: &KeyId) -> Result<Arc<OpenedKey>, KeyringError> {
        match self.store.find(id.as_str())? {
            Some(row) => self.open(row),
            None => Err(KeyringError::Unknown(id.to_string())),
        }
    }

    /// Opens a row, or takes the opened key from the cache. Concurrent calls for a key open it once.
    fn open(&self, row: KeyRow) -> Result<Arc<OpenedKey>, KeyringError> {
        let id = KeyId::parse(&row.key_id).map_err(|_| KeyringError::Unopenable {
            key_id: row.key_id.clone(),
            reason: Unopenable::KeyId,
        })?;
        self.opened
            .try_get_with(id, || unseal(row, &self.passphrases).map(Arc::new))
            .map_err(KeyringError::Shared)
    }

    fn check(&self) -> Result<(), KeyringError> {
        self.passphrases.find(&self.default_alias)?;
        let ends = self.store.ends_of(self.default_alias.as_str(), PROOF_ROWS)?;
        if self.proven.load(Ordering::Relaxed) {
            return Ok(());
        }
        for rows in ends {
            self.open_any(rows)?;
        }
        self.proven.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Opens one of these rows; the others may be damaged.
    fn open_any(&self, rows: Vec<KeyRow>) -> Result<(), KeyringError> {
        let mut failure = None;
        for row in rows {
            match self.open(row) {
                Ok(_) => return Ok(()),
                Err(cause) => failure = Some(cause),
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Opens a stored key. It is accepted only if its ID, public and private parts agree.
///
/// # Errors
/// [`KeyringError::Unopenable`] with the reason.
pub fn unseal(row: KeyRow, passphrases: &Passphrases) -> Result<OpenedKey, KeyringError> {
    let refused = |reason: Unopenable| KeyringError::Unopenable {
        key_id: row.key_id.clone(),
        reason,
    };
    let alias = Alias::new(&row.passphrase_alias).map_err(|_| refused(Unopenable::Alias))?;
    let passphrase = passphrases.find(&alias).map_err(|cause| refused(cause.into()))?;
    let plaintext = seal::open(&row.private, &passphrase).map_err(|cause| refused(cause.into()))?;
    let key_type = tuf::KeyType::parse(&row.algorithm);
    let secret = SecretKey::from_plaintext(&key_type, &plaintext).map_err(|cause| refused(cause.into()))?;
    let public = PublicKey::new(key_type, row.public);
    if !secret.belongs_to(&public) {
        return Err(KeyringError::Unopenable {
            key_id: row.key_id,
            reason: Unopenable::PublicKey,
        });
    }
    if public.id().as_str() != row.key_id {
        return Err(KeyringError::Unopenable {
            key_id: row.key_id,
            reason: Unopenable::KeyId,
        });
    }
    let purpose = KeyPurpose::stored(row.gun, row.role);
    Ok(OpenedKey::new(secret, public, purpose, row.last_used))
}

#[cfg(test)]
mod tests;
