//! Which certificates may issue client certificates, in named sets, and the verification against them.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use openssl::{
    sha::Sha256,
    stack::{Stack, StackRef},
    x509::{X509, X509Name, X509Ref, X509VerifyResult},
};
use x509_parser::x509::X509Version;

use super::{CertificateFault, ClientCertificate, TlsError, chain::Anchors, files};

/// At least 112 bits: refuses RSA keys below 2048 bits and signatures with SHA-1.
pub(super) const SECURITY_LEVEL: u8 = 2;
/// How the text of an inline certificate begins.
const PEM_BEGIN: &str = "-----BEGIN";

/// Where PEM text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PemSource {
    /// In a file.
    File(PathBuf),
    /// In the configuration itself.
    Inline(String),
}

impl PemSource {
    /// Text that begins like PEM is PEM; any other text is a path, which `resolve` makes absolute.
    pub fn parse(text: &str, resolve: impl FnOnce(&str) -> PathBuf) -> Self {
        if text.trim_start().starts_with(PEM_BEGIN) {
            Self::Inline(text.to_owned())
        } else {
            Self::File(resolve(text))
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Inline(_) => None,
        }
    }
}

/// A set of client CAs as configured: roots, intermediates, or both.
#[derive(Debug, Clone)]
pub struct CaSet {
    /// The set's name, for identity rules and messages.
    pub name: String,
    /// Its certificates.
    pub source: PemSource,
}

struct LoadedSet {
    name: String,
    anchors: Anchors,
}

/// How many verified certificates are remembered. Each takes about 10 KB.
const REMEMBERED: u64 = 2000;

/// The client CAs of a listener, read. Never changed: whatever they verified once, they verify until it expires.
pub struct ClientTrust {
    sets: Vec<LoadedSet>,
    all: Anchors,
    /// What was verified before, by the SHA-256 of all that was presented: most clients make a new connection for each
    /// request.
    verified: Cache<[u8; 32], Arc<Verified>>,
}

/// A certificate's verified chain.
#[derive(Debug, Clone)]
pub struct Verified {
    /// From the client's certificate to the configured certificate that vouches for it.
    pub chain: Vec<X509>,
    /// The names of the sets that vouch for it.
    pub sets: Vec<String>,
    /// When the first certificate of the chain expires; long ago if the end of one cannot be read.
    pub until: DateTime<Utc>,
}

impl ClientTrust {
    /// Reads the sets.
    ///
    /// # Errors
    /// When a file is missing or holds no certificate.
    pub fn load(sets: &[CaSet]) -> Result<Self, TlsError> {
        let mut loaded = Vec::with_capacity(sets.len());
        for set in sets {
            let certificates = match &set.source {
                PemSource::File(path) => files::certificates("the client CA file", path)?,
                PemSource::Inline(text) => files::inline_certificates(&set.name, text)?,
            };
            loaded.push(LoadedSet {
                name: set.name.clone(),
                anchors: Anchors::new(certificates)?,
            });
        }
        let everything = loaded.iter().flat_map(|set| set.anchors.certificates().to_vec());
        Ok(Self {
            all: Anchors::new(everything.collect())?,
            sets: loaded,
            verified: Cache::new(REMEMBERED),
        })
    }

    /// Every certificate of every set.
    pub fn certificates(&self) -> impl Iterator<Item = &X509> {
        self.sets.iter().flat_map(|set| set.anchors.certificates())
    }

    /// Verifies a client certificate as it is now; `presented` are the issuers that came with it.
    ///
    /// # Errors
    /// When no configured CA vouches for it, or it may not be used by a TLS client now.
    pub fn verify(&self, leaf: &X509Ref, presented: &[X509]) -> Result<Verified, CertificateFault> {
        let key = fingerprint(leaf, presented);
        if let Some(known) = key.and_then(|key| self.verified.get(&key))
            && Utc::now() <= known.until
        {
            return Ok(Verified::clone(&known));
        }
        let chain = self.all.verify(leaf, presented)?;
        let verified = Verified {
            sets: self.vouching(leaf, presented),
            until: first_end(&chain).unwrap_or(DateTime::<Utc>::MIN_UTC),
            chain,
        };
        if let Some(key) = key {
            self.verified.insert(key, Arc::new(verified.clone()));
        }
        Ok(verified)
    }

