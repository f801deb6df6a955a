//! The files in which notary and docker keep private keys: PEM with the headers `role` and `gun`, PKCS#8 encrypted with a
//! passphrase (RFC 5958, RFC 8018), the name of the file being the key's ID.
//!
//! Both programs open nothing but PBES2 with PBKDF2 of HMAC-SHA1 and AES in CBC mode, so that is what is written.

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    hash::MessageDigest,
    pkcs5::pbkdf2_hmac,
    pkey::{PKey, Private},
    rand::rand_bytes,
    symm::{Cipher, encrypt},
};
use zeroize::Zeroizing;

/// How often the passphrase is hashed. Notary and docker write 2,048, and take what the file says.
const ITERATIONS: u32 = 200_000;
/// The label of a key in PKCS#8 with a passphrase.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// The longest line of Base64 (RFC 7468 section 2).
const LINE: usize = 64;

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const INTEGER: u8 = 0x02;
/// Object identifiers in DER: id-PBES2, id-PBKDF2, aes256-CBC.
const PBES2: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d";
const PBKDF2: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c";
const AES_256_CBC: &[u8] = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a";

/// A private key's file, before its passphrase is known.
pub(super) struct KeyFile {
    label: String,
    headers: Vec<(String, String)>,
    der: Zeroizing<Vec<u8>>,
}

/// Why a private key could not be taken out of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// It needs a passphrase, or another one.
    Passphrase,
    /// It is no private key.
    Damaged,
}

impl KeyFile {
    /// Reads the first private key of a PEM text.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let label = lines.find_map(|line| {
            let label = line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
            label.ends_with("PRIVATE KEY").then(|| label.to_owned())
        })?;
        let end = format!("-----END {label}-----");
        let mut headers = Vec::new();
        let mut encoded = Zeroizing::new(String::new());
        for line in lines {
            if line == end {
                let der = Zeroizing::new(STANDARD.decode(encoded.as_bytes()).ok()?);
                return Some(Self { label, headers, der });
            }
            match line.split_once(':') {
                Some((name, value)) if encoded.is_empty() => {
                    headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
                Some(_) => return None,
                None => encoded.push_str(line),
            }
        }
        None
    }

    /// A header, by its name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether it needs a passphrase.
    pub(super) fn is_encrypted(&self) -> bool {
        self.label == ENCRYPTED
            || self
                .header("Proc-Type")
                .is_some_and(|kind| kind.ends_with("ENCRYPTED"))
    }

    /// Takes the key out.
    pub(super) fn open(&self, passphrase: &[u8]) -> Result<PKey<Private>, Closed> {
        if self.label == ENCRYPTED {
            return PKey::private_key_from_pkcs8_passphrase(&self.der, passphrase)
                .map_err(|_| Closed::Passphrase);
        }
        if !self.is_encrypted() {
            return PKey::private_key_from_der(&self.der).map_err(|_| Closed::Damaged);
        }
        // The old encryption of PEM itself (RFC 1421): OpenSSL reads it with these headers only.
        let old = self
            .headers
            .iter()
            .filter(|(name, _)| name == "Proc-Type" || name == "DEK-Info");
        let headers: String = old.map(|(name, value)| format!("{name}: {value}\n")).collect();
        let text = Zeroizing::new(armored(&self.label, &headers, &self.der));
        PKey::private_key_from_pem_passphrase(text.as_bytes(), passphrase).map_err(|_| Closed::Passphrase)
    }
}

