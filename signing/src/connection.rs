//! One TLS connection to the signer, made when needed and made again when it breaks.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use openssl::ssl::SslConnector;
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::timeout};
use tokio_openssl::SslStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::SigningError;

/// How long to wait for TCP and TLS together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a peer that vanished goes unnoticed. Done by TCP and not by HTTP/2 pings: a Notary
/// signer cuts off clients that ping more often than every five minutes.
const DEAD_PEER_LIMIT: Duration = Duration::from_secs(10);

/// The protocol name of HTTP/2 in the form of a TLS protocol list.
const ALPN_H2: &[u8] = b"\x02h2";

/// A channel that connects on first use. To be called inside a Tokio runtime.
///
/// # Errors
/// When host and port do not make an address.
pub(crate) fn channel(host: &str, port: u16, tls: SslConnector) -> Result<Channel, SigningError> {
    let authority = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    };
    let endpoint = Endpoint::from_shared(format!("https://{authority}"))
        .map_err(|cause| SigningError::Unavailable(format!("{authority} is not an address: {cause}")))?;
    let host = host.to_owned();
    let connect = tower::service_fn(move |_: Uri| {
        let (host, tls) = (host.clone(), tls.clone());
        async move {
            timeout(CONNECT_LIMIT, open(&host, port, &tls))
                .await
                .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time")))
                .map_err(|cause| io::Error::new(cause.kind(), format!("{host}:{port}: {cause}")))
        }
    });
    Ok(endpoint.connect_with_connector_lazy(connect))
}

async fn open(host: &str, port: u16, tls: &SslConnector) -> io::Result<TokioIo<SslStream<TcpStream>>> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(&tcp);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(DEAD_PEER_LIMIT).with_interval(DEAD_PEER_LIMIT))?;
    socket.set_tcp_user_timeout(Some(DEAD_PEER_LIMIT))?;

    let mut ssl = tls.configure()?.into_ssl(host)?;
    ssl.set_alpn_protos(ALPN_H2)?;
    let mut stream = SslStream::new(ssl, tcp)?;
    // The answer to ALPN is not required: Notary signers accept clients without it, and some
    // proxies in front of them leave it out.
    Pin::new(&mut stream).connect().await.map_err(io::Error::other)?;
    Ok(TokioIo::new(stream))
}
