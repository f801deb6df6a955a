//! One private key counts once towards a threshold, in however many forms it is listed.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use tuf::{KeyType, Rejection, RoleName, Severity};

use crate::support::{
    Certificate, Key, Repository, delegation, now, part, rejected, root_body, sign, stored, targets_body,
};

const ONE_KEY: &str = "several of those listed are one private key, which counts once";

/// A key bare and in two certificates.
fn forms(key: &Key) -> [Key; 3] {
    let certified = || key.certified(&Certificate::of("anybody"));
    [key.clone(), certified(), certified()]
}

/// A root of the repository with these targets keys and this threshold.
fn root(repository: &Repository, version: i64, targets: &[&Key], threshold: i64) -> Value {
    let mut body = root_body(
        version,
        [
            &[&repository.root],
            targets,
            &[&repository.snapshot],
            &[&repository.timestamp],
        ],
    );
    body["roles"]["targets"]["threshold"] = json!(threshold);
    body
}

/// Publishes a first root with these targets keys, and targets signed by `signers`.
fn first(keys: &[&Key], threshold: i64, signers: &[&Key]) -> Result<(), (&'static str, String)> {
    let repository = Repository::empty();
    let root = sign(&root(&repository, 1, keys, threshold), &[&repository.root]);
    let targets = sign(&targets_body(1, &[]), signers);
    match repository.check([part("root", root), part("targets", targets)]) {
        Ok(_) => Ok(()),
        refused => Err(rejected(refused)),
    }
}

#[test]
fn a_root_cannot_demand_more_keys_than_it_lists_different_ones() {
    for key in [Key::ecdsa(), Key::rsa(2048)] {
        let [bare, one, other] = forms(&key);
        let all = [&bare, &one, &other];
        for threshold in [2, 3] {
            let (kind, text) = first(&all, threshold, &all).unwrap_err();
            assert_eq!(kind, "ErrBadRoot");
            assert!(text.contains(ONE_KEY), "{text}");
        }
        assert_eq!(first(&all, 1, &[&other]), Ok(()));
    }
}

#[test]
fn signatures_by_one_private_key_count_once() {
    let (key, second) = (Key::ecdsa(), Key::ecdsa());
    let [bare, one, other] = forms(&key);
    let listed = [&bare, &one, &other, &second];
    let (kind, text) = first(&listed, 2, &[&bare, &one, &other]).unwrap_err();
    assert_eq!(
        (kind, text.as_str()),
        (
            "ErrBadTargets",
            "valid signatures did not meet threshold for targets"
        )
    );
    assert_eq!(first(&listed, 2, &[&bare, &second]), Ok(()));
    assert_eq!(first(&listed, 2, &[&bare, &one, &second]), Ok(()));
}

#[test]
fn root_certificates_of_one_key_count_once() {
    let repository = Repository::empty();
    let gun = repository.gun.as_str();
    let other = repository.root.certified(&Certificate::of(gun));
    let expired = Key::ecdsa().certified(&Certificate::of(gun).days(-20, -5));
    let publish = |keys: &[&Key]| {
        let mut body = root_body(
            1,
            [
                keys,
                &[&repository.targets],
                &[&repository.snapshot],
                &[&repository.timestamp],
            ],
        );
        body["roles"]["root"]["threshold"] = json!(2);
        let targets = repository.targets_document(1, &[]);
        repository.check([part("root", sign(&body, keys)), part("targets", targets)])
    };
    // A third one that cannot sign today does not make it two.
    for keys in [
        &[&repository.root, &other][..],
        &[&repository.root, &other, &expired],
    ] {
        let (kind, text) = rejected(publish(keys));
        assert_eq!(kind, "ErrBadRoot");
        assert!(text.contains(ONE_KEY), "{text}");
    }
    assert!(publish(&[&repository.root, &other, &Key::certificate(gun)]).is_ok());
}

#[test]
fn an_rsa_key_in_der_and_in_pem_is_one() {
    let key = Key::rsa(2048);
    let pem = key.public.public();
    let pem = openssl::pkey::PKey::public_key_from_der(pem)
        .unwrap()
        .public_key_to_pem()
        .unwrap();
    let in_pem = key.listed(KeyType::Rsa, pem);
    let repository = Repository::empty();
    let second = Key::ecdsa();
    let body = root(&repository, 1, &[&key, &in_pem, &second], 2);
    let mut targets: Value = serde_json::from_slice(&sign(&targets_body(1, &[]), &[&key, &in_pem])).unwrap();
    targets["signatures"][1]["method"] = json!("pycrypto-pkcs#1 pss");
    let publish = |targets: &Value| -> Result<(), Rejection> {
        let root = part("root", sign(&body, &[&repository.root]));
        repository
            .check([root, part("targets", targets.to_string().into_bytes())])
            .map(drop)
    };
    assert!(rejected(publish(&targets)).1.contains("did not meet threshold"));
    // Either of them counts beside another key.
    let message = tuf::canonicalize(&targets["signed"]).unwrap();
    let signature = second.sign(&message);
    targets["signatures"][0] = json!({
        "keyid": second.id(), "method": "ecdsa", "sig": BASE64.encode(signature.bytes),
    });
    assert_eq!(publish(&targets), Ok(()));
}

