//! `auth.*`: the token service for clients without a certificate.

use std::path::PathBuf;

use platform::config::{ConfigError, Settings};

/// Where clients get their tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Realm {
    /// From this URL.
    Url(String),
    /// From `/auth/token` on the host to which they sent their request (`autoredirect`).
    SameHost,
}

/// Who issues tokens, and for which service.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// Where clients get tokens.
    pub realm: Realm,
    /// This server's name in tokens.
    pub service: String,
    /// The issuer's name in tokens.
    pub issuer: String,
    /// The certificates of keys that sign tokens, in PEM.
    pub bundle: PathBuf,
}

impl TokenSettings {
    /// Reads the settings; `None` if no authentication is configured. An unknown type is refused: a server configured
    /// to require authentication must not start without it.
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let kind = settings.choice("auth.type", &[("token", ())])?;
        let same_host = settings.flag("auth.options.autoredirect")?.unwrap_or(false);
        let option = |name: &str| settings.text(&format!("auth.options.{name}"));
        let options = [
            option("realm")?,
            option("service")?,
            option("issuer")?,
            option("rootcertbundle")?,
        ];
        if kind.is_none() {
            return Ok(None);
        }
        let [realm, service, issuer, bundle] = options;
        let required = |name: &str, value: Option<String>| {
            let expected = format!("token auth requires a valid option string: {name:?}");
            value.ok_or_else(|| ConfigError::missing(&format!("auth.options.{name}"), expected))
        };
        let realm = required("realm", realm)?;
        Ok(Some(Self {
            realm: if same_host {
                Realm::SameHost
            } else {
                Realm::Url(realm)
            },
            service: required("service", service)?,
            issuer: required("issuer", issuer)?,
            // Relative to the working directory, not to the file, as in Notary.
            bundle: PathBuf::from(required("rootcertbundle", bundle)?),
        }))
    }
}
