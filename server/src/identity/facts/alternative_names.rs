//! The alternative names of a certificate (RFC 5280 section 4.2.1.6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::{
    asn1_rs::{Any, Class, FromDer},
    extensions::{GeneralName, SubjectAlternativeName},
};

use platform::x509::text::{self, Fact, Unclear};

use super::field::Field;

/// The OID of other names that hold a Windows user principal name.
const UPN: &str = "1.3.6.1.4.1.311.20.2.3";

/// The alternative names of the kinds that rules can use.
pub(super) fn read(names: &SubjectAlternativeName<'_>) -> Vec<(Field, Fact)> {
    names.general_names.iter().filter_map(one).collect()
}

fn one(name: &GeneralName<'_>) -> Option<(Field, Fact)> {
    match name {
        GeneralName::RFC822Name(value) => Some((Field::Email, text::ascii(value))),
        GeneralName::DNSName(value) => Some((Field::Dns, text::ascii(value))),
        GeneralName::URI(value) => Some((Field::Uri, text::ascii(value))),
        GeneralName::IPAddress(bytes) => Some((Field::Ip, address(bytes))),
        GeneralName::OtherName(kind, value) if kind.to_id_string() == UPN => {
            Some((Field::Upn, principal_name(value)))
        }
        // The tag says which kind of name was intended.
        GeneralName::Invalid(tag, _) => {
            let field = match tag.0 {
                1 => Field::Email,
                2 => Field::Dns,
                6 => Field::Uri,
                _ => return None,
            };
            Some((field, Err(Unclear::Encoding)))
        }
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Fact {
    let four = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::from(Ipv4Addr::from(bytes)));
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(|b| Ipv6Addr::from(b).into()));
    address
        .map(|address| address.to_string())
        .map_err(|_| Unclear::Address)
}

/// `[0] EXPLICIT UTF8String`, as Windows writes it.
fn principal_name(value: &[u8]) -> Fact {
    let parse_fully = |bytes| {
        Any::from_der(bytes)
            .ok()
            .filter(|(rest, _): &(&[u8], _)| rest.is_empty())
    };
    let (_, outer) = parse_fully(value).ok_or(Unclear::Encoding)?;
    if outer.class() != Class::ContextSpecific || outer.tag().0 != 0 {
        return Err(Unclear::Encoding);
    }
    let (_, inner) = parse_fully(outer.data).ok_or(Unclear::Encoding)?;
    text::string(&inner)
}
