//! Distinguished names as text, most specific part first (RFC 4514, RFC 2253).

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

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
pub(super) struct Written {
    /// One line without control characters, for people.
    pub(super) shown: String,
    /// Why no rule may look at it, if a part of it is not clear.
    pub(super) unclear: Option<Unclear>,
}

/// Writes a name. What is special in RFC 4514 is written as `\` and two hexadecimal digits, so that a comma or plus
/// sign always separates: no value can look like several.
pub(super) fn write(name: &X509Name<'_>) -> Written {
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
    use super::*;

    #[test]
    fn what_separates_is_never_left_in_a_value() {
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
