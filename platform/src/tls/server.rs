//! The server side: one immutable generation of key pair, client CAs and verification mode.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
};

use foreign_types::ForeignTypeRef;
use openssl::{
    error::ErrorStack,
    ex_data::Index,
    ssl::{
        AlpnError, Ssl, SslAcceptor, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion,
        select_next_proto,
    },
    stack::StackRef,
    x509::{X509, X509StoreContext, X509StoreContextRef, X509VerifyResult, store::X509StoreBuilder},
};

use super::{
    CertificateFault, ClientTrust, TlsError, Verified, files, forget_errors,
    trust::{SECURITY_LEVEL, owned},
};

/// What is asked of clients in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is asked for.
    Off,
    /// A certificate is asked for. The handshake succeeds in any case, and the HTTP answer says what was wrong.
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

/// Says whether a certificate of a verified chain is known to be revoked. It is called in the handshake, so it must
/// not block.
pub type IsRevoked = Arc<dyn Fn(&[X509]) -> bool + Send + Sync>;

/// The outcome of the verification of a client's certificate.
pub(super) type Judgement = Result<Verified, CertificateFault>;

/// Where the verify callback leaves its judgement; the handshake takes it from there.
pub(super) type Cell = Mutex<Option<Judgement>>;

pub(super) fn cell_index() -> Result<Index<Ssl, Cell>, ErrorStack> {
    static INDEX: OnceLock<Index<Ssl, Cell>> = OnceLock::new();
    match INDEX.get() {
        Some(index) => Ok(*index),
        None => {
            let index = Ssl::new_ex_index()?;
            Ok(*INDEX.get_or_init(|| index))
        }
    }
}

impl ServerTls {
    /// Reads the files and makes the acceptor. `clients` are the CAs that may issue client certificates; without them
    /// no certificate is asked for. `is_revoked` is called with each verified chain.
    ///
    /// # Errors
    /// When a file is missing or wrong, or key and certificate do not belong together.
    pub fn acceptor(
        &self,
        clients: Option<&Arc<ClientTrust>>,
        is_revoked: Option<IsRevoked>,
    ) -> Result<SslAcceptor, TlsError> {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_security_level(SECURITY_LEVEL.into());
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        let what = "the certificate";
        let pair = files::key_pair(what, &self.certificate, "the private key", &self.key)?;
        files::present(&mut builder, (what, &self.certificate), pair)?;
        // A resumed session would skip the verification of the client's certificate.
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        // A whole record is read at once, not its header first: one system call less for each request.
        builder.set_read_ahead(true);
        builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
        builder.set_num_tickets(0)?;
        builder.set_session_id_context(b"countersign")?;
        if self.http2 {
            builder.set_alpn_select_callback(|_, offered| {
                // select_next_proto falls back to the client's first choice when there is no common protocol.
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
        clients: Option<&Arc<ClientTrust>>,
        is_revoked: Option<IsRevoked>,
    ) -> Result<(), TlsError> {
        let Some(clients) = clients.filter(|_| self.client_auth != ClientAuth::Off) else {
            builder.set_verify(SslVerifyMode::NONE);
            return Ok(());
        };
        if self.advertise_cas {
            builder.set_client_ca_list(clients.names()?);
        }
        // The store is empty, so that OpenSSL calls back at once. Its own verification tries one chain only and leaves
        // errors in its queue; `clients` verifies the chain instead, at the first call.
        builder.set_verify_cert_store(X509StoreBuilder::new()?.build())?;
        // OpenSSL must not verify the issuers that the client sent either, whose keys may be of any size.
        builder.set_verify_depth(0);
        let index = cell_index()?;
        let (mode, forgive) = match self.client_auth {
            ClientAuth::Require => (SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, false),
            ClientAuth::Request | ClientAuth::Off => (SslVerifyMode::PEER, true),
        };
        let clients = Arc::clone(clients);
        builder.set_verify_callback(mode, move |_, context| {
            let outcome = judged(context, index, &clients, is_revoked.as_ref());
            forget_errors();
            match outcome {
                Some(Ok(())) => true,
                Some(Err(_)) if forgive => true,
                Some(Err(result)) => {
                    context.set_error(result);
                    false
                }
                // Without a stored judgement the handshake must not succeed.
                None => false,
            }
        });
        Ok(())
    }
}

/// Judges the certificate of a handshake once, and returns the result that OpenSSL makes the alert of.
fn judged(
    context: &X509StoreContextRef,
    index: Index<Ssl, Cell>,
    clients: &ClientTrust,
    is_revoked: Option<&IsRevoked>,
) -> Option<Result<(), X509VerifyResult>> {
    let ssl = context.ex_data(X509StoreContext::ssl_idx().ok()?)?;
    let mut slot = ssl.ex_data(index)?.lock().ok()?;
    let judgement = slot.get_or_insert_with(|| judge(&presented(context), clients, is_revoked));
    Some(judgement.as_ref().map(drop).map_err(CertificateFault::result))
}

fn judge(presented: &[X509], clients: &ClientTrust, is_revoked: Option<&IsRevoked>) -> Judgement {
    let Some((leaf, issuers)) = presented.split_first() else {
        return Err(CertificateFault::unverified());
    };
    let verified = clients.verify(leaf, issuers)?;
    match is_revoked {
        Some(is_revoked) if is_revoked(&verified.chain) => Err(CertificateFault::revoked()),
        _ => Ok(verified),
    }
}

#[expect(unsafe_code, reason = "the crate does not bind it")]
unsafe extern "C" {
    /// <https://docs.openssl.org/3.0/man3/X509_STORE_CTX_new/>: an internal pointer, or null.
    fn X509_STORE_CTX_get0_untrusted(
        context: *const openssl_sys::X509_STORE_CTX,
    ) -> *mut openssl_sys::stack_st_X509;
}

/// What a client sent in the handshake, its own certificate first.
#[expect(unsafe_code, reason = "the crate does not bind X509_STORE_CTX_get0_untrusted")]
fn presented(context: &X509StoreContextRef) -> Vec<X509> {
    // SAFETY: the context is alive, and so is its stack of certificates while `owned` takes its own references.
    unsafe {
        let stack = X509_STORE_CTX_get0_untrusted(context.as_ptr());
        if stack.is_null() {
            return Vec::new();
        }
        owned(StackRef::<X509>::from_ptr(stack))
    }
}
