//! The canonical form against vectors of the reference, and its properties.

// Clippy knows test functions but not the functions that they share.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;
use tuf::{canonical_form, canonicalize};

const VECTORS: &str = include_str!("../../fixtures/notary/canonical-json-go-vs-olpc.json");

const AMBIGUOUS: [&str; 12] = [
    "-0",
    "-0.0",
    "1.0",
    "1e3",
    "2^53+1",
    "2^64",
    "30 digits",
    "duplicate keys",
    "i64 max",
    "invalid utf8",
    "lone surrogate",
    "u64 max",
];

#[test]
fn every_input_with_one_meaning_gets_the_answer_of_the_reference() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(vectors.len(), 46);
    let mut ambiguous = Vec::new();
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let input = hex::decode(vector["input_hex"].as_str().unwrap()).unwrap();
        let expected = vector["docker_go"]["hex"]
            .as_str()
            .map(|h| hex::decode(h).unwrap());
        let form = canonical_form(&input).ok();
        if expected.is_some() && form.is_none() {
            ambiguous.push(name.to_owned());
        } else {
            assert_eq!(form, expected, "{name}");
        }
    }
    // The reference gives these a form, which other texts have too: they are not documents here.
    ambiguous.sort();
    assert_eq!(ambiguous, AMBIGUOUS);
}

/// JSON whose canonical form is itself JSON: no control characters, no number that loses digits.
fn tame_json() -> impl Strategy<Value = Value> {
    let text = "[^\\x00-\\x1f]{0,8}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..(1 << 53)).prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// The same text with every non-ASCII character and some others escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii() && c != '/' && c != '<' {
            out.push(c);
        } else {
            let mut units = [0; 2];
            out.extend(
                c.encode_utf16(&mut units)
                    .iter()
                    .map(|unit| format!("\\u{unit:04X}")),
            );
        }
    }
    out
}

proptest! {
    #[test]
    fn parsing_the_form_gives_the_value(value in tame_json()) {
        let form = canonicalize(&value).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&form).unwrap(), value);
    }

    #[test]
    fn the_form_of_the_form_is_the_form(value in tame_json()) {
        let form = canonicalize(&value).unwrap();
        prop_assert_eq!(canonical_form(&form).unwrap(), form);
    }

    #[test]
    fn layout_and_escapes_do_not_matter(value in tame_json()) {
        let form = canonicalize(&value).unwrap();
        prop_assert_eq!(&canonical_form(serde_json::to_string_pretty(&value).unwrap().as_bytes()).unwrap(), &form);
        prop_assert_eq!(&canonical_form(escaped(&value.to_string()).as_bytes()).unwrap(), &form);
    }

    #[test]
    fn names_are_in_the_order_of_their_bytes(names in prop::collection::hash_set("[^\\x00-\\x1f\"\\\\]{0,4}", 0..20)) {
        let names: Vec<String> = names.into_iter().collect();
        let members: Vec<String> = names.iter().map(|n| format!("{}:0", Value::from(n.as_str()))).collect();
        let form = canonical_form(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
        let mut sorted = names;
        sorted.sort();
        let expected: Vec<String> = sorted.iter().map(|n| format!("\"{n}\":0")).collect();
        prop_assert_eq!(String::from_utf8(form).unwrap(), format!("{{{}}}", expected.join(",")));
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_crash(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = canonical_form(&bytes);
    }

    #[test]
    fn any_json_like_text_is_read_or_refused_without_a_crash(text in "[\\[\\]{}\",:0-9eE.+\\\\ud8-]{0,64}") {
        let _ = canonical_form(text.as_bytes());
    }
}
