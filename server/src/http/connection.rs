//! One accepted connection: plain or TLS, with what its peer presented.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use openssl::ssl::NameType;
use platform::tls::{Handshake, HandshakeError, PeerCertificate, TlsStream, forget_errors};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use super::{
    connections::{Connections, OpenConnection, TooMany},
    handshakes::{Displaced, Handshakes},
    pace::Pace,
    proxy_protocol::{self, ProxyProtocolError},
};
use crate::{
    generation::Generation,
    identity::{Peer, Session},
};

/// How long a closed connection may go on sending before it is dropped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of that is read, in bytes.
const DRAIN_LIMIT: usize = 1024 * 1024;

enum Transport {
    Plain(TcpStream),
    Tls(TlsStream),
}

/// A connection on which HTTP is served.
pub struct Connection {
    transport: Transport,
    peer: Arc<Peer>,
    place: Arc<OpenConnection>,
    pace: Pace,
    closing: Option<Closing>,
}

/// The limits on connections.
pub struct Bounds {
    /// The handshakes in flight.
    pub handshakes: Arc<Handshakes>,
    /// The established connections.
    pub connections: Arc<Connections>,
    /// How long a client may leave a response unread.
    pub write_timeout: Duration,
}

/// Why a connection is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The PROXY protocol header is missing or malformed.
    #[error(transparent)]
    Proxy(#[from] ProxyProtocolError),
    /// It was dropped in favour of newer handshakes.
    #[error(transparent)]
    Displaced(#[from] Displaced),
    /// There are too many other connections.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The listener accepts connections from proxies only.
    #[error(
        "this listener expects the PROXY protocol, and the address is not one that PROXY headers come from (proxies.load_balancers)"
    )]
    NoProxy,
}

/// The time between the end of sending and the end of the connection.
struct Closing {
    deadline: Pin<Box<Sleep>>,
    drained: usize,
}

impl Connection {
    /// Accepts a connection and performs the TLS handshake if there is one. With `behind_proxy`, it must start with a
    /// PROXY protocol header.
    pub async fn accept(
        mut tcp: TcpStream,
        bounds: &Bounds,
        generation: &Generation,
        position: usize,
        behind_proxy: bool,
    ) -> Result<Self, AcceptError> {
        // On [::], IPv4 clients have IPv4-mapped addresses; records use the plain IPv4 form.
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let transport_address = tcp.peer_addr().ok().map(canonical);
        let transport = transport_address.map(|address| address.ip());
        let listener = generation.listener(position);
        let is_proxy =
            |address: IpAddr| listener.is_some_and(|listener| listener.proxy_trust().is_proxy(address));
        let mut named = None;
        if behind_proxy {
            if !transport.is_some_and(is_proxy) {
                return Err(AcceptError::NoProxy);
            }
            named = proxy_protocol::read(&mut tcp).await?.map(canonical);
        }
        let address = named.or(transport_address);
        let acceptor = listener.and_then(|listener| listener.acceptor());
        // A trusted proxy connects on behalf of many clients, so its own address is not counted. Behind the PROXY
        // protocol the client's address is counted, even if it claims to be that of a proxy.
        let client = named.map(|client| client.ip());
        let from = client.or_else(|| transport.filter(|address| !is_proxy(*address)));
        let (stream, certificate, session) = match acceptor {
            None => {
                let _ = tcp.set_nodelay(true);
                (Transport::Plain(tcp), PeerCertificate::None, None)
            }
            Some(acceptor) => {
                let handshake = bounds
                    .handshakes
                    .begin(from)
                    .hold(Handshake::accept(acceptor, tcp));
                let handshake = handshake.await??;
                let session = session(&handshake.stream);
                (
                    Transport::Tls(handshake.stream),
                    handshake.certificate,
                    Some(session),
                )
            }
        };
        let identified = matches!(certificate, PeerCertificate::Verified(..));
        let place = bounds.connections.open(from, identified)?;
        let number = generation.number();
        let peer = Peer::new(address, transport, position, certificate, number, session);
        Ok(Self {
            transport: stream,
            peer: Arc::new(peer),
            place: Arc::new(place),
            pace: Pace::new(bounds.write_timeout),
            closing: None,
        })
    }

    /// The peer.
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// Its entry among the open connections.
    pub fn place(&self) -> &Arc<OpenConnection> {
        &self.place
    }

    fn tcp(&mut self) -> &mut TcpStream {
        match &mut self.transport {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => tls.get_mut(),
        }
    }
}

fn session(stream: &TlsStream) -> Session {
    let ssl = stream.ssl();
    Session {
        version: ssl.version_str(),
        cipher: ssl
            .current_cipher()
            .map_or_else(String::new, |cipher| cipher.name().to_owned()),
        server_name: ssl.servername(NameType::HOST_NAME).map(str::to_owned),
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.place.has_to_close(cx.waker()) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Transport::Tls(tls) => {
                forget_errors();
                Pin::new(tls).poll_read(cx, buffer)
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, data),
            Transport::Tls(tls) => {
                forget_errors();
                Pin::new(tls).poll_write(cx, data)
            }
        };
        self.pace.judge(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => {
                forget_errors();
                Pin::new(tls).poll_flush(cx)
            }
        }
    }

    /// Stops sending, then reads what the peer still sends before the connection is closed. Closing with unread input
    /// would reset the connection, and the client could lose a response that it has not read yet, such as the refusal
    /// of a body that is too large.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            match &mut self.transport {
                Transport::Plain(tcp) => ready!(Pin::new(tcp).poll_shutdown(cx))?,
                Transport::Tls(tls) => {
                    forget_errors();
                    ready!(Pin::new(tls).poll_shutdown(cx))?
                }
            }
            self.closing = Some(Closing {
                deadline: Box::pin(tokio::time::sleep(DRAIN_TIMEOUT)),
                drained: 0,
            });
        }
        loop {
            let mut rest = [0; 4096];
            let mut buffer = ReadBuf::new(&mut rest);
            let outcome = Pin::new(self.tcp()).poll_read(cx, &mut buffer);
            let received = buffer.filled().len();
            let Some(closing) = &mut self.closing else {
                return Poll::Ready(Ok(()));
            };
            match outcome {
                Poll::Ready(Ok(())) if received > 0 && closing.drained < DRAIN_LIMIT => {
                    closing.drained += received
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    return Future::poll(closing.deadline.as_mut(), cx).map(|()| Ok(()));
                }
            }
        }
    }
}

impl ActixStream for Connection {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        match &self.transport {
            Transport::Plain(tcp) => ActixStream::poll_read_ready(tcp, cx),
            Transport::Tls(tls) => ActixStream::poll_read_ready(tls.get_ref(), cx),
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        match &self.transport {
            Transport::Plain(tcp) => ActixStream::poll_write_ready(tcp, cx),
            Transport::Tls(tls) => ActixStream::poll_write_ready(tls.get_ref(), cx),
        }
    }
}
