//! The CA's revocation list (RFC 5280 section 5).

use chrono::{DateTime, Utc};
use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    error::ErrorStack,
    hash::MessageDigest,
    x509::{
        X509, X509Crl, X509CrlBuilder, X509Extension, X509RevokedBuilder, extension::AuthorityKeyIdentifier,
    },
};
use platform::pki::Issued;

use super::index::Record;

use crate::clock::Clock;

const CRL_NUMBER: &str = "2.5.29.20";

/// Creates a list of every revoked certificate among `records`, valid until `next_update`.
///
/// # Errors
/// When OpenSSL refuses.
pub(crate) fn make(
    authority: &Issued,
    records: &[Record],
    number: u64,
    next_update: DateTime<Utc>,
) -> Result<X509Crl, ErrorStack> {
    let mut list = X509CrlBuilder::new()?;
    list.set_issuer_name(authority.certificate.subject_name())?;
    let time = |moment: DateTime<Utc>| Asn1Time::from_unix(moment.timestamp());
    list.set_last_update(&*time(Clock::System.now())?)?;
    list.set_next_update(&*time(next_update)?)?;
    let issuer = X509::builder()?;
    let key_id = AuthorityKeyIdentifier::new()
        .keyid(true)
        .build(&issuer.x509v3_context(Some(&authority.certificate), None))?;
    list.append_extension(key_id)?;
    let number = Asn1OctetString::new_from_bytes(&integer(number))?;
    let oid = Asn1Object::from_str(CRL_NUMBER)?;
    list.append_extension(X509Extension::new_from_der(&oid, false, &number)?)?;
    for record in records {
        let Some(revoked) = &record.revoked else { continue };
        let mut entry = X509RevokedBuilder::new()?;
        let serial = BigNum::from_hex_str(&record.serial)?.to_asn1_integer()?;
        entry.set_serial_number(&serial)?;
        entry.set_revocation_date(&*time(revoked.at)?)?;
        list.add_revoked(entry.build())?;
    }
    list.sort()?;
    list.sign(&authority.key, MessageDigest::sha256())?;
    list.build()
}

/// The DER encoding of a positive integer, as short as possible.
fn integer(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let used = bytes.iter().skip_while(|byte| **byte == 0).copied();
    let mut digits: Vec<u8> = used.collect();
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        digits.insert(0, 0);
    }
    let length = u8::try_from(digits.len()).unwrap_or_default();
    [&[0x02, length], digits.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_as_short_as_they_can_be_and_positive() {
        assert_eq!(super::integer(0), [2, 1, 0]);
        assert_eq!(super::integer(127), [2, 1, 127]);
        assert_eq!(super::integer(128), [2, 2, 0, 128]);
        assert_eq!(super::integer(u64::MAX)[..3], [2, 9, 0]);
    }
}
