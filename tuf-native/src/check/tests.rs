//! The rules of a publish one by one, with the attacks that each stands against.

use super::*;
use crate::authoring::{Delegate, DelegatedPaths, Target};
use crate::testing::{Repo, TestKey, in_days, name, now, role, sign, signers};
use crate::{Delegator, RepositoryName};

fn refused(result: Result<Checked, Refusal>) -> Refusal {
    result.map(|checked| checked.new().len()).unwrap_err()
}

/// A repository in which `targets` delegates `docs/*` to the role `docs` with this key.
fn with_docs() -> (Repo, TestKey) {
    let mut repo = Repo::new();
    let key = TestKey::p256();
    let mut targets = repo.next("targets");
    targets.delegate(delegate("docs", &[&key], 1, "docs/*"));
    let targets = sign(&targets.draft().unwrap(), &[&repo.targets]);
    let docs = sign(&repo.first_delegated("docs").draft().unwrap(), &[&key]);
    repo.publish(vec![docs, targets]).unwrap();
    (repo, key)
}

fn delegate(name: &str, keys: &[&TestKey], threshold: u32, pattern: &str) -> Delegate {
    Delegate {
        role: role(name),
        signers: signers(keys, threshold),
        paths: DelegatedPaths::Patterns(vec![pattern.to_owned()]),
        terminating: false,
    }
}

fn version(number: i64) -> Version {
    Version::new(number).unwrap()
}

#[test]
fn a_first_publish_is_root_version_1_and_targets() {
    let repo = Repo::unpublished();
    let root = sign(&repo.first_root().draft().unwrap(), &[&repo.root]);
    let targets = sign(&repo.first_targets().draft().unwrap(), &[&repo.targets]);
    let checked = repo.check(vec![targets.clone(), root.clone()]).unwrap();
    let new: Vec<_> = checked.new().iter().map(|file| file.role().clone()).collect();
    assert_eq!(new, [Role::Root, Role::Targets]);
    assert_eq!(checked.root().bytes(), root.bytes());
    assert!(checked.dropped().is_empty());

    assert_eq!(refused(repo.check(vec![])), Refusal::Nothing);
    assert_eq!(refused(repo.check(vec![targets])), Refusal::NoRoot);
    assert_eq!(refused(repo.check(vec![root])), Refusal::NoTargets);
    let mut second = repo.first_root();
    second.version = version(2);
    let second = sign(&second.draft().unwrap(), &[&repo.root]);
    let refusal = refused(repo.check(vec![second]));
    assert_eq!(
        refusal,
        Refusal::RootVersion {
            stored: 0,
            uploaded: version(2)
        }
    );
}

#[test]
fn a_first_root_is_signed_by_enough_of_its_own_keys() {
    let repo = Repo::unpublished();
    let other = TestKey::ed25519();
    let mut root = repo.first_root();
    root.root = signers(&[&repo.root, &other], 2);
    let draft = root.draft().unwrap();
    let targets = sign(&repo.first_targets().draft().unwrap(), &[&repo.targets]);
    let refusal = refused(repo.check(vec![sign(&draft, &[&repo.root]), targets.clone()]));
    let by = Delegator::Root(version(1));
    assert_eq!(
        refusal,
        Refusal::Threshold {
            role: Role::Root,
            by,
            have: 1,
            needed: 2
        }
    );
    let stranger = TestKey::p256();
    let refusal = refused(repo.check(vec![sign(&draft, &[&repo.root, &stranger]), targets.clone()]));
    assert_eq!(refusal.code(), "threshold");
    assert!(
        repo.check(vec![sign(&draft, &[&repo.root, &other]), targets])
            .is_ok()
    );
}

