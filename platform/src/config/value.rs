//! Typed reading of single keys.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    ops::RangeInclusive,
    path::PathBuf,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ConfigError, Settings, tables::unknown_name};

const ADDRESS: &str = "host:port, or :port for every interface, for example 127.0.0.1:4443";

impl Settings {
    fn find(&self, key: &str) -> Option<Value> {
        self.asked.borrow_mut().insert(key.to_owned());
        if let Some(overridden) = (self.environment)(key) {
            return Some(Value::String(overridden));
        }
        let mut node = &self.tree;
        for step in key.split('.') {
            node = node.get(step)?;
        }
        match node {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            found => Some(found.clone()),
        }
    }

    /// A text, or a number written as such. Absent and empty are the same.
    ///
    /// # Errors
    /// When the key holds a list, an object or a boolean.
    pub fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.find(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(refused(key, &other, "a text")),
        }
    }

    /// A required text; `expected` says in the error what to set the key to.
    ///
    /// # Errors
    /// When the key is absent or not a text.
    pub fn required(&self, key: &str, expected: &str) -> Result<String, ConfigError> {
        self.text(key)?.ok_or_else(|| ConfigError::missing(key, expected))
    }

    /// A file name, made absolute.
    ///
    /// # Errors
    /// When the key is not a text.
    pub fn path(&self, key: &str) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.text(key)?.map(|path| self.resolve(&path)))
    }

    /// A whole number within `range`; a text of digits counts as one.
    ///
    /// # Errors
    /// When the value is not a whole number or outside the range.
    pub fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ConfigError> {
        let Some(value) = self.find(key) else {
            return Ok(None);
        };
        let number = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let allowed = || format!("a whole number from {} to {}", range.start(), range.end());
        number
            .filter(|n| range.contains(n))
            .map(Some)
            .ok_or_else(|| refused(key, &value, &allowed()))
    }

    /// True or false.
    ///
    /// # Errors
    /// When the value is neither.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.find(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(other) => Err(refused(key, &other, "allowed: true, false")),
        }
    }

    /// One of the named choices, in exactly that spelling.
    ///
    /// # Errors
    /// When the value is none of them.
    pub fn choice<T: Clone>(&self, key: &str, choices: &[(&str, T)]) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, choice)| Some(choice.clone()))
            .ok_or_else(|| ConfigError::invalid(key, text, format!("allowed: {}", names.join(", "))))
    }

    /// A list of texts; a single text is split at blanks.
    ///
    /// # Errors
    /// When the value is neither a text nor a list of texts.
    pub fn list(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        match self.find(key) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(text.split_whitespace().map(str::to_owned).collect()),
            Some(Value::Array(entries)) => entries
                .iter()
                .map(|entry| {
                    entry
                        .as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| refused(key, entry, "a text"))
                })
                .collect(),
            Some(other) => Err(refused(key, &other, "a list of texts")),
        }
    }

    /// A section or list of sections, read into a type of its own. Keys within it count as known; those that
    /// the type does not know are refused.
    ///
    /// # Errors
    /// When the value does not fit the type; the message names where in the section.
    pub fn typed<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.find(key) else {
            return Ok(None);
        };
        deserialize(key, &value).map(Some)
    }

    /// The value of a key as it stands, for values with a structure of their own. Unlike elsewhere an empty text or a
    /// null is not the same as a missing key: an empty list of rules must not be read as "no rules configured". Names
    /// inside of lists keep their case.
    pub fn section(&self, key: &str) -> Option<Value> {
        self.asked.borrow_mut().insert(key.to_owned());
        if let Some(overridden) = (self.environment)(key) {
            return Some(Value::String(overridden));
        }
        let mut steps = key.split('.');
        steps.try_fold(&self.tree, |node, step| node.get(step)).cloned()
    }

    /// Addresses to listen on: `host:port`, or `:port` for every interface.
    ///
    /// # Errors
    /// When the key is absent, or the text is not an address or its host cannot be found.
    pub fn listen_addresses(&self, key: &str) -> Result<Vec<SocketAddr>, ConfigError> {
        let text = self.required(key, ADDRESS)?;
        addresses(key, &text)
    }
}

/// The addresses that a text names: `host:port`, or `:port` for every interface. `key` is for messages.
///
/// # Errors
/// When the text is not an address or its host cannot be found.
pub fn addresses(key: &str, text: &str) -> Result<Vec<SocketAddr>, ConfigError> {
    if text.contains('/') {
        let allowed = format!("{ADDRESS}; it is not a URL");
        return Err(ConfigError::invalid(key, text, allowed));
    }
    let full = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    let found = full
        .to_socket_addrs()
        .map_err(|cause| ConfigError::invalid(key, text, format!("{ADDRESS}; {cause}")))?;
    Ok(found.collect())
}

/// Reads a value into a type of its own; `key` is its place.
///
/// # Errors
/// When it does not fit. The message names the place, and what would be accepted there.
pub(super) fn deserialize<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|cause| {
        let inner = cause.path().to_string();
        let inside = match inner.as_str() {
            "." => key.to_owned(),
            path if path.starts_with('[') => format!("{key}{path}"),
            path => format!("{key}.{path}"),
        };
        ConfigError::Invalid {
            value: written(value, cause.path()),
            key: inside,
            allowed: allowed(&cause.into_inner().to_string()),
        }
    })
}

/// What would be accepted, from a message of serde's: that names what was found as well, which the error shows anyway.
fn allowed(message: &str) -> String {
    let quoted = |text: &str| -> Vec<String> {
        let parts = text.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    if let Some((found, expected)) = message
        .strip_prefix("unknown field ")
        .and_then(|rest| rest.split_once(", "))
    {
        let (found, known) = (quoted(found).concat(), quoted(expected));
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return unknown_name(&found, &known);
    }
    if let Some((_, expected)) = message
        .strip_prefix("unknown variant ")
        .and_then(|rest| rest.split_once(", "))
    {
        return format!("allowed: {}", quoted(expected).join(", "));
    }
    match message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        Some((_, expected)) => expected.to_owned(),
        None => message.to_owned(),
    }
}

/// The value at a path, if the path exists.
fn written(value: &Value, path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut node = value;
    for segment in path.iter() {
        let inner = match segment {
            Segment::Seq { index } => node.get(index),
            Segment::Map { key } => node.get(key),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node.to_string()
}

pub(super) fn refused(key: &str, value: &Value, allowed: &str) -> ConfigError {
    ConfigError::Invalid {
        key: key.into(),
        value: value.to_string(),
        allowed: allowed.into(),
    }
}

/// The dotted names of everything in `tree` that is not a section itself.
pub(super) fn leaves(tree: &Value, prefix: &mut String, found: &mut Vec<String>) {
    let Value::Object(entries) = tree else {
        found.push(prefix.clone());
        return;
    };
    for (key, value) in entries {
        let length = prefix.len();
        if !prefix.is_empty() {
            prefix.push('.');
        }
        prefix.push_str(key);
        leaves(value, prefix, found);
        prefix.truncate(length);
    }
}
