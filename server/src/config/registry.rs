//! `registry`: the registry for which this server receives requests. `registry/` interprets the patterns in it.

use std::{path::PathBuf, time::Duration};

use platform::config::{ConfigError, Settings, Text, Texts};
use reqwest::Url;
use serde::Deserialize;

use super::{PublicSettings, duration};

/// How long connecting to the registry may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the registry may take to answer: to complete a large upload takes some of them minutes.
const ANSWER: Duration = Duration::from_secs(120);
/// How long a body may stand still, in either direction.
const IDLE: Duration = Duration::from_secs(60);

/// The registry, and what it is asked for.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Its address: scheme, host and port.
    pub upstream: Url,
    /// The CA of its certificate; the system's CAs if absent.
    pub ca: Option<PathBuf>,
    /// This server's certificate chain and key for it.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// How this server logs in to it otherwise.
    pub login: Option<Login>,
    /// The host of the repositories, as GUNs begin.
    pub host: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long it may take to answer.
    pub answer_timeout: Duration,
    /// How long a body may stand still.
    pub idle_timeout: Duration,
    /// Which repositories' images have to be signed, each entry with its place such as `registry.enforce[0]`.
    pub enforce: Vec<(String, EnforceRule)>,
}

/// The file with what is sent in the `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// A bearer token.
    Token(PathBuf),
    /// A user name and a password, as `user:password`.
    Password(PathBuf),
}

impl Login {
    /// The file.
    pub fn file(&self) -> &PathBuf {
        match self {
            Self::Token(file) | Self::Password(file) => file,
        }
    }
}

/// What is demanded of the images of some repositories.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnforceRule {
    /// The repositories that it is about.
    pub pattern: Option<Text>,
    /// What is demanded.
    pub mode: Option<EnforceMode>,
    /// The roles of which one has to name an image.
    pub signers: Option<Texts>,
    /// The media types of artifacts that need not be signed.
    pub except_media_types: Option<Texts>,
}

/// What is demanded of an image that somebody pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnforceMode {
    /// Nothing.
    Off,
    /// That it is signed; otherwise that is recorded.
    Audit,
    /// That it is signed; otherwise the pull is refused.
    Signed,
}

impl RegistrySettings {
    /// Whether both are about the same registry and ask it in the same way.
    pub fn is_same_registry(&self, other: &Self) -> bool {
        let asks = |settings: &Self| {
            let timeouts = [
                settings.connect_timeout,
                settings.answer_timeout,
                settings.idle_timeout,
            ];
            let files = (
                settings.ca.clone(),
                settings.identity.clone(),
                settings.login.clone(),
            );
            (settings.upstream.clone(), settings.host.clone(), files, timeouts)
        };
        asks(self) == asks(other)
    }

    /// Reads the settings; `None` if there is no registry.
    pub(super) fn read(settings: &Settings, public: &PublicSettings) -> Result<Option<Self>, ConfigError> {
        const UPSTREAM: &str = "registry.upstream";
        let upstream = settings.text(UPSTREAM)?;
        let ca = settings.path("registry.upstream_ca")?;
        let certificate = settings.path("registry.upstream_client_cert")?;
        let key = settings.path("registry.upstream_client_key")?;
        let token = settings.path("registry.upstream_token_file")?;
        let password = settings.path("registry.upstream_password_file")?;
        let host = settings.text("registry.host")?;
        let timeout = |name: &str, default| timeout(settings, &format!("registry.{name}"), default);
        let connect_timeout = timeout("connect_timeout", CONNECT)?;
        let answer_timeout = timeout("answer_timeout", ANSWER)?;
        let idle_timeout = timeout("idle_timeout", IDLE)?;
        let enforce = settings.tables("registry.enforce")?;
        let Some(upstream) = upstream else {
            let others = [&ca, &certificate, &key, &token, &password];
            if others.iter().any(|file| file.is_some()) || host.is_some() || enforce.is_some() {
                let expected = "the URL of the registry, such as https://registry.internal:5000";
                return Err(ConfigError::missing(UPSTREAM, expected));
            }
            return Ok(None);
        };
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(without_other("upstream_client_key", "upstream_client_cert")),
            (None, Some(_)) => return Err(without_other("upstream_client_cert", "upstream_client_key")),
        };
        let login = match (token, password) {
            (Some(token), None) => Some(Login::Token(token)),
            (None, Some(password)) => Some(Login::Password(password)),
            (None, None) => None,
            (Some(token), Some(_)) => {
                let why = "a request has one Authorization header: leave this key or registry.upstream_password_file out";
                return Err(ConfigError::invalid(
                    "registry.upstream_token_file",
                    token.display(),
                    why,
                ));
            }
        };
        Ok(Some(Self {
            upstream: upstream_url(UPSTREAM, &upstream)?,
            ca,
            identity,
            login,
            host: host_of(host, public)?,
            connect_timeout,
            answer_timeout,
            idle_timeout,
            enforce: enforce.unwrap_or_default(),
        }))
    }
}

fn without_other(missing: &str, given: &str) -> ConfigError {
    let expected = format!("the other file of the pair, because registry.{given} is set");
    ConfigError::missing(&format!("registry.{missing}"), expected)
}

