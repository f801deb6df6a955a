//! Files that several people sign.

use crate::authoring::{Delegate, DelegatedPaths};
use crate::testing::{Repo, TestKey, in_days, now, role, sign, signers};
use crate::{Delegator, Draft, Limits, Metadata, Refusal, Role, Trusted, Version, ready};

fn signed(draft: &Draft, key: &TestKey) -> Draft {
    draft.sign(&key.public, &key.sign(draft.message())).unwrap()
}

fn judge(repo: &Repo, draft: &Draft, beside: &[Draft]) -> Result<(), Refusal> {
    draft.check(&repo.trusted, beside, &repo.online(), &Limits::default(), now())
}

#[test]
fn signatures_of_several_people_come_together() {
    let mut repo = Repo::new();
    let (one, other) = (TestKey::p256(), TestKey::ed25519());
    let mut root = repo.next_root();
    root.targets = signers(&[&one, &other], 2);
    let draft = repo.next("targets").draft().unwrap();
    repo.publish(vec![
        sign(&root.draft().unwrap(), &[&repo.root]),
        sign(&draft, &[&one, &other]),
    ])
    .unwrap();

    let unsigned = repo.next("targets").draft().unwrap();
    let standing = unsigned.standing(&repo.trusted, &[]);
    assert_eq!((standing.signed.len(), standing.missing.len()), (0, 2));
    assert!(unsigned.clone().complete(&repo.trusted, &[]).is_none());
    let by_one = signed(&unsigned, &one);
    let by_other = signed(&unsigned, &other);
    judge(&repo, &by_one, &[]).unwrap();
    let standing = by_one.standing(&repo.trusted, &[]);
    assert_eq!(standing.signed, [one.public.id().clone()]);
    assert_eq!(standing.missing, [other.public.id().clone()]);
    assert_eq!((standing.needed[0].threshold, standing.needed[0].have), (2, 1));
    assert_eq!(standing.needed[0].by.to_string(), "root version 2");
    assert!(!standing.complete);

    let both = by_one.merge(&by_other).unwrap();
    assert!(both.standing(&repo.trusted, &[]).complete);
    assert_eq!(both.merge(&by_one).unwrap().bytes(), both.bytes());
    let file = both.complete(&repo.trusted, &[]).unwrap();
    assert!(repo.check(vec![file]).is_ok());
}

#[test]
fn the_text_that_was_signed_is_kept_when_signatures_are_united() {
    let repo = Repo::new();
    let draft = repo.next("targets").draft().unwrap();
    let value: serde_json::Value = serde_json::from_slice(draft.bytes()).unwrap();
    let spaced = serde_json::to_string_pretty(&value).unwrap();
    let spaced = Draft::parse(&Role::Targets, spaced.into()).unwrap();
    let merged = spaced.merge(&signed(&draft, &repo.targets)).unwrap();
    let text = String::from_utf8(merged.bytes().to_vec()).unwrap();
    assert!(text.contains("\"version\": 2"), "{text}");
    assert!(merged.complete(&repo.trusted, &[]).is_some());
}

#[test]
fn drafts_of_other_content_are_not_united() {
    let repo = Repo::new();
    let draft = repo.next("targets").draft().unwrap();
    let mut other = repo.next("targets");
    other.expires = in_days(1);
    let refusal = draft
        .merge(&other.draft().unwrap())
        .map(|draft| draft.version())
        .unwrap_err();
    assert_eq!(refusal, Refusal::OtherContent { role: Role::Targets });
}

