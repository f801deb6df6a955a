//! What is proposed of a real Notary repository.

use std::path::Path;

use bytes::Bytes;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use tuf::{Checksum, CurrentDocuments, Gun, KeyType, VerifiedDocument};

use super::*;
use crate::authoring::DelegatedPaths;
use crate::testing::{TestKey, role, sign};

const STEP: &str = "07-after-nested-publish";

fn source(step: &str) -> (VerifiedRoot, VerifiedTargets) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/notary/metadata")
        .join(step);
    let read = |name: &str| Bytes::from(std::fs::read(folder.join(format!("{name}.json"))).unwrap());
    let mut documents = CurrentDocuments {
        root: read("root"),
        timestamp: read("timestamp"),
        snapshot: read("snapshot"),
        targets: [("targets".to_owned(), read("targets"))].into(),
    };
    for name in ["releases", "releases_nightly"] {
        let role = format!("targets/{}", name.replace('_', "/"));
        documents.targets.insert(role, read(&format!("targets_{name}")));
    }
    let gun = Gun::parse("example.com/acme/app").unwrap();
    let root = VerifiedRoot::read(&gun, &documents.root).unwrap();
    let targets = root.verify(&documents).unwrap();
    (root, targets)
}

fn online() -> OnlineKeys {
    OnlineKeys {
        snapshot: TestKey::p256().public,
        timestamp: TestKey::p256().public,
    }
}

fn name() -> RepositoryName {
    RepositoryName::parse("example.com/acme/app").unwrap()
}

fn proposed(targets: &VerifiedTargets) -> Result<Proposal, CannotMigrate> {
    propose(&name(), &source(STEP).0, targets, &online(), &Trusted::default())
}

/// What a TUF 1.0 repository stores of a proposal; who signed it does not matter here.
fn stored(proposal: &Proposal) -> Trusted {
    let key = TestKey::ed25519();
    Trusted {
        root: proposal
            .root
            .as_ref()
            .map(|root| sign(&root.draft().unwrap(), &[&key])),
        targets: proposal
            .targets
            .iter()
            .map(|file| sign(&file.draft().unwrap(), &[&key]))
            .collect(),
        ..Trusted::default()
    }
}

#[test]
fn a_proposal_says_what_the_source_says() {
    let (source_root, source_targets) = source(STEP);
    let proposal = propose(
        &name(),
        &source_root,
        &source_targets,
        &online(),
        &Trusted::default(),
    )
    .unwrap();
    let root = proposal.root.as_ref().unwrap();
    assert_eq!(root.version.get(), 1);
    assert!(root.expires <= source_root.usable_until());
    let keys = |signers: &crate::Signers| -> Vec<[u8; 32]> {
        signers.keys().iter().map(|key| *key.identity()).collect()
    };
    let declared = |keys: &[tuf::PublicKey]| -> Vec<[u8; 32]> {
        keys.iter().filter_map(tuf::PublicKey::identity).collect()
    };
    assert_eq!(keys(&root.root), declared(&source_root.declared()));
    assert_eq!(
        keys(&root.targets),
        declared(&source_targets.roles[0].document.declared)
    );

    let names: Vec<&str> = proposal.targets.iter().map(|file| file.role.as_str()).collect();
    assert_eq!(names, ["targets", "targets/releases", "targets/releases/nightly"]);
    for (file, source) in proposal.targets.iter().zip(&source_targets.roles) {
        assert_eq!(file.expires, source.document.expires);
        for target in &source.targets {
            let made = &file.targets[&target.name];
            assert_eq!(
                (Some(made.sha256), made.length),
                (target.sha256, target.length as u64)
            );
        }
        assert_eq!(file.targets.len(), source.targets.len());
        assert!(file.draft().unwrap().expires() <= source.document.expires);
    }
    let delegation = &proposal.targets[0].delegations[0];
    assert_eq!(delegation.role, role("targets/releases"));
    assert_eq!(
        keys(&delegation.signers),
        declared(&source_targets.roles[1].document.declared)
    );
    assert!(!delegation.terminating);

    let words: Vec<String> = proposal.losses.iter().map(Loss::to_string).collect();
    for loss in [
        "no signature is carried over: each owner of a key signs again",
        "the file of targets/releases/nightly is named targets%2Freleases%2Fnightly.json",
    ] {
        assert!(words.iter().any(|word| word == loss), "{words:#?}");
    }
}

#[test]
fn what_says_the_same_already_is_not_proposed_again() {
    let (root, targets) = source(STEP);
    let online = online();
    let first = propose(&name(), &root, &targets, &online, &Trusted::default()).unwrap();
    let stored = stored(&first);
    let again = propose(&name(), &root, &targets, &online, &stored).unwrap();
    assert!(again.root.is_none() && again.targets.is_empty(), "{again:?}");

    let mut changed = targets.clone();
    changed.roles[1].targets[0].sha256 = Some(Checksum::of(b"other"));
    let next = propose(&name(), &root, &changed, &online, &stored).unwrap();
    let files: Vec<_> = next
        .targets
        .iter()
        .map(|file| (file.role.as_str(), file.version.get()))
        .collect();
    assert_eq!(
        (next.root.is_some(), files),
        (false, vec![("targets/releases", 2)])
    );

    // New keys of the server, and of targets, are named by a new root.
    let other = OnlineKeys {
        snapshot: TestKey::p256().public,
        ..online
    };
    let next = propose(&name(), &root, &targets, &other, &stored).unwrap();
    assert_eq!(next.root.unwrap().version.get(), 2);
}

