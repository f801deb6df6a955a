//! What every one of these commands begins with: the server, where trust begins, and the keys at hand.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use clap::Args;
use client::{
    Server, StateDirectory,
    keys::{KeyStore, Keys},
    native::{self, Beginning, Expired, NativeError, NativeRepository, Published, Waiting},
};
use tuf_native::{Draft, KeyId, Metadata, PublicKey, RepositoryName, Role, Signers, Trusted, ready};

use crate::commands::{Failure, signing::KeyOptions, trust::TrustOptions};

/// The last year that a date in metadata can have.
const LAST_YEAR: i32 = 9999;

/// What the help of every one of these commands ends with.
pub(super) const HELP: &str = "\
Trust begins with --root, --root-key or --tofu, and from then on with what was verified before, which is kept in --state. The
server is that of --server, DOCKER_CONTENT_TRUST_SERVER, ~/.notary/config.json, or the first part of the repository's name; the
client certificate that of --cert and --key, --p12, ~/.docker/tls/HOST or ~/.notary/config.json.

The status is 0 if it was done, and 2 if not.";

/// How a repository is read.
#[derive(Debug, Clone, Args)]
#[command(after_help = HELP)]
pub struct ReadOptions {
    /// The file of a root that is trusted, which its owners handed over: trust begins with it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["root_key", "tofu"])]
    root: Option<PathBuf>,
    /// The ID of a key that signed root version 1: trust begins with that root.
    #[arg(long, value_name = "ID", conflicts_with = "tofu")]
    root_key: Vec<String>,
    /// Trust root version 1 as the server shows it now, and only its successors from then on.
    #[arg(long)]
    tofu: bool,
    #[command(flatten)]
    trust: TrustOptions,
}

/// How a repository is worked on: private keys are found in --trust-dir and in the token of --pkcs11-module.
#[derive(Debug, Clone, Args)]
pub struct WorkOptions {
    #[command(flatten)]
    read: ReadOptions,
    #[command(flatten)]
    keys: KeyOptions,
}

/// A repository of a server.
pub(super) struct Session {
    pub(super) name: RepositoryName,
    pub(super) server: Arc<Server>,
    pub(super) state: StateDirectory,
    beginning: Option<Beginning>,
}

/// A repository that is worked on.
pub(super) struct Work {
    pub(super) session: Session,
    pub(super) keys: Keys,
}

impl ReadOptions {
    /// Finds the server and where trust begins. No server is asked.
    pub(super) fn open(&self, repository: &str) -> Result<Session, Failure> {
        let name =
            RepositoryName::parse(repository).map_err(|cause| Failure(format!("{repository}: {cause}")))?;
        let settings = self.trust.settings()?;
        let host = repository.split('/').next().unwrap_or_default();
        let server = Server::discover(&settings.given, &settings.discovery, host)?;
        let beginning = if let Some(path) = &self.root {
            Some(Beginning::Root(native::read_root(path)?))
        } else if !self.root_key.is_empty() {
            let ids = self.root_key.iter().map(|text| KeyId::parse(text));
            Some(Beginning::RootKeys(ids.collect::<Result<_, _>>()?))
        } else {
            self.tofu.then_some(Beginning::FirstUse)
        };
        Ok(Session {
            name,
            server: Arc::new(server),
            state: self.trust.state()?,
            beginning,
        })
    }
}

impl WorkOptions {
    /// The same with the keys at hand, none of which is opened yet.
    pub(super) fn open(&self, repository: &str) -> Result<Work, Failure> {
        Ok(Work {
            session: self.read.open(repository)?,
            keys: self.keys.open()?,
        })
    }
}

impl Session {
    /// The TUF 1.0 repository of this name at a server that was found already.
    pub(super) fn new(
        name: RepositoryName,
        server: Arc<Server>,
        state: StateDirectory,
        beginning: Option<Beginning>,
    ) -> Self {
        Self {
            name,
            server,
            state,
            beginning,
        }
    }

    /// The repository as it is now, verified.
    pub(super) async fn load(&self, expired: Expired) -> Result<NativeRepository, Failure> {
        let beginning = self.beginning.as_ref();
        let loaded = NativeRepository::load(&self.server, &self.name, &self.state, beginning, expired).await;
        Ok(loaded?)
    }

    /// What is stored, verified, for those who sign what follows; nothing if the repository was not begun yet.
    pub(super) async fn stored(&self) -> Result<Trusted, Failure> {
        if self
            .server
            .native_file(&self.name, "timestamp.json")
            .await?
            .is_none()
        {
            if NativeRepository::is_known(&self.server, &self.name, &self.state)? {
                return Err(Failure(format!(
                    "{} was verified here before, and the server says that there is none: it was deleted, or the server \
                     does not show it",
                    self.name
                )));
            }
            return Ok(Trusted::default());
        }
        let loaded = self.load(Expired::Taken).await?;
        if let Some((at, role)) = loaded.ends()
            && at <= Utc::now()
        {
            platform::complain!("note: {role} of {} expired at {at}", self.name);
        }
        Ok(loaded.trusted().clone())
    }

