//! Puts a gate together and runs it.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use hyper::StatusCode;
use openssl::ssl::SslAcceptor;
use platform::{
    signals,
    watch::{LOOK, Watched, mark},
};
use thiserror::Error;
use tokio::{sync::watch, task::JoinSet, time::interval};

use super::{
    http::{Request, Response},
    listening::{self, ListenError, UnixSocket},
    plugin::Plugin,
    routes::Routes,
    tls::{GateTls, GateTlsError},
};
use crate::{
    decider::{Decider, DeciderError},
    engine::{Engine, EngineError, Unverifiable},
};

/// How long requests in progress are waited for at the end.
const GRACE: Duration = Duration::from_secs(10);

/// What a gate serves.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// The addresses for questions over TLS.
    pub listen: Vec<SocketAddr>,
    /// Their certificate, key and client CAs.
    pub tls: Option<GateTls>,
    /// The addresses for `/health`, `/ready` and `/metrics` over plain HTTP.
    pub health: Vec<SocketAddr>,
    /// The engine whose plugin this is.
    pub plugin: Option<PluginSettings>,
}

/// An engine and the socket of its plugin.
#[derive(Debug, Clone)]
pub struct PluginSettings {
    /// The socket on which the engine asks, unless the service manager hands one over.
    pub socket: PathBuf,
    /// The socket on which the engine is asked what it has.
    pub engine: PathBuf,
    /// What may be done although no signature can be compared.
    pub allowed: Vec<Unverifiable>,
}

/// Why a gate does not run.
#[derive(Debug, Error)]
pub enum GateError {
    /// Nothing would ask it.
    #[error("nothing would ask this gate: give it --listen ADDRESS, --docker-plugin SOCKET, or both")]
    NothingToServe,
    /// Addresses without certificate.
    #[error("--listen needs --tls-cert and --tls-key: the API server speaks TLS only")]
    NoCertificate,
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] GateTlsError),
    /// A socket cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The policy, or what it needs, cannot be loaded.
    #[error(transparent)]
    Decider(#[from] DeciderError),
    /// The engine's client cannot be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The operating system refuses something.
    #[error("{0}")]
    System(String),
}

/// Runs until the operator says stop.
///
/// # Errors
/// When it cannot begin.
pub async fn serve(settings: GateSettings, decider: Arc<Decider>) -> Result<(), GateError> {
    if settings.listen.is_empty() && settings.plugin.is_none() {
        return Err(GateError::NothingToServe);
    }
    let system = |cause: std::io::Error| GateError::System(platform::reason::of_io(&cause));
    let (stop, hangups) = (
        signals::stop().map_err(system)?,
        signals::hangups().map_err(system)?,
    );
    let (say_stop, stopping) = watch::channel(false);
    let mut serving = JoinSet::new();
    let routes = Arc::new(Routes::new(Arc::clone(&decider)));

    let mut acceptor = None;
    if !settings.listen.is_empty() {
        let tls = settings.tls.as_ref().ok_or(GateError::NoCertificate)?;
        let current = Arc::new(ArcSwap::from_pointee(tls.acceptor()?));
        for address in &settings.listen {
            let listener = listening::tcp(*address).await?;
            let routes = Arc::clone(&routes);
            let handler = move |request: Request| {
                let routes = Arc::clone(&routes);
                async move { routes.answer(request).await }
            };
            tracing::info!(listener.address = %address, "questions are answered here");
            serving.spawn(listening::serve_tls(
                listener,
                Arc::clone(&current),
                Arc::new(handler),
                stopping.clone(),
            ));
        }
        acceptor = Some((tls.clone(), current));
    }
    for address in &settings.health {
        let listener = listening::tcp(*address).await?;
        let routes = Arc::clone(&routes);
        let handler = move |request: Request| {
            let routes = Arc::clone(&routes);
            async move {
                match request.path.as_str() {
                    "/health" | "/ready" | "/metrics" => routes.answer(request).await,
                    _ => Response::text(StatusCode::NOT_FOUND, "questions are answered over TLS only\n"),
                }
            }
        };
        serving.spawn(listening::serve_plain(
            listener,
            Arc::new(handler),
            stopping.clone(),
        ));
    }
    if let Some(plugin) = settings.plugin {
        let socket = match UnixSocket::inherited()? {
            Some(socket) => socket,
            None => UnixSocket::make(&plugin.socket)?,
        };
        let engine = Engine::at(&plugin.engine)?;
        let plugin = Arc::new(Plugin::new(Arc::clone(&decider), engine, plugin.allowed));
        let handler = move |request: Request| {
            let plugin = Arc::clone(&plugin);
            async move { plugin.answer(request).await }
        };
        serving.spawn(listening::serve_unix(socket, Arc::new(handler), stopping.clone()));
    }
    tracing::info!("the gate is ready");
    tokio::select! {
        signal = stop.requested() => tracing::info!(signal, "stopping"),
        () = reload(&decider, acceptor, hangups) => {}
    }
    let _ = say_stop.send(true);
    let finished = tokio::time::timeout(GRACE, async { while serving.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    Ok(())
}

/// Reads changed files again, on SIGHUP and when one changes. What cannot be loaded changes nothing.
async fn reload(
    decider: &Decider,
    acceptor: Option<(GateTls, Arc<ArcSwap<SslAcceptor>>)>,
    mut hangups: tokio::signal::unix::Signal,
) {
    let watch = |decider: &Decider| {
        let mut files = decider.files();
        files.extend(acceptor.iter().flat_map(|(tls, _)| tls.files()));
        let policy = decider.policy_file();
        Watched::new(&policy, mark(&policy), files)
    };
    let mut watched = watch(decider);
    let mut looks = interval(LOOK);
    loop {
        let reason = tokio::select! {
            hangup = hangups.recv() => match hangup {
                Some(()) => {
                    // Whether the policy can be used or not: records must not go on into a file that was moved away.
                    decider.reopen_audit();
                    "SIGHUP"
                }
                None => std::future::pending().await,
            },
            _ = looks.tick() => {
                if !watched.has_settled() {
                    continue;
                }
                "a file changed"
            }
        };
        let fresh = acceptor.as_ref().map(|(tls, _)| tls.acceptor()).transpose();
        let outcome = match fresh {
            Ok(fresh) => decider
                .reload()
                .map_err(|cause| cause.to_string())
                .map(|()| fresh),
            Err(cause) => Err(cause.to_string()),
        };
        match outcome {
            Ok(fresh) => {
                if let (Some(fresh), Some((_, current))) = (fresh, &acceptor) {
                    current.store(Arc::new(fresh));
                }
                tracing::info!(reason, "reloaded the policy and the certificates");
                watched = watch(decider);
            }
            Err(cause) => {
                decider.reload_failed();
                tracing::error!(reason, %cause, "the reload was refused; everything stays as it was");
            }
        }
    }
}
