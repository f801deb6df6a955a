//! What a file may be, rule by rule.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::testing::{Repo, TestKey, role, sign_value, signers};
use crate::{Metadata, Refusal, Role, Scheme};

/// A good root, and the key that signs it.
fn root() -> (Value, TestKey) {
    let repo = Repo::unpublished();
    let draft = repo.first_root().draft().unwrap();
    (Value::Object(draft.metadata().signed().clone()), repo.root)
}

/// A good targets with a target and a delegation.
fn targets() -> Value {
    let key = TestKey::p256().public;
    json!({
        "_type": "targets",
        "delegations": {
            "keys": {key.id().as_str(): key.to_json()},
            "roles": [{"keyids": [key.id().as_str()], "name": "docs", "paths": ["docs/*"], "terminating": true, "threshold": 1}],
        },
        "expires": "2031-01-01T00:00:00Z",
        "spec_version": "1.0.34",
        "targets": {"a/b.txt": {"custom": {"n": 1}, "hashes": {"sha256": "0".repeat(64)}, "length": 3}},
        "version": 7,
    })
}

fn parse(role: &Role, signed: &Value) -> Result<Metadata, Refusal> {
    Metadata::parse(role, sign_value(signed, &[&TestKey::ed25519()]))
}

fn set(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap();
    match parent {
        Value::Object(members) => {
            members.insert(member.replace("~1", "/"), new);
        }
        _ => parent[member.parse::<usize>().unwrap()] = new,
    }
    value
}

fn without(mut value: Value, pointer: &str) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let members = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    assert!(members.remove(member).is_some(), "{pointer}");
    value
}

#[test]
fn good_files_are_read() {
    let (signed, key) = root();
    let bytes = sign_value(&signed, &[&key]);
    let file = Metadata::parse(&Role::Root, bytes.clone()).unwrap();
    assert_eq!((file.bytes(), file.length()), (&bytes, bytes.len()));
    assert_eq!(file.signature_ids(), [key.public.id().clone()]);
    assert_eq!(file.repository(), Some("example.com/tools"));
    for name in ["targets", "docs"] {
        let file = parse(&role(name), &targets()).unwrap();
        assert_eq!((file.role(), file.version().get()), (&role(name), 7));
        assert_eq!(file.expires().to_rfc3339(), "2031-01-01T00:00:00+00:00");
        assert_eq!(file.targets().collect::<Vec<_>>(), ["a/b.txt"]);
        assert_eq!(file.delegations().next().unwrap().0, &role("docs"));
        assert_eq!(file.repository(), None);
    }
}

#[test]
fn text_around_the_signed_value_is_kept_byte_for_byte() {
    let signed = targets();
    let compact = sign_value(&signed, &[&TestKey::p256()]);
    let value: Value = serde_json::from_slice(&compact).unwrap();
    let spaced = Bytes::from(serde_json::to_string_pretty(&value).unwrap() + "\n");
    assert_eq!(
        Metadata::parse(&Role::Targets, spaced.clone()).unwrap().bytes(),
        &spaced
    );
}