#[test]
fn a_root_needs_the_keys_of_both_the_old_and_the_new_one() {
    let repo = Repo::new();
    let new = TestKey::p256();
    let mut root = repo.next_root();
    root.root = signers(&[&new], 1);
    let draft = root.draft().unwrap();
    let by_new = signed(&draft, &new);
    judge(&repo, &by_new, &[]).unwrap();
    let standing = by_new.standing(&repo.trusted, &[]);
    let by: Vec<_> = standing
        .needed
        .iter()
        .map(|needed| (needed.by.clone(), needed.have))
        .collect();
    let version = |number| Version::new(number).unwrap();
    assert_eq!(
        by,
        [(Delegator::Root(version(1)), 0), (Delegator::Root(version(2)), 1)]
    );
    assert_eq!(
        (standing.missing, standing.complete),
        (vec![repo.root.public.id().clone()], false)
    );
    assert!(signed(&by_new, &repo.root).complete(&repo.trusted, &[]).is_some());
}

#[test]
fn a_delegated_role_waits_beside_the_delegation_to_it() {
    let repo = Repo::new();
    let key = TestKey::p256();
    let docs = repo.first_delegated("docs").draft().unwrap();
    let refusal = judge(&repo, &docs, &[]).unwrap_err();
    assert_eq!(refusal, Refusal::NotDelegated { role: role("docs") });
    let mut targets = repo.next("targets");
    targets.delegate(Delegate {
        role: role("docs"),
        signers: signers(&[&key], 1),
        paths: DelegatedPaths::everything(),
        terminating: false,
    });
    let beside = [signed(&targets.draft().unwrap(), &repo.targets)];
    judge(&repo, &docs, &beside).unwrap();
    assert!(!docs.standing(&repo.trusted, &beside).complete);
    let docs = signed(&docs, &key).complete(&repo.trusted, &beside).unwrap();
    let [targets] = beside;
    let targets = targets.complete(&repo.trusted, &[]).unwrap();
    assert!(repo.check(vec![docs, targets]).is_ok());
}

#[test]
fn first_files_wait_before_there_is_a_root() {
    let repo = Repo::unpublished();
    let root = repo.first_root().draft().unwrap();
    let targets = signed(&repo.first_targets().draft().unwrap(), &repo.targets);
    let nothing = Trusted::default();
    assert_eq!(judge(&repo, &targets, &[]).unwrap_err(), Refusal::NoRoot);
    judge(&repo, &root, &[]).unwrap();
    judge(&repo, &targets, std::slice::from_ref(&root)).unwrap();
    assert!(!root.standing(&nothing, &[]).complete);
    assert!(targets.standing(&nothing, &[root]).complete);
}

#[test]
fn signatures_that_never_count_are_refused() {
    let repo = Repo::new();
    let draft = repo.next("targets").draft().unwrap();
    let stranger = TestKey::p256();
    let refusal = judge(&repo, &signed(&draft, &stranger), &[]).unwrap_err();
    let key = stranger.public.id().clone();
    assert_eq!(
        refusal,
        Refusal::ForeignSignature {
            role: Role::Targets,
            key
        }
    );
    let signature = repo.targets.sign(b"something else");
    let key = repo.targets.public.id().clone();
    let bad = Refusal::BadSignature {
        role: Role::Targets,
        key: key.clone(),
    };
    assert_eq!(
        draft
            .sign(&repo.targets.public, &signature)
            .map(|draft| draft.version())
            .unwrap_err(),
        bad
    );
    let mut file: serde_json::Value = serde_json::from_slice(draft.bytes()).unwrap();
    file["signatures"] = serde_json::json!([{"keyid": key.as_str(), "sig": hex::encode(signature)}]);
    let draft = Draft::parse(&Role::Targets, file.to_string().into()).unwrap();
    assert_eq!(judge(&repo, &draft, &[]).unwrap_err(), bad);
}

