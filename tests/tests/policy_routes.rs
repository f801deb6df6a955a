//! Every action of a policy on every route: an action that a rule denies is denied on each route, whatever else is
//! allowed.

use serde_json::{Value, json};
use tests::{Client, TestServer, publisher::Publisher};

const GUN: &str = "reg/app";

/// A policy that allows everything, except for each action to the user `no-<action>`.
fn policy() -> Value {
    let mut rules = vec![json!({"name": "all", "effect": "allow", "principals": ["*"], "actions": ["*"]})];
    for action in [
        "pull",
        "push",
        "init",
        "delete",
        "rotate-key",
        "list",
        "changefeed",
        "admin",
    ] {
        rules.push(json!({
            "name": format!("deny-{action}"), "effect": "deny",
            "principals": [format!("no-{action}")], "actions": [action],
        }));
    }
    json!(rules)
}

fn status(client: &Client, (method, path): (&str, &str)) -> u16 {
    client.request(method, path, &[], &[]).status
}

#[test]
fn each_route_needs_its_action_and_no_other() {
    let server = TestServer::builder()
        .signs_locally()
        .set("policy", policy())
        .start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    let checksum = hex::encode(openssl::sha::sha256(
        &alice.get(&format!("/v2/{GUN}/_trust/tuf/root.json")).ok().body,
    ));
    let by_checksum = format!("/v2/{GUN}/_trust/tuf/root.{checksum}.json");
    // The action that each route needs; the last that a repository is there, so that nothing is lost on the way.
    let routes: &[(&str, (&str, &str), &[u16])] = &[
        ("pull", ("GET", "/v2/reg/app/_trust/tuf/root.json"), &[403]),
        ("pull", ("GET", "/v2/reg/app/_trust/tuf/timestamp.json"), &[403]),
        ("pull", ("GET", "/v2/reg/app/_trust/tuf/1.root.json"), &[403]),
        ("pull", ("GET", &by_checksum), &[403]),
        ("pull", ("HEAD", "/v2/reg/app/_trust/tuf/root.json"), &[403]),
        ("pull", ("GET", "/api/v0/repositories/reg/app/tags"), &[403]),
        ("push", ("GET", "/v2/reg/app/_trust/tuf/timestamp.key"), &[400]),
        ("push", ("GET", "/v2/reg/app/_trust/tuf/snapshot.key"), &[400]),
        (
            "rotate-key",
            ("POST", "/v2/reg/app/_trust/tuf/snapshot.key"),
            &[403],
        ),
        (
            "rotate-key",
            ("POST", "/v2/reg/app/_trust/tuf/timestamp.key"),
            &[403],
        ),
        (
            "changefeed",
            ("GET", "/v2/reg/app/_trust/changefeed?records=1"),
            &[403],
        ),
        (
            "changefeed",
            ("GET", "/v2/reg/app/_trust/changefeed?records=1&actor=true"),
            &[403],
        ),
        ("changefeed", ("GET", "/v2/_trust/changefeed?records=1"), &[403]),
        ("list", ("GET", "/api/v0/repositories/reg/app"), &[404]),
        ("list", ("GET", "/api/v0/repositories/reg"), &[404]),
        ("list", ("GET", "/api/v0/repositories/reg/app/tags"), &[404]),
        ("admin", ("GET", "/api/v0/meta/settings"), &[403]),
    ];
    for action in [
        "pull",
        "push",
        "init",
        "delete",
        "rotate-key",
        "list",
        "changefeed",
        "admin",
    ] {
        let client = server.client(&format!("no-{action}"));
        for (needed, route, refusals) in routes {
            let status = status(&client, *route);
            let denied = routes
                .iter()
                .any(|(other, same, _)| same == route && *other == action);
            if *needed == action {
                assert!(refusals.contains(&status), "no-{action}: {route:?} is {status}");
            } else if !denied {
                assert_eq!(status, 200, "no-{action}: {route:?}");
            }
        }
        let listed = client.get("/api/v0/repositories").ok().json();
        let shown = listed["repositories"].as_array().unwrap().len();
        assert_eq!(shown, usize::from(action != "list"), "no-{action} sees {listed}");
        let admin = client.get("/basic_info").ok().json()["IsAdmin"].clone();
        assert_eq!(admin, json!(action != "admin"));
    }
}

#[test]
fn publishing_making_and_deleting_are_denied_each_by_its_own_rule() {
    let server = TestServer::builder()
        .signs_locally()
        .set("policy", policy())
        .start();
    let alice = server.client("alice");
    let publisher = Publisher::new(&alice, GUN, GUN);
    publisher.publish_first(&alice, GUN);
    let before = server.stored();
    for (name, right) in [("no-push", "push"), ("no-init", "init")] {
        let client = server.client(name);
        let other = Publisher::new(&alice, "reg/other", "reg/other");
        let refused = client.publish(
            "reg/other",
            &[("root", &other.root_file(1)), ("targets", &other.targets_file(1))],
        );
        refused.rejects("ErrValidation", &format!("{name} may not {right} reg/other"));
    }
    server
        .client("no-push")
        .publish(GUN, &[("targets", &publisher.targets_file(2))])
        .rejects("ErrValidation", "no-push may not push reg/app");
    server
        .client("no-push")
        .publish(GUN, &[])
        .rejects("ErrValidation", "no-push may not push reg/app");
    server
        .client("no-delete")
        .delete(&format!("/v2/{GUN}/_trust/tuf/"))
        .refuses(403, "DENIED");
    assert_eq!(server.stored(), before);
    // What is not denied goes on: publishing without making, and making without deleting.
    server
        .client("no-init")
        .publish(GUN, &[("targets", &publisher.targets_file(2))])
        .ok();
    server
        .client("no-push")
        .delete(&format!("/v2/{GUN}/_trust/tuf/"))
        .ok();
}

#[test]
fn a_denied_action_stays_denied_beside_a_right_that_implies_it() {
    let server = TestServer::builder()
        .signs_locally()
        .set(
            "policy",
            json!([
                {"effect": "allow", "principals": ["alice"], "actions": ["*"]},
                {"effect": "allow", "principals": ["bob", "carol"], "actions": ["pull"]},
                {"name": "quiet", "effect": "deny", "principals": ["bob"], "actions": ["changefeed", "list"], "guns": ["reg/*"]},
                {"effect": "allow", "principals": ["dave"], "actions": ["list"]},
            ]),
        )
        .start();
    let alice = server.client("alice");
    Publisher::new(&alice, GUN, GUN).publish_first(&alice, GUN);
    let feed = "/v2/reg/app/_trust/changefeed?records=1";
    let count = |client: &Client| {
        let listed = client.get("/api/v0/repositories").ok().json();
        listed["repositories"].as_array().unwrap().len()
    };
    // Whoever may pull reads changes and sees the repository, unless a rule denies it.
    let (bob, carol, dave) = (
        server.client("bob"),
        server.client("carol"),
        server.client("dave"),
    );
    carol.get(feed).ok();
    assert_eq!(count(&carol), 1);
    let denied = bob.get(feed).refuses(403, "DENIED");
    assert_eq!(denied["detail"]["action"], "changefeed");
    assert_eq!(count(&bob), 0);
    bob.get("/v2/reg/app/_trust/tuf/root.json").ok();
    // Whoever may list it sees it, and nothing of what is signed in it.
    assert_eq!(count(&dave), 1);
    dave.get("/api/v0/repositories/reg/app/tags")
        .refuses(403, "NOT_AUTHORIZED");
    dave.get("/v2/reg/app/_trust/tuf/targets.json")
        .refuses(403, "DENIED");
}
