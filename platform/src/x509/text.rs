//! The text of a certificate's names, read strictly: nothing is cut off, guessed or replaced.

use x509_parser::asn1_rs::{Any, Tag};

/// A value of a certificate, or why it cannot be used as a name.
pub type Fact = Result<String, Unclear>;

/// Why a value cannot be used as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It holds a character that cuts, hides or moves text where it is shown.
    #[error("contains control characters")]
    Control,
    /// It is not text of the type that it claims.
    #[error("is not readable text")]
    Encoding,
    /// It is not an IP address.
    #[error("is not an IP address")]
    Address,
}

/// A text without control characters.
pub fn clear(text: String) -> Fact {
    if text.chars().any(char::is_control) {
        Err(Unclear::Control)
    } else {
        Ok(text)
    }
}

/// A text of ASCII characters, as alternative names are (IA5String).
pub fn ascii(text: &str) -> Fact {
    if text.is_ascii() {
        clear(text.to_owned())
    } else {
        Err(Unclear::Encoding)
    }
}

/// The text of an ASN.1 string. Of the types for alphabets that nobody agrees on (T61) only ASCII is read.
pub fn string(value: &Any<'_>) -> Fact {
    let bytes = value.data;
    let text = match value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString | Tag::T61String => {
            bytes
                .is_ascii()
                .then(|| bytes.iter().copied().map(char::from).collect())
        }
        Tag::BmpString => two_bytes_each(bytes),
        Tag::UniversalString => four_bytes_each(bytes),
        _ => None,
    };
    text.map_or(Err(Unclear::Encoding), clear)
}

/// UCS-2, big endian: surrogates are no characters.
fn two_bytes_each(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks();
    let characters = units
        .iter()
        .map(|unit| char::from_u32(u16::from_be_bytes(*unit).into()));
    rest.is_empty().then_some(())?;
    characters.collect()
}

fn four_bytes_each(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks();
    let characters = units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
    rest.is_empty().then_some(())?;
    characters.collect()
}

/// `#` and the DER of a value in hexadecimal digits (RFC 4514 section 2.4).
pub fn hexadecimal(der: &[u8]) -> String {
    format!("#{}", hex::encode(der))
}

/// The DER of a value. A value inside of a certificate has a definite length and a small tag.
pub fn der(value: &Any<'_>) -> Vec<u8> {
    let length = value.data.len();
    let tag = u8::try_from(value.tag().0).unwrap_or(0);
    let mut der = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            der.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
            der.extend(bytes);
        }
    }
    der.extend_from_slice(value.data);
    der
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::asn1_rs::FromDer;

    fn read(der: &[u8]) -> Fact {
        let (_, value) = Any::from_der(der).unwrap();
        assert_eq!(super::der(&value), der);
        string(&value)
    }

    #[test]
    fn every_type_of_string_is_read_or_refused() {
        assert_eq!(read(b"\x0c\x03a\xc3\xa9").unwrap(), "aé");
        assert_eq!(read(b"\x0c\x02a\xe9"), Err(Unclear::Encoding));
        assert_eq!(read(b"\x13\x03a*b").unwrap(), "a*b");
        assert_eq!(read(b"\x13\x02a\xe9"), Err(Unclear::Encoding));
        assert_eq!(read(b"\x14\x02a\xe9"), Err(Unclear::Encoding));
        assert_eq!(read(b"\x1e\x04\x00a\x20\xac").unwrap(), "a€");
        assert_eq!(read(b"\x1e\x03\x00ab"), Err(Unclear::Encoding));
        assert_eq!(read(b"\x1e\x04\xd8\x3d\xde\x00"), Err(Unclear::Encoding));
        assert_eq!(read(b"\x1c\x04\x00\x01\xf6\x00").unwrap(), "😀");
        assert_eq!(read(b"\x1c\x04\x00\x11\x00\x00"), Err(Unclear::Encoding));
        assert_eq!(read(b"\x04\x01a"), Err(Unclear::Encoding));
    }

    #[test]
    fn a_name_with_nul_is_refused_and_not_cut() {
        assert_eq!(read(b"\x0c\x05bob\x00x"), Err(Unclear::Control));
        assert_eq!(read(b"\x1e\x04\x00b\x00\x00"), Err(Unclear::Control));
        assert_eq!(ascii("bob\n"), Err(Unclear::Control));
        assert_eq!(ascii("bobé"), Err(Unclear::Encoding));
    }
}
