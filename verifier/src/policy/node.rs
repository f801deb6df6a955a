//! Reads YAML strictly: every value is asked for by name and kind, and what nobody asked for is an error.

use serde_yaml_ng::{Mapping, Value};

use super::error::{PolicyError, nearest};

/// A value and its place in the file.
#[derive(Clone)]
pub(super) struct Node<'a> {
    path: String,
    value: &'a Value,
}

/// A mapping whose keys are known.
pub(super) struct Fields<'a> {
    path: String,
    mapping: &'a Mapping,
}

impl<'a> Node<'a> {
    pub(super) fn top(value: &'a Value) -> Self {
        Self {
            path: "policy".to_owned(),
            value,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// An error at this place.
    pub(super) fn wrong(&self, problem: impl Into<String>) -> PolicyError {
        PolicyError::at(&self.path, problem)
    }

    fn expected(&self, what: &str) -> PolicyError {
        let found = match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number; write it in quotation marks if it is a text",
            Value::String(_) => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Tagged(_) => "a value with a YAML tag",
        };
        self.wrong(format!("this has to be {what}, and it is {found}"))
    }

    /// A mapping with these keys only.
    pub(super) fn fields(&self, known: &[&str]) -> Result<Fields<'a>, PolicyError> {
        let Value::Mapping(mapping) = self.value else {
            return Err(self.expected("a mapping"));
        };
        for key in mapping.keys() {
            let Value::String(key) = key else {
                return Err(self.wrong("all keys have to be texts"));
            };
            if !known.contains(&key.as_str()) {
                return Err(PolicyError::UnknownKey {
                    path: self.path.clone(),
                    key: key.clone(),
                    nearest: nearest(key, known.iter().copied()),
                    known: known.iter().map(|&known| known.to_owned()).collect(),
                });
            }
        }
        Ok(Fields {
            path: self.path.clone(),
            mapping,
        })
    }

    /// A mapping with any keys.
    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Node<'a>)>, PolicyError> {
        let Value::Mapping(mapping) = self.value else {
            return Err(self.expected("a mapping"));
        };
        let entry =
            |(key, value): (&'a Value, &'a Value)| match key {
                Value::String(key) if !key.is_empty() => {
                    let path = format!("{}.{key}", self.path);
                    Ok((key.as_str(), Node { path, value }))
                }
                _ => Err(self
                    .wrong("all names have to be texts; write numbers and truth values in quotation marks")),
            };
        mapping.iter().map(entry).collect()
    }

    pub(super) fn list(&self) -> Result<Vec<Node<'a>>, PolicyError> {
        let Value::Sequence(elements) = self.value else {
            return Err(self.expected("a list"));
        };
        let element = |(index, value)| Node {
            path: format!("{}[{index}]", self.path),
            value,
        };
        Ok(elements.iter().enumerate().map(element).collect())
    }

    /// A list with at least one element: an empty one would demand, or allow, nothing.
    pub(super) fn filled_list(&self) -> Result<Vec<Node<'a>>, PolicyError> {
        let list = self.list()?;
        if list.is_empty() {
            return Err(self.wrong("the list is empty; leave the key out, or name at least one"));
        }
        Ok(list)
    }

    pub(super) fn text(&self) -> Result<&'a str, PolicyError> {
        match self.value {
            Value::String(text) if text.is_empty() => Err(self.wrong("this must not be empty")),
            Value::String(text) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, PolicyError> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.expected("true or false")),
        }
    }

    pub(super) fn count(&self) -> Result<usize, PolicyError> {
        let number = match self.value {
            Value::Number(number) => number.as_u64(),
            _ => None,
        };
        let count = number
            .and_then(|number| usize::try_from(number).ok())
            .filter(|&count| count > 0);
        count.ok_or_else(|| self.wrong("this has to be a whole number of at least 1"))
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, PolicyError> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let meant = nearest(text, known.iter().copied());
        let hint = meant.map_or(String::new(), |word| format!("; did you mean {word}?"));
        Err(self.wrong(format!("{text:?} is not one of {}{hint}", known.join(", "))))
    }
}

impl<'a> Fields<'a> {
    /// The value of a key, if it is there. One that has no value is an error: something was probably forgotten.
    pub(super) fn get(&self, key: &str) -> Result<Option<Node<'a>>, PolicyError> {
        let Some(value) = self.mapping.get(key) else {
            return Ok(None);
        };
        let node = Node {
            path: if self.path == "policy" {
                key.to_owned()
            } else {
                format!("{}.{key}", self.path)
            },
            value,
        };
        match value {
            Value::Null => Err(node.wrong("there is no value; leave the key out if nothing is meant")),
            _ => Ok(Some(node)),
        }
    }

    pub(super) fn required(&self, key: &str) -> Result<Node<'a>, PolicyError> {
        let missing = || PolicyError::at(&self.path, format!("the key {key} is missing"));
        self.get(key)?.ok_or_else(missing)
    }
}
