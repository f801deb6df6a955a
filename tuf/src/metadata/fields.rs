//! Reads known fields of a JSON object. A field that is missing or `null` has its zero value, as in Go.
//!
//! Go matches the names of fields without regard to case, other readers exactly. An object is therefore refused if it
//! has a member whose name differs from that of a field only in case.

use std::collections::BTreeMap;

use super::MetadataError;
use crate::encoding::decode_base64;
use crate::json::{Json, Object};

/// Every field of every object in metadata, sorted. There is one list for all objects: a name that is a field in one of
/// them has no legitimate use in another case elsewhere.
const KNOWN: [&str; 25] = [
    "_type",
    "consistent_snapshot",
    "custom",
    "delegations",
    "expires",
    "hashes",
    "keyid",
    "keyids",
    "keys",
    "keytype",
    "keyval",
    "length",
    "meta",
    "method",
    "name",
    "paths",
    "private",
    "public",
    "roles",
    "sig",
    "signatures",
    "signed",
    "targets",
    "threshold",
    "version",
];

/// An object and where it stands in the document, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    object: Object<'a>,
    path: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of a value that must be an object; `path` is where it stands.
    pub(crate) fn of(value: Json<'a>, path: &'static str) -> Result<Self, MetadataError> {
        match value {
            Json::Object(object) => {
                check_names(&object, path)?;
                Ok(Self { object, path })
            }
            _ => Err(MetadataError::Field {
                field: path.to_owned(),
                expected: "an object",
            }),
        }
    }

    /// A text, or the empty one.
    pub(crate) fn string(&self, name: &str) -> Result<&'a str, MetadataError> {
        match self.object.field(name) {
            None => Ok(""),
            Some(Json::String(string)) => Ok(string.text),
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }

    /// A text that is written without escapes, which clients do not undo here, or the empty one.
    pub(crate) fn plain_string(&self, name: &str) -> Result<&'a str, MetadataError> {
        match self.object.field(name) {
            Some(Json::String(string)) if string.escaped => Err(self.wrong(name, "a string without escapes")),
            _ => self.string(name),
        }
    }

    /// An integer, or 0.
    pub(crate) fn integer(&self, name: &str) -> Result<i64, MetadataError> {
        match self.object.field(name) {
            None => Ok(0),
            Some(Json::Number(number)) => Ok(number),
            Some(_) => Err(self.wrong(name, "an integer")),
        }
    }

    /// A truth value, or false.
    pub(crate) fn boolean(&self, name: &str) -> Result<bool, MetadataError> {
        match self.object.field(name) {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(value),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// Bytes in base64, or none.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, MetadataError> {
        match self.object.field(name) {
            None => Ok(Vec::new()),
            Some(Json::String(string)) => {
                decode_base64(string.text).ok_or_else(|| self.wrong(name, "base64"))
            }
            Some(_) => Err(self.wrong(name, "base64")),
        }
    }

    /// The elements of a list, or none.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<Json<'a>>, MetadataError> {
        match self.object.field(name) {
            None => Ok(Vec::new()),
            Some(Json::Array(elements)) => Ok(elements.iter().collect()),
            Some(_) => Err(self.wrong(name, "a list")),
        }
    }

    /// A list of texts, or none.
    pub(crate) fn strings(&self, name: &str) -> Result<Vec<&'a str>, MetadataError> {
        let text = |element: Json<'a>| match element {
            Json::String(string) => Ok(string.text),
            _ => Err(self.wrong(name, "a list of strings")),
        };
        self.list(name)?.into_iter().map(text).collect()
    }

    /// The fields of an object, if there is one; `path` is where it stands.
    pub(crate) fn object(&self, name: &str, path: &'static str) -> Result<Option<Self>, MetadataError> {
        self.object
            .field(name)
            .map(|value| Self::of(value, path))
            .transpose()
    }

    /// The members of an object used as a map. A `null` among them is refused, because some readers count it as an
    /// entry and others do not.
    pub(crate) fn map(&self, name: &str) -> Result<Vec<(&'a str, Json<'a>)>, MetadataError> {
        match self.object.field(name) {
            None => Ok(Vec::new()),
            Some(Json::Object(object)) => {
                let null = || self.wrong(name, "a map without null");
                let members = object.iter().map(|(name, value)| match value {
                    Json::Null => Err(null()),
                    value => Ok((name, value)),
                });
                members.collect()
            }
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    /// The value as it stands, if there is one.
    pub(crate) fn raw(&self, name: &str) -> Option<Json<'a>> {
        self.object.field(name)
    }

    /// The error of a field with a value of another kind.
    pub(crate) fn wrong(&self, name: &str, expected: &'static str) -> MetadataError {
        MetadataError::Field {
            field: format!("{}.{name}", self.path),
            expected,
        }
    }
}

/// Checks that no member's name differs only in case from that of a known field or of another member.
fn check_names(object: &Object<'_>, path: &'static str) -> Result<(), MetadataError> {
    let known = |name: &str| KNOWN.binary_search(&name).is_ok();
    if object.names().all(known) {
        return Ok(());
    }
    let mut seen = BTreeMap::new();
    for member in object.names() {
        let folded = fold(member);
        let taken_for = match seen.insert(folded.clone(), member) {
            Some(other) => Some(str::to_owned(other)),
            None => (folded != member && known(&folded)).then_some(folded),
        };
        if let Some(known) = taken_for {
            return Err(MetadataError::Lookalike {
                object: path,
                member: member.to_owned(),
                known,
            });
        }
    }
    Ok(())
}

/// The name as Go's reader compares it: in lower case, where the long s and the Kelvin sign count as `s` and `k`.
fn fold(name: &str) -> String {
    let fold = |c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_names_are_sorted_and_folded() {
        assert!(KNOWN.is_sorted());
        assert!(KNOWN.iter().all(|name| fold(name) == *name));
    }
}
