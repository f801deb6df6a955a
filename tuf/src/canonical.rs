//! Canonical JSON, Go flavour: the message that signatures are made over.
//!
//! Members sorted by the bytes of their names, no blanks, only `"` and `\` escaped, integers in decimal. Control
//! characters stand raw in the message, so it is not always itself a JSON text.

use bytes::Bytes;
use memchr::memchr2;

use crate::json::{self, Json, JsonError};

/// The canonical form of a JSON value.
///
/// # Errors
///
/// Fails for numbers that are not integers of at most 2^53.
pub fn canonicalize(value: &serde_json::Value) -> Result<Vec<u8>, JsonError> {
    canonical_form(value.to_string().as_bytes())
}

/// The canonical form of a JSON text.
///
/// # Errors
///
/// Fails for a text that is not one JSON value with one meaning.
pub fn canonical_form(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let tree = json::parse(&Bytes::copy_from_slice(text))?;
    let mut out = Vec::with_capacity(text.len());
    write(&mut out, tree.top());
    Ok(out)
}

/// The canonical form of a value. Where `text` begins with it, as it usually does, it is that part of `text` and not
/// another copy of it.
pub(crate) fn canonical(value: Json<'_>, text: &Bytes) -> Bytes {
    let mut same = Same {
        rest: Some(text),
        length: 0,
    };
    write(&mut same, value);
    if same.rest.is_some() {
        return text.slice(..same.length);
    }
    let mut out = Vec::with_capacity(1024);
    write(&mut out, value);
    out.into()
}

/// What takes a canonical form, piece by piece.
trait Sink {
    fn push(&mut self, piece: &[u8]);
}

impl Sink for Vec<u8> {
    fn push(&mut self, piece: &[u8]) {
        self.extend_from_slice(piece);
    }
}

/// Compares a canonical form with the beginning of a text.
struct Same<'a> {
    /// The text that follows; `None` from the first difference on.
    rest: Option<&'a [u8]>,
    length: usize,
}

impl Sink for Same<'_> {
    fn push(&mut self, piece: &[u8]) {
        self.rest = self.rest.and_then(|rest| rest.strip_prefix(piece));
        self.length += piece.len();
    }
}

fn write(out: &mut impl Sink, value: Json<'_>) {
    match value {
        Json::Null => out.push(b"null"),
        Json::Bool(true) => out.push(b"true"),
        Json::Bool(false) => out.push(b"false"),
        Json::Number(number) => out.push(number.to_string().as_bytes()),
        Json::String(string) => push_text(out, string.text),
        Json::Array(elements) => {
            out.push(b"[");
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(b",");
                }
                write(out, element);
            }
            out.push(b"]");
        }
        Json::Object(members) => {
            out.push(b"{");
            for (i, (name, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(b",");
                }
                push_text(out, name);
                out.push(b":");
                write(out, member);
            }
            out.push(b"}");
        }
    }
}

/// Appends the canonical form of a string.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    push_text(out, text);
}

fn push_text(out: &mut impl Sink, text: &str) {
    out.push(b"\"");
    let mut rest = text.as_bytes();
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let (plain, escaped) = rest.split_at(at);
        out.push(plain);
        out.push(b"\\");
        out.push(escaped.get(..1).unwrap_or_default());
        rest = escaped.get(1..).unwrap_or_default();
    }
    out.push(rest);
    out.push(b"\"");
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
