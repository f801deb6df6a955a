//! Whom an entry of the deny list names.

use openssl::x509::X509;
use platform::x509::hashes_of_key;

use crate::{
    revocation::{RevocationError, Subject, certificate_subjects, normal_issuer, normal_serial},
    store::{Store, StoreError},
};

/// The longest name of a principal or hash that an entry may have, in characters: the width of the column.
const MAX_SUBJECT: usize = 255;
/// The longest issuer, in characters, so that the entry with its serial number fits into its column.
const MAX_ISSUER: usize = 900;

/// Why nobody can be denied so.
#[derive(Debug, thiserror::Error)]
pub enum DenialFault {
    /// The text holds no usable certificate.
    #[error("{0}")]
    Certificate(String),
    /// No certificate could match such an entry.
    #[error("{0}")]
    CannotBeTold(RevocationError),
    /// The serial number is malformed.
    #[error("write a positive number in hex, as \"openssl x509 -serial\" prints it")]
    Serial(String),
    /// The hash is malformed.
    #[error("write 64 hex digits")]
    Hash(String),
    /// The name is empty or too long.
    #[error("{0} is empty, or longer than the deny list can hold")]
    Length(&'static str),
}

/// The subject that somebody named.
pub struct Named {
    /// The subject.
    pub subject: Subject,
    /// Other forms of the same subject, as older versions stored it.
    pub older: Vec<Subject>,
    /// The given certificate, and those that followed it.
    pub certificates: Vec<X509>,
}

impl From<Subject> for Named {
    fn from(subject: Subject) -> Self {
        Self {
            subject,
            older: Vec::new(),
            certificates: Vec::new(),
        }
    }
}

impl Named {
    /// The warning that nobody is known by this name: a misspelt entry would deny nobody. `None` if somebody is, and for
    /// subjects that only a CA knows.
    ///
    /// # Errors
    /// When the database fails.
    pub fn unknown(&self, store: &Store) -> Result<Option<String>, StoreError> {
        Ok(match &self.subject {
            Subject::Principal(name) => (!store.knows_principal(name)?).then(|| {
                format!(
                    "no account is called {name}, and no principal with this name has changed anything yet; if the \
                     name is not misspelt, the entry takes effect as soon as a client authenticates as {name}"
                )
            }),
            Subject::Key(hash) if self.certificates.is_empty() => (!store.knows_key(hash)?).then(|| {
                "no account has this key, and no client with it has changed anything yet; \"whoami\" prints the hash of \
                 a certificate's key as spki_sha256"
                    .to_owned()
            }),
            Subject::Key(_) | Subject::Certificate { .. } => None,
        })
    }

    /// A principal, however it authenticates.
    ///
    /// # Errors
    /// When the name is empty or too long.
    pub fn principal(name: &str) -> Result<Self, DenialFault> {
        if name.is_empty() || name.chars().count() > MAX_SUBJECT {
            return Err(DenialFault::Length("the principal's name"));
        }
        Ok(Subject::Principal(name.to_owned()).into())
    }

    /// Every certificate of a key, by the SHA-256 of the key in hex.
    ///
    /// # Errors
    /// When it is no such hash.
    pub fn key(hash: &str) -> Result<Self, DenialFault> {
        let good = hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
        good.then(|| Subject::Key(hash.to_lowercase()).into())
            .ok_or_else(|| DenialFault::Hash(hash.to_owned()))
    }

    /// A certificate, by its serial number and issuer.
    ///
    /// # Errors
    /// When no certificate has such a number.
    pub fn serial(serial: &str, issuer: &str) -> Result<Self, DenialFault> {
        let Some(number) = normal_serial(serial) else {
            return Err(wrong_serial(serial));
        };
        if issuer.is_empty() || issuer.chars().count() > MAX_ISSUER {
            return Err(DenialFault::Length("the issuer"));
        }
        let subject = |issuer: String| Subject::Certificate {
            issuer,
            serial: number.clone(),
        };
        Ok(Self {
            // An older version stored the issuer as it was written.
            older: vec![subject(issuer.to_owned())],
            ..subject(normal_issuer(issuer)).into()
        })
    }

    /// The first certificate of a text in PEM or, with `every`, every certificate of its key.
    ///
    /// # Errors
    /// When there is none, or no entry could name it.
    pub fn certificate(pem: &[u8], every: bool) -> Result<Self, DenialFault> {
        let refuse = |reason: &str| DenialFault::Certificate(reason.to_owned());
        let certificates = platform::tls::parse_certificates(pem).map_err(DenialFault::Certificate)?;
        let certificate = certificates
            .first()
            .ok_or_else(|| refuse("it holds no PEM certificate"))?;
        let mut forms = if every {
            let hashes = hashes_of_key(certificate).ok_or_else(|| refuse("its key cannot be read"))?;
            hashes.into_iter().map(Subject::Key).collect()
        } else {
            certificate_subjects(certificate).map_err(DenialFault::CannotBeTold)?
        };
        if forms.is_empty() {
            return Err(refuse("the certificate cannot be read"));
        }
        Ok(Self {
            subject: forms.remove(0),
            older: forms,
            certificates,
        })
    }
}

/// The error for a serial number that is zero, negative, or malformed.
fn wrong_serial(text: &str) -> DenialFault {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let digits = digits.trim_start_matches('-').trim_start_matches("0x");
    if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return DenialFault::CannotBeTold(RevocationError::unnamed_serial());
    }
    DenialFault::Serial(text.to_owned())
}
