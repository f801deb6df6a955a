//! What a decision costs once a repository was verified.

use std::time::{Duration, Instant};

use verifier::{Freshness, ImageReference, Plan, RequestContext};

use crate::support::{GUN, Key, Publisher, now, signers};

#[test]
fn a_decision_about_a_large_repository_takes_no_time_worth_mentioning() {
    let mut publisher = Publisher::new();
    let alice = Key::ecdsa();
    for tag in 0..2_000 {
        publisher
            .targets
            .set(&format!("t{tag}"), &format!("content {tag}"));
    }
    publisher.delegate("targets/alice", &alice, &[("t7", "content 7")]);
    let policy = publisher.policy(", require: { signers: [alice] }", &signers(&[("alice", &alice)]));
    let repository = publisher.verify(&publisher.anchor(), None).unwrap();
    let image = ImageReference::parse(&format!("{GUN}:t7")).unwrap();
    let mut times: Vec<Duration> = (0..101)
        .map(|_| {
            let begun = Instant::now();
            let Plan::Check(check) = policy.plan(&image, &RequestContext::default()) else {
                panic!("there is a rule");
            };
            assert!(
                check
                    .judge(&image, Ok(&repository), Freshness::just_read(), now())
                    .allow
            );
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    // Unoptimized, and beside other tests.
    assert!(times[50] < Duration::from_millis(2), "{:?}", times[50]);
}
