//! Keys in a PKCS#11 token: a smart card, a hardware security module, or SoftHSM. The private halves stay there.
//!
//! The label of a key (CKA_LABEL) is its role, as in the files of notary and docker: `root`, `targets`, or the name of a signer.
//! A key that belongs to one repository has the repository's name after it. Nothing that a token says is taken for granted: a
//! signature that does not verify with the public key is an error.

mod create;
mod key;
mod login;
mod module;
mod objects;
mod public;
mod reason;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use tuf::{Gun, KeyId, PublicKey};

use self::{
    key::TokenKey,
    module::OpenToken,
    objects::{Found, Listing},
};
use super::{KeyError, KeyInfo, KeyStore, PrivateKey, SigningKey, UNKNOWN_ROLE, check_role};

pub use login::Pin;

/// Which token is used, and how.
pub struct TokenSettings {
    /// The file of the PKCS#11 module.
    pub module: PathBuf,
    /// The label or the serial number of the token; needed if the module has several.
    pub token: Option<String>,
    /// Where its PIN comes from.
    pub pin: Pin,
}

/// The keys of a token. It is opened when the first of them is asked for, and logged in to once: a failure stays, so that no
/// second attempt of the PIN is spent.
pub struct TokenKeys {
    settings: TokenSettings,
    opened: OnceLock<Result<Arc<OpenToken>, KeyError>>,
}

/// A private key in a token that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableKey {
    /// The ID of its public key, if that is known.
    pub id: Option<KeyId>,
    /// What it is called and where it is, in words.
    pub name: String,
    /// Why it cannot be used.
    pub reason: String,
}

impl fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used: {}", self.name, self.reason)
    }
}

impl TokenKeys {
    /// The keys of this token. Nothing is opened yet.
    pub fn new(settings: TokenSettings) -> Self {
        Self {
            settings,
            opened: OnceLock::new(),
        }
    }

    /// Private keys that cannot be used, with the reasons.
    ///
    /// # Errors
    /// When the token cannot be read.
    pub fn unusable(&self) -> Result<Vec<UnusableKey>, KeyError> {
        Ok(self.token()?.listing()?.unusable.clone())
    }

    /// Whether a key of this ID is there and can be used.
    pub(super) fn has(&self, id: &KeyId) -> Result<bool, KeyError> {
        Ok(self.token()?.listing()?.get(id).is_some())
    }

    fn token(&self) -> Result<&Arc<OpenToken>, KeyError> {
        let opened = self
            .opened
            .get_or_init(|| OpenToken::open(&self.settings).map(Arc::new));
        opened.as_ref().map_err(KeyError::clone)
    }
}

impl KeyStore for TokenKeys {
    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let token = self.token()?;
        let listing = token.listing()?;
        let info = |found: &Found| {
            let (role, gun) = role_of(&found.label);
            KeyInfo {
                id: found.public.id().clone(),
                role,
                gun,
                place: token.place(),
            }
        };
        Ok(listing.found.iter().map(info).collect())
    }

    fn open(&self, id: &KeyId) -> Result<Box<dyn SigningKey>, KeyError> {
        let token = self.token()?;
        let listing = token.listing()?;
        if let Some(found) = listing.get(id) {
            return Ok(Box::new(TokenKey::new(Arc::clone(token), found)));
        }
        Err(refusal(&listing, id).unwrap_or_else(|| KeyError::Missing {
            id: id.as_str().to_owned(),
            place: token.place(),
        }))
    }

    fn generate(&self, role: &str, gun: Option<&Gun>) -> Result<PublicKey, KeyError> {
        check_role(role)?;
        create::generate(self.token()?, &label(role, gun))
    }

    fn add(&self, key: &PrivateKey, role: &str, gun: Option<&Gun>) -> Result<(), KeyError> {
        check_role(role)?;
        let token = self.token()?;
        if token.listing()?.get(key.id()).is_some() {
            return Ok(());
        }
        create::import(token, key, &label(role, gun))
    }

    fn remove(&self, id: &KeyId) -> Result<bool, KeyError> {
        if !self.has(id)? {
            return Ok(false);
        }
        let place = self.token()?.place();
        Err(KeyError::Unsupported(format!(
            "the key {id} is in the {place}, from which nothing is removed here; use the token's own tools, such as \
             `pkcs11-tool --delete-object`"
        )))
    }
}

/// Why a key that is there cannot be used.
fn refusal(listing: &Listing, id: &KeyId) -> Option<KeyError> {
    let is_it = |key: &&UnusableKey| key.id.as_ref() == Some(id);
    let key = listing.unusable.iter().find(is_it)?;
    Some(KeyError::Unsupported(key.to_string()))
}

/// The label of a key with this role.
fn label(role: &str, gun: Option<&Gun>) -> String {
    match gun {
        Some(gun) => format!("{role} {gun}"),
        None => role.to_owned(),
    }
}

/// The role, and perhaps the repository, of a key with this label. Labels of other programs say nothing.
fn role_of(label: &str) -> (String, Option<String>) {
    let mut words = label.split(' ');
    let (role, gun, rest) = (words.next().unwrap_or_default(), words.next(), words.next());
    let gun = gun.map(Gun::parse);
    match (gun, rest) {
        (None, None) if check_role(role).is_ok() => (bare_role(role), None),
        (Some(Ok(gun)), None) if matches!(role, "targets" | "snapshot") => {
            (role.to_owned(), Some(gun.to_string()))
        }
        _ => (UNKNOWN_ROLE.to_owned(), None),
    }
}

/// A signer's name, where the label is the full name of the signer's role.
fn bare_role(role: &str) -> String {
    role.strip_prefix("targets/").unwrap_or(role).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_roles_as_far_as_they_are_written_as_such() {
        let gun = Gun::parse("reg.example:5000/team/app").unwrap();
        for (label, role, gun) in [
            (label("root", None), "root", None),
            (label("targets", Some(&gun)), "targets", Some(gun.as_str())),
            ("targets".into(), "targets", None),
            ("alice".into(), "alice", None),
            ("targets/alice".into(), "alice", None),
            (String::new(), "unknown", None),
            ("root key".into(), "unknown", None),
            ("Private key for Digital Signature".into(), "unknown", None),
            ("ro\u{1b}[2Jot".into(), "unknown", None),
        ] {
            assert_eq!(
                role_of(&label),
                (role.to_owned(), gun.map(str::to_owned)),
                "{label:?}"
            );
        }
    }
}
