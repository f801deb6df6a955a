//! Which images have to be signed, as the configuration demands it.

use std::sync::Arc;

use platform::config::ConfigError;
use tuf::RoleName;

use super::ArtifactType;
use crate::{
    access::policy::Glob,
    config::{EnforceMode, EnforceRule},
};

/// The demands of a configuration, in their order.
#[derive(Debug, Clone, Default)]
pub struct Enforcement(Vec<Arc<Demand>>);

/// What is demanded of the images of some repositories.
#[derive(Debug)]
pub struct Demand {
    /// Its place in the configuration.
    pub place: String,
    /// What happens with an image that is not signed.
    pub mode: EnforceMode,
    /// The roles of which one has to name an image; any if there are none.
    pub signers: Vec<RoleName>,
    pattern: Glob,
    excepted: Vec<String>,
}

impl Enforcement {
    /// The demands of a configuration.
    ///
    /// # Errors
    /// When one is refused; the error names its place and what is allowed.
    pub fn new(written: &[(String, EnforceRule)]) -> Result<Self, ConfigError> {
        let demands = written
            .iter()
            .map(|(place, rule)| demand(place, rule).map(Arc::new));
        demands.collect::<Result<_, _>>().map(Self)
    }

    /// What is demanded of the images of a repository: what the first entry says whose pattern matches one of its names.
    pub fn of(&self, gun: &str, name: &str) -> Option<Arc<Demand>> {
        let matches = |demand: &&Arc<Demand>| {
            let pattern = &demand.pattern;
            pattern.matches(gun, None) || pattern.matches(name, None)
        };
        let found = self.0.iter().find(matches)?;
        (found.mode != EnforceMode::Off).then(|| Arc::clone(found))
    }

    /// Whether anything is demanded of anything.
    pub fn is_any(&self) -> bool {
        self.0.iter().any(|demand| demand.mode != EnforceMode::Off)
    }
}

impl Demand {
    /// Whether artifacts of this type need not be signed.
    pub fn excepts(&self, kind: &ArtifactType) -> bool {
        self.excepted.iter().any(|excepted| excepted == kind.as_str())
    }
}

fn demand(place: &str, written: &EnforceRule) -> Result<Demand, ConfigError> {
    let key = |name: &str| format!("{place}.{name}");
    let missing = |name: &str, expected: &str| ConfigError::missing(&key(name), expected);
    let pattern = written.pattern.as_ref().ok_or_else(|| {
        missing(
            "pattern",
            "the repositories that it is about, such as prod/** or ** for all",
        )
    })?;
    let glob = Glob::parse(pattern.as_str())
        .map_err(|why| ConfigError::invalid(&key("pattern"), pattern.as_str(), why))?;
    if glob.names_principal() {
        let why = "what has to be signed does not depend on who asks: ${principal} stands for nobody here";
        return Err(ConfigError::invalid(&key("pattern"), pattern.as_str(), why));
    }
    let mode = written
        .mode
        .ok_or_else(|| missing("mode", "signed, audit or off"))?;
    let mut signers = Vec::new();
    for name in written.signers.iter().flat_map(|names| &names.0) {
        let role = RoleName::parse(name).ok();
        let role = role.filter(|role| matches!(role, RoleName::Targets | RoleName::Delegation(_)));
        signers.push(role.ok_or_else(|| {
            let allowed = "a role that signs images: targets, or a delegation such as targets/releases";
            ConfigError::invalid(&key("signers"), name, allowed)
        })?);
    }
    if written.signers.is_some() && signers.is_empty() {
        let why = "at least one role; or leave the key out, and any role will do";
        return Err(ConfigError::invalid(&key("signers"), "[]", why));
    }
    let excepted = written.except_media_types.clone().unwrap_or_default().0;
    if let Some(kind) = excepted.iter().find(|kind| ArtifactType::is_of_images(kind)) {
        let why = "images have this type, and would need no signature; name the types of other artifacts, or set mode to off";
        return Err(ConfigError::invalid(&key("except_media_types"), kind, why));
    }
    Ok(Demand {
        place: place.to_owned(),
        mode,
        signers,
        pattern: glob,
        excepted,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn enforcement(rules: &Value) -> Result<Enforcement, String> {
        let rules: Vec<EnforceRule> = serde_json::from_value(rules.clone()).unwrap();
        let rules = rules.into_iter().enumerate();
        let written: Vec<_> = rules
            .map(|(at, rule)| (format!("registry.enforce[{at}]"), rule))
            .collect();
        Enforcement::new(&written).map_err(|cause| cause.to_string())
    }

    #[test]
    fn the_first_pattern_that_matches_decides_by_either_name() {
        let rules = json!([
            {"pattern": "dev/**", "mode": "off"},
            {"pattern": "reg.example/prod/**", "mode": "signed", "signers": "targets/releases"},
            {"pattern": "**", "mode": "audit"},
        ]);
        let enforcement = enforcement(&rules).unwrap();
        let mode = |name: &str| {
            enforcement
                .of(&format!("reg.example/{name}"), name)
                .map(|demand| demand.mode)
        };
        assert_eq!(mode("dev/app"), None);
        assert_eq!(mode("prod/app"), Some(EnforceMode::Signed));
        assert_eq!(mode("other"), Some(EnforceMode::Audit));
    }

    #[test]
    fn what_would_demand_nothing_or_everything_is_refused() {
        for (rule, expected) in [
            (json!({"mode": "signed"}), "registry.enforce[0].pattern"),
            (json!({"pattern": "**"}), "registry.enforce[0].mode"),
            (json!({"pattern": "***", "mode": "signed"}), "three stars"),
            (
                json!({"pattern": "${principal}/**", "mode": "signed"}),
                "does not depend on who asks",
            ),
            (
                json!({"pattern": "**", "mode": "signed", "signers": ["root"]}),
                "a role that signs images",
            ),
            (
                json!({"pattern": "**", "mode": "signed", "signers": []}),
                "at least one role",
            ),
            (
                json!({"pattern": "**", "mode": "signed", "except_media_types": ["application/vnd.oci.image.config.v1+json"]}),
                "images have this type",
            ),
        ] {
            let refusal = enforcement(&json!([rule])).unwrap_err();
            assert!(refusal.contains(expected), "{rule}: {refusal}");
        }
    }
}
