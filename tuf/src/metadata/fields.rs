//! Reads known fields of a JSON object. A field that is missing or `null` has its zero value, as in Go.

use super::MetadataError;
use crate::encoding::decode_base64;
use crate::json::{Json, Object};

/// An object and where it stands in the document, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    object: &'a Object,
    path: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of a value that must be an object; `path` is where it stands.
    pub(crate) fn of(value: &'a Json, path: &'static str) -> Result<Self, MetadataError> {
        match value {
            Json::Object(object) => Ok(Self { object, path }),
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
            Some(Json::String(text)) => Ok(text),
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }

    /// An integer written without fraction or exponent, or 0.
    pub(crate) fn integer(&self, name: &str) -> Result<i64, MetadataError> {
        match self.object.field(name) {
            None => Ok(0),
            Some(Json::Integer(number)) => Ok(*number),
            Some(_) => Err(self.wrong(name, "a 64-bit integer")),
        }
    }

    /// A truth value, or false.
    pub(crate) fn boolean(&self, name: &str) -> Result<bool, MetadataError> {
        match self.object.field(name) {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(*value),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// Bytes in base64, or none.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, MetadataError> {
        match self.object.field(name) {
            None => Ok(Vec::new()),
            Some(Json::String(text)) => decode_base64(text).ok_or_else(|| self.wrong(name, "base64")),
            Some(_) => Err(self.wrong(name, "base64")),
        }
    }

    /// The elements of a list, or none.
    pub(crate) fn list(&self, name: &str) -> Result<&'a [Json], MetadataError> {
        match self.object.field(name) {
            None => Ok(&[]),
            Some(Json::Array(elements)) => Ok(elements),
            Some(_) => Err(self.wrong(name, "a list")),
        }
    }

    /// A list of texts, or none.
    pub(crate) fn strings(&self, name: &str) -> Result<Vec<&'a str>, MetadataError> {
        let text = |element: &'a Json| match element {
            Json::String(text) => Ok(text.as_str()),
            Json::Null => Ok(""),
            _ => Err(self.wrong(name, "a list of strings")),
        };
        self.list(name)?.iter().map(text).collect()
    }

    /// The fields of an object, if there is one; `path` is where it stands.
    pub(crate) fn object(&self, name: &str, path: &'static str) -> Result<Option<Self>, MetadataError> {
        self.object
            .field(name)
            .map(|value| Self::of(value, path))
            .transpose()
    }

    /// The members of an object used as a map, the last of each name.
    pub(crate) fn members(&self, name: &str) -> Result<Vec<(&'a str, &'a Json)>, MetadataError> {
        match self.object.field(name) {
            None => Ok(Vec::new()),
            Some(Json::Object(object)) => Ok(object.sorted()),
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    /// The same, without the members that are `null`.
    pub(crate) fn map(&self, name: &str) -> Result<Vec<(&'a str, &'a Json)>, MetadataError> {
        let mut members = self.members(name)?;
        members.retain(|(_, value)| **value != Json::Null);
        Ok(members)
    }

    /// The value as it stands, if there is one.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a Json> {
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
