//! The server's configuration: the Notary server's keys, and further ones of this program.

mod audit;
mod auth;
mod faults;
mod identity;
mod issuing;
mod native;
mod password;
mod policy;
mod proxies;
mod public;
mod reads;
mod refresh;
mod registry;
mod reload;
mod repositories;
mod revocation;
mod server;
mod tokens;
mod trust_service;
mod webhooks;

use std::{path::Path, time::Duration};

use platform::{
    config::{ConfigError, Sections, Settings},
    database::{Location, Options},
    logging::{LEVELS, Level},
};

pub use audit::{AuditSettings, Sink};
pub use auth::{Realm, TokenSettings};
pub use identity::{IdentityRule, IdentitySettings, Issuer, Requirements};
pub use issuing::IssuingSettings;
pub use native::NativeSettings;
pub use password::PasswordSettings;
pub use policy::{Effect, OwnKey, PolicyMode, PolicyRule, PolicySettings};
pub use proxies::{ForwardedCertificate, ProxyTrust, networks};
pub use public::PublicSettings;
pub use reads::ReadSettings;
pub use refresh::RefreshSettings;
pub use registry::{EnforceMode, EnforceRule, Login, RegistrySettings};
pub use reload::ReloadSettings;
pub use repositories::GunPrefixes;
pub use revocation::{CrlSettings, Depth, Fail, FailPolicy, Nonce, OcspSettings, RevocationSettings};
pub use server::{Listener, Serves, client_cas};
pub use tokens::{TokenAudience, TokenKey, TokenServiceSettings};
pub use trust_service::TrustService;
pub use webhooks::WebhookSettings;

/// The start of the names of environment variables that override keys.
pub const ENVIRONMENT_PREFIX: &str = "NOTARY_SERVER";
/// The default of how far versions may jump: far more than anyone publishes before reading what is stored.
const VERSION_STEP: i64 = 1_000;
/// The clients' download limit, in bytes: they could not read larger documents.
const PUBLISH_LIMIT: i64 = 100 * 1024 * 1024;
/// What all publishes together may take at least, in bytes; never less than the largest one takes.
const UPLOAD_MEMORY: i64 = 256 * 1024 * 1024;
/// How many times the size of a publish the memory is that it takes, at the most.
pub const UPLOAD_TIMES: usize = 3;
/// Handshakes in flight from one address: many more than a build farm behind one address needs.
const HANDSHAKES_PER_ADDRESS: i64 = 256;
/// Open connections from one address: many more than a build farm behind one address needs.
const CONNECTIONS_PER_ADDRESS: i64 = 512;
/// How many seconds a client may leave a response unread.
const WRITE_TIMEOUT: i64 = 30;
/// How many unused keys one principal may have: enough to create many repositories at once.
const PENDING_KEYS: i64 = 256;
/// How long unused keys are kept: a root may be signed at a ceremony long after its keys were asked for.
const PENDING_KEYS_KEPT: Duration = Duration::from_secs(60 * 86_400);
/// How many seconds caches may keep current metadata; the Notary default.
const CURRENT_MAX_AGE: i64 = 300;
/// How many seconds caches may keep metadata named by version or checksum; the Notary default.
const CONSISTENT_MAX_AGE: i64 = 2_592_000;
/// A year, in seconds.
const MAX_AGE_LIMIT: i64 = 31_536_000;
/// How many seconds requests in flight may take when the server stops.
const SHUTDOWN_TIMEOUT: i64 = 30;

