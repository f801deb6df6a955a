//! Certificates of root keys.

use chrono::{DateTime, TimeDelta, Utc};
use openssl::{
    asn1::{Asn1Integer, Asn1Time, Asn1Type},
    bn::{BigNum, MsbOption},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    x509::{X509Builder, X509NameBuilder, extension::KeyUsage},
};
use platform::reason;
use tuf::{Gun, KeyType, PublicKey};

use crate::keys::{KeyError, PrivateKey, SigningKey};

/// How long a root's certificate is valid, as that of notary and docker.
const LIFETIME: TimeDelta = TimeDelta::days(3_650);
/// How far the clocks of others may be behind.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::hours(1);

/// A self-signed certificate of a root key for one repository, as a root lists it: its common name is the repository.
/// It has no extended key usage, because readers that pin an authority refuse it with one.
///
/// # Errors
/// When OpenSSL fails.
pub fn root_certificate(key: &PrivateKey, gun: &Gun, now: DateTime<Utc>) -> Result<PublicKey, KeyError> {
    let pem = pem(key, gun, now).map_err(|cause| KeyError::OpenSsl(reason::of_openssl(&cause)))?;
    let kind = match key.public().key_type() {
        KeyType::Rsa => KeyType::RsaX509,
        _ => KeyType::EcdsaX509,
    };
    Ok(PublicKey::new(kind, pem))
}

fn pem(key: &PrivateKey, gun: &Gun, now: DateTime<Utc>) -> Result<Vec<u8>, ErrorStack> {
    let mut subject = X509NameBuilder::new()?;
    // A repository may have a longer name than RFC 5280 allows for a common name; clients accept that.
    subject.append_entry_by_nid_with_type(Nid::COMMONNAME, gun.as_str(), Asn1Type::UTF8STRING)?;
    let subject = subject.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let serial: Asn1Integer = serial.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    let at = |moment: DateTime<Utc>| Asn1Time::from_unix(moment.timestamp());
    builder.set_not_before(at(now - CLOCK_TOLERANCE)?.as_ref())?;
    builder.set_not_after(at(now + LIFETIME)?.as_ref())?;
    builder.set_pubkey(key.pkey())?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.sign(key.pkey(), MessageDigest::sha256())?;
    builder.build().to_pem()
}
