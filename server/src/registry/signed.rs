//! Which digests the current documents of a repository sign.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use moka::future::Cache;
use tokio::task::spawn_blocking;
use tuf::{Checksum, Document, Gun, RoleName, verified_targets};

use crate::store::documents_of;

/// The memory for what repositories sign, in bytes.
const MEMORY: u64 = 32 * 1024 * 1024;
/// What an entry costs beside its digests, in bytes.
const OVERHEAD: usize = 512;

/// What was signed, as far as readers accept it.
#[derive(Debug)]
pub struct SignedImages {
    usable_until: DateTime<Utc>,
    roles: Vec<SignedRole>,
}

/// What one role signed.
#[derive(Debug)]
pub(super) struct SignedRole {
    role: RoleName,
    expires: DateTime<Utc>,
    pub(super) digests: HashSet<Checksum>,
}

impl SignedImages {
    /// When the first of root, timestamp, snapshot and targets expires.
    pub fn usable_until(&self) -> DateTime<Utc> {
        self.usable_until
    }

    /// The roles whose word counts: those named, or all if none is; only what has not expired by `now`.
    pub(super) fn roles(&self, named: &[RoleName], now: Option<DateTime<Utc>>) -> Vec<&SignedRole> {
        let counts = |signed: &&SignedRole| {
            (named.is_empty() || named.contains(&signed.role)) && now.is_none_or(|now| signed.expires > now)
        };
        self.roles.iter().filter(counts).collect()
    }
}

/// What was verified before. A bundle has another checksum as soon as anything in it changes.
pub(super) struct SignedCache(Cache<(Gun, Checksum), Result<Arc<SignedImages>, Arc<str>>>);

impl Default for SignedCache {
    fn default() -> Self {
        let weigh = |key: &(Gun, Checksum), signed: &Result<Arc<SignedImages>, Arc<str>>| {
            let digests = signed.as_ref().map_or(0, |signed| {
                signed.roles.iter().map(|role| role.digests.capacity()).sum()
            });
            let weight = OVERHEAD + key.0.as_str().len() + digests * (size_of::<Checksum>() + 1);
            u32::try_from(weight).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MEMORY).weigher(weigh).build())
    }
}

impl SignedCache {
    /// What a bundle signs.
    ///
    /// # Errors
    /// Why readers would refuse it.
    pub(super) async fn of(&self, gun: &Gun, bundle: &Document) -> Result<Arc<SignedImages>, String> {
        let verify = async {
            let (gun, bytes) = (gun.clone(), bundle.bytes.clone());
            let verified = spawn_blocking(move || verified(&gun, &bytes)).await;
            let verified = verified.unwrap_or_else(|_| Err("the server is stopping".to_owned()));
            verified.map(Arc::new).map_err(Arc::from)
        };
        let known = self.0.get_with((gun.clone(), bundle.sha256), verify).await;
        known.map_err(|reason| reason.to_string())
    }
}

fn verified(gun: &Gun, bundle: &[u8]) -> Result<SignedImages, String> {
    let documents = documents_of(bundle)?;
    let verified = verified_targets(gun, &documents).map_err(|cause| cause.to_string())?;
    let roles = verified.roles.into_iter().map(|role| SignedRole {
        role: role.role,
        expires: role.expires,
        digests: role.targets.iter().filter_map(|target| target.sha256).collect(),
    });
    Ok(SignedImages {
        usable_until: verified.usable_until,
        roles: roles.collect(),
    })
}
