//! Distinguished names as text, most specific part first (RFC 4514, RFC 2253).

use openssl::x509::X509NameRef;
use x509_parser::{
    asn1_rs::{Any, FromDer},
    x509::{AttributeTypeAndValue, X509Name},
};

use super::text::{self, Unclear};

/// Attribute types with a short name: those of RFC 4514 section 3, and others as OpenSSL writes them.
const SHORT_NAMES: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// A name as text.
pub struct Written {
    /// One line without control characters, for people.
    pub shown: String,
    /// Why identity rules must not use it, if a part of it is ambiguous.
    pub unclear: Option<Unclear>,
}

/// Writes a name. What is special in RFC 4514 is written as `\` and two hexadecimal digits, so that a comma or plus
/// sign always separates: no value can look like several.
pub fn write_name(name: &X509Name<'_>) -> Written {
    let mut unclear = None;
    let parts: Vec<String> = name
        .iter_rdn()
        .map(|part| {
            let attributes: Vec<String> = part
                .iter()
                .map(|attribute| write_attribute(attribute, &mut unclear))
                .collect();
            attributes.join("+")
        })
        .collect();
    let parts: Vec<&str> = parts.iter().rev().map(String::as_str).collect();
    Written {
        shown: parts.join(","),
        unclear,
    }
}

fn write_attribute(attribute: &AttributeTypeAndValue<'_>, unclear: &mut Option<Unclear>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT_NAMES.iter().find(|(known, _)| *known == oid);
    let raw = || text::hexadecimal(&text::der(attribute.attr_value()));
    match (short, text::string(attribute.attr_value())) {
        (Some((_, name)), Ok(value)) => format!("{name}={}", escape(&value)),
        (Some((_, name)), Err(reason)) => {
            *unclear = Some(reason);
            format!("{name}={}", raw())
        }
        (None, _) => format!("{oid}={}", raw()),
    }
}

/// A name as text, in the one form that answers, records, lists and logs use.
pub fn name_text(name: &X509NameRef) -> String {
    let der = name.to_der().unwrap_or_default();
    match X509Name::from_der(&der) {
        Ok((_, name)) => write_name(&name).shown,
        Err(_) => text::hexadecimal(&der),
    }
}

