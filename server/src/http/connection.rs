//! One accepted connection: plain or TLS, with what its other side presented.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_rt::net::{ActixStream, Ready, TcpStream};
use openssl::ssl::SslAcceptor;
use platform::tls::{Handshake, HandshakeError, PeerCertificate, TlsStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use crate::identity::Peer;

/// How long a closed connection may go on sending before it is dropped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of what it still sends is read, in bytes.
const DRAIN_LIMIT: usize = 1024 * 1024;

enum Transport {
    Plain(TcpStream),
    Tls(TlsStream),
}

/// A connection that HTTP runs on.
pub struct Connection {
    transport: Transport,
    peer: Peer,
    closing: Option<Closing>,
}

/// Between the end of sending and the end of the connection.
struct Closing {
    deadline: Pin<Box<Sleep>>,
    drained: usize,
}

impl Connection {
    /// Takes a connection over, through the handshake if there is TLS. `asks` says whether the handshake
    /// asks for a certificate.
    pub async fn accept(
        tcp: TcpStream,
        tls: Option<&SslAcceptor>,
        asks: bool,
    ) -> Result<Self, HandshakeError> {
        let address = tcp.peer_addr().ok();
        let (transport, certificate) = match tls {
            None => {
                let _ = tcp.set_nodelay(true);
                (Transport::Plain(tcp), PeerCertificate::None)
            }
            Some(acceptor) => {
                let handshake = Handshake::accept(acceptor, tcp).await?;
                (Transport::Tls(handshake.stream), handshake.certificate)
            }
        };
        Ok(Self {
            transport,
            peer: Peer {
                address,
                certificate,
                asked: asks,
            },
            closing: None,
        })
    }

    /// The other side.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    fn tcp(&mut self) -> &mut TcpStream {
        match &mut self.transport {
            Transport::Plain(tcp) => tcp,
            Transport::Tls(tls) => tls.get_mut(),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Transport::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, data),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, data),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Ends sending, then reads what the other side still sends before the connection is closed: closing
    /// with unread input resets the connection, and the client may lose an answer it has not read yet,
    /// such as the refusal of a body that is too large.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            match &mut self.transport {
                Transport::Plain(tcp) => ready!(Pin::new(tcp).poll_shutdown(cx))?,
                Transport::Tls(tls) => ready!(Pin::new(tls).poll_shutdown(cx))?,
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
