//! Putting the server together and running it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use actix_web::web;
use arc_swap::ArcSwap;
use metrics_exporter_prometheus::PrometheusHandle;
use platform::{
    config::ConfigError,
    logging::{self, Format, Level},
    signals,
    tls::{ClientAuth, TlsError},
    watch,
};
use signing::{KeyAlgorithm, KeyService, LocalSigner, SignerClient};

use crate::{
    audit::{SinkError, Sinks, checkpoint},
    clock::Clock,
    config::{Config, Listener, TokenSettings, TrustService},
    findings,
    generation::{Generation, GenerationError},
    http::{self, ListenError, SharedDocuments},
    identity::token::{BundleError, TokenAuth},
    refresh,
    reload::{self, LastReload},
    revocation,
    store::{Store, StoreError},
    sweeping,
    telemetry::{health::Health, metrics, pulls::Pulls},
};

/// How often the checks behind the health route run.
const HEALTH_INTERVAL: Duration = Duration::from_secs(10);

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration, or a file that it names, is refused.
    #[error(transparent)]
    Refused(#[from] findings::Refused),
    /// The database cannot be used.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// The files for TLS towards the signer cannot be used.
    #[error("trust_service: {0}")]
    SignerTls(TlsError),
    /// The signer's address cannot be used.
    #[error("trust_service.hostname: {0}")]
    Signer(signing::SigningError),
    /// The certificates of the token service cannot be used.
    #[error("auth.options.rootcertbundle: {}: {cause}", bundle.display())]
    TokenBundle {
        /// The file.
        bundle: PathBuf,
        /// What is wrong with it.
        cause: BundleError,
    },
    /// The files that decide about connections and requests cannot be used.
    #[error(transparent)]
    Generation(#[from] GenerationError),
    /// Records of decisions cannot be written.
    #[error(transparent)]
    Audit(#[from] SinkError),
    /// The server cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Figures cannot be recorded.
    #[error("metrics: {0}")]
    Metrics(String),
    /// The operating system refuses something else.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Why something that a request needs did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signing service.
    #[error("the signing service failed: {0}")]
    Signing(#[from] signing::SigningError),
    /// This server, which is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl ServiceError {
    /// Whether it concerns everything that is asked at this moment, and not only what was asked.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Stopping
                | Self::Store(StoreError::Connection(_))
                | Self::Signing(signing::SigningError::Unavailable(_))
        )
    }
}

/// What every request handler has at hand.
pub struct State {
    /// The configuration.
    pub config: Config,
    /// What connections are accepted with.
    pub generation: ArcSwap<Generation>,
    /// The stored metadata.
    pub store: Store,
    /// The token service that clients without a certificate have to go to; nothing if there is none.
    pub tokens: Option<TokenAuth>,
    /// Who signs timestamps and snapshots.
    pub keys: KeyService,
    /// The kind of keys asked for.
    pub key_algorithm: KeyAlgorithm,
    /// Where records of decisions go.
    pub audit: Sinks,
    /// The time.
    pub clock: Clock,
    /// What the last checks found.
    pub health: Health,
    /// How often each GUN was read.
    pub pulls: Pulls,
    /// Large documents that are being sent.
    pub documents: SharedDocuments,
    /// What became of the last reload.
    pub last_reload: LastReload,
    /// The figures recorded.
    pub metrics: PrometheusHandle,
}

impl State {
    /// Opens everything that the configuration names. To be called within a tokio runtime that outlives it.
    ///
    /// # Errors
    /// When the database or the signer's TLS files cannot be used.
    pub fn open(config: Config, clock: Clock) -> Result<Self, StartError> {
        let (keys, key_algorithm) = key_service(&config.trust_service)?;
        let tokens = config.auth.as_ref().map(token_auth).transpose()?;
        let generation = Generation::load(&config, 1)?;
        let audit = Sinks::open(&config.audit.sinks)?;
        let store =
            Store::open(&config.storage, config.storage_options)?.with_audit_table(config.audit.table);
        let metrics = metrics::install().map_err(StartError::Metrics)?;
        Ok(Self {
            config,
            generation: ArcSwap::from_pointee(generation),
            store,
            tokens,
            keys,
            key_algorithm,
            audit,
            clock,
            health: Health::default(),
            pulls: Pulls::default(),
            documents: SharedDocuments::default(),
            last_reload: LastReload::default(),
            metrics,
        })
    }

    /// Runs a database access where it may block.
    ///
    /// # Errors
    /// When the access fails, or the server is stopping.
    pub async fn with_store<T, F>(&self, access: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    {
        let store = self.store.clone();
        let outcome = web::block(move || access(&store))
            .await
            .map_err(|_| ServiceError::Stopping)?;
        Ok(outcome?)
    }
}

/// Who signs, and with what kind of keys. To be called within a tokio runtime.
///
/// # Errors
/// When the files for TLS, or the address, cannot be used. Nothing is connected yet.
pub fn key_service(trust_service: &TrustService) -> Result<(KeyService, KeyAlgorithm), StartError> {
    match trust_service {
        TrustService::Local => Ok((KeyService::Local(LocalSigner::default()), KeyAlgorithm::Ed25519)),
        TrustService::Remote {
            host,
            port,
            algorithm,
            tls,
        } => {
            let connector = tls.connector().map_err(StartError::SignerTls)?;
            let client = SignerClient::new(host, *port, connector).map_err(StartError::Signer)?;
            Ok((KeyService::Remote(client), *algorithm))
        }
    }
}

/// The token service, its certificates read.
///
/// # Errors
/// When they cannot be used.
pub fn token_auth(settings: &TokenSettings) -> Result<TokenAuth, StartError> {
    let TokenSettings {
        realm,
        service,
        issuer,
        bundle,
    } = settings.clone();
    TokenAuth::new(realm, service, issuer, &bundle).map_err(|cause| StartError::TokenBundle { bundle, cause })
}

/// Runs the server with a configuration file until it is told to stop. `level` overrides the file's; with `strict` no
/// unknown key passes, at a reload neither.
///
/// # Errors
/// When it cannot start.
pub async fn run(path: &Path, strict: bool, level: Option<Level>, format: Format) -> Result<(), StartError> {
    let as_read = watch::mark(path);
    let config = findings::read(path, strict)?;
    let watched = reload::watch(path, as_read, &config);
    let config = findings::accept(config, Clock::System.now())?;
    let control = logging::start(level.unwrap_or(config.log_level), format);
    tokio::spawn(control.clone().follow_signals());
    // What the command line says is not the file's to change.
    let control = level.is_none().then_some(control);
    warn_about_openness(&config);
    let state = web::Data::new(State::open(config, Clock::System)?);
    // Before anybody can know that the server is there, and tell it to stop or to reload.
    let (stop, hangups) = (signals::stop()?, signals::hangups()?);
    for warning in state.generation.load().warnings(state.clock.now()) {
        tracing::warn!("{warning}");
    }
    announce_ca(&state);
    let server = http::listen(&state)?;
    let handle = server.handle();
    tokio::spawn(watch_health(state.clone()));
    tokio::spawn(refresh::run(state.clone()));
    tokio::spawn(revocation::follow(state.clone()));
    tokio::spawn(checkpoint::run(state.clone()));
    tokio::spawn(sweeping::run(state.clone()));
    tokio::spawn(reload::run(
        state.clone(),
        reload::File {
            path: path.to_path_buf(),
            strict,
        },
        watched,
        hangups,
        control,
    ));
    let listeners = state.config.listeners.iter();
    let addresses: Vec<String> = listeners
        .flat_map(|listener| listener.addresses.iter().map(ToString::to_string))
        .collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        addresses = addresses.join(" "),
        "the trust server is listening"
    );
    tokio::spawn(async move {
        let signal = stop.requested().await;
        tracing::info!(signal, "stopping: requests in flight are finished");
        handle.stop(true).await;
    });
    server.await?;
    state.audit.flush();
    tracing::info!("stopped");
    Ok(())
}

/// So that whoever downloads the CA without being able to verify the server can compare.
fn announce_ca(state: &State) {
    let generation = state.generation.load();
    if let Some(fingerprint) = generation.server_ca.fingerprint() {
        tracing::info!(sha256 = fingerprint, "the CA that GET /ca hands out");
    }
}

fn warn_about_openness(config: &Config) {
    let (tokens, policy) = (config.auth.is_some(), config.policy.is_some());
    let elsewhere = config.listeners.iter().any(Listener::asks);
    // What whoever has no certificate may do, as access decides it.
    let open_to = match (policy, elsewhere) {
        (true, _) => "everybody may do what the policy lets anonymous clients do",
        (false, true) => "everybody may read",
        (false, false) => "everybody may do everything",
    };
    for listener in &config.listeners {
        let passwords = config.password.as_ref();
        let tokens = tokens || passwords.is_some_and(|passwords| passwords.taken_at(listener));
        let name = listener.name.as_str();
        match &listener.tls {
            None if tokens => {
                tracing::warn!(
                    listener = name,
                    "no TLS is configured: anybody may listen in, and take passwords and tokens"
                )
            }
            None => {
                tracing::warn!(
                    listener = name,
                    "no TLS is configured: {open_to}, and anybody may listen in"
                )
            }
            Some(tls) if tls.client_auth == ClientAuth::Off && !tokens => {
                tracing::warn!(
                    listener = name,
                    "no client certificates are asked for: {open_to} (server.client_ca_file)"
                );
            }
            Some(_) => {}
        }
    }
    if matches!(config.trust_service, TrustService::Local) {
        tracing::warn!("trust_service.type is local: the signing keys are gone when this process ends");
    }
}

async fn watch_health(state: web::Data<State>) {
    let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
    loop {
        ticks.tick().await;
        for (sort, end) in state.generation.load().ends() {
            metrics::certificate_end(sort, end);
        }
        let store = state.store.clone();
        let database = tokio::task::spawn_blocking(move || store.check()).await;
        let database = database
            .map_err(|cause| cause.to_string())
            .and_then(|found| found.map_err(|c| c.to_string()));
        state.health.report("DB operational", database);
        let signer = state.keys.health().await.map_err(|cause| cause.to_string());
        state.health.report("Trust operational", signer);
        // Summaries forget what is older than their window only when told to.
        state.metrics.run_upkeep();
    }
}
