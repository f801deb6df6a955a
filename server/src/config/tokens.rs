//! `token_service.*`: the tokens that this server issues for registries and for itself.

use std::{path::PathBuf, time::Duration};

use platform::config::{ConfigError, Settings, Text};
use serde::Deserialize;

use super::duration;

const ISSUER: &str = "token_service.issuer";
const KEYS: &str = "token_service.keys";
const X5C: &str = "token_service.x5c";
const LIFETIME: &str = "token_service.lifetime";
const REFRESH_LIFETIME: &str = "token_service.refresh_lifetime";
const SERVICES: &str = "token_service.services";

/// The default lifetime of a token: as long as most registries' services give.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
/// Clients use every token for at least this long, whatever it says.
const SHORTEST: Duration = Duration::from_secs(60);
/// No registry learns that a token's holder was denied, so a token must not live long.
const LONGEST: Duration = Duration::from_secs(86_400);
/// A year: whoever logs in less often has to do it again.
const LONGEST_REFRESH: Duration = Duration::from_secs(366 * 86_400);

/// The token service of this server.
#[derive(Debug, Clone)]
pub struct TokenServiceSettings {
    /// Its name in tokens.
    pub issuer: String,
    /// The keys that sign tokens. The first one signs; the others are published, so that registries know them before
    /// and after they sign.
    pub keys: Vec<TokenKey>,
    /// Whether tokens carry the certificates of their key.
    pub x5c: bool,
    /// How long a token is valid.
    pub lifetime: Duration,
    /// How long a refresh token is valid; zero for none.
    pub refresh_lifetime: Duration,
    /// For whom tokens are issued.
    pub services: Vec<TokenAudience>,
}

/// A key that signs tokens.
#[derive(Debug, Clone)]
pub struct TokenKey {
    /// The private key, in PEM.
    pub file: PathBuf,
    /// Its certificate, followed by the issuers of that, in PEM.
    pub certificates: Option<PathBuf>,
}

/// A registry or trust server for which tokens are issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAudience {
    /// Its name in requests and in tokens.
    pub name: String,
    /// What the names of its repositories begin with in GUNs and in the policy, if it does not say so itself.
    pub host: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    file: Text,
    certificates: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Audience {
    name: Text,
    host: Option<Text>,
}

impl TokenServiceSettings {
    /// Reads the settings; `None` if no key of the section is set.
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let issuer = settings.text(ISSUER)?;
        let keys: Option<Vec<Key>> = settings.typed(KEYS)?;
        let x5c = settings.flag(X5C)?;
        let lifetime = duration(settings, LIFETIME)?;
        let refresh_lifetime = duration(settings, REFRESH_LIFETIME)?;
        let services: Option<Vec<Audience>> = settings.typed(SERVICES)?;
        let is_set = [
            issuer.is_some(),
            keys.is_some(),
            x5c.is_some(),
            lifetime.is_some(),
            refresh_lifetime.is_some(),
            services.is_some(),
        ];
        if !is_set.contains(&true) {
            return Ok(None);
        }
        let issuer = match issuer {
            Some(issuer) => issuer,
            None => settings
                .text("server.external_url")?
                .map(|url| url.trim_end_matches('/').to_owned())
                .ok_or_else(|| {
                    ConfigError::missing(
                        ISSUER,
                        "the name that registries know the token service by; its default is server.external_url",
                    )
                })?,
        };
        let lifetime = within(
            settings,
            LIFETIME,
            lifetime.unwrap_or(DEFAULT_LIFETIME),
            SHORTEST,
            LONGEST,
        )?;
        let refresh_lifetime = match refresh_lifetime.unwrap_or_default() {
            Duration::ZERO => Duration::ZERO,
            some => within(settings, REFRESH_LIFETIME, some, lifetime, LONGEST_REFRESH)?,
        };
        let x5c = x5c.unwrap_or(false);
        Ok(Some(Self {
            keys: read_keys(settings, keys.unwrap_or_default(), x5c)?,
            services: read_services(services.unwrap_or_default(), &issuer)?,
            issuer,
            x5c,
            lifetime,
            refresh_lifetime,
        }))
    }

    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.keys
            .iter()
            .flat_map(|key| std::iter::once(&key.file).chain(&key.certificates))
    }
}

fn within(
    settings: &Settings,
    key: &str,
    value: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let (least, most) = (
        humantime::format_duration(least),
        humantime::format_duration(most),
    );
    let written = settings.text(key)?.unwrap_or_default();
    Err(ConfigError::invalid(
        key,
        written,
        format!("a time from {least} to {most}"),
    ))
}

