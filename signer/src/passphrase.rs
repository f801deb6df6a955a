//! The passphrases that private keys are sealed with, each known by its alias.

use std::{fmt, os::unix::ffi::OsStringExt, sync::Arc};

use secrecy::SecretSlice;

/// A passphrase, byte for byte as the operator set it; wiped when dropped, never printed.
pub type Passphrase = SecretSlice<u8>;

/// The longest alias the database holds, in characters.
const ALIAS_LIMIT: usize = 50;

/// The name of a passphrase, stored beside every key sealed with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Alias(String);

/// The text cannot name a passphrase.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an alias has 1 to {ALIAS_LIMIT} characters")]
pub struct InvalidAlias;

impl Alias {
    /// Accepts the alias as it is, case included.
    ///
    /// # Errors
    /// When it is empty or too long for the database.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidAlias> {
        let name = name.into();
        let fits = (1..=ALIAS_LIMIT).contains(&name.chars().count());
        if fits { Ok(Self(name)) } else { Err(InvalidAlias) }
    }

    /// The alias as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The environment variable of its passphrase: upper case, with `_` for `.` and nothing else
    /// replaced (a hyphen stays one), as the Notary signer has it.
    pub fn variable(&self) -> String {
        format!("NOTARY_SIGNER_{}", self.0.to_uppercase().replace('.', "_"))
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where passphrases come from.
#[derive(Clone)]
pub enum Passphrases {
    /// The environment, one variable for each alias.
    Environment,
    /// One passphrase for every alias: keys in memory, and tests.
    Fixed(Arc<Passphrase>),
}

/// No passphrase is set for the alias.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no passphrase for the alias {alias}: set the environment variable {}", alias.variable())]
pub struct PassphraseMissing {
    /// The alias asked for.
    pub alias: Alias,
}

impl Passphrases {
    /// One known passphrase for every alias.
    pub fn fixed(passphrase: &[u8]) -> Self {
        Self::Fixed(Arc::new(SecretSlice::from(passphrase.to_vec())))
    }

    /// A random passphrase, for keys that do not outlive the process.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, openssl::error::ErrorStack> {
        let mut bytes = vec![0; 32];
        openssl::rand::rand_priv_bytes(&mut bytes)?;
        Ok(Self::Fixed(Arc::new(SecretSlice::from(bytes))))
    }

    /// The passphrase of `alias`. An empty one counts as missing.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, alias: &Alias) -> Result<Passphrase, PassphraseMissing> {
        match self {
            Self::Fixed(passphrase) => Ok(Passphrase::clone(passphrase)),
            Self::Environment => std::env::var_os(alias.variable())
                .filter(|value| !value.is_empty())
                .map(|value| SecretSlice::from(value.into_vec()))
                .ok_or_else(|| PassphraseMissing { alias: alias.clone() }),
        }
    }
}

/// A passphrase for tests.
#[cfg(test)]
pub(crate) fn from_text(text: &str) -> Passphrase {
    SecretSlice::from(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_the_notary_signer_names_them() {
        let cases = [
            ("timestamp_1", "NOTARY_SIGNER_TIMESTAMP_1"),
            ("alias_One", "NOTARY_SIGNER_ALIAS_ONE"),
            ("a.b", "NOTARY_SIGNER_A_B"),
            ("a-b", "NOTARY_SIGNER_A-B"),
            ("my alias", "NOTARY_SIGNER_MY ALIAS"),
            ("schlüssel", "NOTARY_SIGNER_SCHLÜSSEL"),
        ];
        for (alias, variable) in cases {
            assert_eq!(Alias::new(alias).unwrap().variable(), variable);
        }
    }

    #[test]
    fn aliases_fit_the_database() {
        assert!(Alias::new("").is_err());
        assert!(Alias::new("ä".repeat(50)).is_ok());
        assert!(Alias::new("a".repeat(51)).is_err());
    }

    #[test]
    fn a_missing_passphrase_is_reported_with_its_variable() {
        let missing = Passphrases::Environment
            .find(&Alias::new("never.set").unwrap())
            .err()
            .unwrap();
        assert_eq!(
            missing.to_string(),
            "no passphrase for the alias never.set: set the environment variable NOTARY_SIGNER_NEVER_SET"
        );
    }
}
