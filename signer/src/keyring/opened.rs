//! An opened key in memory, and the uses of it that are known to be on disk.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use tuf::PublicKey;

use super::{KeyPurpose, SecretKey};
use crate::{policy::Document, store::Use};

/// How old `last_used` may become before it is written again. Nothing needs the exact time.
const LAST_USED_PRECISION: TimeDelta = TimeDelta::hours(1);

/// How long an announced version may be signed without asking the database, as by a caller who waited for an answer.
const ANNOUNCED_TIME: TimeDelta = TimeDelta::seconds(30);

/// A key that is ready to sign.
pub struct OpenedKey {
    secret: SecretKey,
    public: PublicKey,
    purpose: KeyPurpose,
    uses: Mutex<Uses>,
}

/// The uses that are known to be on disk.
struct Uses {
    last_used: Option<NaiveDateTime>,
    last_signed: Option<LastSigned>,
    /// A role and version that are on disk, and that nothing was signed for yet.
    announced: Option<Use>,
}

struct LastSigned {
    role: String,
    version: i64,
    digest: [u8; 32],
}

/// What has to be stored for a signature.
#[derive(Debug)]
pub(super) enum Record {
    /// Nothing new.
    Nothing,
    /// A use that may be lost.
    Later(Use),
    /// A use that must be on disk before the signature is returned.
    Now(Use),
}

