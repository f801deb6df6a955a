//! Reading one table of a list of tables, such as a rule: every key is known, every error names its place.

use std::ops::RangeInclusive;

use platform::config::{ConfigError, Settings};
use serde_json::{Map, Value};

/// A table on its way to becoming something typed. What is left when it is finished is refused.
#[derive(Debug)]
pub struct Table {
    path: String,
    entries: Map<String, Value>,
    known: Vec<String>,
}

impl Table {
    /// The tables of the list that `key` holds; nothing if there is no such key. Their places count from 0.
    ///
    /// # Errors
    /// When the key holds anything but a list of tables, or an empty list.
    pub fn list(settings: &Settings, key: &str) -> Result<Option<Vec<Self>>, ConfigError> {
        let Some(value) = settings.section(key) else {
            return Ok(None);
        };
        match value {
            Value::Array(values) if !values.is_empty() => {
                let tables = values.into_iter().enumerate();
                let tables = tables.map(|(place, value)| Self::new(format!("{key}[{place}]"), value));
                tables.collect::<Result<_, _>>().map(Some)
            }
            other => {
                let allowed = "a list of at least one table; leave the key out if there are no rules";
                Err(refused(key, &other, allowed))
            }
        }
    }

    /// A table at a place. Its keys may be in any case.
    ///
    /// # Errors
    /// When it is no table, or has a key twice in different case.
    pub fn new(path: String, value: Value) -> Result<Self, ConfigError> {
        let Value::Object(given) = value else {
            return Err(refused(&path, &value, "a table"));
        };
        let mut entries = Map::new();
        for (key, value) in given {
            let lower = key.to_lowercase();
            if entries.contains_key(&lower) {
                return Err(refused(
                    &format!("{path}.{key}"),
                    &value,
                    "the key is there twice",
                ));
            }
            entries.insert(lower, value);
        }
        Ok(Self {
            path,
            entries,
            known: Vec::new(),
        })
    }

    /// Where the table is, such as `identity[2]`.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.known.push(key.to_owned());
        self.entries.remove(key)
    }

    /// A text that is not empty.
    ///
    /// # Errors
    /// When the key holds anything else.
    pub fn text(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        let value = self.take(key);
        value
            .map(|value| text(&self.place(key), value, "a text"))
            .transpose()
    }

    /// A list of texts that are not empty, or one such text; nothing if there is no such key.
    ///
    /// # Errors
    /// When the key holds anything else.
    pub fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let place = self.place(key);
        let allowed = "a list of texts";
        match self.take(key) {
            None => Ok(None),
            Some(Value::Array(values)) => {
                let texts = values.into_iter().enumerate();
                let texts = texts.map(|(n, value)| text(&format!("{place}[{n}]"), value, "a text"));
                texts.collect::<Result<_, _>>().map(Some)
            }
            Some(value) => Ok(Some(vec![text(&place, value, allowed)?])),
        }
    }

    /// Whether a key holds a list.
    pub fn holds_list(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(Value::is_array)
    }

    /// A whole number.
    ///
    /// # Errors
    /// When the key holds anything else, or a number outside the range.
    pub fn integer(&mut self, key: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ConfigError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        let number = value.as_i64().filter(|number| range.contains(number));
        number
            .map(Some)
            .ok_or_else(|| refused(&self.place(key), &value, &allowed))
    }

    /// True or false; false if there is no such key.
    ///
    /// # Errors
    /// When the key holds anything else.
    pub fn flag(&mut self, key: &str) -> Result<bool, ConfigError> {
        match self.take(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(refused(&self.place(key), &other, "allowed: true, false")),
        }
    }

    /// One of the named choices, in exactly that spelling.
    ///
    /// # Errors
    /// When the key holds anything else.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
        let Some(given) = self.text(key)? else {
            return Ok(None);
        };
        let chosen = choices.iter().find(|(name, _)| *name == given);
        chosen.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.invalid(key, given, format!("allowed: {}", names.join(", ")))
        })
    }

    /// A table within this one.
    ///
    /// # Errors
    /// When the key holds anything else.
    pub fn table(&mut self, key: &str) -> Result<Option<Self>, ConfigError> {
        let value = self.take(key);
        value.map(|value| Self::new(self.place(key), value)).transpose()
    }

    /// All that is left: keys and texts that are not empty.
    ///
    /// # Errors
    /// When a value is not such a text.
    pub fn into_texts(self) -> Result<Vec<(String, String)>, ConfigError> {
        let Self { path, entries, .. } = self;
        let entries = entries.into_iter();
        entries
            .map(|(key, value)| {
                let value = text(&format!("{path}.{key}"), value, "a text")?;
                Ok((key, value))
            })
            .collect()
    }

    /// Refuses what nobody asked for.
    ///
    /// # Errors
    /// When there is such a key.
    pub fn finish(self) -> Result<(), ConfigError> {
        let Some((key, value)) = self.entries.iter().next() else {
            return Ok(());
        };
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        Err(refused(&self.place(key), value, &unknown(key, &known)))
    }

    /// The error for a value of this table.
    pub fn invalid(
        &self,
        key: &str,
        value: impl std::fmt::Display,
        allowed: impl Into<String>,
    ) -> ConfigError {
        ConfigError::invalid(&self.place(key), value, allowed)
    }

    /// The error for a key that is needed.
    pub fn missing(&self, key: &str, expected: impl Into<String>) -> ConfigError {
        ConfigError::missing(&self.place(key), expected)
    }

    fn place(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }
}

/// What to say about a name that is none of `known`.
pub fn unknown(name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), *known));
    let nearest = nearest.filter(|(distance, known)| *distance <= known.len().max(name.len()).max(3) / 3);
    match nearest.min() {
        Some((_, nearest)) => format!("unknown; did you mean {nearest}?"),
        None => format!("unknown; known: {}", known.join(", ")),
    }
}

fn text(place: &str, value: Value, allowed: &str) -> Result<String, ConfigError> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        other => Err(refused(place, &other, allowed)),
    }
}

fn refused(place: &str, value: &Value, allowed: &str) -> ConfigError {
    ConfigError::Invalid {
        key: place.into(),
        value: value.to_string(),
        allowed: allowed.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    fn tables(value: Value) -> Result<Option<Vec<Table>>, ConfigError> {
        let settings = Settings::new(json!({"rules": value}), PathBuf::new(), |_| None);
        Table::list(&settings, "rules")
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
        let mut table = tables(json!([{}, {"princpal": "x"}])).unwrap().unwrap().remove(1);
        assert_eq!(table.text("principal").unwrap(), None);
        assert_eq!(
            table.finish().unwrap_err().to_string(),
            r#"invalid value for rules[1].princpal: "x" (unknown; did you mean principal?)"#
        );
    }

    #[test]
    fn a_key_twice_in_different_case_is_refused() {
        assert!(tables(json!([{"name": "a", "Name": "b"}])).is_err());
    }
}
