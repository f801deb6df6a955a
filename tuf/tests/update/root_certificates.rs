//! Rules for the certificates of root keys.

use openssl::hash::MessageDigest;
use serde_json::{Value, json};
use tuf::{Gun, KeyType};

use super::root::{NO_INTEGRITY, first_root};
use crate::support::{Certificate, Key, Repository, part, rejected, root_body, sign};

const NO_CERTIFICATE: &str =
    "could not validate the path to a trusted root: unable to retrieve valid leaf certificates";

/// Whether a first root by this key is accepted for the repository.
fn accepts(gun: &str, key: &Key) -> Result<(), String> {
    let repository = Repository {
        gun: Gun::parse(gun).unwrap(),
        root: key.clone(),
        ..Repository::empty()
    };
    let parts = [
        part("root", repository.root_document(1)),
        part("targets", repository.targets_document(1, &[])),
    ];
    repository.check(parts).map(drop).map_err(|e| e.to_string())
}

#[test]
fn the_common_name_is_the_gun_or_a_prefix_with_a_star_at_the_end() {
    for name in ["h1/app", "h1/*", "h1/a*", "*", "h1/app*", "h1/**"] {
        assert_eq!(accepts("h1/app", &Key::certificate(name)), Ok(()), "{name}");
    }
    for name in ["h1/ap", "h1/APP", "h2/*", "*/app", "h1/*pp", "h*/app", "h1/app/*"] {
        assert_eq!(
            accepts("h1/app", &Key::certificate(name)),
            Err(NO_CERTIFICATE.into()),
            "{name}"
        );
    }
    let several = |names: [&str; 2]| {
        let mut certificate = Certificate::of("");
        certificate.common_names = names.map(str::to_owned).to_vec();
        accepts("h1/app", &Key::ecdsa().certified(&certificate))
    };
    assert_eq!(
        several(["h2", "h1/app"]),
        Ok(()),
        "the last of several names counts"
    );
    assert_eq!(several(["h1/app", "h2"]), Err(NO_CERTIFICATE.into()));
    assert_eq!(
        accepts("h1/app", &Key::certificate("h1/app\0.evil")),
        Err(NO_CERTIFICATE.into())
    );
}

#[test]
fn certificates_must_be_current_and_strong() {
    let good = |certificate: Certificate| accepts("g", &Key::ecdsa().certified(&certificate));
    let refused = Err(NO_CERTIFICATE.to_owned());
    assert_eq!(good(Certificate::of("g").days(0, 1)), Ok(()));
    assert_eq!(
        good(Certificate::of("g").days(1, 9)),
        Ok(()),
        "a day early is early enough"
    );
    assert_eq!(good(Certificate::of("g").days(2, 9)), refused);
    assert_eq!(good(Certificate::of("g").days(-9, -1)), refused);
    assert_eq!(
        good(Certificate::of("g").days(1, 0)),
        refused,
        "ends before it begins"
    );
    assert_eq!(
        good(Certificate {
            digest: MessageDigest::sha1(),
            ..Certificate::of("g")
        }),
        refused
    );
    assert_eq!(
        good(Certificate {
            ca: true,
            ..Certificate::of("g")
        }),
        refused
    );
    let rsa = |bits| accepts("g", &Key::rsa(bits).certified(&Certificate::of("g")));
    assert_eq!(rsa(2048), Ok(()));
    assert_eq!(rsa(1024), refused);
}

#[test]
fn root_keys_must_be_certificates() {
    assert_eq!(accepts("g", &Key::ecdsa()), Err(NO_CERTIFICATE.into()));
    let key = Key::ecdsa();
    let pem = key.pem(&Certificate::of("g"));
    let listed = |pem: Vec<u8>| accepts("g", &key.listed(KeyType::EcdsaX509, pem));
    let text = String::from_utf8(pem.clone()).unwrap();
    assert_eq!(
        listed(text.replace("CERTIFICATE", "PUBLIC KEY").into()),
        Err(NO_CERTIFICATE.into())
    );
    assert_eq!(
        listed(text.replace("MII", "AAA").into()),
        Err(NO_CERTIFICATE.into())
    );
    let two_leaves = [pem.clone(), key.pem(&Certificate::of("g"))].concat();
    assert_eq!(listed(two_leaves), Err(NO_CERTIFICATE.into()));
}

#[test]
fn the_pem_must_be_byte_for_byte_what_would_be_written() {
    let key = Key::ecdsa();
    let pem = String::from_utf8(key.pem(&Certificate::of("g"))).unwrap();
    for other in [
        format!("leading text\n{pem}"),
        pem.replace('\n', "\r\n"),
        pem.trim_end().to_owned(),
        pem.replacen("-----\n", "-----\n\n", 1),
    ] {
        let key = key.listed(KeyType::EcdsaX509, other.clone().into());
        let refused = accepts("g", &key).unwrap_err();
        assert!(
            [NO_CERTIFICATE, NO_INTEGRITY].contains(&refused.as_str()),
            "{other}"
        );
    }
    let wrong_type = key.listed(KeyType::RsaX509, pem.into());
    let repository = Repository {
        gun: Gun::parse("g").unwrap(),
        ..Repository::empty()
    };
    let body = root_body(
        1,
        [
            &[&wrong_type],
            &[&repository.targets],
            &[&repository.snapshot],
            &[&repository.timestamp],
        ],
    );
    let signature = key.listed(KeyType::EcdsaX509, wrong_type.public.public().to_vec());
    let text = String::from_utf8(sign(&body, &[&signature])).unwrap();
    // The signature, made by the ECDSA key, under the ID of the key that is listed.
    let text = text.replace(signature.id(), wrong_type.id());
    assert_eq!(
        first_root(&repository, text.into()),
        ("ErrBadRoot", NO_INTEGRITY.into())
    );
}

#[test]
fn intermediates_must_follow_the_leaf_and_be_usable() {
    let key = Key::ecdsa();
    let leaf = key.pem(&Certificate::of("g"));
    let issuer = || Certificate {
        ca: true,
        ..Certificate::of("issuer")
    };
    let listed = |pems: &[&[u8]]| accepts("g", &key.listed(KeyType::EcdsaX509, pems.concat()));
    let good = Key::ecdsa().pem(&issuer());
    assert_eq!(listed(&[&leaf, &good]), Ok(()));
    assert_eq!(listed(&[&good, &leaf]), Err(NO_CERTIFICATE.into()));
    // An expired one is dropped, which makes another key of it.
    let expired = Key::ecdsa().pem(&issuer().days(-9, -1));
    assert_eq!(listed(&[&leaf, &expired]), Err(NO_INTEGRITY.into()));
}

#[test]
fn a_key_that_is_no_certificate_may_stand_beside_one() {
    let repository = Repository::empty();
    let other = Key::ecdsa();
    let body = root_body(
        1,
        [
            &[&other, &repository.root],
            &[&repository.targets],
            &[&repository.snapshot],
            &[&repository.timestamp],
        ],
    );
    let parts = |body: &Value, keys: &[&Key]| {
        [
            part("root", sign(body, keys)),
            part("targets", repository.targets_document(1, &[])),
        ]
    };
    assert!(repository.check(parts(&body, &[&repository.root])).is_ok());
    let mut both = body;
    both["roles"]["root"]["threshold"] = json!(2);
    let refused = repository.check(parts(&both, &[&repository.root, &other]));
    assert_eq!(
        rejected(refused),
        ("ErrBadRoot", NO_INTEGRITY.into()),
        "but does not count"
    );
}