fn read_keys(settings: &Settings, keys: Vec<Key>, x5c: bool) -> Result<Vec<TokenKey>, ConfigError> {
    if keys.is_empty() {
        return Err(ConfigError::missing(
            KEYS,
            "a list with the file of the private key that signs tokens; make one with \
             \"openssl ecparam -name prime256v1 -genkey -noout -out FILE\"",
        ));
    }
    let named = keys.iter().position(|key| key.certificates.is_none());
    if let (true, Some(position)) = (x5c, named) {
        return Err(ConfigError::missing(
            &format!("{KEYS}[{position}].certificates"),
            format!("{X5C} puts the certificates of the key into tokens, so say where they are"),
        ));
    }
    Ok(keys
        .into_iter()
        .map(|key| TokenKey {
            file: settings.resolve(key.file.as_str()),
            certificates: key.certificates.map(|path| settings.resolve(path.as_str())),
        })
        .collect())
}

fn read_services(services: Vec<Audience>, issuer: &str) -> Result<Vec<TokenAudience>, ConfigError> {
    if services.is_empty() {
        return Err(ConfigError::missing(
            SERVICES,
            "a list with the name of each registry for which tokens are issued, as its configuration says it (service)",
        ));
    }
    let mut read: Vec<TokenAudience> = Vec::new();
    for (position, Audience { name, host }) in services.into_iter().enumerate() {
        let key = |part: &str| format!("{SERVICES}[{position}].{part}");
        let Text(name) = name;
        if read.iter().any(|known| known.name == name) {
            return Err(ConfigError::invalid(
                &key("name"),
                name,
                "names differ from each other",
            ));
        }
        if name == issuer {
            return Err(ConfigError::invalid(
                &key("name"),
                name,
                "another name than that of the token service itself, for which refresh tokens are",
            ));
        }
        let host = host.map(|Text(host)| host);
        if let Some(host) = &host
            && (host.contains("://") || host.ends_with('/') || host.contains(char::is_whitespace))
        {
            return Err(ConfigError::invalid(
                &key("host"),
                host,
                "the registry's name as image names begin, such as reg.example.com:5000",
            ));
        }
        read.push(TokenAudience { name, host });
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(section: Value) -> Result<Option<TokenServiceSettings>, String> {
        let tree = json!({"server": {"external_url": "https://trust.example/"}, "token_service": section});
        TokenServiceSettings::read(&Settings::new(tree, PathBuf::from("/c"), |_| None))
            .map_err(|cause| cause.to_string())
    }

    fn least() -> Value {
        json!({"keys": [{"file": "token.key"}], "services": [{"name": "registry"}]})
    }

    #[test]
    fn without_the_section_there_is_no_service_and_little_is_required() {
        assert!(read(Value::Null).unwrap().is_none());
        let read = read(least()).unwrap().unwrap();
        assert_eq!(read.issuer, "https://trust.example");
        assert_eq!(read.keys[0].file, PathBuf::from("/c/token.key"));
        assert_eq!(
            (read.lifetime, read.refresh_lifetime),
            (DEFAULT_LIFETIME, Duration::ZERO)
        );
        assert!(!read.x5c);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let with = |key: &str, value: Value| {
            let mut section = least();
            section[key] = value;
            read(section).unwrap_err()
        };
        for (key, value, expected) in [
            ("keys", json!([]), "no token_service.keys: a list"),
            ("keys", json!([{"fil": "x"}]), "did you mean file?"),
            ("services", json!([]), "no token_service.services"),
            (
                "services",
                json!([{"name": "a"}, {"name": "a"}]),
                "services[1].name: \"a\"",
            ),
            (
                "services",
                json!([{"name": "a", "host": "https://reg"}]),
                "services[0].host",
            ),
            (
                "services",
                json!([{"name": "https://trust.example"}]),
                "another name",
            ),
            ("lifetime", json!("59s"), "a time from 1m to 1day"),
            ("lifetime", json!("2days"), "a time from 1m to 1day"),
            ("refresh_lifetime", json!("1m"), "a time from 5m to"),
            ("x5c", json!(true), "token_service.keys[0].certificates"),
        ] {
            let refused = with(key, value.clone());
            assert!(refused.contains(expected), "{key} = {value}: {refused}");
        }
    }
}
