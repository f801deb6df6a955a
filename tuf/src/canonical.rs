//! Canonical JSON, Go flavour: the message that signatures are made over.
//!
//! Members sorted by the bytes of their names, no blanks, only `"` and `\` escaped, numbers as 64-bit integers
//! after a round through IEEE doubles. Control characters stand raw in the message, so it is not always itself a
//! JSON text.

use thiserror::Error;

use crate::json::{self, Json, JsonError};

/// Why a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CanonicalError {
    /// A number with a fraction. The text is Go's, which publishers see.
    #[error("json: unsupported value: {0}")]
    Fraction(f64),
    /// The text is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// The canonical form of a JSON value.
///
/// # Errors
///
/// Fails for numbers that are not integral.
pub fn canonicalize(value: &serde_json::Value) -> Result<Vec<u8>, CanonicalError> {
    canonical(&Json::from(value))
}

/// The canonical form of a JSON text. Of members with the same name the last one counts; invalid UTF-8 and lone
/// surrogates become U+FFFD.
///
/// # Errors
///
/// Fails for a text that is not one JSON value, and for numbers that are not integral.
pub fn canonical_form(text: &[u8]) -> Result<Vec<u8>, CanonicalError> {
    canonical(&json::parse(text)?)
}

/// The canonical form of a value as it was read.
pub(crate) fn canonical(value: &Json) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(1024);
    write(&mut out, value)?;
    Ok(out)
}

fn write(out: &mut Vec<u8>, value: &Json) -> Result<(), CanonicalError> {
    match value {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Integer(number) => write_number(out, *number as f64)?,
        Json::Float(number) => write_number(out, *number)?,
        Json::String(text) => push_string(out, text),
        Json::Array(elements) => {
            out.push(b'[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(out, element)?;
            }
            out.push(b']');
        }
        Json::Object(members) => {
            out.push(b'{');
            for (i, (name, member)) in members.sorted().into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                push_string(out, name);
                out.push(b':');
                write(out, member)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Doubles outside the range of 64 bits come out as the lowest number, as the reference's processor makes them.
fn write_number(out: &mut Vec<u8>, number: f64) -> Result<(), CanonicalError> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() != 0.0 || number.is_nan() {
        return Err(CanonicalError::Fraction(number));
    }
    let integer = if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    };
    out.extend_from_slice(integer.to_string().as_bytes());
    Ok(())
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
    fn numbers_go_through_doubles() {
        assert_eq!(
            form("[2.0,1e3,-0,-0.0,9007199254740993]"),
            "[2,1000,0,0,9007199254740992]"
        );
        assert_eq!(
            form("[9223372036854775807,-1e30]"),
            "[-9223372036854775808,-9223372036854775808]"
        );
    }

    #[test]
    fn a_fraction_has_no_canonical_form() {
        let error = canonical_form(b"{\"a\":1.5}").unwrap_err();
        assert_eq!(error.to_string(), "json: unsupported value: 1.5");
    }

    #[test]
    fn a_serde_value_and_its_text_have_the_same_form() {
        let value = serde_json::json!({"b": 1, "a": [null, true, "x\"y"], "c": 2.0, "d": u64::MAX});
        assert_eq!(canonicalize(&value), canonical_form(value.to_string().as_bytes()));
    }
}
