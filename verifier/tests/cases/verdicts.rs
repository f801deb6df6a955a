//! Tags, digests, dates: what needs no signer by name.

use chrono::TimeDelta;
use verifier::{Denial, Freshness, ImageReference, Plan, Reason, RequestContext};

use crate::support::{GUN, Key, Publisher, Signed, allowed, days, denied, digest, now};

fn image(tag: &str) -> String {
    format!("{GUN}:{tag}")
}

#[test]
fn a_tag_that_targets_sign_is_allowed_with_its_digest() {
    let publisher = Publisher::new();
    let policy = publisher.policy("", "");
    let verdict = publisher.judge(&policy, &image("v1"));
    allowed(&verdict, "one");
    assert_eq!(
        verdict.pinned.unwrap(),
        format!("{GUN}:v1@sha256:{}", digest("one"))
    );
    let evidence = verdict.evidence.unwrap();
    assert_eq!((evidence.root.version, evidence.timestamp.version), (1, 1));
    assert_eq!(evidence.root.key_ids, [publisher.root.id()]);
    assert_eq!(evidence.targets.key_ids, [publisher.targets_key.id()]);
    assert_eq!(evidence.roles.len(), 1);
    assert_eq!(evidence.roles[0].role, "targets");
}

#[test]
fn the_word_of_releases_goes_before_that_of_targets() {
    let mut publisher = Publisher::new();
    publisher.targets.set("v2", "two");
    publisher.delegate("targets/releases", &Key::ecdsa(), &[("v1", "released")]);
    let policy = publisher.policy("", "");
    allowed(&publisher.judge(&policy, &image("v1")), "released");
    allowed(&publisher.judge(&policy, &image("v2")), "two");
}

#[test]
fn without_a_tag_latest_is_meant() {
    let mut publisher = Publisher::new();
    let policy = publisher.policy("", "");
    denied(&publisher.judge(&policy, GUN), Reason::TagNotSigned);
    publisher.targets.set("latest", "newest");
    allowed(&publisher.judge(&policy, GUN), "newest");
}

#[test]
fn an_unsigned_tag_an_unsigned_repository_and_an_unknown_one_differ() {
    let mut publisher = Publisher::new();
    let policy = publisher.policy("", "");
    denied(&publisher.judge(&policy, &image("v9")), Reason::TagNotSigned);
    publisher.targets.targets.clear();
    denied(&publisher.judge(&policy, &image("v1")), Reason::NothingSigned);
    let reference = ImageReference::parse(GUN).unwrap();
    for reason in [Reason::NoTrustData, Reason::ServerUnreachable] {
        let Plan::Check(check) = policy.plan(&reference, &RequestContext::default()) else {
            panic!("there is a rule");
        };
        let denial = Denial::new(reason, "the server says that there is nothing");
        let verdict = check.judge(&reference, Err(&denial), Freshness::just_read(), now());
        denied(&verdict, reason);
        assert_eq!(verdict.rule.as_deref(), Some("reg.example/**"));
    }
}

#[test]
fn a_written_digest_counts() {
    let mut publisher = Publisher::new();
    publisher.delegate(
        "targets/releases",
        &Key::ecdsa(),
        &[("v1", "released"), ("v3", "three")],
    );
    publisher.delegate("targets/alice", &Key::ecdsa(), &[("v4", "four")]);
    let policy = publisher.policy("", "");
    let with = |tag: &str, content: &str| format!("{GUN}{tag}@sha256:{}", digest(content));
    for content in ["one", "released", "three"] {
        allowed(&publisher.judge(&policy, &with("", content)), content);
    }
    allowed(&publisher.judge(&policy, &with(":v1", "released")), "released");
    denied(
        &publisher.judge(&policy, &with(":v1", "three")),
        Reason::DigestMismatch,
    );
    denied(
        &publisher.judge(&policy, &with(":v9", "released")),
        Reason::TagNotSigned,
    );
    denied(
        &publisher.judge(&policy, &with("", "other")),
        Reason::DigestNotSigned,
    );
    denied(&publisher.judge(&policy, &with("", "four")), Reason::NotReleased);
}

#[test]
fn a_tag_that_nobody_released_is_denied() {
    let mut publisher = Publisher::new();
    publisher.delegate("targets/alice", &Key::ecdsa(), &[("v2", "two")]);
    publisher.delegate("targets/releases/nightly", &Key::ecdsa(), &[]);
    publisher.delegate("targets/releases", &Key::ecdsa(), &[]);
    let policy = publisher.policy("", "");
    let verdict = publisher.judge(&policy, &image("v2"));
    denied(&verdict, Reason::NotReleased);
    assert!(verdict.sentence.contains("targets/alice"), "{}", verdict.sentence);
}

