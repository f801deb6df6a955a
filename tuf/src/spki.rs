//! Public keys from a SubjectPublicKeyInfo.
//!
//! Clients read keys strictly: valid DER, named NIST curves, uncompressed points. A key that they would refuse must not
//! count here either.

use std::sync::OnceLock;

use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Public};
use thiserror::Error;

/// Smallest RSA modulus, in bits.
pub(crate) const MIN_RSA_BITS: u32 = 2048;

/// Why a public value is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    #[error("not an ECDSA key on a NIST curve in DER")]
    Ecdsa,
    #[error("not an RSA key in DER")]
    Rsa,
    #[error("RSA bit length is too short")]
    Short,
    #[error("{0}")]
    Library(String),
}

/// A curve that clients know.
struct Curve {
    nid: Nid,
    /// Bytes of a number of this curve.
    width: usize,
    /// The part of a SubjectPublicKeyInfo before the coordinates of an uncompressed point.
    prefix: &'static [u8],
    group: OnceLock<EcGroup>,
}

/// Decoding with the library takes longer than verifying a signature, and accepts more than clients do. Each curve has
/// exactly one valid prefix, which the point follows.
static CURVES: [Curve; 4] = [
    Curve {
        nid: Nid::X9_62_PRIME256V1,
        width: 32,
        prefix: b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\
                  \x03\x42\x00\x04",
        group: OnceLock::new(),
    },
    Curve {
        nid: Nid::SECP384R1,
        width: 48,
        prefix: b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04",
        group: OnceLock::new(),
    },
    Curve {
        nid: Nid::SECP521R1,
        width: 66,
        prefix: b"\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23\
                  \x03\x81\x86\x00\x04",
        group: OnceLock::new(),
    },
    Curve {
        nid: Nid::SECP224R1,
        width: 28,
        prefix: b"\x30\x4e\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x21\x03\x3a\x00\x04",
        group: OnceLock::new(),
    },
];

impl Curve {
    /// The curve of a key, by its encoding.
    fn of(der: &[u8]) -> Option<&'static Self> {
        CURVES
            .iter()
            .find(|c| der.len() == c.prefix.len() + 2 * c.width && der.starts_with(c.prefix))
    }

    fn group(&self) -> Result<&EcGroup, ErrorStack> {
        if let Some(group) = self.group.get() {
            return Ok(group);
        }
        let group = EcGroup::from_curve_name(self.nid)?;
        Ok(self.group.get_or_init(|| group))
    }
}

/// Whether this looks like an ECDSA key that clients can read. That the point is on the curve is not checked.
pub(crate) fn is_ecdsa(der: &[u8]) -> bool {
    Curve::of(der).is_some()
}

/// An ECDSA key and the bytes of a number of its curve.
pub(crate) fn ecdsa_key(der: &[u8]) -> Result<(EcKey<Public>, usize), KeyError> {
    let curve = Curve::of(der).ok_or(KeyError::Ecdsa)?;
    // The last byte of the prefix belongs to the point: it says that it is uncompressed.
    let point = der.get(curve.prefix.len() - 1..).ok_or(KeyError::Ecdsa)?;
    let group = curve.group()?;
    let mut numbers = BigNumContext::new()?;
    let point = EcPoint::from_bytes(group, point, &mut numbers)?;
    Ok((EcKey::from_public_key(group, &point)?, curve.width))
}

/// An RSA key of at least 2,048 bits.
pub(crate) fn rsa_key(der: &[u8]) -> Result<PKey<Public>, KeyError> {
    let key = PKey::public_key_from_der(der)?;
    if key.public_key_to_der()? != der {
        return Err(KeyError::Rsa);
    }
    strong_rsa(key)
}

/// An RSA key of at least 2,048 bits that is written in PEM.
pub(crate) fn rsa_key_from_pem(pem: &[u8]) -> Result<PKey<Public>, KeyError> {
    strong_rsa(PKey::public_key_from_pem(pem)?)
}

fn strong_rsa(key: PKey<Public>) -> Result<PKey<Public>, KeyError> {
    match key.id() {
        Id::RSA if key.bits() < MIN_RSA_BITS => Err(KeyError::Short),
        Id::RSA => Ok(key),
        _ => Err(KeyError::Rsa),
    }
}

impl From<ErrorStack> for KeyError {
    fn from(error: ErrorStack) -> Self {
        let reason = error.errors().first().and_then(|e| e.reason());
        Self::Library(reason.unwrap_or("not readable").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ec::{Asn1Flag, PointConversionForm};

    fn generate(nid: Nid) -> EcKey<openssl::pkey::Private> {
        EcKey::generate(&EcGroup::from_curve_name(nid).unwrap()).unwrap()
    }

    #[test]
    fn keys_of_every_curve_are_read() {
        for curve in &CURVES {
            let key = generate(curve.nid);
            let der = key.public_key_to_der().unwrap();
            let (read, width) = ecdsa_key(&der).unwrap();
            assert_eq!(read.public_key_to_der().unwrap(), der);
            assert_eq!(width, curve.width);
            assert!(is_ecdsa(&der));
        }
    }

    #[test]
    fn other_encodings_are_refused() {
        let key = generate(Nid::X9_62_PRIME256V1);
        let der = key.public_key_to_der().unwrap();
        let mut context = BigNumContext::new().unwrap();
        let compressed = key
            .public_key()
            .to_bytes(key.group(), PointConversionForm::COMPRESSED, &mut context)
            .unwrap();
        let mut spelled_out = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        spelled_out.set_asn1_flag(Asn1Flag::EXPLICIT_CURVE);
        let spelled_out = EcKey::generate(&spelled_out)
            .unwrap()
            .public_key_to_der()
            .unwrap();
        for other in [
            [&der[..], b"\0"].concat(),
            der[..90].to_vec(),
            [&der[..26], &compressed].concat(),
            spelled_out,
            generate(Nid::SECP256K1).public_key_to_der().unwrap(),
            vec![],
        ] {
            assert_eq!(ecdsa_key(&other).unwrap_err(), KeyError::Ecdsa);
        }
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut der = generate(Nid::X9_62_PRIME256V1).public_key_to_der().unwrap();
        *der.last_mut().unwrap() ^= 1;
        assert!(matches!(ecdsa_key(&der), Err(KeyError::Library(_))));
    }

    #[test]
    fn rsa_keys_must_be_long_enough_and_exact() {
        let der = |bits| {
            openssl::rsa::Rsa::generate(bits)
                .unwrap()
                .public_key_to_der()
                .unwrap()
        };
        let good = der(2048);
        assert!(rsa_key(&good).is_ok());
        assert_eq!(rsa_key(&[&good[..], b"\0"].concat()).unwrap_err(), KeyError::Rsa);
        assert_eq!(rsa_key(&der(1024)).unwrap_err(), KeyError::Short);
        let ecdsa = generate(Nid::SECP384R1).public_key_to_der().unwrap();
        assert_eq!(rsa_key(&ecdsa).unwrap_err(), KeyError::Rsa);
    }
}