/// The whole configuration of the server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The listeners and what they ask of clients; at least one.
    pub listeners: Vec<Listener>,
    /// The server's URL and CA as clients see them.
    pub public: PublicSettings,
    /// The identity rules; if there are none, the built-in ones apply.
    pub identity: Option<IdentitySettings>,
    /// The policy; without one, every client with an identity may do everything.
    pub policy: Option<PolicySettings>,
    /// How revoked certificates are detected.
    pub revocation: RevocationSettings,
    /// The token service to which clients without a certificate are sent; `None` if there is none.
    pub auth: Option<TokenSettings>,
    /// The token service of this server itself; `None` if it issues no tokens.
    pub token_service: Option<TokenServiceSettings>,
    /// The client CA of this server; `None` if it issues no certificates.
    pub issuing: Option<IssuingSettings>,
    /// The users who may log in with a password; `None` if that is switched off.
    pub password: Option<PasswordSettings>,
    /// Who signs timestamps and snapshots.
    pub trust_service: TrustService,
    /// Where metadata is stored.
    pub storage: Location,
    /// How the database is used.
    pub storage_options: Options,
    /// How much is logged.
    pub log_level: Level,
    /// Which GUNs are served.
    pub gun_prefixes: GunPrefixes,
    /// How long caches may keep metadata.
    pub caching: Caching,
    /// What is kept in memory for readers.
    pub reads: ReadSettings,
    /// Which decisions and changes are recorded.
    pub audit: AuditSettings,
    /// When timestamps are renewed in the background.
    pub refresh: RefreshSettings,
    /// Who is told of what happens to repositories.
    pub webhooks: Vec<WebhookSettings>,
    /// The registry for which requests are received; `None` if there is none.
    pub registry: Option<RegistrySettings>,
    /// How TUF 1.0 repositories are hosted; `None` if they are not.
    pub native: Option<NativeSettings>,
    /// When changed files are taken up.
    pub reload: ReloadSettings,
    /// The largest publish, in bytes.
    pub publish_limit: usize,
    /// The memory that all publishes together may take, in bytes.
    pub upload_memory: usize,
    /// How far a document's version may be above the last one.
    pub version_step: u32,
    /// How many handshakes may be in flight from one address.
    pub handshakes_per_address: usize,
    /// How many connections may be open from one address.
    pub connections_per_address: usize,
    /// How long a client may leave a response unread.
    pub write_timeout: Duration,
    /// The limits on keys that no root names yet.
    pub pending_keys: PendingKeys,
    /// How long requests in flight may take when the server stops.
    pub shutdown_timeout: Duration,
    /// What an operator should know about the file, as sentences.
    pub warnings: Vec<String>,
}

/// The limits on keys that were asked for and that no root names yet.
#[derive(Debug, Clone, Copy)]
pub struct PendingKeys {
    /// How many keys may wait for one principal.
    pub limit: i64,
    /// How long a key may wait before it is deleted.
    pub lifetime: Duration,
}

/// How long caches may keep responses, in seconds; 0 forbids it.
#[derive(Debug, Clone, Copy)]
pub struct Caching {
    /// For metadata requested by role only.
    pub current: u32,
    /// For metadata requested by version or checksum, which never changes.
    pub consistent: u32,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When the file or a value in it is refused. Also for an unknown key that may have been meant to decide about
    /// security; with `strict`, for any unknown key.
    pub fn load(path: &Path, strict: bool) -> Result<Self, ConfigError> {
        let settings = Settings::load(path, ENVIRONMENT_PREFIX)?;
        let mut config = Self::read(&settings)?;
        let unknown = settings.tolerate_unknown_keys(&SECTIONS, strict)?;
        config.warnings.extend(unknown.iter().map(ToString::to_string));
        Ok(config)
    }

    /// Reads the values in the order in which the Notary server reports errors about them.
    ///
    /// # Errors
    /// When a value is missing or refused.
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let log_level = log_level(settings)?;
        let gun_prefixes = GunPrefixes::read(settings)?;
        ignore_reporting(settings)?;
        let trust_service = TrustService::read(settings)?;
        let storage = Location::read(settings)?;
        let storage_options = Options::read(settings)?;
        let caching = Caching {
            current: max_age(settings, "caching.max_age.current_metadata", CURRENT_MAX_AGE)?,
            consistent: max_age(
                settings,
                "caching.max_age.consistent_metadata",
                CONSISTENT_MAX_AGE,
            )?,
        };
        let listeners = server::listeners(settings)?;
        let public = PublicSettings::read(settings)?;
        let identity = IdentitySettings::read(settings)?;
        let policy = PolicySettings::read(settings)?;
        let revocation = RevocationSettings::read(settings)?;
        let auth = TokenSettings::read(settings)?;
        let token_service = TokenServiceSettings::read(settings)?;
        let issuing = IssuingSettings::read(settings)?;
        let password = PasswordSettings::read(settings)?;
        let audit = AuditSettings::read(settings)?;
        let reads = ReadSettings::read(settings)?;
        let refresh = RefreshSettings::read(settings)?;
        let registry = RegistrySettings::read(settings, &public)?;
        let native = NativeSettings::read(settings)?;
        let reload = ReloadSettings::read(settings)?;
        let webhooks = WebhookSettings::read(settings)?;
        let publish_limit = settings
            .integer("limits.publish_bytes", 1..=i64::from(u32::MAX))?
            .unwrap_or(PUBLISH_LIMIT);
        let upload_memory = settings
            .integer("limits.upload_memory", 1024 * 1024..=i64::from(u32::MAX) * 1024)?
            .unwrap_or(UPLOAD_MEMORY.max(publish_limit.saturating_mul(UPLOAD_TIMES as i64)));
        let version_step = settings
            .integer("limits.version_step", 1..=i64::from(i32::MAX))?
            .unwrap_or(VERSION_STEP);
        let handshakes_per_address = settings
            .integer("limits.handshakes_per_address", 1..=i64::from(u16::MAX))?
            .unwrap_or(HANDSHAKES_PER_ADDRESS);
        let connections_per_address = settings
            .integer("limits.connections_per_address", 1..=i64::from(u16::MAX))?
            .unwrap_or(CONNECTIONS_PER_ADDRESS);
        let write_timeout = settings
            .integer("limits.write_timeout", 1..=3600)?
            .unwrap_or(WRITE_TIMEOUT);
        let pending_keys = PendingKeys {
            limit: settings
                .integer("limits.pending_keys", 2..=1_000_000)?
                .unwrap_or(PENDING_KEYS),
            lifetime: duration(settings, "limits.pending_keys_kept")?.unwrap_or(PENDING_KEYS_KEPT),
        };
        let shutdown_timeout = settings
            .integer("server.shutdown_timeout", 0..=3600)?
            .unwrap_or(SHUTDOWN_TIMEOUT);
        let warnings = without_policy(&listeners, policy.is_some());
        Ok(Self {
            listeners,
            public,
            identity,
            policy,
            revocation,
            auth,
            token_service,
            issuing,
            password,
            trust_service,
            storage,
            storage_options,
            log_level,
            gun_prefixes,
            caching,
            reads,
            audit,
            refresh,
            registry,
            native,
            reload,
            webhooks,
            publish_limit: usize::try_from(publish_limit).unwrap_or(usize::MAX),
            upload_memory: usize::try_from(upload_memory).unwrap_or(usize::MAX),
            version_step: u32::try_from(version_step).unwrap_or(u32::MAX),
            handshakes_per_address: usize::try_from(handshakes_per_address).unwrap_or(usize::MAX),
            connections_per_address: usize::try_from(connections_per_address).unwrap_or(usize::MAX),
            write_timeout: Duration::from_secs(write_timeout.unsigned_abs()),
            pending_keys,
            shutdown_timeout: Duration::from_secs(shutdown_timeout.unsigned_abs()),
            warnings,
        })
    }
}

