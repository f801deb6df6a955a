//! A publisher who makes every document by hand, so that tests can make any of them wrong.

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::EcKey,
    ecdsa::EcdsaSig,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    sha::{sha256, sha512},
    x509::{X509Builder, X509NameBuilder},
};
use platform::pki::{Issued, KeyKind, Template, Usage};
use serde_json::{Map, Value, json};

use crate::http::{Client, Response};

/// A key of the publisher's, with its TUF form.
#[derive(Clone)]
pub struct Key {
    private: EcKey<Private>,
    /// The public half as it stands in metadata.
    pub public: Value,
    /// The key's id.
    pub id: String,
}

impl Key {
    /// A bare ECDSA key.
    pub fn generate() -> Self {
        Self::of(&KeyKind::P256.generate().unwrap())
    }

    /// An ECDSA key that somebody has already.
    pub fn of(key: &PKey<Private>) -> Self {
        Self::new(key, "ecdsa", &key.public_key_to_der().unwrap())
    }

    /// A key with a certificate, as root keys have; `name` is the certificate's common name.
    pub fn with_certificate(name: &str, days: u32) -> Self {
        Self::with_template(&Template::new(name, Usage::Unrestricted, days))
    }

    /// A key with a certificate of any contents.
    pub fn with_template(template: &Template) -> Self {
        let issued = Issued::self_signed(template).unwrap();
        Self::new(&issued.key, "ecdsa-x509", &issued.certificate_pem().unwrap())
    }

    /// The same private key, listed by a new certificate.
    #[must_use]
    pub fn in_a_certificate(&self, name: &str) -> Self {
        let private = PKey::from_ec_key(self.private.clone()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
        let subject = subject.build();
        let mut serial = BigNum::new().unwrap();
        serial.rand(64, MsbOption::ONE, false).unwrap();
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder
            .set_serial_number(&serial.to_asn1_integer().unwrap())
            .unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder
            .set_not_before(&Asn1Time::days_from_now(0).unwrap())
            .unwrap();
        builder
            .set_not_after(&Asn1Time::days_from_now(365).unwrap())
            .unwrap();
        builder.set_pubkey(&private).unwrap();
        builder.sign(&private, MessageDigest::sha256()).unwrap();
        Self::new(&private, "ecdsa-x509", &builder.build().to_pem().unwrap())
    }

    fn new(key: &PKey<Private>, kind: &str, public: &[u8]) -> Self {
        let public = json!({"keytype": kind, "keyval": {"private": null, "public": STANDARD.encode(public)}});
        let id = hex::encode(sha256(canonical(&public).as_bytes()));
        Self {
            private: key.ec_key().unwrap(),
            public,
            id,
        }
    }

    fn sign(&self, message: &[u8]) -> Value {
        self.sign_digest(&sha256(message))
    }

    /// An entry of `signatures` for a message with this SHA-256.
    pub fn sign_digest(&self, digest: &[u8; 32]) -> Value {
        let signature = EcdsaSig::sign(digest, &self.private).unwrap();
        let mut bytes = signature.r().to_vec_padded(32).unwrap();
        bytes.extend(signature.s().to_vec_padded(32).unwrap());
        json!({"keyid": self.id, "method": "ecdsa", "sig": STANDARD.encode(bytes)})
    }
}

/// Object keys sorted, no blanks: enough for what tests sign, which is ASCII and whole numbers.
pub fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| key.as_bytes());
                let pairs = entries
                    .into_iter()
                    .map(|(key, value)| (key.clone(), sorted(value)));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
            Value::Array(entries) => entries.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

/// The file of a document signed by `keys`.
pub fn sign(signed: &Value, keys: &[&Key]) -> Vec<u8> {
    let message = canonical(signed);
    let signatures: Vec<Value> = keys.iter().map(|key| key.sign(message.as_bytes())).collect();
    let signatures = Value::Array(signatures);
    format!("{{\"signed\":{message},\"signatures\":{signatures}}}").into_bytes()
}

/// A snapshot's entry for a file.
pub fn hashes(file: &[u8]) -> Value {
    let (short, long) = (STANDARD.encode(sha256(file)), STANDARD.encode(sha512(file)));
    json!({"hashes": {"sha256": short, "sha512": long}, "length": file.len()})
}

