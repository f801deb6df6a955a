//! A key that signs in a token.

use std::sync::Arc;

use cryptoki::{
    error::{Error, RvError},
    mechanism::{
        Mechanism, MechanismType,
        rsa::{PkcsMgfType, PkcsPssParams},
    },
    object::ObjectHandle,
};
use openssl::sha::sha256;
use tuf::{KeyType, PublicKey, SignatureMethod};

use super::{module::OpenToken, objects::Found};
use crate::keys::{KeyError, SigningKey, private::ecdsa_in_der};

/// What a key signs to prove itself: no document, so that the signature is of no other use.
const TRIAL: &[u8] = b"countersign: a trial of a key";
/// The salt of a signature with PSS, in bytes: as long as the hash.
const SALT: u64 = 32;
/// What stands before a SHA-256 in DER (`DigestInfo`, RFC 8017 section 9.2, note 1).
const SHA256_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

/// A private key in a token.
pub(super) struct TokenKey {
    token: Arc<OpenToken>,
    handle: ObjectHandle,
    public: PublicKey,
}

impl TokenKey {
    /// A key that was found in the token.
    pub(super) fn new(token: Arc<OpenToken>, found: &Found) -> Self {
        Self {
            token,
            handle: found.handle,
            public: found.public.clone(),
        }
    }

    /// Checks that it signs, and that the public key is its own.
    pub(super) fn prove(&self) -> Result<(), KeyError> {
        self.sign(TRIAL).map(drop)
    }

    fn make(&self, mechanism: &Mechanism<'_>, data: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signed = self.token.session().sign(mechanism, self.handle, data);
        signed.map_err(|cause| match cause {
            Error::Pkcs11(RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid, _) => self
                .token
                .wrong(format!("the key {} is not there any more", self.public.id())),
            cause => self.token.failed(&cause),
        })
    }

    fn is_rsa(&self) -> bool {
        *self.public.key_type() == KeyType::Rsa
    }

    fn ecdsa(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.make(&Mechanism::Ecdsa, &sha256(message))
    }

    fn pss(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let parameters = PkcsPssParams {
            hash_alg: MechanismType::SHA256,
            mgf: PkcsMgfType::MGF1_SHA256,
            s_len: SALT.into(),
        };
        if self.token.can(MechanismType::SHA256_RSA_PKCS_PSS) {
            return self.make(&Mechanism::Sha256RsaPkcsPss(parameters), message);
        }
        self.make(&Mechanism::RsaPkcsPss(parameters), &sha256(message))
    }

    fn pkcs1(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        if self.token.can(MechanismType::SHA256_RSA_PKCS) {
            return self.make(&Mechanism::Sha256RsaPkcs, message);
        }
        self.make(&Mechanism::RsaPkcs, &[SHA256_INFO, &sha256(message)].concat())
    }
}

impl SigningKey for TokenKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<(SignatureMethod, Vec<u8>), KeyError> {
        let (method, bytes) = if self.is_rsa() {
            (SignatureMethod::RsaPss, self.pss(message)?)
        } else {
            (SignatureMethod::Ecdsa, self.ecdsa(message)?)
        };
        // A token that signs with another key than it says, or wrongly, must not publish what nobody can read.
        tuf::verify_signature(&self.public, method, message, &bytes).map_err(|cause| {
            self.token.wrong(format!(
                "its signature with the key {} is not right ({cause}); perhaps the public key with the same CKA_ID is that of \
                 another key",
                self.public.id()
            ))
        })?;
        Ok((method, bytes))
    }

    fn sign_certificate(&self, certificate: &[u8]) -> Result<Vec<u8>, KeyError> {
        if self.is_rsa() {
            return self.pkcs1(certificate);
        }
        ecdsa_in_der(&self.ecdsa(certificate)?)
    }
}
