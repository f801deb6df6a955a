//! The server's shared state, which request handlers and background tasks work with.

use std::sync::Arc;

use actix_web::web;
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use platform::tls::TlsError;
use signing::{KeyAlgorithm, KeyService, LocalSigner, SignerClient};
use tokio::sync::{Semaphore, watch};

#[cfg(feature = "native")]
use crate::confirmed::native::NativeLines;
use crate::{
    audit::{SinkError, Sinks},
    clock::Clock,
    config::{Config, TrustService},
    confirmed::{Catalogue, ConfirmError, Confirmed},
    form_key::FormKey,
    generation::{Generation, GenerationError},
    registry::{self, Gateway},
    shared_documents::SharedDocuments,
    store::{Store, StoreError},
    telemetry::{
        health::Health,
        metrics,
        reloads::{LastReload, Reloads},
    },
    turns::Turns,
    upload_memory::UploadMemory,
};

/// How many clients may follow events at a time. Each asks the database twice a second.
const EVENT_STREAMS: usize = 256;
/// How many clients without an identity may; they do not take the places of others.
const ANONYMOUS_STREAMS: usize = 64;

/// Why something that the configuration names cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be used.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// The files for TLS towards the signer cannot be used.
    #[error("trust_service: {0}")]
    SignerTls(TlsError),
    /// The signer's address cannot be used.
    #[error("trust_service.hostname: {0}")]
    Signer(signing::SigningError),
    /// The files that decide about connections and requests cannot be used.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// The registry cannot be asked.
    #[error(transparent)]
    Registry(#[from] registry::SetUpError),
    /// Audit records cannot be written.
    #[error(transparent)]
    Audit(#[from] SinkError),
    /// There is no randomness for the tokens of forms.
    #[error("OpenSSL refuses a key for forms: {}", platform::reason::of_openssl(.0))]
    Forms(openssl::error::ErrorStack),
    /// Metrics cannot be recorded.
    #[error("metrics: {0}")]
    Metrics(String),
}

/// Why the database or the signer failed to answer a request.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing service.
    #[error("the signing service failed: {0}")]
    Signing(#[from] signing::SigningError),
    /// The database, for several requests at once.
    #[error(transparent)]
    SharedStore(Arc<StoreError>),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl From<ConfirmError> for ServiceError {
    fn from(cause: ConfirmError) -> Self {
        match cause {
            ConfirmError::Store(cause) => Self::SharedStore(cause),
            ConfirmError::Stopping => Self::Stopping,
        }
    }
}

impl ServiceError {
    /// Whether the failure concerns every request at the moment, not only this one.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Stopping
            | Self::Store(StoreError::Connection(_))
            | Self::Signing(signing::SigningError::Unavailable(_)) => true,
            Self::SharedStore(cause) => matches!(**cause, StoreError::Connection(_)),
            Self::Store(_) | Self::Signing(_) => false,
        }
    }
}

/// Everything that is opened once at start-up.
pub struct State {
    /// The configuration that the server was started with.
    pub config: Config,
    /// The certificates, rules and policy that currently decide.
    pub generation: Arc<ArcSwap<Generation>>,
    /// The stored metadata.
    pub store: Store,
    /// What of it is kept in memory.
    pub confirmed: Confirmed,
    /// A line about every repository.
    pub catalogue: Arc<Catalogue>,
    /// A line about every TUF 1.0 repository.
    #[cfg(feature = "native")]
    pub native_lines: NativeLines,
    /// The registry behind this server, if there is one.
    pub registry: Option<Gateway>,
    /// The signer of timestamps and snapshots.
    pub keys: Arc<KeyService>,
    /// The algorithm of new keys.
    pub key_algorithm: KeyAlgorithm,
    /// The sinks of audit records.
    pub audit: Arc<Sinks>,
    /// The source of time.
    pub clock: Clock,
    /// What the last health checks found.
    pub health: Arc<Health>,
    /// Large documents that are being sent to clients.
    pub documents: SharedDocuments,
    /// The memory that is left for publishes.
    pub upload_memory: UploadMemory,
    /// Who publishes to which TUF 1.0 repository.
    pub native_turns: Turns,
    /// How many more clients may follow events.
    pub event_streams: Arc<Semaphore>,
    /// How many more clients without an identity may.
    pub anonymous_streams: Arc<Semaphore>,
    /// Whether the server is stopping, for answers that would not end by themselves.
    pub stopping: watch::Sender<bool>,
    /// The outcome of the last reload.
    pub last_reload: LastReload,
    /// The key of the tokens in forms.
    pub forms: FormKey,
    /// Who asks for a reload.
    pub reloads: Reloads,
    /// The recorded metrics.
    pub metrics: PrometheusHandle,
}

