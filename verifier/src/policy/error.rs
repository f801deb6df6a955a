//! Why a text is not a policy.

use thiserror::Error;

/// Why a text is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// It is not YAML, or has a key twice.
    #[error("the policy is not valid YAML: {0}")]
    Yaml(String),
    /// A key that is not known.
    #[error("{path}: unknown key {key}{}; known are {}", nearest.as_ref().map_or(String::new(), |name| format!(", did you mean {name}?")), known.join(", "))]
    UnknownKey {
        /// The place of the mapping; `policy` for the top.
        path: String,
        /// The key as written.
        key: String,
        /// The known key that is spelt most like it.
        nearest: Option<String>,
        /// The keys that may stand there.
        known: Vec<String>,
    },
    /// A name that the policy does not define.
    #[error("{path}: there is no {kind} {name}{}", nearest.as_ref().map_or(String::new(), |name| format!("; did you mean {name}?")))]
    Undefined {
        /// Where it is used.
        path: String,
        /// `anchor`, `signer` or `team`.
        kind: &'static str,
        /// The name as written.
        name: String,
        /// The defined name that is spelt most like it.
        nearest: Option<String>,
    },
    /// Something else is wrong at a place of the file.
    #[error("{path}: {problem}")]
    At {
        /// Such as `rules[0].require`.
        path: String,
        /// Cause and fix.
        problem: String,
    },
}

impl PolicyError {
    pub(super) fn at(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::At {
            path: path.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn undefined<'a>(
        path: &str,
        kind: &'static str,
        name: &str,
        defined: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::Undefined {
            path: path.to_owned(),
            kind,
            name: name.to_owned(),
            nearest: nearest(name, defined),
        }
    }
}

/// Names with at least this Jaro-Winkler similarity count as misspellings of each other.
const SIMILAR: f64 = 0.88;

/// The name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let close = |known: &&str| {
        strsim::damerau_levenshtein(name, known) <= (known.chars().count() / 3).max(1)
            || strsim::jaro_winkler(name, known) >= SIMILAR
    };
    let closest = known
        .into_iter()
        .filter(close)
        .min_by_key(|known| strsim::damerau_levenshtein(name, known));
    closest.map(str::to_owned)
}