#[test]
fn rollback_and_replay_are_refused() {
    let mut repo = Repo::new();
    let first = repo.trusted.targets[0].clone();
    let second = sign(&repo.next("targets").draft().unwrap(), &[&repo.targets]);
    repo.publish(vec![second.clone()]).unwrap();
    for old in [first, second] {
        let refusal = refused(repo.check(vec![old.clone()]));
        let uploaded = old.version();
        assert_eq!(
            refusal,
            Refusal::Rollback {
                role: Role::Targets,
                stored: version(2),
                uploaded
            }
        );
    }
    let root = repo.roots[0].clone();
    assert_eq!(
        refused(repo.check(vec![root])),
        Refusal::RootVersion {
            stored: 1,
            uploaded: version(1)
        }
    );
}

#[test]
fn a_role_that_only_the_snapshot_still_names_is_not_rolled_back() {
    let (mut repo, key) = with_docs();
    let docs = repo.next("docs");
    let mut targets = repo.next("targets");
    let delegation = targets.delegations[0].clone();
    assert!(targets.undelegate(&role("docs")));
    let checked = repo
        .publish(vec![sign(&targets.draft().unwrap(), &[&repo.targets])])
        .unwrap();
    assert_eq!(checked.dropped(), [role("docs")]);
    assert!(repo.trusted.file(&role("docs")).is_none());
    let meta = repo.trusted.snapshot.as_ref().unwrap().body().meta().unwrap();
    assert_eq!(meta.0.get(&role("docs")).unwrap().version, version(1));

    let mut targets = repo.next("targets");
    targets.delegate(delegation);
    let targets = sign(&targets.draft().unwrap(), &[&repo.targets]);
    let old = sign(&repo.first_delegated("docs").draft().unwrap(), &[&key]);
    assert_eq!(refused(repo.check(vec![targets.clone(), old])).code(), "rollback");
    let checked = repo
        .publish(vec![targets, sign(&docs.draft().unwrap(), &[&key])])
        .unwrap();
    assert!(checked.dropped().is_empty());
}

#[test]
fn fast_forward_is_refused() {
    let repo = Repo::new();
    let mut targets = repo.next("targets");
    targets.version = version(1001);
    assert!(
        repo.check(vec![sign(&targets.draft().unwrap(), &[&repo.targets])])
            .is_ok()
    );
    targets.version = version(1002);
    let refusal = refused(repo.check(vec![sign(&targets.draft().unwrap(), &[&repo.targets])]));
    assert_eq!(refusal.code(), "fast_forward");
    assert!(
        refusal.to_string().ends_with("sign version 2 to 1001"),
        "{refusal}"
    );
    let mut root = repo.next_root();
    root.version = version(3);
    let refusal = refused(repo.check(vec![sign(&root.draft().unwrap(), &[&repo.root])]));
    assert_eq!(
        refusal,
        Refusal::RootVersion {
            stored: 1,
            uploaded: version(3)
        }
    );
}

#[test]
fn arbitrary_content_of_a_foreign_key_is_refused() {
    let repo = Repo::new();
    let draft = repo.next("targets").draft().unwrap();
    for foreign in [&TestKey::p256(), &repo.root, &repo.snapshot, &repo.timestamp] {
        let refusal = refused(repo.check(vec![sign(&draft, &[foreign])]));
        let by = Delegator::Root(version(1));
        assert_eq!(
            refusal,
            Refusal::Threshold {
                role: Role::Targets,
                by,
                have: 0,
                needed: 1
            }
        );
    }
}

