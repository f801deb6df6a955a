//! Sockets, and the loops that accept from them.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use openssl::ssl::SslAcceptor;
use platform::tls::{Handshake, HandshakeError};
use thiserror::Error;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::http::{self, Request, Response};

/// How many connections a listener serves at the same time.
const CONNECTIONS: usize = 4_096;
/// How long accepting pauses after the operating system refused a connection, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {place}: {reason}")]
pub struct ListenError {
    place: String,
    reason: String,
}

impl ListenError {
    fn new(place: impl std::fmt::Display, cause: &io::Error) -> Self {
        Self {
            place: place.to_string(),
            reason: platform::reason::of_io(cause),
        }
    }
}

/// Listens on an address.
///
/// # Errors
/// When it is in use or not one of this machine.
pub async fn tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| ListenError::new(address, &cause))
}

/// A Unix socket; the file is removed at the end if it was made here.
pub struct UnixSocket {
    listener: UnixListener,
    made: Option<PathBuf>,
}

impl UnixSocket {
    /// The socket that the service manager handed over (`LISTEN_FDS`), if it did.
    ///
    /// # Errors
    /// When what was handed over is no Unix socket.
    pub fn inherited() -> Result<Option<Self>, ListenError> {
        let failed =
            |cause: io::Error| ListenError::new("the socket that the service manager handed over", &cause);
        let mut handed = listenfd::ListenFd::from_env();
        if handed.len() == 0 {
            return Ok(None);
        }
        let Some(listener) = handed.take_unix_listener(0).map_err(failed)? else {
            return Ok(None);
        };
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Some(Self {
            listener: UnixListener::from_std(listener).map_err(failed)?,
            made: None,
        }))
    }

    /// Makes a socket that only its owner may connect to. One that a process left behind is replaced; one that somebody
    /// listens on is not.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(path: &Path) -> Result<Self, ListenError> {
        let failed = |cause: io::Error| ListenError::new(path.display(), &cause);
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(failed(io::Error::other("there is something else than a socket")));
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(failed(io::Error::other("another process listens there")));
            }
            fs::remove_file(path).map_err(failed)?;
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self {
            listener,
            made: Some(path.to_owned()),
        })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Some(path) = &self.made {
            let _ = fs::remove_file(path);
        }
    }
}

/// Serves TLS until `stopping` becomes true, then waits for the requests in progress.
pub async fn serve_tls<H, F>(
    listener: TcpListener,
    acceptor: Arc<ArcSwap<SslAcceptor>>,
    handler: Arc<H>,
    stopping: watch::Receiver<bool>,
) where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let accept = || async { listener.accept().await };
    accept_loop(accept, stopping.clone(), move |(tcp, address)| {
        let (acceptor, handler, stopping) = (acceptor.load_full(), Arc::clone(&handler), stopping.clone());
        async move {
            match Handshake::accept(&acceptor, tcp).await {
                Ok(handshake) => http::serve(handshake.stream, handler, stopping).await,
                Err(HandshakeError::Closed) => {}
                Err(reason) => tracing::warn!(peer.address = %address, %reason, "a handshake failed"),
            }
        }
    })
    .await;
}

/// Serves plain HTTP until `stopping` becomes true, then waits for the requests in progress.
pub async fn serve_plain<H, F>(listener: TcpListener, handler: Arc<H>, stopping: watch::Receiver<bool>)
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let accept = || async { listener.accept().await };
    accept_loop(accept, stopping.clone(), move |(tcp, _)| {
        let _ = tcp.set_nodelay(true);
        http::serve(tcp, Arc::clone(&handler), stopping.clone())
    })
    .await;
}

/// Serves a Unix socket until `stopping` becomes true, then waits for the requests in progress.
pub async fn serve_unix<H, F>(socket: UnixSocket, handler: Arc<H>, stopping: watch::Receiver<bool>)
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let accept = || async { socket.listener.accept().await };
    accept_loop(accept, stopping.clone(), move |(stream, _)| {
        http::serve(stream, Arc::clone(&handler), stopping.clone())
    })
    .await;
}

async fn accept_loop<C, A, S>(
    accept: impl Fn() -> A,
    mut stopping: watch::Receiver<bool>,
    serve: impl Fn(C) -> S,
) where
    A: Future<Output = io::Result<C>>,
    S: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok(connection) => {
                let serving = serve(connection);
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(cause) => {
                tracing::warn!(reason = %platform::reason::of_io(&cause), "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}
