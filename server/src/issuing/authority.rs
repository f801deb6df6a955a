//! The CA: a directory with its certificate, its key, and the index of the certificates it issued.

use std::{fs, path::Path};

use openssl::{pkey::PKey, symm::Cipher, x509::X509};
use platform::{
    pki::{Issued, Template, Usage},
    tls::ClientCertificate,
};

use super::{
    IssuingError,
    files::{Directory, SECRET, file_error},
};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";

/// Creates a CA in a directory, or opens the one of the same name that is there.
///
/// The key is encrypted if a passphrase is given.
///
/// # Errors
/// When the directory holds another CA or only a part of one, or a file cannot be written.
pub fn init(
    directory: &Directory,
    name: &str,
    days: u32,
    passphrase: Option<&[u8]>,
) -> Result<Issued, IssuingError> {
    match (directory.has(CERTIFICATE), directory.has(KEY)) {
        (false, false) => {}
        (true, true) => {
            let found = open(directory, passphrase)?;
            let own = common_name(&found.certificate);
            if own != name {
                return Err(IssuingError::OtherAuthority {
                    path: directory.path().to_path_buf(),
                    found: own,
                });
            }
            platform::say!("kept  {}", directory.path().join(CERTIFICATE).display());
            return Ok(found);
        }
        (true, false) => return Err(lost(directory, KEY)),
        (false, true) => return Err(lost(directory, CERTIFICATE)),
    }
    let made = Issued::self_signed(&Template::new(name, Usage::Authority, days))?;
    let key = match passphrase {
        Some(passphrase) => made
            .key
            .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), passphrase)?,
        None => made.key_pem()?,
    };
    directory.write_secret(KEY, &key)?;
    directory.write_new(CERTIFICATE, &made.certificate_pem()?)?;
    Ok(made)
}

fn lost(directory: &Directory, name: &str) -> IssuingError {
    IssuingError::Damaged {
        path: directory.path().join(name),
        reason: "it is missing, but the CA's other file is there; restore it, or choose another directory"
            .to_owned(),
    }
}

/// Opens the CA of a directory.
///
/// # Errors
/// When there is none, its files are damaged, or its key needs another passphrase.
pub fn open(directory: &Directory, passphrase: Option<&[u8]>) -> Result<Issued, IssuingError> {
    if !directory.has(CERTIFICATE) {
        return Err(IssuingError::NoAuthority(directory.path().to_path_buf()));
    }
    let damaged = |name: &str, reason: &str| IssuingError::Damaged {
        path: directory.path().join(name),
        reason: reason.to_owned(),
    };
    let refused = |reason| IssuingError::Passphrase {
        path: directory.path().join(KEY),
        reason,
    };
    let certificate = X509::from_pem(&directory.read(CERTIFICATE)?)
        .map_err(|_| damaged(CERTIFICATE, "it is not the PEM file that was written here"))?;
    let pem = directory.read(KEY)?;
    let encrypted = String::from_utf8_lossy(&pem).contains("ENCRYPTED");
    let key = match (encrypted, passphrase) {
        (true, None) => return Err(refused("it is encrypted: use --passphrase-file FILE")),
        (true, Some(passphrase)) => PKey::private_key_from_pem_passphrase(&pem, passphrase)
            .map_err(|_| refused("the passphrase is wrong"))?,
        (false, _) => PKey::private_key_from_pem(&pem)
            .map_err(|_| damaged(KEY, "it is not the PEM file that was written here"))?,
    };
    let own = certificate.public_key()?;
    if !own.public_eq(&key) {
        return Err(damaged(KEY, "it does not belong to the certificate in ca.pem"));
    }
    Ok(Issued { certificate, key })
}

/// Reads a passphrase from a file, without the line break at its end.
///
/// # Errors
/// When the file cannot be read, or is empty.
pub fn passphrase(file: Option<&Path>) -> Result<Option<Vec<u8>>, IssuingError> {
    let Some(path) = file else { return Ok(None) };
    let text = platform::files::read_to_string(path).map_err(|cause| file_error(path, cause))?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(IssuingError::Passphrase {
            path: path.to_path_buf(),
            reason: "it is empty; write the passphrase into it",
        });
    }
    Ok(Some(line.as_bytes().to_vec()))
}

/// The CA's name as records and lists write it (RFC 4514).
pub fn subject(authority: &Issued) -> String {
    ClientCertificate::new(authority.certificate.clone()).map_or_else(String::new, |ca| ca.subject())
}

fn common_name(certificate: &X509) -> String {
    ClientCertificate::new(certificate.clone())
        .and_then(|certificate| certificate.common_names().into_iter().next())
        .unwrap_or_default()
}

/// Warns if other users can read a directory of keys.
pub fn warn_if_open(directory: &Directory) {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.path().join(KEY);
    let mode = fs::metadata(&path).map_or(SECRET, |about| about.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        platform::say!("warning: {} is open to others: chmod 600 it", path.display());
    }
}
