//! The accept loop in front of actix. It sees every handshake, including those that fail.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::{App, dev::AppConfig, web};
use platform::{descriptors, tls::HandshakeError};

use super::{
    connection::{AcceptError, Bounds, Connection},
    connections::Connections,
    decision,
    dispatch::dispatch,
    handshakes::Handshakes,
    proxy_protocol::ProxyProtocolError,
};
use crate::{state::State, telemetry};

/// How many connections the operating system queues until they are accepted.
const BACKLOG: i32 = 4096;
/// More than the limits on connections and handshakes together, so that actix never reaches it.
const CONNECTIONS_PER_WORKER: usize = 65_536;
/// How long a client may take to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Slightly longer than closing a connection cleanly takes.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// The server cannot listen: the address is in use, or not one of this machine.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({key}): {}", platform::reason::of_io(cause))]
pub struct ListenError {
    key: String,
    address: SocketAddr,
    cause: std::io::Error,
}

/// Listens on every configured address and serves until the returned server is stopped.
///
/// # Errors
/// When an address cannot be listened on.
pub fn listen(state: &web::Data<State>) -> Result<Server, ListenError> {
    let config = &state.config;
    let mut builder = Server::build()
        .workers(std::thread::available_parallelism().map_or(2, usize::from))
        .shutdown_timeout(config.shutdown_timeout.as_secs())
        // Connections are limited below. A worker that stops accepting would prevent idle connections from being
        // replaced.
        .max_concurrent_connections(CONNECTIONS_PER_WORKER)
        .disable_signals();
    let descriptors = descriptors::raise_limit();
    let bounds = Arc::new(Bounds {
        handshakes: Arc::new(Handshakes::new(config.handshakes_per_address, descriptors)),
        connections: Arc::new(Connections::new(config.connections_per_address, descriptors)),
        write_timeout: config.write_timeout,
    });
    // actix hides this from its documentation, but its own server uses it. Without it, idle connections stay open
    // until they time out, and delay a shutdown.
    let stopping = builder.graceful_shutdown_signal();
    let places = config
        .listeners
        .iter()
        .enumerate()
        .flat_map(|(position, listener)| {
            let addresses = listener.addresses.iter();
            addresses.map(move |address| (position, listener, address))
        });
    for (position, place, address) in places {
        let behind_proxy = place.proxy_trust.proxy_protocol();
        let bind_error = |cause| ListenError {
            key: place.key.clone(),
            address: *address,
            cause,
        };
        let listener = std::net::TcpListener::bind(address).map_err(bind_error)?;
        listener.set_nonblocking(true).map_err(bind_error)?;
        rustix::net::listen(&listener, BACKLOG).map_err(|cause| bind_error(cause.into()))?;
        let (state, stopping, bounds) = (state.clone(), stopping.clone(), Arc::clone(&bounds));
        builder = builder
            .listen("http", listener, move || {
                let (state, stopping, bounds) = (state.clone(), stopping.clone(), Arc::clone(&bounds));
                let app = App::new()
                    .app_data(state.clone())
                    .default_service(web::to(dispatch));
                let http = HttpService::build()
                    .graceful_shutdown_signal(move || {
                        let stopping = stopping.clone();
                        async move { stopping.notified().await }
                    })
                    .keep_alive(KEEP_ALIVE)
                    .client_request_timeout(HEAD_TIMEOUT)
                    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                    .on_connect_ext(|connection: &Connection, data| {
                        data.insert(connection.peer().clone());
                        data.insert(connection.place().clone());
                    })
                    .h1(map_config(app.into_factory(), |_| AppConfig::default()));
                let accept = fn_service(move |tcp: actix_rt::net::TcpStream| {
                    let (state, bounds) = (state.clone(), Arc::clone(&bounds));
                    async move { accept(tcp, &state, &bounds, position, behind_proxy).await }
                });
                accept.and_then(
                    http.map_err(|cause| tracing::debug!(reason = ?cause, "a connection ended early")),
                )
            })
            .map_err(bind_error)?;
    }
    Ok(builder.run())
}

async fn accept(
    tcp: actix_rt::net::TcpStream,
    state: &State,
    bounds: &Bounds,
    listener: usize,
    behind_proxy: bool,
) -> Result<(Connection, Option<SocketAddr>), ()> {
    let address = tcp.peer_addr().ok();
    let address = address.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
    let generation = state.generation.load_full();
    match Connection::accept(tcp, bounds, &generation, listener, behind_proxy).await {
        Ok(connection) => {
            let address = connection.peer().address;
            Ok((connection, address))
        }
        Err(
            AcceptError::Handshake(HandshakeError::Closed)
            | AcceptError::Proxy(ProxyProtocolError::Closed)
            | AcceptError::Displaced(_)
            | AcceptError::TooMany(_),
        ) => Err(()),
        Err(reason) => {
            telemetry::metrics::handshake_refused();
            tracing::warn!(peer.address = address.map(tracing::field::display), %reason, "a handshake failed");
            decision::handshake_failed(state, &generation, listener, address, &reason);
            Err(())
        }
    }
}
