use std::path::PathBuf;

use openssl::{
    nid::Nid,
    x509::extension::{ExtendedKeyUsage, SubjectAlternativeName},
};
use serde_json::{Value, json};

use super::*;
use crate::identity::facts::tests::{Attributes, Made, UTF8, facts, made, raw_names};

const CN: Nid = Nid::COMMONNAME;
const O: Nid = Nid::ORGANIZATIONNAME;

fn read(identity: Value) -> Result<IdentityRules, String> {
    let settings = Settings::new(json!({"identity": identity}), PathBuf::new(), |_| None);
    IdentityRules::read(&settings).map_err(|error| error.to_string())
}

fn one(rule: Value) -> IdentityRules {
    read(json!([rule])).unwrap()
}

fn named(subject: Attributes<'_>) -> Made {
    made(subject, 1, |_| {})
}

/// A certificate for alice with alternative names.
fn with_names(add: impl Fn(&mut SubjectAlternativeName)) -> Made {
    made(&[(CN, UTF8, "alice")], 1, |builder| {
        let mut names = SubjectAlternativeName::new();
        add(&mut names);
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
    })
}

fn who(rules: &IdentityRules, made: &Made) -> Result<String, IdentityFault> {
    let found = rules.identify(&facts(made), None);
    found
        .map(|identified| identified.principal)
        .map_err(|refused| refused.reason)
}

