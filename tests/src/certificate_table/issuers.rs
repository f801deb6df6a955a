//! Ordinary certificates whose issuers are unusual.

use openssl::{hash::MessageDigest, pkey::PKey};

use super::{Maker, client, number};
use crate::craft::{Wanted, der, oid, rsa_key};

/// By a stranger, or by an intermediate of the root.
pub(super) fn intermediates(maker: &mut Maker<'_>) {
    let stranger = Wanted::authority("Root").self_signed();
    maker.add("of another CA of the same name", &stranger.issue(&client()), &[]);
    maker.add(
        "of an unknown CA",
        &Wanted::authority("Unknown").self_signed().issue(&client()),
        &[],
    );
    maker.add("signed by itself", &client().self_signed(), &[]);
    let good = maker.below("by an intermediate", Wanted::authority("Middle"));
    maker.below(
        "by an intermediate without basicConstraints",
        Wanted::authority("M1").without(oid::CONSTRAINTS),
    );
    maker.below(
        "by an intermediate that is no CA",
        Wanted::authority("M2").with(oid::CONSTRAINTS, true, der::NO_CA),
    );
    maker.below(
        "by an intermediate without keyUsage",
        Wanted::authority("M3").without(oid::USAGE),
    );
    maker.below(
        "by an intermediate without keyCertSign",
        Wanted::authority("M4").with(oid::USAGE, true, der::SIGN),
    );
    maker.below(
        "by an intermediate for servers only",
        Wanted::authority("M5").with(oid::PURPOSES, false, der::SERVER),
    );
    maker.below(
        "by an intermediate for any purpose",
        Wanted::authority("M6").with(oid::PURPOSES, false, der::ANY),
    );
    maker.below(
        "by an intermediate for clients",
        Wanted::authority("M7").with(oid::PURPOSES, false, der::CLIENT),
    );
    maker.below(
        "by an expired intermediate",
        Wanted {
            days: (-3, -1),
            ..Wanted::authority("M8")
        },
    );
    maker.below(
        "by an intermediate of version 1",
        Wanted {
            version: 0,
            extensions: Vec::new(),
            ..Wanted::authority("M9")
        },
    );
    maker.below(
        "by an intermediate with serial number zero",
        Wanted {
            serial: number("0"),
            ..Wanted::authority("M10")
        },
    );
    maker.below(
        "by an intermediate with RSA 1024",
        Wanted {
            key: rsa_key(1024),
            ..Wanted::authority("M11")
        },
    );
    maker.below(
        "by an intermediate signed with SHA-1",
        Wanted {
            digest: MessageDigest::sha1(),
            ..Wanted::authority("M12")
        },
    );
    maker.below(
        "by an intermediate with nsCertType server",
        Wanted::authority("M13").with(oid::NS_TYPE, false, der::NS_SERVER),
    );
    let narrow = maker.root.issue(&Wanted::authority("Narrow").with(
        oid::NAMES,
        true,
        &der::permitted_dns("inside.test"),
    ));
    for (name, dns) in [
        ("within nameConstraints", "a.inside.test"),
        ("outside of nameConstraints", "a.outside.test"),
    ] {
        let wanted = client().with(oid::ALTERNATIVE, false, &der::dns(dns));
        maker.add(name, &narrow.issue(&wanted), &[&narrow]);
    }
    let last = maker
        .root
        .issue(&Wanted::authority("Last").with(oid::CONSTRAINTS, true, der::CA_LAST));
    let below = last.issue(&Wanted::authority("Below"));
    maker.add("within pathLenConstraint", &last.issue(&client()), &[&last]);
    maker.add(
        "beyond pathLenConstraint",
        &below.issue(&client()),
        &[&below, &last],
    );
    maker.add("without its intermediate", &good.issue(&client()), &[]);
    maker.add(
        "with its chain in another order",
        &below.issue(&Wanted::client("client")),
        &[&good, &last, &below],
    );
    let other_id = Wanted::authority("Ids").with(oid::KEY_ID, false, &der::key_id(b"one"));
    let other_id = maker.root.issue(&other_id);
    let wanted = client().with(oid::ISSUER_KEY_ID, false, &der::issuer_key_id(b"two"));
    maker.add(
        "with another key identifier than its issuer",
        &other_id.issue(&wanted),
        &[&other_id],
    );
}

/// By a client CA that is unusual itself.
pub(super) fn anchors(maker: &mut Maker<'_>) {
    maker.by(
        "by a CA without keyUsage",
        Wanted::authority("A1").without(oid::USAGE),
    );
    maker.by(
        "by a CA without keyCertSign",
        Wanted::authority("A2").with(oid::USAGE, true, der::SIGN),
    );
    maker.by(
        "by a CA without basicConstraints",
        Wanted::authority("A3").without(oid::CONSTRAINTS),
    );
    maker.by(
        "by a CA without extensions",
        Wanted {
            extensions: Vec::new(),
            ..Wanted::authority("A4")
        },
    );
    maker.by(
        "by a CA of version 1",
        Wanted {
            version: 0,
            extensions: Vec::new(),
            ..Wanted::authority("A5")
        },
    );
    maker.by(
        "by a CA that says it is none",
        Wanted::authority("A6").with(oid::CONSTRAINTS, true, der::NO_CA),
    );
    maker.by(
        "by a CA that expired",
        Wanted {
            days: (-3, -1),
            ..Wanted::authority("A7")
        },
    );
    maker.by(
        "by a CA that is not yet valid",
        Wanted {
            days: (1, 3),
            ..Wanted::authority("A8")
        },
    );
    maker.by(
        "by a CA for servers only",
        Wanted::authority("A9").with(oid::PURPOSES, false, der::SERVER),
    );
    maker.by(
        "by a CA for any purpose",
        Wanted::authority("A10").with(oid::PURPOSES, false, der::ANY),
    );
    maker.by(
        "by a CA with serial number zero",
        Wanted {
            serial: number("0"),
            ..Wanted::authority("A11")
        },
    );
    maker.by(
        "by a CA with a negative serial number",
        Wanted {
            serial: number("-5"),
            ..Wanted::authority("A12")
        },
    );
    maker.by(
        "by a CA with RSA 1024",
        Wanted {
            key: rsa_key(1024),
            ..Wanted::authority("A13")
        },
    );
    maker.by(
        "by a CA that signed itself with SHA-1",
        Wanted {
            digest: MessageDigest::sha1(),
            ..Wanted::authority("A14")
        },
    );
    maker.by(
        "by a CA with an unknown critical extension",
        Wanted::authority("A15").with("1.2.3.4", true, b"\x05\x00"),
    );
    maker.by(
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
            maker.trust(authority);
        }
        maker.add(name, &both[place].issue(&client()), &[]);
    }
    let listed = client().self_signed();
    maker.anchor("itself among the client CAs", &listed, &listed);
    let listed = maker.root.issue(&Wanted {
        serial: number("77"),
        ..client()
    });
    maker.anchor("itself among the client CAs, issued by a CA", &listed, &listed);
    let middle = maker.root.issue(&Wanted::authority("Anchored"));
    maker.anchor(
        "by an intermediate among the client CAs",
        &middle,
        &middle.issue(&client()),
    );
    let elsewhere = Wanted::authority("Elsewhere").self_signed();
    let middle = elsewhere.issue(&Wanted::authority("Rootless"));
    maker.anchor(
        "by an intermediate among the client CAs whose root is not",
        &middle,
        &middle.issue(&client()),
    );
}
