//! `webhooks`: who is told of what happens to repositories.

use std::path::PathBuf;

use platform::config::{ConfigError, Settings, Text, Texts, unknown_name};
use reqwest::Url;
use serde::Deserialize;

/// The kinds of events.
const KINDS: [&str; 3] = ["published", "renewed", "deleted"];
/// Those that a webhook is told of unless it names others: renewals are no news for most.
const DEFAULT_KINDS: [&str; 2] = ["published", "deleted"];
/// The longest name.
const NAME_LIMIT: usize = 64;
/// How often an event is sent at most, unless configured.
const ATTEMPTS: u32 = 8;

/// One receiver of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Its place in the configuration, such as `webhooks[0]`.
    pub place: String,
    /// Its name in commands, logs and the database.
    pub name: String,
    /// Where events are sent.
    pub url: Url,
    /// The file with the secret that signs them.
    pub secret_file: PathBuf,
    /// The patterns of the repositories that it is told of; all if there are none.
    pub guns: Vec<String>,
    /// The kinds of events that it is told of.
    pub kinds: Vec<String>,
    /// The CA of its certificate, if the system does not know it.
    pub ca_file: Option<PathBuf>,
    /// Whether it may have an address of a private network, or of this machine.
    pub allow_private: bool,
    /// How often an event is sent at most.
    pub attempts: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Text,
    url: Text,
    secret_file: Text,
    guns: Option<Texts>,
    events: Option<Texts>,
    ca_file: Option<Text>,
    #[serde(default)]
    allow_private: bool,
    attempts: Option<u32>,
}

impl WebhookSettings {
    /// The webhooks of a configuration.
    ///
    /// # Errors
    /// When a key is unknown or missing, or a value is refused.
    pub fn read(settings: &Settings) -> Result<Vec<Self>, ConfigError> {
        let tables = settings.tables::<Table>("webhooks")?.unwrap_or_default();
        let mut found: Vec<Self> = Vec::with_capacity(tables.len());
        for (place, table) in tables {
            let webhook = Self::new(settings, place, table)?;
            if found.iter().any(|other| other.name == webhook.name) {
                let key = format!("{}.name", webhook.place);
                return Err(ConfigError::invalid(
                    &key,
                    webhook.name,
                    "another webhook has this name",
                ));
            }
            found.push(webhook);
        }
        Ok(found)
    }

    fn new(settings: &Settings, place: String, table: Table) -> Result<Self, ConfigError> {
        let key = |name: &str| format!("{place}.{name}");
        let name = table.name.0;
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if name.len() > NAME_LIMIT || !name.bytes().all(plain) {
            let allowed = "lower-case letters, digits, - and _, at most 64";
            return Err(ConfigError::invalid(&key("name"), name, allowed));
        }
        let text = table.url.0;
        let url = Url::parse(&text).ok().filter(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        });
        let Some(url) = url else {
            let allowed = "an https:// or http:// URL without a user name; the secret signs what is sent";
            return Err(ConfigError::invalid(&key("url"), text, allowed));
        };
        let kinds = match table.events {
            Some(Texts(kinds)) => kinds,
            None => DEFAULT_KINDS.map(str::to_owned).to_vec(),
        };
        if let Some(unknown) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            return Err(ConfigError::invalid(
                &key("events"),
                unknown,
                unknown_name(unknown, &KINDS),
            ));
        }
        let attempts = table.attempts.unwrap_or(ATTEMPTS);
        if !(1..=100).contains(&attempts) {
            return Err(ConfigError::invalid(&key("attempts"), attempts, "1 to 100"));
        }
        Ok(Self {
            name,
            url,
            secret_file: settings.resolve(table.secret_file.as_str()),
            guns: table.guns.unwrap_or_default().0,
            kinds,
            ca_file: table.ca_file.map(|path| settings.resolve(path.as_str())),
            allow_private: table.allow_private,
            attempts,
            place,
        })
    }
}
