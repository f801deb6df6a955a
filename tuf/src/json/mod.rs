//! JSON as Go reads it: a document model that keeps the order of members and every repetition.
//!
//! Notary's clients read metadata with Go's JSON reader. Where it is more tolerant than the JSON standard, so
//! is this one, because a document must mean the same to the server as to the clients it is served to.

mod text;
mod value;

use thiserror::Error;

pub(crate) use value::{Json, Object};

/// Deepest nesting of arrays and objects that is read. Real metadata has six levels.
pub const MAX_DEPTH: usize = 1_000;

/// Why bytes are not a JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Not the grammar of JSON, or something follows the value.
    #[error("{0}")]
    Syntax(String),
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("arrays and objects are nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

/// Reads one JSON value with nothing but blanks around it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
    let text = text::normalize(bytes)?;
    let mut reader = serde_json::Deserializer::from_str(&text);
    // The depth is limited by `normalize`; the stack grows as needed below that.
    reader.disable_recursion_limit();
    let value = serde::Deserialize::deserialize(serde_stacker::Deserializer::new(&mut reader))
        .and_then(|value: Json| reader.end().map(|()| value));
    value.map_err(|e| JsonError::Syntax(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            &b""[..],
            b" ",
            b"{\"a\":1}x",
            b"{\"a\":1}{}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":01}",
            b"{\"a\":1E400}",
            b"[\"\\'\"]",
            b"[\"a\nb\"]",
            b"[\"\\ud83\"]",
            b"[\"\\u00zz\"]",
            b"{a:1}",
            b"[1,]",
            b"\xff",
            b"[\"a",
            b"[\"\\",
            b"nul",
        ] {
            assert!(
                matches!(parse(text), Err(JsonError::Syntax(_))),
                "{}",
                String::from_utf8_lossy(text)
            );
        }
    }
}