#[test]
fn json_that_readers_read_differently_is_refused() {
    let good = String::from_utf8(sign_value(&targets(), &[&TestKey::p256()]).to_vec()).unwrap();
    assert!(Metadata::parse(&Role::Targets, good.clone().into()).is_ok());
    let twice = good.replace(r#""version":7"#, r#""version":7,"v\u0065rsion":8"#);
    let float = good.replace(r#""version":7"#, r#""version":7.0"#);
    let large = good.replace(r#""n":1"#, r#""n":9007199254740993"#);
    let trailing = good.clone() + "{}";
    let further = good.replacen('{', r#"{"x":1,"#, 1);
    let deep = good.replace(
        r#""n":1"#,
        &format!(r#""n":{}1{}"#, "[".repeat(200), "]".repeat(200)),
    );
    for bad in [
        twice,
        float,
        large,
        trailing,
        further,
        deep,
        "[]".into(),
        "{}".into(),
        String::new(),
    ] {
        assert_ne!(bad, good);
        let refusal = Metadata::parse(&Role::Targets, bad.clone().into()).unwrap_err();
        assert_eq!(refusal.code(), "malformed", "{bad}");
    }
}

#[test]
fn endless_data_is_refused_before_it_is_read() {
    for (name, limit) in [
        ("root", 512_000),
        ("timestamp", 16_384),
        ("snapshot", 1_048_576),
        ("targets", 5_000_000),
    ] {
        let refusal = Metadata::parse(&role(name), vec![b'['; limit + 1].into()).unwrap_err();
        let length = limit + 1;
        assert_eq!(
            refusal,
            Refusal::TooLarge {
                role: role(name),
                length,
                limit
            }
        );
    }
}

#[test]
fn the_largest_file_is_read() {
    let target = json!({"hashes": {"sha256": "0".repeat(64)}, "length": 3});
    let paths = (0..45_000).map(|n| (format!("a/{n}"), target.clone()));
    let signed = set(targets(), "/targets", Value::Object(paths.collect()));
    let file = parse(&Role::Targets, &signed).unwrap();
    assert_eq!(file.targets().count(), 45_000);
    assert!(file.length() > 4_500_000, "{}", file.length());
}

#[test]
fn texts_that_are_normalised_by_some_clients_are_refused() {
    let signed = set(targets(), "/targets/a~1b.txt/custom", json!({"n": "e\u{301}"}));
    assert_eq!(parse(&Role::Targets, &signed).unwrap_err().code(), "ambiguous");
    // tough sorts names with the quotation mark that ends them.
    for (one, other) in [("a", "a b"), ("a", "a!"), ("a\"", "a#")] {
        let signed = set(targets(), "/targets/a~1b.txt/custom", json!({one: 1, other: 1}));
        assert_eq!(
            parse(&Role::Targets, &signed).unwrap_err().code(),
            "ambiguous",
            "{other}"
        );
    }
    // Control characters and characters beyond U+FFFF in values are the same to all.
    let signed = set(
        targets(),
        "/targets/a~1b.txt/custom",
        json!({"n": "\n\u{0}é\u{1f600}\""}),
    );
    assert!(parse(&Role::Targets, &signed).is_ok());
}

#[test]
fn names_that_javascript_sorts_or_reads_otherwise_are_refused() {
    for name in ["\u{1f600}", "__proto__"] {
        let signed = set(targets(), "/targets/a~1b.txt/custom", json!({name: 1}));
        assert_eq!(
            parse(&Role::Targets, &signed).unwrap_err().code(),
            "outside_profile"
        );
    }
}

#[test]
fn every_rule_about_targets_refuses_what_breaks_it() {
    let hash = "0".repeat(64);
    let target = |path: &str| {
        let value = json!({"hashes": {"sha256": hash}, "length": 3});
        set(targets(), "/targets", json!({path: value}))
    };
    let delegation =
        |member: &str, value: Value| set(targets(), &format!("/delegations/roles/0/{member}"), value);
    let role = targets()["delegations"]["roles"][0].clone();
    let cases = [
        ("type", set(targets(), "/_type", json!("Targets"))),
        ("type of another role", set(targets(), "/_type", json!("root"))),
        ("specification", set(targets(), "/spec_version", json!("1.1.0"))),
        (
            "short specification",
            set(targets(), "/spec_version", json!("1.0")),
        ),
        ("version 0", set(targets(), "/version", json!(0))),
        (
            "version beyond the column",
            set(targets(), "/version", json!(2_147_483_648_u32)),
        ),
        ("version as text", set(targets(), "/version", json!("7"))),
        (
            "offset of time",
            set(targets(), "/expires", json!("2031-01-01T00:00:00+00:00")),
        ),
        (
            "fraction of time",
            set(targets(), "/expires", json!("2031-01-01T00:00:00.5Z")),
        ),
        (
            "leap second",
            set(targets(), "/expires", json!("2031-06-30T23:59:60Z")),
        ),
        (
            "day that is not there",
            set(targets(), "/expires", json!("2031-02-30T00:00:00Z")),
        ),
        (
            "year of five digits",
            set(targets(), "/expires", json!("+12031-01-01T00:00:00Z")),
        ),
        ("unknown member", set(targets(), "/more", json!(1))),
        ("no targets", without(targets(), "/targets")),
        ("path upwards", target("a/../b")),
        ("absolute path", target("/a")),
        ("empty part", target("a//b")),
        ("dot", target("./a")),
        ("backslash", target("a\\b")),
        ("control character in a path", target("a\nb")),
        ("long path", target(&"a".repeat(1025))),
        ("no hash", set(targets(), "/targets/a~1b.txt/hashes", json!({}))),
        (
            "other hash",
            set(
                targets(),
                "/targets/a~1b.txt/hashes",
                json!({"sha256": hash, "md5": "00"}),
            ),
        ),
        (
            "hash in upper case",
            set(
                targets(),
                "/targets/a~1b.txt/hashes",
                json!({"sha256": "A".repeat(64)}),
            ),
        ),
        (
            "short hash",
            set(targets(), "/targets/a~1b.txt/hashes", json!({"sha256": "00"})),
        ),
        (
            "negative length",
            set(targets(), "/targets/a~1b.txt/length", json!(-1)),
        ),
        (
            "empty custom",
            set(targets(), "/targets/a~1b.txt/custom", json!({})),
        ),
        (
            "custom that is no object",
            set(targets(), "/targets/a~1b.txt/custom", json!([1])),
        ),
        (
            "unknown member of a target",
            set(targets(), "/targets/a~1b.txt/x", json!(1)),
        ),
        (
            "succinct roles",
            set(targets(), "/delegations/succinct_roles", json!({})),
        ),
        (
            "both kinds of paths",
            delegation("path_hash_prefixes", json!(["0"])),
        ),
        ("no paths", without(targets(), "/delegations/roles/0/paths")),
        ("unknown member of a delegation", delegation("x", json!(1))),
        (
            "no terminating",
            without(targets(), "/delegations/roles/0/terminating"),
        ),
        (
            "delegation to a top-level role",
            delegation("name", json!("snapshot")),
        ),
        ("delegation to a number", delegation("name", json!("7"))),
        ("threshold 0", delegation("threshold", json!(0))),
        ("threshold above the keys", delegation("threshold", json!(2))),
        (
            "key that is not listed",
            delegation("keyids", json!(["0".repeat(64)])),
        ),
        (
            "key named twice",
            delegation("keyids", json!([role["keyids"][0], role["keyids"][0]])),
        ),
        (
            "role named twice",
            set(targets(), "/delegations/roles", json!([role, role])),
        ),
        ("class of characters", delegation("paths", json!(["docs/[ab]"]))),
        ("alternatives", delegation("paths", json!(["docs/{a,b}"]))),
        ("two stars", delegation("paths", json!(["docs/**"]))),
        ("negation", delegation("paths", json!(["docs/!a"]))),
        ("comment", delegation("paths", json!(["#docs"]))),
        ("absolute pattern", delegation("paths", json!(["/docs/*"]))),
    ];
    for (what, signed) in cases {
        let refusal = parse(&Role::Targets, &signed)
            .map(|file| file.length())
            .unwrap_err();
        assert_eq!(refusal.code(), "outside_profile", "{what}: {refusal}");
    }
    let prefixes = |value: Value| {
        let signed = without(targets(), "/delegations/roles/0/paths");
        parse(
            &Role::Targets,
            &set(signed, "/delegations/roles/0/path_hash_prefixes", value),
        )
    };
    assert!(prefixes(json!(["0", "ab12"])).is_ok());
    for bad in [
        json!([""]),
        json!(["A"]),
        json!(["g"]),
        json!(["0".repeat(65)]),
        json!([1]),
    ] {
        assert_eq!(prefixes(bad).unwrap_err().code(), "outside_profile");
    }
}

#[test]
fn every_rule_about_roots_refuses_what_breaks_it() {
    let (good, key) = root();
    let id = key.public.id().as_str();
    let pointer = format!("/keys/{id}");
    let cases = [
        (
            "without consistent snapshots",
            set(good.clone(), "/consistent_snapshot", json!(false)),
        ),
        ("three roles", without(good.clone(), "/roles/snapshot")),
        (
            "five roles",
            set(good.clone(), "/roles/mirrors", good["roles"]["root"].clone()),
        ),
        ("member of a role", set(good.clone(), "/roles/root/x", json!(1))),
        (
            "member of a key",
            set(
                good.clone(),
                &format!("{pointer}/keyid_hash_algorithms"),
                json!(["sha256"]),
            ),
        ),
        (
            "key under another ID",
            set(
                good.clone(),
                &format!("/keys/{}", "0".repeat(64)),
                key.public.to_json(),
            ),
        ),
        (
            "key of another curve",
            set(
                good.clone(),
                &format!("{pointer}/scheme"),
                json!("ecdsa-sha2-nistp384"),
            ),
        ),
        (
            "old key type",
            set(
                good.clone(),
                &format!("{pointer}/keytype"),
                json!("ecdsa-sha2-nistp256"),
            ),
        ),
    ];
    for (what, signed) in cases {
        let refusal = parse(&Role::Root, &signed).map(|file| file.length()).unwrap_err();
        assert_eq!(refusal.code(), "outside_profile", "{what}: {refusal}");
    }
}

#[test]
fn a_threshold_is_not_reached_by_one_key_written_twice() {
    let repo = Repo::unpublished();
    let with_line_feed = format!("{}\n", repo.root.public.public());
    let second = json!({"keytype": "ecdsa", "keyval": {"public": with_line_feed}, "scheme": Scheme::EcdsaP256.as_str()});
    let second = crate::PublicKey::from_json(&second).unwrap();
    assert_ne!(second.id(), repo.root.public.id());
    let mut content = repo.first_root();
    content.root = crate::Signers::new(vec![repo.root.public.clone(), second], 2);
    let refusal = content.draft().map(|draft| draft.version()).unwrap_err();
    assert_eq!(refusal.code(), "outside_profile");
    assert!(
        refusal.to_string().contains("one key written in two ways"),
        "{refusal}"
    );
    content.root = signers(&[&repo.root, &repo.root], 2);
    assert!(content.draft().unwrap_err().to_string().contains("there twice"));
}

#[test]
fn signatures_are_written_in_one_way_and_once_for_a_key() {
    let (signed, key) = root();
    let good: Value = serde_json::from_slice(&sign_value(&signed, &[&key])).unwrap();
    let signature = good["signatures"][0].clone();
    let upper = signature["sig"].as_str().unwrap().to_uppercase();
    let cases = [
        json!([]),
        json!([signature, signature]),
        json!([set(signature.clone(), "/sig", json!(upper))]),
        json!([set(signature.clone(), "/sig", json!(""))]),
        json!([set(signature.clone(), "/keyid", json!("00"))]),
    ];
    for signatures in cases {
        let file = set(good.clone(), "/signatures", signatures);
        let refusal = Metadata::parse(&Role::Root, file.to_string().into()).unwrap_err();
        assert_eq!(refusal.code(), "outside_profile");
    }
    let method = set(
        good.clone(),
        "/signatures",
        json!([set(signature, "/method", json!("x"))]),
    );
    let refusal = Metadata::parse(&Role::Root, method.to_string().into()).unwrap_err();
    assert_eq!(refusal.code(), "malformed");
}

#[test]
fn snapshots_and_timestamps_name_files_with_version_length_and_hash() {
    let repo = Repo::new();
    let snapshot = repo.trusted.snapshot.unwrap();
    let timestamp = repo.trusted.timestamp.unwrap();
    for (file, named) in [(snapshot, "targets.json"), (timestamp, "snapshot.json")] {
        let good = Value::Object(file.signed().clone());
        let role = file.role().clone();
        assert!(parse(&role, &good).is_ok());
        let meta = good["meta"][named].clone();
        let cases = [
            set(good.clone(), "/meta", json!({})),
            set(good.clone(), "/meta", json!({named: {"version": 1}})),
            set(good.clone(), "/meta", json!({named: meta, "root.json": meta})),
            set(
                good.clone(),
                "/meta",
                json!({named: meta, "timestamp.json": meta}),
            ),
            set(good.clone(), "/meta", json!({named.replace(".json", ""): meta})),
        ];
        for signed in cases {
            assert_eq!(parse(&role, &signed).unwrap_err().code(), "outside_profile");
        }
    }
}

#[test]
fn the_stated_role_is_that_of_the_type() {
    let (signed, key) = root();
    let state = |signed: &Value| Metadata::stated_role(&sign_value(signed, &[&key])).unwrap();
    assert_eq!(state(&signed), Some(Role::Root));
    assert_eq!(state(&targets()), Some(Role::Targets));
    assert_eq!(state(&json!({"_type": "docs"})), None);
    assert_eq!(state(&json!({})), None);
    assert!(Metadata::stated_role(b"{}").is_err());
}
