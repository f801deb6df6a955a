//! Public keys as a token has them (PKCS#11 v3.1 sections 6.1 and 6.3).

use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{Asn1Flag, EcGroup, EcKey, EcPoint},
    nid::Nid,
    pkey::{PKey, Public},
    rsa::Rsa,
    x509::X509,
};
use tuf::PublicKey;

use crate::keys::{KeyError, private::bare};

/// A curve: what OpenSSL calls it, its object identifier in DER (CKA_EC_PARAMS), and the bytes of a coordinate.
struct Curve {
    nid: Nid,
    parameters: &'static [u8],
    width: usize,
}

const CURVES: [Curve; 3] = [
    Curve {
        nid: Nid::X9_62_PRIME256V1,
        parameters: P256,
        width: 32,
    },
    Curve {
        nid: Nid::SECP384R1,
        parameters: b"\x06\x05\x2b\x81\x04\x00\x22",
        width: 48,
    },
    Curve {
        nid: Nid::SECP521R1,
        parameters: b"\x06\x05\x2b\x81\x04\x00\x23",
        width: 66,
    },
];
/// The parameters of P-256.
pub(super) const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// The tag of an OCTET STRING (X.690 section 8.7).
const OCTET_STRING: u8 = 0x04;

/// An ECDSA key of its parameters and its point, which stands there as it is or, as the specification has it, in an OCTET
/// STRING.
pub(super) fn of_point(parameters: &[u8], point: &[u8]) -> Result<PublicKey, KeyError> {
    let curve = CURVES.iter().find(|curve| curve.parameters == parameters);
    let curve = curve
        .ok_or_else(|| KeyError::Kind("an ECDSA key on another curve than P-256, P-384 and P-521".into()))?;
    let damaged = || KeyError::Kind("an ECDSA key whose point is damaged".into());
    let point = bare_point(point, curve.width).ok_or_else(damaged)?;
    let read = || {
        let mut group = EcGroup::from_curve_name(curve.nid)?;
        group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
        // It fails for a point that is not on the curve.
        let point = EcPoint::from_bytes(&group, point, &mut *BigNumContext::new()?)?;
        PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)
    };
    bare(&read().map_err(|_| damaged())?)
}

/// An RSA key of its modulus and exponent, both big-endian.
pub(super) fn of_numbers(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, KeyError> {
    let read = || {
        let key = Rsa::from_public_components(BigNum::from_slice(modulus)?, BigNum::from_slice(exponent)?)?;
        PKey::from_rsa(key)
    };
    bare(&read().map_err(|_: openssl::error::ErrorStack| damaged_rsa())?)
}

/// The key of a SubjectPublicKeyInfo in DER (CKA_PUBLIC_KEY_INFO).
pub(super) fn of_info(der: &[u8]) -> Result<PublicKey, KeyError> {
    let key = PKey::public_key_from_der(der);
    bare(&key.map_err(|_| KeyError::Kind("a public key that is damaged, or of an unknown kind".into()))?)
}

/// The key of a certificate in DER.
pub(super) fn of_certificate(der: &[u8]) -> Result<PublicKey, KeyError> {
    let key: Result<PKey<Public>, _> = X509::from_der(der).and_then(|found| found.public_key());
    bare(
        &key.map_err(|_| {
            KeyError::Kind("a certificate that is damaged, or of an unknown kind of key".into())
        })?,
    )
}

fn damaged_rsa() -> KeyError {
    KeyError::Kind("an RSA key whose numbers are damaged".into())
}

/// The bytes of a point (SEC 1 section 2.3.3): `04`, x and y, or compressed. Its length tells it apart from one in an OCTET
/// STRING.
fn bare_point(given: &[u8], width: usize) -> Option<&[u8]> {
    let (whole, compressed) = (1 + 2 * width, 1 + width);
    let is_point = |point: &[u8]| point.len() == whole || point.len() == compressed;
    if is_point(given) {
        return Some(given);
    }
    let content = match given {
        [OCTET_STRING, 0x81, length, content @ ..] if *length >= 0x80 => (*length, content),
        [OCTET_STRING, length, content @ ..] if *length < 0x80 => (*length, content),
        _ => return None,
    };
    let (length, content) = content;
    (usize::from(length) == content.len() && is_point(content)).then_some(content)
}

/// What a token calls a public key: its parameters and its point in an OCTET STRING, for keys on a known curve.
pub(super) fn parameters_and_point(nid: Nid, point: &[u8]) -> Option<(&'static [u8], Vec<u8>)> {
    let curve = CURVES.iter().find(|curve| curve.nid == nid)?;
    let mut wrapped = vec![OCTET_STRING];
    let length = u8::try_from(point.len()).ok()?;
    if length >= 0x80 {
        wrapped.push(0x81);
    }
    wrapped.push(length);
    wrapped.extend_from_slice(point);
    Some((curve.parameters, wrapped))
}

#[cfg(test)]
mod tests {
    use openssl::ec::PointConversionForm;

    use super::*;

    #[test]
    fn points_of_every_curve_are_read_wrapped_bare_and_compressed() {
        for curve in &CURVES {
            let mut group = EcGroup::from_curve_name(curve.nid).unwrap();
            group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
            let key = EcKey::generate(&group).unwrap();
            let bytes = |form| {
                let mut context = BigNumContext::new().unwrap();
                key.public_key().to_bytes(&group, form, &mut context).unwrap()
            };
            let whole = bytes(PointConversionForm::UNCOMPRESSED);
            let expected = PKey::from_ec_key(key.clone())
                .unwrap()
                .public_key_to_der()
                .unwrap();
            let (parameters, wrapped) = parameters_and_point(curve.nid, &whole).unwrap();
            assert_eq!(parameters, curve.parameters);
            for point in [&whole, &wrapped, &bytes(PointConversionForm::COMPRESSED)] {
                assert_eq!(of_point(parameters, point).unwrap().public(), expected);
            }
            assert_eq!(of_info(&expected).unwrap().public(), expected);
            let mut off = whole.clone();
            *off.last_mut().unwrap() ^= 1;
            for wrong in [
                &off[..],
                &whole[1..],
                &wrapped[1..],
                &[&wrapped[..], b"\0"].concat(),
                b"",
                b"\x04",
                b"\x04\x81",
            ] {
                assert!(of_point(parameters, wrong).is_err());
            }
        }
        assert!(of_point(b"\x06\x05\x2b\x81\x04\x00\x0a", b"\x04").is_err());
        assert!(of_point(b"", b"").is_err());
    }

    #[test]
    fn rsa_keys_are_read_if_they_are_strong_enough() {
        let key = Rsa::generate(2048).unwrap();
        let read = of_numbers(&key.n().to_vec(), &key.e().to_vec()).unwrap();
        let expected = PKey::from_rsa(key.clone()).unwrap().public_key_to_der().unwrap();
        assert_eq!(read.public(), expected);
        // Some tokens write a number with a zero before it.
        let padded = [&[0], key.n().to_vec().as_slice()].concat();
        assert_eq!(of_numbers(&padded, &key.e().to_vec()).unwrap(), read);
        let weak = Rsa::generate(1024).unwrap();
        assert!(of_numbers(&weak.n().to_vec(), &weak.e().to_vec()).is_err());
        assert!(of_numbers(b"", b"").is_err());
        assert!(of_info(b"hello").is_err() && of_certificate(b"hello").is_err());
    }
}
