//! Tests with the keys, and a captured token, of a real Notary server's test PKI.

use base64::engine::{
    Engine,
    general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use openssl::{
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    pkey::{Id, PKey, Private},
    sha::sha256,
    sign::Signer,
    x509::X509,
};
use serde_json::{Value, json};

use super::*;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/notary/jwt");
/// The time at which the test PKI's certificates are valid: 2026-11-21, in seconds since 1970.
const NOW: i64 = 1_795_302_400;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FILES}/{name}")).unwrap()
}

fn auth() -> TokenAuth {
    let realm = Realm::Url("https://auth.example.com/token".into());
    let bundle = format!("{FILES}/bundle.crt");
    TokenAuth::new(
        realm,
        "notary.example.com".into(),
        "auth.example.com".into(),
        Path::new(&bundle),
    )
    .unwrap()
}

fn key(name: &str) -> PKey<Private> {
    PKey::private_key_from_pem(&file(name)).unwrap()
}

fn kid(name: &str) -> String {
    key_id_of(&key(name))
}

fn key_id_of(key: &PKey<Private>) -> String {
    let public = PKey::public_key_from_der(&key.public_key_to_der().unwrap()).unwrap();
    trusted::key_id(&public).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "auth.example.com", "aud": "notary.example.com", "sub": "alice", "exp": NOW + 300, "nbf": NOW - 10,
        "access": [{"type": "repository", "name": "g/a", "actions": ["push", "pull"]}],
    })
}

fn sign(header: &Value, claims: &Value, key: &PKey<Private>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = if key.id() == Id::EC {
        let signature = EcdsaSig::sign(&sha256(signed.as_bytes()), &key.ec_key().unwrap()).unwrap();
        [
            signature.r().to_vec_padded(32).unwrap(),
            signature.s().to_vec_padded(32).unwrap(),
        ]
        .concat()
    } else {
        let digest = match header["alg"].as_str().unwrap() {
            "RS384" => MessageDigest::sha384(),
            "RS512" => MessageDigest::sha512(),
            _ => MessageDigest::sha256(),
        };
        Signer::new(digest, key)
            .unwrap()
            .sign_oneshot_to_vec(signed.as_bytes())
            .unwrap()
    };
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn required() -> Vec<Access> {
    vec![
        Access::repository("g/a", "push"),
        Access::repository("g/a", "pull"),
    ]
}

fn check(token: &str) -> Result<String, TokenRefusal> {
    let now = DateTime::from_timestamp(NOW, 0).unwrap();
    let bearer = auth().check(Some(&format!("Bearer {token}")), &required(), now);
    bearer.map(|bearer| bearer.subject)
}

#[track_caller]
fn refused(token: &str, expected: &str) {
    let refusal = check(token).unwrap_err();
    assert_eq!(refusal.error, Some("invalid_token"), "{refusal}");
    assert!(
        refusal.reason.contains(expected),
        "no {expected:?} in {:?}",
        refusal.reason
    );
}

fn good(changes: &[(&str, Value)]) -> String {
    let mut claims = claims();
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    sign(
        &json!({"alg": "ES256", "kid": kid("tok.key")}),
        &claims,
        &key("tok.key"),
    )
}

#[test]
fn a_subject_is_bounded() {
    for (subject, taken) in [
        ("a".repeat(255), true),
        ("a".repeat(256), false),
        ("a\nb".to_owned(), false),
    ] {
        let claims = json!({"iss": "i", "aud": "a", "sub": subject, "exp": 1, "nbf": 0});
        assert_eq!(super::claims::Claims::parse(&claims).is_ok(), taken);
    }
}

#[test]
fn key_ids_are_those_of_libtrust() {
    for line in String::from_utf8(file("kids.txt")).unwrap().lines() {
        let (name, expected) = line.split_once(' ').unwrap();
        assert_eq!(kid(name), expected);
    }
}

#[test]
fn a_token_captured_from_a_real_exchange_is_accepted() {
    let request = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../fixtures/notary/http-auth/get-timestamp-key.request.http"
    );
    let request = std::fs::read_to_string(request).unwrap();
    let header = request
        .lines()
        .find_map(|line| line.strip_prefix("Authorization: "))
        .unwrap();
    let now = DateTime::from_timestamp(NOW, 0).unwrap();
    let bearer = auth().check(Some(header), &required(), now).unwrap();
    assert_eq!(
        (bearer.subject.as_str(), bearer.issuer.as_str()),
        ("alice", "auth.example.com")
    );
    assert_eq!(bearer.key_id, kid("tok.key"));
}

