//! The roots for which an operator vouches in a TUF 1.0 repository: read, verified, and kept in memory for a while.
//!
//! Of those who ask at the same time one asks the server. What the server answered last stands until it answers again, also
//! a refusal; its silence lets what was verified before serve, and how old that is stands beside it. Nothing but what
//! is needed to see that a server goes back is kept on disk: a process that was not answered yet has no roots.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tuf::{Checksum, Gun, Version};
use tuf_native::{Metadata, RepositoryName, Role, roots::TrustRoots};
use verifier::{Denial, Reason};

use super::NativeError;
use super::load::{Beginning, Expired, NativeRepository};
use crate::failure::ReadError;
use crate::reading::denial;
use crate::repositories::{Contact, Demand, Repositories};
use crate::server::Server;

/// After what time roots that are asked for are read again.
const REFRESH_AFTER: Duration = Duration::from_secs(30);
/// How long a server's silence is told without trying again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An operator's repository, and the root with which trust in it begins.
#[derive(Debug, Clone)]
pub struct Operator {
    server: Arc<Server>,
    name: RepositoryName,
    root: Bytes,
}

/// What operators vouch for. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Vouching {
    repositories: Repositories,
    entries: Arc<Mutex<HashMap<Key, Arc<Entry>>>>,
}

/// The roots of an operator's repository as they are now, as far as can be told.
#[derive(Debug, Clone)]
pub struct Vouched {
    /// The verified roots, or why there are none.
    roots: Result<Arc<Verified>, Denial>,
    /// How current that is.
    contact: Contact,
}

#[derive(Debug)]
struct Verified {
    name: RepositoryName,
    roots: TrustRoots,
    ends: Option<(DateTime<Utc>, Role)>,
    timestamp: Option<Bytes>,
}

/// What is read alike: a repository of a server, with the rights of one who asks, from one root.
type Key = (String, String, RepositoryName, [u8; 32]);

#[derive(Default)]
struct Entry {
    /// Held by the one who asks the server.
    turn: tokio::sync::Mutex<()>,
    latest: Mutex<Option<Latest>>,
}

#[derive(Clone)]
struct Latest {
    vouched: Vouched,
    /// When it began to be read, and when it was.
    began: Instant,
    at: Instant,
}

impl Operator {
    /// The repository `name` of a server, trusted from `root` on.
    pub fn new(server: Arc<Server>, name: RepositoryName, root: Bytes) -> Self {
        Self { server, name, root }
    }

    /// Whether trust in a repository may begin with these bytes, so that a wrong file is found before a server is asked.
    ///
    /// # Errors
    /// When it is no root that every client reads, is not signed by its own keys, or says that it is another repository's.
    pub fn check_root(name: &RepositoryName, root: &Bytes) -> Result<(), NativeError> {
        let read = Metadata::parse(&Role::Root, root.clone())?;
        read.check_repository(name)?;
        let needed = read
            .root_signers(&Role::Root)
            .map_or(1, |signers| signers.threshold());
        let have = read.signed_by(&Role::Root).len();
        if u32::try_from(have).unwrap_or(u32::MAX) < needed {
            let problem = format!("{have} of its own keys signed it, and {needed} have to");
            return Err(NativeError::Unverified {
                name: format!("root version {} of {name}", read.version()),
                reason: problem,
            });
        }
        Ok(())
    }
}

impl Vouching {
    /// What operators vouch for, remembering beside these repositories what was seen.
    pub fn new(repositories: &Repositories) -> Self {
        Self {
            repositories: repositories.clone(),
            entries: Arc::default(),
        }
    }