#[test]
fn a_signature_over_other_content_does_not_count() {
    let repo = Repo::new();
    let good = sign(&repo.next("targets").draft().unwrap(), &[&repo.targets]);
    let text = String::from_utf8(good.bytes().to_vec()).unwrap();
    let changed = text.replace(r#""version":2"#, r#""version":3"#);
    assert_ne!(changed, text);
    let changed = Metadata::parse(&Role::Targets, changed.into()).unwrap();
    assert_eq!(refused(repo.check(vec![changed])).code(), "threshold");
}

#[test]
fn a_new_root_is_signed_by_enough_keys_of_the_old_and_of_the_new_one() {
    let repo = Repo::new();
    let new = TestKey::ed25519();
    let mut root = repo.next_root();
    root.root = signers(&[&new], 1);
    let draft = root.draft().unwrap();
    let refusal = refused(repo.check(vec![sign(&draft, &[&new])]));
    let by = Delegator::Root(version(1));
    assert_eq!(
        refusal,
        Refusal::Threshold {
            role: Role::Root,
            by,
            have: 0,
            needed: 1
        }
    );
    let refusal = refused(repo.check(vec![sign(&draft, &[&repo.root])]));
    let by = Delegator::Root(version(2));
    assert_eq!(
        refusal,
        Refusal::Threshold {
            role: Role::Root,
            by,
            have: 0,
            needed: 1
        }
    );
    assert!(repo.check(vec![sign(&draft, &[&repo.root, &new])]).is_ok());
}

#[test]
fn several_successive_roots_come_in_one_publish() {
    let mut repo = Repo::new();
    let keys = [TestKey::p256(), TestKey::ed25519(), TestKey::p256()];
    let mut before = repo.root.clone();
    let mut roots = Vec::new();
    let mut root = repo.next_root();
    // The first is expired already: only the last has to be current.
    root.expires = in_days(-1);
    for key in keys {
        root.root = signers(&[&key], 1);
        roots.push(sign(&root.draft().unwrap(), &[&before, &key]));
        root.version = root.version.next().unwrap();
        root.expires = in_days(100);
        before = key;
    }
    let gap = vec![roots[0].clone(), roots[2].clone()];
    assert_eq!(
        refused(repo.check(gap)),
        Refusal::RootVersion {
            stored: 2,
            uploaded: version(4)
        }
    );
    let twice = vec![roots[0].clone(), roots[0].clone()];
    assert_eq!(
        refused(repo.check(twice)),
        Refusal::RootVersion {
            stored: 2,
            uploaded: version(2)
        }
    );
    roots.reverse();
    let checked = repo.publish(roots).unwrap();
    let versions: Vec<_> = checked.new().iter().map(|file| file.version().get()).collect();
    assert_eq!(versions, [2, 3, 4]);
    assert_eq!(checked.root().version(), version(4));
}

#[test]
fn endless_roots_are_refused() {
    let repo = Repo::new();
    let root = sign(&repo.next_root().draft().unwrap(), &[&repo.root]);
    let refusal = refused(repo.check(vec![root; 257]));
    assert_eq!(
        refusal,
        Refusal::TooManyRoots {
            count: 257,
            limit: 256
        }
    );
}

#[test]
fn freezing_a_repository_by_expired_files_is_refused() {
    let repo = Repo::new();
    let mut targets = repo.next("targets");
    targets.expires = now();
    let refusal = refused(repo.check(vec![sign(&targets.draft().unwrap(), &[&repo.targets])]));
    assert_eq!(
        refusal,
        Refusal::Expired {
            role: Role::Targets,
            at: now()
        }
    );
    let mut root = repo.next_root();
    root.expires = in_days(-1);
    let refusal = refused(repo.check(vec![sign(&root.draft().unwrap(), &[&repo.root])]));
    assert_eq!(
        refusal,
        Refusal::Expired {
            role: Role::Root,
            at: in_days(-1)
        }
    );
    // Clients refuse everything under an expired root.
    let later = in_days(366);
    let mut targets = repo.next("targets");
    targets.expires = in_days(400);
    let files = vec![sign(&targets.draft().unwrap(), &[&repo.targets])];
    let refusal = check(&repo.trusted, files, &repo.online(), &Limits::default(), later).unwrap_err();
    assert_eq!(
        refusal,
        Refusal::Expired {
            role: Role::Root,
            at: in_days(365)
        }
    );
}

#[test]
fn what_the_server_makes_is_not_uploaded() {
    let repo = Repo::new();
    for file in [&repo.trusted.snapshot, &repo.trusted.timestamp] {
        let file = file.clone().unwrap();
        let role = file.role().clone();
        assert_eq!(refused(repo.check(vec![file])), Refusal::MadeByServer { role });
    }
}

#[test]
fn one_role_is_uploaded_once() {
    let repo = Repo::new();
    let file = sign(&repo.next("targets").draft().unwrap(), &[&repo.targets]);
    let refusal = refused(repo.check(vec![file.clone(), file]));
    assert_eq!(refusal, Refusal::UploadedTwice { role: Role::Targets });
}

#[test]
fn a_root_names_exactly_the_keys_of_the_server() {
    let repo = Repo::new();
    let other = TestKey::p256();
    let named = [
        signers(&[&other], 1),
        signers(&[&repo.snapshot, &other], 1),
        signers(&[&repo.snapshot, &other], 2),
    ];
    for snapshot in named {
        let mut root = repo.next_root();
        root.snapshot = snapshot;
        let refusal = refused(repo.check(vec![sign(&root.draft().unwrap(), &[&repo.root])]));
        let (role, key) = (Role::Snapshot, repo.snapshot.public.id().clone());
        assert_eq!(
            refusal,
            Refusal::OnlineKey {
                version: version(2),
                role,
                key
            }
        );
    }
    let mut root = repo.next_root();
    root.timestamp = signers(&[&repo.snapshot], 1);
    assert_eq!(
        refused(repo.check(vec![sign(&root.draft().unwrap(), &[&repo.root])])).code(),
        "online_key"
    );
}

#[test]
fn a_server_that_was_taken_over_can_sign_no_content() {
    let repo = Repo::new();
    let online = [&repo.snapshot, &repo.timestamp];
    for key in online {
        let mut of_root = repo.next_root();
        of_root.root = signers(&[&repo.root, key], 1);
        let mut of_targets = repo.next_root();
        of_targets.targets = signers(&[&repo.targets, key], 1);
        for root in [of_root, of_targets] {
            let refusal = refused(repo.check(vec![sign(&root.draft().unwrap(), &[&repo.root])]));
            assert_eq!(refusal.code(), "online_key_elsewhere");
        }
        let mut targets = repo.next("targets");
        targets.delegate(delegate("docs", &[key], 1, "docs/*"));
        let docs = sign(&repo.first_delegated("docs").draft().unwrap(), &[key]);
        let refusal = refused(repo.check(vec![sign(&targets.draft().unwrap(), &[&repo.targets]), docs]));
        let key = key.public.id().clone();
        let (role, named_for) = (Role::Targets, role("docs"));
        assert_eq!(refusal, Refusal::OnlineKeyElsewhere { role, key, named_for });
    }
    // Nor a key that a root named on the way.
    let mut first = repo.next_root();
    first.root = signers(&[&repo.root, &repo.snapshot], 1);
    let second = RootAfter::of(&first, &repo);
    let files = vec![sign(&first.draft().unwrap(), &[&repo.root]), second];
    assert_eq!(refused(repo.check(files)).code(), "online_key_elsewhere");
}

/// The root after one that was not published, with the old keys again.
struct RootAfter;

impl RootAfter {
    fn of(first: &crate::authoring::RootContent, repo: &Repo) -> Metadata {
        let mut second = first.clone();
        second.version = version(3);
        second.root = signers(&[&repo.root], 1);
        sign(&second.draft().unwrap(), &[&repo.root])
    }
}

#[test]
fn keys_of_the_server_are_replaced_by_a_new_root() {
    let (mut repo, _) = with_docs();
    let mut targets = repo.next("targets");
    targets.undelegate(&role("docs"));
    repo.publish(vec![sign(&targets.draft().unwrap(), &[&repo.targets])])
        .unwrap();
    repo.snapshot = TestKey::p256();
    repo.timestamp = TestKey::ed25519();
    // Without a root that names the new keys nothing could be signed any more.
    let file = sign(&repo.next("targets").draft().unwrap(), &[&repo.targets]);
    assert_eq!(refused(repo.check(vec![file])).code(), "online_key");
    let mut root = repo.next_root();
    root.use_online_keys(&repo.online());
    repo.publish(vec![sign(&root.draft().unwrap(), &[&repo.root])])
        .unwrap();
    let snapshot = repo.trusted.snapshot.clone().unwrap();
    assert_eq!(snapshot.version(), version(4));
    // Clients forget the snapshot of the old key, so it need not go on naming what is gone.
    assert!(!snapshot.body().meta().unwrap().0.contains_key(&role("docs")));
}

#[test]
fn a_new_root_takes_no_stored_file_its_signers() {
    let repo = Repo::new();
    let new = TestKey::p256();
    let mut root = repo.next_root();
    root.targets = signers(&[&new], 1);
    let root = sign(&root.draft().unwrap(), &[&repo.root]);
    let refusal = refused(repo.check(vec![root.clone()]));
    let (by, version) = (Delegator::Root(version(2)), version(1));
    assert_eq!(
        refusal,
        Refusal::NoLongerSigned {
            role: Role::Targets,
            version,
            by,
            have: 0,
            needed: 1
        }
    );
    let draft = repo.next("targets").draft().unwrap();
    // The old key no longer counts in the same publish.
    assert_eq!(
        refused(repo.check(vec![root.clone(), sign(&draft, &[&repo.targets])])).code(),
        "threshold"
    );
    assert!(repo.check(vec![root, sign(&draft, &[&new])]).is_ok());
}

#[test]
fn a_delegated_role_is_signed_by_the_keys_of_the_publish() {
    let (repo, old) = with_docs();
    let new = TestKey::ed25519();
    let mut targets = repo.next("targets");
    targets.delegate(delegate("docs", &[&new], 1, "docs/*"));
    let targets = sign(&targets.draft().unwrap(), &[&repo.targets]);
    let refusal = refused(repo.check(vec![targets.clone()]));
    assert!(matches!(
        refusal,
        Refusal::NoLongerSigned {
            by: Delegator::Role(Role::Targets),
            ..
        }
    ));
    let draft = repo.next("docs").draft().unwrap();
    assert_eq!(
        refused(repo.check(vec![targets.clone(), sign(&draft, &[&old])])).code(),
        "threshold"
    );
    assert!(repo.check(vec![targets, sign(&draft, &[&new])]).is_ok());
    assert_eq!(
        refused(repo.check(vec![sign(&draft, &[&new])])).code(),
        "threshold"
    );
    assert!(repo.check(vec![sign(&draft, &[&old])]).is_ok());
}

#[test]
fn a_role_that_nobody_delegates_to_is_refused() {
    let repo = Repo::new();
    let key = TestKey::p256();
    let docs = sign(&repo.first_delegated("docs").draft().unwrap(), &[&key]);
    assert_eq!(
        refused(repo.check(vec![docs])),
        Refusal::NotDelegated { role: role("docs") }
    );
}

#[test]
fn a_delegation_without_a_file_is_refused() {
    let repo = Repo::new();
    let mut targets = repo.next("targets");
    targets.delegate(delegate("docs", &[&TestKey::p256()], 1, "docs/*"));
    let refusal = refused(repo.check(vec![sign(&targets.draft().unwrap(), &[&repo.targets])]));
    assert_eq!(
        refusal,
        Refusal::DelegationWithoutFile {
            role: role("docs"),
            by: Role::Targets
        }
    );
}

#[test]
fn one_role_delegates_to_another_alone_and_never_in_a_circle() {
    let (mut repo, key) = with_docs();
    let deep = TestKey::p256();
    let mut docs = repo.next("docs");
    docs.delegate(delegate("deep", &[&deep], 1, "docs/*"));
    let file = sign(&repo.first_delegated("deep").draft().unwrap(), &[&deep]);
    repo.publish(vec![sign(&docs.draft().unwrap(), &[&key]), file])
        .unwrap();
    assert_eq!(repo.trusted.targets.len(), 3);

    let mut targets = repo.next("targets");
    targets.delegate(delegate("deep", &[&deep], 1, "docs/*"));
    let refusal = refused(repo.check(vec![sign(&targets.draft().unwrap(), &[&repo.targets])]));
    let (first, second) = (Role::Targets, role("docs"));
    assert_eq!(
        refusal,
        Refusal::DelegatedTwice {
            role: role("deep"),
            first,
            second
        }
    );

    let mut circle = repo.next("deep");
    circle.delegate(delegate("docs", &[&key], 1, "docs/*"));
    let refusal = refused(repo.check(vec![sign(&circle.draft().unwrap(), &[&deep])]));
    assert_eq!(refusal.code(), "delegated_twice");
}

#[test]
fn roles_below_a_role_that_is_dropped_are_dropped_too() {
    let (mut repo, key) = with_docs();
    let deep = TestKey::p256();
    let mut docs = repo.next("docs");
    docs.delegate(delegate("deep", &[&deep], 1, "docs/*"));
    let file = sign(&repo.first_delegated("deep").draft().unwrap(), &[&deep]);
    repo.publish(vec![sign(&docs.draft().unwrap(), &[&key]), file])
        .unwrap();
    let mut targets = repo.next("targets");
    targets.undelegate(&role("docs"));
    let checked = repo
        .check(vec![sign(&targets.draft().unwrap(), &[&repo.targets])])
        .unwrap();
    assert_eq!(checked.dropped(), [role("deep"), role("docs")]);
    assert_eq!(checked.current_targets().len(), 1);
}

#[test]
fn clients_visit_32_delegated_roles_and_there_are_no_more() {
    let repo = Repo::new();
    let key = TestKey::ed25519();
    let publish = |count: usize| {
        let mut targets = repo.next("targets");
        let mut files = Vec::new();
        for at in 0..count {
            let name = format!("bin-{at}");
            targets.delegate(delegate(&name, &[&key], 1, "a"));
            files.push(sign(&repo.first_delegated(&name).draft().unwrap(), &[&key]));
        }
        files.push(sign(&targets.draft().unwrap(), &[&repo.targets]));
        repo.check(files)
    };
    assert_eq!(publish(32).unwrap().current_targets().len(), 33);
    assert_eq!(
        refused(publish(33)),
        Refusal::TooManyDelegations { count: 33, limit: 32 }
    );
}

#[test]
fn a_role_lists_only_what_was_delegated_to_it() {
    let (repo, key) = with_docs();
    let list = |path: &str| {
        let mut docs = repo.next("docs");
        docs.targets.insert(path.to_owned(), Target::of(b"content"));
        repo.check(vec![sign(&docs.draft().unwrap(), &[&key])])
    };
    assert!(list("docs/a").is_ok());
    let target = "bin/a".to_owned();
    let (role, by) = (role("docs"), Role::Targets);
    assert_eq!(
        refused(list("bin/a")),
        Refusal::TargetNotDelegated { role, by, target }
    );
}

#[test]
fn a_role_lists_only_what_was_delegated_all_along_the_line() {
    let (mut repo, key) = with_docs();
    let deep = TestKey::p256();
    let mut docs = repo.next("docs");
    // It hands on more than it has.
    let mut handed = delegate("deep", &[&deep], 1, "docs/*");
    handed.paths = DelegatedPaths::everything();
    docs.delegate(handed);
    let file = repo.first_delegated("deep");
    let first = sign(&file.draft().unwrap(), &[&deep]);
    repo.publish(vec![sign(&docs.draft().unwrap(), &[&key]), first])
        .unwrap();
    let list = |path: &str| {
        let mut file = repo.next("deep");
        file.targets.insert(path.to_owned(), Target::of(b"content"));
        repo.check(vec![sign(&file.draft().unwrap(), &[&deep])])
    };
    assert!(list("docs/a").is_ok());
    let (role, by, target) = (role("deep"), Role::Targets, "bin/a".to_owned());
    assert_eq!(
        refused(list("bin/a")),
        Refusal::TargetNotDelegated { role, by, target }
    );
}

#[test]
fn a_target_that_clients_find_in_different_roles_is_refused() {
    let (mut repo, _) = with_docs();
    let other = TestKey::p256();
    let mut targets = repo.next("targets");
    let mut everything = delegate("rest", &[&other], 1, "x");
    everything.paths = DelegatedPaths::everything();
    targets.delegate(everything);
    let file = sign(&repo.first_delegated("rest").draft().unwrap(), &[&other]);
    repo.publish(vec![sign(&targets.draft().unwrap(), &[&repo.targets]), file])
        .unwrap();
    // tough would look for it in docs first, python-tuf and tuf-js would not.
    for path in ["docs/a/b", "docs/.hidden"] {
        let mut rest = repo.next("rest");
        rest.targets.insert(path.to_owned(), Target::of(b"content"));
        let refusal = refused(repo.check(vec![sign(&rest.draft().unwrap(), &[&other])]));
        let (pattern, target) = ("docs/*".to_owned(), path.to_owned());
        let (by, role) = (Role::Targets, role("docs"));
        assert_eq!(
            refusal,
            Refusal::PatternReadDifferently {
                by,
                role,
                pattern,
                target
            }
        );
    }
    // What targets itself lists is found before.
    let mut targets = repo.next("targets");
    targets
        .targets
        .insert("docs/a/b".to_owned(), Target::of(b"content"));
    assert!(
        repo.check(vec![sign(&targets.draft().unwrap(), &[&repo.targets])])
            .is_ok()
    );
}

#[test]
fn comparing_patterns_and_targets_is_bounded() {
    let (repo, key) = with_docs();
    let mut docs = repo.next("docs");
    for at in 0..11 {
        docs.targets.insert(format!("docs/{at}"), Target::of(b"content"));
    }
    let files = vec![sign(&docs.draft().unwrap(), &[&key])];
    let limits = Limits {
        max_comparisons: 10,
        ..Limits::default()
    };
    let refusal = check(&repo.trusted, files, &repo.online(), &limits, now()).unwrap_err();
    assert_eq!(
        refusal,
        Refusal::TooManyPatterns {
            patterns: 1,
            targets: 11
        }
    );
}

#[test]
fn mix_and_match_is_not_possible_because_the_snapshot_names_hashes() {
    let (repo, _) = with_docs();
    let snapshot = repo.trusted.snapshot.as_ref().unwrap();
    let meta = snapshot.body().meta().unwrap();
    assert_eq!(meta.0.len(), 2);
    for file in &repo.trusted.targets {
        let named = meta.0.get(file.role()).unwrap();
        assert_eq!((named.version, named.sha256), (file.version(), file.sha256()));
        assert_eq!(named.length, file.length() as u64);
    }
    let timestamp = repo.trusted.timestamp.as_ref().unwrap();
    let named = timestamp.body().meta().unwrap().0.get(&Role::Snapshot).unwrap();
    assert_eq!(
        (named.version, named.sha256),
        (snapshot.version(), snapshot.sha256())
    );
}

#[test]
fn a_file_of_another_repository_is_told_apart() {
    let repo = Repo::new();
    let file = repo.trusted.targets[0].clone();
    assert!(file.check_repository(&name()).is_ok());
    let other = RepositoryName::parse("example.com/other").unwrap();
    let refusal = file.check_repository(&other).unwrap_err();
    assert_eq!(refusal.code(), "other_repository");
    let mut unbound = repo.next("targets");
    unbound.extensions.clear();
    let unbound = sign(&unbound.draft().unwrap(), &[&repo.targets]);
    assert!(unbound.check_repository(&other).is_ok());
}