/// A moment `days` from now, as it stands in metadata.
pub fn in_days(days: i64) -> String {
    (chrono::Utc::now() + chrono::TimeDelta::days(days)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The keys of one repository.
#[derive(Clone)]
pub struct Publisher {
    /// The root key; its certificate names the GUN, or a pattern of GUNs.
    pub root: Key,
    /// The targets key.
    pub targets: Key,
    /// The snapshot key: the publisher's, or the server's public half.
    pub snapshot: SnapshotKey,
    /// The server's timestamp key.
    pub timestamp: Value,
}

/// Who holds the snapshot key.
#[derive(Clone)]
pub enum SnapshotKey {
    /// The publisher.
    Own(Key),
    /// The server.
    Servers(Value),
}

/// The id of a public key as it stands in metadata.
pub fn key_id(public: &Value) -> String {
    let keyval = json!({"private": null, "public": public["keyval"]["public"]});
    hex::encode(sha256(
        canonical(&json!({"keytype": public["keytype"], "keyval": keyval})).as_bytes(),
    ))
}

impl Publisher {
    /// A publisher for `gun`, whose root certificate names `common_name`; the server holds the snapshot key.
    pub fn new(client: &Client, gun: &str, common_name: &str) -> Self {
        let key = |role: &str| {
            client
                .get(&format!("/v2/{gun}/_trust/tuf/{role}.key"))
                .ok()
                .json()
        };
        Self {
            root: Key::with_certificate(common_name, 365),
            targets: Key::generate(),
            snapshot: SnapshotKey::Servers(key("snapshot")),
            timestamp: key("timestamp"),
        }
    }

    /// A publisher for `gun` whose root certificate has been valid for a month, for servers whose clock is behind.
    pub fn since_a_month_ago(client: &Client, gun: &str) -> Self {
        let mut certificate = Template::new(gun, Usage::Unrestricted, 365);
        certificate.validity.0 = -30 * 24 * 3600;
        Self {
            root: Key::with_template(&certificate),
            ..Self::new(client, gun, gun)
        }
    }

    /// The same publisher, holding the snapshot key.
    #[must_use]
    pub fn with_own_snapshot_key(mut self) -> Self {
        self.snapshot = SnapshotKey::Own(Key::generate());
        self
    }

    /// The signed part of a root.
    pub fn root(&self, version: i64) -> Value {
        let snapshot = match &self.snapshot {
            SnapshotKey::Own(key) => key.public.clone(),
            SnapshotKey::Servers(public) => public.clone(),
        };
        let mut keys = Map::new();
        let mut roles = Map::new();
        let named = [
            ("root", &self.root.public),
            ("targets", &self.targets.public),
            ("snapshot", &snapshot),
            ("timestamp", &self.timestamp),
        ];
        for (role, public) in named {
            let id = key_id(public);
            keys.insert(id.clone(), public.clone());
            roles.insert(role.to_owned(), json!({"keyids": [id], "threshold": 1}));
        }
        json!({
            "_type": "Root", "consistent_snapshot": false, "expires": in_days(3650), "keys": keys,
            "roles": roles, "version": version,
        })
    }

    /// The signed part of targets or of a delegation, with one target.
    pub fn targets(version: i64) -> Value {
        json!({
            "_type": "Targets", "delegations": {"keys": {}, "roles": []}, "expires": in_days(1000),
            "targets": {"v1": hashes(b"what is signed")}, "version": version,
        })
    }

    /// The signed part of targets that delegate `role` to `key`.
    pub fn delegating(version: i64, role: &str, key: &Key) -> Value {
        let mut targets = Self::targets(version);
        let entry = json!({"keyids": [key.id], "name": role, "paths": [""], "threshold": 1});
        targets["delegations"]["keys"][&key.id] = key.public.clone();
        targets["delegations"]["roles"] = json!([entry]);
        targets
    }

    /// The signed part of a snapshot of these files.
    pub fn snapshot(version: i64, files: &[(&str, &[u8])]) -> Value {
        let meta: Map<String, Value> = files
            .iter()
            .map(|(role, file)| ((*role).to_owned(), hashes(file)))
            .collect();
        json!({"_type": "Snapshot", "expires": in_days(1000), "meta": meta, "version": version})
    }

    /// The root's file.
    pub fn root_file(&self, version: i64) -> Vec<u8> {
        sign(&self.root(version), &[&self.root])
    }

    /// The targets' file.
    pub fn targets_file(&self, version: i64) -> Vec<u8> {
        sign(&Self::targets(version), &[&self.targets])
    }

    /// Publishes the first root and targets.
    #[track_caller]
    pub fn publish_first(&self, client: &Client, gun: &str) -> Response {
        client
            .publish(
                gun,
                &[("root", &self.root_file(1)), ("targets", &self.targets_file(1))],
            )
            .ok()
    }
}