/// How unknown keys are treated. The sections listed here are those that no Notary server has.
const SECTIONS: Sections = Sections {
    ours: &[
        "access",
        "audit",
        "auth.password",
        "client_cas",
        "identity",
        "issuing",
        "limits",
        "listeners",
        "policy",
        "proxies",
        "reads",
        "refresh",
        "registry",
        "reload",
        "revocation",
        "tls",
        "token_service",
        "tuf",
        "webhooks",
    ],
    security: &[
        "access",
        "audit",
        "auth",
        "client_cas",
        "identity",
        "issuing",
        "listeners",
        "policy",
        "proxies",
        "reads.max_staleness",
        "registry",
        "repositories.gun_prefixes",
        "revocation",
        "server.client_ca_file",
        "server.forwarded_certificate",
        "server.proxy_protocol",
        "server.tls_cert_file",
        "server.tls_key_file",
        "server.trusted_proxies",
        "tls",
        "token_service",
    ],
    other_variables: false,
};

/// The sections that Notary's server has as well.
const NOTARYS: [&str; 8] = [
    "auth",
    "caching",
    "logging",
    "reporting",
    "repositories",
    "server",
    "storage",
    "trust_service",
];

/// The values of a configuration file, for commands that need only some of them. A server need not be able to start
/// with the file.
///
/// # Errors
/// When it cannot be read, or a section that decides about security is misspelt.
pub fn settings(path: &Path) -> Result<Settings, ConfigError> {
    let settings = Settings::load(path, ENVIRONMENT_PREFIX)?;
    if Config::read(&settings).is_err() {
        settings.assume_known(&NOTARYS);
        settings.assume_known(SECTIONS.ours);
    }
    settings.tolerate_unknown_keys(&SECTIONS, false)?;
    Ok(settings)
}

/// Warns about what a Notary configuration means: a client CA gives more rights than most operators expect.
fn without_policy(listeners: &[Listener], policy: bool) -> Vec<String> {
    let asks = listeners.iter().any(Listener::asks);
    let open = !policy && asks;
    open.then(|| {
        "there is no policy: every client with a certificate of a client CA may publish to, rotate keys of and delete \
         every repository (policy)"
            .to_owned()
    })
    .into_iter()
    .collect()
}

fn log_level(settings: &Settings) -> Result<Level, ConfigError> {
    let Some(text) = settings.text("logging.level")? else {
        return Ok(Level::Info);
    };
    text.parse().map_err(|()| {
        let names: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
        ConfigError::invalid("logging.level", &text, format!("allowed: {}", names.join(", ")))
    })
}

