use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(tree: Value) -> Result<Policy, String> {
    let settings = Settings::new(tree, PathBuf::new(), |_| None);
    let policy = Policy::read(&settings).map_err(|error| error.to_string())?;
    Ok(policy.unwrap())
}

fn policy(rules: Value) -> Policy {
    read(json!({"policy": rules})).unwrap()
}

/// Asks as `alice` in the group `ci`, or as nobody.
fn ask(policy: &Policy, who: Option<&str>, action: &str, gun: Option<&str>) -> Verdict {
    let groups = [String::from("ci")];
    let groups = if who.is_some() { &groups[..] } else { &[] };
    policy.decide(&Asking {
        principal: who,
        groups,
        action: &Action::parse(action).unwrap(),
        gun,
        image: None,
    })
}

fn may(policy: &Policy, who: &str, action: &str, gun: &str) -> bool {
    ask(policy, Some(who), action, Some(gun)).permits()
}

#[test]
fn what_no_rule_allows_is_denied_and_deny_comes_before_allow() {
    let policy = policy(json!([
        {"effect": "allow", "principals": ["group:ci"], "actions": ["pull", "push:targets/releases"],
         "guns": ["reg/prod/**"]},
        {"name": "keep", "effect": "deny", "principals": ["*"], "actions": ["delete"], "guns": ["reg/prod/**"],
         "unless": ["root"]},
        {"effect": "allow", "principals": ["*"], "actions": ["delete"]},
        {"effect": "allow", "principals": ["anonymous"], "actions": ["pull"], "guns": ["reg/public/**"]}
    ]));
    assert!(
        may(&policy, "alice", "pull", "reg/prod/a")
            && may(&policy, "alice", "push:targets/releases", "reg/prod/a")
    );
    for (action, gun) in [
        ("push", "reg/prod/a"),
        ("push:targets", "reg/prod/a"),
        ("pull", "reg/test/a"),
    ] {
        let verdict = ask(&policy, Some("alice"), action, Some(gun));
        assert_eq!((verdict.allowed, verdict.rule), (false, None), "{action} {gun}");
    }
    let verdict = ask(&policy, Some("alice"), "delete", Some("reg/prod/a"));
    assert_eq!((verdict.allowed, verdict.rule.as_deref()), (false, Some("keep")));
    assert!(may(&policy, "root", "delete", "reg/prod/a") && may(&policy, "alice", "delete", "reg/test"));
    let anonymous = |gun| ask(&policy, None, "pull", Some(gun)).permits();
    assert!(anonymous("reg/public/a") && !anonymous("reg/prod/a"));
    assert!(!may(&policy, "alice", "pull", "reg/public/a"));
}

#[test]
fn path_tricks_reach_nothing() {
    let policy = policy(json!([
        {"effect": "allow", "principals": ["*"], "actions": ["pull"], "guns": ["reg/**"]},
        {"effect": "deny", "principals": ["*"], "actions": ["pull"], "guns": ["reg/secret/**"]}
    ]));
    assert!(!may(&policy, "alice", "pull", "reg/secret/a"));
    // Each is a repository of its own, not another spelling of the secret one.
    for other in [
        "reg/x/../secret/a",
        "reg//secret/a",
        "reg/Secret/a",
        "reg/secret%2fa",
        "reg/./secret/a",
    ] {
        assert!(may(&policy, "alice", "pull", other), "{other}");
    }
    for other in ["Reg/a", "/reg/a", "../reg/a"] {
        assert!(!may(&policy, "alice", "pull", other), "{other}");
    }
}

