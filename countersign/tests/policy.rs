//! `countersign policy`, as people run it.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, process::Command};

const ID: &str = "5b7852458033845fa1da5371f416a6c003e84444cd5dfabfd1f2c2ceaddc55ac";

/// Status, standard output and standard error.
fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let ran = command
        .arg("policy")
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

fn policy(rules: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("version: 1\nanchors: {{ a: {{ root_keys: [\"{ID}\"] }} }}\nrules:\n{rules}");
    fs::write(directory.path().join("policy.yaml"), text).unwrap();
    directory
}

#[test]
fn check_tells_what_is_lax_and_what_is_wrong() {
    let good =
        policy("  - { match: \"reg.example/**\", anchor: a }\n  - { match: \"r.x/**\", action: allow }\n");
    let (status, out, _) = run(good.path(), &["check", "policy.yaml"]);
    assert_eq!(status, 0);
    assert!(out.contains("r.x/**") && out.contains("2 rules"), "{out}");
    let wrong = policy("  - { match: \"reg.example/**\", ancor: a }\n");
    let (status, out, error) = run(wrong.path(), &["check", "policy.yaml"]);
    assert_eq!((status, out.as_str()), (2, ""));
    assert!(error.contains("did you mean anchor?"), "{error}");
}

#[test]
fn test_says_which_rule_decides() {
    let directory = policy(
        "  - { match: \"reg.example/**\", anchor: a, max_staleness: 2h }\n  - { match: \"r.x/**\", action: allow }\n",
    );
    let test = |image: &str| run(directory.path(), &["test", "--policy", "policy.yaml", image]);
    let (status, out, _) = test("reg.example/app:1");
    assert_eq!(status, 0);
    for part in [
        "checked: reg.example/app:1",
        "reg.example/**",
        "targets/releases",
        ID,
        "7200",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (status, out, _) = test("r.x/app");
    assert_eq!(status, 0);
    assert!(out.starts_with("allowed: r.x/app"), "{out}");
    let (status, out, _) = test("alpine");
    assert_eq!(status, 1);
    assert!(out.starts_with("denied: alpine: no_rule"), "{out}");
    assert_eq!(test("not an image").0, 2);
}

#[test]
fn import_prints_a_policy_and_what_is_left_to_do() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("mke.toml"),
        "[trust_configuration]\nrequire_content_trust = true\n",
    )
    .unwrap();
    let (status, out, error) = run(directory.path(), &["import", "--from", "mke", "mke.toml"]);
    assert_eq!(status, 0);
    assert!(error.contains("root key"), "{error}");
    fs::write(directory.path().join("policy.yaml"), &out).unwrap();
    let (status, _, error) = run(directory.path(), &["check", "policy.yaml"]);
    assert_eq!(status, 2);
    assert!(error.contains("FILL IN"), "{error}");
    fs::write(
        directory.path().join("policy.yaml"),
        out.replace("FILL IN: the root key's ID", ID),
    )
    .unwrap();
    let (status, _, error) = run(directory.path(), &["check", "policy.yaml"]);
    assert_eq!((status, error.as_str()), (0, ""));
}
