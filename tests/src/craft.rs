//! Certificates with any contents, right or wrong, put together byte by byte.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, PKeyRef, Private},
    rsa::Rsa,
    sign::Signer,
    x509::{X509, X509Extension, X509Name, X509NameBuilder},
};

use crate::pki::ClientFiles;

const DAY: i64 = 86_400;

/// Values of extensions, in DER.
pub mod der {
    /// extendedKeyUsage: clientAuth.
    pub const CLIENT: &[u8] = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
    /// extendedKeyUsage: serverAuth.
    pub const SERVER: &[u8] = b"\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
    /// extendedKeyUsage: anyExtendedKeyUsage.
    pub const ANY: &[u8] = b"\x30\x06\x06\x04\x55\x1d\x25\x00";
    /// keyUsage: digitalSignature.
    pub const SIGN: &[u8] = b"\x03\x02\x07\x80";
    /// keyUsage: keyEncipherment.
    pub const ENCIPHER: &[u8] = b"\x03\x02\x05\x20";
    /// keyUsage: keyAgreement.
    pub const AGREE: &[u8] = b"\x03\x02\x03\x08";
    /// keyUsage: keyCertSign, cRLSign.
    pub const ISSUE: &[u8] = b"\x03\x02\x01\x06";
    /// basicConstraints: a CA.
    pub const CA: &[u8] = b"\x30\x03\x01\x01\xff";
    /// basicConstraints: a CA that may issue no CAs.
    pub const CA_LAST: &[u8] = b"\x30\x06\x01\x01\xff\x02\x01\x00";
    /// basicConstraints: no CA.
    pub const NO_CA: &[u8] = b"\x30\x00";
    /// nsCertType: server.
    pub const NS_SERVER: &[u8] = b"\x03\x02\x06\x40";

    /// A tag, the length, and what is in it: less than 128 bytes.
    pub fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        assert!(length < 0x80);
        [&[tag, length], content].concat()
    }

    /// nameConstraints: only DNS names under this.
    pub fn permitted_dns(name: &str) -> Vec<u8> {
        tagged(0x30, &tagged(0xa0, &tagged(0x30, &tagged(0x82, name.as_bytes()))))
    }

    /// subjectAltName: a DNS name.
    pub fn dns(name: &str) -> Vec<u8> {
        tagged(0x30, &tagged(0x82, name.as_bytes()))
    }

    /// subjectKeyIdentifier.
    pub fn key_id(id: &[u8]) -> Vec<u8> {
        tagged(0x04, id)
    }

    /// authorityKeyIdentifier.
    pub fn issuer_key_id(id: &[u8]) -> Vec<u8> {
        tagged(0x30, &tagged(0x80, id))
    }
}

/// Object identifiers of extensions.
pub mod oid {
    /// extendedKeyUsage.
    pub const PURPOSES: &str = "2.5.29.37";
    /// keyUsage.
    pub const USAGE: &str = "2.5.29.15";
    /// basicConstraints.
    pub const CONSTRAINTS: &str = "2.5.29.19";
    /// nameConstraints.
    pub const NAMES: &str = "2.5.29.30";
    /// subjectAltName.
    pub const ALTERNATIVE: &str = "2.5.29.17";
    /// subjectKeyIdentifier.
    pub const KEY_ID: &str = "2.5.29.14";
    /// authorityKeyIdentifier.
    pub const ISSUER_KEY_ID: &str = "2.5.29.35";
    /// nsCertType.
    pub const NS_TYPE: &str = "2.16.840.1.113730.1.1";
}

