//! What `countersign attest` attests, readers accept under a policy that refuses everything else: Debian's skopeo, and a reader of
//! cosign's signatures.

use std::{fs, thread};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::{hash::MessageDigest, pkey::PKey, rsa::Rsa, sha::sha256, sign::Verifier, symm::Cipher};
use platform::pki::KeyKind;
use serde_json::{Value, json};
use tests::{
    bridge::{KeyPair, Site},
    process::Finished,
    registry::{LIST, MANIFEST, get_manifest, put_manifest},
    token::Token,
};

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

fn layers(site: &Site, digest: &str) -> Vec<Value> {
    let manifest = site.signatures(digest).unwrap();
    manifest["layers"].as_array().unwrap().clone()
}

/// What a layer says, after its signature was verified by OpenSSL alone.
fn payload(site: &Site, layer: &Value, key: &KeyPair) -> Value {
    let path = format!("/v2/team/app/blobs/{}", layer["digest"].as_str().unwrap());
    let content = site.pusher().get(&path).ok().body;
    let signature = layer["annotations"][SIGNATURE].as_str().unwrap();
    let public = PKey::public_key_from_pem(&fs::read(&key.public).unwrap()).unwrap();
    let mut verifier = Verifier::new(MessageDigest::sha256(), &public).unwrap();
    let signature = STANDARD.decode(signature).unwrap();
    assert!(verifier.verify_oneshot(&signature, &content).unwrap());
    serde_json::from_slice(&content).unwrap()
}

#[test]
fn readers_of_cosigns_signatures_accept_what_is_attested_with_the_key_that_they_trust_and_nothing_else() {
    let site = Site::start(&[]);
    let (key, other) = (site.key("bridge"), site.key("other"));
    let digest = site.push_signed("1.0", "one");
    let elsewhere = site.push_signed("2.0", "two");
    let unsigned = site.push("3.0", "three");
    let [one, two, three] = ["1.0", "2.0", "3.0"].map(|tag| site.image(tag));
    let attested = site.attest(&key, &[&one]).ok();
    assert_eq!(attested.stdout.trim(), format!("{one}@{digest}"), "{attested}");
    site.attest(&other, &[&two]).ok();

    site.accepted(&key, &one);
    site.accepted(&key, &format!("{}@{digest}", site.gun()));
    site.accepted(&other, &two);
    // Attested by somebody else, and by nobody.
    site.refused(&key, &two);
    site.refused(&other, &one);
    site.refused(&key, &three)
        .says("A signature was required, but no signature exists");
    assert_eq!(site.signatures(&unsigned), None);

    let [layer] = layers(&site, &digest).try_into().unwrap();
    let said = payload(&site, &layer, &key);
    let critical = &said["critical"];
    assert_eq!(critical["type"], "cosign container image signature");
    assert_eq!(critical["image"]["docker-manifest-digest"], digest);
    assert_eq!(critical["identity"]["docker-reference"], one);
    let basis = &said["optional"]["countersign"];
    assert_eq!(
        (&basis["gun"], &basis["tag"]),
        (&json!(site.gun()), &json!("1.0"))
    );
    assert_eq!(basis["root"]["version"], 1);
    assert_eq!(basis["roles"][0]["role"], "targets");

    // Both keys stay, whoever attests last.
    site.attest(&key, &[&two]).ok();
    site.accepted(&key, &two);
    site.accepted(&other, &two);
    assert_eq!(layers(&site, &elsewhere).len(), 2);
}