/// A time such as `4d 12h`, `90s`, or a number of seconds.
///
/// # Errors
/// When the value is not a time.
pub fn duration(settings: &Settings, key: &str) -> Result<Option<Duration>, ConfigError> {
    let Some(text) = settings.text(key)? else {
        return Ok(None);
    };
    let seconds = text.parse().ok().map(Duration::from_secs);
    let parsed = seconds.or_else(|| humantime::parse_duration(&text).ok());
    parsed
        .map(Some)
        .ok_or_else(|| ConfigError::invalid(key, &text, "a time such as 4d 12h, or seconds"))
}

fn max_age(settings: &Settings, key: &str, default: i64) -> Result<u32, ConfigError> {
    let seconds = settings.integer(key, 0..=MAX_AGE_LIMIT)?.unwrap_or(default);
    Ok(u32::try_from(seconds).unwrap_or(0))
}

/// No crash reports are sent to a third party. The keys are accepted so that old files work unchanged.
fn ignore_reporting(settings: &Settings) -> Result<(), ConfigError> {
    for key in ["api_key", "release_stage", "endpoint"] {
        settings.text(&format!("reporting.bugsnag.{key}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use platform::tls::ClientAuth;
    use serde_json::{Value, json};

    use super::*;

    fn read(tree: Value) -> Result<Config, String> {
        Config::read(&Settings::new(tree, PathBuf::from("/c"), |_| None)).map_err(|e| e.to_string())
    }

    fn notary_file() -> Value {
        json!({
            "server": {"http_addr": "127.0.0.1:4443", "tls_key_file": "./server.key",
                       "tls_cert_file": "./server.crt", "client_ca_file": "./ca.crt"},
            "trust_service": {"type": "remote", "hostname": "signer", "port": "7899",
                              "tls_ca_file": "./ca.crt", "key_algorithm": "ecdsa",
                              "tls_client_cert": "./client.crt", "tls_client_key": "./client.key"},
            "storage": {"backend": "sqlite3", "db_url": "notary.db"},
            "logging": {"level": "DEBUG"}
        })
    }

    #[test]
    fn a_notary_file_starts_unchanged_and_requires_certificates() {
        let config = read(notary_file()).unwrap();
        let tls = config.listeners[0].tls.as_ref().unwrap();
        assert_eq!(tls.client_auth, ClientAuth::Require);
        assert_eq!(config.storage, Location::Sqlite("/c/notary.db".into()));
        assert_eq!(config.log_level, Level::Debug);
        assert_eq!(
            (config.caching.current, config.caching.consistent),
            (300, 2_592_000)
        );
    }

    #[test]
    fn refusals_name_the_key_and_what_is_allowed() {
        let refused = |change: fn(&mut Value)| {
            let mut tree = notary_file();
            change(&mut tree);
            read(tree).unwrap_err()
        };
        let cases = [
            (
                refused(|t| t["storage"]["backend"] = json!("Sqlite3")),
                "storage.backend: \"Sqlite3\" (allowed: sqlite3, postgres, mysql, memory)",
            ),
            (
                refused(|t| t["trust_service"]["type"] = json!("hsm")),
                "trust_service.type: \"hsm\" (allowed: local, remote)",
            ),
            (
                refused(|t| t["trust_service"]["key_algorithm"] = json!("rsa")),
                "trust_service.key_algorithm: \"rsa\" (allowed: ecdsa, ed25519)",
            ),
            (
                refused(|t| t["trust_service"]["port"] = json!("x")),
                "trust_service.port: \"x\" (a whole number from 1 to 65535)",
            ),
            (
                refused(|t| t["server"]["http_addr"] = json!("4443")),
                "server.http_addr: \"4443\" (host:port",
            ),
            (
                refused(|t| t["server"]["tls_key_file"] = json!("")),
                "server.tls_key_file",
            ),
            (
                refused(|t| t["logging"]["level"] = json!("2")),
                "logging.level: \"2\" (allowed: panic",
            ),
            (
                refused(|t| t["caching"] = json!({"max_age": {"current_metadata": -1}})),
                "from 0 to 31536000",
            ),
            (
                refused(|t| t["repositories"] = json!({"gun_prefixes": ["docker.io"]})),
                "\"docker.io\"",
            ),
            (
                refused(|t| t["tls"] = json!({"client_auth": "maybe"})),
                "tls.client_auth: \"maybe\" (allowed: off, request, require)",
            ),
            (
                refused(|t| t["auth"] = json!({"type": "htpasswd"})),
                "auth.type: \"htpasswd\" (allowed: token)",
            ),
        ];
        for (message, expected) in cases {
            assert!(message.contains(expected), "{message} should contain {expected}");
        }
    }
}