#[test]
fn keys_are_found_by_kid_x5c_and_jwk() {
    let certificate = |name: &str| STANDARD.encode(X509::from_pem(&file(name)).unwrap().to_der().unwrap());
    assert_eq!(check(&good(&[])), Ok("alice".into()));
    let rsa = json!({"alg": "RS256", "kid": kid("tokrsa.key")});
    for algorithm in ["RS256", "RS384", "RS512"] {
        let mut header = rsa.clone();
        header["alg"] = json!(algorithm);
        assert!(
            check(&sign(&header, &claims(), &key("tokrsa.key"))).is_ok(),
            "{algorithm}"
        );
    }
    let leaf = key("leaf.key");
    let algorithm = if leaf.id() == Id::EC { "ES256" } else { "RS256" };
    let chain = json!({"alg": algorithm, "x5c": [certificate("leaf.crt")]});
    assert!(check(&sign(&chain, &claims(), &leaf)).is_ok());

    let public = key("tok.key").ec_key().unwrap();
    let (mut x, mut y) = (
        openssl::bn::BigNum::new().unwrap(),
        openssl::bn::BigNum::new().unwrap(),
    );
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    public
        .public_key()
        .affine_coordinates(public.group(), &mut x, &mut y, &mut context)
        .unwrap();
    let coordinate = |n: &openssl::bn::BigNum| URL_SAFE_NO_PAD.encode(n.to_vec_padded(32).unwrap());
    let mut jwk = json!({"kty": "EC", "crv": "P-256", "x": coordinate(&x), "y": coordinate(&y)});
    assert!(
        check(&sign(
            &json!({"alg": "ES256", "jwk": jwk}),
            &claims(),
            &key("tok.key")
        ))
        .is_ok()
    );
    jwk["kid"] = json!(kid("tokrsa.key"));
    refused(
        &sign(&json!({"alg": "ES256", "jwk": jwk}), &claims(), &key("tok.key")),
        "does not match the key",
    );
    jwk["kid"] = json!(kid("tok.key"));
    jwk["x5c"] = json!([certificate("leaf.crt")]);
    refused(
        &sign(&json!({"alg": "ES256", "jwk": jwk}), &claims(), &key("tok.key")),
        "for another key",
    );
}

#[test]
fn keys_that_are_not_trusted_are_refused_whatever_names_them() {
    let own = platform::pki::KeyKind::P256.generate().unwrap();
    let stranger = json!({"alg": "ES256", "kid": key_id_of(&own)});
    refused(&sign(&stranger, &claims(), &own), "is not trusted");
    let borrowed = json!({"alg": "ES256", "kid": kid("tok.key")});
    refused(&sign(&borrowed, &claims(), &own), "does not verify");
    refused(
        &sign(&json!({"alg": "ES256"}), &claims(), &key("tok.key")),
        "names no key",
    );
    let template = platform::pki::Template::new("auth", platform::pki::Usage::Server, 1);
    let issued = platform::pki::Issued::self_signed(&template).unwrap();
    let chain = json!([STANDARD.encode(issued.certificate.to_der().unwrap())]);
    // A trusted kid does not make up for an untrusted chain.
    let both = json!({"alg": "ES256", "x5c": chain, "kid": kid("tok.key")});
    refused(
        &sign(&both, &claims(), &issued.key),
        "was not issued by a trusted one",
    );
}

#[test]
fn algorithms_must_fit_their_keys() {
    for algorithm in ["none", "HS256", "PS256", "RS256", "ES384", ""] {
        let header = json!({"alg": algorithm, "kid": kid("tok.key")});
        refused(&sign(&header, &claims(), &key("tok.key")), "does not fit its key");
    }
}

#[test]
fn claims_are_checked_with_a_minute_of_leeway() {
    let cases: [(&str, Value, Option<&str>); 14] = [
        ("iss", json!("other"), Some("issued by")),
        ("aud", json!("other"), Some("is for")),
        (
            "aud",
            json!(["notary.example.com"]),
            Some("aud in the token is not a string"),
        ),
        ("exp", json!(NOW - 59), None),
        ("exp", json!(NOW - 61), Some("has expired")),
        ("exp", Value::Null, Some("has expired")),
        ("exp", json!(1.5), Some("not a whole number")),
        ("exp", json!("9999999999"), Some("not a whole number")),
        ("nbf", json!(NOW + 59), None),
        ("nbf", json!(NOW + 61), Some("not valid yet")),
        ("nbf", Value::Null, None),
        ("sub", Value::Null, None),
        ("access", json!([null]), Some("not an object")),
        ("access", json!({}), Some("not a list")),
    ];
    for (name, value, expected) in cases {
        let token = good(&[(name, value.clone())]);
        match expected {
            Some(reason) => refused(&token, reason),
            None => assert!(check(&token).is_ok(), "{name} = {value}: {:?}", check(&token)),
        }
    }
}

