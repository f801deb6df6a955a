//! From a configuration file to one tree of values.

use std::path::Path;

use serde_json::Value;

use super::ConfigError;

pub(super) fn read(path: &Path) -> Result<Value, ConfigError> {
    let text = crate::files::read_to_string(path).map_err(|cause| ConfigError::Read {
        path: path.to_path_buf(),
        cause,
    })?;
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or("")
        .to_ascii_lowercase();
    let parsed: Result<Value, String> = match extension.as_str() {
        "json" => serde_json::from_str(&text).map_err(|e| e.to_string()),
        "toml" => toml::from_str(&text).map_err(|e| e.to_string()),
        "yaml" | "yml" => serde_yaml_ng::from_str(&text).map_err(|e| e.to_string()),
        other => Err(format!(
            "unknown extension \"{other}\" (known: json, toml, yaml, yml)"
        )),
    };
    match parsed {
        Ok(tree @ Value::Object(_)) => Ok(tree),
        Ok(_) => Err("the file must hold one object of sections".to_owned()),
        Err(reason) => Err(reason),
    }
    .map_err(|reason| ConfigError::Format {
        path: path.to_path_buf(),
        reason,
    })
}

/// Notary files are read without regard to the case of their keys.
pub(super) fn lower_case_keys(tree: Value) -> Value {
    match tree {
        Value::Object(entries) => Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_lowercase(), lower_case_keys(value)))
                .collect(),
        ),
        other => other,
    }
}
