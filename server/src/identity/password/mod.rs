//! User names and passwords, as a second way to log in.

mod file;
mod throttle;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use data_encoding::BASE64URL_NOPAD;
use moka::sync::Cache;
use openssl::{
    error::ErrorStack, hash::MessageDigest, pkey::PKey, rand::rand_bytes, sha::sha256, sign::Signer,
};
use tokio::sync::{AcquireError, Semaphore};

use crate::config::PasswordSettings;
pub use file::{Hash, PasswordFileError};
pub use throttle::Place;
use throttle::Throttle;

/// How long a correct password is accepted again without computing its hash.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many correct passwords are remembered.
const REMEMBERED_COUNT: u64 = 10_000;
/// The longest password accepted, in bytes.
const PASSWORD_LIMIT: usize = 1024;
/// How long a login waits while other passwords are checked.
const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// The user name and password that a client sent.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: String,
}

/// The users of the files, and how many attempts are left for each. Built anew with every generation.
pub struct Passwords {
    users: BTreeMap<String, Hash>,
    groups: BTreeMap<String, BTreeSet<String>>,
    realm: String,
    key: [u8; 32],
    right: Cache<[u8; 32], ()>,
    throttle: Throttle,
    places: Semaphore,
}

/// Why a login is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefusal {
    /// The header does not hold a user name and a password (RFC 7617).
    #[error("what was sent is not a user name and a password")]
    Malformed,
    /// There is no such user, or the password is wrong. Which of the two is not revealed.
    #[error("the user name {0:?} or its password is wrong")]
    Wrong(String),
    /// Too many wrong passwords were tried before.
    #[error("too many wrong passwords for the user name {0:?}: try again in a minute")]
    TooMany(String),
    /// Too many other logins are being checked at the moment.
    #[error("too many passwords are being checked: try again")]
    Busy,
}

impl Credentials {
    /// Reads an `Authorization` header; `None` if its scheme is not `Basic`.
    ///
    /// # Errors
    /// When the scheme is `Basic` and the credentials cannot be read.
    pub fn parse(header: &str) -> Option<Result<Self, PasswordRefusal>> {
        let (scheme, encoded) = header.split_once(' ').unwrap_or((header, ""));
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim()).ok();
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let credentials = text.as_deref().and_then(|text| text.split_once(':'));
        Some(match credentials {
            Some((user, password)) => Self::new(user, password),
            None => Err(PasswordRefusal::Malformed),
        })
    }

    /// A user name and a password from elsewhere than a header, under the same conditions.
    ///
    /// # Errors
    /// When the name is empty, one of them contains control characters, or the password is too long.
    pub fn new(user: &str, password: &str) -> Result<Self, PasswordRefusal> {
        let harmless = |text: &str| !text.chars().any(char::is_control);
        // A colon ends the name in a header, so no user has one.
        let named = !user.is_empty() && !user.contains(':') && harmless(user);
        if !named || !harmless(password) || password.len() > PASSWORD_LIMIT {
            return Err(PasswordRefusal::Malformed);
        }
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }
}