/// The contents of a certificate.
pub struct Wanted {
    /// The subject.
    pub subject: X509Name,
    /// The serial number.
    pub serial: BigNum,
    /// 0 for version 1, 2 for version 3.
    pub version: i32,
    /// Validity in days from now.
    pub days: (i64, i64),
    /// Object identifier, whether it is critical, DER.
    pub extensions: Vec<(&'static str, bool, Vec<u8>)>,
    /// Its key.
    pub key: PKey<Private>,
    /// What its issuer signs with.
    pub digest: MessageDigest,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Made {
    /// The certificate.
    pub certificate: X509,
    /// Its key.
    pub key: PKey<Private>,
}

/// A name with one common name.
pub fn common_name(text: &str) -> X509Name {
    named(&[(Nid::COMMONNAME, text)])
}

/// A name of these parts, in the order of a certificate.
pub fn named(parts: &[(Nid, &str)]) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    for (nid, text) in parts {
        name.append_entry_by_nid(*nid, text).unwrap();
    }
    name.build()
}

/// A key on a curve.
pub fn curve_key(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// An RSA key.
pub fn rsa_key(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

impl Wanted {
    /// An ordinary client's certificate.
    pub fn client(name: &str) -> Self {
        Self {
            subject: common_name(name),
            serial: BigNum::from_u32(0x1234_5678).unwrap(),
            version: 2,
            days: (-1, 30),
            extensions: vec![
                (oid::USAGE, true, der::SIGN.to_vec()),
                (oid::PURPOSES, false, der::CLIENT.to_vec()),
            ],
            key: curve_key(Nid::X9_62_PRIME256V1),
            digest: MessageDigest::sha256(),
        }
    }

    /// An ordinary CA's certificate, without key identifiers.
    pub fn authority(name: &str) -> Self {
        Self {
            extensions: vec![
                (oid::CONSTRAINTS, true, der::CA.to_vec()),
                (oid::USAGE, true, der::ISSUE.to_vec()),
            ],
            ..Self::client(name)
        }
    }

    /// With this extension, which replaces another of its kind.
    #[must_use]
    pub fn with(mut self, oid: &'static str, critical: bool, der: &[u8]) -> Self {
        self.extensions.retain(|(known, ..)| *known != oid);
        self.extensions.push((oid, critical, der.to_vec()));
        self
    }

    /// Without extensions of a kind.
    #[must_use]
    pub fn without(mut self, oid: &str) -> Self {
        self.extensions.retain(|(known, ..)| *known != oid);
        self
    }

    /// Signed by its own key.
    pub fn self_signed(&self) -> Made {
        let certificate = self.build(&self.subject, &self.key);
        Made {
            certificate,
            key: self.key.clone(),
        }
    }

    fn build(&self, issuer: &X509Name, signer: &PKeyRef<Private>) -> X509 {
        let mut builder = X509::builder().unwrap();
        builder.set_version(self.version).unwrap();
        let serial = self.serial.to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&self.subject).unwrap();
        builder.set_issuer_name(issuer).unwrap();
        let now = chrono::Utc::now().timestamp();
        let at = |days: i64| Asn1Time::from_unix(now + days * DAY).unwrap();
        builder.set_not_before(&at(self.days.0)).unwrap();
        builder.set_not_after(&at(self.days.1)).unwrap();
        builder.set_pubkey(&self.key).unwrap();
        for (oid, critical, der) in &self.extensions {
            let oid = Asn1Object::from_str(oid).unwrap();
            let value = Asn1OctetString::new_from_bytes(der).unwrap();
            let extension = X509Extension::new_from_der(&oid, *critical, &value).unwrap();
            builder.append_extension(extension).unwrap();
        }
        let digest = if signer.id() == Id::ED25519 {
            MessageDigest::null()
        } else {
            self.digest
        };
        builder.sign(signer, digest).unwrap();
        builder.build()
    }
}

impl Made {
    /// Issues a certificate with these contents.
    pub fn issue(&self, wanted: &Wanted) -> Made {
        let issuer = self.certificate.subject_name().to_owned().unwrap();
        Made {
            certificate: wanted.build(&issuer, &self.key),
            key: wanted.key.clone(),
        }
    }

    /// Issues a certificate with these contents and another issuer name than its own.
    pub fn issue_as(&self, wanted: &Wanted, issuer: &X509Name) -> Made {
        Made {
            certificate: wanted.build(issuer, &self.key),
            key: wanted.key.clone(),
        }
    }

    /// The same with the first occurrence of some bytes replaced, the signature left as it is.
    pub fn with_bytes(&self, bytes: &[u8], by: &[u8]) -> Made {
        let mut der = self.certificate.to_der().unwrap();
        let place = der
            .windows(bytes.len())
            .position(|window| window == bytes)
            .unwrap();
        der.splice(place..place + bytes.len(), by.iter().copied());
        Made {
            certificate: X509::from_der(&der).unwrap(),
            key: self.key.clone(),
        }
    }

    /// The same with an RSA key whose algorithm has no parameters (RFC 3279 section 2.3.1 wants NULL), signed anew.
    pub fn without_null(&self, issuer: &PKeyRef<Private>) -> Made {
        let spki = self.key.public_key_to_der().unwrap();
        let null = spki.windows(2).position(|window| window == b"\x05\x00").unwrap();
        let inner = [&spki[4..null], &spki[null + 2..]].concat();
        let bare = long(0x30, &shorter(&inner));
        let der = self.certificate.to_der().unwrap();
        // A certificate, and what is signed in it, have lengths of two bytes here.
        let signed = 4 + usize::from(u16::from_be_bytes([der[6], der[7]])) + 4;
        let place = der.windows(spki.len()).position(|window| window == spki).unwrap();
        let content = [&der[8..place], &bare, &der[place + spki.len()..signed]].concat();
        let content = long(0x30, &content);
        let algorithm = &der[signed..][..2 + usize::from(der[signed + 1])];
        let mut signer = Signer::new(MessageDigest::sha256(), issuer).unwrap();
        let signature = signer.sign_oneshot_to_vec(&content).unwrap();
        let bits = [&[0], signature.as_slice()].concat();
        let bits = any_length(0x03, &bits);
        let whole = long(0x30, &[&content, algorithm, &bits].concat());
        Made {
            certificate: X509::from_der(&whole).unwrap(),
            key: self.key.clone(),
        }
    }

    /// The same with a signature that is wrong in its last bit.
    pub fn flipped(&self) -> Made {
        let mut der = self.certificate.to_der().unwrap();
        *der.last_mut().unwrap() ^= 1;
        Made {
            certificate: X509::from_der(&der).unwrap(),
            key: self.key.clone(),
        }
    }

    /// Files for a client, with these issuers after the certificate.
    pub fn files(&self, directory: &Path, name: &str, issuers: &[&Made], server_ca: &Path) -> ClientFiles {
        let files = ClientFiles {
            ca: server_ca.to_path_buf(),
            certificate: directory.join(format!("{name}.crafted.pem")),
            key: directory.join(format!("{name}.crafted-key.pem")),
        };
        let mut pem = self.certificate.to_pem().unwrap();
        for issuer in issuers {
            pem.extend(issuer.certificate.to_pem().unwrap());
        }
        fs::write(&files.certificate, pem).unwrap();
        fs::write(&files.key, self.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }
}

/// A tag, a length of two bytes, and what is in it.
fn long(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    assert!(length[0] > 0, "DER has lengths as short as possible");
    [&[tag, 0x82], &length[..], content].concat()
}

/// Shortens the lengths around an algorithm identifier whose last two bytes were removed.
fn shorter(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    content[1] -= 2;
    content
}

/// A revocation list of a CA with a P-256 key, good for a day, with one entry that has an extension of its own: the
/// object identifier in DER, whether it is critical, and its value.
pub fn list_with_entry(issuer: &X509, key: &PKeyRef<Private>, entry: (&[u8], bool, &[u8])) -> Vec<u8> {
    const ECDSA_WITH_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let time = |days: i64| {
        let moment = chrono::Utc::now() + chrono::TimeDelta::days(days);
        der::tagged(0x17, moment.format("%y%m%d%H%M%SZ").to_string().as_bytes())
    };
    let (oid, critical, value) = entry;
    let critical: &[u8] = if critical { b"\x01\x01\xff" } else { b"" };
    let extension = der::tagged(0x30, &[oid, critical, &der::tagged(0x04, value)].concat());
    let extensions = der::tagged(0x30, &extension);
    let entry = der::tagged(
        0x30,
        &[b"\x02\x01\x07", time(-1).as_slice(), &extensions].concat(),
    );
    let name = issuer.subject_name().to_der().unwrap();
    let entries = der::tagged(0x30, &entry);
    let signed = [
        b"\x02\x01\x01",
        ECDSA_WITH_SHA256,
        &name,
        &time(-1),
        &time(1),
        &entries,
    ]
    .concat();
    let signed = any_length(0x30, &signed);
    let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
    let signature = signer.sign_oneshot_to_vec(&signed).unwrap();
    let bits = any_length(0x03, &[&[0], signature.as_slice()].concat());
    any_length(0x30, &[&signed, ECDSA_WITH_SHA256, &bits].concat())
}

fn any_length(tag: u8, content: &[u8]) -> Vec<u8> {
    match content.len() {
        0..0x80 => der::tagged(tag, content),
        0x80..0x100 => [&[tag, 0x81, u8::try_from(content.len()).unwrap()], content].concat(),
        _ => long(tag, content),
    }
}