    /// The roots as they are now. This must be called on a tokio runtime, and never takes much longer than the demand's
    /// deadline; what it began goes on without whoever asked.
    pub async fn current(&self, operator: &Operator, demand: Demand) -> Vouched {
        let asked = Instant::now();
        let entry = self.entry(operator);
        if let Some(latest) = self.usable(&entry, demand.max_age) {
            if latest.at.elapsed() >= REFRESH_AFTER {
                tokio::spawn(
                    self.clone()
                        .renewed(operator.clone(), entry, TimeDelta::zero(), asked),
                );
            }
            return latest.vouched;
        }
        let task = self
            .clone()
            .renewed(operator.clone(), Arc::clone(&entry), demand.max_age, asked);
        let wait = demand.deadline.saturating_duration_since(asked);
        match tokio::time::timeout(wait, tokio::spawn(task)).await {
            Ok(Ok(vouched)) => vouched,
            Ok(Err(_)) => {
                let sentence = format!(
                    "the task that reads {} ended without a result; its log says why",
                    operator.name
                );
                Vouched::refused(Denial::new(Reason::InvalidState, sentence), None)
            }
            Err(_) => {
                let cause = ReadError::Deadline {
                    server: operator.server.label().to_owned(),
                    limit: asked.elapsed(),
                };
                entry.silent(operator, cause)
            }
        }
    }

    fn entry(&self, operator: &Operator) -> Arc<Entry> {
        let key = (
            operator.server.label().to_owned(),
            operator.server.who().to_owned(),
            operator.name.clone(),
            openssl::sha::sha256(&operator.root),
        );
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(entries.entry(key).or_default())
    }

    /// What serves without asking the server.
    fn usable(&self, entry: &Entry, max_age: TimeDelta) -> Option<Latest> {
        let latest = entry.latest().clone()?;
        let now = self.repositories.now();
        let young = latest
            .vouched
            .contact
            .last
            .is_some_and(|last| now - last < max_age);
        let current = latest
            .vouched
            .roots
            .as_ref()
            .is_ok_and(|roots| !roots.has_ended(now));
        // Another attempt at once would not help.
        let failed = latest.vouched.contact.failure.is_some() && latest.at.elapsed() < RETRY_AFTER;
        ((current && young) || (failed && max_age > TimeDelta::zero())).then_some(latest)
    }

    /// Reads them, unless somebody else did since this was asked for.
    async fn renewed(
        self,
        operator: Operator,
        entry: Arc<Entry>,
        max_age: TimeDelta,
        asked: Instant,
    ) -> Vouched {
        let _turn = entry.turn.lock().await;
        let known = entry.latest().clone();
        if let Some(known) = &known
            && known.began >= asked
        {
            return known.vouched.clone();
        }
        if let Some(latest) = self.usable(&entry, max_age) {
            return latest.vouched;
        }
        let began = Instant::now();
        let before = known.and_then(|known| known.vouched.roots.ok());
        let vouched = match self.read(&operator, before).await {
            Ok(verified) => Vouched {
                roots: Ok(verified),
                contact: Contact {
                    last: Some(self.repositories.now()),
                    failure: None,
                },
            },
            Err(NativeError::Read(cause)) if cause.is_silence() => entry.silent(&operator, cause),
            Err(cause) => {
                let denial = denied(&operator.name, &cause);
                tracing::warn!(server = operator.server.label(), %denial, "trust roots refused");
                Vouched::refused(denial, Some(self.repositories.now()))
            }
        };
        let latest = Latest {
            vouched: vouched.clone(),
            began,
            at: Instant::now(),
        };
        *entry.latest() = Some(latest);
        vouched
    }

    async fn read(
        &self,
        operator: &Operator,
        before: Option<Arc<Verified>>,
    ) -> Result<Arc<Verified>, NativeError> {
        // One small file says whether anything was published.
        if let Some(before) = before.filter(|before| !before.has_ended(self.repositories.now()))
            && before.timestamp.is_some()
            && operator
                .server
                .native_file(&operator.name, "timestamp.json")
                .await?
                == before.timestamp
        {
            return Ok(before);
        }
        let Some(state) = self.repositories.state().cloned() else {
            let reason = "without a state directory nothing tells when a server goes back".to_owned();
            let path = std::path::PathBuf::from(operator.name.as_str());
            return Err(NativeError::File { path, reason });
        };
        let operator = operator.clone();
        let runtime = tokio::runtime::Handle::current();
        // The files of the state, and their lock, block.
        let work = move || runtime.block_on(load(&operator, &state));
        let ended = tokio::task::spawn_blocking(work).await;
        ended.unwrap_or_else(|_| {
            Err(NativeError::Read(ReadError::Malformed {
                server: String::new(),
                what: "verifying broke off, which is an error of this program".to_owned(),
            }))
        })
    }
}