#[test]
fn a_target_without_a_sha256_is_never_an_empty_digest() {
    let mut publisher = Publisher::new();
    publisher.targets.targets.insert("v2".to_owned(), None);
    let policy = publisher.policy("", "");
    denied(&publisher.judge(&policy, &image("v2")), Reason::NoDigest);
    let released = publisher.policy(", require: { released: true }", "");
    publisher.delegate("targets/releases", &Key::ecdsa(), &[]);
    publisher
        .document("targets/releases")
        .targets
        .insert("v2".to_owned(), None);
    denied(&publisher.judge(&released, &image("v2")), Reason::NoDigest);
}

#[test]
fn a_delegate_signs_only_what_begins_with_its_paths() {
    let mut publisher = Publisher::new();
    publisher.delegate(
        "targets/releases",
        &Key::ecdsa(),
        &[("v1", "forged"), ("rc-1", "candidate")],
    );
    publisher.delegation("targets/releases").paths = vec!["rc-".to_owned()];
    let policy = publisher.policy("", "");
    allowed(&publisher.judge(&policy, &image("v1")), "one");
    allowed(&publisher.judge(&policy, &image("rc-1")), "candidate");
}

#[test]
fn whatever_has_expired_denies() {
    let policy = |publisher: &Publisher| publisher.policy("", "");
    type Expire = fn(&mut Publisher);
    let expired: [(&str, Expire); 6] = [
        ("root", |publisher| {
            publisher.root_expires = days(-1);
            publisher.roots.clear();
            let root = publisher.root.clone();
            publisher.add_root(&[&root]);
        }),
        ("root", |publisher| {
            publisher.root = publisher.root.certified(GUN, -1);
            publisher.roots.clear();
            let root = publisher.root.clone();
            publisher.add_root(&[&root]);
        }),
        ("timestamp", |publisher| publisher.timestamp.1 = days(-1)),
        ("snapshot", |publisher| publisher.snapshot.1 = days(-1)),
        ("targets", |publisher| publisher.targets.expires = days(-1)),
        ("targets/releases", |publisher| {
            publisher.delegate("targets/releases", &Key::ecdsa(), &[("v1", "one")]);
            publisher.document("targets/releases").expires = days(-1);
        }),
    ];
    for (role, expire) in expired {
        let mut publisher = Publisher::new();
        expire(&mut publisher);
        let verdict = publisher.judge(&policy(&publisher), &image("v1"));
        denied(&verdict, Reason::Expired);
        assert!(verdict.sentence.contains(role), "{role}: {}", verdict.sentence);
    }
    // The dates of a role that is not asked do not matter.
    let mut publisher = Publisher::new();
    publisher.delegate("targets/alice", &Key::ecdsa(), &[("v1", "one")]);
    publisher.document("targets/alice").expires = days(-1);
    allowed(&publisher.judge(&policy(&publisher), &image("v1")), "one");
}

#[test]
fn an_old_root_may_have_expired() {
    let mut publisher = Publisher::new();
    publisher.root_expires = days(-1);
    publisher.roots.clear();
    let root = publisher.root.clone();
    publisher.add_root(&[&root]);
    publisher.root_expires = days(100);
    publisher.rotate_root();
    let policy = {
        let mut first = publisher.clone();
        first.root = root;
        first.policy("", "")
    };
    allowed(&publisher.judge(&policy, &image("v1")), "one");
}

fn away(age: TimeDelta) -> Freshness {
    Freshness {
        age,
        reachable: false,
    }
}

#[test]
fn while_the_server_is_away_decisions_go_on_for_as_long_as_the_policy_says() {
    let publisher = Publisher::new();
    let day = publisher.policy(", max_staleness: 24h", "");
    let hour = publisher.policy("", "");
    let judge = |policy, age| publisher.judge_at(policy, &image("v1"), away(age), now());
    allowed(&judge(&day, TimeDelta::hours(23)), "one");
    denied(&judge(&day, TimeDelta::hours(25)), Reason::TooStale);
    allowed(&judge(&hour, TimeDelta::minutes(59)), "one");
    denied(&judge(&hour, TimeDelta::minutes(61)), Reason::TooStale);
    // Ages beyond what can be subtracted are no reason to panic.
    let ever = publisher.policy(", max_staleness: 280000y", "");
    allowed(&judge(&ever, TimeDelta::days(365 * 270_000)), "one");
    denied(&judge(&ever, TimeDelta::MAX), Reason::TooStale);
    allowed(&judge(&hour, TimeDelta::MIN), "one");
}

