//! The server's side of the handshake. A refused client gets its alert and the time to read it.

use std::{io, net::SocketAddr, pin::Pin, sync::Mutex, time::Duration};

use openssl::{
    error::ErrorStack,
    ssl::{Ssl, SslAcceptor},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_openssl::SslStream;

use super::{
    CertificateFault, ClientCertificate, PeerCertificate, forget_errors,
    server::{Cell, Judgement, cell_index},
    trust::owned,
};
use crate::reason;

/// A client that has not finished its handshake after this long is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a refused client may go on sending before the connection is closed.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of what a refused client still sends is read, in bytes.
const DRAIN_LIMIT: usize = 256 * 1024;
/// The answer of Go's servers, which clients and people recognise.
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n\
Client sent an HTTP request to an HTTPS server.\n";
/// The first byte of every TLS connection (RFC 8446 section 5.1: handshake record).
const TLS_HANDSHAKE_RECORD: u8 = 0x16;

/// An encrypted connection.
pub type TlsStream = SslStream<TcpStream>;

/// A finished handshake.
pub struct Handshake {
    /// The encrypted connection.
    pub stream: TlsStream,
    /// What the client presented.
    pub certificate: PeerCertificate,
}

/// Why a connection did not get through its handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client's certificate was refused.
    #[error("client certificate refused: {} ({})", .0.explanation, .0.reason.code())]
    Certificate(CertificateFault),
    /// The client took too long.
    #[error("no handshake within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    Timeout,
    /// The connection was closed before it said anything, as port checks do.
    #[error("closed before the handshake")]
    Closed,
    /// The client speaks plain HTTP.
    #[error("plain HTTP on a TLS port")]
    PlainHttp,
    /// Anything else: no certificate, no common protocol, a broken connection.
    #[error("{0}")]
    Tls(String),
}

impl Handshake {
    /// Performs the handshake. A refused client gets its alert and time to read it before the connection
    /// is closed: closing with unread input would reset the connection and lose the alert.
    ///
    /// # Errors
    /// When the client is refused or goes away.
    pub async fn accept(acceptor: &SslAcceptor, mut tcp: TcpStream) -> Result<Self, HandshakeError> {
        let broken = |cause: io::Error| HandshakeError::Tls(reason::of_io(&cause));
        let openssl = |cause: ErrorStack| HandshakeError::Tls(reason::of_openssl(&cause));
        // Clients such as docker make a new connection for each request; Nagle's algorithm would delay each by 40 ms.
        tcp.set_nodelay(true).map_err(broken)?;
        let mut first = [0];
        match timeout(HANDSHAKE_TIMEOUT, tcp.peek(&mut first)).await {
            Err(_) => return Err(HandshakeError::Timeout),
            Ok(Err(cause)) => return Err(broken(cause)),
            Ok(Ok(0)) => return Err(HandshakeError::Closed),
            Ok(Ok(_)) if first[0] != TLS_HANDSHAKE_RECORD && first[0].is_ascii_uppercase() => {
                let _ = tcp.write_all(PLAIN_HTTP_ANSWER).await;
                close_politely(&mut tcp).await;
                return Err(HandshakeError::PlainHttp);
            }
            Ok(Ok(_)) => {}
        }
        let index = cell_index().map_err(openssl)?;
        let mut ssl = Ssl::new(acceptor.context()).map_err(openssl)?;
        ssl.set_ex_data::<Cell>(index, Mutex::new(None));
        let mut stream = SslStream::new(ssl, tcp).map_err(openssl)?;
        let outcome = timeout(HANDSHAKE_TIMEOUT, Pin::new(&mut stream).accept()).await;
        forget_errors();
        let judgement = stream
            .ssl()
            .ex_data(index)
            .and_then(|cell| cell.lock().ok()?.take());
        match outcome {
            Ok(Ok(())) => {
                let certificate = presented(&stream, judgement);
                Ok(Self { stream, certificate })
            }
            Ok(Err(cause)) => {
                close_politely(stream.get_mut()).await;
                Err(match judgement {
                    Some(Err(fault)) => HandshakeError::Certificate(fault),
                    _ => HandshakeError::Tls(reason::of_tls(&cause)),
                })
            }
            Err(_) => Err(HandshakeError::Timeout),
        }
    }

    /// The address of the other side.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.stream.get_ref().peer_addr().ok()
    }
}

fn presented(stream: &TlsStream, judgement: Option<Judgement>) -> PeerCertificate {
    let Some(x509) = stream.ssl().peer_certificate() else {
        return PeerCertificate::None;
    };
    // On the server's side this holds the issuers only.
    let issuers = stream.ssl().peer_cert_chain().map(owned).unwrap_or_default();
    let refused =
        |certificate: ClientCertificate, fault| PeerCertificate::Refused(Box::new(certificate), fault);
    let Some(certificate) = ClientCertificate::new(x509.clone()) else {
        return refused(ClientCertificate::undated(x509), CertificateFault::undated());
    };
    let certificate = certificate.with_presented(issuers);
    match judgement {
        // A safeguard: the judgement must be about the certificate whose key the client has proved to hold.
        Some(Ok(verified)) if verified.chain.first() == Some(&x509) => {
            PeerCertificate::Verified(Box::new(certificate), verified)
        }
        Some(Err(fault)) => refused(certificate, fault),
        Some(Ok(_)) | None => refused(certificate, CertificateFault::unverified()),
    }
}

/// Closes the sending side, then reads and discards what the other side still sends, within limits.
pub async fn close_politely(tcp: &mut TcpStream) {
    if tcp.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut rest = [0; 4096];
        let mut drained = 0;
        while drained < DRAIN_LIMIT {
            match tcp.read(&mut rest).await {
                Ok(0) | Err(_) => break,
                Ok(count) => drained += count,
            }
        }
    };
    let _ = timeout(DRAIN_TIMEOUT, drain).await;
}
