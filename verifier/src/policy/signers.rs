//! Who signs: people are known by their keys, whatever roles these keys are declared for.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::pkey::{Id, PKey};
use tuf::{KeyId, KeyType, PublicKey};

use crate::repository::Signature;

/// The signers of a policy, by name.
pub(super) type Signers = BTreeMap<String, Signer>;

/// A signer's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) keys: Vec<SignerKey>,
}

/// How a key is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SignerKey {
    /// By an ID: that of the bare key, or the one under which a role lists a certificate of it. The latter names exactly
    /// that certificate, because nothing but the ID is known.
    Id(String),
    /// By its public half, bare or from a certificate: every form of the same private key is meant.
    Identity(String),
}

impl SignerKey {
    pub(super) fn is(&self, key: &Signature) -> bool {
        match self {
            Self::Id(id) => key.listed == *id || key.bare.as_deref() == Some(id),
            Self::Identity(identity) => key.identity == *identity,
        }
    }

    /// Reads an ID, if the text is one.
    pub(super) fn id(text: &str) -> Option<Self> {
        KeyId::parse(text).ok().map(|id| Self::Id(id.to_string()))
    }

    /// Reads a file with a public key or a certificate in PEM.
    pub(super) fn of_file(contents: &[u8]) -> Result<Self, String> {
        let key = public_key(contents)?;
        match key.identity() {
            Some(identity) => Ok(Self::Identity(hex::encode(identity))),
            None => Err("it holds a key that no signature could be verified with: clients know ECDSA on NIST curves, \
                         RSA of at least 2048 bits, and Ed25519"
                .to_owned()),
        }
    }
}

impl Signer {
    pub(super) fn owns(&self, key: &Signature) -> bool {
        self.keys.iter().any(|own| own.is(key))
    }
}

fn public_key(contents: &[u8]) -> Result<PublicKey, String> {
    let text = std::str::from_utf8(contents).map_err(|_| "it is not a PEM file".to_owned())?;
    if text.contains("PRIVATE KEY-----") {
        return Err("it holds a private key; name a file with the public key or the certificate".to_owned());
    }
    let keys = blocks(text, "PUBLIC KEY");
    let certificates = blocks(text, "CERTIFICATE");
    match (keys.as_slice(), certificates.as_slice()) {
        ([der], []) => bare_key(der),
        // What follows a certificate are those of its issuers.
        ([], [_, ..]) => {
            let listed = PublicKey::new(KeyType::EcdsaX509, contents.to_vec());
            let spki = listed.bare().map(|bare| bare.public().to_vec());
            bare_key(&spki.ok_or("its certificate cannot be parsed")?)
        }
        ([], []) => Err("it holds neither PUBLIC KEY nor CERTIFICATE in PEM".to_owned()),
        _ => Err("it holds several keys; name one file for each".to_owned()),
    }
}

fn bare_key(der: &[u8]) -> Result<PublicKey, String> {
    let parsed = PKey::public_key_from_der(der).map_err(|_| "its public key cannot be parsed".to_owned())?;
    match parsed.id() {
        Id::EC => Ok(PublicKey::new(KeyType::Ecdsa, der.to_vec())),
        Id::RSA => Ok(PublicKey::new(KeyType::Rsa, der.to_vec())),
        Id::ED25519 => {
            let raw = parsed
                .raw_public_key()
                .map_err(|_| "its public key cannot be parsed".to_owned())?;
            Ok(PublicKey::new(KeyType::Ed25519, raw))
        }
        _ => Err("its key is of a kind that clients do not sign with".to_owned()),
    }
}

/// The contents of the PEM blocks with this label. Notary and Docker write headers into theirs (`role: alice`), which PEM
/// readers for TLS refuse, so they are read here.
fn blocks(text: &str, label: &str) -> Vec<Vec<u8>> {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut found = Vec::new();
    for block in text.split(&begin).skip(1) {
        let Some((body, _)) = block.split_once(&end) else {
            continue;
        };
        let digits: String = body
            .lines()
            .filter(|line| !line.contains(':'))
            .map(str::trim)
            .collect();
        if let Ok(der) = BASE64.decode(digits) {
            found.push(der);
        }
    }
    found
}
