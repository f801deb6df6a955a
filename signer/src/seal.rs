//! Private keys at rest: JWE in compact form (RFC 7516), in the form of the Notary signer, so that
//! either program opens what the other wrote.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use josekit::{
    JoseError,
    jwe::{
        self, JweHeader, PBES2_HS256_A128KW, PBES2_HS384_A192KW, PBES2_HS512_A256KW,
        alg::pbes2_hmac_aeskw::{Pbes2HmacAeskwJweAlgorithm, Pbes2HmacAeskwJweDecrypter},
    },
};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::passphrase::Passphrase;

/// How the content encryption key is wrapped (column `keywrap_alg`).
pub const KEY_WRAP: &str = "PBES2-HS256+A128KW";
/// How the private key is encrypted (column `encryption_alg`).
pub const ENCRYPTION: &str = "A256GCM";

/// Rounds of PBKDF2; the Notary signer's number.
const ITERATIONS: usize = 8192;
/// Length of the salt input in bytes; the Notary signer's number.
const SALT_LENGTH: usize = 12;
/// The key wrappings that can be read; new keys are written with the first.
const READABLE: [Pbes2HmacAeskwJweAlgorithm; 3] =
    [PBES2_HS256_A128KW, PBES2_HS384_A192KW, PBES2_HS512_A256KW];

/// Why a private key cannot be sealed or opened. The library's own words are left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The passphrase is wrong, or the sealed key was damaged.
    #[error("the passphrase does not open it, or it was damaged")]
    CannotOpen,
    /// The library failed to encrypt.
    #[error("it cannot be encrypted")]
    CannotSeal,
}

/// Encrypts a private key for storage.
///
/// # Errors
/// [`SealError::CannotSeal`] when OpenSSL fails.
pub fn seal(plaintext: &[u8], passphrase: &Passphrase) -> Result<String, SealError> {
    let mut salt = [0; SALT_LENGTH];
    openssl::rand::rand_bytes(&mut salt).map_err(|_| SealError::CannotSeal)?;
    let attempt = || -> Result<String, JoseError> {
        let encrypter = PBES2_HS256_A128KW.encrypter_from_bytes(passphrase.expose_secret())?;
        jwe::serialize_compact(plaintext, &header(&salt)?, &encrypter)
    };
    attempt().map_err(|_| SealError::CannotSeal)
}

/// The protected header, complete and in alphabetical order, as the Notary signer writes it: the
/// library would add what is missing in an order of its own.
fn header(salt: &[u8]) -> Result<JweHeader, JoseError> {
    let mut header = JweHeader::new();
    header.set_algorithm(KEY_WRAP);
    header.set_content_encryption(ENCRYPTION);
    header.set_claim("p2c", Some(ITERATIONS.into()))?;
    header.set_claim("p2s", Some(URL_SAFE_NO_PAD.encode(salt).into()))?;
    Ok(header)
}

/// Decrypts a private key from storage; the plaintext is wiped when dropped.
///
/// # Errors
/// [`SealError::CannotOpen`] when the passphrase is wrong or the token is malformed.
pub fn open(token: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let attempt = || -> Option<Vec<u8>> {
        let token = std::str::from_utf8(token).ok()?;
        let decrypters: Vec<Pbes2HmacAeskwJweDecrypter> = READABLE
            .iter()
            .map(|algorithm| algorithm.decrypter_from_bytes(passphrase.expose_secret()))
            .collect::<Result<_, _>>()
            .ok()?;
        let chosen = |header: &JweHeader| {
            let named = header.algorithm();
            Ok(decrypters
                .iter()
                .zip(READABLE)
                .find(|(_, a)| Some(a.name()) == named)
                .map(|(d, _)| d as _))
        };
        let (plaintext, _) = jwe::deserialize_compact_with_selector(token, chosen).ok()?;
        Some(plaintext)
    };
    attempt().map(Zeroizing::new).ok_or(SealError::CannotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{passphrase, test_vectors};

    #[test]
    fn keys_sealed_by_the_notary_signer_are_opened() {
        let rows = test_vectors::rows();
        assert_eq!(rows.len(), 8);
        for row in rows {
            let opened = open(
                row.private_jwe.as_bytes(),
                &passphrase::from_text(&row.passphrase),
            )
            .unwrap();
            assert_eq!(hex::encode(&*opened), row.plaintext_hex, "{}", row.key_id);
        }
    }

    #[test]
    fn another_passphrase_opens_nothing() {
        for row in test_vectors::rows() {
            let opened = open(row.private_jwe.as_bytes(), &passphrase::from_text("another"));
            assert_eq!(opened.err(), Some(SealError::CannotOpen));
        }
    }

    #[test]
    fn sealed_keys_can_be_opened_and_each_sealing_differs() {
        let passphrase = passphrase::from_text(" käse\n");
        let (one, two) = (
            seal(b"secret", &passphrase).unwrap(),
            seal(b"secret", &passphrase).unwrap(),
        );
        assert_ne!(one, two);
        assert_eq!(*open(one.as_bytes(), &passphrase).unwrap(), b"secret");
    }

    #[test]
    fn the_header_has_the_exact_text_of_the_notary_signers() {
        let token = seal(b"secret", &passphrase::from_text("testpassword")).unwrap();
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header = String::from_utf8(header).unwrap();
        let (start, salt) = header.split_once(r#","p2s":""#).unwrap();
        assert_eq!(start, r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":8192"#);
        assert_eq!(
            URL_SAFE_NO_PAD
                .decode(salt.strip_suffix(r#""}"#).unwrap())
                .unwrap()
                .len(),
            SALT_LENGTH
        );
        assert_eq!(
            token.split('.').map(str::len).skip(1).take(2).collect::<Vec<_>>(),
            [54, 16]
        );
    }

    #[test]
    fn stronger_wrapping_is_opened_too() {
        let mut header = JweHeader::new();
        header.set_content_encryption(ENCRYPTION);
        let mut encrypter = PBES2_HS512_A256KW.encrypter_from_bytes("testpassword").unwrap();
        encrypter.set_iter_count(600_000);
        let token = jwe::serialize_compact(b"secret", &header, &encrypter).unwrap();
        let opened = open(token.as_bytes(), &passphrase::from_text("testpassword")).unwrap();
        assert_eq!(*opened, b"secret");
    }

    #[test]
    fn garbage_is_refused() {
        for garbage in [&b""[..], b"a.b.c.d.e", b"\xff\xfe", b"...."] {
            assert_eq!(
                open(garbage, &passphrase::from_text("x")).err(),
                Some(SealError::CannotOpen)
            );
        }
    }
}
