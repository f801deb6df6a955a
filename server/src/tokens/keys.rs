//! The keys that sign tokens.

use std::path::Path;

use josekit::{
    JoseError,
    jwk::{Jwk, KeyPair},
    jws::{ES256, JwsSigner, JwsVerifier, RS256},
};
use openssl::{
    error::ErrorStack,
    nid::Nid,
    pkey::{Id, PKey, Private},
};
use platform::tls::{TlsError, read_key_pair, read_private_key};
use serde_json::{Value, json};

use crate::{config::TokenKey, identity::token::key_id};

const KEY: &str = "the token service's key";
const CERTIFICATES: &str = "the certificates of the token service's key";
/// The smallest RSA key that may sign, in bits (RFC 7518 section 3.3).
const RSA_BITS: u32 = 2048;

/// The keys in the order of the configuration; at least one.
pub(super) struct SigningKeys {
    first: SigningKey,
    others: Vec<SigningKey>,
}

/// A key with what is made of it.
pub(super) struct SigningKey {
    id: String,
    signer: Box<dyn JwsSigner>,
    verifier: Box<dyn JwsVerifier>,
    public: Jwk,
    chain: Vec<Vec<u8>>,
}

impl SigningKeys {
    pub(super) fn load(keys: &[TokenKey]) -> Result<Self, TlsError> {
        let mut loaded: Vec<SigningKey> = Vec::new();
        for key in keys {
            let next = SigningKey::load(key)?;
            if loaded.iter().any(|known| known.id == next.id) {
                return Err(refused(&key.file, "it is in the list twice"));
            }
            loaded.push(next);
        }
        let mut loaded = loaded.into_iter();
        let first = loaded
            .next()
            .ok_or_else(|| refused(Path::new(""), "there is none"))?;
        Ok(Self {
            first,
            others: loaded.collect(),
        })
    }

    /// The key that signs.
    pub(super) fn signing(&self) -> &SigningKey {
        &self.first
    }

    /// The key with an ID.
    pub(super) fn named(&self, id: &str) -> Option<&SigningKey> {
        self.each().find(|key| key.id == id)
    }

    /// The public keys as a JWK set.
    pub(super) fn public(&self) -> Value {
        let keys: Vec<&Jwk> = self.each().map(|key| &key.public).collect();
        json!({"keys": keys.iter().map(|key| key.as_ref()).collect::<Vec<_>>()})
    }

    fn each(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl SigningKey {
    fn load(settings: &TokenKey) -> Result<Self, TlsError> {
        let (chain, key) = match &settings.certificates {
            Some(certificates) => read_key_pair(CERTIFICATES, certificates, KEY, &settings.file)?,
            None => (Vec::new(), read_private_key(KEY, &settings.file)?),
        };
        let unusable = |cause: ErrorStack| refused(&settings.file, &platform::reason::of_openssl(&cause));
        let chain = chain
            .iter()
            .map(|certificate| certificate.to_der())
            .collect::<Result<_, _>>()
            .map_err(unusable)?;
        let public = key
            .public_key_to_der()
            .and_then(|der| PKey::public_key_from_der(&der))
            .map_err(unusable)?;
        let id = key_id(&public).map_err(unusable)?;
        let private = key.private_key_to_pkcs8().map_err(unusable)?;
        let spki = public.public_key_to_der().map_err(unusable)?;
        let useless = |cause: JoseError| refused(&settings.file, &cause.to_string());
        let (signer, verifier, mut public): (Box<dyn JwsSigner>, Box<dyn JwsVerifier>, Jwk) =
            match kind(&key).map_err(|reason| refused(&settings.file, reason))? {
                Kind::P256 => (
                    Box::new(ES256.signer_from_der(&private).map_err(useless)?),
                    Box::new(ES256.verifier_from_der(&spki).map_err(useless)?),
                    ES256
                        .key_pair_from_der(&private)
                        .map_err(useless)?
                        .to_jwk_public_key(),
                ),
                Kind::Rsa => (
                    Box::new(RS256.signer_from_der(&private).map_err(useless)?),
                    Box::new(RS256.verifier_from_der(&spki).map_err(useless)?),
                    RS256
                        .key_pair_from_der(&private)
                        .map_err(useless)?
                        .to_jwk_public_key(),
                ),
            };
        public.set_key_id(&id);
        public.set_key_use("sig");
        public.set_algorithm(signer.algorithm().name());
        Ok(Self {
            id,
            signer,
            verifier,
            public,
            chain,
        })
    }

    /// Its ID, in the form that registries know keys by.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn signer(&self) -> &dyn JwsSigner {
        &*self.signer
    }

    pub(super) fn verifier(&self) -> &dyn JwsVerifier {
        &*self.verifier
    }

    /// Its certificate and the issuers of that, in DER.
    pub(super) fn chain(&self) -> &Vec<Vec<u8>> {
        &self.chain
    }
}

enum Kind {
    P256,
    Rsa,
}

/// The kind of a key, if registries verify tokens that it signs.
fn kind(key: &PKey<Private>) -> Result<Kind, &'static str> {
    let curve = |key: &PKey<Private>| key.ec_key().ok()?.group().curve_name();
    match key.id() {
        Id::EC if curve(key) == Some(Nid::X9_62_PRIME256V1) => Ok(Kind::P256),
        Id::RSA if key.bits() >= RSA_BITS => Ok(Kind::Rsa),
        Id::RSA => Err("it is an RSA key of less than 2048 bits"),
        _ => Err("tokens are signed with an EC key on the curve P-256 (prime256v1), or with an RSA key"),
    }
}

fn refused(path: &Path, reason: &str) -> TlsError {
    TlsError::File {
        what: KEY,
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    }
}
