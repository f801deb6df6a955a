//! The keys of a directory and those of a token, as one store.

use tuf::{Gun, KeyId, PublicKey};

use super::{KeyDirectory, KeyError, KeyInfo, KeyStore, PrivateKey, SigningKey, TokenKeys, UnusableKey};

/// Where new keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the directory.
    Directory,
    /// In the token.
    Token,
}

/// The keys of a directory and, if there is one, of a token. A key that is in both is used in the token: its PIN was given
/// already, and the file may want a passphrase.
pub struct Keys {
    directory: KeyDirectory,
    token: Option<TokenKeys>,
    place: Place,
}

impl Keys {
    /// These keys. New ones are kept in the directory.
    pub fn new(directory: KeyDirectory, token: Option<TokenKeys>) -> Self {
        Self {
            directory,
            token,
            place: Place::Directory,
        }
    }

    /// The same with new keys kept here.
    ///
    /// # Errors
    /// When that is the token, and there is none.
    pub fn keeping_in(mut self, place: Place) -> Result<Self, KeyError> {
        if place == Place::Token && self.token.is_none() {
            return Err(KeyError::Unsupported(
                "no token is named in which keys could be kept: name its module with --pkcs11-module FILE or \
                 COUNTERSIGN_PKCS11_MODULE"
                    .into(),
            ));
        }
        self.place = place;
        Ok(self)
    }

    /// Those of the directory, which also reads keys from other files.
    pub fn directory(&self) -> &KeyDirectory {
        &self.directory
    }

    /// Private keys that are in the token and cannot be used, with the reasons.
    ///
    /// # Errors
    /// When the token cannot be read.
    pub fn unusable(&self) -> Result<Vec<UnusableKey>, KeyError> {
        self.token.as_ref().map_or(Ok(Vec::new()), TokenKeys::unusable)
    }

    /// Where new keys are kept.
    fn keeper(&self) -> &dyn KeyStore {
        match (self.place, &self.token) {
            (Place::Token, Some(token)) => token,
            _ => &self.directory,
        }
    }
}

impl KeyStore for Keys {
    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let mut found = self.directory.list()?;
        if let Some(token) = &self.token {
            found.extend(token.list()?);
        }
        Ok(found)
    }

    fn open(&self, id: &KeyId) -> Result<Box<dyn SigningKey>, KeyError> {
        match &self.token {
            Some(token) if token.has(id)? => token.open(id),
            Some(token) => match self.directory.open(id) {
                // The token may have it and say why it cannot be used.
                Err(KeyError::Missing { .. }) => token.open(id),
                opened => opened,
            },
            None => self.directory.open(id),
        }
    }

    fn generate(&self, role: &str, gun: Option<&Gun>) -> Result<PublicKey, KeyError> {
        self.keeper().generate(role, gun)
    }

    fn add(&self, key: &PrivateKey, role: &str, gun: Option<&Gun>) -> Result<(), KeyError> {
        self.keeper().add(key, role, gun)
    }

    fn remove(&self, id: &KeyId) -> Result<bool, KeyError> {
        match &self.token {
            // It says that it removes nothing.
            Some(token) if token.has(id)? => token.remove(id),
            _ => self.directory.remove(id),
        }
    }
}
