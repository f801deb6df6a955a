//! What `countersign attest` does not attest, and that nothing is signed which the trust server has not recorded.

use std::{fs, path::Path};

use openssl::sha::sha256;
use serde_json::{Value, json};
use tests::{
    Client, Engine, Stop, TestServer,
    bridge::{KeyPair, Site},
    http::Response,
    person::Person,
    process::Finished,
};

const ATTESTATIONS: &str = "/api/v0/attestations";

/// The name under which a server knows a public key.
fn sha256_of_key(key: &KeyPair) -> String {
    let pem = fs::read(&key.public).unwrap();
    let key = openssl::pkey::PKey::public_key_from_pem(&pem).unwrap();
    hex::encode(sha256(&key.public_key_to_der().unwrap()))
}

/// A statement that is true of the tag 1.0.
fn truth(site: &Site, key: &KeyPair, digest: &str) -> Value {
    json!({
        "gun": site.gun(), "tag": "1.0", "digest": digest, "kind": "cosign", "key": sha256_of_key(key),
        "rootVersion": 1, "timestampVersion": 1, "payloadSHA256": "ab".repeat(32),
    })
}

fn report(client: &Client, body: &Value) -> Response {
    let json = ("Content-Type", "application/json");
    client.request("POST", ATTESTATIONS, &[json], body.to_string().as_bytes())
}

/// Attests by a policy file with these rules.
fn by_policy(site: &Site, key: &KeyPair, rest: &str, image: &str) -> Finished {
    let root = site.owner.notary.root_key();
    let anchors = format!("anchors: {{ prod: {{ root_keys: [{root:?}] }} }}");
    site.bridge.client.policy(&format!("{anchors}\n{rest}"));
    let key = key.private.to_str().unwrap();
    site.bridge.client.run(&[
        "attest",
        "--policy",
        "policy.yaml",
        "--cosign",
        "--bridge-key",
        key,
        image,
    ])
}

#[test]
fn only_what_is_verified_to_be_signed_now_is_attested() {
    let site = Site::start(&[]);
    let key = site.key("bridge");
    let former = site.push_signed("1.0", "one");
    let unsigned = site.push("3.0", "three");
    let refused = site.attest(&key, &[&site.image("3.0")]);
    assert_eq!(refused.code, 1, "{refused}");
    refused.says("tag_not_signed");
    // With one that is not, none is attested.
    let both = site.attest(&key, &[&site.image("1.0"), &site.image("3.0")]);
    assert_eq!(both.code, 1, "{both}");
    both.says("nothing is attested");
    site.attest(&key, &[&format!("{}@{unsigned}", site.image("1.0"))])
        .fails()
        .says("digest_mismatch");

    // What a policy lets run for other reasons than signatures.
    for (rest, image, says) in [
        (
            "rules: [ { match: \"**\", action: allow } ]",
            "1.0",
            "not because of its signatures",
        ),
        (
            "defaults: { action: allow }\nrules: [ { match: \"other.example/**\", anchor: prod } ]",
            "1.0",
            "not because of its signatures",
        ),
        (
            "rules: [ { match: \"**\", anchor: prod, mode: audit } ]",
            "3.0",
            "tag_not_signed",
        ),
        (
            "rules: [ { match: \"**\", action: deny, mode: audit } ]",
            "1.0",
            "denied_by_rule",
        ),
    ] {
        let refused = by_policy(&site, &key, rest, &site.image(image));
        assert_eq!(refused.code, 1, "{rest}: {refused}");
        refused.says(says);
    }
    // What was signed once, and may run still.
    let rules = "rules: [ { match: \"**\", anchor: prod, digest: ever-signed(30d) } ]";
    let by_digest = format!("{}@{former}", site.image("1.0"));
    by_policy(&site, &key, rules, &by_digest).ok();
    let current = site.push_signed("1.0", "another");
    site.bridge
        .client
        .run(&["verify", "--policy", "policy.yaml", &by_digest])
        .ok();
    let refused = by_policy(&site, &key, rules, &by_digest);
    assert_eq!(refused.code, 1, "{refused}");
    refused.says("digest_mismatch");
    assert_eq!(site.signatures(&current), None);
    by_policy(&site, &key, rules, &site.image("1.0")).ok();
    site.attest(&key, &["--from-bundle", "trust.json", &site.image("1.0")])
        .fails()
        .says("no server is asked");
    assert_eq!((site.signatures(&unsigned), site.records().len()), (None, 2));
}