#[test]
fn the_name_of_who_asks_reaches_its_own_repositories_only() {
    let policy = policy(json!([
        {"effect": "allow", "principals": ["*"], "actions": ["push"], "guns": ["u/${principal}/**"]},
        {"effect": "deny", "principals": ["*"], "actions": ["push"], "guns": ["no/${principal}/**"]},
        {"effect": "allow", "principals": ["*"], "actions": ["push"], "guns": ["no/**"]}
    ]));
    assert!(may(&policy, "bob", "push", "u/bob/x") && !may(&policy, "bob", "push", "u/bobby/x"));
    assert!(!may(&policy, "*", "push", "u/bob/x") && !may(&policy, "**", "push", "u/bob/x"));
    assert!(!may(&policy, "bob/app", "push", "u/bob/app/x"));
    assert!(!may(&policy, "bob/app", "push", "no/bob/app/x") && may(&policy, "bob/app", "push", "no/bob/x"));
}

#[test]
fn a_rule_for_some_repositories_says_nothing_of_all_of_them() {
    let policy = policy(json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["changefeed", "list", "admin"], "guns": ["reg/**"]},
        {"effect": "allow", "principals": ["bob", "carol"], "actions": ["changefeed", "list", "admin"]},
        {"effect": "deny", "principals": ["carol"], "actions": ["changefeed", "list"], "guns": ["reg/secret"]}
    ]));
    let all = |who, action| ask(&policy, Some(who), action, None).permits();
    assert!(!all("alice", "changefeed") && !all("alice", "admin") && all("alice", "list"));
    assert!(may(&policy, "alice", "changefeed", "reg/a"));
    assert!(all("bob", "changefeed") && all("bob", "list") && all("bob", "admin"));
    // All changes would reveal the secret repositories too; the list leaves them out.
    assert!(!all("carol", "changefeed") && all("carol", "list"));
    assert!(!may(&policy, "carol", "list", "reg/secret"));
}

#[test]
fn an_own_key_is_asked_for_unless_another_rule_does_without() {
    let rules = json!([
        {"name": "own", "effect": "allow", "principals": ["*"], "actions": ["push"], "require_own_key": true},
        {"name": "free", "effect": "allow", "principals": ["group:release"], "actions": ["push"]}
    ]);
    let policy = policy(rules);
    let verdict = ask(&policy, Some("alice"), "push", Some("a"));
    assert!(verdict.allowed && verdict.own_key);
    let groups = [String::from("release")];
    let verdict = policy.decide(&Asking {
        principal: Some("bob"),
        groups: &groups,
        action: &Action::Push(None),
        gun: Some("a"),
        image: None,
    });
    assert!(verdict.allowed && !verdict.own_key);
    assert_eq!(verdict.rule.as_deref(), Some("free"));
}

#[test]
fn on_trial_what_is_denied_happens_and_is_told() {
    let allow = json!({"effect": "allow", "principals": ["*"], "actions": ["push"], "guns": ["a"]});
    let deny =
        json!({"name": "new", "effect": "deny", "principals": ["*"], "actions": ["push"], "mode": "audit"});
    let policy = policy(json!([allow, deny]));
    let verdict = ask(&policy, Some("alice"), "push", Some("a"));
    assert!(verdict.allowed && verdict.enforced);
    assert_eq!(verdict.would_deny.as_deref(), Some("new"));
    assert!(!ask(&policy, Some("alice"), "push", Some("b")).permits());

    let whole = read(json!({"access": {"mode": "audit"}, "policy": [allow,
        {"name": "deny", "effect": "deny", "principals": ["bob"], "actions": ["push"]},
        {"name": "now", "effect": "deny", "principals": ["eve"], "actions": ["push"], "mode": "enforce"}]}))
    .unwrap();
    let verdict = ask(&whole, Some("bob"), "push", Some("a"));
    assert_eq!(
        (verdict.allowed, verdict.enforced, verdict.rule.as_deref()),
        (false, false, Some("deny"))
    );
    assert!(verdict.permits() && ask(&whole, Some("alice"), "delete", Some("a")).permits());
    assert!(!ask(&whole, Some("eve"), "push", Some("a")).permits());
}

