//! The hash of a public key: one for each key, however a certificate encodes it.

use openssl::{
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    pkey::{HasPublic, Id, PKey, PKeyRef},
    rsa::Rsa,
    sha::sha256,
    x509::X509Ref,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// How a SubjectPublicKeyInfo begins that can be encoded in one way only, and how long it is in bytes: ECDSA on P-256
/// and P-384 with an uncompressed point (RFC 5480 section 2), Ed25519 (RFC 8410 section 4).
const UNIQUE: [(&[u8], usize); 3] = [
    (
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04",
        91,
    ),
    (
        b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04",
        120,
    ),
    (b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 44),
];

/// The SHA-256 of a key as SubjectPublicKeyInfo, in lower-case hexadecimal digits: RSA with NULL parameters (RFC 3279
/// section 2.3.1) also where a certificate has none or says RSASSA-PSS; ECDSA with a named curve and an uncompressed
/// point.
///
/// # Errors
/// When OpenSSL cannot encode it.
pub fn hash_of_key<T: HasPublic>(key: &PKeyRef<T>) -> Result<String, ErrorStack> {
    let der = match key.id() {
        Id::RSA | Id::RSA_PSS => {
            let rsa = key.rsa()?;
            let bare = Rsa::from_public_components(rsa.n().to_owned()?, rsa.e().to_owned()?)?;
            PKey::from_rsa(bare)?.public_key_to_der()?
        }
        Id::EC => {
            let key_of_curve = key.ec_key()?;
            match key_of_curve.group().curve_name() {
                Some(curve) => {
                    // A key made anew writes its point uncompressed.
                    let group = EcGroup::from_curve_name(curve)?;
                    let bare = EcKey::from_public_key(&group, key_of_curve.public_key())?;
                    PKey::from_ec_key(bare)?.public_key_to_der()?
                }
                None => key.public_key_to_der()?,
            }
        }
        _ => key.public_key_to_der()?,
    };
    Ok(hex::encode(sha256(&der)))
}

/// The hash of a certificate's key, followed by the hashes that older versions of this program used for it: of the key
/// as OpenSSL encodes it, and as the certificate does. Empty if the key cannot be read.
pub fn hashes_of_key(certificate: &X509Ref) -> Option<Vec<String>> {
    let der = certificate.to_der().ok()?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    let raw = parsed.public_key().raw;
    let as_written = hex::encode(sha256(raw));
    let unique = |(begin, length): &(&[u8], usize)| raw.len() == *length && raw.starts_with(begin);
    // The common case, handled first because encoding a key again costs as much as verifying a signature.
    if UNIQUE.iter().any(unique) {
        return Some(vec![as_written]);
    }
    let key = certificate.public_key().ok()?;
    let mut hashes = vec![hash_of_key(&key).ok()?];
    let encoded = key.public_key_to_der().ok()?;
    for other in [hex::encode(sha256(&encoded)), as_written] {
        if !hashes.contains(&other) {
            hashes.push(other);
        }
    }
    Some(hashes)
}

#[cfg(test)]
mod tests {
    use openssl::{bn::BigNumContext, ec::PointConversionForm, nid::Nid, pkey::Private, x509::X509};
    use x509_parser::x509::SubjectPublicKeyInfo;

    use super::*;

    fn certificate(key: &PKey<Private>) -> X509 {
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_pubkey(key).unwrap();
        let number = openssl::bn::BigNum::from_u32(1).unwrap();
        builder
            .set_serial_number(&number.to_asn1_integer().unwrap())
            .unwrap();
        let moment = openssl::asn1::Asn1Time::days_from_now(1).unwrap();
        builder.set_not_before(&moment).unwrap();
        builder.set_not_after(&moment).unwrap();
        let signer = PKey::generate_ed25519().unwrap();
        builder
            .sign(&signer, openssl::hash::MessageDigest::null())
            .unwrap();
        builder.build()
    }

    /// The same with other bytes at one place; the lengths around it follow.
    fn with_spki(certificate: &X509, spki: &[u8], by: &[u8]) -> X509 {
        let der = certificate.to_der().unwrap();
        let place = der.windows(spki.len()).position(|window| window == spki).unwrap();
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        let inner = parsed.tbs_certificate.as_ref();
        let start = inner.as_ptr() as usize - der.as_ptr() as usize;
        let header = |length: usize| {
            let length = u16::try_from(length).unwrap().to_be_bytes();
            [&[0x30, 0x82], &length[..]].concat()
        };
        let content = |bytes: &[u8]| {
            if bytes[1] & 0x80 == 0 {
                2
            } else {
                2 + usize::from(bytes[1] & 0x7f)
            }
        };
        let body = start + content(&der[start..]);
        let tbs = [
            &der[body..place],
            by,
            &der[place + spki.len()..start + inner.len()],
        ]
        .concat();
        let tbs = [header(tbs.len()), tbs].concat();
        let rest = &der[start + inner.len()..];
        let whole = [tbs.as_slice(), rest].concat();
        X509::from_der(&[header(whole.len()), whole].concat()).unwrap()
    }

    #[test]
    fn one_key_has_one_hash_however_a_certificate_encodes_it() {
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let usual = certificate(&rsa);
        let spki = rsa.public_key_to_der().unwrap();
        // Without the NULL after the algorithm: two bytes less, in the algorithm and in the whole.
        let null = spki.windows(2).position(|window| window == b"\x05\x00").unwrap();
        let mut bare = spki.clone();
        bare.drain(null..null + 2);
        bare[5] -= 2;
        let length = u16::from_be_bytes([bare[2], bare[3]]) - 2;
        bare[2..4].copy_from_slice(&length.to_be_bytes());
        let bare = with_spki(&usual, &spki, &bare);
        let expected = hash_of_key(&rsa).unwrap();
        assert_eq!(hashes_of_key(&usual).unwrap(), std::slice::from_ref(&expected));
        let hashes = hashes_of_key(&bare).unwrap();
        assert_eq!(hashes[0], expected);
        assert_eq!(hashes.len(), 2, "and that of the bytes as they stand");
    }

    #[test]
    fn a_compressed_point_is_the_same_key() {
        for curve in [Nid::X9_62_PRIME256V1, Nid::SECP384R1, Nid::SECP521R1] {
            let group = EcGroup::from_curve_name(curve).unwrap();
            let key = EcKey::generate(&group).unwrap();
            let usual = PKey::from_ec_key(key.clone()).unwrap();
            let expected = hash_of_key(&usual).unwrap();
            assert_eq!(
                hashes_of_key(&certificate(&usual)).unwrap(),
                std::slice::from_ref(&expected)
            );
            let mut context = BigNumContext::new().unwrap();
            let form = PointConversionForm::COMPRESSED;
            let point = key.public_key().to_bytes(&group, form, &mut context).unwrap();
            let spki = usual.public_key_to_der().unwrap();
            let (_, parsed) = SubjectPublicKeyInfo::from_der(&spki).unwrap();
            let begin = if spki[1] < 0x80 { 2 } else { 3 };
            let end = spki.len() - parsed.subject_public_key.data.len() - 1;
            let algorithm = &spki[begin..][..2 + usize::from(spki[begin + 1])];
            assert!(begin + algorithm.len() < end);
            let size = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
            let bits = [&[0x03, size(&point) + 1, 0], point.as_slice()].concat();
            let short = [algorithm, &bits].concat();
            let short = [&[0x30, size(&short)], short.as_slice()].concat();
            assert_eq!(
                hash_of_key(&PKey::public_key_from_der(&short).unwrap()).unwrap(),
                expected
            );
            let certificate = with_spki(&certificate(&usual), &spki, &short);
            let hashes = hashes_of_key(&certificate).unwrap();
            assert_eq!(hashes[0], expected);
            assert!(hashes.len() > 1);
        }
    }
}
