//! What is decided before any trust data is asked: namespaces, broken glass.

use std::collections::BTreeMap;

use verifier::{ImageReference, Mode, Plan, Policy, Reason, RequestContext, Verdict};

use crate::support::{now, policy};

const ANNOTATION: &str = "trust.image-policy.k8s.io/break-glass";

fn glass() -> Policy {
    policy(&format!(
        "version: 1\nrules: [ {{ match: \"**\", action: deny }} ]\nnamespaces: {{ exempt: [kube-system], audit: [\"team-*\"] \
         }}\nbreak_glass: {{ annotation: \"{ANNOTATION}\", pattern: \"INC-[0-9]+\", users: [sre], groups: [oncall], max: 1h }}"
    ))
}

fn decide(request: &RequestContext) -> Verdict {
    let image = ImageReference::parse("reg.example/app").unwrap();
    match glass().plan(&image, request) {
        Plan::Decided(verdict) => *verdict,
        Plan::Check(_) => panic!("nothing to check"),
    }
}

fn request(user: Option<&str>, annotation: Option<&str>) -> RequestContext {
    let annotation = annotation.map(|value| (ANNOTATION.to_owned(), value.to_owned()));
    RequestContext {
        user: user.map(str::to_owned),
        annotations: annotation.into_iter().collect::<BTreeMap<_, _>>(),
        now: now(),
        ..Default::default()
    }
}

#[test]
fn namespaces_are_exempt_or_audited_by_their_whole_name() {
    let of = |namespace: &str| {
        let namespace = Some(namespace.to_owned());
        decide(&RequestContext {
            namespace,
            ..request(None, None)
        })
    };
    let exempt = of("kube-system");
    assert_eq!(
        (exempt.allow, exempt.reason),
        (true, Some(Reason::ExemptNamespace))
    );
    for other in ["kube-systems", "my-kube-system", "", "default"] {
        assert!(!of(other).permits(), "{other}");
    }
    let audited = of("team-a");
    assert_eq!((audited.allow, audited.mode), (false, Mode::Audit));
    assert!(audited.permits());
}

#[test]
fn glass_is_broken_by_a_user_with_a_number_and_an_end() {
    let good = "INC-7 until 2026-11-29T12:30:00Z";
    let broken = decide(&request(Some("sre"), Some(good)));
    assert_eq!((broken.allow, broken.reason), (true, Some(Reason::BreakGlass)));
    assert!(
        broken.sentence.contains("sre") && broken.sentence.contains("INC-7"),
        "{}",
        broken.sentence
    );
    let oncall = RequestContext {
        groups: vec!["oncall".to_owned()],
        ..request(Some("dora"), Some(good))
    };
    assert!(decide(&oncall).allow);
    let nobody = RequestContext {
        groups: vec!["oncall".to_owned()],
        ..request(None, Some(good))
    };
    assert!(!decide(&nobody).allow, "a request without a user");
    for user in [None, Some("dora"), Some(""), Some("SRE")] {
        assert!(!decide(&request(user, Some(good))).allow, "{user:?}");
    }
    for value in [
        "INC-7",
        "INC-7 until ",
        "INC-7 until never",
        "INC-7 until 2026-11-29T11:59:00Z",
        "INC-7 until 2026-11-29T12:00:00Z",
        "INC-7 until 2026-11-29T13:00:01Z",
        "INC-7 until 9999-11-29T13:00:01Z",
        "xINC-7 until 2026-11-29T12:30:00Z",
        "INC-7x until 2026-11-29T12:30:00Z",
        "INC-7\n until 2026-11-29T12:30:00Z",
        " until 2026-11-29T12:30:00Z",
        "",
    ] {
        assert!(!decide(&request(Some("sre"), Some(value))).allow, "{value:?}");
    }
    assert!(!decide(&request(Some("sre"), None)).allow);
}