#[test]
fn whoever_may_push_anything_may_have_the_keys() {
    let policy = policy(json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["push:targets/a"]},
        {"effect": "allow", "principals": ["bob"], "actions": ["init"], "guns": ["b/*"]},
        {"effect": "allow", "principals": ["carol"], "actions": ["pull"]},
        {"effect": "allow", "principals": ["dave"], "actions": ["*"]},
        {"effect": "deny", "principals": ["*"], "actions": ["push", "init"], "guns": ["frozen/**"]}
    ]));
    let may = |who, gun| policy.may_push_something(Some(who), &[], gun);
    assert!(may("alice", "a") && !may("alice", "frozen/a"));
    assert!(may("bob", "b/x") && !may("bob", "a"));
    assert!(!may("carol", "a") && may("dave", "a") && !may("dave", "frozen/a"));
    assert!(!policy.may_push_something(None, &[], "a"));
}

#[test]
fn a_denied_push_is_not_opened_by_the_right_to_make_the_repository() {
    let policy = policy(json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["push", "init"]},
        {"effect": "deny", "principals": ["alice"], "actions": ["push"], "guns": ["frozen"]}
    ]));
    assert!(policy.may_push_something(Some("alice"), &[], "a"));
    assert!(!policy.may_push_something(Some("alice"), &[], "frozen"));
}