#[test]
fn skopeo_accepts_simple_signatures_of_the_key_that_it_trusts_and_of_no_other() {
    let site = Site::start(&[]);
    let (key, other) = (site.gpg_key("bridge"), site.gpg_key("other"));
    let digest = site.push_signed("1.0", "one");
    site.push_signed("2.0", "two");
    site.push("3.0", "three");
    let [one, two, three] = ["1.0", "2.0", "3.0"].map(|tag| site.image(tag));
    let attested = site.attest_simply(&key, &[&one]).ok();
    assert_eq!(attested.stdout.trim(), format!("{one}@{digest}"), "{attested}");
    site.attest_simply(&other, &[&two]).ok();
    site.skopeo(&key.demanded(), &one).ok();
    site.skopeo(&key.demanded(), &format!("{}@{digest}", site.gun()))
        .ok();
    site.skopeo(&key.demanded(), &two).fails().says("signature");
    site.skopeo(&other.demanded(), &one).fails();
    site.skopeo(&key.demanded(), &three)
        .fails()
        .says("A signature was required, but no signature exists");

    // A signature is for the tag that was signed, also where the image is the same.
    let manifest = get_manifest(&site.pusher(), "team/app", "1.0");
    let manifest: Value = serde_json::from_slice(&manifest.body).unwrap();
    let put = put_manifest(&site.pusher(), "team/app", "latest", MANIFEST, &manifest);
    assert_eq!(put.status, 201);
    site.skopeo(&key.demanded(), &site.image("latest"))
        .fails()
        .says("1.0");

    // Both keys stay, and what stands is not signed again.
    site.attest_simply(&other, &[&one]).ok();
    site.attest_simply(&key, &[&one]).ok().says("is attested already");
    let place = site
        .path("lookaside")
        .join(format!("team/app@{}", digest.replace(':', "=")));
    assert_eq!(fs::read_dir(&place).unwrap().count(), 2);
    // A newer statement of a key takes the place of its former one.
    let four = site.push_signed("4.0", "four");
    site.attest_simply(&key, &[&one]).ok().does_not_say("already");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 2);
    site.skopeo(&key.demanded(), &one).ok();
    site.skopeo(&other.demanded(), &one).ok();
    // What lies there besides is passed over.
    fs::write(place.join("signature-3"), "of nobody").unwrap();
    site.attest_simply(&key, &[&one]).ok().says("is attested already");
    assert_eq!(site.records().len(), 4);
    // What is attested by its digest alone is good for those who ask for that.
    let by_digest = format!("{}@{four}", site.gun());
    site.attest_simply(&key, &[&by_digest]).ok();
    site.skopeo(&key.demanded(), &by_digest).ok();
    site.skopeo(&key.demanded(), &site.image("4.0")).fails();

    let run = |fingerprint: &str| {
        let directory = site.path("lookaside").display().to_string();
        let arguments = [
            "--simple-signing",
            "--gpg-key",
            fingerprint,
            "--out",
            &directory,
            &two,
        ];
        Finished::run(&mut site.attesting(&site.bridge, &arguments), "")
    };
    run("bridge@example")
        .fails()
        .says("has to be the whole fingerprint");
    let nobodys = "00".repeat(20);
    run(&nobodys).fails().says("No secret key");
}

#[test]
fn the_files_that_the_page_shows_are_those_that_skopeo_reads() {
    const PAGE: &str = include_str!("../../docs/attest.md");
    let site = Site::start(&[]);
    let key = site.gpg_key("bridge");
    site.push_signed("1.0", "one");
    site.push("2.0", "two");
    let image = site.image("1.0");
    site.attest_simply(&key, &[&image]).ok();
    let shown = |beginning: &str| {
        let (_, block) = PAGE.split_once(beginning).unwrap();
        format!("{beginning}{}", block.split_once("```").unwrap().0)
    };
    let host = site.registry.host();
    let requirement =
        shown("{\"type\": \"signedBy\"").replace("/etc/containers/bridge.gpg", key.public.to_str().unwrap());
    let policy = shown("{\n  \"default\"");
    let (_, of_cosign) = policy.split_once('[').unwrap().1.split_once('[').unwrap();
    let of_cosign = of_cosign.split_once(']').unwrap().0;
    assert!(of_cosign.contains("sigstoreSigned"), "{of_cosign}");
    let policy = policy
        .replace(of_cosign, &requirement)
        .replace("reg.example", &host);
    let lookaside = format!("file://{}", site.path("lookaside").display());
    let places = shown("docker:\n  reg.example:\n    lookaside")
        .replace("https://signatures.reg.example", &lookaside)
        .replace("reg.example", &host);
    site.skopeo_with(&policy, &places, &image).ok();
    site.skopeo_with(&policy, &places, &site.image("2.0"))
        .fails()
        .says("no signature exists");
    site.skopeo_with(&policy.replace("/team", "/others"), &places, &image)
        .fails()
        .says("rejected by policy");
    // What the page says of Debian's programs and of cosign's signatures.
    let cosigns = site.key("cosign");
    site.attest(&cosigns, &[&image]).ok();
    let places = shown("docker:\n  reg.example:\n    use-sigstore-attachments").replace("reg.example", &host);
    let policy = shown("{\n  \"default\"")
        .replace("/etc/containers/bridge.pub", cosigns.public.to_str().unwrap())
        .replace("reg.example", &host);
    let copied = site.skopeo_with(&policy, &places, &image);
    assert!(
        copied.code == 0 || copied.output().contains("Debian-local change: sigstore disabled"),
        "{copied}"
    );
    site.skopeo_with(&policy, &places, &site.image("2.0"))
        .fails()
        .says("no signature exists");
}

