//! Makes a text out of bytes that Go accepts as JSON: strict UTF-8, no lone surrogates, bounded depth.

use std::borrow::Cow;

use super::{JsonError, MAX_DEPTH};

/// The escape that stands for U+FFFD.
const REPLACEMENT: &str = "\\ufffd";

/// Replaces every byte that is not UTF-8 and every escaped lone surrogate by U+FFFD, and measures the depth.
///
/// What is wrong in other ways passes unchanged, for the JSON reader to refuse.
pub(super) fn normalize(bytes: &[u8]) -> Result<Cow<'_, str>, JsonError> {
    let text = valid_utf8(bytes);
    let lone_surrogates = scan(&text)?;
    if lone_surrogates.is_empty() {
        return Ok(text);
    }
    let mut replaced = String::with_capacity(text.len());
    let mut done = 0;
    for at in lone_surrogates {
        replaced.push_str(text.get(done..at).unwrap_or_default());
        replaced.push_str(REPLACEMENT);
        done = at + REPLACEMENT.len();
    }
    replaced.push_str(text.get(done..).unwrap_or_default());
    Ok(Cow::Owned(replaced))
}

/// One U+FFFD for each byte that is not part of a character, as Go counts them.
fn valid_utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

/// Walks over the text once: where escapes of lone surrogates start, or that the nesting is too deep.
fn scan(text: &str) -> Result<Vec<usize>, JsonError> {
    let bytes = text.as_bytes();
    let mut lone = Vec::new();
    let (mut at, mut depth, mut in_string) = (0, 0_usize, false);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                let escape = bytes.get(at - 1..).unwrap_or_default();
                at += match (surrogate(escape), surrogate(escape.get(6..).unwrap_or_default())) {
                    (Some(Half::High), Some(Half::Low)) => 11,
                    (Some(_), _) => {
                        lone.push(at - 1);
                        5
                    }
                    (None, _) => 1,
                };
            }
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(JsonError::TooDeep);
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(lone)
}

enum Half {
    High,
    Low,
}

/// Which half of a surrogate pair the text starts with an escape of, if any.
fn surrogate(text: &[u8]) -> Option<Half> {
    let digits = text.get(..6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    match unit {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(bytes: &[u8]) -> String {
        normalize(bytes).unwrap().into_owned()
    }

    #[test]
    fn clean_text_is_borrowed() {
        assert!(matches!(
            normalize("{\"é\":\"\\ud83d\\ude00\"}".as_bytes()),
            Ok(Cow::Borrowed(_))
        ));
    }

    #[test]
    fn every_byte_that_is_not_utf8_becomes_one_replacement() {
        assert_eq!(normal(b"\"\xe2\x82\""), "\"\u{fffd}\u{fffd}\"");
        assert_eq!(normal(b"\"\xff\xc3\xa9\""), "\"\u{fffd}\u{e9}\"");
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_kept() {
        assert_eq!(normal(br#""\ud83d""#), r#""\ufffd""#);
        assert_eq!(
            normal(br#""\uDE00x\uD83D\uD83D\uDE00""#),
            r#""\ufffdx\ufffd\uD83D\uDE00""#
        );
        assert_eq!(normal(br#""\ud83d\n""#), r#""\ufffd\n""#);
    }

    #[test]
    fn an_escaped_backslash_before_u_is_not_an_escape() {
        assert_eq!(normal(br#""\\ud83d""#), r#""\\ud83d""#);
    }
}
