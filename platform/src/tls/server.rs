//! The server side: one immutable generation of key pair, client CAs and verification mode.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};

use openssl::{
    error::ErrorStack,
    ex_data::Index,
    ssl::{
        AlpnError, Ssl, SslAcceptor, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion,
        select_next_proto,
    },
    x509::{X509, X509StoreContext, X509StoreContextRef, X509VerifyResult},
};

use super::{
    CertificateFault, ClientTrust, TlsError, files,
    trust::{SECURITY_LEVEL, owned},
};

/// What is asked of clients in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is asked for.
    Off,
    /// A certificate is asked for; whatever happens, the handshake ends well and HTTP says what was wrong.
    Request,
    /// Without a good certificate the handshake fails, with an alert that says why.
    Require,
}

/// The TLS settings of one listener.
#[derive(Debug, Clone)]
pub struct ServerTls {
    /// PEM chain, leaf first.
    pub certificate: PathBuf,
    /// PEM private key, unencrypted.
    pub key: PathBuf,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Whether to name the client CAs in the handshake. A Go client then sends no certificate that none
    /// of them issued, and the refusal cannot say why; without names every client sends what it has.
    pub advertise_cas: bool,
    /// Whether to agree on HTTP/2 by ALPN with a client that offers it.
    pub http2: bool,
}

/// Says whether a certificate of a chain that CAs vouch for is known to be withdrawn. Called in the
/// handshake, so it must not wait for anything.
pub type IsRevoked = Arc<dyn Fn(&[X509]) -> bool + Send + Sync>;

/// Where the verify callback leaves what it found; the handshake takes it from there.
pub(super) type FaultCell = Mutex<Option<CertificateFault>>;

pub(super) fn fault_index() -> Result<Index<Ssl, FaultCell>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, FaultCell>> = OnceLock::new();
    match INDEX.get() {
        Some(index) => Ok(*index),
        None => {
            let index = Ssl::new_ex_index()?;
            Ok(*INDEX.get_or_init(|| index))
        }
    }
}

impl ServerTls {
    /// Reads the files and makes the acceptor. `clients` are the CAs that may issue client certificates;
    /// without them no certificate is asked for. `is_revoked` is asked about each chain
    /// that they vouch for.
    ///
    /// # Errors
    /// When a file is missing or wrong, or key and certificate do not belong together.
    pub fn acceptor(
        &self,
        clients: Option<&ClientTrust>,
        is_revoked: Option<IsRevoked>,
    ) -> Result<SslAcceptor, TlsError> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_security_level(SECURITY_LEVEL.into());
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        let (chain, key) =
            files::key_pair("the certificate", &self.certificate, "the private key", &self.key)?;
        for (position, certificate) in chain.into_iter().enumerate() {
            if position == 0 {
                builder.set_certificate(&certificate)?;
            } else {
                builder.add_extra_chain_cert(certificate)?;
            }
        }
        builder.set_private_key(&key)?;
        // A resumed session would skip the verification of the client's certificate.
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
        builder.set_num_tickets(0)?;
        builder.set_session_id_context(b"countersign")?;
        if self.http2 {
            builder.set_alpn_select_callback(|_, offered| {
                // select_next_proto falls back to the client's first choice when nothing is shared.
                let chosen = select_next_proto(b"\x02h2", offered).filter(|chosen| *chosen == b"h2");
                chosen.ok_or(AlpnError::NOACK)
            });
        }
        self.verify_clients(&mut builder, clients, is_revoked)?;
        Ok(builder.build())
    }

    fn verify_clients(
        &self,
        builder: &mut openssl::ssl::SslAcceptorBuilder,
        clients: Option<&ClientTrust>,
        is_revoked: Option<IsRevoked>,
    ) -> Result<(), TlsError> {
        let Some(clients) = clients.filter(|_| self.client_auth != ClientAuth::Off) else {
            builder.set_verify(SslVerifyMode::NONE);
            return Ok(());
        };
        if self.advertise_cas {
            builder.set_client_ca_list(clients.names()?);
        }
        builder.set_verify_cert_store(clients.handshake_store()?)?;
        let index = fault_index()?;
        let (mode, forgive) = match self.client_auth {
            ClientAuth::Require => (SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, false),
            ClientAuth::Request | ClientAuth::Off => (SslVerifyMode::PEER, true),
        };
        builder.set_verify_callback(mode, move |good, context| {
            let revoked = good && chain_is_revoked(is_revoked.as_ref(), context);
            if revoked {
                context.set_error(revoked_result());
            }
            let good = good && !revoked;
            good || (record(context, index) && forgive)
        });
        Ok(())
    }
}

/// Asked once for each chain: when its last certificate to be verified, the client's, was found good.
fn chain_is_revoked(is_revoked: Option<&IsRevoked>, context: &X509StoreContextRef) -> bool {
    match (is_revoked, context.chain()) {
        (Some(is_revoked), Some(chain)) if context.error_depth() == 0 => is_revoked(&owned(chain)),
        _ => false,
    }
}

/// The result that makes OpenSSL send the alert certificate_revoked.
#[expect(
    unsafe_code,
    reason = "the crate has no safe way to name a verification result"
)]
fn revoked_result() -> X509VerifyResult {
    // SAFETY: any of OpenSSL's X509_V_ERR_ constants is a result; this is one.
    unsafe { X509VerifyResult::from_raw(openssl_sys::X509_V_ERR_CERT_REVOKED) }
}

/// Keeps the first fault; true if it was kept. A fault that nobody can read later must not be forgiven.
fn record(context: &mut X509StoreContextRef, index: Index<Ssl, FaultCell>) -> bool {
    let fault = CertificateFault::new(context.error(), context.error_depth());
    let Ok(ssl_index) = X509StoreContext::ssl_idx() else {
        return false;
    };
    let Some(cell) = context.ex_data(ssl_index).and_then(|ssl| ssl.ex_data(index)) else {
        return false;
    };
    let Ok(mut slot) = cell.lock() else { return false };
    slot.get_or_insert(fault);
    true
}
