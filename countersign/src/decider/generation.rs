//! A policy as it was loaded, with the trust servers that it names. It never changes.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use client::{Discovery, Following, Identity, Repositories, Server, ServerSettings};
use tuf::Gun;
use verifier::{Anchor, Denial, ImageReference, Policy, Reason, ServerRule};

use super::{DeciderError, trust_roots};

/// The largest file that a policy may name, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Where the policy comes from.
#[derive(Debug, Clone)]
pub enum PolicySource {
    /// A file, with further required signers.
    File {
        /// The file.
        path: PathBuf,
        /// Signers of the policy who have to sign as well.
        signers: Vec<String>,
    },
    /// None: every image is checked from this anchor.
    AdHoc {
        /// Where trust begins.
        anchor: Box<Anchor>,
        /// Delegations that have to sign.
        signers: Vec<String>,
    },
}

/// How trust servers are asked.
#[derive(Debug, Clone)]
pub struct TrustSettings {
    /// What the command line says, for images for which the policy names no server.
    pub given: ServerSettings,
    /// Where the rest is looked for.
    pub discovery: Discovery,
    /// How long an answer is waited for, where the question has no deadline of its own.
    pub deadline: Duration,
    /// How old may be what an image is allowed by without asking its server first.
    pub max_age: TimeDelta,
    /// Whether this process goes on deciding: then it follows the events of the repositories that it is asked about.
    pub follow: bool,
    /// Whether no server is asked at all, because the trust data was carried here in files.
    pub offline: bool,
}

/// A loaded policy.
pub struct Generation {
    policy: Policy,
    files: Vec<PathBuf>,
    directory: PathBuf,
    trust: TrustSettings,
    /// By address and certificate files, or by registry.
    servers: Mutex<BTreeMap<String, Arc<Server>>>,
    /// By server, repository and anchor, with the root that an operator vouched for, if the anchor is such. One that has no
    /// events stays here, so that it is not asked again and again.
    followed: Mutex<BTreeMap<Followed, (Anchor, Following)>>,
}

/// A server, a repository, and a kind of anchor.
type Followed = (String, String, String);

impl PolicySource {
    /// The file.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::File { path, .. } => Some(path.clone()),
            Self::AdHoc { .. } => None,
        }
    }
}

