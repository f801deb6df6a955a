//! Connects to a server once, to see what a client sees: its addresses, certificates and response.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use chrono::{DateTime, Utc};
use openssl::{
    ssl::{SslConnector, SslMethod, SslVerifyMode},
    x509::{X509, X509VerifyResult, store::X509StoreBuilder, verify::X509VerifyFlags},
};
use reqwest::Url;

use super::pair::Pair;

/// How long connecting, and each read, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of the response is read, in bytes.
const ANSWER: u64 = 64 * 1024;

/// Why the server could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The URL is invalid.
    #[error("{0}: https://host or https://host:port, as clients write it")]
    Url(String),
    /// The name has no address.
    #[error("the name {host} has no address here: {cause}")]
    Name {
        /// The name.
        host: String,
        /// The resolver's error.
        cause: std::io::Error,
    },
    /// No program listens there, or the network does not reach it.
    #[error("{address} cannot be reached: {cause}")]
    Unreachable {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The port does not use TLS, or the handshake fails before the server's certificate is received.
    #[error("the TLS handshake with {0} fails: {1}")]
    Handshake(String, String),
    /// OpenSSL refuses.
    #[error("OpenSSL refuses: {}", platform::reason::of_openssl(.0))]
    OpenSsl(#[from] openssl::error::ErrorStack),
}

/// What a client sees.
pub struct Observed {
    /// Every address of the name.
    pub addresses: Vec<IpAddr>,
    /// The certificates that the server sent, its own first.
    pub chain: Vec<X509>,
    /// The result of verifying them for the name and the CA.
    pub verdict: X509VerifyResult,
    /// The response to `GET /v2/`, or why there is none.
    pub answer: Result<Answer, String>,
}

/// The response to `GET /v2/`.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The server's time.
    pub date: Option<DateTime<Utc>>,
    /// The body.
    pub body: String,
}

/// Connects to the server at `url`, trusting `authorities` (the system's CAs if empty).
///
/// # Errors
/// When no server can be examined.
pub fn look(url: &str, authorities: &[X509], identity: Option<&Pair>) -> Result<Observed, ProbeError> {
    let parsed = Url::parse(url).ok().filter(|parsed| parsed.scheme() == "https");
    let parsed = parsed.ok_or_else(|| ProbeError::Url(url.to_owned()))?;
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = parsed.port_or_known_default().unwrap_or(443);
    let found = (host, port).to_socket_addrs().map_err(|cause| ProbeError::Name {
        host: host.to_owned(),
        cause,
    })?;
    let found: Vec<SocketAddr> = found.collect();
    let mut failed = None;
    let mut connected = None;
    for address in &found {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(stream) => {
                connected = Some(stream);
                break;
            }
            Err(cause) => {
                failed = Some(ProbeError::Unreachable {
                    address: *address,
                    cause,
                })
            }
        }
    }
    let stream = match (connected, failed) {
        (Some(stream), _) => stream,
        (None, Some(failure)) => return Err(failure),
        (None, None) => return Err(ProbeError::Url(url.to_owned())),
    };
    let limited = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    limited.map_err(|cause| ProbeError::Handshake(url.to_owned(), cause.to_string()))?;
    let connector = connector(authorities, identity)?;
    let mut stream = connector
        .connect(host, stream)
        .map_err(|cause| ProbeError::Handshake(url.to_owned(), cause.to_string()))?;
    let chain = stream.ssl().peer_cert_chain();
    let chain = chain.map(|chain| chain.iter().map(ToOwned::to_owned).collect());
    let verdict = stream.ssl().verify_result();
    let authority = parsed.authority();
    let request = format!(
        "GET /v2/ HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: countersign\r\nConnection: close\r\n\r\n"
    );
    // With TLS 1.3 a client learns only now that its certificate was refused.
    let answer = stream
        .write_all(request.as_bytes())
        .and_then(|()| {
            let mut text = Vec::new();
            let read = Read::by_ref(&mut stream).take(ANSWER).read_to_end(&mut text);
            // Some servers close the connection without a TLS close_notify; what they sent before still counts.
            if text.is_empty() {
                read.map(|_| text)
            } else {
                Ok(text)
            }
        })
        .map_err(|cause| cause.to_string())
        .and_then(|text| {
            parse(&String::from_utf8_lossy(&text)).ok_or_else(|| "it does not speak HTTP".to_owned())
        });
    Ok(Observed {
        addresses: found.iter().map(SocketAddr::ip).collect(),
        chain: chain.unwrap_or_default(),
        verdict,
        answer,
    })
}

fn connector(authorities: &[X509], identity: Option<&Pair>) -> Result<SslConnector, ProbeError> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    // The result of the verification is reported, not enforced: nothing secret is sent.
    builder.set_verify(SslVerifyMode::NONE);
    if !authorities.is_empty() {
        let mut store = X509StoreBuilder::new()?;
        for authority in authorities {
            store.add_cert(authority.clone())?;
        }
        // As in Go, the file may contain only the server's own certificate, or an intermediate.
        store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        builder.set_cert_store(store.build());
    }
    if let Some(pair) = identity {
        for (position, certificate) in pair.chain.iter().enumerate() {
            if position == 0 {
                builder.set_certificate(certificate)?;
            } else {
                builder.add_extra_chain_cert(certificate.clone())?;
            }
        }
        builder.set_private_key(&pair.key)?;
    }
    Ok(builder.build())
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
    let date = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date")
            .then(|| DateTime::parse_from_rfc2822(value.trim()).ok())?
    });
    Some(Answer {
        status,
        date: date.map(|date| date.to_utc()),
        body: body.trim().to_owned(),
    })
}