/// Writes a key with its role and repository, encrypted with a passphrase.
pub(super) fn write(
    key: &PKey<Private>,
    role: &str,
    gun: Option<&str>,
    passphrase: &[u8],
) -> Result<String, openssl::error::ErrorStack> {
    let clear = Zeroizing::new(key.private_key_to_pkcs8()?);
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rand_bytes(&mut salt)?;
    rand_bytes(&mut iv)?;
    let mut secret = Zeroizing::new([0; 32]);
    let sha1 = MessageDigest::sha1();
    pbkdf2_hmac(passphrase, &salt, ITERATIONS as usize, sha1, &mut *secret)?;
    let encrypted = encrypt(Cipher::aes_256_cbc(), &*secret, Some(&iv), &clear)?;
    let rounds = integer(ITERATIONS);
    // The pseudo-random function is HMAC-SHA1, which is said by saying nothing.
    let derivation = element(SEQUENCE, &[element(OCTET_STRING, &[&salt]), rounds]);
    let derivation = element(SEQUENCE, &[PBKDF2.to_vec(), derivation]);
    let cipher = element(SEQUENCE, &[AES_256_CBC.to_vec(), element(OCTET_STRING, &[&iv])]);
    let scheme = element(
        SEQUENCE,
        &[PBES2.to_vec(), element(SEQUENCE, &[derivation, cipher])],
    );
    let der = element(SEQUENCE, &[scheme, element(OCTET_STRING, &[&encrypted])]);
    let mut headers = String::new();
    if let Some(gun) = gun {
        headers.push_str(&format!("gun: {gun}\n"));
    }
    headers.push_str(&format!("role: {role}\n"));
    Ok(armored(ENCRYPTED, &headers, &der))
}

/// An element of DER (X.690 section 8.1).
fn element(tag: u8, contents: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let length: usize = contents.iter().map(|content| content.as_ref().len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | bytes.len() as u8);
            out.extend(bytes);
        }
    }
    for content in contents {
        out.extend_from_slice(content.as_ref());
    }
    out
}

/// A number that is not negative, as short as it can be (X.690 section 8.3).
fn integer(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes
        .iter()
        .take_while(|byte| **byte == 0)
        .count()
        .min(bytes.len() - 1);
    let sign: &[u8] = if bytes[zeros] < 0x80 { &[] } else { &[0] };
    element(INTEGER, &[sign, &bytes[zeros..]])
}

fn armored(label: &str, headers: &str, der: &[u8]) -> String {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    if !headers.is_empty() {
        text.push_str(headers);
        text.push('\n');
    }
    for line in encoded.as_bytes().chunks(LINE) {
        // Base64 is ASCII.
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use openssl::{ec::EcGroup, ec::EcKey, nid::Nid, rsa::Rsa};

    use super::*;

    fn keys() -> [PKey<Private>; 2] {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let ec = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        [ec, PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()]
    }

    #[test]
    fn what_is_written_is_opened_with_its_passphrase_only() {
        for key in keys() {
            let text = write(&key, "targets", Some("reg.example/app"), b"secret").unwrap();
            let file = KeyFile::read(&text).unwrap();
            assert_eq!(
                (file.header("role"), file.header("gun")),
                (Some("targets"), Some("reg.example/app"))
            );
            assert!(file.is_encrypted());
            assert!(file.open(b"secret").unwrap().public_eq(&key));
            assert_eq!(file.open(b"other").unwrap_err(), Closed::Passphrase);
            assert_eq!(file.open(b"").unwrap_err(), Closed::Passphrase);
        }
    }

    #[test]
    fn keys_of_every_form_are_read() {
        for key in keys() {
            let plain = key.private_key_to_pem_pkcs8().unwrap();
            let sealed = key
                .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"p")
                .unwrap();
            let old = match key.ec_key() {
                Ok(ec) => ec
                    .private_key_to_pem_passphrase(Cipher::aes_256_cbc(), b"p")
                    .unwrap(),
                Err(_) => key
                    .rsa()
                    .unwrap()
                    .private_key_to_pem_passphrase(Cipher::aes_256_cbc(), b"p")
                    .unwrap(),
            };
            for text in [plain, sealed, old] {
                let text = String::from_utf8(text).unwrap();
                let file = KeyFile::read(&format!("a comment\n{text}")).unwrap();
                assert!(file.open(b"p").unwrap().public_eq(&key), "{text}");
            }
        }
        for text in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAA==\n",
            "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        ] {
            assert!(KeyFile::read(text).is_none());
        }
    }
}
