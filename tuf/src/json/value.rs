//! The JSON value: members in the order of the text, repetitions included.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// A number that fits 64 bits, as written.
    Integer(i64),
    /// Any other number: with fraction or exponent, `-0`, or beyond 64 bits.
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(Object),
}

/// The members of an object as they stand in the text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object(pub(crate) Vec<(String, Json)>);

impl Object {
    /// The members sorted by the bytes of their names; of members with the same name only the last.
    pub(crate) fn sorted(&self) -> Vec<(&str, &Json)> {
        let mut members: Vec<(&str, &Json)> = self.0.iter().map(|(k, v)| (k.as_str(), v)).collect();
        // The sort is stable: among equals the order of the text survives, reversed so that `dedup` keeps the
        // last one.
        members.reverse();
        members.sort_by_key(|(name, _)| *name);
        members.dedup_by_key(|(name, _)| *name);
        members
    }

    /// The value Go's reader puts into a field of this name: the last member whose name is equal up to case.
    /// A `null` counts as absent.
    pub(crate) fn field(&self, name: &str) -> Option<&Json> {
        let (_, value) = self.0.iter().rfind(|(k, _)| folds_to(k, name))?;
        (*value != Json::Null).then_some(value)
    }

    /// Like [`field`](Self::field), taking the value out; `null` if there is none.
    pub(crate) fn into_field(self, name: &str) -> Json {
        let last = self.0.into_iter().rfind(|(k, _)| folds_to(k, name));
        last.map_or(Json::Null, |(_, value)| value)
    }
}

/// Whether Go takes `text` for the field `name`, which is lower case ASCII: besides upper case, the long s and
/// the Kelvin sign fold to `s` and `k`.
fn folds_to(text: &str, name: &str) -> bool {
    if text.is_ascii() {
        return text.eq_ignore_ascii_case(name);
    }
    let fold = |c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    text.chars().map(fold).eq(name.chars())
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        // Beyond 64 signed bits only the double survives in the canonical form anyway.
        Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(Object(object)))
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => match n.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(s) => Self::String(s.clone()),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            Value::Object(members) => Self::Object(Object(
                members.iter().map(|(k, v)| (k.clone(), Self::from(v))).collect(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn object(text: &str) -> Object {
        match parse(text.as_bytes()).unwrap() {
            Json::Object(object) => object,
            other => panic!("{other:?} is not an object"),
        }
    }

    #[test]
    fn a_field_is_the_last_member_of_that_name_in_any_case() {
        let o = object(r#"{"version":1,"VERSION":2,"Version":3,"version ":4}"#);
        assert_eq!(o.field("version"), Some(&Json::Integer(3)));
        assert_eq!(
            object("{\"ver\u{17f}ion\":7}").field("version"),
            Some(&Json::Integer(7))
        );
        assert_eq!(
            object("{\"\u{212a}eyid\":7}").field("keyid"),
            Some(&Json::Integer(7))
        );
        assert_eq!(o.field("expires"), None);
    }

    #[test]
    fn null_counts_as_absent() {
        assert_eq!(object(r#"{"version":null}"#).field("version"), None);
    }

    #[test]
    fn sorting_is_by_bytes_and_keeps_the_last_of_equals() {
        let o = object("{\"b\":1,\"a\":2,\"\u{fb2e}\":3,\"\u{10000}\":4,\"a\":5}");
        let names: Vec<_> = o.sorted().into_iter().collect();
        let expected = [("a", 5), ("b", 1), ("\u{fb2e}", 3), ("\u{10000}", 4)];
        assert_eq!(names.len(), expected.len());
        for ((name, value), (want, number)) in names.into_iter().zip(expected) {
            assert_eq!((name, value), (want, &Json::Integer(number)));
        }
    }
}
