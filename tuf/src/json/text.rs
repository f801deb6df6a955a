//! Limits the nesting of a text before it is parsed.

use super::{JsonError, MAX_DEPTH};

/// Walks over the text once. Other mistakes in it are refused by the JSON reader.
pub(super) fn check_depth(text: &str) -> Result<(), JsonError> {
    let mut bytes = text.bytes();
    let (mut depth, mut in_string) = (0_usize, false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            // The character after a backslash, such as a quote, does not count.
            b'\\' if in_string => drop(bytes.next()),
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
    Ok(())
}
