//! The fields of a certificate that rules may use.

use std::fmt;

/// A field of a certificate. Each has any number of values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// `cn`: the common name.
    CommonName,
    /// `subject`: the full subject (RFC 4514).
    Subject,
    /// `o`: organisations.
    Organisation,
    /// `ou`: organisational units.
    Unit,
    /// `dc`: domain components.
    DomainComponent,
    /// `uid`: user identifiers.
    UserId,
    /// `dns_san`: DNS names.
    Dns,
    /// `uri_san`: URIs.
    Uri,
    /// `email_san`: mail addresses among the alternative names.
    Email,
    /// `ip_san`: IP addresses.
    Ip,
    /// `upn`: Windows user principal names.
    Upn,
    /// `serial`: the serial number in upper-case hexadecimal digits.
    Serial,
    /// `issuer`: the issuer's full name (RFC 4514).
    Issuer,
    /// `spki_sha256`: the SHA-256 of the public key (SubjectPublicKeyInfo) in lower-case hexadecimal digits.
    KeyHash,
    /// `cert_sha256`: the SHA-256 of the certificate in lower-case hexadecimal digits.
    CertificateHash,
    /// `policy_oid`: certificate policies.
    Policy,
    /// `ext:<oid>`: any extension. A value that is a single ASN.1 string is given as its text (a leading `#` or `\` is
    /// written as `\#` or `\\`), any other as `#` and its bytes in hexadecimal digits.
    Extension(String),
}

/// The names of fields in configurations.
const NAMES: [(&str, Field); 16] = [
    ("cn", Field::CommonName),
    ("subject", Field::Subject),
    ("o", Field::Organisation),
    ("ou", Field::Unit),
    ("dc", Field::DomainComponent),
    ("uid", Field::UserId),
    ("dns_san", Field::Dns),
    ("uri_san", Field::Uri),
    ("email_san", Field::Email),
    ("ip_san", Field::Ip),
    ("upn", Field::Upn),
    ("serial", Field::Serial),
    ("issuer", Field::Issuer),
    ("spki_sha256", Field::KeyHash),
    ("cert_sha256", Field::CertificateHash),
    ("policy_oid", Field::Policy),
];

impl Field {
    /// Reads the name of a field; letter case is ignored.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        if let Some(oid) = name.strip_prefix("ext:") {
            return is_oid(oid).then(|| Self::Extension(oid.to_owned()));
        }
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, field)| field.clone())
    }

    /// The names of all fields, to be listed in an error message.
    pub fn names() -> Vec<&'static str> {
        let mut names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        names.push("ext:<oid>");
        names
    }
}

/// Whether this is an object identifier in dotted decimal form.
pub fn is_oid(text: &str) -> bool {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    text.contains('.') && text.split('.').all(number)
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Extension(oid) = self {
            return write!(formatter, "ext:{oid}");
        }
        let name = NAMES.iter().find(|(_, field)| field == self);
        formatter.write_str(name.map_or("", |(name, _)| *name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_any_case_and_printed_as_documented() {
        for name in Field::names().into_iter().filter(|name| !name.contains('<')) {
            assert_eq!(Field::parse(&name.to_uppercase()).unwrap().to_string(), name);
        }
        assert_eq!(Field::parse("ext:1.2.3").unwrap().to_string(), "ext:1.2.3");
        for wrong in [
            "",
            "common_name",
            "ext:",
            "ext:1",
            "ext:1..2",
            "ext:1.02",
            "ext:a.b",
        ] {
            assert_eq!(Field::parse(wrong), None, "{wrong}");
        }
    }
}
