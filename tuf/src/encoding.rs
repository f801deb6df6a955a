//! Base64 as Go reads and writes it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding is required; stray bits in the last character are ignored.
const READER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Reads standard, padded base64; line ends anywhere in the text are skipped. `None` if it is anything else.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    READER
        .decode(text)
        .or_else(|_| READER.decode(text.replace(['\r', '\n'], "")))
        .ok()
}

/// Whether [`decode_base64`] reads the text.
pub(crate) fn is_base64(text: &str) -> bool {
    // Enough for every hash.
    let mut decoded = [0; 96];
    match READER.decode_slice(text, &mut decoded) {
        Ok(_) => true,
        Err(_) => decode_base64(text).is_some(),
    }
}

/// Writes standard, padded base64.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    READER.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_inside_are_skipped() {
        assert_eq!(decode_base64("aGVs\r\nbG8\n=").as_deref(), Some(&b"hello"[..]));
        assert!(is_base64("aGVs\r\nbG8\n=") && is_base64(&"aGVs".repeat(100)));
    }

    #[test]
    fn missing_padding_and_the_url_alphabet_are_refused() {
        for text in ["aGVsbG8", "-_-_", "aGVs bG8=", "aGVsbG8=x", "="] {
            assert_eq!(decode_base64(text), None, "{text}");
            assert!(!is_base64(text), "{text}");
        }
    }

    #[test]
    fn stray_trailing_bits_are_ignored() {
        assert_eq!(decode_base64("aGVsbG9="), decode_base64("aGVsbG8="));
    }
}
