//! The client side: connections to the signing service.

use std::{io, path::PathBuf, pin::Pin};

use openssl::{
    ssl::{SslConnector, SslMethod, SslVersion},
    x509::{store::X509StoreBuilder, verify::X509VerifyFlags},
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::{TlsError, TlsStream, files};

/// How to reach a TLS server.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// The only certificates trusted to have issued the server's; the system's when absent.
    pub ca: Option<PathBuf>,
    /// This client's chain and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientTls {
    /// Reads the files and makes the connector, which agrees on HTTP/2.
    ///
    /// # Errors
    /// When a file is missing or wrong, or key and certificate do not belong together.
    pub fn connector(&self) -> Result<SslConnector, TlsError> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        if let Some(path) = &self.ca {
            let mut store = X509StoreBuilder::new()?;
            for anchor in files::certificates("the CA file", path)? {
                store.add_cert(anchor)?;
            }
            // As in Go: the file may hold just the server's own certificate, or an intermediate.
            store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
            builder.set_cert_store(store.build());
        }
        if let Some((path, key)) = &self.identity {
            let (chain, key) = files::key_pair("the client certificate", path, "the client key", key)?;
            for (position, certificate) in chain.into_iter().enumerate() {
                let shown = if position == 0 {
                    builder.set_certificate(&certificate)
                } else {
                    builder.add_extra_chain_cert(certificate)
                };
                shown.map_err(|cause| files::refused("the client certificate", path, &cause))?;
            }
            builder.set_private_key(&key)?;
        }
        builder.set_alpn_protos(b"\x02h2")?;
        Ok(builder.build())
    }
}

/// Connects and checks that the server is who `host` says.
///
/// # Errors
/// When there is no connection or the server's certificate is not accepted.
pub async fn connect(connector: &SslConnector, host: &str, port: u16) -> io::Result<TlsStream> {
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    let ssl = connector
        .configure()
        .and_then(|c| c.into_ssl(host))
        .map_err(io::Error::other)?;
    let mut stream = SslStream::new(ssl, tcp).map_err(io::Error::other)?;
    Pin::new(&mut stream).connect().await.map_err(io::Error::other)?;
    Ok(stream)
}
