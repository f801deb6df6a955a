//! JSON that has one meaning for every reader: a value is made only from a text that all readers read alike.
//!
//! Signatures are made over the canonical form of what a reader has parsed, and readers parse differently. Of repeated
//! members one keeps the first, another the last, a third merges them. Numbers are doubles to one and 64-bit integers
//! to another. Some replace invalid UTF-8, others refuse it. A text that readers could parse differently is refused
//! here. The reasons are in `docs/decisions/0001-one-meaning.md`.

mod text;
mod value;

use bytes::Bytes;
use thiserror::Error;

pub(crate) use value::{Json, Object, Tree};

/// Deepest nesting of arrays and objects that is read. Real metadata has six levels.
pub const MAX_DEPTH: usize = 1_000;

/// Largest magnitude of a number. The canonical form goes through IEEE doubles, which cannot represent every integer
/// beyond it.
pub(crate) const MAX_NUMBER: i64 = 1 << 53;

/// Why bytes are not a JSON text with one meaning.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonError {
    /// It does not follow the grammar of JSON, or something follows the value.
    #[error("{0}")]
    Syntax(String),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("arrays and objects are nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A byte that is not part of a UTF-8 character, which some readers replace. Counted from the start of the text.
    #[error("byte {0} is not UTF-8")]
    Encoding(usize),
    /// A number with a fraction or an exponent, or beyond 2^53.
    #[error("the number {0} is not written as an integer of at most 2^53")]
    Number(String),
}

/// Reads one JSON value with nothing but blanks around it.
///
/// No object in it has two members of one name, however they are escaped; numbers are integers without fraction,
/// exponent or negative zero, of at most 2^53; all text is Unicode.
pub(crate) fn parse(bytes: &Bytes) -> Result<Tree, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|e| JsonError::Encoding(e.valid_up_to()))?;
    text::check_depth(text)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    // The depth is known to be limited; the stack grows as needed below that.
    reader.disable_recursion_limit();
    let mut values = value::Reader::new(text);
    values
        .read(serde_stacker::Deserializer::new(&mut reader))
        .and_then(|top| reader.end().map(|()| top))
        .map(|top| values.finish(top, bytes.clone()))
        .map_err(|e| JsonError::Syntax(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Tree, JsonError> {
        super::parse(&Bytes::copy_from_slice(text))
    }

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }

    #[test]
    fn the_deepest_allowed_nesting_is_read_and_dropped() {
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        let objects = "{\"a\":".repeat(MAX_DEPTH) + "1" + &"}".repeat(MAX_DEPTH);
        assert!(parse(objects.as_bytes()).is_ok());
    }

    #[test]
    fn deeper_nesting_is_refused_without_reading_on() {
        assert_eq!(
            parse(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err(),
            JsonError::TooDeep
        );
        assert_eq!(
            parse("[".repeat(5_000_000).as_bytes()).unwrap_err(),
            JsonError::TooDeep
        );
    }

    #[test]
    fn brackets_inside_strings_are_not_nesting() {
        let text = format!("[\"\\\"{}\"]", "[".repeat(MAX_DEPTH + 1));
        assert!(parse(text.as_bytes()).is_ok());
    }

    fn refused(text: &[u8], reason: &str) {
        let error = parse(text).unwrap_err().to_string();
        assert!(
            error.contains(reason),
            "{}: {error}",
            String::from_utf8_lossy(text)
        );
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            &b""[..],
            b" ",
            b"{\"a\":1}x",
            b"{\"a\":1}{}",
            b"{\"a\":1}\0",
            b"\xef\xbb\xbf{}",
            b"{\"a\":01}",
            b"{\"a\":1E400}",
            b"[\"\\'\"]",
            b"[\"a\nb\"]",
            b"[\"\\ud83\"]",
            b"[\"\\u00zz\"]",
            b"{a:1}",
            b"[1,]",
            b"[\"a",
            b"[\"\\",
            b"nul",
            b"[NaN]",
            b"[1]//",
        ] {
            assert!(
                matches!(parse(text), Err(JsonError::Syntax(_))),
                "{}",
                String::from_utf8_lossy(text)
            );
        }
    }

    #[test]
    fn a_repeated_member_is_refused_at_any_depth_and_however_it_is_escaped() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":1}"#,
            r#"{"x":[{"y":{"targets":{},"t\u0061rgets":{}}}]}"#,
            r#"{"😀":1,"\ud83d\ude00":2}"#,
            r#"{"/":1,"\/":2}"#,
            r#"{"":1,"":2}"#,
        ] {
            refused(text.as_bytes(), "twice");
        }
        // Names that look alike or differ only in case are two names here. `metadata::fields` knows which ones readers
        // confuse.
        assert!(parse("{\"a\":1,\"A\":2,\"é\":3,\"e\u{301}\":4}".as_bytes()).is_ok());
    }

    #[test]
    fn numbers_are_plain_integers_that_every_reader_has() {
        for number in ["0", "-1", "7", "9007199254740992", "-9007199254740992"] {
            let tree = parse(number.as_bytes()).unwrap();
            assert!(matches!(tree.top(), Json::Number(read) if read == number.parse::<i64>().unwrap()));
        }
        for number in [
            "2.0",
            "2e0",
            "20E-1",
            "1.5",
            "-0",
            "-0.0",
            "9007199254740993",
            "-9007199254740993",
            "9223372036854775808",
            "18446744073709551616",
            "1e3",
        ] {
            refused(number.as_bytes(), "2^53");
            refused(format!("{{\"a\":[{number}]}}").as_bytes(), "2^53");
        }
    }

    #[test]
    fn text_that_some_readers_replace_is_refused() {
        for text in [
            &b"\xff"[..],
            b"\"\xe2\x82\"",
            b"{\"\xc0\x80\":1}",
            b"\"\xed\xa0\xbd\"",
        ] {
            assert!(matches!(parse(text), Err(JsonError::Encoding(_))));
        }
        for text in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83d\n""#,
            r#""\ud83d\ud83d\ude00""#,
            r#"{"\udc00":1}"#,
        ] {
            refused(text.as_bytes(), "at line 1");
        }
        // A replacement character that the text itself contains is allowed.
        assert!(parse("\"\u{fffd}\\ufffd\\ud83d\\ude00\"".as_bytes()).is_ok());
    }
}