#[test]
fn a_token_that_is_bound_to_a_certificate_is_nothing_without_it() {
    let bound = |cnf: Value| good(&[("cnf", cnf)]);
    let digest = "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2";
    refused(
        &bound(json!({"x5t#S256": digest})),
        "this connection has not presented it",
    );
    for unknown in [
        json!({"jkt": digest}),
        json!({}),
        json!({"x5t#S256": 1}),
        json!("x"),
    ] {
        refused(&bound(unknown), "something else than a client certificate");
    }
    assert!(check(&bound(Value::Null)).is_ok());
    let beside = |token: &str, presented: &str| {
        TokenAuth::check_beside(Some(&format!("Bearer {token}")), || presented.to_owned())
    };
    let token = bound(json!({"x5t#S256": digest}));
    assert_eq!(beside(&token, digest), Ok(()));
    let refusal = beside(&token, "other").unwrap_err();
    assert_eq!(refusal.error, Some("invalid_token"));
    assert!(refusal.reason.contains("another client certificate"), "{refusal}");
    // A certificate is enough: what else comes with it does not matter.
    for other in [good(&[]), good(&[("exp", json!(1))]), "x.y.z".to_owned()] {
        assert_eq!(beside(&other, digest), Ok(()));
    }
    assert_eq!(TokenAuth::check_beside(None, || digest.to_owned()), Ok(()));
}

#[test]
fn every_required_action_must_be_granted() {
    let grants = |access: Value| check(&good(&[("access", access)])).map_err(|refusal| refusal.error);
    let entry =
        |kind: &str, name: &str, actions: &[&str]| json!({"type": kind, "name": name, "actions": actions});
    let missing = Err(Some("insufficient_scope"));
    assert!(grants(json!([entry("repository", "g/a", &["*"])])).is_ok());
    let split = json!([
        entry("repository", "g/a", &["pull"]),
        entry("repository", "g/a", &["push"])
    ]);
    assert!(grants(split).is_ok());
    assert_eq!(grants(json!([entry("repository", "g/a", &["pull"])])), missing);
    assert_eq!(grants(json!([entry("repository", "G/a", &["*"])])), missing);
    assert_eq!(
        grants(json!([entry("repository(plugin)", "g/a", &["*"])])),
        missing
    );
    assert_eq!(grants(json!([])), missing);
    assert_eq!(grants(Value::Null), missing);
}

#[test]
fn what_is_no_token_is_told_apart_from_a_bad_one() {
    let now = DateTime::from_timestamp(NOW, 0).unwrap();
    for header in [None, Some("Basic YTpi"), Some("Bearer"), Some("Bearer a b")] {
        assert_eq!(
            auth().check(header, &required(), now).unwrap_err().error,
            None,
            "{header:?}"
        );
    }
    assert!(
        auth()
            .check(Some(&format!("bEARER {}", good(&[]))), &required(), now)
            .is_ok()
    );
    for token in ["x", "a.b", "a.b.c", "e30.e30.", &format!("{}=", good(&[]))] {
        assert_eq!(check(token).unwrap_err().error, Some("invalid_token"), "{token}");
    }
}

#[test]
fn challenges_are_those_of_notary() {
    let refusal = |error| TokenRefusal {
        error,
        reason: "the \"key\" is wrong".to_owned(),
        bound: false,
    };
    let required = required();
    assert_eq!(
        auth().challenge("h", &required, &refusal(None)),
        r#"Bearer realm="https://auth.example.com/token",service="notary.example.com",scope="repository:g/a:push,pull""#
    );
    let named = [Access::repository("a\"b\\ü\u{7}", "pull")];
    let challenge = auth().challenge("h", &named, &refusal(Some("invalid_token")));
    assert!(
        challenge.ends_with(r#"scope="repository:a\"b\\\u00fc\u0007:pull",error="invalid_token",error_description="the 'key' is wrong""#),
        "{challenge}"
    );
    let same_host = TokenAuth {
        realm: Realm::SameHost,
        ..auth()
    };
    assert!(
        same_host
            .challenge("h:1", &required, &refusal(None))
            .starts_with(r#"Bearer realm="https://h:1/auth/token""#)
    );
}
