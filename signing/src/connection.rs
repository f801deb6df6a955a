//! One TLS connection to the signer, made when needed and made again when it breaks.

use std::{io, net::IpAddr, time::Duration};

use hyper_util::rt::TokioIo;
use platform::tls::{Connection, Connector, LastFailure};
use socket2::{SockRef, TcpKeepalive};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::SigningError;

/// How long to wait for TCP and TLS together.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a peer that vanished goes unnoticed. Done by TCP and not by HTTP/2 pings: a Notary
/// signer cuts off clients that ping more often than every five minutes.
const DEAD_PEER_LIMIT: Duration = Duration::from_secs(10);

/// A channel that connects on first use, and why its last connection broke. To be called inside a Tokio runtime.
///
/// # Errors
/// When host and port do not make an address.
pub(crate) fn channel(host: &str, port: u16, tls: Connector) -> Result<(Channel, LastFailure), SigningError> {
    let authority = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{port}"),
        _ => format!("{host}:{port}"),
    };
    let endpoint = Endpoint::from_shared(format!("https://{authority}"))
        .map_err(|cause| SigningError::Unavailable(format!("{authority} is not an address: {cause}")))?;
    let host = host.to_owned();
    let failure = LastFailure::default();
    let telling = failure.clone();
    let connect = tower::service_fn(move |_: Uri| {
        let (host, tls, telling) = (host.clone(), tls.clone(), telling.clone());
        async move {
            timeout(CONNECT_LIMIT, open(&host, port, &tls, &telling))
                .await
                .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time")))
                .map_err(|cause| io::Error::new(cause.kind(), format!("{host}:{port}: {cause}")))
        }
    });
    Ok((endpoint.connect_with_connector_lazy(connect), failure))
}

/// Whether the signer agreed on HTTP/2 by ALPN does not matter: Notary signers serve it anyway.
async fn open(
    host: &str,
    port: u16,
    tls: &Connector,
    failure: &LastFailure,
) -> io::Result<TokioIo<Connection>> {
    let stream = platform::tls::connect(tls, host, port).await?.telling(failure);
    let socket = SockRef::from(stream.socket());
    let probes = TcpKeepalive::new()
        .with_time(DEAD_PEER_LIMIT)
        .with_interval(DEAD_PEER_LIMIT);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(DEAD_PEER_LIMIT))?;
    Ok(TokioIo::new(stream))
}
