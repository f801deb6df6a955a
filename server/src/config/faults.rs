//! Everything that is wrong with a configuration, where [`Config::read`] stops at the first.

use std::path::Path;

use platform::{
    config::{ConfigError, Settings},
    database::{Location, Options},
};

use super::{
    AuditSettings, Config, ENVIRONMENT_PREFIX, GunPrefixes, IdentitySettings, PasswordSettings,
    PolicySettings, PublicSettings, RefreshSettings, RegistrySettings, ReloadSettings, RevocationSettings,
    TokenServiceSettings, TokenSettings, TrustService, log_level, server,
};

impl Config {
    /// Like [`Config::load`], with every section that is refused.
    ///
    /// # Errors
    /// As there; at least one.
    pub fn load_or_every_fault(path: &Path, strict: bool) -> Result<Self, Vec<ConfigError>> {
        let first = match Self::load(path, strict) {
            Ok(config) => return Ok(config),
            Err(first) => first,
        };
        let more = Settings::load(path, ENVIRONMENT_PREFIX).map(|settings| of_sections(&settings));
        let known = first.to_string();
        let others = more.unwrap_or_default().into_iter();
        let others = others.filter(|other| other.to_string() != known);
        Err(std::iter::once(first).chain(others).collect())
    }
}

/// The first fault of each section, in the order in which [`Config::read`] reads them.
fn of_sections(settings: &Settings) -> Vec<ConfigError> {
    let public = PublicSettings::read(settings);
    let registry = public
        .as_ref()
        .ok()
        .and_then(|public| RegistrySettings::read(settings, public).err());
    let faults = [
        log_level(settings).err(),
        GunPrefixes::read(settings).err(),
        TrustService::read(settings).err(),
        Location::read(settings).err(),
        Options::read(settings).err(),
        server::listeners(settings).err(),
        public.err(),
        IdentitySettings::read(settings).err(),
        PolicySettings::read(settings).err(),
        RevocationSettings::read(settings).err(),
        TokenSettings::read(settings).err(),
        TokenServiceSettings::read(settings).err(),
        PasswordSettings::read(settings).err(),
        AuditSettings::read(settings).err(),
        RefreshSettings::read(settings).err(),
        registry,
        ReloadSettings::read(settings).err(),
    ];
    faults.into_iter().flatten().collect()
}
