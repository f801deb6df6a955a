//! Certificates that are unusual themselves.

use openssl::{bn::BigNum, hash::MessageDigest, nid::Nid, pkey::PKey};

use super::{Maker, client, number};
use crate::craft::{Wanted, curve_key, der, named, oid, rsa_key};

/// By what they may be used for.
pub(super) fn purposes(maker: &mut Maker<'_>) {
    maker.leaf("an ordinary one", client());
    maker.leaf("no extendedKeyUsage", client().without(oid::PURPOSES));
    maker.leaf("no keyUsage", client().without(oid::USAGE));
    maker.leaf(
        "no extensions",
        Wanted {
            extensions: Vec::new(),
            ..client()
        },
    );
    maker.leaf(
        "extendedKeyUsage serverAuth only",
        client().with(oid::PURPOSES, false, der::SERVER),
    );
    maker.leaf(
        "extendedKeyUsage anyExtendedKeyUsage",
        client().with(oid::PURPOSES, false, der::ANY),
    );
    maker.leaf(
        "extendedKeyUsage anyExtendedKeyUsage, critical",
        client().with(oid::PURPOSES, true, der::ANY),
    );
    maker.leaf(
        "extendedKeyUsage clientAuth, critical",
        client().with(oid::PURPOSES, true, der::CLIENT),
    );
    maker.leaf(
        "extendedKeyUsage empty",
        client().with(oid::PURPOSES, false, b"\x30\x00"),
    );
    maker.leaf(
        "extendedKeyUsage unknown only",
        client().with(oid::PURPOSES, false, b"\x30\x04\x06\x02\x2a\x03"),
    );
    maker.leaf(
        "extendedKeyUsage anyExtendedKeyUsage, keyUsage keyEncipherment",
        client()
            .with(oid::PURPOSES, false, der::ANY)
            .with(oid::USAGE, true, der::ENCIPHER),
    );
    maker.leaf(
        "keyUsage keyEncipherment only",
        client().with(oid::USAGE, true, der::ENCIPHER),
    );
    maker.leaf(
        "keyUsage keyAgreement only",
        client().with(oid::USAGE, true, der::AGREE),
    );
    maker.leaf(
        "keyUsage keyCertSign only",
        client().with(oid::USAGE, true, der::ISSUE),
    );
    maker.leaf("keyUsage empty", client().with(oid::USAGE, true, b"\x03\x01\x00"));
    maker.leaf(
        "nsCertType server",
        client().with(oid::NS_TYPE, false, der::NS_SERVER),
    );
    maker.leaf(
        "basicConstraints CA",
        client().with(oid::CONSTRAINTS, true, der::CA),
    );
    maker.leaf(
        "basicConstraints no CA",
        client().with(oid::CONSTRAINTS, true, der::NO_CA),
    );
    maker.leaf(
        "an unknown critical extension",
        client().with("1.2.3.4", true, b"\x05\x00"),
    );
    maker.leaf(
        "an unknown extension",
        client().with("1.2.3.4", false, b"\x05\x00"),
    );
    maker.leaf(
        "critical policyConstraints",
        client().with("2.5.29.36", true, b"\x30\x03\x80\x01\x00"),
    );
    maker.leaf(
        "an unreadable subjectAltName",
        client().with(oid::ALTERNATIVE, false, b"\x30\x05\x82\x01a"),
    );
    let mut twice = client();
    twice
        .extensions
        .push((oid::PURPOSES, false, der::CLIENT.to_vec()));
    maker.leaf("an extension twice", twice);
}

/// By serial number, dates and version.
pub(super) fn numbers_and_dates(maker: &mut Maker<'_>) {
    maker.leaf(
        "serial number zero",
        Wanted {
            serial: number("0"),
            ..client()
        },
    );
    maker.leaf(
        "serial number negative",
        Wanted {
            serial: number("-5"),
            ..client()
        },
    );
    maker.leaf(
        "serial number of 21 bytes",
        Wanted {
            serial: BigNum::from_slice(&[0x7f; 21]).unwrap(),
            ..client()
        },
    );
    maker.leaf(
        "expired",
        Wanted {
            days: (-3, -1),
            ..client()
        },
    );
    maker.leaf(
        "not yet valid",
        Wanted {
            days: (1, 3),
            ..client()
        },
    );
    maker.leaf(
        "valid until 2060",
        Wanted {
            days: (-1, 365 * 34),
            ..client()
        },
    );
    maker.leaf(
        "version 1",
        Wanted {
            version: 0,
            extensions: Vec::new(),
            ..client()
        },
    );
    maker.leaf(
        "version 1 with extensions",
        Wanted {
            version: 0,
            ..client()
        },
    );
    maker.leaf(
        "version 2",
        Wanted {
            version: 1,
            extensions: Vec::new(),
            ..client()
        },
    );
}

/// By subject.
pub(super) fn names(maker: &mut Maker<'_>) {
    maker.leaf(
        "an empty subject",
        Wanted {
            subject: named(&[]),
            ..client()
        },
    );
    maker.leaf(
        "an empty subject with a subjectAltName",
        Wanted {
            subject: named(&[]),
            ..client()
        }
        .with(oid::ALTERNATIVE, true, &der::dns("client.test")),
    );
}

/// By key and signature.
pub(super) fn keys_and_signatures(maker: &mut Maker<'_>) {
    maker.leaf(
        "RSA 1024",
        Wanted {
            key: rsa_key(1024),
            ..client()
        },
    );
    maker.leaf(
        "RSA 2048",
        Wanted {
            key: rsa_key(2048),
            ..client()
        },
    );
    maker.leaf(
        "ECDSA P-224",
        Wanted {
            key: curve_key(Nid::SECP224R1),
            ..client()
        },
    );
    maker.leaf(
        "ECDSA P-384",
        Wanted {
            key: curve_key(Nid::SECP384R1),
            ..client()
        },
    );
    maker.leaf(
        "ECDSA P-521",
        Wanted {
            key: curve_key(Nid::SECP521R1),
            ..client()
        },
    );
    maker.leaf(
        "ECDSA secp256k1",
        Wanted {
            key: curve_key(Nid::SECP256K1),
            ..client()
        },
    );
    maker.leaf(
        "Ed25519",
        Wanted {
            key: PKey::generate_ed25519().unwrap(),
            ..client()
        },
    );
    maker.leaf(
        "Ed448",
        Wanted {
            key: PKey::generate_ed448().unwrap(),
            ..client()
        },
    );
    maker.leaf(
        "signed with SHA-1",
        Wanted {
            digest: MessageDigest::sha1(),
            ..client()
        },
    );
    maker.leaf(
        "signed with SHA-224",
        Wanted {
            digest: MessageDigest::sha224(),
            ..client()
        },
    );
    maker.leaf(
        "signed with SHA-512",
        Wanted {
            digest: MessageDigest::sha512(),
            ..client()
        },
    );
    maker.add("a wrong signature", &maker.root.issue(&client()).flipped(), &[]);
    maker.add(
        "dates that are none",
        &maker.root.issue(&client()).with_bytes(b"\x17\x0d2", b"\x17\x0dx"),
        &[],
    );
}
