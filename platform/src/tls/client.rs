//! The client side: connections to the signing service.

use std::{io, net::IpAddr, path::PathBuf, pin::Pin};

use openssl::{
    error::ErrorStack,
    ssl::{Ssl, SslContext, SslMethod, SslMode, SslOptions, SslVerifyMode, SslVersion},
    x509::{
        X509VerifyResult,
        store::X509StoreBuilder,
        verify::{X509CheckFlags, X509VerifyFlags},
    },
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::{Connection, TlsError, files, forget_errors};
use crate::reason;

/// How to reach a TLS server.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// The CAs that may have issued the server's certificate; the system's when absent.
    pub ca: Option<PathBuf>,
    /// This client's chain and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What connections are made with: settings that never change, and a server that has to be who it is.
///
/// The crate's own type of this name reads all CAs of the system, also where others are trusted. That takes OpenSSL a
/// tenth of a second, at every start of a program.
#[derive(Clone)]
pub struct Connector(SslContext);

/// As the crate's own connector: nothing without encryption or authentication, and nothing old.
const CIPHERS: &str = "DEFAULT:!aNULL:!eNULL:!MD5:!3DES:!DES:!RC4:!IDEA:!SEED:!aDSS:!SRP:!PSK";

impl ClientTls {
    /// Reads the files and makes the connector, which agrees on HTTP/2.
    ///
    /// # Errors
    /// When a file is missing or wrong, or key and certificate do not belong together.
    pub fn connector(&self) -> Result<Connector, TlsError> {
        let mut builder = SslContext::builder(SslMethod::tls_client())?;
        builder.set_options(SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION);
        builder.set_mode(
            SslMode::AUTO_RETRY
                | SslMode::ACCEPT_MOVING_WRITE_BUFFER
                | SslMode::ENABLE_PARTIAL_WRITE
                | SslMode::RELEASE_BUFFERS,
        );
        builder.set_cipher_list(CIPHERS)?;
        builder.set_verify(SslVerifyMode::PEER);
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        if let Some(path) = &self.ca {
            let mut store = X509StoreBuilder::new()?;
            for anchor in files::certificates("the CA file", path)? {
                store.add_cert(anchor)?;
            }
            // As in Go: the file may hold just the server's own certificate, or an intermediate.
            store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
            builder.set_cert_store(store.build());
        } else {
            builder.set_default_verify_paths()?;
        }
        if let Some((certificate, key)) = &self.identity {
            let what = "the client certificate";
            let pair = files::key_pair(what, certificate, "the client key", key)?;
            files::present(&mut builder, (what, certificate), pair)?;
        }
        builder.set_alpn_protos(b"\x02h2")?;
        Ok(Connector(builder.build()))
    }
}

impl Connector {
    /// A connection that accepts only a certificate for this name or address.
    fn for_host(&self, host: &str) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(&self.0)?;
        ssl.param_mut()
            .set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match host.parse::<IpAddr>() {
            Ok(address) => ssl.param_mut().set_ip(address)?,
            Err(_) => {
                ssl.set_hostname(host)?;
                ssl.param_mut().set_host(host)?;
            }
        }
        Ok(ssl)
    }
}

/// Connects and checks that the server is who `host` says.
///
/// # Errors
/// When there is no connection or the server's certificate is not accepted; the text says why in words.
pub async fn connect(connector: &Connector, host: &str, port: u16) -> io::Result<Connection> {
    let refused = |reason: String| io::Error::other(reason);
    let openssl = |cause: ErrorStack| refused(reason::of_openssl(&cause));
    let tcp = TcpStream::connect((host, port)).await.map_err(reason::in_words)?;
    tcp.set_nodelay(true)?;
    let ssl = connector.for_host(host).map_err(openssl)?;
    let mut stream = SslStream::new(ssl, tcp).map_err(openssl)?;
    let outcome = Pin::new(&mut stream).connect().await;
    forget_errors();
    match (outcome, stream.ssl().verify_result()) {
        (Ok(()), _) => Ok(Connection::new(stream)),
        (Err(_), wrong) if wrong != X509VerifyResult::OK => Err(refused(unaccepted(wrong))),
        (Err(cause), _) => Err(refused(reason::of_tls(&cause))),
    }
}

/// Why a server's certificate is not accepted.
fn unaccepted(result: X509VerifyResult) -> String {
    let words = result.error_string();
    let hint = match result.as_raw() {
        openssl_sys::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
        | openssl_sys::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        | openssl_sys::X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
        | openssl_sys::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
        | openssl_sys::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN => {
            ": none of the CAs that are trusted here issued it"
        }
        openssl_sys::X509_V_ERR_HOSTNAME_MISMATCH | openssl_sys::X509_V_ERR_IP_ADDRESS_MISMATCH => {
            ": it is for another name"
        }
        _ => "",
    };
    format!("its certificate is not accepted{hint} (certificate verify failed: {words})")
}