fn timeout(settings: &Settings, key: &str, default: Duration) -> Result<Duration, ConfigError> {
    let given = duration(settings, key)?.unwrap_or(default);
    if given.is_zero() {
        return Err(ConfigError::invalid(
            key,
            "0",
            "a time such as 30s; without a limit a registry that hangs would keep clients waiting",
        ));
    }
    Ok(given)
}

fn upstream_url(key: &str, text: &str) -> Result<Url, ConfigError> {
    let refused = |why: &str| ConfigError::invalid(key, text, why);
    let url = Url::parse(text)
        .ok()
        .filter(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
        })
        .ok_or_else(|| refused("https://host or https://host:port of the registry, without a path"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(
            "no user name or password in the URL: put them into a file (registry.upstream_password_file)",
        ));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(refused(
            "http:// only for a registry on this machine (127.0.0.1, [::1], localhost), because images could be changed \
             on the way: use https://, with registry.upstream_ca if a CA of your own issued its certificate",
        ));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The host of the repositories: as configured, otherwise that of `server.external_url`.
fn host_of(configured: Option<String>, public: &PublicSettings) -> Result<String, ConfigError> {
    const KEY: &str = "registry.host";
    let Some(host) = configured else {
        let external = public
            .external_url
            .as_deref()
            .and_then(|url| Url::parse(url).ok());
        let host = external
            .as_ref()
            .and_then(|url| Some((url.host_str()?, url.port())));
        return match host {
            Some((host, Some(port))) => Ok(format!("{host}:{port}")),
            Some((host, None)) => Ok(host.to_owned()),
            None => Err(ConfigError::missing(
                KEY,
                "the registry's host as image names begin, such as registry.example:5000; or set server.external_url",
            )),
        };
    };
    let url = Url::parse(&format!("https://{host}")).ok();
    let good = url.is_some_and(|url| {
        url.has_host() && url.path() == "/" && url.username().is_empty() && url.query().is_none()
    });
    if good && !host.ends_with('/') && host.is_ascii() {
        Ok(host)
    } else {
        Err(ConfigError::invalid(
            KEY,
            host,
            "host or host:port, as image names begin, without https://",
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(tree: Value) -> Result<Option<RegistrySettings>, String> {
        let settings = Settings::new(tree, PathBuf::from("/c"), |_| None);
        let public = PublicSettings::read(&settings).unwrap();
        RegistrySettings::read(&settings, &public).map_err(|cause| cause.to_string())
    }

    fn with(change: Value) -> Result<Option<RegistrySettings>, String> {
        let mut registry = json!({"upstream": "https://registry.internal:5000", "host": "reg.example"});
        for (key, value) in change.as_object().unwrap() {
            registry[key] = value.clone();
        }
        read(json!({"registry": registry}))
    }

    #[test]
    fn without_a_registry_there_are_no_settings() {
        assert!(read(json!({})).unwrap().is_none());
    }

    #[test]
    fn the_host_is_that_of_the_external_url_unless_it_is_configured() {
        let host = |url: &str| {
            let tree =
                json!({"server": {"external_url": url}, "registry": {"upstream": "http://127.0.0.1:5000"}});
            read(tree).unwrap().unwrap().host
        };
        assert_eq!(host("https://reg.example"), "reg.example");
        assert_eq!(host("https://reg.example:5443/"), "reg.example:5443");
        assert_eq!(with(json!({})).unwrap().unwrap().host, "reg.example");
        let neither = read(json!({"registry": {"upstream": "http://localhost:5000"}})).unwrap_err();
        assert!(neither.contains("registry.host") && neither.contains("server.external_url"));
    }

    #[test]
    fn what_is_refused_names_the_key_and_the_cure() {
        let cases = [
            (
                json!({"upstream": "http://registry.internal:5000"}),
                "use https://",
            ),
            (
                json!({"upstream": "http://127.0.0.1.evil.example"}),
                "use https://",
            ),
            (json!({"upstream": "ftp://x"}), "registry.upstream"),
            (json!({"upstream": "https://x/path"}), "without a path"),
            (
                json!({"upstream": "https://a:b@x"}),
                "registry.upstream_password_file",
            ),
            (
                json!({"upstream": ""}),
                "the configuration has no registry.upstream",
            ),
            (
                json!({"upstream_client_cert": "a.pem"}),
                "registry.upstream_client_key",
            ),
            (
                json!({"upstream_client_key": "a.pem"}),
                "registry.upstream_client_cert",
            ),
            (
                json!({"upstream_token_file": "a", "upstream_password_file": "b"}),
                "one Authorization header",
            ),
            (json!({"host": "https://reg.example"}), "registry.host"),
            (json!({"host": "reg.example/"}), "registry.host"),
            (json!({"idle_timeout": "0"}), "registry.idle_timeout"),
            (json!({"enforce": []}), "registry.enforce"),
            (json!({"enforce": [{"patern": "**"}]}), "did you mean pattern?"),
            (
                json!({"enforce": [{"pattern": "**", "mode": "on"}]}),
                "registry.enforce[0].mode",
            ),
        ];
        for (change, expected) in cases {
            let refusal = with(change.clone()).unwrap_err();
            assert!(refusal.contains(expected), "{change}: {refusal}");
        }
    }

    #[test]
    fn a_registry_on_this_machine_may_be_reached_over_http() {
        for upstream in ["http://localhost:5000", "http://127.0.0.1", "http://[::1]:5000/"] {
            assert!(with(json!({"upstream": upstream})).is_ok(), "{upstream}");
        }
    }
}