#[test]
fn a_file_that_ends_later_than_its_source_is_proposed_anew() {
    let (root, targets) = source(STEP);
    let online = online();
    let mut first = propose(&name(), &root, &targets, &online, &Trusted::default()).unwrap();
    first.targets[0].expires += chrono::Duration::days(1);
    let next = propose(&name(), &root, &targets, &online, &stored(&first)).unwrap();
    assert_eq!(next.targets.len(), 1);
    assert_eq!(next.targets[0].expires, targets.roles[0].document.expires);
}

#[test]
fn beginnings_of_names_become_patterns_or_hash_prefixes() {
    let role = RoleName::parse("targets/releases").unwrap();
    let mut losses = Vec::new();
    let all = paths::convert(&role, &["v1".to_owned(), String::new()], &mut losses).unwrap();
    assert_eq!(all, DelegatedPaths::everything());
    let some = paths::convert(&role, &["v1.".to_owned(), "nightly/".to_owned()], &mut losses).unwrap();
    assert_eq!(
        some,
        DelegatedPaths::Patterns(vec!["v1.*".to_owned(), "nightly/*".to_owned()])
    );
    assert_eq!(losses.len(), 3);
    for prefix in ["a[", "a*", "a?", "/a", "../a", "!a"] {
        let refusal = paths::convert(&role, &[prefix.to_owned()], &mut losses).unwrap_err();
        assert_eq!(refusal.code(), "path", "{prefix}");
    }
}

#[test]
fn a_pattern_that_clients_read_differently_for_a_target_is_refused() {
    let (_, mut targets) = source(STEP);
    targets.roles[1].paths = vec!["v".to_owned()];
    targets.roles[1].targets[0].name = "v3/deep".to_owned();
    let refusal = proposed(&targets).map(|proposal| proposal.losses).unwrap_err();
    assert_eq!(refusal.code(), "path");
    assert!(refusal.to_string().contains("v3/deep"), "{refusal}");
}

#[test]
fn targets_that_cannot_be_named_are_told_as_losses() {
    let (_, mut targets) = source(STEP);
    targets.roles[0].targets[0].name = "a//b".to_owned();
    targets.roles[0].targets[1].sha256 = None;
    let proposal = proposed(&targets).unwrap();
    assert!(proposal.targets[0].targets.is_empty());
    let lost = proposal
        .losses
        .iter()
        .filter(|loss| matches!(loss, Loss::Target { .. }))
        .count();
    assert_eq!(lost, 2);
}

fn p384() -> tuf::PublicKey {
    let group = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
    let der = EcKey::generate(&group).unwrap().public_key_to_der().unwrap();
    tuf::PublicKey::new(KeyType::Ecdsa, der)
}

#[test]
fn keys_that_clients_do_not_read_are_lost_or_refused() {
    let (_, mut targets) = source(STEP);
    let document: &mut VerifiedDocument = &mut targets.roles[1].document;
    document.declared.push(p384());
    let proposal = proposed(&targets).unwrap();
    assert!(
        proposal
            .losses
            .iter()
            .any(|loss| matches!(loss, Loss::Key { .. }))
    );

    targets.roles[1].document.declared = vec![p384()];
    let refusal = proposed(&targets).map(|proposal| proposal.losses).unwrap_err();
    assert!(
        matches!(refusal, CannotMigrate::Keys { usable: 0, .. }),
        "{refusal}"
    );
}

#[test]
fn a_role_whose_key_the_server_holds_is_refused() {
    let (root, targets) = source(STEP);
    let held = &targets.roles[1].document.declared[0];
    let online = OnlineKeys {
        snapshot: crate::PublicKey::from_notary(held).unwrap(),
        timestamp: TestKey::p256().public,
    };
    let refusal = propose(&name(), &root, &targets, &online, &Trusted::default());
    let refusal = refusal.map(|proposal| proposal.losses).unwrap_err();
    assert_eq!(refusal.code(), "server_key");
}

#[test]
fn a_role_that_was_dropped_continues_above_its_last_version() {
    let (root, targets) = source(STEP);
    let repo = crate::testing::Repo::new();
    // A snapshot that still names the role, as after its delegation was taken away.
    let mut signed = serde_json::Value::Object(repo.trusted.snapshot.as_ref().unwrap().signed().clone());
    let mut meta = signed["meta"]["targets.json"].clone();
    meta["version"] = 7.into();
    signed["meta"]["targets/releases.json"] = meta;
    let bytes = crate::testing::sign_value(&signed, &[&repo.snapshot]);
    let stored = Trusted {
        snapshot: Some(Metadata::parse(&Role::Snapshot, bytes).unwrap()),
        ..Trusted::default()
    };
    let proposal = propose(&name(), &root, &targets, &online(), &stored).unwrap();
    assert_eq!(proposal.targets[1].version.get(), 8);
}