#[test]
fn what_is_attested_already_is_neither_signed_nor_recorded_again_and_former_statements_do_not_pile_up() {
    let site = Site::start(&[]);
    let key = site.key("bridge");
    let digest = site.push_signed("1.0", "one");
    let image = site.image("1.0");
    site.attest(&key, &[&image]).ok();
    let first = layers(&site, &digest);
    site.attest(&key, &[&image, &image])
        .ok()
        .says("is attested already");
    assert_eq!((layers(&site, &digest), site.records().len()), (first.clone(), 1));
    for tag in ["2.0", "3.0"] {
        site.push_signed(tag, tag);
        site.attest(&key, &[&image]).ok().does_not_say("already");
        let layers = layers(&site, &digest);
        assert_eq!(layers.len(), 1);
        assert_ne!(layers, first);
    }
    // By its digest it is another statement, which readers need who ask for the digest alone.
    let by_digest = format!("{}@{digest}", site.gun());
    site.attest(&key, &[&by_digest]).ok();
    assert_eq!(layers(&site, &digest).len(), 2);
    site.attest(&key, &[&by_digest, &image]).ok();
    assert_eq!((layers(&site, &digest).len(), site.records().len()), (2, 4));
    site.accepted(&key, &image);

    // A layer of others stays, and one that only claims to be ours helps nobody.
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let mut manifest = site.signatures(&digest).unwrap();
    let mut forged = manifest["layers"][0].clone();
    forged["annotations"][SIGNATURE] = json!(STANDARD.encode("forged"));
    manifest["layers"] = json!([forged]);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    assert_eq!(
        put_manifest(&site.pusher(), "team/app", &tag, kind, &manifest).status,
        201
    );
    site.refused(&key, &image);
    site.attest(&key, &[&image]).ok().does_not_say("already");
    let now = layers(&site, &digest);
    assert_eq!((now.len(), &now[0]), (2, &forged));
    site.accepted(&key, &image);
}

#[test]
fn who_attests_at_the_same_time_as_others_leaves_theirs() {
    let site = Site::start(&[]);
    let keys = ["a", "b", "c"].map(|name| site.key(name));
    let digest = site.push_signed("1.0", "one");
    let image = site.image("1.0");
    thread::scope(|scope| {
        for key in &keys {
            scope.spawn(|| site.attest(key, &[&image]));
        }
    });
    // Registries have no way to put a manifest only over the one that was read, and this one fails at times when several put
    // one. Whoever was unlucky attests again.
    for key in &keys {
        site.attest(key, &[&image]).ok();
    }
    assert_eq!(layers(&site, &digest).len(), 3);
    for key in &keys {
        site.accepted(key, &image);
    }
    // In a layout nobody is unlucky.
    let out = site.path("out");
    let to = ["--out", out.to_str().unwrap(), &image];
    thread::scope(|scope| {
        for key in &keys {
            scope.spawn(|| site.attest(key, &to).ok());
        }
    });
    site.upload(&out, &digest);
    assert_eq!(layers(&site, &digest).len(), 3);
    site.accepted(&keys[0], &image);
}

#[test]
fn a_layout_of_signatures_is_carried_to_the_registry_by_skopeo() {
    let site = Site::start(&[]);
    let (key, other) = (site.key("bridge"), site.key("other"));
    let digest = site.push_signed("1.0", "one");
    site.push_signed("2.0", "two");
    let [one, two] = ["1.0", "2.0"].map(|tag| site.image(tag));
    let out = site.path("out");
    let to = ["--out", out.to_str().unwrap()];
    site.attest(&key, &[&to[..], &[&one, &two]].concat()).ok();
    site.attest(&other, &[&to[..], &[&one]].concat()).ok();
    site.attest(&key, &[&to[..], &[&one]].concat())
        .ok()
        .says("is attested already");
    assert_eq!(site.signatures(&digest), None);
    site.refused(&key, &one);
    site.upload(&out, &digest);
    assert_eq!(layers(&site, &digest).len(), 2);
    site.accepted(&key, &one);
    site.accepted(&other, &one);
    site.refused(&key, &two);
    assert_eq!(site.records().len(), 3);
}

