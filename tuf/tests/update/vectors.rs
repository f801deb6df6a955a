//! Documents whose outcome in Notary is known, as uploads of the delegation they were made for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tuf::{Checksum, IntakeError, KeyType, Rejection, RoleName, Upload, canonical_form, check};

use crate::support::{Repository, now, part, sign, targets_body};

const SIGNATURES: &str = include_str!("../../../fixtures/notary/signature-vectors.json");
const CANONICAL: &str = include_str!("../../../fixtures/notary/canonical-json-vectors.json");

/// One document, the key of its role, and the outcome in Notary.
struct Vector {
    name: String,
    key: Value,
    key_id: String,
    file: Vec<u8>,
    message: Option<Vec<u8>>,
    accepted: bool,
    /// Whether the reference's snapshot named the raw bytes of the file.
    raw_hash: Option<bool>,
}

#[derive(Debug)]
enum Refusal {
    Intake(IntakeError),
    Update(Rejection),
}

fn vectors(text: &str) -> Vec<Vector> {
    let bytes = |value: &Value| BASE64.decode(value.as_str().unwrap()).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(text).unwrap();
    let vector = |v: &Value| Vector {
        name: v["name"].as_str().unwrap().to_owned(),
        key: v["key"].clone(),
        key_id: v["keyid"].as_str().unwrap().to_owned(),
        file: bytes(&v["file_b64"]),
        message: v["signed_message_b64"]
            .is_string()
            .then(|| bytes(&v["signed_message_b64"])),
        accepted: v["accepted"].as_bool().unwrap(),
        raw_hash: v["server_snapshot_hash_equals_raw_file"].as_bool(),
    };
    vectors.iter().map(vector).collect()
}

/// Publishes the file as `targets/e`, whose key is the vector's; the checksum is what the snapshot will name.
fn publish(vector: &Vector) -> Result<Checksum, Refusal> {
    let mut repository = Repository::published();
    let mut targets = targets_body(2, &[]);
    targets["delegations"] = json!({
        "keys": { &vector.key_id: vector.key },
        "roles": [{ "keyids": [vector.key_id], "name": "targets/e", "paths": [""], "threshold": 1 }],
    });
    repository.publish([part("targets", sign(&targets, &[&repository.targets]))]);
    let parts = [(Some("targets/e".to_owned()), vector.file.clone().into())];
    let upload = Upload::from_parts(parts).map_err(Refusal::Intake)?;
    let update = check(&repository.gun, &upload, &repository.current, now()).map_err(Refusal::Update)?;
    let snapshot = repository.seal(update).documents()[1].bytes.clone();
    let role = RoleName::parse("targets/e").unwrap();
    Ok(tuf::named_in_snapshot(&snapshot, &role).unwrap().unwrap())
}

/// Documents that Notary accepts although readers may parse them differently; no client writes such documents.
const AMBIGUOUS: [&str; 5] = [
    "custom-float-integral",
    "custom-exponent",
    "custom-neg-zero",
    "length-2^53+1-signed-as-2^53",
    "duplicate-keys-last-wins",
];

/// Publishes every vector.
fn replay(vectors: Vec<Vector>) {
    for vector in vectors {
        let published = publish(&vector);
        if AMBIGUOUS.contains(&vector.name.as_str()) {
            assert!(vector.accepted && published.is_err(), "{}", vector.name);
            continue;
        }
        assert_eq!(
            published.is_ok(),
            vector.accepted,
            "{}: {published:?}",
            vector.name
        );
        if let Ok(named) = published {
            // Where the reference names the hash of its own rendering, we differ on purpose.
            assert_eq!(
                named,
                Checksum::of(&vector.file),
                "{} (as there: {:?})",
                vector.name,
                vector.raw_hash
            );
        }
    }
}

#[test]
fn every_signature_is_accepted_or_refused_as_there() {
    let vectors = vectors(SIGNATURES);
    assert_eq!(vectors.len(), 27);
    replay(vectors);
}

#[test]
fn every_rendering_is_accepted_or_refused_as_there() {
    let vectors = vectors(CANONICAL);
    assert_eq!(vectors.len(), 25);
    assert!(
        vectors.iter().any(|v| v.raw_hash == Some(false)),
        "some were broken by the reference"
    );
    replay(vectors);
}

#[test]
fn the_message_is_byte_for_byte_the_same() {
    let mut compared = 0;
    for vector in vectors(CANONICAL).into_iter().chain(vectors(SIGNATURES)) {
        let (Some(message), Ok(form)) = (&vector.message, canonical_form(&vector.file)) else {
            continue;
        };
        // The canonical form of a whole document ends with its signed part.
        let signed = [br#","signed":"#, message.as_slice(), b"}"].concat();
        // Some were signed over something else than what they hold, to be refused.
        assert_eq!(
            form.ends_with(&signed),
            vector.name != "length-2^53+1-signed-exact",
            "{}",
            vector.name
        );
        compared += 1;
    }
    assert!(compared >= 45, "{compared}");
}

#[test]
fn key_ids_are_the_same() {
    for vector in vectors(CANONICAL).into_iter().chain(vectors(SIGNATURES)) {
        let public = BASE64
            .decode(vector.key["keyval"]["public"].as_str().unwrap())
            .unwrap();
        let key_type = KeyType::parse(vector.key["keytype"].as_str().unwrap());
        let computed = tuf::PublicKey::new(key_type, public);
        assert_eq!(computed.id().as_str(), vector.key_id, "{}", vector.name);
    }
}

#[test]
fn refusals_have_the_kind_and_text_of_the_reference() {
    let text = |name: &str| {
        let all = vectors(SIGNATURES).into_iter().chain(vectors(CANONICAL));
        match publish(&all.into_iter().find(|v| v.name == name).unwrap()).unwrap_err() {
            Refusal::Update(rejection) => (rejection.kind().unwrap(), rejection.to_string()),
            Refusal::Intake(error) => ("intake", error.to_string()),
        }
    };
    let threshold = "valid signatures did not meet threshold for targets/e".to_owned();
    assert_eq!(text("ecdsa-secp256k1"), ("ErrBadTargets", threshold.clone()));
    assert_eq!(text("method-mismatch"), ("ErrBadTargets", threshold));
    assert_eq!(
        text("rsa-x509-1024"),
        ("ErrBadTargets", "RSA bit length is too short".into())
    );
    // There only when the message is made.
    assert_eq!(text("custom-float-fraction").0, "intake");
    assert_eq!(text("sig-base64-no-padding").0, "intake");
    // The reference has only an internal error to show here.
    assert_eq!(text("control-chars-in-name").0, "ErrValidation");
}
