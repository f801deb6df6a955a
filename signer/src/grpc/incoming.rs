//! From a listening socket to encrypted connections that know their peer.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use platform::tls::{self, Handshake};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::{Generation, Generations, Peer};

/// The most connections open or shaking hands at once; one server needs one.
const CONNECTION_LIMIT: usize = 1024;
/// The pause after a failed accept, which mostly means that there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An encrypted connection.
pub(super) struct Connection {
    stream: tls::Connection,
    peer: Peer,
    _slot: OwnedSemaphorePermit,
}

/// Accepts connections until the stream is dropped. Handshakes run concurrently, so a slow client does not delay
/// others.
pub(super) fn incoming(
    listener: TcpListener,
    generations: Generations,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(1);
    tokio::spawn(accept(listener, generations, ready));
    ReceiverStream::new(connections)
}

async fn accept(
    listener: TcpListener,
    generations: Generations,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTION_LIMIT));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        match accepted {
            Ok((tcp, _)) => {
                tokio::spawn(shake_hands(generations.now(), tcp, slot, ready.clone()));
            }
            Err(cause) => {
                tracing::warn!("cannot accept a connection: {}", platform::reason::of_io(&cause));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn shake_hands(
    generation: Arc<Generation>,
    tcp: TcpStream,
    slot: OwnedSemaphorePermit,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let address = tcp.peer_addr().ok();
    match Handshake::accept(generation.acceptor(), tcp).await {
        Ok(Handshake { stream, certificate }) => {
            let peer = Peer::new(address, certificate, generation.number());
            let _ = ready
                .send(Ok(Connection {
                    stream: tls::Connection::new(stream),
                    peer,
                    _slot: slot,
                }))
                .await;
        }
        Err(cause) => {
            let address = address.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(peer.address = address, "TLS handshake failed: {cause}");
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
