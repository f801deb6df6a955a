//! `auth.password.*`: users with passwords, in addition to or instead of certificates.

use std::path::PathBuf;

use platform::config::{ConfigError, Settings};

use super::Listener;

/// The default realm, which clients show when they ask for a password.
const REALM: &str = "Countersign";

/// Who may log in with a password.
#[derive(Debug, Clone)]
pub struct PasswordSettings {
    /// Users and hashed passwords, as htpasswd writes them.
    pub file: PathBuf,
    /// Groups and their users.
    pub groups: Option<PathBuf>,
    /// The realm, which clients show when they ask for a password: printable ASCII without quotes.
    pub realm: String,
    /// Whether passwords are accepted over unencrypted connections.
    pub allow_plain_http: bool,
}

impl PasswordSettings {
    /// Reads the settings; `None` if passwords are not enabled.
    ///
    /// # Errors
    /// When a value is missing or refused.
    pub fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let enabled = settings.flag("auth.password.enabled")?.unwrap_or(false);
        let file = settings.path("auth.password.file")?;
        let groups = settings.path("auth.password.groups")?;
        let realm = settings
            .text("auth.password.realm")?
            .unwrap_or_else(|| REALM.to_owned());
        let allow_plain_http = settings.flag("auth.password.allow_plain_http")?.unwrap_or(false);
        if !enabled {
            return Ok(None);
        }
        if !realm
            .chars()
            .all(|c| (' '..='~').contains(&c) && !['"', '\\'].contains(&c))
        {
            return Err(ConfigError::invalid(
                "auth.password.realm",
                realm,
                "printable ASCII characters without quotes and backslashes",
            ));
        }
        let file = file.ok_or_else(|| {
            ConfigError::missing(
                "auth.password.file",
                "auth.password.enabled needs a file of users; make one with \"htpasswd -B -c FILE USER\"",
            )
        })?;
        Ok(Some(Self {
            file,
            groups,
            realm,
            allow_plain_http,
        }))
    }

    /// Whether a listener accepts passwords: over TLS, or from this machine only.
    pub fn taken_at(&self, listener: &Listener) -> bool {
        let local = || {
            listener
                .addresses
                .iter()
                .all(|address| address.ip().is_loopback())
        };
        listener.tls.is_some() || local() || self.allow_plain_http
    }
}