#[test]
fn a_draft_would_be_the_next_version_and_name_the_keys_of_the_server() {
    let repo = Repo::new();
    let old = Draft::parse(&Role::Targets, repo.trusted.targets[0].bytes().clone()).unwrap();
    assert_eq!(judge(&repo, &old, &[]).unwrap_err().code(), "rollback");
    let mut root = repo.next_root();
    root.version = Version::new(3).unwrap();
    assert_eq!(
        judge(&repo, &root.draft().unwrap(), &[]).unwrap_err().code(),
        "root_version"
    );
    let mut root = repo.next_root();
    root.snapshot = signers(&[&TestKey::p256()], 1);
    assert_eq!(
        judge(&repo, &root.draft().unwrap(), &[]).unwrap_err().code(),
        "online_key"
    );
    let mut root = repo.next_root();
    root.targets = signers(&[&repo.timestamp], 1);
    assert_eq!(
        judge(&repo, &root.draft().unwrap(), &[]).unwrap_err().code(),
        "online_key_elsewhere"
    );
    let mut targets = repo.next("targets");
    targets.expires = now();
    assert_eq!(
        judge(&repo, &targets.draft().unwrap(), &[]).unwrap_err().code(),
        "expired"
    );
    for file in [repo.trusted.snapshot.clone(), repo.trusted.timestamp.clone()] {
        let file: Metadata = file.unwrap();
        let refusal = Draft::parse(file.role(), file.bytes().clone())
            .map(|draft| draft.version())
            .unwrap_err();
        assert_eq!(refusal.code(), "made_by_server");
    }
}

#[test]
fn what_waits_together_is_published_together() {
    let repo = Repo::new();
    let (other, docs_key) = (TestKey::p256(), TestKey::ed25519());
    // A root that also wants another key for targets, and the targets that both have to sign.
    let mut root = repo.next_root();
    root.targets = signers(&[&repo.targets, &other], 2);
    let root = root.draft().unwrap();
    let mut targets = repo.next("targets");
    targets.delegate(Delegate {
        role: role("docs"),
        signers: signers(&[&docs_key], 1),
        paths: DelegatedPaths::everything(),
        terminating: false,
    });
    let targets = signed(&targets.draft().unwrap(), &repo.targets);
    let docs = repo.first_delegated("docs").draft().unwrap();
    let names = |drafts: &[Draft]| -> Vec<String> {
        let ready = ready(&repo.trusted, drafts);
        let published = ready.is_empty() || repo.check(ready.clone()).is_ok();
        assert!(
            published,
            "{:?}",
            repo.check(ready.clone()).map(|checked| checked.dropped().len())
        );
        ready.iter().map(|file| file.role().to_string()).collect()
    };
    // By the stored root alone targets would be complete, and take away what the new root waits for.
    assert!(targets.standing(&repo.trusted, &[]).complete);
    assert!(names(&[root.clone(), targets.clone(), docs.clone()]).is_empty());
    let root = signed(&root, &repo.root);
    assert!(names(&[root.clone(), targets.clone(), docs.clone()]).is_empty());
    let targets = signed(&targets, &other);
    assert!(names(&[root.clone(), targets.clone(), docs.clone()]).is_empty());
    let docs = signed(&docs, &docs_key);
    assert_eq!(names(&[root, targets, docs]), ["root", "targets", "docs"]);
    // The new root decides while it waits, and says so.
    let standing = alone_under(&repo, &other);
    assert_eq!(standing, (false, true));
    // What does not depend on each other does not wait for each other.
    let alone = signed(&repo.next("targets").draft().unwrap(), &repo.targets);
    let waiting = repo.next_root().draft().unwrap();
    assert_eq!(names(std::slice::from_ref(&alone)), ["targets"]);
    assert_eq!(names(&[waiting, alone]), ["targets"]);
}

/// Whether targets, signed by the stored key alone, is complete beside a root that demands another key too; and without it.
fn alone_under(repo: &Repo, other: &TestKey) -> (bool, bool) {
    let mut root = repo.next_root();
    root.targets = signers(&[&repo.targets, other], 2);
    let beside = [root.draft().unwrap()];
    let targets = signed(&repo.next("targets").draft().unwrap(), &repo.targets);
    let complete = |beside: &[Draft]| targets.standing(&repo.trusted, beside).complete;
    (complete(&beside), complete(&[]))
}