#[test]
fn without_configuration_it_is_the_common_name_or_the_subject() {
    let settings = Settings::new(json!({}), PathBuf::new(), |_| None);
    let rules = IdentityRules::read(&settings).unwrap();
    assert_eq!(who(&rules, &named(&[(CN, UTF8, "alice")])).unwrap(), "alice");
    assert_eq!(who(&rules, &named(&[(O, UTF8, "Acme")])).unwrap(), "O=Acme");
    let cases: [(Attributes<'_>, IdentityFault); 4] = [
        (&[], IdentityFault::Unmapped),
        (&[(CN, UTF8, "a"), (CN, UTF8, "b")], IdentityFault::AmbiguousName),
        (&[(CN, UTF8, "a\0b")], IdentityFault::AmbiguousName),
        (&[(CN, UTF8, "anonymous")], IdentityFault::ReservedName),
    ];
    for (subject, reason) in cases {
        assert_eq!(who(&rules, &named(subject)), Err(reason), "{subject:?}");
    }
    let traces = rules.explain(&facts(&named(&[(CN, UTF8, "alice")])), None);
    assert_eq!(traces[0].to_string(), "rule default: matches: alice");
    assert!(traces[0].decides && !traces[1].decides);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = read(json!([
        {"name": "ci", "match": {"uri_san": "^spiffe://acme/ns/ci/sa/(?P<sa>[a-z0-9-]+)$"},
         "principal": "ci:${sa}", "groups": ["ci", "sa-${sa}"]},
        {"name": "people", "match": {"subject": "^CN=(?P<u>[^,+]+),O=Acme$"}, "principal": "${u}",
         "groups_from": ["O", "OU"], "transform": "lower"}
    ]))
    .unwrap();
    let workload = with_names(|names| {
        names.uri("spiffe://acme/ns/ci/sa/builder");
    });
    let found = rules.identify(&facts(&workload), None).unwrap();
    assert_eq!(
        (found.principal.as_str(), found.rule.as_str()),
        ("ci:builder", "ci")
    );
    assert_eq!(found.groups, ["ci", "sa-builder"]);
    let person = named(&[(O, UTF8, "Acme"), (CN, UTF8, "Bob")]);
    let found = rules.identify(&facts(&person), None).unwrap();
    assert_eq!((found.principal.as_str(), found.rule.as_str()), ("bob", "people"));
    assert_eq!(found.groups, ["acme"]);
    let stranger = named(&[(O, UTF8, "Other"), (CN, UTF8, "Bob")]);
    assert_eq!(who(&rules, &stranger), Err(IdentityFault::Unmapped));
    let traces = rules.explain(&facts(&stranger), None);
    assert_eq!(
        traces[0].to_string(),
        "rule ci: does not match: the certificate has no uri_san"
    );
    assert!(traces[1].to_string().contains(r#"subject is "CN=Bob,O=Other""#));
}

#[test]
fn a_value_cannot_pretend_to_be_several_parts_of_a_subject() {
    let rules = one(json!({"name": "people", "principal": "${u}",
        "match": {"subject": "CN=(?P<u>[^,+]+),OU=Engineers,O=Acme"}}));
    let forged = named(&[(O, UTF8, "Acme"), (CN, UTF8, "mallory,OU=Engineers")]);
    assert_eq!(who(&rules, &forged), Err(IdentityFault::Unmapped));
}

#[test]
fn a_pinned_ca_must_have_verified_the_certificate() {
    let rule = |ca: &str| one(json!({"name": "r", "preset": "cn", "issuer": {"ca": ca}}));
    let alice = named(&[(CN, UTF8, "alice")]);
    assert_eq!(who(&rule("Default"), &alice).unwrap(), "alice");
    assert_eq!(who(&rule("corp"), &alice), Err(IdentityFault::Unmapped));
    assert_eq!(rule("corp").ca_sets(), ["corp"]);
}

#[test]
fn a_certificate_that_falls_short_is_not_tried_with_a_laxer_rule() {
    let strict = |require: Value| {
        read(json!([
            {"name": "strict", "preset": "cn", "require": require},
            {"name": "lax", "preset": "cn"}
        ]))
        .unwrap()
    };
    let alice = made(&[(CN, UTF8, "alice")], 2, |builder| {
        let purposes = ExtendedKeyUsage::new().server_auth().build().unwrap();
        builder.append_extension(purposes).unwrap();
    });
    let cases = [
        (json!({"eku": ["clientAuth"]}), Some(IdentityFault::WrongPurpose)),
        (json!({"eku": ["serverAuth", "1.3.6.1.5.5.7.3.1"]}), None),
        (
            json!({"max_lifetime": "24h"}),
            Some(IdentityFault::LifetimeTooLong),
        ),
        (json!({"max_lifetime": "2days"}), None),
        (json!({"min_ec_bits": 384}), Some(IdentityFault::KeyTooWeak)),
        (json!({"min_ec_bits": 256, "min_rsa_bits": 2048}), None),
        (json!({"key_types": ["rsa"]}), Some(IdentityFault::KeyTooWeak)),
        (
            json!({"digests": ["sha384", "sha512"]}),
            Some(IdentityFault::KeyTooWeak),
        ),
        (json!({"digests": ["sha256"], "key_types": ["ec"]}), None),
    ];
    for (require, reason) in cases {
        let found = who(&strict(require.clone()), &alice);
        assert_eq!(found.err(), reason, "{require}");
    }
}

#[test]
fn several_values_must_not_name_several_people() {
    let rules = one(json!({"name": "r", "principal": "${u}",
        "match": {"dns_san": r"(?P<u>[a-z]+)\.people\.example"}}));
    let several = |names: &'static [&str]| {
        with_names(move |add| {
            names.iter().for_each(|name| {
                add.dns(name);
            })
        })
    };
    let found = who(&rules, &several(&["bob.people.example", "www.example"]));
    assert_eq!(found.unwrap(), "bob");
    let found = who(&rules, &several(&["bob.people.example", "eve.people.example"]));
    assert_eq!(found, Err(IdentityFault::AmbiguousName));
    let rules = one(json!({"name": "r", "match": {"dns_san": ".*"}, "principal": "${dns_san}"}));
    assert_eq!(
        who(&rules, &several(&["a", "b"])),
        Err(IdentityFault::AmbiguousName)
    );
    assert_eq!(who(&rules, &several(&["a"])).unwrap(), "a");
}

#[test]
fn a_name_that_is_not_clear_is_refused_only_by_rules_that_look_at_it() {
    let spoilt = made(&[(CN, UTF8, "alice")], 1, |builder| {
        raw_names(builder, &[(0x86, b"spiffe://acme/a\0"), (0x82, b"ok")]);
    });
    let by_uri =
        json!({"name": "uri", "match": {"uri_san": "spiffe://acme/.*", "dns_san": "ok"}, "principal": "x"});
    let by_name = json!({"name": "cn", "preset": "cn"});
    let rules = read(json!([by_uri, by_name])).unwrap();
    assert_eq!(who(&rules, &spoilt), Err(IdentityFault::AmbiguousName));
    assert_eq!(who(&one(by_name), &spoilt).unwrap(), "alice");
    let elsewhere = json!({"name": "uri", "match": {"uri_san": ".*", "dns_san": "no"}, "principal": "x"});
    assert_eq!(
        who(
            &read(json!([elsewhere, {"name": "cn", "preset": "cn"}])).unwrap(),
            &spoilt
        )
        .unwrap(),
        "alice"
    );
}

#[test]
fn presets_do_what_their_names_say() {
    let kubernetes = one(json!({"name": "k", "preset": "kubernetes", "groups": ["all"]}));
    let person = named(&[(O, UTF8, "dev"), (O, UTF8, "ops"), (CN, UTF8, "alice")]);
    let found = kubernetes.identify(&facts(&person), None).unwrap();
    assert_eq!(
        (found.principal, found.groups),
        ("alice".into(), vec!["all".into(), "dev".into(), "ops".into()])
    );
    let spiffe = one(json!({"name": "s", "preset": "spiffe", "match": {"uri_san": "spiffe://acme/.*"}}));
    let uris = |uris: &'static [&str]| {
        with_names(move |names| {
            uris.iter().for_each(|uri| {
                names.uri(uri);
            })
        })
    };
    assert_eq!(
        who(&spiffe, &uris(&["spiffe://acme/a/b"])).unwrap(),
        "spiffe://acme/a/b"
    );
    for other in [
        &["spiffe://other/a"][..],
        &["spiffe://acme/../a"],
        &["spiffe://acme/a//b"],
        &["https://a"],
    ] {
        assert_eq!(
            who(&spiffe, &uris(other)),
            Err(IdentityFault::Unmapped),
            "{other:?}"
        );
    }
    let two = uris(&["spiffe://acme/a", "https://x"]);
    assert_eq!(who(&spiffe, &two), Err(IdentityFault::AmbiguousName));
    let email = one(json!({"name": "e", "preset": "email"}));
    let mail = with_names(|names| {
        names.email("a@example.com");
    });
    assert_eq!(who(&email, &mail).unwrap(), "a@example.com");
}

#[test]
fn a_registered_key_is_its_account_unless_that_is_disabled() {
    let alice = named(&[(CN, UTF8, "whoever")]);
    let account = Registered {
        name: "alice".into(),
        groups: vec!["dev".into()],
        disabled: false,
        is_admin: true,
    };
    let disabled = Registered {
        disabled: true,
        ..account.clone()
    };
    for rule in [
        json!({"name": "r", "preset": "registered-key"}),
        json!({"name": "r", "match": {"spki_sha256": "@accounts"}}),
    ] {
        let rules = read(json!([rule, {"name": "cn", "preset": "cn"}])).unwrap();
        assert!(rules.needs_accounts());
        let found = rules.identify(&facts(&alice), Some(&account)).unwrap();
        assert_eq!((found.principal.as_str(), found.rule.as_str()), ("alice", "r"));
        assert_eq!(found.groups, ["dev", "admins"]);
        assert_eq!(who(&rules, &alice).unwrap(), "whoever");
        let refused = rules.identify(&facts(&alice), Some(&disabled)).unwrap_err();
        assert_eq!(refused.reason, IdentityFault::AccountDisabled);
        assert_eq!(refused.rule.as_deref(), Some("r"));
    }
    let refused = one(json!({"name": "cn", "preset": "cn"})).identify(&facts(&alice), Some(&disabled));
    assert_eq!(refused.unwrap_err().reason, IdentityFault::AccountDisabled);
}

#[test]
fn a_group_that_took_no_part_in_the_match_names_nobody() {
    let rules = one(json!({"name": "r", "match": {"cn": "alice|(?P<u>bob)"}, "principal": "${u}"}));
    assert_eq!(
        who(&rules, &named(&[(CN, UTF8, "alice")])),
        Err(IdentityFault::AmbiguousName)
    );
    assert_eq!(who(&rules, &named(&[(CN, UTF8, "bob")])).unwrap(), "bob");
}

#[test]
fn wrong_rules_are_refused_with_their_place() {
    let cases = [
        (json!([]), "identity: [] (a list of at least one table"),
        (json!([{"preset": "cn"}]), "no identity[0].name"),
        (json!([{"name": "a"}]), "no identity[0].match"),
        (
            json!([{"name": "a", "match": {}, "principal": "x"}]),
            "no identity[0].match",
        ),
        (
            json!([{"name": "a", "match": {"cn": "a"}}]),
            "no identity[0].principal",
        ),
        (
            json!([{"name": "a", "match": {"cn": "("}, "principal": "x"}]),
            "identity[0].match.cn",
        ),
        (
            json!([{"name": "a", "match": {"nc": "a"}, "principal": "x"}]),
            "did you mean cn?",
        ),
        (
            json!([{"name": "a", "match": {"cn": "a"}, "principal": "${u}"}]),
            "unknown ${u}",
        ),
        (
            json!([{"name": "a", "preset": "cn"}, {"name": "a", "preset": "cn"}]),
            "identity[1].name",
        ),
        (
            json!([{"name": "a", "preset": "cm"}]),
            "allowed: cn, spiffe, kubernetes, registered-key, email",
        ),
        (
            json!([{"name": "a", "preset": "cn", "matches": {}}]),
            "did you mean match?",
        ),
        (
            json!([{"name": "a", "preset": "cn", "require": {"eku": "client"}}]),
            "identity[0].require.eku",
        ),
        (
            json!([{"name": "a", "preset": "cn", "require": {"min_rsa": 1}}]),
            "identity[0].require.min_rsa",
        ),
        (
            json!([{"name": "a", "preset": "cn", "require": {"max_lifetime": "x"}}]),
            "24h",
        ),
        (
            json!([{"name": "a", "preset": "cn", "issuer": {}}]),
            "identity[0].issuer.ca",
        ),
        (
            json!([{"name": "a", "preset": "registered-key", "principal": "x"}]),
            "remove principal",
        ),
        (
            json!([{"name": "a", "match": {"o": "(?P<x>a)", "ou": "(?P<x>a)"}, "principal": "${x}"}]),
            "another pattern of the rule already has a group with this name",
        ),
    ];
    for (rules, expected) in cases {
        let refused = read(rules.clone()).unwrap_err();
        assert!(
            refused.contains(expected),
            "{rules}: {refused} should contain {expected}"
        );
    }
}
