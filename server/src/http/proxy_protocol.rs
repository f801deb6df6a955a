//! The PROXY protocol, versions 1 and 2: a proxy sends the client's address before the client's data.
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::{net::SocketAddr, time::Duration};

use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

/// How long the header may take; a proxy sends it at once.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest header of version 1, in bytes (section 2.1).
const V1_LIMIT: usize = 107;
/// The fixed part of a header of version 2, in bytes (section 2.2).
const V2_FIXED: usize = 16;
/// The longest header of version 2 accepted, in bytes: addresses, and what proxies add to them.
const V2_LIMIT: usize = 4096;

/// Why a connection has no usable header.
#[derive(Debug, thiserror::Error)]
pub enum ProxyProtocolError {
    /// The header did not arrive in time.
    #[error("no PROXY protocol header within {} s", HEADER_TIMEOUT.as_secs())]
    Timeout,
    /// The connection was closed, as health checks do.
    #[error("closed before the PROXY protocol header")]
    Closed,
    /// Something else arrived.
    #[error("this listener expects a PROXY protocol header (proxy_protocol), and got something else: {0}")]
    Malformed(String),
}

/// Reads the header from a connection. `None` for a connection that the proxy makes for itself (LOCAL, UNKNOWN): then
/// the peer's own address counts.
///
/// # Errors
/// When there is no header, or it is malformed.
pub async fn read(tcp: &mut TcpStream) -> Result<Option<SocketAddr>, ProxyProtocolError> {
    timeout(HEADER_TIMEOUT, header(tcp))
        .await
        .map_err(|_| ProxyProtocolError::Timeout)?
}

async fn header(tcp: &mut TcpStream) -> Result<Option<SocketAddr>, ProxyProtocolError> {
    let mut bytes = vec![0; V2_FIXED];
    // The shortest header of version 1, "PROXY UNKNOWN\r\n", is one byte shorter.
    fill(tcp, &mut bytes[..V2_FIXED - 1]).await?;
    if bytes.starts_with(v2::PROTOCOL_PREFIX) {
        fill(tcp, &mut bytes[V2_FIXED - 1..]).await?;
        let rest = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
        if V2_FIXED + rest > V2_LIMIT {
            return Err(ProxyProtocolError::Malformed(format!("a header of {rest} bytes")));
        }
        bytes.resize(V2_FIXED + rest, 0);
        fill(tcp, &mut bytes[V2_FIXED..]).await?;
    } else {
        bytes.truncate(V2_FIXED - 1);
        // Read byte by byte, because what follows the line belongs to the client's handshake.
        while !bytes.ends_with(b"\r\n") {
            if !bytes.starts_with(b"PROXY ") || bytes.len() >= V1_LIMIT {
                return Err(ProxyProtocolError::Malformed("no PROXY line".into()));
            }
            let mut next = [0];
            fill(tcp, &mut next).await?;
            bytes.extend(next);
        }
    }
    let parsed = HeaderResult::parse(&bytes);
    if parsed.is_incomplete() {
        return Err(ProxyProtocolError::Malformed("it is incomplete".into()));
    }
    match parsed {
        HeaderResult::V1(Ok(header)) => Ok(match header.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
            v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
        }),
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Local => Ok(None),
        HeaderResult::V2(Ok(header)) => Ok(match header.addresses {
            v2::Addresses::IPv4(ip) => Some((ip.source_address, ip.source_port).into()),
            v2::Addresses::IPv6(ip) => Some((ip.source_address, ip.source_port).into()),
            v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        }),
        HeaderResult::V1(Err(cause)) => Err(ProxyProtocolError::Malformed(cause.to_string())),
        HeaderResult::V2(Err(cause)) => Err(ProxyProtocolError::Malformed(cause.to_string())),
    }
}

async fn fill(tcp: &mut TcpStream, buffer: &mut [u8]) -> Result<(), ProxyProtocolError> {
    tcp.read_exact(buffer)
        .await
        .map(drop)
        .map_err(|_| ProxyProtocolError::Closed)
}
