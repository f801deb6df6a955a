//! From a configuration to a running signer.

use std::{future::Future, io};

use crate::{
    config::{Config, Storage},
    grpc::{Generations, GrpcServer, ServeError},
    keyring::Keyring,
    passphrase::{Alias, InvalidAlias, Passphrases},
    store::{Store, StoreError},
};

/// The alias that keys in memory are sealed with; it never leaves the process.
const MEMORY_ALIAS: &str = "memory";

/// Why the signer cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system refuses a basic resource, such as a thread.
    #[error("the operating system refuses: {}", platform::reason::of_io(.0))]
    System(#[from] io::Error),
    /// There are no random numbers.
    #[error("OpenSSL refuses: {}", platform::reason::of_openssl(.0))]
    OpenSsl(#[from] openssl::error::ErrorStack),
    /// The built-in alias is not one.
    #[error(transparent)]
    Alias(#[from] InvalidAlias),
    /// Listening or serving failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Opens the database and binds the socket. Also returns the generations by which callers are judged, which a reload
/// replaces.
///
/// # Errors
/// When either fails. As in Notary, the signer starts without its passphrase: health reports that it is missing, and
/// setting it needs a restart anyway.
pub async fn start(config: Config) -> Result<(GrpcServer, Generations), AppError> {
    for remark in &config.remarks {
        tracing::warn!("{remark}");
    }
    if !config.transport.clients_verified() {
        tracing::warn!(
            "server.client_ca_file is not set: ANYBODY who can connect to this port can have anything signed"
        );
    }
    let keyring = tokio::task::spawn_blocking(move || keyring(config.storage, config.policy))
        .await
        .map_err(io::Error::other)??;
    let transport = config.transport;
    for warning in transport.generation.warnings() {
        tracing::warn!("{warning}");
    }
    let generations = Generations::new(transport.generation);
    let server = GrpcServer::bind(&transport.addresses, generations.clone(), keyring).await?;
    Ok((server, generations))
}

/// Serves until `stop` completes and the calls under way are answered.
///
/// # Errors
/// When serving fails.
pub async fn run(server: GrpcServer, stop: impl Future<Output = ()>) -> Result<(), AppError> {
    tracing::info!(address = %server.address()?, version = env!("CARGO_PKG_VERSION"), "listening");
    server.serve(stop).await?;
    tracing::info!("stopped");
    Ok(())
}

fn keyring(storage: Storage, policy: crate::policy::SigningPolicy) -> Result<Keyring, AppError> {
    let (store, passphrases, alias) = match storage {
        Storage::Memory => {
            tracing::warn!("storage.backend is memory: every key is lost when this process ends");
            (
                Store::in_memory()?,
                Passphrases::random()?,
                Alias::new(MEMORY_ALIAS)?,
            )
        }
        Storage::Database {
            location,
            options,
            default_alias,
        } => (
            Store::open(&location, options)?,
            Passphrases::Environment,
            default_alias,
        ),
    };
    if let Err(missing) = passphrases.find(&alias) {
        tracing::error!("{missing}; until then keys cannot be made or used");
    }
    Ok(Keyring::new(store, passphrases, alias, policy)?)
}
