//! Client certificates of every kind, good and bad, and the client CAs that are to verify them.

use std::path::Path;

use openssl::{bn::BigNum, hash::MessageDigest, nid::Nid, pkey::PKey};

use crate::{
    craft::{Made, Wanted, curve_key, der, named, oid, rsa_key},
    pki::ClientFiles,
};

/// A certificate of the table: its name there, and the files.
pub type Row = (&'static str, ClientFiles);

/// The client CAs of both servers, and the certificates to test.
pub struct Table {
    /// The file of client CAs, in PEM.
    pub anchors: Vec<u8>,
    /// The certificates.
    pub rows: Vec<Row>,
}

fn number(decimal: &str) -> BigNum {
    BigNum::from_dec_str(decimal).unwrap()
}

/// Makes them, with files in a directory, for clients that trust `server_ca`.
pub fn table(directory: &Path, server_ca: &Path) -> Table {
    let mut table = Table {
        anchors: Vec::new(),
        rows: Vec::new(),
    };
    let root = Wanted::authority("Root").self_signed();
    table.anchors.extend(root.certificate.to_pem().unwrap());
    let mut add = |name: &'static str, made: &Made, issuers: &[&Made]| {
        let file = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        table
            .rows
            .push((name, made.files(directory, &file, issuers, server_ca)));
    };
    let client = || Wanted::client("client");
    let mut leaf = |name: &'static str, wanted: Wanted| add(name, &root.issue(&wanted), &[]);
    // What it may be used for.
    leaf("an ordinary one", client());
    leaf("no extendedKeyUsage", client().without(oid::PURPOSES));
    leaf("no keyUsage", client().without(oid::USAGE));
    leaf(
        "no extensions",
        Wanted {
            extensions: Vec::new(),
            ..client()
        },
    );
    leaf(
        "extendedKeyUsage serverAuth only",
        client().with(oid::PURPOSES, false, der::SERVER),
    );
    leaf(
        "extendedKeyUsage anyExtendedKeyUsage",
        client().with(oid::PURPOSES, false, der::ANY),
    );
    leaf(
        "extendedKeyUsage anyExtendedKeyUsage, critical",
        client().with(oid::PURPOSES, true, der::ANY),
    );
    leaf(
        "extendedKeyUsage clientAuth, critical",
        client().with(oid::PURPOSES, true, der::CLIENT),
    );
    leaf(
        "extendedKeyUsage empty",
        client().with(oid::PURPOSES, false, b"\x30\x00"),
    );
    leaf(
        "extendedKeyUsage unknown only",
        client().with(oid::PURPOSES, false, b"\x30\x04\x06\x02\x2a\x03"),
    );
    leaf(
        "extendedKeyUsage anyExtendedKeyUsage, keyUsage keyEncipherment",
        client()
            .with(oid::PURPOSES, false, der::ANY)
            .with(oid::USAGE, true, der::ENCIPHER),
    );
    leaf(
        "keyUsage keyEncipherment only",
        client().with(oid::USAGE, true, der::ENCIPHER),
    );
    leaf(
        "keyUsage keyAgreement only",
        client().with(oid::USAGE, true, der::AGREE),
    );
    leaf(
        "keyUsage keyCertSign only",
        client().with(oid::USAGE, true, der::ISSUE),
    );
    leaf("keyUsage empty", client().with(oid::USAGE, true, b"\x03\x01\x00"));
    leaf(
        "nsCertType server",
        client().with(oid::NS_TYPE, false, der::NS_SERVER),
    );
    leaf(
        "basicConstraints CA",
        client().with(oid::CONSTRAINTS, true, der::CA),
    );
    leaf(
        "basicConstraints no CA",
        client().with(oid::CONSTRAINTS, true, der::NO_CA),
    );
    leaf(
        "an unknown critical extension",
        client().with("1.2.3.4", true, b"\x05\x00"),
    );
    leaf(
        "an unknown extension",
        client().with("1.2.3.4", false, b"\x05\x00"),
    );
    leaf(
        "critical policyConstraints",
        client().with("2.5.29.36", true, b"\x30\x03\x80\x01\x00"),
    );
    leaf(
        "an unreadable subjectAltName",
        client().with(oid::ALTERNATIVE, false, b"\x30\x05\x82\x01a"),
    );
    let mut twice = client();
    twice
        .extensions
        .push((oid::PURPOSES, false, der::CLIENT.to_vec()));
    leaf("an extension twice", twice);
    // Numbers and dates.
    leaf(
        "serial number zero",
        Wanted {
            serial: number("0"),
            ..client()
        },
    );
    leaf(
        "serial number negative",
        Wanted {
            serial: number("-5"),
            ..client()
        },
    );
    leaf(
        "serial number of 21 bytes",
        Wanted {
            serial: BigNum::from_slice(&[0x7f; 21]).unwrap(),
            ..client()
        },
    );
    leaf(
        "expired",
        Wanted {
            days: (-3, -1),
            ..client()
        },
    );
    leaf(
        "not yet valid",
        Wanted {
            days: (1, 3),
            ..client()
        },
    );
    leaf(
        "valid until 2060",
        Wanted {
            days: (-1, 365 * 34),
            ..client()
        },
    );
    leaf(
        "version 1",
        Wanted {
            version: 0,
            extensions: Vec::new(),
            ..client()
        },
    );
    leaf(
        "version 1 with extensions",
        Wanted {
            version: 0,
            ..client()
        },
    );
    leaf(
        "version 2",
        Wanted {
            version: 1,
            extensions: Vec::new(),
            ..client()
        },
    );
    // Names.
    leaf(
        "an empty subject",
        Wanted {
            subject: named(&[]),
            ..client()
        },
    );
    leaf(
        "an empty subject with a subjectAltName",
        Wanted {
            subject: named(&[]),
            ..client()
        }
        .with(oid::ALTERNATIVE, true, &der::dns("client.test")),
    );
    // Keys and signatures.
    leaf(
        "RSA 1024",
        Wanted {
            key: rsa_key(1024),
            ..client()
        },
    );
    leaf(
        "RSA 2048",
        Wanted {
            key: rsa_key(2048),
            ..client()
        },
    );
    leaf(
        "ECDSA P-224",
        Wanted {
            key: curve_key(Nid::SECP224R1),
            ..client()
        },
    );
    leaf(
        "ECDSA P-384",
        Wanted {
            key: curve_key(Nid::SECP384R1),
            ..client()
        },
    );
    leaf(
        "ECDSA P-521",
        Wanted {
            key: curve_key(Nid::SECP521R1),
            ..client()
        },
    );
    leaf(
        "ECDSA secp256k1",
        Wanted {
            key: curve_key(Nid::SECP256K1),
            ..client()
        },
    );
    leaf(
        "Ed25519",
        Wanted {
            key: PKey::generate_ed25519().unwrap(),
            ..client()
        },
    );
    leaf(
        "Ed448",
        Wanted {
            key: PKey::generate_ed448().unwrap(),
            ..client()
        },
    );
    leaf(
        "signed with SHA-1",
        Wanted {
            digest: MessageDigest::sha1(),
            ..client()
        },
    );
    leaf(
        "signed with SHA-224",
        Wanted {
            digest: MessageDigest::sha224(),
            ..client()
        },
    );
    leaf(
        "signed with SHA-512",
        Wanted {
            digest: MessageDigest::sha512(),
            ..client()
        },
    );
    add("a wrong signature", &root.issue(&client()).flipped(), &[]);
    add(
        "dates that are none",
        &root.issue(&client()).with_bytes(b"\x17\x0d2", b"\x17\x0dx"),
        &[],
    );
    // Issuers.
    let stranger = Wanted::authority("Root").self_signed();
    add("of another CA of the same name", &stranger.issue(&client()), &[]);
    add(
        "of an unknown CA",
        &Wanted::authority("Unknown").self_signed().issue(&client()),
        &[],
    );
    add("signed by itself", &client().self_signed(), &[]);
    let mut middle = |name: &'static str, wanted: Wanted| {
        let middle = root.issue(&wanted);
        add(name, &middle.issue(&client()), &[&middle]);
        middle
    };
    let good = middle("by an intermediate", Wanted::authority("Middle"));
    middle(
        "by an intermediate without basicConstraints",
        Wanted::authority("M1").without(oid::CONSTRAINTS),
    );
    middle(
        "by an intermediate that is no CA",
        Wanted::authority("M2").with(oid::CONSTRAINTS, true, der::NO_CA),
    );
    middle(
        "by an intermediate without keyUsage",
        Wanted::authority("M3").without(oid::USAGE),
    );
    middle(
        "by an intermediate without keyCertSign",
        Wanted::authority("M4").with(oid::USAGE, true, der::SIGN),
    );
    middle(
        "by an intermediate for servers only",
        Wanted::authority("M5").with(oid::PURPOSES, false, der::SERVER),
    );
    middle(
        "by an intermediate for any purpose",
        Wanted::authority("M6").with(oid::PURPOSES, false, der::ANY),
    );
    middle(
        "by an intermediate for clients",
        Wanted::authority("M7").with(oid::PURPOSES, false, der::CLIENT),
    );
    middle(
        "by an expired intermediate",
        Wanted {
            days: (-3, -1),
            ..Wanted::authority("M8")
        },
    );
    middle(
        "by an intermediate of version 1",
        Wanted {
            version: 0,
            extensions: Vec::new(),
            ..Wanted::authority("M9")
        },
    );
    middle(
        "by an intermediate with serial number zero",
        Wanted {
            serial: number("0"),
            ..Wanted::authority("M10")
        },
    );
    middle(
        "by an intermediate with RSA 1024",
        Wanted {
            key: rsa_key(1024),
            ..Wanted::authority("M11")
        },
    );
    middle(
        "by an intermediate signed with SHA-1",
        Wanted {
            digest: MessageDigest::sha1(),
            ..Wanted::authority("M12")
        },
    );
    middle(
        "by an intermediate with nsCertType server",
        Wanted::authority("M13").with(oid::NS_TYPE, false, der::NS_SERVER),
    );
    let narrow =
        root.issue(&Wanted::authority("Narrow").with(oid::NAMES, true, &der::permitted_dns("inside.test")));
    for (name, dns) in [
        ("within nameConstraints", "a.inside.test"),
        ("outside of nameConstraints", "a.outside.test"),
    ] {
        let wanted = client().with(oid::ALTERNATIVE, false, &der::dns(dns));
        add(name, &narrow.issue(&wanted), &[&narrow]);
    }
    let last = root.issue(&Wanted::authority("Last").with(oid::CONSTRAINTS, true, der::CA_LAST));
    let below = last.issue(&Wanted::authority("Below"));
    add("within pathLenConstraint", &last.issue(&client()), &[&last]);
    add(
        "beyond pathLenConstraint",
        &below.issue(&client()),
        &[&below, &last],
    );
    add("without its intermediate", &good.issue(&client()), &[]);
    add(
        "with its chain in another order",
        &below.issue(&Wanted::client("client")),
        &[&good, &last, &below],
    );
    let other_id = Wanted::authority("Ids").with(oid::KEY_ID, false, &der::key_id(b"one"));
    let other_id = root.issue(&other_id);
    let wanted = client().with(oid::ISSUER_KEY_ID, false, &der::issuer_key_id(b"two"));
    add(
        "with another key identifier than its issuer",
        &other_id.issue(&wanted),
        &[&other_id],
    );
    // What the file of client CAs holds.
    let mut anchored = Vec::new();
    let mut anchor = |name: &'static str, made: &Made, client: &Made| {
        anchored.extend(made.certificate.to_pem().unwrap());
        add(name, client, &[]);
    };
    let mut by = |name: &'static str, wanted: Wanted| {
        let root = wanted.self_signed();
        anchor(name, &root, &root.issue(&client()));
    };
    by(
        "by a CA without keyUsage",
        Wanted::authority("A1").without(oid::USAGE),
    );
    by(
        "by a CA without keyCertSign",
        Wanted::authority("A2").with(oid::USAGE, true, der::SIGN),
    );
    by(
        "by a CA without basicConstraints",
        Wanted::authority("A3").without(oid::CONSTRAINTS),
    );
    by(
        "by a CA without extensions",
        Wanted {
            extensions: Vec::new(),
            ..Wanted::authority("A4")
        },
    );
    by(
        "by a CA of version 1",
        Wanted {
            version: 0,
            extensions: Vec::new(),
            ..Wanted::authority("A5")
        },
    );
    by(
        "by a CA that says it is none",
        Wanted::authority("A6").with(oid::CONSTRAINTS, true, der::NO_CA),
    );
    by(
        "by a CA that expired",
        Wanted {
            days: (-3, -1),
            ..Wanted::authority("A7")
        },
    );
    by(
        "by a CA that is not yet valid",
        Wanted {
            days: (1, 3),
            ..Wanted::authority("A8")
        },
    );
    by(
        "by a CA for servers only",
        Wanted::authority("A9").with(oid::PURPOSES, false, der::SERVER),
    );
    by(
        "by a CA for any purpose",
        Wanted::authority("A10").with(oid::PURPOSES, false, der::ANY),
    );
    by(
        "by a CA with serial number zero",
        Wanted {
            serial: number("0"),
            ..Wanted::authority("A11")
        },
    );
    by(
        "by a CA with a negative serial number",
        Wanted {
            serial: number("-5"),
            ..Wanted::authority("A12")
        },
    );
    by(
        "by a CA with RSA 1024",
        Wanted {
            key: rsa_key(1024),
            ..Wanted::authority("A13")
        },
    );
    by(
        "by a CA that signed itself with SHA-1",
        Wanted {
            digest: MessageDigest::sha1(),
            ..Wanted::authority("A14")
        },
    );
    by(
        "by a CA with an unknown critical extension",
        Wanted::authority("A15").with("1.2.3.4", true, b"\x05\x00"),
    );
    by(
        "by a CA with Ed25519",
        Wanted {
            key: PKey::generate_ed25519().unwrap(),
            ..Wanted::authority("A16")
        },
    );
    for (name, place) in [
        ("by the first of two CAs of one name", 0),
        ("by the second of two CAs of one name", 1),
    ] {
        let both = [(); 2].map(|()| Wanted::authority(name).self_signed());
        for authority in &both {
            anchor("", authority, &authority.issue(&client()));
        }
        anchor(name, &both[place], &both[place].issue(&client()));
    }
    let listed = client().self_signed();
    anchor("itself among the client CAs", &listed, &listed);
    let listed = root.issue(&Wanted {
        serial: number("77"),
        ..client()
    });
    anchor("itself among the client CAs, issued by a CA", &listed, &listed);
    let middle = root.issue(&Wanted::authority("Anchored"));
    anchor(
        "by an intermediate among the client CAs",
        &middle,
        &middle.issue(&client()),
    );
    let elsewhere = Wanted::authority("Elsewhere").self_signed();
    let middle = elsewhere.issue(&Wanted::authority("Rootless"));
    anchor(
        "by an intermediate among the client CAs whose root is not",
        &middle,
        &middle.issue(&client()),
    );
    table.anchors.extend(anchored);
    table.rows.retain(|(name, _)| !name.is_empty());
    table
}
