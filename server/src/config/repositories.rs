//! `repositories.*`: which GUNs are served.

use std::fmt;

use platform::config::{ConfigError, Settings};

/// The prefixes of the GUNs that are served; empty for all GUNs.
#[derive(Debug, Clone, Default)]
pub struct GunPrefixes(Vec<String>);

impl GunPrefixes {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let key = "repositories.gun_prefixes";
        let prefixes = settings.list(key)?;
        for prefix in &prefixes {
            // The Notary server accepts "./" as well as clean relative paths.
            let path = prefix.strip_suffix('/').unwrap_or("");
            let clean = path == "." || path.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !clean {
                return Err(ConfigError::invalid(
                    key,
                    prefix,
                    "each prefix is a clean relative path that ends in one slash, such as docker.io/",
                ));
            }
        }
        Ok(Self(prefixes))
    }

    /// Each prefix; none if all are served.
    pub fn each(&self) -> &[String] {
        &self.0
    }

    /// Whether a GUN is served.
    pub fn allow(&self, gun: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|prefix| gun.starts_with(prefix.as_str()))
    }
}

/// Writes the prefixes as the Notary server does.
impl fmt::Display for GunPrefixes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{}]", self.0.join(" "))
    }
}
