//! Sets the server up and runs it.

use std::{path::Path, sync::Arc};

use actix_web::web;
use platform::{
    config::ConfigError,
    logging::{self, Format, Level},
    signals,
    tls::ClientAuth,
    watch,
};

use crate::{
    background::{
        checkpoints, health, pending_keys, pulls, registry_tags, reload, renewals, revocation_lists, webhooks,
    },
    clock::Clock,
    config::{Config, Listener, TrustService},
    events::{Webhook, WebhookError},
    findings,
    http::{self, ListenError},
    state::{OpenError, State},
};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration, or a file that it names, is refused.
    #[error(transparent)]
    Refused(#[from] findings::Refused),
    /// Something that the configuration names cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A webhook cannot be used.
    #[error("webhooks: {0}")]
    Webhook(#[from] WebhookError),
    /// The server cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The operating system refuses something else.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Runs the server with a configuration file until it is told to stop. `level` overrides the log level of the file;
/// with `strict`, unknown keys are refused at the start and at every reload.
///
/// # Errors
/// When it cannot start.
pub async fn run(path: &Path, strict: bool, level: Option<Level>, format: Format) -> Result<(), StartError> {
    let as_read = watch::mark(path);
    let config = findings::read(path, strict)?;
    let watched = reload::watch(path, as_read, &config);
    let config = findings::accept(config, Clock::System.now())?;
    let log = logging::start(level.unwrap_or(config.log_level), format);
    tokio::spawn(log.control().clone().follow_signals());
    // A level given on the command line is not changed by the file.
    let control = level.is_none().then(|| log.control().clone());
    warn_about_openness(&config);
    let state = web::Data::new(State::open(config, Clock::System)?);
    // Handle signals before the server can be reached, so that none sent to it is missed.
    let (stop, hangups) = (signals::stop()?, signals::hangups()?);
    for warning in state.generation.load().warnings(state.clock.now()) {
        tracing::warn!("{warning}");
    }
    announce_ca(&state);
    let server = http::listen(&state)?;
    let handle = server.handle();
    tokio::spawn(health::run(health::Checks {
        generation: Arc::clone(&state.generation),
        store: state.store.clone(),
        keys: Arc::clone(&state.keys),
        health: Arc::clone(&state.health),
        metrics: state.metrics.clone(),
    }));
    tokio::spawn(renewals::run(state.clone()));
    #[cfg(feature = "native")]
    tokio::spawn(crate::background::native_renewals::run(state.clone()));
    #[cfg(feature = "native")]
    tokio::spawn(crate::background::native_lines::run(state.clone()));
    tokio::spawn(revocation_lists::run(Arc::clone(&state.generation)));
    if state.config.audit.table {
        let (store, sinks) = (state.store.clone(), Arc::clone(&state.audit));
        tokio::spawn(checkpoints::run(store, sinks, state.clock));
    }
    tokio::spawn(pending_keys::run(
        pending_keys::Pending {
            store: state.store.clone(),
            keys: Arc::clone(&state.keys),
            clock: state.clock,
        },
        state.config.pending_keys.lifetime,
    ));
    tokio::spawn(pulls::run(state.store.clone()));
    tokio::spawn(registry_tags::run(state.clone()));
    for settings in &state.config.webhooks {
        tokio::spawn(webhooks::run(webhooks::Telling {
            webhook: Webhook::load(settings)?,
            store: state.store.clone(),
            clock: state.clock,
        }));
    }
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
    let stopped = state.clone();
    tokio::spawn(async move {
        let signal = stop.requested().await;
        tracing::info!(signal, "stopping: requests in flight are finished");
        stopped.stopping.send_replace(true);
        handle.stop(true).await;
    });
    server.await?;
    pulls::store_now(&state.store).await;
    state.audit.flush();
    tracing::info!("stopped");
    Ok(())
}

/// Logs the CA's fingerprint, so that a user who downloads the CA over an unverified connection can compare.
fn announce_ca(state: &State) {
    let generation = state.generation.load();
    if let Some(fingerprint) = generation.server_ca.fingerprint() {
        tracing::info!(sha256 = fingerprint, "the CA that GET /ca hands out");
    }
}

fn warn_about_openness(config: &Config) {
    let (tokens, policy) = (config.auth.is_some(), config.policy.is_some());
    let elsewhere = config.listeners.iter().any(Listener::asks);
    // What a client without a certificate may do, as `access` decides it.
    let open_to = match (policy, elsewhere) {
        (true, _) => "everybody may do what the policy lets anonymous clients do",
        (false, true) => "everybody may read",
        (false, false) => "everybody may do everything",
    };
    for listener in config
        .listeners
        .iter()
        .filter(|listener| !listener.is_for_health())
    {
        let passwords = config.password.as_ref();
        let tokens = tokens || passwords.is_some_and(|passwords| passwords.taken_at(listener));
        let name = listener.name.as_str();
        match &listener.tls {
            None if tokens => {
                tracing::warn!(
                    listener = name,
                    "no TLS is configured: anyone on the network path can read and steal passwords and tokens"
                )
            }
            None => {
                tracing::warn!(
                    listener = name,
                    "no TLS is configured: {open_to}, and anyone on the network path can read the traffic"
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
        tracing::warn!("trust_service.type is local: the signing keys are lost when this process ends");
    }
}