/// A name in the form that older versions wrote, without escapes. Stored entries of deny lists may have it.
pub fn older_name_text(name: &X509NameRef) -> String {
    let mut parts: Vec<String> = name
        .entries()
        .map(|entry| {
            let field = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().unwrap_or_default();
            format!("{field}={}", value.replace(|c: char| c.is_control(), "?"))
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// A name that a person wrote (RFC 4514 section 3), in the form of [`name_text`]. Escapes, blanks around separators and
/// the case of types do not matter. `None` if it is not such a name.
pub fn read_name(text: &str) -> Option<String> {
    let mut rest = text.trim_start_matches(' ');
    let mut written = String::new();
    loop {
        let (kind, after) = rest.split_once('=')?;
        let (value, after) = read_value(after.trim_start_matches(' '))?;
        written.push_str(&written_again(kind.trim_matches(' '), value)?);
        rest = after.trim_start_matches(' ');
        match rest.chars().next() {
            None => return Some(written),
            Some(separator @ (',' | '+')) => written.push(separator),
            Some(_) => return None,
        }
        rest = rest.get(1..)?.trim_start_matches(' ');
    }
}

enum Value {
    Text(String),
    /// `#` and hexadecimal digits.
    Der(Vec<u8>),
}

fn written_again(kind: &str, value: Value) -> Option<String> {
    let oid = kind.to_ascii_lowercase();
    let oid = oid.strip_prefix("oid.").unwrap_or(&oid);
    let short = SHORT_NAMES
        .iter()
        .find(|(known, name)| *known == oid || name.eq_ignore_ascii_case(kind));
    match (short, value) {
        (Some((_, name)), Value::Text(text)) => Some(format!("{name}={}", escape(&text))),
        (Some((_, name)), Value::Der(der)) => {
            let whole = Any::from_der(&der).ok().filter(|(rest, _)| rest.is_empty());
            let read = whole.and_then(|(_, value)| text::string(&value).ok());
            let value = read.map_or_else(|| text::hexadecimal(&der), |text| escape(&text));
            Some(format!("{name}={value}"))
        }
        (None, Value::Der(der)) if oid.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
            Some(format!("{oid}={}", text::hexadecimal(&der)))
        }
        // The text does not say which type of string it was.
        (None, _) => None,
    }
}

/// A value and what follows it, from the separator on.
fn read_value(text: &str) -> Option<(Value, &str)> {
    if let Some(digits) = text.strip_prefix('#') {
        let end = digits.find([',', '+']).unwrap_or(digits.len());
        let (digits, rest) = digits.split_at(end);
        return Some((Value::Der(hex::decode(digits.trim_end()).ok()?), rest));
    }
    let quoted = text.strip_prefix('"');
    let mut rest = quoted.unwrap_or(text);
    let (mut bytes, mut kept) = (Vec::new(), 0);
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..)?;
        match character {
            '"' if quoted.is_some() => {
                return Some((Value::Text(String::from_utf8(bytes).ok()?), after));
            }
            ',' | '+' if quoted.is_none() => break,
            '"' => return None,
            '\\' => {
                let (byte, after) = unescaped(after)?;
                bytes.extend(byte);
                kept = bytes.len();
                rest = after;
                continue;
            }
            _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        if character != ' ' {
            kept = bytes.len();
        }
        rest = after;
    }
    if quoted.is_some() {
        return None;
    }
    // Blanks at the end do not belong to the value, unless they are escaped.
    bytes.truncate(kept);
    Some((Value::Text(String::from_utf8(bytes).ok()?), rest))
}

/// What follows a backslash: two hexadecimal digits, or a special character.
fn unescaped(text: &str) -> Option<(Vec<u8>, &str)> {
    if let Some(byte) = text.get(..2).and_then(|digits| hex::decode(digits).ok()) {
        return Some((byte, text.get(2..)?));
    }
    let character = text.chars().next()?;
    let special = " \"#+,;<=>\\".contains(character);
    special.then(|| {
        (
            vec![u8::try_from(character).unwrap_or(b'?')],
            text.get(1..).unwrap_or_default(),
        )
    })
}

fn escape(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut escaped = String::new();
    for (place, character) in value.chars().enumerate() {
        let special = match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            '#' => place == 0,
            ' ' => place == 0 || place == last,
            _ => false,
        };
        if special {
            escaped.push_str(&format!("\\{:02X}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_read_however_it_is_escaped() {
        for (text, expected) in [
            ("CN=CA,O=Acme\\2C Inc.", Some("CN=CA,O=Acme\\2C Inc.")),
            ("CN=CA,O=Acme\\, Inc.", Some("CN=CA,O=Acme\\2C Inc.")),
            ("cn = CA , o = \"Acme, Inc.\"", Some("CN=CA,O=Acme\\2C Inc.")),
            ("CN=CA+OU=x,O=M\\C3\\BCller", Some("CN=CA+OU=x,O=Müller")),
            ("2.5.4.3=CA,OID.2.5.4.10=x", Some("CN=CA,O=x")),
            ("CN=#0c024341", Some("CN=CA")),
            ("CN=#0c0343410a", Some("CN=#0c0343410a")),
            ("1.2.3=#0C024341", Some("1.2.3=#0c024341")),
            ("CN=\\20x\\ ", Some("CN=\\20x\\20")),
            ("CN=a\\5C\\2COU=x", Some("CN=a\\5C\\2COU=x")),
            ("CN=", Some("CN=")),
            ("CN=CA,O=Acme, Inc.", None),
            ("CA", None),
            ("", None),
            ("CN=a\\", None),
            ("CN=a\\x", None),
            ("CN=\"a", None),
            ("CN=a\"b", None),
            ("1.2.3=text", None),
            ("unknown=text", None),
            ("CN=a;OU=b", Some("CN=a\\3BOU=b")),
        ] {
            assert_eq!(read_name(text).as_deref(), expected, "{text}");
            if let Some(written) = expected {
                assert_eq!(read_name(written).as_deref(), Some(written));
            }
        }
    }

    proptest! {
        /// A name that is copied from the program's output into a deny list is found there.
        #[test]
        fn every_name_that_is_written_is_read_as_itself(
            parts in proptest::collection::vec(
                (0..SHORT_NAMES.len(), prop_oneof!["[ -~]{0,12}", "\\PC{0,6}", "[\u{a0}\u{3000} ]{0,3}"], any::<bool>()),
                1..5,
            ),
        ) {
            let mut written = String::new();
            for (kind, value, same_part) in &parts {
                if !written.is_empty() {
                    written.push(if *same_part { '+' } else { ',' });
                }
                written.push_str(&format!("{}={}", SHORT_NAMES[*kind].1, escape(value)));
            }
            prop_assert_eq!(read_name(&written), Some(written));
        }
    }

    #[test]
    fn separators_are_always_escaped_in_a_value() {
        let cases = [
            ("Smith, John", "Smith\\2C John"),
            ("a+b=c", "a\\2Bb=c"),
            ("a\\,OU=x", "a\\5C\\2COU=x"),
            ("#1 #2", "\\231 #2"),
            (" x ", "\\20x\\20"),
            (" ", "\\20"),
            ("Müller", "Müller"),
        ];
        for (value, expected) in cases {
            assert_eq!(escape(value), expected);
        }
    }
}
