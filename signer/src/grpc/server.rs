//! Serving until told to stop.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use signing::wire::{key_management_server::KeyManagementServer, signer_server::SignerServer};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{service::InterceptorLayer, transport::Server};

use super::{
    Generations, health, incoming::incoming, key_management::KeyManagementService, signing::SigningService,
};
use crate::keyring::Keyring;

/// How long calls under way may take to finish after the signal to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long a call may take; a Notary server itself sets no limit.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// The most calls at once on one connection; a server has one connection.
const STREAM_LIMIT: u32 = 1024;
/// After how much silence a connection is probed, and how long the answer may take.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// A server that has bound its socket and is ready to accept.
pub struct GrpcServer {
    listener: TcpListener,
    generations: Generations,
    keyring: Keyring,
}

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address} (server.grpc_addr): {}",
        platform::reason::of_io(cause)
    )]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The transport failed.
    #[error("serving failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

impl GrpcServer {
    /// Binds the first of `addresses` that it can. "Every interface" falls back to IPv4 where the system has no IPv6.
    ///
    /// # Errors
    /// When it can bind none of them.
    pub async fn bind(
        addresses: &[SocketAddr],
        generations: Generations,
        keyring: Keyring,
    ) -> Result<Self, ServeError> {
        let listener =
            TcpListener::bind(&*with_ipv4(addresses))
                .await
                .map_err(|cause| ServeError::Listen {
                    address: addresses
                        .iter()
                        .map(SocketAddr::to_string)
                        .collect::<Vec<_>>()
                        .join(", "),
                    cause,
                })?;
        Ok(Self {
            listener,
            generations,
            keyring,
        })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` completes, then accepts nothing new and waits, up to a limit, until the calls under way have
    /// finished.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let state = health::report(&self.keyring, &reporter).await;
        if let Err(reason) = &state {
            tracing::error!("not serving: {reason}");
        }
        let (stopping, stopped) = oneshot::channel::<()>();
        let serving = Server::builder()
            .timeout(CALL_LIMIT)
            .max_concurrent_streams(Some(STREAM_LIMIT))
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1))
            .layer(InterceptorLayer::new(self.generations.clone()))
            .add_service(health_service)
            .add_service(KeyManagementServer::new(KeyManagementService::new(
                self.keyring.clone(),
            )))
            .add_service(SignerServer::new(SigningService::new(self.keyring.clone())))
            .serve_with_incoming_shutdown(incoming(self.listener, self.generations), async {
                let _ = stopped.await;
            });
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            never = health::watch(self.keyring, reporter, state) => match never {},
            () = stop => {}
        }
        let _ = stopping.send(());
        match tokio::time::timeout(DRAIN_LIMIT, serving).await {
            Ok(ended) => Ok(ended?),
            Err(_) => {
                tracing::warn!("some calls were not finished within {DRAIN_LIMIT:?}");
                Ok(())
            }
        }
    }
}

fn with_ipv4(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let every_interface = |address: &&SocketAddr| address.is_ipv6() && address.ip().is_unspecified();
    let ipv4 = addresses
        .iter()
        .filter(every_interface)
        .map(|a| (Ipv4Addr::UNSPECIFIED, a.port()).into());
    addresses.iter().copied().chain(ipv4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_includes_ipv4_and_others_stay_as_they_are() {
        let addresses = ["[::]:7899", "[::1]:7899", "127.0.0.1:1"].map(|text| text.parse().unwrap());
        let expected = ["[::]:7899", "[::1]:7899", "127.0.0.1:1", "0.0.0.0:7899"];
        assert_eq!(
            with_ipv4(&addresses),
            expected.map(|text| text.parse::<SocketAddr>().unwrap())
        );
    }
}
