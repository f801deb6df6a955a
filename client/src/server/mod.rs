//! A trust server: where it is, who asks, and how it is asked.

mod discovery;
mod docker_login;
mod login;
mod settings;
mod tls;
mod transport;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Url;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tuf::Gun;

pub use discovery::{Discovery, is_this_machine};
pub use settings::{Connection, Credentials, Identity, ServerSettings, SettingsError, Trust};

/// How many requests to one server wait for their answers at a time. A slow server holds no more than that.
const MAX_REQUESTS: usize = 32;
/// How many repositories of a server are followed at a time. Servers have places for 64 followers without an identity.
const MAX_FOLLOWERS: usize = 32;
/// How long it is remembered that a server has no bundles, so that one that was renewed is asked again.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// How long reading a repository may take in all, unless said otherwise.
const READ_LIMIT: Duration = Duration::from_secs(60);

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// What a token is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading.
    Pull,
    /// Publishing.
    Push,
    /// New keys of the server's, and deleting.
    Everything,
}

/// A trust server and who asks it. Two of them share nothing, so that nobody gets what somebody else may read.
pub struct Server {
    /// Different for every one in this process.
    id: u64,
    base: Url,
    label: String,
    client: reqwest::Client,
    credentials: Credentials,
    who: String,
    tokens: login::Tokens,
    places: Semaphore,
    /// How many may follow its events.
    pub(crate) followers: Arc<Semaphore>,
    /// When it said that it has no bundles.
    without_bundles: Mutex<Option<Instant>>,
    pub(crate) read_limit: Duration,
    trust: Trust,
}

impl Server {
    /// A server. This opens no connection yet, but reads the files of certificates.
    ///
    /// # Errors
    /// When one of these files cannot be used.
    pub fn new(connection: &Connection) -> Result<Self, SettingsError> {
        let (client, subject) = tls::client(connection)?;
        let credentials = match &connection.credentials {
            Credentials::None => "none".to_owned(),
            Credentials::Token(token) => {
                format!(
                    "token {}",
                    hex::encode(openssl::sha::sha256(token.expose_secret().as_bytes()))
                )
            }
            Credentials::User { name, .. } => format!("user {name}"),
        };
        let who = hex::encode(openssl::sha::sha256(
            format!("{credentials}\n{subject}").as_bytes(),
        ));
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            label: label(&connection.url),
            base: connection.url.clone(),
            client,
            credentials: connection.credentials.clone(),
            who,
            tokens: login::Tokens::default(),
            places: Semaphore::new(MAX_REQUESTS),
            followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)),
            without_bundles: Mutex::new(None),
            read_limit: READ_LIMIT,
            trust: connection.trust.clone(),
        })
    }

    /// The server for a repository of the registry at `host[:port]`: what was given, completed by what is found.
    ///
    /// # Errors
    /// As [`Discovery::complete`] and [`Server::new`].
    pub fn discover(
        given: &ServerSettings,
        discovery: &Discovery,
        registry: &str,
    ) -> Result<Self, SettingsError> {
        Self::new(&discovery.complete(given, registry)?)
    }

    /// Changes how long reading a repository may take in all.
    #[must_use]
    pub fn with_read_limit(mut self, limit: Duration) -> Self {
        self.read_limit = limit;
        self
    }

    /// Its address, without a slash at the end.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Who asks, as a hash: the same for the same name, token or certificate's subject, in any process.
    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// A number that no other server of this process has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The address of something below the trust data of a repository, given by its segments.
    pub(crate) fn address<'a>(&self, gun: &'a Gun, segments: impl IntoIterator<Item = &'a str>) -> Url {
        self.address_of(gun, ["_trust"].into_iter().chain(segments))
    }

    /// The address of something below a repository, given by its segments.
    pub(crate) fn address_of<'a>(&self, gun: &'a Gun, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        // An address of http or https always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .push("v2")
                .extend(gun.as_str().split('/'))
                .extend(segments);
        }
        url
    }

    /// The address of something of a TUF 1.0 repository, given by its segments.
    #[cfg(feature = "native")]
    pub(crate) fn native_address<'a>(
        &self,
        gun: &'a Gun,
        segments: impl IntoIterator<Item = &'a str>,
    ) -> Url {
        let mut url = self.base.clone();
        // An address of http or https always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(["tuf", "v1"])
                .extend(gun.as_str().split('/'))
                .extend(segments);
        }
        url
    }

    /// The address of something of the interface beyond the Notary contract, given by its segments.
    pub(crate) fn interface_address<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        // An address of http or https always has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v0"]).extend(segments);
        }
        url
    }

    /// A client for what other servers keep for this one, which are told nothing of who asks.
    pub(crate) fn elsewhere(&self) -> Result<reqwest::Client, SettingsError> {
        tls::anonymous(&self.trust)
    }

    /// Whether it may have bundles.
    pub(crate) fn may_have_bundles(&self) -> bool {
        let said = self
            .without_bundles
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        said.is_none_or(|at| at.elapsed() > REMEMBERED)
    }

    /// Remembers whether it has bundles.
    pub(crate) fn has_bundles(&self, has: bool) {
        *self
            .without_bundles
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = (!has).then(Instant::now);
    }
}

/// An address without a slash at its end.
fn label(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.label)
            .finish_non_exhaustive()
    }
}