impl OpenedKey {
    pub(super) fn new(
        secret: SecretKey,
        public: PublicKey,
        purpose: KeyPurpose,
        last_used: Option<NaiveDateTime>,
    ) -> Self {
        Self {
            secret,
            public,
            purpose,
            uses: Mutex::new(Uses {
                last_used,
                last_signed: None,
                announced: None,
            }),
        }
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The GUN it was made for.
    pub fn gun(&self) -> &str {
        self.purpose.gun()
    }

    /// The role it was made for.
    pub fn role(&self) -> &str {
        self.purpose.role()
    }

    /// The private half.
    pub fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// What has to be stored for a signature over the content with this digest.
    ///
    /// The last signature may be repeated without asking the database, because it was returned before. An announced
    /// version is signed once without asking: it is on disk, and the signature might as well have been made then. Any
    /// other signature needs the database, because another process may have signed a higher version.
    pub(super) fn record_needed(
        &self,
        document: Option<&Document>,
        digest: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Record {
        let now = now.naive_utc();
        let mut uses = self.lock();
        let repeated = match (document, &uses.last_signed) {
            (None, _) => true,
            (Some(_), Some(last)) => last.digest == *digest,
            (Some(_), None) => false,
        };
        let announced =
            !repeated && document.is_some_and(|document| uses.take_announced(document, digest, now));
        let repeated = repeated || announced;
        let stale = uses
            .last_used
            .is_none_or(|last| now - last >= LAST_USED_PRECISION);
        let used = Use {
            key_id: self.public.id().to_string(),
            at: now,
            mark: stale,
            signed: document
                .filter(|_| !repeated)
                .map(|d| (d.role.to_string(), d.version)),
        };
        if uses.last_used.is_none() || !repeated {
            Record::Now(used)
        } else if stale {
            uses.last_used = Some(now);
            Record::Later(used)
        } else {
            Record::Nothing
        }
    }

    /// A use and the content with this digest are on disk now.
    pub(super) fn recorded(&self, used: &Use, digest: [u8; 32]) {
        let mut uses = self.lock();
        uses.mark(used);
        if let Some((role, version)) = &used.signed {
            uses.sign(role, *version, digest);
        }
    }

    /// What has to be stored so that a document of this role and version can be signed next.
    pub(super) fn announcement(&self, document: &Document, now: DateTime<Utc>) -> Use {
        let now = now.naive_utc();
        let uses = self.lock();
        Use {
            key_id: self.public.id().to_string(),
            at: now,
            mark: uses
                .last_used
                .is_none_or(|last| now - last >= LAST_USED_PRECISION),
            signed: Some((document.role.to_string(), document.version)),
        }
    }

    /// An announcement is on disk now.
    pub(super) fn announced(&self, used: &Use) {
        let mut uses = self.lock();
        uses.mark(used);
        uses.announced = Some(used.clone());
    }

    /// The state is consistent after every statement, so a panic elsewhere does not matter.
    fn lock(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uses {
    fn mark(&mut self, used: &Use) {
        if used.mark {
            self.last_used = Some(used.at);
        }
    }

    fn sign(&mut self, role: &str, version: i64, digest: [u8; 32]) {
        // Of two concurrent calls, the one with the lower version may arrive here last.
        if self
            .last_signed
            .as_ref()
            .is_none_or(|last| last.role != role || last.version <= version)
        {
            self.last_signed = Some(LastSigned {
                role: role.to_owned(),
                version,
                digest,
            });
        }
    }

    /// Whether exactly this role and version were announced and not signed yet; they count as signed from now on.
    fn take_announced(&mut self, document: &Document, digest: &[u8; 32], now: NaiveDateTime) -> bool {
        let is_this = |used: &mut Use| {
            let signed = used.signed.as_ref();
            signed
                .is_some_and(|(role, version)| role == document.role.as_str() && *version == document.version)
                && (TimeDelta::zero()..ANNOUNCED_TIME).contains(&(now - used.at))
        };
        let taken = self.announced.take_if(is_this).and_then(|used| used.signed);
        if let Some((role, version)) = &taken {
            self.sign(role, *version, *digest);
        }
        taken.is_some()
    }
}

impl fmt::Debug for OpenedKey {
    /// Without the private half.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedKey")
            .field("public", &self.public)
            .field("purpose", &self.purpose)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use signing::KeyAlgorithm;
    use tuf::{KeyType, RoleName};

    use super::*;

    fn key(last_used: Option<NaiveDateTime>) -> OpenedKey {
        let secret = SecretKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let public = secret.public_key(&KeyType::Ed25519).unwrap();
        let purpose = KeyPurpose::new("gun".into(), "timestamp".into()).unwrap();
        OpenedKey::new(secret, public, purpose, last_used)
    }

    fn version(version: i64) -> Option<Document> {
        Some(Document {
            role: RoleName::Timestamp,
            version,
        })
    }

    fn sign(key: &OpenedKey, number: i64, digest: u8, now: DateTime<Utc>) -> Record {
        let record = key.record_needed(version(number).as_ref(), &[digest; 32], now);
        if let Record::Now(used) = &record {
            key.recorded(used, [digest; 32]);
        }
        record
    }

    #[test]
    fn the_first_use_is_written_at_once_whatever_is_signed() {
        let record = key(None).record_needed(None, &[0; 32], Utc::now());
        assert!(matches!(
            record,
            Record::Now(Use {
                mark: true,
                signed: None,
                ..
            })
        ));
    }

    #[test]
    fn only_the_last_signature_is_repeated_without_asking() {
        let (key, now) = (key(None), Utc::now());
        assert!(matches!(sign(&key, 1, 1, now), Record::Now(_)));
        assert!(matches!(sign(&key, 1, 1, now), Record::Nothing));
        assert!(matches!(
            sign(&key, 1, 2, now),
            Record::Now(Use { mark: false, .. })
        ));
        assert!(matches!(sign(&key, 2, 3, now), Record::Now(_)));
        assert!(matches!(sign(&key, 1, 1, now), Record::Now(_)));
        assert!(matches!(sign(&key, 2, 3, now), Record::Nothing));
    }

    #[test]
    fn the_time_is_written_again_after_an_hour_and_only_once() {
        let (key, start) = (key(None), Utc::now());
        sign(&key, 1, 1, start);
        assert!(matches!(
            sign(&key, 1, 1, start + TimeDelta::minutes(59)),
            Record::Nothing
        ));
        let later = start + TimeDelta::minutes(61);
        assert!(matches!(
            sign(&key, 1, 1, later),
            Record::Later(Use {
                mark: true,
                signed: None,
                ..
            })
        ));
        assert!(matches!(sign(&key, 1, 1, later), Record::Nothing));
    }
    #[test]
    fn an_announced_version_is_signed_once_without_asking() {
        let (key, now) = (key(None), Utc::now());
        sign(&key, 1, 1, now);
        let used = key.announcement(&version(2).unwrap(), now);
        assert_eq!(used.signed, Some(("timestamp".to_owned(), 2)));
        key.announced(&used);
        assert!(matches!(sign(&key, 3, 3, now), Record::Now(_)));
        assert!(matches!(sign(&key, 2, 2, now), Record::Nothing));
        assert!(matches!(sign(&key, 2, 4, now), Record::Now(_)));
        key.announced(&used);
        let late = now + TimeDelta::seconds(31);
        assert!(matches!(sign(&key, 2, 2, late), Record::Now(_)));
    }

    #[test]
    fn an_announcement_ends_the_waiting_of_a_new_key() {
        let (key, now) = (key(None), Utc::now());
        let used = key.announcement(&version(1).unwrap(), now);
        assert!(used.mark);
        key.announced(&used);
        assert!(matches!(sign(&key, 1, 1, now), Record::Nothing));
    }
}