    /// Refuses a first root that waits, if a person said that trust begins with another.
    pub(super) fn check_first(&self, waiting: &[Draft]) -> Result<(), Failure> {
        let root = waiting.iter().find(|draft| *draft.role() == Role::Root);
        if let (Some(root), Some(beginning)) = (root, &self.beginning) {
            native::check_first(&self.name, root.metadata(), beginning)?;
        }
        Ok(())
    }

    /// What is stored of a repository that was begun.
    pub(super) async fn begun(&self) -> Result<Trusted, Failure> {
        let trusted = self.stored().await?;
        if trusted.root.is_none() {
            return Err(NativeError::Absent {
                server: self.server.label().to_owned(),
                name: self.name.to_string(),
            }
            .into());
        }
        Ok(trusted)
    }

    /// Publishes complete files, and remembers what clients see from now on, so that an older state is noticed later.
    pub(super) async fn publish(&self, files: &[Metadata]) -> Result<(), Failure> {
        let published = self.server.native_publish(&self.name, files).await?;
        let roots = files.iter().filter(|file| *file.role() == Role::Root);
        if let Some(root) = roots.max_by_key(|file| file.version()) {
            NativeRepository::keep_root(&self.server, &self.name, &self.state, root)?;
        }
        tell(&published);
        if let Err(Failure(cause)) = self.load(Expired::Taken).await {
            platform::complain!("note: what was published could not be read back: {cause}");
        }
        Ok(())
    }
}

impl Work {
    /// Signs files with the keys at hand. They are published together if enough have signed each, and wait at the server for
    /// further signatures otherwise.
    pub(super) async fn submit(&self, trusted: &Trusted, drafts: Vec<Draft>) -> Result<(), Failure> {
        let mut signed = Vec::with_capacity(drafts.len());
        for draft in &drafts {
            let may_sign = draft.may_sign(trusted, &drafts);
            signed.push(native::sign(&self.keys, draft, &may_sign)?.0);
        }
        let session = &self.session;
        let files = ready(trusted, &signed);
        if files.len() == signed.len() {
            return session.publish(&files).await;
        }
        let waiting = session.server.native_sign(&session.name, &signed).await?;
        let ours = |waiting: &&Waiting| signed.iter().any(|draft| draft.role().as_str() == waiting.role);
        for waiting in waiting.iter().filter(ours) {
            tell_waiting(waiting);
        }
        platform::complain!(
            "the others sign with `countersign tuf sign {}`, and the last of them publishes it",
            session.name
        );
        Ok(())
    }

    /// The public key that a person names: by the file of a public key or certificate, or by the ID of a private key at hand.
    pub(super) fn public_key(&self, text: &str) -> Result<PublicKey, Failure> {
        let Ok(id) = KeyId::parse(text) else {
            return Ok(native::read_native_key(std::path::Path::new(text))?);
        };
        let key = self.keys.open(&id)?;
        PublicKey::from_notary(key.public()).map_err(|cause| Failure(format!("{id}: {cause}")))
    }

    /// The keys that a person names, of which so many must sign.
    pub(super) fn signers(&self, named: &[String], threshold: u32) -> Result<Signers, Failure> {
        let mut keys: Vec<PublicKey> = Vec::new();
        for text in named {
            let key = self.public_key(text)?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(Signers::new(keys, threshold))
    }
}

/// The moment so many days from now, but none after the last that clients read alike: the end of the year 9999.
pub(super) fn in_days(days: u32) -> DateTime<Utc> {
    let now = Utc::now();
    now.checked_add_signed(TimeDelta::days(i64::from(days)))
        .filter(|end| end.year() <= LAST_YEAR)
        .unwrap_or_else(|| now.with_year(LAST_YEAR).unwrap_or(now))
}

/// Reads the name of a role.
pub(super) fn role(text: &str) -> Result<Role, Failure> {
    Role::parse(text).map_err(|cause| Failure(cause.to_string()))
}

fn tell(published: &Published) {
    for file in &published.published {
        platform::say!("published {} {}", file.role, file.version);
    }
    for role in &published.dropped {
        platform::complain!("note: no role delegates to {role} any more");
    }
    platform::complain!(
        "clients see it by snapshot {} and timestamp {}",
        published.snapshot,
        published.timestamp
    );
}

/// Says what a file waits for.
pub(super) fn tell_waiting(waiting: &Waiting) {
    let needed: Vec<String> = waiting
        .needed
        .iter()
        .map(|need| format!("{} of {} by {}", need.have, need.threshold, need.by))
        .collect();
    let state = if waiting.complete { "complete" } else { "waits" };
    platform::say!(
        "{} {} {state}: {}",
        waiting.role,
        waiting.version,
        needed.join(", ")
    );
    for key in &waiting.missing {
        platform::say!("  may still sign: {key}");
    }
}