impl State {
    /// Opens everything that the configuration names. Must be called within a tokio runtime that outlives the result.
    ///
    /// # Errors
    /// When a file, the database or a sink cannot be used.
    pub fn open(config: Config, clock: Clock) -> Result<Self, OpenError> {
        let (keys, key_algorithm) = key_service(&config.trust_service)?;
        let registry = config
            .registry
            .as_ref()
            .map(|settings| Gateway::new(settings, &config.public))
            .transpose()?;
        let generation = Generation::load(&config, clock, 1)?;
        let audit = Sinks::open(&config.audit.sinks)?;
        let store =
            Store::open(&config.storage, config.storage_options)?.with_audit_table(config.audit.table);
        let metrics = metrics::install().map_err(OpenError::Metrics)?;
        Ok(Self {
            upload_memory: UploadMemory::new(config.upload_memory),
            generation: Arc::new(ArcSwap::from_pointee(generation)),
            confirmed: Confirmed::new(store.clone(), config.reads),
            catalogue: Arc::new(Catalogue::new(store.clone(), registry.is_some())),
            #[cfg(feature = "native")]
            native_lines: NativeLines::default(),
            store,
            registry,
            keys: Arc::new(keys),
            key_algorithm,
            audit: Arc::new(audit),
            clock,
            health: Arc::default(),
            documents: SharedDocuments::default(),
            native_turns: Turns::default(),
            event_streams: Arc::new(Semaphore::new(EVENT_STREAMS)),
            anonymous_streams: Arc::new(Semaphore::new(ANONYMOUS_STREAMS)),
            stopping: watch::Sender::new(false),
            last_reload: LastReload::default(),
            forms: FormKey::new().map_err(OpenError::Forms)?,
            reloads: Reloads::default(),
            metrics,
            config,
        })
    }

    /// Runs a database access on a thread that may block.
    ///
    /// # Errors
    /// When the access fails, or the server is stopping.
    pub async fn with_store<T, F>(&self, access: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    {
        with_store(&self.store, access).await
    }
}

/// Runs a database access on a thread that may block.
///
/// # Errors
/// When the access fails, or the server is stopping.
pub async fn with_store<T, F>(store: &Store, access: F) -> Result<T, ServiceError>
where
    T: Send + 'static,
    F: FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
{
    let store = store.clone();
    let outcome = web::block(move || access(&store))
        .await
        .map_err(|_| ServiceError::Stopping)?;
    Ok(outcome?)
}

/// The signer of a configuration and the algorithm of its keys. Must be called within a tokio runtime.
///
/// # Errors
/// When the TLS files or the address cannot be used. This opens no connection yet.
pub fn key_service(trust_service: &TrustService) -> Result<(KeyService, KeyAlgorithm), OpenError> {
    match trust_service {
        TrustService::Local => Ok((KeyService::Local(LocalSigner::default()), KeyAlgorithm::Ed25519)),
        TrustService::Remote {
            host,
            port,
            algorithm,
            tls,
        } => {
            let connector = tls.connector().map_err(OpenError::SignerTls)?;
            let client = SignerClient::new(host, *port, connector).map_err(OpenError::Signer)?;
            Ok((KeyService::Remote(client), *algorithm))
        }
    }
}