#[test]
fn an_own_key_can_be_asked_for_by_role() {
    let policy = policy(json!([
        {"effect": "allow", "principals": ["alice"], "actions": ["push"], "require_own_key": ["root", "targets/*"]},
        {"effect": "allow", "principals": ["bob"], "actions": ["push:targets/b"], "require_own_key": true}
    ]));
    let own_key = |action| ask(&policy, Some("alice"), action, Some("a")).own_key;
    assert!(own_key("push:root") && own_key("push:targets/a"));
    assert!(!own_key("push:targets") && !own_key("push:snapshot") && !own_key("push:targets/a/b"));
    assert!(own_key("push"), "what is pushed is not known yet");
    // A principal that publishes something may send the snapshot along, under the same condition.
    let snapshot = |who| policy.always_requires_own_key(Some(who), &[], "a", &RoleName::Snapshot);
    assert!(snapshot("bob") && !snapshot("alice") && !snapshot("carol"));
    for (wrong, reason) in [
        (json!(["timestamp"]), "the server signs timestamps"),
        (json!(["Targets"]), "require_own_key"),
        (json!([]), "at least one entry"),
        (json!("yes"), "true, false"),
    ] {
        let rule =
            json!({"effect": "allow", "principals": ["*"], "actions": ["push"], "require_own_key": wrong});
        let refused = read(json!({"policy": [rule]})).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
}

#[test]
fn wrong_rules_are_refused_with_their_place() {
    let rule = |more: Value| {
        let mut rule = json!({"effect": "allow", "principals": ["*"], "actions": ["push"]});
        let entries = more.as_object().unwrap().clone();
        rule.as_object_mut().unwrap().extend(entries);
        json!([rule])
    };
    let cases = [
        (json!([]), "policy: [] (a list of at least one table"),
        (json!(null), "policy: null"),
        (
            json!([{"principals": ["*"], "actions": ["pull"]}]),
            "no policy[0].effect",
        ),
        (
            json!([{"effect": "allow", "actions": ["pull"]}]),
            "no policy[0].principals",
        ),
        (
            json!([{"effect": "allow", "principals": ["*"]}]),
            "no policy[0].actions",
        ),
        (
            rule(json!({"effect": "Allow"})),
            "policy[0].effect: \"Allow\" (allowed: allow, deny)",
        ),
        (rule(json!({"actions": ["write"]})), "allowed: pull, push, init"),
        (rule(json!({"actions": []})), "policy[0].actions: \"[]\""),
        (rule(json!({"guns": ["a/***"]})), "policy[0].guns: \"a/***\""),
        (rule(json!({"guns": ["${group}"]})), "may contain is ${principal}"),
        (
            rule(json!({"guns": ["${principal}"], "principals": ["anonymous"]})),
            "anonymous has no name",
        ),
        (
            rule(json!({"principals": ["ci-*"]})),
            "policy[0].principals: \"ci-*\"",
        ),
        (rule(json!({"gun": ["a"]})), "did you mean guns?"),
        (rule(json!({"mode": "audit"})), "access.mode"),
        (
            rule(json!({"require_own_key": true, "actions": ["pull"]})),
            "policy[0].require_own_key",
        ),
    ];
    for (rules, expected) in cases {
        let refused = read(json!({"policy": rules})).unwrap_err();
        assert!(
            refused.contains(expected),
            "{rules}: {refused} should contain {expected}"
        );
    }
    let refused = read(json!({"access": {"mode": "off"}})).unwrap_err();
    assert!(refused.contains("access.mode"), "{refused}");
}

/// Rules over few names, so that they often apply.
fn rules() -> impl Strategy<Value = Vec<Value>> {
    let some = |from: &'static [&str]| prop::sample::subsequence(from.to_vec(), 1..=from.len());
    let rule = (
        prop::bool::weighted(0.3),
        some(&["alice", "bob", "group:ci", "*", "anonymous"]),
        some(&["pull", "push", "push:targets/a", "delete"]),
        some(&["a", "a/*", "a/**", "b"]),
        prop::option::of(some(&["alice", "group:ci"])),
        any::<bool>(),
    );
    let rule = rule.prop_map(|(deny, principals, actions, guns, unless, own)| {
        let own = own && !deny && actions.iter().any(|action| action.starts_with("push"));
        let effect = if deny { "deny" } else { "allow" };
        json!({"effect": effect, "principals": principals, "actions": actions, "guns": guns,
               "unless": unless.map_or_else(|| json!(["nobody"]), |names| json!(names)), "require_own_key": own})
    });
    prop::collection::vec(rule, 1..6)
}

fn question() -> impl Strategy<Value = (Option<&'static str>, &'static str, &'static str)> {
    let one = |from: &'static [&str]| prop::sample::select(from.to_vec());
    (
        prop::option::of(one(&["alice", "bob", "carol"])),
        one(&["pull", "push", "push:targets/a", "push:root", "delete"]),
        one(&["a", "a/b", "a/b/c", "b", "c"]),
    )
}

proptest! {
    #[test]
    fn deny_wins_and_nothing_is_allowed_without_a_rule((who, action, gun) in question(), rules in rules()) {
        let whole = policy(json!(rules));
        let verdict = ask(&whole, who, action, Some(gun));
        // Each rule says by itself whether it applies: here alone in a policy, turned into a rule that allows.
        let applies = |rule: &Value| {
            let mut alone = rule.clone();
            alone["effect"] = json!("allow");
            alone["require_own_key"] = json!(false);
            ask(&policy(json!([alone])), who, action, Some(gun)).allowed
        };
        let denied = rules.iter().any(|rule| rule["effect"] == "deny" && applies(rule));
        let allowing: Vec<&Value> = rules.iter().filter(|rule| rule["effect"] == "allow" && applies(rule)).collect();
        prop_assert_eq!(verdict.allowed, !denied && !allowing.is_empty());
        if verdict.allowed {
            prop_assert_eq!(verdict.own_key, allowing.iter().all(|rule| rule["require_own_key"] == true));
        }
    }

    #[test]
    fn the_order_of_rules_does_not_matter((who, action, gun) in question(), rules in rules(), turn in 0usize..6) {
        let mut turned = rules.clone();
        turned.reverse();
        let turn = turn % turned.len();
        turned.rotate_left(turn);
        let (one, other) = (ask(&policy(json!(rules)), who, action, Some(gun)),
                            ask(&policy(json!(turned)), who, action, Some(gun)));
        prop_assert_eq!((one.allowed, one.own_key), (other.allowed, other.own_key));
    }
}
