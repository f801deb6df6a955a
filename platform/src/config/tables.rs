//! Lists of tables, such as rules, read into types of their own. Every key is known, and every error names its place.

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::{ConfigError, Settings, value::refused};

/// A text that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

impl Text {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_str(TextVisitor)?;
        Ok(Self(text))
    }
}

struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        match text {
            "" => Err(E::custom("a text that is not empty")),
            text => Ok(text.to_owned()),
        }
    }
}

/// A list of texts, or one text in the place of a list of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> de::Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a list of texts")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
        TextVisitor.visit_str(text).map(|text| Texts(vec![text]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut entries: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(Text(text)) = entries.next_element()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}

impl Settings {
    /// The tables of a list, each with its place such as `policy[0]`; none if the key is absent. The keys of the tables
    /// may be in any case.
    ///
    /// # Errors
    /// When the key holds anything but a list of at least one table, or a table does not fit the type: a list whose
    /// entries were all taken out must not pass for an absent one.
    pub fn tables<T: for<'de> Deserialize<'de>>(
        &self,
        key: &str,
    ) -> Result<Option<Vec<(String, T)>>, ConfigError> {
        let values = match self.section(key) {
            None => return Ok(None),
            Some(Value::Array(values)) if !values.is_empty() => values,
            Some(other) => {
                let allowed = "a list of at least one table; leave the key out if there are no rules";
                return Err(refused(key, &other, allowed));
            }
        };
        let tables = values.into_iter().enumerate().map(|(position, value)| {
            let place = format!("{key}[{position}]");
            let Value::Object(_) = value else {
                return Err(refused(&place, &value, "a table"));
            };
            let value = lower_case_keys(&place, value)?;
            let table = super::value::deserialize(&place, &value)?;
            Ok((place, table))
        });
        tables.collect::<Result<_, _>>().map(Some)
    }
}

/// The keys of a table and of the tables in it in lower case. Two that differ in case only are refused.
fn lower_case_keys(place: &str, value: Value) -> Result<Value, ConfigError> {
    let Value::Object(given) = value else {
        return Ok(value);
    };
    let mut entries = Map::new();
    for (key, value) in given {
        let (inside, lower) = (format!("{place}.{key}"), key.to_lowercase());
        if entries.contains_key(&lower) {
            return Err(refused(&inside, &value, "the key is there twice"));
        }
        entries.insert(lower, lower_case_keys(&inside, value)?);
    }
    Ok(Value::Object(entries))
}

/// What to say about a name that is none of `known`.
pub fn unknown_name(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), *known));
    let nearest = nearest.filter(|(distance, known)| *distance <= known.len().max(name.len()).max(3) / 3);
    match nearest.min() {
        Some((_, nearest)) => format!("unknown; did you mean {nearest}?"),
        None => format!("unknown; known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        principal: Option<Text>,
        #[serde(default)]
        groups: Texts,
    }

    fn tables(value: Value) -> Result<Option<Vec<(String, Rule)>>, ConfigError> {
        Settings::new(json!({"rules": value}), PathBuf::new(), |_| None).tables("rules")
    }

    fn refusal(value: Value) -> String {
        tables(value).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_list_and_other_values_are_refused() {
        for value in [
            json!([]),
            json!(null),
            json!(""),
            json!("x"),
            json!({"a": 1}),
            json!([1]),
        ] {
            assert!(tables(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest_known_one() {
        assert_eq!(
            refusal(json!([{}, {"princpal": "x"}])),
            r#"invalid value for rules[1].princpal: "x" (unknown; did you mean principal?)"#
        );
        assert_eq!(
            refusal(json!([{"colour": 1}])),
            "invalid value for rules[0].colour: 1 (unknown; known: principal, groups)"
        );
    }

    #[test]
    fn keys_may_be_in_any_case_but_not_twice() {
        let found = tables(json!([{"Principal": "a"}])).unwrap().unwrap();
        assert_eq!(found[0].0, "rules[0]");
        assert_eq!(found[0].1.principal.as_ref().map(Text::as_str), Some("a"));
        assert!(refusal(json!([{"principal": "a", "Principal": "b"}])).contains("twice"));
    }

    #[test]
    fn one_text_is_a_list_of_one_and_empty_texts_are_refused() {
        let found = tables(json!([{"groups": "a"}, {"groups": ["b", "c"]}]))
            .unwrap()
            .unwrap();
        assert_eq!(
            (&found[0].1.groups.0[..], &found[1].1.groups.0[..]),
            (&["a".to_owned()][..], &["b".to_owned(), "c".to_owned()][..])
        );
        assert_eq!(
            refusal(json!([{"groups": ["b", ""]}])),
            r#"invalid value for rules[0].groups[1]: "" (a text that is not empty)"#
        );
        assert_eq!(
            refusal(json!([{"groups": 5}])),
            "invalid value for rules[0].groups: 5 (a list of texts)"
        );
        assert_eq!(
            refusal(json!([{"principal": ["x"]}])),
            r#"invalid value for rules[0].principal: ["x"] (a text)"#
        );
    }
}
