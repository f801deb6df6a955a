//! The published schema of policy files accepts what the program reads, and finds most mistakes before it does.

use serde_json::Value;

use crate::policies::{MISTAKES, example};

/// What a schema cannot see: names that are not defined, files, patterns that match alike, and the like.
const BEYOND: &[&str] = &[
    "prd",
    "[alise]",
    "[aq]",
    "none.pem",
    "none.json",
    "@bob.pub",
    "5b7852458033845fa1da5371f416a6c003e84444cd5dfabfd1f2c2ceaddc55ac",
    "at_least: 3",
    "lab2.example",
    "REG.example",
    "pause/**",
    "docker.io/alpine",
    "INC-[0-9",
    // What YAML itself refuses does not get so far.
    "version: 1\nversion: 1",
    "!x",
    "1: {}",
    "root_keys: [] }\n",
];

fn schema() -> (boon::Schemas, boon::SchemaIndex) {
    let text = include_str!("../../../docs/policy.schema.json");
    let mut compiler = boon::Compiler::new();
    let schema: Value = serde_json::from_str(text).unwrap();
    compiler.add_resource("policy.json", schema).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("policy.json", &mut schemas).unwrap();
    (schemas, index)
}

/// Whether the schema accepts a policy; `None` if it is not even YAML with texts as keys.
fn accepts(text: &str) -> Option<bool> {
    let (schemas, index) = schema();
    let value: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).ok()?;
    let value = serde_json::to_value(value).ok()?;
    Some(schemas.validate(&value, index).is_ok())
}

#[test]
fn what_is_read_is_accepted() {
    assert_eq!(accepts(&example()), Some(true));
    for text in [
        "version: 1",
        "version: 1\ndefaults: { action: allow, digest: \"ever-signed(1h)\", max_staleness: 90s }",
        "version: 1\nrules: [ { match: \"**\", action: deny } ]",
    ] {
        assert_eq!(accepts(text), Some(true), "{text}");
        verifier::Policy::parse(text, &crate::policies::read).unwrap();
    }
}

#[test]
fn mistakes_are_found() {
    let mut missed = Vec::new();
    for (from, to, _) in MISTAKES {
        let expected = BEYOND.iter().any(|beyond| to.contains(beyond));
        let text = example().replacen(from, to, 1);
        if accepts(&text) == Some(true) && !expected {
            missed.push(*to);
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
