//! Configuration files: the Notary programs' keys, read by name, with errors that name key, value and cure.

mod file;
mod tables;
mod unknown;
mod value;

use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;

pub use tables::{Text, Texts, unknown_name};
pub use unknown::{Sections, UnknownKey};
pub use value::addresses;

/// Why a configuration is refused. Every message names the key or the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The file's format is unknown or its text does not parse.
    #[error("cannot parse the configuration file {}: {reason}", path.display())]
    Format {
        /// The file asked for.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A required key is missing.
    #[error("the configuration has no {key}: {expected}")]
    Missing {
        /// The dotted key.
        key: String,
        /// What to set it to.
        expected: String,
    },
    /// A key has a value that is not allowed.
    #[error("invalid value for {key}: {value} ({allowed})")]
    Invalid {
        /// The dotted key.
        key: String,
        /// The value as written.
        value: String,
        /// What would be accepted.
        allowed: String,
    },
    /// An unknown key that may not be ignored.
    #[error("{0}")]
    Unknown(UnknownKey),
}

impl ConfigError {
    /// A value was refused after it was read; `allowed` says what would be accepted.
    pub fn invalid(key: &str, value: impl std::fmt::Display, allowed: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            value: format!("\"{value}\""),
            allowed: allowed.into(),
        }
    }

    /// A required key is missing; `expected` says what to set it to.
    pub fn missing(key: &str, expected: impl Into<String>) -> Self {
        Self::Missing {
            key: key.into(),
            expected: expected.into(),
        }
    }
}

/// Maps a dotted key to the value that replaces the file's.
type Override = Box<dyn Fn(&str) -> Option<String>>;

/// One configuration: the file's values under lower-case dotted keys, overridden by the environment.
///
/// A key `storage.db_url` is overridden by `<PREFIX>_STORAGE_DB_URL`; an empty variable counts as unset.
pub struct Settings {
    tree: Value,
    directory: PathBuf,
    environment: Override,
    /// The environment variables with the program's prefix: the name, and what follows the prefix in lower case.
    variables: Vec<(String, String)>,
    asked: RefCell<BTreeSet<String>>,
}

impl Settings {
    /// Reads `path` (JSON, TOML or YAML, told apart by its extension).
    ///
    /// `prefix` is the start of the environment variables' names, such as `NOTARY_SERVER`.
    ///
    /// # Errors
    /// When the file cannot be read or parsed.
    pub fn load(path: &Path, prefix: &'static str) -> Result<Self, ConfigError> {
        let tree = file::read(path)?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut settings = Self::new(tree, directory, move |key| {
            let name = format!("{prefix}_{}", key.replace('.', "_").to_uppercase());
            std::env::var(name).ok().filter(|value| !value.is_empty())
        });
        settings.variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok().filter(|_| !value.is_empty())?;
                let key = name.strip_prefix(prefix)?.strip_prefix('_')?.to_lowercase();
                Some((name, key))
            })
            .collect();
        Ok(settings)
    }

    /// Settings from values already at hand; `environment` maps a dotted key to an override.
    pub fn new(
        tree: Value,
        directory: PathBuf,
        environment: impl Fn(&str) -> Option<String> + 'static,
    ) -> Self {
        Self {
            tree: file::lower_case_keys(tree),
            directory,
            environment: Box::new(environment),
            variables: Vec::new(),
            asked: RefCell::default(),
        }
    }

    /// Makes a path of the configuration absolute: relative ones are relative to the file's directory.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(tree: Value) -> Settings {
        Settings::new(tree, PathBuf::from("/etc/notary"), |key| {
            (key == "storage.db_url").then(|| "from-environment".to_owned())
        })
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let settings = settings(json!({"storage": {"db_url": "from-file", "backend": "sqlite3"}}));
        assert_eq!(
            settings.text("storage.db_url").unwrap().as_deref(),
            Some("from-environment")
        );
        assert_eq!(
            settings.text("storage.backend").unwrap().as_deref(),
            Some("sqlite3")
        );
    }

    #[test]
    fn keys_are_found_in_any_case() {
        let settings = settings(json!({"Server": {"HTTP_Addr": ":4443"}}));
        assert_eq!(
            settings.text("server.http_addr").unwrap().as_deref(),
            Some(":4443")
        );
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let settings = settings(json!({"server": {"tls_cert_file": "./a.crt", "tls_key_file": "/k"}}));
        assert_eq!(
            settings.path("server.tls_cert_file").unwrap(),
            Some("/etc/notary/./a.crt".into())
        );
        assert_eq!(settings.path("server.tls_key_file").unwrap(), Some("/k".into()));
    }

    #[test]
    fn a_refused_value_names_key_value_and_choices() {
        let settings = settings(json!({"storage": {"backend": "oracle"}, "n": {"a": 70000, "b": true}}));
        let refused = settings
            .choice("storage.backend", &[("sqlite3", 1), ("memory", 2)])
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            r#"invalid value for storage.backend: "oracle" (allowed: sqlite3, memory)"#
        );
        let refused = settings.integer("n.a", 0..=65535).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "invalid value for n.a: 70000 (a whole number from 0 to 65535)"
        );
        let refused = settings.text("n").unwrap_err();
        assert!(
            refused.to_string().starts_with("invalid value for n: {"),
            "{refused}"
        );
        assert_eq!(settings.flag("n.b").unwrap(), Some(true));
    }

    #[test]
    fn a_section_is_given_as_it_stands_and_counts_as_read() {
        let settings = settings(json!({"Rules": [{"Name": "a"}], "gone": null}));
        assert_eq!(settings.section("rules"), Some(json!([{"Name": "a"}])));
        assert_eq!(settings.section("gone"), Some(Value::Null));
        assert_eq!(settings.section("absent"), None);
    }
}
