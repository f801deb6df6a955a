//! JSON that every reader reads alike: an object that repeats a member is refused.
//!
//! Some readers take the first of two members with the same name, some the last, and Go's take `Image` for `image`. Who
//! judges one of them while another one runs has judged nothing.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may be nested, as in the API server of Kubernetes.
const MAX_DEPTH: usize = 100;

/// When two names are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// When they are equal.
    Exact,
    /// When they differ in case only, as Go's readers compare them. Names are given in lower case then.
    AnyCase,
}

/// Reads one JSON value.
///
/// # Errors
/// When the text is not JSON, is nested too deep, or has an object that repeats a name.
pub fn parse(text: &[u8], names: Names) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict { names, depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// A name as it is compared without regard to case. Unicode has characters that only become ASCII letters by folding
/// (the long s, the Kelvin sign), and Go folds them.
fn folded(name: &str) -> String {
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

#[derive(Clone, Copy)]
struct Strict {
    names: Names,
    depth: usize,
}

impl Strict {
    fn inside<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("it is nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(inside)? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<Name<'_>>()? {
            let name = match self.names {
                Names::Exact => name.0.into_owned(),
                Names::AnyCase => folded(&name.0),
            };
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("the member {name:?} is there twice")));
            }
            let value = members.next_value_seed(inside)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Cow::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_every_reader_reads_alike_is_read() {
        let text = br#"{"a":[1,-2,1.5,true,null,"x"],"A":{"b":{}}}"#;
        let expected = json!({"a": [1, -2, 1.5, true, null, "x"], "A": {"b": {}}});
        assert_eq!(parse(text, Names::Exact).unwrap(), expected);
    }

    #[test]
    fn a_repeated_member_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let refusal = parse(text.as_bytes(), Names::Exact).unwrap_err().to_string();
            assert!(refusal.contains("twice"), "{refusal}");
        }
    }

    #[test]
    fn names_that_go_takes_for_the_same_are_the_same() {
        for text in [
            "{\"Image\":1,\"image\":2}",
            "{\"HostConfig\":1,\"ho\u{17f}tconfig\":2}",
            "{\"networK\":1,\"networ\u{212a}\":2}",
        ] {
            assert!(parse(text.as_bytes(), Names::AnyCase).is_err(), "{text}");
            assert!(parse(text.as_bytes(), Names::Exact).is_ok(), "{text}");
        }
        let read = parse("{\"Ho\u{17f}tConfig\":{\"Mounts\":1}}".as_bytes(), Names::AnyCase).unwrap();
        assert_eq!(read, json!({"hostconfig": {"mounts": 1}}));
    }

    #[test]
    fn text_after_the_value_and_too_deep_values_are_refused() {
        assert!(parse(b"{} {}", Names::Exact).is_err());
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        assert!(parse(deep.as_bytes(), Names::Exact).is_err());
    }
}
