//! Predefined rules for what most installations need.

use crate::identity::facts::Field;

/// The defaults of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preset {
    /// The common name.
    CommonName,
    /// The SPIFFE ID, a URI (SPIFFE X509-SVID section 2).
    Spiffe,
    /// The common name is the user, the organisations are the groups.
    Kubernetes,
    /// The account to which the key is registered.
    RegisteredKey,
    /// The mail address among the alternative names.
    Email,
}

pub(super) const PRESETS: [(&str, Preset); 5] = [
    ("cn", Preset::CommonName),
    ("spiffe", Preset::Spiffe),
    ("kubernetes", Preset::Kubernetes),
    ("registered-key", Preset::RegisteredKey),
    ("email", Preset::Email),
];

/// A trust domain and a path of plain segments (SPIFFE-ID section 2).
const SPIFFE_ID: &str =
    r"spiffe://[a-z0-9._-]+(/(\.{0,2}[A-Za-z0-9_-][A-Za-z0-9._-]*|\.{3}[A-Za-z0-9._-]*))*";

impl Preset {
    /// The field that must have exactly one value, and its pattern.
    pub(super) fn pattern(self) -> Option<(Field, &'static str)> {
        match self {
            Self::CommonName | Self::Kubernetes => Some((Field::CommonName, ".*")),
            Self::Spiffe => Some((Field::Uri, SPIFFE_ID)),
            Self::Email => Some((Field::Email, ".+@.+")),
            Self::RegisteredKey => None,
        }
    }

    /// The template of the name.
    pub(super) fn principal(self) -> Option<&'static str> {
        match self {
            Self::CommonName | Self::Kubernetes => Some("${cn}"),
            Self::Spiffe => Some("${uri_san}"),
            Self::Email => Some("${email_san}"),
            Self::RegisteredKey => None,
        }
    }

    /// The field whose values are groups.
    pub(super) fn groups_from(self) -> Option<Field> {
        (self == Self::Kubernetes).then_some(Field::Organisation)
    }
}
