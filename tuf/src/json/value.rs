//! The JSON value.

use std::{collections::BTreeMap, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{JsonError, MAX_NUMBER};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// Of at most [`MAX_NUMBER`].
    Number(i64),
    String(Text),
    Array(Vec<Json>),
    Object(Object),
}

/// A text, and whether it was written with escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// To most readers it makes no difference; Go reads times without undoing escapes.
    pub(crate) escaped: bool,
}

/// The members of an object, in the order of the bytes of their names, which is that of the canonical form.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object(pub(crate) BTreeMap<String, Json>);

impl Object {
    /// The member of this name. A `null` counts as absent, as it does for Go.
    pub(crate) fn field(&self, name: &str) -> Option<&Json> {
        self.0.get(name).filter(|value| **value != Json::Null)
    }

    /// Like [`field`](Self::field), taking the value out; `null` if there is none.
    pub(crate) fn into_field(mut self, name: &str) -> Json {
        self.0.remove(name).unwrap_or(Json::Null)
    }
}

impl Json {
    fn number(number: i64) -> Option<Self> {
        (-MAX_NUMBER..=MAX_NUMBER)
            .contains(&number)
            .then_some(Self::Number(number))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

fn not_an_integer<E: Error>(number: impl fmt::Display) -> E {
    E::custom(JsonError::Number(number.to_string()))
}

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

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Json::number(value).ok_or_else(|| not_an_integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        let number = i64::try_from(value).ok().and_then(Json::number);
        number.ok_or_else(|| not_an_integer(value))
    }

    /// Every number with a fraction or an exponent comes here, and so does `-0`.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Err(not_an_integer(format_args!("{value:?}")))
    }

    /// The JSON reader lends a string from the text only if it was written without escapes.
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json, E> {
        Ok(Json::String(Text {
            text: value.to_owned(),
            escaped: false,
        }))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(Text {
            text: value.to_owned(),
            escaped: true,
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = BTreeMap::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "the member {name:?} is there twice, and readers differ in which of them counts"
                )));
            }
            object.insert(name, members.next_value()?);
        }
        Ok(Json::Object(Object(object)))
    }
}

impl TryFrom<&serde_json::Value> for Json {
    type Error = JsonError;

    fn try_from(value: &serde_json::Value) -> Result<Self, JsonError> {
        use serde_json::Value;
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(n) => n
                .as_i64()
                .and_then(Self::number)
                .ok_or_else(|| JsonError::Number(n.to_string()))?,
            Value::String(s) => Self::String(Text {
                text: s.clone(),
                escaped: false,
            }),
            Value::Array(elements) => {
                Self::Array(elements.iter().map(Self::try_from).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::try_from(value)?)));
                Self::Object(Object(members.collect::<Result<_, JsonError>>()?))
            }
        })
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
    fn a_field_is_the_member_of_exactly_that_name() {
        let o = object(r#"{"VERSION":2,"version":1,"Version":3,"version ":4}"#);
        assert_eq!(o.field("version"), Some(&Json::Number(1)));
        assert_eq!(o.field("expires"), None);
    }

    #[test]
    fn null_counts_as_absent() {
        assert_eq!(object(r#"{"version":null}"#).field("version"), None);
    }

    #[test]
    fn members_are_in_the_order_of_the_bytes_of_their_names() {
        let o = object("{\"b\":1,\"\u{10000}\":4,\"\u{fb2e}\":3,\"a\":2}");
        let names: Vec<&str> = o.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "b", "\u{fb2e}", "\u{10000}"]);
    }

    #[test]
    fn a_text_knows_whether_it_was_written_with_escapes() {
        let o = object(r#"{"a":"é/","b":"\u00e9/"}"#);
        let texts = ["a", "b"].map(|name| o.field(name));
        let expected = |escaped| {
            Json::String(Text {
                text: "é/".to_owned(),
                escaped,
            })
        };
        assert_eq!(texts, [Some(&expected(false)), Some(&expected(true))]);
    }
}
