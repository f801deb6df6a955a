use openssl::{
    asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time, Asn1Type},
    bn::BigNum,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509Builder, X509Extension, X509NameBuilder,
        extension::{ExtendedKeyUsage, SubjectAlternativeName},
    },
};
use platform::pki::KeyKind;

use super::*;

/// A certificate with the subject and extensions of a test.
pub(crate) struct Made {
    pub(crate) key: PKey<Private>,
    pub(crate) certificate: X509,
}

/// Attributes of a subject: name, ASN.1 string type, value.
pub(crate) type Attributes<'a> = &'a [(Nid, Asn1Type, &'a str)];

pub(crate) fn made(subject: Attributes<'_>, days: u32, add: impl Fn(&mut X509Builder)) -> Made {
    let key = KeyKind::P256.generate().unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    for (nid, kind, value) in subject {
        let field = nid.short_name().unwrap();
        name.append_entry_by_text_with_type(field, value, *kind).unwrap();
    }
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    let serial = Asn1Integer::from_bn(&BigNum::from_u32(0xab_cdef).unwrap()).unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(days).unwrap())
        .unwrap();
    builder.set_pubkey(&key).unwrap();
    add(&mut builder);
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let certificate = builder.build();
    Made { key, certificate }
}

/// An extension with these bytes.
pub(crate) fn raw_extension(builder: &mut X509Builder, oid: &str, bytes: &[u8]) {
    let oid = Asn1Object::from_str(oid).unwrap();
    let bytes = Asn1OctetString::new_from_bytes(bytes).unwrap();
    let extension = X509Extension::new_from_der(&oid, false, &bytes).unwrap();
    builder.append_extension(extension).unwrap();
}

/// Alternative names with these bytes.
pub(crate) fn raw_names(builder: &mut X509Builder, names: &[(u8, &[u8])]) {
    let mut list = Vec::new();
    for (tag, value) in names {
        list.extend([*tag, u8::try_from(value.len()).unwrap()]);
        list.extend_from_slice(value);
    }
    let whole = [&[0x30, u8::try_from(list.len()).unwrap()][..], &list].concat();
    raw_extension(builder, ALTERNATIVE_NAMES, &whole);
}

pub(crate) fn facts(made: &Made) -> CertificateFacts {
    CertificateFacts::new(&made.certificate, &[], vec!["default".to_owned()]).unwrap()
}

pub(crate) const UTF8: Asn1Type = Asn1Type::UTF8STRING;

fn clear(facts: &CertificateFacts, field: &Field) -> Vec<String> {
    let values = facts.values(field).iter();
    values.map(|value| value.clone().unwrap()).collect()
}

#[test]
fn every_field_is_found() {
    let subject = [
        (Nid::ORGANIZATIONNAME, UTF8, "Acme, Inc."),
        (Nid::ORGANIZATIONALUNITNAME, UTF8, "A"),
        (Nid::ORGANIZATIONALUNITNAME, Asn1Type::BMPSTRING, "\0B"),
        (Nid::USERID, UTF8, "u1"),
        (Nid::COMMONNAME, UTF8, "alice"),
    ];
    let made = made(&subject, 1, |builder| {
        let mut names = SubjectAlternativeName::new();
        names
            .dns("a.example")
            .uri("spiffe://acme/a")
            .email("a@example.com")
            .ip("10.0.0.1")
            .ip("::1")
            .other_name2(
                Asn1Object::from_str("1.3.6.1.4.1.311.20.2.3").unwrap(),
                b"\x0c\x06a@corp",
            );
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
        let mut purposes = ExtendedKeyUsage::new();
        let purposes = purposes.client_auth().other("1.2.3.4").build().unwrap();
        builder.append_extension(purposes).unwrap();
        raw_extension(builder, "1.3.9.1", b"\x0c\x02hi");
        raw_extension(builder, "1.3.9.2", b"\x30\x00");
        raw_extension(builder, "1.3.9.3", b"\x0c\x02#3");
        raw_extension(builder, "2.5.29.32", b"\x30\x06\x30\x04\x06\x02\x2a\x03");
    });
    let facts = facts(&made);
    let expected: [(&str, &[&str]); 14] = [
        ("cn", &["alice"]),
        ("subject", &["CN=alice,UID=u1,OU=B,OU=A,O=Acme\\2C Inc."]),
        ("o", &["Acme, Inc."]),
        ("ou", &["A", "B"]),
        ("uid", &["u1"]),
        ("dns_san", &["a.example"]),
        ("uri_san", &["spiffe://acme/a"]),
        ("email_san", &["a@example.com"]),
        ("ip_san", &["10.0.0.1", "::1"]),
        ("upn", &["a@corp"]),
        ("serial", &["ABCDEF"]),
        ("ext:1.3.9.1", &["hi"]),
        ("ext:1.3.9.2", &["#3000"]),
        ("ext:1.3.9.3", &["\\#3"]),
    ];
    for (field, values) in expected {
        assert_eq!(clear(&facts, &Field::parse(field).unwrap()), values, "{field}");
    }
    assert_eq!(clear(&facts, &Field::Policy), ["1.2.3"]);
    assert_eq!(facts.purposes(), ["1.3.6.1.5.5.7.3.2", "1.2.3.4"]);
    assert_eq!(facts.key().key_type, KeyType::Ec);
    assert_eq!((facts.key().bits, facts.key().digest.as_str()), (256, "sha256"));
    let key = made.key.public_key_to_der().unwrap();
    assert_eq!(facts.spki_sha256(), hex::encode(sha256(&key)));
    let digest = made.certificate.digest(MessageDigest::sha256()).unwrap();
    assert_eq!(facts.cert_sha256(), hex::encode(digest));
    assert_eq!(facts.lifetime(), TimeDelta::days(1));
}

#[test]
fn a_nul_cuts_no_name_short() {
    let subject = [(Nid::COMMONNAME, UTF8, "alice\0.evil")];
    let made = made(&subject, 1, |builder| {
        raw_names(builder, &[(0x82, b"a.example\0.evil"), (0x86, b"\xff")]);
    });
    let facts = facts(&made);
    assert_eq!(facts.values(&Field::CommonName), [Err(Unclear::Control)]);
    assert_eq!(facts.values(&Field::Subject), [Err(Unclear::Control)]);
    assert_eq!(facts.values(&Field::Dns), [Err(Unclear::Control)]);
    assert_eq!(facts.values(&Field::Uri), [Err(Unclear::Encoding)]);
    assert!(!facts.subject().contains('\0') && facts.subject().contains("#0c0b616c696365002e"));
}

#[test]
fn what_programs_read_differently_is_refused() {
    let subject = [(Nid::COMMONNAME, UTF8, "alice")];
    let twice = made(&subject, 1, |builder| {
        raw_names(builder, &[(0x82, b"a")]);
        raw_names(builder, &[(0x82, b"b")]);
    });
    let refused = CertificateFacts::new(&twice.certificate, &[], vec![]).unwrap_err();
    assert!(matches!(refused, FactsError::TwiceExtension(_)), "{refused}");
    for (oid, bytes) in [
        (ALTERNATIVE_NAMES, b"\x04\x01a"),
        (ALTERNATIVE_NAMES, b"\x30\x05a"),
        (PURPOSES, b"\x04\x01a"),
    ] {
        let broken = made(&subject, 1, |builder| raw_extension(builder, oid, bytes));
        assert!(CertificateFacts::new(&broken.certificate, &[], vec![]).is_err());
    }
}