#[test]
fn images_in_an_index_are_attested_with_it_when_asked_for() {
    let site = Site::start(&[]);
    let key = site.key("bridge");
    let client = site.pusher();
    let children = ["amd64", "arm64"].map(|architecture| {
        let digest = site.push(architecture, architecture);
        let size = get_manifest(&client, "team/app", architecture).body.len();
        json!({
            "mediaType": MANIFEST, "size": size, "digest": digest,
            "platform": {"architecture": architecture, "os": "linux"},
        })
    });
    let index = json!({"schemaVersion": 2, "mediaType": LIST, "manifests": children});
    assert_eq!(
        put_manifest(&client, "team/app", "multi", LIST, &index).status,
        201
    );
    site.sign("multi");
    let image = site.image("multi");
    let gpg = site.gpg_key("bridge");
    site.attest(&key, &[&image]).ok().says("only with --recursive");
    site.attest_simply(&gpg, &[&image]).ok();
    // skopeo looks for signatures of the image that this machine would run.
    site.skopeo(&gpg.demanded(), &image).fails();
    let child = format!("{}@{}", site.gun(), children[0]["digest"].as_str().unwrap());
    site.refused(&key, &child);
    site.attest(&key, &["--recursive", &image]).ok();
    site.attest_simply(&gpg, &["--recursive", &image]).ok();
    site.skopeo(&gpg.demanded(), &image).ok();
    site.accepted(&key, &child);
    site.accepted(&key, &image);
    let index = format!("sha256:{}", hex::encode(sha256(index.to_string().as_bytes())));
    let records = site.records();
    assert_eq!(records.len(), 6);
    for child in &children {
        let (child, within) = (child["digest"].as_str().unwrap(), format!("in the index {index}"));
        let of_child = |record: &&Value| {
            let detail = record["detail"].as_str().unwrap();
            detail.contains(child) && detail.contains(&within)
        };
        assert_eq!(records.iter().filter(of_child).count(), 2, "{records:?}");
    }
    site.attest(&key, &["--recursive", &image]).ok();
    assert_eq!(site.records().len(), 6);
}

#[test]
fn keys_are_taken_from_files_with_passphrases_and_from_tokens_and_rsa_is_as_good() {
    let site = Site::start(&[]);
    let digest = site.push_signed("1.0", "one");
    let image = site.image("1.0");
    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let rsa = site.keep("rsa", &rsa);
    let clear = PKey::private_key_from_pem(&fs::read(&rsa.private).unwrap()).unwrap();
    let encrypted = clear
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret")
        .unwrap();
    fs::write(&rsa.private, encrypted).unwrap();
    let with = |passphrase: &str| {
        let key = rsa.private.to_str().unwrap();
        let mut command = site.attesting(&site.bridge, &["--cosign", "--bridge-key", key, &image]);
        Finished::run(command.env("COUNTERSIGN_PASSPHRASE", passphrase), "")
    };
    with("wrong").fails().says("is encrypted, and it is not opened");
    assert_eq!(site.signatures(&digest), None);
    with("secret").ok();
    site.accepted(&rsa, &image);

    let token = Token::new(&site.path(""), "bridge");
    let in_token = |arguments: &[&str]| {
        let mut command = site.bridge.client.command(arguments);
        token.give(&mut command);
        Finished::run(&mut command, "")
    };
    in_token(&["key", "generate", "bridge", "--in-token"]).ok();
    let public = site.bridge.client.directory().join("bridge.pub");
    let listed = in_token(&["key", "list"]).ok().stdout;
    let id = listed
        .split_whitespace()
        .find(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .unwrap()
        .to_owned();
    let mut command = site.attesting(&site.bridge, &["--cosign", "--bridge-key", &id, &image]);
    token.give(&mut command);
    Finished::run(&mut command, "").ok();
    let in_token = KeyPair {
        private: public.clone(),
        public,
    };
    site.accepted(&in_token, &image);
    assert_eq!(layers(&site, &digest).len(), 2);

    let ed25519 = PKey::generate_ed25519().unwrap();
    let p384 = KeyKind::P384.generate().unwrap();
    for (name, content, says) in [
        ("ed25519", ed25519.private_key_to_pem_pkcs8().unwrap(), "Ed25519"),
        ("p384", p384.private_key_to_pem_pkcs8().unwrap(), "another curve than P-256"),
        ("nothing", b"nothing".to_vec(), "holds no private key"),
        (
            "cosign",
            b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n".to_vec(),
            "in a way that only cosign opens",
        ),
    ] {
        let file = site.path(name);
        fs::write(&file, content).unwrap();
        let key = KeyPair {
            private: file.clone(),
            public: file,
        };
        site.attest(&key, &[&image]).fails().says(says);
    }
}