    /// The names of the sets that vouch for a certificate that all CAs together vouch for.
    fn vouching(&self, leaf: &X509Ref, presented: &[X509]) -> Vec<String> {
        let names = |set: &LoadedSet| set.name.clone();
        match self.sets.as_slice() {
            [only] => vec![names(only)],
            sets => sets
                .iter()
                .filter(|set| set.anchors.verify(leaf, presented).is_ok())
                .map(names)
                .collect(),
        }
    }

    /// The names to offer in the handshake, each once.
    pub(super) fn names(&self) -> Result<Stack<X509Name>, TlsError> {
        let mut names = Stack::new()?;
        let mut seen = Vec::new();
        for certificate in self.certificates() {
            let encoded = certificate.subject_name().to_der()?;
            if !seen.contains(&encoded) {
                seen.push(encoded);
                names.push(certificate.subject_name().to_owned()?)?;
            }
        }
        Ok(names)
    }

    /// What an operator should know about the sets, in sentences.
    pub fn warnings(&self, now: DateTime<Utc>) -> Vec<String> {
        let mut found = Vec::new();
        let mut seen: Vec<(Vec<u8>, &str)> = Vec::new();
        for set in &self.sets {
            let described = set
                .anchors
                .certificates()
                .iter()
                .filter_map(|x509| ClientCertificate::new(x509.clone()));
            for certificate in described {
                let (name, subject) = (&set.name, certificate.subject());
                if certificate.not_after() < now {
                    found.push(format!(
                        "client CA set {name}: {subject} expired at {}; what it issued is refused",
                        certificate.not_after()
                    ));
                }
                if certificate.not_before() > now {
                    found.push(format!(
                        "client CA set {name}: {subject} is not valid before {}",
                        certificate.not_before()
                    ));
                }
                if !is_authority(certificate.x509()) {
                    found.push(format!(
                        "client CA set {name}: {subject} is not a CA (basicConstraints); it can only vouch for itself"
                    ));
                }
                let der = certificate.x509().to_der().unwrap_or_default();
                match seen.iter().find(|(known, _)| *known == der) {
                    Some((_, first)) if first == name => {
                        found.push(format!("client CA set {name}: {subject} is there twice"));
                    }
                    Some((_, first)) => found.push(format!(
                        "client CA sets {first} and {name}: {subject} is in both, so both vouch for what it issued"
                    )),
                    None => seen.push((der, name)),
                }
            }
            let rooted = set
                .anchors
                .certificates()
                .iter()
                .any(|certificate| is_self_issued(certificate));
            if !rooted {
                found.push(format!(
                    "client CA set {}: it holds intermediates but no root; each is trusted by itself",
                    set.name
                ));
            }
        }
        found
    }
}

/// The SHA-256 of a certificate and of the issuers that came with it; `None` if one cannot be encoded.
fn fingerprint(leaf: &X509Ref, presented: &[X509]) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    for certificate in std::iter::once(leaf).chain(presented.iter().map(|issuer| &**issuer)) {
        let der = certificate.to_der().ok()?;
        hash.update(&der.len().to_be_bytes());
        hash.update(&der);
    }
    Some(hash.finish())
}

/// When the first certificate of a chain expires.
fn first_end(chain: &[X509]) -> Option<DateTime<Utc>> {
    let ends: Option<Vec<_>> = chain
        .iter()
        .map(|certificate| Some(ClientCertificate::new(certificate.clone())?.not_after()))
        .collect();
    ends?.into_iter().min()
}

fn is_self_issued(certificate: &X509Ref) -> bool {
    certificate.issued(certificate) == X509VerifyResult::OK
}

/// Whether a certificate says that it may issue others (RFC 5280 section 4.2.1.9).
fn is_authority(certificate: &X509Ref) -> bool {
    let Ok(der) = certificate.to_der() else {
        return false;
    };
    // Certificates of version 1 have no extensions, and so no basicConstraints.
    x509_parser::parse_x509_certificate(&der).is_ok_and(|(_, parsed)| {
        parsed.version() == X509Version::V1
            || parsed
                .basic_constraints()
                .is_ok_and(|found| found.is_some_and(|constraints| constraints.value.ca))
    })
}

/// The certificates of a stack.
pub(super) fn owned(stack: &StackRef<X509>) -> Vec<X509> {
    stack.iter().map(ToOwned::to_owned).collect()
}
