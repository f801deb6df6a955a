//! Canonical JSON, Go flavour: the message that signatures are made over.
//!
//! Members sorted by the bytes of their names, no blanks, only `"` and `\` escaped, integers in decimal. Control
//! characters stand raw in the message, so it is not always itself a JSON text.

use crate::json::{self, Json, JsonError};

/// The canonical form of a JSON value.
///
/// # Errors
///
/// Fails for numbers that are not integers of at most 2^53.
pub fn canonicalize(value: &serde_json::Value) -> Result<Vec<u8>, JsonError> {
    Ok(canonical(&Json::try_from(value)?))
}

/// The canonical form of a JSON text.
///
/// # Errors
///
/// Fails for a text that is not one JSON value with one meaning.
pub fn canonical_form(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    Ok(canonical(&json::parse(text)?))
}

/// The canonical form of a value as it was read.
pub(crate) fn canonical(value: &Json) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(&mut out, value);
    out
}

fn write(out: &mut Vec<u8>, value: &Json) {
    match value {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Json::String(string) => push_string(out, &string.text),
        Json::Array(elements) => {
            out.push(b'[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(out, element);
            }
            out.push(b']');
        }
        Json::Object(members) => {
            out.push(b'{');
            for (i, (name, member)) in members.0.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                push_string(out, name);
                out.push(b':');
                write(out, member);
            }
            out.push(b'}');
        }
    }
}

/// Appends the canonical form of a string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        let (plain, escaped) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.push(b'\\');
        out.extend_from_slice(escaped.get(..1).unwrap_or_default());
        rest = escaped.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> String {
        String::from_utf8(canonical_form(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn names_are_sorted_and_blanks_dropped() {
        assert_eq!(
            form(" { \"b\" : [ 1 , 2 ] , \"a\" : { } } "),
            r#"{"a":{},"b":[1,2]}"#
        );
    }

    #[test]
    fn only_quote_and_backslash_are_escaped() {
        assert_eq!(
            form(r#"["\"\\\/\u00e9\u0001\n<"]"#),
            "[\"\\\"\\\\/\u{e9}\u{1}\n<\"]"
        );
    }

    #[test]
    fn numbers_that_a_double_does_not_hold_have_no_form() {
        for number in ["2.0", "1e3", "-0", "9007199254740993", "1.5"] {
            assert!(canonical_form(number.as_bytes()).is_err(), "{number}");
            let value: serde_json::Value = serde_json::from_str(number).unwrap();
            assert!(canonicalize(&value).is_err(), "{number}");
        }
    }

    #[test]
    fn a_serde_value_and_its_text_have_the_same_form() {
        let value = serde_json::json!({"b": 1, "a": [null, true, "x\"y"], "c": 2, "d": -(1_i64 << 53)});
        assert_eq!(canonicalize(&value), canonical_form(value.to_string().as_bytes()));
    }
}