#[test]
fn a_key_of_the_repository_is_no_bridge_to_it() {
    let site = Site::start(&[]);
    let digest = site.push_signed("1.0", "one");
    let image = site.image("1.0");
    let keys = site.owner.notary.trust().join("private");
    let keys: Vec<_> = fs::read_dir(keys)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(keys.len(), 2);
    let attest = |key: &Path| {
        let key = key.to_str().unwrap();
        let mut command = site.attesting(&site.bridge, &["--cosign", "--bridge-key", key, &image]);
        command.env("COUNTERSIGN_PASSPHRASE", tests::person::PASSPHRASE);
        Finished::run(&mut command, "")
    };
    for key in &keys {
        attest(key).fails().says("signs metadata of");
    }
    // The key of a signer, bare or in a certificate, and of one who has not signed anything yet.
    let files = site.server.pki().user("carol");
    let carol = files.certificate.to_str().unwrap();
    site.owner
        .run(&["signer", "add", "carol", &site.gun(), carol])
        .ok();
    attest(&files.key).fails().says("targets");
    assert_eq!((site.signatures(&digest), site.records()), (None, Vec::new()));

    // The server does not take it either.
    let key = openssl::pkey::PKey::private_key_from_pem(&fs::read(&files.key).unwrap()).unwrap();
    let carols = site.keep("carols", &key);
    let mut claim = truth(&site, &carols, &digest);
    let answer = report(&site.pusher(), &claim);
    answer.refuses(409, "UNTRUE");
    assert!(answer.text().contains("signs metadata of"), "{}", answer.text());
    claim["key"] = json!(sha256_of_key(&site.key("bridge")));
    assert_eq!(report(&site.pusher(), &claim).status, 201);
}