#[test]
fn delegations_count_private_keys_too() {
    let (key, second) = (Key::ecdsa(), Key::ecdsa());
    let [bare, one, _] = forms(&key);
    let mut repository = Repository::published();
    let declaring = |repository: &Repository, version, keys: &[&Key]| {
        let mut body = targets_body(version, &[("targets/a", keys)]);
        body["delegations"]["roles"][0]["threshold"] = json!(2);
        sign(&body, &[&repository.targets])
    };
    let (kind, text) =
        rejected(repository.check([part("targets", declaring(&repository, 2, &[&bare, &one]))]));
    assert_eq!(kind, "ErrBadTargets");
    assert!(text.contains(ONE_KEY), "{text}");
    let three = declaring(&repository, 2, &[&bare, &one, &second]);
    repository.publish([part("targets", three)]);
    let by = |signers: &[&Key]| repository.check([part("targets/a", sign(&targets_body(1, &[]), signers))]);
    assert!(rejected(by(&[&bare, &one])).1.contains("did not meet threshold"));
    assert!(by(&[&one, &second]).is_ok());
}

/// A repository as Notary took it: what it demands is met by counting forms.
fn old() -> (Repository, [Key; 3]) {
    let forms = forms(&Key::ecdsa());
    let [bare, one, other] = &forms;
    let mut repository = Repository::published();
    let body = root(&repository, 1, &[bare, one, other], 3);
    repository.store(stored("root", 1, sign(&body, &[&repository.root])));
    let mut targets = targets_body(1, &[]);
    targets["delegations"]["keys"] = body["keys"].clone();
    targets["delegations"]["roles"] = json!([delegation("targets/a", &[bare, one])]);
    targets["delegations"]["roles"][0]["threshold"] = json!(2);
    repository.store(stored("targets", 1, sign(&targets, &[bare, one, other])));
    (repository, forms)
}

#[test]
fn what_stands_already_goes_on_until_it_is_declared_anew() {
    let (mut repository, [bare, one, other]) = old();
    let all = [&bare, &one, &other];
    let mut targets = targets_body(2, &[("targets/a", &[&bare, &one])]);
    targets["delegations"]["roles"][0]["threshold"] = json!(2);
    assert!(repository.check([part("targets", sign(&targets, &all))]).is_ok());
    assert!(
        repository
            .check([part("targets/a", sign(&targets_body(1, &[]), &[&bare, &one]))])
            .is_ok()
    );
    // The next root may say the same, and nothing of the kind that is new.
    let same = sign(&root(&repository, 2, &all, 3), &[&repository.root]);
    assert!(repository.check([part("root", same)]).is_ok());
    let other_threshold = sign(&root(&repository, 2, &all, 2), &[&repository.root]);
    let (kind, text) = rejected(repository.check([part("root", other_threshold)]));
    assert_eq!(kind, "ErrBadRoot");
    assert!(text.contains(ONE_KEY), "{text}");
    targets["delegations"]["roles"][0]["name"] = json!("targets/b");
    let (kind, text) = rejected(repository.check([part("targets", sign(&targets, &all))]));
    assert_eq!(kind, "ErrBadTargets");
    assert!(text.contains(ONE_KEY), "{text}");

    repository.publish([part("targets", sign(&targets_body(2, &[]), &all))]);
}

#[test]
fn it_is_told_by_the_audit() {
    let (repository, _) = old();
    let root = repository.current.root.clone().unwrap();
    let snapshot = crate::support::snapshot_body(
        2,
        &[
            ("root", &root.bytes),
            ("targets", &repository.current.targets[&RoleName::Targets].bytes),
        ],
    );
    let snapshot = stored("snapshot", 2, sign(&snapshot, &[&repository.snapshot]));
    let timestamp = json!({
        "_type": "Timestamp", "expires": "2030-01-01T00:00:00Z", "version": 2,
        "meta": crate::support::snapshot_body(1, &[("snapshot", &snapshot.bytes)])["meta"],
    });
    let timestamp = stored("timestamp", 2, sign(&timestamp, &[&repository.timestamp]));
    let find = |role: &RoleName, _: &tuf::Checksum| {
        Ok::<_, std::convert::Infallible>(match role {
            RoleName::Snapshot => Some(snapshot.clone()),
            role => repository.current.targets.get(role).cloned(),
        })
    };
    let soon = chrono::TimeDelta::zero();
    let found = tuf::audit(&repository.gun, &[root], Some(&timestamp), find, now(), soon).unwrap();
    let weak: Vec<_> = found
        .iter()
        .filter(|finding| finding.severity == Severity::Weak)
        .map(|finding| finding.role.as_str())
        .collect();
    assert_eq!(weak, ["root", "targets/a"], "{found:?}");
    assert!(
        found.iter().all(|finding| finding.severity != Severity::Broken),
        "{found:?}"
    );
}