impl Generation {
    /// Loads a policy and makes the clients of the servers that it names.
    ///
    /// # Errors
    /// When anything of it cannot be used.
    pub fn load(source: &PolicySource, trust: &TrustSettings) -> Result<Self, DeciderError> {
        let (policy, files, directory) = match source {
            PolicySource::File { path, signers } => {
                let directory = path.parent().map(Path::to_owned).unwrap_or_default();
                let (policy, files) = read(path, &directory)?;
                (demand(policy, signers)?, files, directory)
            }
            PolicySource::AdHoc { anchor, signers } => {
                let policy = Policy::ad_hoc(Anchor::clone(anchor));
                (demand(policy, signers)?, Vec::new(), PathBuf::new())
            }
        };
        let mut loaded = Self {
            policy,
            files,
            directory,
            trust: trust.clone(),
            servers: Mutex::default(),
            followed: Mutex::default(),
        };
        let mut servers = BTreeMap::new();
        for roots in loaded.policy.trust_roots() {
            trust_roots::check(roots).map_err(|reason| DeciderError::TrustRoots {
                repository: roots.repository.clone(),
                reason,
            })?;
        }
        let beside = loaded
            .policy
            .trust_roots()
            .iter()
            .filter_map(|roots| roots.server.as_ref());
        // The certificates of servers that nobody asks need not be here.
        let asked = loaded
            .policy
            .servers()
            .iter()
            .chain(beside)
            .filter(|_| !trust.offline);
        for rule in asked {
            let settings = loaded.settings(rule);
            let files = [settings.ca.clone()].into_iter().flatten();
            loaded.files.extend(files);
            if let Some(Identity::Pem { cert, key }) = &settings.identity {
                loaded.files.extend([cert.clone(), key.clone()]);
            }
            let server = Server::discover(&settings, &loaded.trust.discovery, "");
            let server = server.map_err(|reason| DeciderError::Server {
                pattern: rule.pattern.to_string(),
                reason: reason.to_string(),
            })?;
            servers.insert(name_of(rule), Arc::new(server));
        }
        loaded.servers = Mutex::new(servers);
        Ok(loaded)
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The files that it names.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The server of an image's trust data.
    ///
    /// # Errors
    /// When what was configured for it cannot be used.
    pub fn server(&self, image: &ImageReference) -> Result<Arc<Server>, Denial> {
        self.named(self.policy.server_for(image), image.name())
    }

    /// The server of an operator's repository of trust roots.
    ///
    /// # Errors
    /// When what was configured for it cannot be used.
    #[cfg(feature = "native")]
    pub fn server_of(&self, roots: &verifier::TrustRoots) -> Result<Arc<Server>, Denial> {
        self.named(self.policy.server_of(roots), &roots.repository)
    }

    /// The server of a rule; without one, that of the command line or of the registry of a repository.
    fn named(&self, rule: Option<&ServerRule>, repository: &str) -> Result<Arc<Server>, Denial> {
        let host = repository.split('/').next().unwrap_or_default();
        let name = rule.map_or_else(|| format!("registry {host}"), name_of);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = servers.get(&name) {
            return Ok(Arc::clone(server));
        }
        let server = Server::discover(&self.trust.given, &self.trust.discovery, host);
        let server = server.map_err(|reason| Denial::new(Reason::ServerUnreachable, reason.to_string()))?;
        let server = Arc::new(server);
        servers.insert(name, Arc::clone(&server));
        Ok(server)
    }

    /// The address of that server, which need not be one that can be reached from here.
    ///
    /// # Errors
    /// When what was configured for it cannot be used.
    pub fn address(&self, image: &ImageReference) -> Result<String, Denial> {
        let rule = self.policy.server_for(image);
        let settings = rule.map_or_else(|| self.trust.given.clone(), |rule| self.settings(rule));
        let address = self.trust.discovery.label(&settings, image.host());
        address.map_err(|reason| Denial::new(Reason::ServerUnreachable, reason.to_string()))
    }

    /// Keeps up with a repository from now on, as long as this generation lives.
    pub fn follow(&self, repositories: &Repositories, server: &Arc<Server>, gun: &Gun, anchor: &Anchor) {
        if !self.trust.follow {
            return;
        }
        // Of the roots that an operator vouches for one after the other only the last is asked about.
        let kind = match anchor {
            Anchor::Vouched(root) => root.repository.clone(),
            other => other.to_string(),
        };
        let key = (server.label().to_owned(), gun.to_string(), kind);
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.get(&key).is_some_and(|(known, _)| known == anchor) {
            return;
        }
        followed.remove(&key);
        if let Some(following) = repositories.follow(server, gun, anchor) {
            followed.insert(key, (anchor.clone(), following));
        }
    }

    fn settings(&self, rule: &ServerRule) -> ServerSettings {
        let file = |name: &String| self.directory.join(name);
        ServerSettings {
            url: Some(rule.url.clone()),
            ca: rule.ca.as_ref().map(file).or_else(|| self.trust.given.ca.clone()),
            identity: match (&rule.cert, &rule.key) {
                (Some(cert), Some(key)) => Some(Identity::Pem {
                    cert: file(cert),
                    key: file(key),
                }),
                _ => self.trust.given.identity.clone(),
            },
            ..self.trust.given.clone()
        }
    }
}

fn name_of(rule: &ServerRule) -> String {
    let file = |name: &Option<String>| name.clone().unwrap_or_default();
    format!(
        "{}\n{}\n{}\n{}",
        rule.url,
        file(&rule.ca),
        file(&rule.cert),
        file(&rule.key)
    )
}

fn read(path: &Path, directory: &Path) -> Result<(Policy, Vec<PathBuf>), DeciderError> {
    let unusable = |reason: String| DeciderError::Policy {
        path: path.to_owned(),
        reason,
    };
    let text = bounded(path).map_err(unusable)?;
    let text = String::from_utf8(text).map_err(|_| unusable("it is not UTF-8".to_owned()))?;
    let files = RefCell::new(Vec::new());
    let read = |name: &str| {
        let path = directory.join(name);
        files.borrow_mut().push(path.clone());
        bounded(&path).map_err(|reason| format!("{}: {reason}", path.display()))
    };
    let policy = Policy::parse(&text, &read).map_err(|reason| unusable(reason.to_string()))?;
    Ok((policy, files.into_inner()))
}

fn bounded(path: &Path) -> Result<Vec<u8>, String> {
    let in_words = |cause: std::io::Error| platform::reason::of_io(&cause);
    let length = fs::metadata(path).map_err(in_words)?.len();
    if length > FILE_LIMIT {
        return Err(format!(
            "it has {length} bytes, and at most {FILE_LIMIT} are read"
        ));
    }
    platform::files::read(path).map_err(in_words)
}

fn demand(policy: Policy, signers: &[String]) -> Result<Policy, DeciderError> {
    if signers.is_empty() {
        return Ok(policy);
    }
    let names: Vec<&str> = signers.iter().map(String::as_str).collect();
    policy
        .with_signers(&names)
        .map_err(|reason| DeciderError::Demand(reason.to_string()))
}