#[test]
fn who_may_not_attest_gets_no_signature_and_every_attestation_is_recorded_with_who_and_what() {
    let denied =
        json!({"name": "no attesting", "effect": "deny", "principals": ["mallory"], "actions": ["attest"]});
    let site = Site::start(&[denied]);
    let key = site.key("bridge");
    let digest = site.push_signed("1.0", "one");
    let image = site.image("1.0");
    let mallory = Person::of(&site.server, "mallory");
    let private = key.private.to_str().unwrap();
    let mut command = site.attesting(&mallory, &["--cosign", "--bridge-key", private, &image]);
    let refused = Finished::run(&mut command, "");
    assert_eq!(refused.code, 2, "{refused}");
    refused.says("mallory may not attest").says("nothing was signed");
    report(&site.server.client("mallory"), &truth(&site, &key, &digest)).refuses(403, "NOT_AUTHORIZED");
    assert_eq!((site.signatures(&digest), site.records()), (None, Vec::new()));

    site.attest(&key, &[&image]).ok();
    let gpg = site.gpg_key("bridge");
    site.attest_simply(&gpg, &[&image]).ok();
    let records = site.records();
    assert_eq!(records.len(), 2, "{records:?}");
    for record in &records {
        assert_eq!(
            (&record["gun"], &record["subject"]),
            (&json!(site.gun()), &json!("1.0"))
        );
        assert_eq!(record["principal"], "bridge");
        assert!(record["detail"].as_str().unwrap().contains(&digest), "{record}");
    }
    let details: String = records
        .iter()
        .map(|record| record["detail"].to_string())
        .collect();
    let layer = &site.signatures(&digest).unwrap()["layers"][0];
    for part in [
        &sha256_of_key(&key),
        &gpg.fingerprint,
        layer["digest"].as_str().unwrap(),
    ] {
        assert!(details.contains(part), "{part}: {details}");
    }
    site.server.command_line("audit verify").ok();
    let lines = fs::read_to_string(site.server.path().join("audit.json")).unwrap();
    let lines = lines.lines().filter(|line| line.contains(r#""action":"attest""#));
    let decisions: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |decision: &str| {
        decisions
            .iter()
            .filter(|line| line["decision"] == decision)
            .count()
    };
    assert_eq!((of("denied"), of("allowed")), (2, 2), "{decisions:?}");
    assert!(
        decisions
            .iter()
            .all(|line| line["decision"] == "denied" || line["table"].is_object())
    );
}

#[test]
fn who_may_not_read_a_repository_does_not_learn_from_an_attestation_what_it_holds() {
    let unread =
        json!({"name": "no reading", "effect": "deny", "principals": ["trent"], "actions": ["pull"]});
    let site = Site::start(&[unread]);
    let key = site.key("bridge");
    let digest = site.push_signed("1.0", "one");
    let truth = truth(&site, &key, &digest);
    let but = |member: &str, value: Value| {
        let mut claim = truth.clone();
        claim[member] = value;
        claim
    };
    let trent = site.server.client("trent");
    for claim in [
        truth.clone(),
        but("tag", json!("2.0")),
        but("rootVersion", json!(9)),
        but("gun", json!("localhost/team/absent")),
    ] {
        report(&trent, &claim).refuses(403, "NOT_AUTHORIZED");
    }
    assert_eq!(site.records(), Vec::<Value>::new());
    assert_eq!(report(&site.pusher(), &truth).status, 201);
}

#[test]
fn a_statement_that_is_not_so_is_not_recorded() {
    let site = Site::start(&[]);
    let key = site.key("bridge");
    let digest = site.push_signed("1.0", "one");
    let other = site.push_signed("2.0", "two");
    let client = site.server.client("bridge");
    let truth = truth(&site, &key, &digest);
    let with = |name: &str, value: Value| {
        let mut body = truth.clone();
        body[name] = value;
        report(&client, &body)
    };
    for (name, lie) in [
        ("digest", json!(other)),
        ("digest", json!(format!("sha256:{}", "0".repeat(64)))),
        ("tag", json!("3.0")),
        ("tag", json!("2.0")),
        ("rootVersion", json!(2)),
        ("timestampVersion", json!(99)),
    ] {
        with(name, lie).refuses(409, "UNTRUE");
    }
    with("gun", json!("reg.example/none")).refuses(404, "NO_SUCH_REPOSITORY");
    for (name, malformed) in [
        ("digest", json!("sha256:AB")),
        ("digest", json!(digest.to_uppercase())),
        ("manifest", json!("md5:00")),
        ("tag", json!("")),
        ("tag", json!("1.0\n")),
        ("tag", json!("a".repeat(129))),
        ("gun", json!("")),
        ("key", json!("AB".repeat(32))),
        ("key", json!("ab".repeat(20))),
        ("rootVersion", json!(0)),
        ("timestampVersion", json!(-1)),
        ("payloadSHA256", json!("ab")),
    ] {
        with(name, malformed).refuses(400, "INVALID_PARAMETERS");
    }
    for (name, malformed) in [
        ("kind", json!("gpg")),
        ("rootVersion", json!("1")),
        ("rootVersion", json!(1.5)),
        ("more", json!(1)),
    ] {
        with(name, malformed).refuses(400, "INVALID_JSON");
    }
    // The name of a key is that of its kind: an OpenPGP fingerprint may have as many digits.
    assert_eq!(with("kind", json!("simple-signing")).status, 201);
    let text = truth.to_string();
    let json_type = ("Content-Type", "application/json");
    let twice = text.replacen('{', "{\"tag\":\"2.0\",", 1);
    client
        .request("POST", ATTESTATIONS, &[json_type], twice.as_bytes())
        .refuses(400, "INVALID_JSON");
    client
        .request("POST", ATTESTATIONS, &[], text.as_bytes())
        .refuses(415, "UNSUPPORTED_MEDIA_TYPE");
    // What a page of another site makes a browser send.
    client
        .request(
            "POST",
            ATTESTATIONS,
            &[json_type, ("Origin", "https://evil.example")],
            text.as_bytes(),
        )
        .refuses(403, "CROSS_SITE");
    assert_eq!(client.get(ATTESTATIONS).status, 405);
    assert_eq!(report(&client, &truth).status, 201);
    assert_eq!(site.records().len(), 2);
    // What was so is so no longer.
    site.owner.run(&["revoke", &site.image("1.0")]).ok();
    report(&client, &truth).refuses(409, "UNTRUE");
    site.server.command_line("audit verify").ok();
}

#[test]
fn nothing_is_signed_where_no_server_records_it() {
    let mut site = Site::of(TestServer::builder().signs_locally(), &[]);
    let key = site.key("bridge");
    let digest = site.push_signed("1.0", "one");
    let image = site.image("1.0");
    let out = site.path("out");
    let to = ["--out", out.to_str().unwrap(), &image];
    site.server.stop_server(Stop::AtOnce);
    let away = site.attest(&key, &to);
    assert_eq!(away.code, 2, "{away}");
    assert!(!out.exists());
    site.server.start_server();
    assert_eq!(site.signatures(&digest), None);
    site.attest(&key, &to).ok();

    let silent = Site::of(TestServer::builder().set("audit.table", json!(false)), &[]);
    let key = silent.key("bridge");
    let digest = silent.push_signed("1.0", "one");
    silent
        .attest(&key, &[&silent.image("1.0")])
        .fails()
        .says("keeps no record of changes");
    assert_eq!(silent.signatures(&digest), None);
}

#[test]
fn notarys_own_server_records_nothing_so_nothing_is_attested() {
    let site = Site::start(&[]);
    let digest = site.push("1.0", "one");
    let image = site.image("1.0");
    let notarys = TestServer::builder().of_notary(Engine::Postgres).start();
    let owner = Person::of(&notarys, "alice");
    owner.run(&["sign", "--init", &image, "--from-registry"]).ok();
    let root = owner.notary.root_key();
    let key = site.key("bridge");
    let private = key.private.to_str().unwrap();
    owner
        .client
        .run_at_server(&[
            "attest",
            "--root-key",
            &root,
            "--cosign",
            "--bridge-key",
            private,
            &image,
        ])
        .fails()
        .says("keeps no records of attestations");
    assert_eq!(site.signatures(&digest), None);
}