/// Why the user files cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum PasswordSetUpError {
    /// A file.
    #[error("auth.password: {0}")]
    File(#[from] PasswordFileError),
    /// The cryptographic library.
    #[error("auth.password: {}", platform::reason::of_openssl(.0))]
    Random(#[from] ErrorStack),
}

impl Passwords {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn load(settings: &PasswordSettings) -> Result<Self, PasswordSetUpError> {
        let mut key = [0; 32];
        rand_bytes(&mut key)?;
        let groups = settings.groups.as_deref().map(file::groups).transpose()?;
        Ok(Self {
            users: file::users(&settings.file)?,
            groups: groups.unwrap_or_default(),
            realm: settings.realm.clone(),
            key,
            right: Cache::builder()
                .max_capacity(REMEMBERED_COUNT)
                .time_to_live(REMEMBERED)
                .build(),
            throttle: Throttle::default(),
            places: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
        })
    }

    /// The realm, which clients show when they ask for a password.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// What is stored of a user's password, as a hash: it changes when the password is set anew, also to the same. `None`
    /// if there is no such user.
    pub fn mark(&self, user: &str) -> Option<String> {
        let stored = self.users.get(user)?.stored();
        let digest = sha256(format!("countersign password mark\0{user}\0{stored}").as_bytes());
        Some(BASE64URL_NOPAD.encode(&digest))
    }

    /// Whether the file has this user.
    pub fn has(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// The groups in which the file lists a user.
    pub fn groups(&self, user: &str) -> Vec<String> {
        self.groups.get(user).into_iter().flatten().cloned().collect()
    }

    /// Checks whether the password is the user's. Attempts from the same `from` are counted together.
    ///
    /// # Errors
    /// When the password is wrong, or could not be checked.
    pub async fn check(
        self: &Arc<Self>,
        credentials: &Credentials,
        from: Place,
    ) -> Result<(), PasswordRefusal> {
        let Credentials { user, password } = credentials;
        let proof = self.hash(&[user, password]).ok_or(PasswordRefusal::Busy)?;
        // Comes before the check for a remembered password: otherwise guessing could go on while the owner is logged
        // in.
        if self.throttle.is_used_up(user, from) {
            return Err(PasswordRefusal::TooMany(user.clone()));
        }
        if self.right.get(&proof).is_some() {
            return Ok(());
        }
        let attempt = self.throttle.attempt(user, from);
        if !attempt.is_allowed() {
            return Err(PasswordRefusal::TooMany(user.clone()));
        }
        let place = tokio::time::timeout(WAIT_LIMIT, self.places.acquire());
        let _place = match place.await {
            Ok(Ok(place)) => place,
            Ok(Err(AcquireError { .. })) | Err(_) => return Err(PasswordRefusal::Busy),
        };
        let (passwords, checked) = (Arc::clone(self), credentials.clone());
        let right = actix_web::web::block(move || passwords.verify(&checked)).await;
        match right {
            Ok(true) => {
                self.right.insert(proof, ());
                attempt.succeeded();
                Ok(())
            }
            Ok(false) => Err(PasswordRefusal::Wrong(user.clone())),
            Err(_) => Err(PasswordRefusal::Busy),
        }
    }

    /// Takes as long for an unknown user name as for a known one.
    fn verify(&self, credentials: &Credentials) -> bool {
        let known = self.users.get(&credentials.user);
        let Some(hash) = known.or_else(|| self.decoy(&credentials.user)) else {
            return false;
        };
        hash.verify(&credentials.password) && known.is_some()
    }

    /// A hash to check for an unknown user name. It is always the same for a name, and the algorithms appear in the
    /// proportion in which the file uses them, so that an unknown name takes as long as a known one.
    fn decoy(&self, user: &str) -> Option<&Hash> {
        let hash = self.hash(&["", user])?;
        let number = hash
            .iter()
            .take(4)
            .fold(0, |number, byte| (number << 8) | usize::from(*byte));
        self.users.values().nth(number.checked_rem(self.users.len())?)
    }

    /// Keyed, so that the cached values cannot be used to look up passwords.
    fn hash(&self, parts: &[&str]) -> Option<[u8; 32]> {
        let key = PKey::hmac(&self.key).ok()?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key).ok()?;
        // Neither part contains control characters.
        signer.update(parts.join("\0").as_bytes()).ok()?;
        signer.sign_to_vec().ok()?.try_into().ok()
    }
}

/// The `WWW-Authenticate` header that asks for a user name and a password.
pub fn challenge(realm: &str) -> String {
    format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(credentials: &str) -> Option<Result<(String, String), PasswordRefusal>> {
        let parsed = Credentials::parse(&format!("basic {}", STANDARD.encode(credentials)))?;
        Some(parsed.map(|credentials| (credentials.user, credentials.password)))
    }

    #[test]
    fn passwords_may_hold_colons_and_names_may_not_be_empty() {
        let pair = |user: &str, password: &str| Some(Ok((user.to_owned(), password.to_owned())));
        assert_eq!(parse("bob:a:b"), pair("bob", "a:b"));
        assert_eq!(parse("bob:"), pair("bob", ""));
        for wrong in [":x", "bob", "", "bob:a\0b", "b\nob:x"] {
            assert_eq!(parse(wrong), Some(Err(PasswordRefusal::Malformed)), "{wrong:?}");
        }
        assert_eq!(
            parse(&format!("bob:{}", "x".repeat(1025))),
            Some(Err(PasswordRefusal::Malformed))
        );
        assert!(Credentials::parse("Bearer abc").is_none());
        assert!(Credentials::parse("Basic ?").is_some_and(|parsed| parsed.is_err()));
    }
}
