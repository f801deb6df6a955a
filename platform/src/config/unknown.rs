//! Keys that the program does not know. Most belong to other programs and are harmless. A misspelt key that was meant
//! to restrict access is not harmless: without it the program lets in more than its operator intends.

use std::fmt;

use super::{ConfigError, Settings, value};

/// How unknown keys are judged.
#[derive(Debug, Clone, Copy)]
pub struct Sections {
    /// Sections that only this program has: every unknown key in them is a mistake.
    pub ours: &'static [&'static str],
    /// Keys and sections that decide about security: an unknown key that is spelt nearly like one of them is a mistake.
    pub security: &'static [&'static str],
    /// Whether environment variables with the program's prefix may have other purposes than to set keys.
    pub other_variables: bool,
}

/// A key, or an environment variable, that the program does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKey {
    /// The dotted key in lower case, or the variable's name.
    pub key: String,
    /// The known key that is spelt most like it.
    pub nearest: Option<String>,
    /// Whether the program must refuse to run with it.
    pub refused: bool,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unknown key {}", self.key)?;
        match &self.nearest {
            Some(nearest) => write!(formatter, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

/// Names that begin alike and have at least this similarity (Jaro-Winkler) count as misspellings of each other, such as
/// policies and policy.
const SIMILAR: f64 = 0.88;

/// Whether a name looks like a misspelling of another. Of keys of one section only the ends are compared.
fn close(name: &str, known: &str) -> bool {
    let (section, end) = name.rsplit_once('.').unwrap_or(("", name));
    let (known_section, known_end) = known.rsplit_once('.').unwrap_or(("", known));
    if section != known_section {
        return strsim::damerau_levenshtein(name, known) <= known.len() / 3;
    }
    strsim::damerau_levenshtein(end, known_end) <= (known_end.len() / 3).max(1)
        || strsim::jaro_winkler(end, known_end) >= SIMILAR
}

/// Whether a key is a section, or below it.
fn within(key: &str, section: &str) -> bool {
    key.strip_prefix(section)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl Sections {
    fn decides(&self, key: &str) -> bool {
        self.security.iter().any(|section| within(key, section))
    }

    /// The key that was probably meant, and whether the program must refuse to run with the mistake.
    fn judge(&self, key: &str, asked: &[&String]) -> (Option<String>, bool) {
        let nearest = asked
            .iter()
            .filter(|known| close(key, known))
            .min_by_key(|known| strsim::damerau_levenshtein(key, known))
            .map(|known| (*known).clone());
        if self.ours.iter().any(|section| within(key, section)) {
            return (nearest, true);
        }
        if let Some(nearest) = nearest {
            let refused = self.decides(&nearest);
            return (Some(nearest), refused);
        }
        let first = key.split('.').next().unwrap_or(key);
        let is_section = asked.iter().any(|known| within(known, first));
        let meant = self.security.iter().find(|section| {
            // A section that is misspelt, or stands below another one.
            !section.contains('.')
                && (!is_section && close(first, section) || key.split('.').any(|part| part == **section))
        });
        (meant.map(|section| (*section).to_owned()), meant.is_some())
    }
}

impl Settings {
    /// The keys of the file and the environment variables that the program did not read. Call it after everything was
    /// read.
    pub fn unknown_keys(&self, sections: &Sections) -> Vec<UnknownKey> {
        let asked = self.asked.borrow();
        let known: Vec<&String> = asked.iter().collect();
        let mut leaves = Vec::new();
        value::leaves(&self.tree, &mut String::new(), &mut leaves);
        let in_file = leaves
            .into_iter()
            .filter(|key| !asked.iter().any(|known| within(key, known)))
            .map(|key| {
                let (nearest, refused) = sections.judge(&key, &known);
                UnknownKey {
                    key,
                    nearest,
                    refused,
                }
            });
        let names: Vec<String> = asked.iter().map(|key| key.replace('.', "_")).collect();
        let variables = self.variables.iter().filter_map(|(variable, name)| {
            if names.contains(name) {
                return None;
            }
            let nearest = names
                .iter()
                .zip(asked.iter())
                .filter(|(known, _)| close(name, known));
            let nearest = nearest
                .min_by_key(|(known, _)| strsim::damerau_levenshtein(name, known))
                .map(|(_, key)| key.clone());
            let section = sections.security.iter().find(|section| close(name, section));
            let refused = nearest.as_deref().is_some_and(|key| sections.decides(key)) || section.is_some();
            let nearest = nearest.or_else(|| section.map(|section| (*section).to_owned()));
            (refused || nearest.is_some() || !sections.other_variables).then(|| UnknownKey {
                key: variable.clone(),
                nearest,
                refused,
            })
        });
        in_file.chain(variables).collect()
    }

    /// Counts every key in these sections as known. For callers that read only a part of the configuration.
    pub fn assume_known(&self, sections: &[&str]) {
        let mut asked = self.asked.borrow_mut();
        asked.extend(sections.iter().map(|section| (*section).to_owned()));
    }

    /// The unknown keys that are harmless.
    ///
    /// # Errors
    /// When one of them is not harmless; with `strict`, when there is any.
    pub fn tolerate_unknown_keys(
        &self,
        sections: &Sections,
        strict: bool,
    ) -> Result<Vec<UnknownKey>, ConfigError> {
        let found = self.unknown_keys(sections);
        match found.iter().find(|unknown| strict || unknown.refused) {
            Some(unknown) => Err(ConfigError::Unknown(unknown.clone())),
            None => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::*;

    const SECTIONS: Sections = Sections {
        ours: &["policy", "tls", "limits"],
        security: &["policy", "tls", "auth", "server.client_ca_file"],
        other_variables: false,
    };

    fn settings(tree: Value, variables: &[&str]) -> Settings {
        let mut settings = Settings::new(tree, PathBuf::from("/"), |_| None);
        settings.variables = variables
            .iter()
            .map(|name| (format!("NOTARY_SERVER_{name}"), name.to_lowercase()))
            .collect();
        for key in [
            "server.http_addr",
            "server.client_ca_file",
            "tls.client_auth",
            "auth.type",
            "auth.options.realm",
            "limits.publish_bytes",
            "logging.level",
        ] {
            let _ = settings.text(key);
        }
        let _ = settings.section("policy");
        settings
    }

    fn judged(tree: Value) -> Vec<(String, Option<String>, bool)> {
        let found = settings(tree, &[]).unknown_keys(&SECTIONS);
        let found = found.into_iter();
        found
            .map(|unknown| (unknown.key, unknown.nearest, unknown.refused))
            .collect()
    }

    #[test]
    fn misspelt_security_keys_are_refused() {
        for (tree, key, nearest) in [
            (json!({"polcy": [{"effect": "deny"}]}), "polcy", "policy"),
            (json!({"policies": []}), "policies", "policy"),
            (json!({"Polici": {"x": 1}}), "polici.x", "policy"),
            (
                json!({"server": {"client_ca_fle": "x"}}),
                "server.client_ca_fle",
                "server.client_ca_file",
            ),
            (json!({"auth": {"tpye": "token"}}), "auth.tpye", "auth.type"),
            (
                json!({"ssl": {"client_auth": "off"}}),
                "ssl.client_auth",
                "tls.client_auth",
            ),
            (json!({"server": {"policy": []}}), "server.policy", "policy"),
        ] {
            assert_eq!(judged(tree), [(key.to_owned(), Some(nearest.to_owned()), true)]);
        }
        // In a section of ours anything unknown is a mistake.
        assert_eq!(
            judged(json!({"limits": {"something": 1}})),
            [("limits.something".to_owned(), None, true)]
        );
    }

    #[test]
    fn unknown_keys_of_other_programs_are_accepted() {
        for (tree, nearest) in [
            (json!({"reporting": {"newrelic": {"key": 1}}}), None),
            (json!({"server": {"htp_addr": ":1"}}), Some("server.http_addr")),
            (json!({"logging": {"levl": "info"}}), Some("logging.level")),
        ] {
            let found = judged(tree);
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].1.as_deref(), found[0].2), (nearest, false), "{found:?}");
        }
        assert_eq!(
            judged(json!({"policy": [{"x": 1}], "auth": {"options": {"realm": "x"}}})),
            []
        );
    }

    #[test]
    fn variables_are_judged_alike() {
        let variables = ["POLCY", "SERVER_HTTP_ADDR", "SERVER_CLIENT_CA_FLE", "SOMETHING"];
        let found = settings(json!({}), &variables).unknown_keys(&SECTIONS);
        let found: Vec<(&str, Option<&str>, bool)> = found
            .iter()
            .map(|unknown| (unknown.key.as_str(), unknown.nearest.as_deref(), unknown.refused))
            .collect();
        assert_eq!(
            found,
            [
                ("NOTARY_SERVER_POLCY", Some("policy"), true),
                (
                    "NOTARY_SERVER_SERVER_CLIENT_CA_FLE",
                    Some("server.client_ca_file"),
                    true
                ),
                ("NOTARY_SERVER_SOMETHING", None, false),
            ]
        );
    }

    #[test]
    fn strict_mode_refuses_every_unknown_key() {
        let settings = settings(json!({"reporting": {"other": 1}}), &[]);
        assert_eq!(settings.tolerate_unknown_keys(&SECTIONS, false).unwrap().len(), 1);
        let refused = settings.tolerate_unknown_keys(&SECTIONS, true).unwrap_err();
        assert_eq!(refused.to_string(), "unknown key reporting.other");
    }
}
