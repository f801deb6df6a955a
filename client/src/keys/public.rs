//! Public keys of other people, as they hand them over: certificates, and public keys in PEM as openssl and
//! `docker trust key generate` write them.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    pkey::{Id, PKey, Public},
    x509::X509,
};
use tuf::{KeyType, PublicKey};

use super::KeyError;

/// Reads the public key of a signer from a file: a certificate (the key is listed with it, and with those that follow it
/// in the file), or a public key in PEM.
///
/// # Errors
/// When the file cannot be read, or holds a private key or no key that verifiers can use.
pub fn read_public_key(path: &Path) -> Result<PublicKey, KeyError> {
    let wrong = |reason: String| KeyError::File {
        path: path.to_path_buf(),
        reason,
    };
    let text = platform::files::read_to_string(path).map_err(|cause| wrong(cause.to_string()))?;
    parse(&text).map_err(wrong)
}

fn parse(text: &str) -> Result<PublicKey, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err(
            "it holds a private key, which nobody else should have; hand over the public key or certificate"
                .into(),
        );
    }
    if text.contains("-----BEGIN CERTIFICATE-----") {
        let chain = platform::tls::parse_certificates(text.as_bytes())?;
        let leaf = chain.first().and_then(|leaf| leaf.public_key().ok());
        let kind = match kind(leaf.as_ref())? {
            KeyType::Rsa => KeyType::RsaX509,
            _ => KeyType::EcdsaX509,
        };
        let pem = |certificate: &X509| {
            certificate
                .to_pem()
                .map_err(|_| "its certificate cannot be written".to_owned())
        };
        let pem: Vec<Vec<u8>> = chain.iter().map(pem).collect::<Result<_, _>>()?;
        return Ok(PublicKey::new(kind, pem.concat()));
    }
    let der = public_der(text).ok_or("it holds neither a certificate nor a public key in PEM")?;
    let key =
        PKey::public_key_from_der(&der).map_err(|_| "its public key is damaged, or of an unknown kind")?;
    let kind = kind(Some(&key))?;
    // As OpenSSL writes it: whatever form the file has, the key has one ID.
    let der = key
        .public_key_to_der()
        .map_err(|_| "its public key cannot be written")?;
    Ok(PublicKey::new(kind, der))
}

fn kind(key: Option<&PKey<Public>>) -> Result<KeyType, String> {
    match key.map(|key| (key.id(), key.bits())) {
        Some((Id::EC, _)) => Ok(KeyType::Ecdsa),
        Some((Id::RSA, 2_048..)) => Ok(KeyType::Rsa),
        Some((Id::RSA, bits)) => Err(format!(
            "its RSA key has {bits} bits, and 2048 are the least that verifiers take"
        )),
        _ => Err("its key is neither ECDSA nor RSA, the only kinds that notary and docker verify".into()),
    }
}

/// The content of the first public key. Docker puts headers before it, which OpenSSL does not read.
fn public_der(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN PUBLIC KEY-----")?;
    let (content, _) = rest.split_once("-----END PUBLIC KEY-----")?;
    let lines = content.lines().map(str::trim).filter(|line| !line.contains(':'));
    STANDARD.decode(lines.collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{PrivateKey, SigningKey};

    #[test]
    fn keys_are_read_with_dockers_header_and_without() {
        let key = PrivateKey::generate().unwrap();
        let pem = String::from_utf8(key.pkey().public_key_to_pem().unwrap()).unwrap();
        assert_eq!(parse(&pem).as_ref(), Ok(key.public()));
        let dockers = pem.replace("KEY-----\nM", "KEY-----\nrole: alice\n\nM");
        assert_ne!(dockers, pem);
        assert_eq!(parse(&dockers).as_ref(), Ok(key.public()));
    }

    #[test]
    fn what_is_no_public_key_is_refused_in_words() {
        let private = PrivateKey::generate()
            .unwrap()
            .pkey()
            .private_key_to_pem_pkcs8()
            .unwrap();
        assert!(
            parse(&String::from_utf8(private).unwrap())
                .unwrap_err()
                .contains("private key")
        );
        let ed25519 = PKey::generate_ed25519().unwrap().public_key_to_pem().unwrap();
        assert!(
            parse(&String::from_utf8(ed25519).unwrap())
                .unwrap_err()
                .contains("neither ECDSA")
        );
        assert!(parse("hello").is_err());
    }
}