async fn load(
    operator: &Operator,
    state: &crate::state::StateDirectory,
) -> Result<Arc<Verified>, NativeError> {
    let Operator { server, name, root } = operator;
    let beginning = Beginning::Root(root.clone());
    let loading = NativeRepository::load(server, name, state, Some(&beginning), Expired::Refused);
    let limit = server.read_limit;
    let loaded = tokio::time::timeout(limit, loading).await.unwrap_or_else(|_| {
        Err(NativeError::Read(ReadError::Deadline {
            server: server.label().to_owned(),
            limit,
        }))
    })?;
    Ok(Arc::new(Verified {
        name: name.clone(),
        roots: loaded.trust_roots(),
        ends: loaded.ends(),
        timestamp: loaded
            .trusted()
            .timestamp
            .as_ref()
            .map(|file| file.bytes().clone()),
    }))
}

impl Entry {
    fn latest(&self) -> MutexGuard<'_, Option<Latest>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What serves while the server says nothing: what it said last.
    fn silent(&self, operator: &Operator, cause: ReadError) -> Vouched {
        let latest = self.latest();
        let known = latest.as_ref().map(|latest| &latest.vouched);
        let known = known.filter(|known| known.contact.last.is_some());
        match known {
            Some(known) => Vouched {
                roots: known.roots.clone(),
                contact: Contact {
                    last: known.contact.last,
                    failure: Some(cause),
                },
            },
            None => Vouched::refused(denied(&operator.name, &NativeError::Read(cause)), None),
        }
    }
}

impl Verified {
    fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.ends.as_ref().is_some_and(|(at, _)| *at <= now)
    }
}

impl Vouched {
    fn refused(denial: Denial, last: Option<DateTime<Utc>>) -> Self {
        Self {
            roots: Err(denial),
            contact: Contact { last, failure: None },
        }
    }

    /// When the server last answered, if ever.
    pub fn last(&self) -> Option<DateTime<Utc>> {
        self.contact.last
    }

    /// The newest root of a repository for which the operator vouches, if the server confirmed that within `max_staleness`.
    ///
    /// # Errors
    /// When there is none, or nothing is known that could be used now.
    pub fn root(
        &self,
        gun: &Gun,
        max_staleness: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<(Version, Checksum), Denial> {
        let verified = self.roots.as_ref().map_err(Clone::clone)?;
        let name = &verified.name;
        if let Some((at, role)) = &verified.ends
            && *at <= now
        {
            let away = self
                .contact
                .failure
                .as_ref()
                .map_or_else(String::new, |cause| format!(", and {cause}"));
            let sentence = format!(
                "the repository of trust roots {name} cannot be used: its {role} expired at {}{away}; whoever signs it has to \
                 renew it",
                at.format("%Y-%m-%d %H:%M UTC")
            );
            return Err(Denial::new(Reason::Expired, sentence));
        }
        let age = self.contact.freshness(now).age.max(TimeDelta::zero());
        if age > max_staleness {
            let sentence = format!(
                "the server last confirmed the repository of trust roots {name} {} seconds ago, and the policy allows {} \
                 (max_staleness); see why it cannot be reached",
                age.num_seconds(),
                max_staleness.num_seconds()
            );
            return Err(Denial::new(Reason::TooStale, sentence));
        }
        verified.roots.newest(gun).ok_or_else(|| {
            let sentence = format!(
                "{name} vouches for no root of {gun}; if this is the right repository, the operator vouches for it with \
                 `countersign tuf roots {name} {gun}`"
            );
            Denial::new(Reason::NotVouched, sentence)
        })
    }
}

/// Why an operator's repository cannot be used, as a denial.
fn denied(name: &RepositoryName, cause: &NativeError) -> Denial {
    let reason = match cause {
        NativeError::Read(cause) => denial(cause).reason,
        NativeError::Expired { .. } => Reason::Expired,
        NativeError::State(_) | NativeError::File { .. } => Reason::InvalidState,
        _ => Reason::TrustRoots,
    };
    let cause = cause.to_string();
    Denial::new(
        reason,
        format!("the repository of trust roots {name} cannot be used: {cause}"),
    )
}