#[test]
fn what_expired_since_the_server_went_away_serves_only_where_the_policy_says_so() {
    let mut publisher = Publisher::new();
    publisher.timestamp.1 = now() - TimeDelta::hours(2);
    let image = image("v1");
    let day = publisher.policy(", max_staleness: 24h", "");
    let default = publisher.policy("", "");
    let judge = |policy, freshness| publisher.judge_at(policy, &image, freshness, now());
    allowed(&judge(&day, away(TimeDelta::hours(3))), "one");
    // It had expired already when the server last answered.
    denied(&judge(&day, away(TimeDelta::hours(1))), Reason::Expired);
    denied(&judge(&default, away(TimeDelta::minutes(30))), Reason::Expired);
    // A server that answers has to renew it.
    denied(&judge(&day, Freshness::just_read()), Reason::Expired);
    let old = Freshness {
        age: TimeDelta::hours(3),
        reachable: true,
    };
    denied(&judge(&day, old), Reason::Expired);
}

#[test]
fn a_declared_releases_that_cannot_be_used_is_not_passed_over() {
    let mut publisher = Publisher::new();
    publisher.delegate("targets/releases", &Key::ecdsa(), &[("v2", "two")]);
    let policy = publisher.policy("", "");
    allowed(&publisher.judge(&policy, &image("v1")), "one");
    // Never published: targets speaks alone, as it does for docker.
    let mut unpublished = publisher.clone();
    unpublished.delegation("targets/releases").document = None;
    allowed(&unpublished.judge(&policy, &image("v1")), "one");
    // Signed by somebody else.
    let mut forged = publisher.clone();
    forged.document("targets/releases").keys = vec![Key::ecdsa()];
    denied(&forged.judge(&policy, &image("v1")), Reason::Signatures);
    // Not given, although the snapshot names it.
    let reference = ImageReference::parse(&image("v1")).unwrap();
    let mut documents = publisher.documents();
    documents.targets.remove("targets/releases");
    let anchor = publisher.anchor();
    let repository = verifier::verify(reference.gun(), &anchor, &documents, None, now()).unwrap();
    let Plan::Check(check) = policy.plan(&reference, &RequestContext::default()) else {
        panic!("there is a rule");
    };
    let verdict = check.judge(&reference, Ok(&repository), Freshness::just_read(), now());
    denied(&verdict, Reason::Inconsistent);
}

#[test]
fn trust_data_of_another_repository_or_anchor_does_not_serve() {
    let publisher = Publisher::new();
    let policy = publisher.policy("", "");
    let repository = publisher.verify(&publisher.anchor(), None).unwrap();
    let other = ImageReference::parse("reg.example/other:v1").unwrap();
    let Plan::Check(check) = policy.plan(&other, &RequestContext::default()) else {
        panic!("there is a rule");
    };
    denied(
        &check.judge(&other, Ok(&repository), Freshness::just_read(), now()),
        Reason::Inconsistent,
    );
    let trusting = verifier::Anchor::Tofu {
        scope: verifier::Pattern::everything(),
    };
    let repository = publisher.verify(&trusting, None).unwrap();
    let image = ImageReference::parse(&image("v1")).unwrap();
    let verdict = check.judge(&image, Ok(&repository), Freshness::just_read(), now());
    denied(&verdict, Reason::AnchorMismatch);
}

#[test]
fn the_tag_is_kept_or_not() {
    let publisher = Publisher::new();
    let kept = publisher.judge(&publisher.policy("", ""), &image("v1"));
    assert!(kept.pinned.unwrap().contains(":v1@"));
    let dropped = publisher.judge(&publisher.policy(", keep_tag: false", ""), &image("v1"));
    assert_eq!(dropped.pinned.unwrap(), format!("{GUN}@sha256:{}", digest("one")));
}

#[test]
fn a_nested_delegation_does_not_outlive_its_parent() {
    let mut publisher = Publisher::new();
    let alice = Key::ecdsa();
    publisher.delegate("targets/qa", &Key::ecdsa(), &[]);
    publisher.delegate("targets/qa/alice", &alice, &[("v1", "one")]);
    publisher.document("targets/qa").expires = days(-1);
    let signers = crate::support::signers(&[("alice", &alice)]);
    let policy = publisher.policy(", require: { signers: [alice] }", &signers);
    denied(&publisher.judge(&policy, &image("v1")), Reason::Expired);
    *publisher.document("targets/qa") = Signed {
        expires: days(1),
        ..publisher.document("targets/qa").clone()
    };
    allowed(&publisher.judge(&policy, &image("v1")), "one");
}
