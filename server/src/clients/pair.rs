//! A client's certificate and key, checked before they are used or installed.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use openssl::{
    pkey::{PKey, Private},
    x509::X509,
};
use platform::tls::{ClientCertificate, utc};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is wrong with a pair; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The certificate file contains no certificate.
    #[error("{} is not a certificate in PEM; if it is the key, give the certificate with --cert", .0.display())]
    NoCertificate(PathBuf),
    /// The key file contains no key.
    #[error("{} is not a private key in PEM", .0.display())]
    NoKey(PathBuf),
    /// The key is encrypted.
    #[error("{path} is encrypted, which docker and notary cannot use: openssl pkey -in {path} -out decrypted.pem", path = .0.display())]
    Encrypted(PathBuf),
    /// The key does not belong to the certificate.
    #[error("{} is not the key of {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The certificate has expired.
    #[error("{} has expired, on {until}: ask for a new one", path.display())]
    Expired {
        /// The certificate.
        path: PathBuf,
        /// The end of its validity.
        until: DateTime<Utc>,
    },
    /// The certificate is not valid yet.
    #[error("{} is not valid before {from}: check this machine's clock", path.display())]
    NotYetValid {
        /// The certificate.
        path: PathBuf,
        /// The start of its validity.
        from: DateTime<Utc>,
    },
    /// The certificate may not be used by TLS clients.
    #[error("{} is not for TLS clients: ask for one with the extended key usage clientAuth", .0.display())]
    Purpose(PathBuf),
}

/// A certificate with its intermediates, and its key.
pub struct Pair {
    /// The certificate file as it is, without a byte order mark.
    pub certificate_pem: Vec<u8>,
    /// The key file as it is, without a byte order mark.
    pub key_pem: Vec<u8>,
    /// The certificate, then its intermediates.
    pub chain: Vec<X509>,
    /// The key.
    pub key: PKey<Private>,
    /// The common name, if there is one.
    pub common_name: Option<String>,
    /// The end of the certificate's validity.
    pub not_after: DateTime<Utc>,
}

impl Pair {
    /// Reads both files and checks that they belong together and can be used by a TLS client at `now`.
    ///
    /// # Errors
    /// When they cannot.
    pub fn read(certificate: &Path, key: &Path, now: DateTime<Utc>) -> Result<Self, PairError> {
        let (certificate_pem, key_pem) = (read(certificate)?, read(key)?);
        let no_certificate = || PairError::NoCertificate(certificate.to_path_buf());
        let chain = X509::stack_from_pem(&certificate_pem).map_err(|_| no_certificate())?;
        let leaf = chain.first().ok_or_else(no_certificate)?;
        let text = String::from_utf8_lossy(&key_pem);
        if text.contains("ENCRYPTED") {
            return Err(PairError::Encrypted(key.to_path_buf()));
        }
        // An empty passphrase keeps OpenSSL from asking on the terminal.
        let private = PKey::private_key_from_pem_passphrase(&key_pem, b"")
            .map_err(|_| PairError::NoKey(key.to_path_buf()))?;
        if !leaf.public_key().is_ok_and(|public| public.public_eq(&private)) {
            return Err(PairError::Mismatch {
                certificate: certificate.to_path_buf(),
                key: key.to_path_buf(),
            });
        }
        let path = certificate.to_path_buf();
        let from = utc(leaf.not_before()).ok_or_else(no_certificate)?;
        let until = utc(leaf.not_after()).ok_or_else(no_certificate)?;
        if until < now {
            return Err(PairError::Expired { path, until });
        }
        if from > now {
            return Err(PairError::NotYetValid { path, from });
        }
        if !is_for_clients(leaf) {
            return Err(PairError::Purpose(path));
        }
        let common_name = ClientCertificate::new(leaf.clone())
            .and_then(|described| described.common_names().into_iter().next());
        Ok(Self {
            common_name,
            not_after: until,
            key: private,
            chain,
            certificate_pem,
            key_pem,
        })
    }
}

/// A certificate without extended key usage may be used for everything (RFC 5280 section 4.2.1.12).
fn is_for_clients(certificate: &X509) -> bool {
    let Ok(der) = certificate.to_der() else {
        return false;
    };
    X509Certificate::from_der(&der).is_ok_and(|(_, parsed)| {
        parsed
            .extended_key_usage()
            .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.client_auth || usage.value.any))
    })
}

fn read(path: &Path) -> Result<Vec<u8>, PairError> {
    platform::files::read(path).map_err(|cause| PairError::File {
        path: path.to_path_buf(),
        cause,
    })
}
