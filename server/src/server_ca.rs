//! The CA that issued the server's own certificate, for clients that do not know it yet.

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    x509::{X509, X509Ref, X509VerifyResult},
};
use platform::tls::{ClientTrust, PemSource, TlsError, read_certificates};

use crate::config::Config;

/// The certificates that clients have to trust; empty if they could not be determined.
#[derive(Default)]
pub struct ServerCa {
    /// The server's own certificate.
    pub leaf: Option<X509>,
    /// The CA, and any intermediates between it and the server's certificate.
    pub certificates: Vec<X509>,
}

impl ServerCa {
    /// Loads the file of `server.ca_file`. Without one, derives the CA from the first listener with TLS: the last
    /// certificate of its chain, the server's certificate if it is self-signed, or a client CA that issued it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn load(config: &Config, clients: &[&ClientTrust]) -> Result<Self, TlsError> {
        let configured = match &config.public.ca {
            Some(PemSource::File(path)) => Some(read_certificates("the file of server.ca_file", path)?),
            Some(PemSource::Inline(text)) => {
                Some(X509::stack_from_pem(text.as_bytes()).map_err(TlsError::OpenSsl)?)
            }
            None => None,
        };
        let Some(tls) = config.listeners.iter().find_map(|listener| listener.tls.as_ref()) else {
            return Ok(Self {
                leaf: None,
                certificates: configured.unwrap_or_default(),
            });
        };
        let mut chain = read_certificates("the certificate", &tls.certificate)?;
        let leaf = chain.remove(0);
        let certificates = configured.unwrap_or_else(|| found(&leaf, chain, clients));
        Ok(Self {
            leaf: Some(leaf),
            certificates,
        })
    }

    /// The certificates as PEM.
    ///
    /// # Errors
    /// When OpenSSL cannot write them.
    pub fn pem(&self) -> Result<Vec<u8>, ErrorStack> {
        let mut pem = Vec::new();
        for certificate in &self.certificates {
            pem.extend(certificate.to_pem()?);
        }
        Ok(pem)
    }

    /// The fingerprint of the last certificate, to compare a download with: SHA-256 as upper-case hex with colons, as
    /// `openssl x509 -fingerprint -sha256` prints it.
    pub fn fingerprint(&self) -> Option<String> {
        let digest = self.certificates.last()?.digest(MessageDigest::sha256()).ok()?;
        let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        Some(bytes.join(":"))
    }
}

fn found(leaf: &X509Ref, issuers: Vec<X509>, clients: &[&ClientTrust]) -> Vec<X509> {
    if leaf.issued(leaf) == X509VerifyResult::OK {
        return vec![leaf.to_owned()];
    }
    let top = issuers.last().map_or(leaf, |top| top.as_ref());
    if top.issued(top) == X509VerifyResult::OK {
        return vec![top.to_owned()];
    }
    // Small installations use one CA for servers and clients.
    let shared = clients
        .iter()
        .flat_map(|trust| trust.certificates())
        .find(|candidate| {
            candidate.issued(top) == X509VerifyResult::OK
                && candidate
                    .public_key()
                    .is_ok_and(|key| top.verify(&key).unwrap_or(false))
        });
    match shared {
        Some(root) => vec![root.clone()],
        None => issuers,
    }
}
