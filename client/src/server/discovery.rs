//! Finds how a server is reached where docker and notary users have said so already.
//!
//! Address: what was given; `DOCKER_CONTENT_TRUST_SERVER`; `remote_server.url` of `~/.notary/config.json`; the registry's
//! own host (for `docker.io` Docker's server). CA and client certificate, each: what was given;
//! `~/.docker/tls/<host[:port]>`; `~/.notary/config.json`, if it is about the same server.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use chrono::Utc;
use platform::{reason, tls};
use reqwest::Url;
use serde_json::Value;

use super::docker_login;
use super::settings::{Connection, Credentials, Identity, ServerSettings, SettingsError, Trust};

/// Docker's server for the images of Docker Hub.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://notary.docker.io");

/// The registry of Docker Hub, which has another name than its images.
const HUB_REGISTRY: &str = "registry-1.docker.io";
/// Where engines keep the certificates for registries.
const ENGINE_CERTIFICATES: &str = "/etc/docker/certs.d";

/// Where it is looked for.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Docker's directory, usually `~/.docker`.
    pub docker: Option<PathBuf>,
    /// The configuration file of the notary client, usually `~/.notary/config.json`.
    pub notary: Option<PathBuf>,
    /// The server that `DOCKER_CONTENT_TRUST_SERVER` names.
    pub trust_server: Option<String>,
}

/// What a place says about CAs and client certificate.
#[derive(Default)]
struct Found {
    trust: Option<Trust>,
    identity: Option<Identity>,
}

impl Discovery {
    /// The places that docker and notary use, for the user that this process runs as.
    pub fn from_environment() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let home = set("HOME").map(PathBuf::from);
        let below = |name: &str| home.as_ref().map(|home| home.join(name));
        Self {
            docker: set("DOCKER_CONFIG").map(PathBuf::from).or(below(".docker")),
            notary: below(".notary/config.json"),
            trust_server: env::var("DOCKER_CONTENT_TRUST_SERVER")
                .ok()
                .filter(|value| !value.is_empty()),
        }
    }

    /// Completes what was given for a repository of the registry at `host[:port]`.
    ///
    /// # Errors
    /// When an address is none, or a file that was found cannot be used: nothing that somebody has configured is
    /// passed over in silence.
    pub fn complete(&self, given: &ServerSettings, registry: &str) -> Result<Connection, SettingsError> {
        let config = match &self.notary {
            Some(path) => NotaryConfig::read(path)?,
            None => None,
        };
        let (written, explicit, why) = self.address(given, config.as_ref(), registry);
        let url = address(&written, given)?;
        let mut found = vec![format!("the server is {url}, {why}")];
        let mut trust = given.ca.clone().map(Trust::only);
        let mut identity = given.identity.clone();
        let docker = match &self.docker {
            Some(docker) => directory_for(docker, &written, &url),
            None => None,
        };
        let mut places = Vec::new();
        if let Some(directory) = docker {
            places.push((directory.clone(), docker_directory(&directory)?));
        }
        if let Some(config) = config
            && config.is_about(&url, explicit)
        {
            places.push((config.path.clone(), config.found()?));
        }
        for (place, its) in places {
            if let (None, Some(its)) = (&trust, its.trust) {
                found.push(format!("trusted CAs are from {}", place.display()));
                trust = Some(its);
            }
            if let (None, Some(its)) = (&identity, its.identity) {
                found.push(format!("the client certificate is {its}"));
                identity = Some(its);
            }
        }
        if url.scheme() == "http" {
            // Whatever was found is for TLS.
            identity = None;
        }
        Ok(Connection {
            url,
            trust: trust.unwrap_or_else(Trust::system),
            identity,
            credentials: given.credentials.clone(),
            found,
            unused_login: None,
        })
    }

    /// The address of the server for a repository of the registry at `host[:port]`, as [`Server::label`](super::Server::label)
    /// is. Certificates are not looked for.
    ///
    /// # Errors
    /// When the address is none, or the file that names it cannot be used.
    pub fn label(&self, given: &ServerSettings, registry: &str) -> Result<String, SettingsError> {
        let config = match &self.notary {
            Some(path) => NotaryConfig::read(path)?,
            None => None,
        };
        let (written, ..) = self.address(given, config.as_ref(), registry);
        let url = address(&written, given)?;
        Ok(super::label(&url))
    }

    /// How the registry at `host[:port]` itself is reached, by somebody whose trust server has these settings. CA and
    /// client certificate are those of `/etc/docker/certs.d/<host[:port]>`, as for the engine; else those of
    /// `~/.docker/tls/<host[:port]>`; else those that were given, with the system's CAs. Tokens and passwords of the trust
    /// server are for a registry only that is the same server; others have the login of Docker's `config.json`.
    ///
    /// # Errors
    /// As [`complete`](Self::complete).
    pub fn registry(&self, given: &ServerSettings, registry: &str) -> Result<Connection, SettingsError> {
        let trust_server = self.complete(given, registry)?;
        let (hub, _) = DOCKER_HUB;
        let host = if registry == hub { HUB_REGISTRY } else { registry };
        let settings = ServerSettings {
            url: Some(format!("https://{host}")),
            ..ServerSettings::default()
        };
        let url = address(&format!("https://{host}"), &settings)?;
        if url.origin() == trust_server.url.origin() {
            return Ok(Connection { url, ..trust_server });
        }
        let places = Self {
            notary: None,
            ..self.clone()
        };
        let mut connection = places.complete(&settings, registry)?;
        if let (true, Some(ca)) = (connection.trust == Trust::system(), &given.ca) {
            connection.trust.files.push(ca.clone());
        }
        connection.identity = connection.identity.or_else(|| given.identity.clone());
        let directory = Path::new(ENGINE_CERTIFICATES).join(registry);
        if !registry.starts_with('.') && directory.is_dir() {
            let found = docker_directory(&directory)?;
            connection.trust = found.trust.unwrap_or(connection.trust);
            connection.identity = found.identity.or(connection.identity);
            connection.found.push(format!(
                "the engine's certificates are in {}",
                directory.display()
            ));
        }
        let login = self.login(registry)?;
        connection.credentials = login.credentials;
        connection.unused_login = login.unused;
        Ok(connection)
    }

    /// How a registry is reached over plain HTTP. A password is sent only to this machine itself.
    ///
    /// # Errors
    /// When its name is none, or Docker's configuration cannot be used.
    pub fn plain_registry(&self, registry: &str) -> Result<Connection, SettingsError> {
        let settings = ServerSettings {
            url: Some(format!("http://{registry}")),
            allow_http: true,
            ..ServerSettings::default()
        };
        let url = address(&format!("http://{registry}"), &settings)?;
        let login = if is_this_machine(registry) {
            self.login(registry)?
        } else {
            docker_login::Login {
                unused: Some("no password is sent over plain HTTP to another machine".to_owned()),
                ..docker_login::Login::default()
            }
        };
        Ok(Connection {
            url,
            trust: Trust::system(),
            identity: None,
            credentials: login.credentials,
            found: Vec::new(),
            unused_login: login.unused,
        })
    }

    fn login(&self, registry: &str) -> Result<docker_login::Login, SettingsError> {
        let (hub, _) = DOCKER_HUB;
        match &self.docker {
            Some(docker) => docker_login::read(docker, registry, hub),
            None => Ok(docker_login::Login::default()),
        }
    }

    /// The address as written, whether somebody named this server for this purpose, and where it comes from.
    fn address(
        &self,
        given: &ServerSettings,
        config: Option<&NotaryConfig>,
        registry: &str,
    ) -> (String, bool, String) {
        if let Some(url) = &given.url {
            return (url.clone(), true, "as given".into());
        }
        if let Some(url) = &self.trust_server {
            return (url.clone(), true, "from DOCKER_CONTENT_TRUST_SERVER".into());
        }
        if let Some(config) = config
            && let Some(url) = &config.url
        {
            return (url.clone(), true, format!("from {}", config.path.display()));
        }
        let (hub, server) = DOCKER_HUB;
        if registry == hub {
            return (server.to_owned(), false, "which is Docker Hub's".into());
        }
        let why = "which is the registry itself, because no other one was named";
        (format!("https://{registry}"), false, why.into())
    }
}

/// Whether a registry at `host[:port]` runs on this machine by its name: `localhost`, or a loopback address. Docker reaches
/// these over plain HTTP.
pub fn is_this_machine(registry: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{registry}")) else {
        return false;
    };
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let address = host.trim_start_matches('[').trim_end_matches(']');
            address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// Reads an address: `https`, or `http` where that was allowed and nothing secret is sent.
fn address(written: &str, given: &ServerSettings) -> Result<Url, SettingsError> {
    let wrong = |reason: &str| SettingsError::Address {
        url: written.to_owned(),
        reason: reason.to_owned(),
    };
    let mut url = Url::parse(written).map_err(|cause| wrong(&cause.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not hold a name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must have neither a query nor a fragment"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    match url.scheme() {
        "https" => {}
        "http" if !given.allow_http => return Err(wrong("it must begin with https")),
        "http" if !matches!(given.credentials, Credentials::None) || given.identity.is_some() => {
            return Err(wrong(
                "tokens, passwords and client certificates are for https only",
            ));
        }
        "http" => {}
        _ => return Err(wrong("it must begin with https")),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// The directory that docker reads for a server: named like host and port as written in the address.
fn directory_for(docker: &Path, written: &str, url: &Url) -> Option<PathBuf> {
    let raw = written.split_once("://").map_or(written, |(_, rest)| rest);
    let raw = raw.split('/').next().unwrap_or_default();
    let mut normal = url.host_str().unwrap_or_default().to_owned();
    if let Some(port) = url.port() {
        normal.push_str(&format!(":{port}"));
    }
    [raw, normal.as_str()]
        .into_iter()
        .filter(|name| !name.is_empty() && *name != "." && *name != ".." && !name.contains('\\'))
        .map(|name| docker.join("tls").join(name))
        .find(|directory| directory.is_dir())
}

/// Reads a directory by Docker's rules: every `*.crt` is a CA beside the system's, `X.cert` and `X.key` are a pair.
fn docker_directory(directory: &Path) -> Result<Found, SettingsError> {
    let wrong = |path: &Path, reason: String| SettingsError::File {
        path: path.to_path_buf(),
        reason,
    };
    let entries = fs::read_dir(directory).map_err(|cause| wrong(directory, reason::of_io(&cause)))?;
    let mut by_kind: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for entry in entries {
        let path = entry
            .map_err(|cause| wrong(directory, reason::of_io(&cause)))?
            .path();
        if let Some(kind) = path.extension().and_then(|kind| kind.to_str()) {
            by_kind.entry(kind.to_owned()).or_default().insert(path);
        }
    }
    let of = |kind: &str| by_kind.get(kind).cloned().unwrap_or_default();
    for key in of("key") {
        let certificate = key.with_extension("cert");
        if !certificate.exists() {
            let reason = format!(
                "it is missing, and {} is the key for it; client certificates are named .cert here, and CAs .crt",
                key.display()
            );
            return Err(wrong(&certificate, reason));
        }
    }
    let mut pairs = Vec::new();
    for cert in of("cert") {
        let key = cert.with_extension("key");
        if !key.exists() {
            let reason = format!(
                "it is missing, and {} is the certificate for it; CAs are named .crt here",
                cert.display()
            );
            return Err(wrong(&key, reason));
        }
        pairs.push(Identity::Pem { cert, key });
    }
    let authorities: Vec<PathBuf> = of("crt").into_iter().collect();
    Ok(Found {
        trust: (!authorities.is_empty()).then_some(Trust {
            system: true,
            files: authorities,
        }),
        identity: first_in_force(pairs),
    })
}

/// The first certificate that has not expired, or else the first, so that the server says what is wrong with it.
fn first_in_force(pairs: Vec<Identity>) -> Option<Identity> {
    let in_force = |identity: &&Identity| {
        let Identity::Pem { cert, .. } = identity else {
            return true;
        };
        let chain = tls::read_certificates("the client certificate", cert).unwrap_or_default();
        let end = chain.first().and_then(|leaf| tls::utc(leaf.not_after()));
        end.is_some_and(|end| end > Utc::now())
    };
    let chosen = pairs.iter().find(in_force).cloned();
    chosen.or_else(|| pairs.into_iter().next())
}

/// What the configuration file of the notary client says of its server.
struct NotaryConfig {
    path: PathBuf,
    url: Option<String>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl NotaryConfig {
    /// Reads the file; `None` if there is none.
    fn read(path: &Path) -> Result<Option<Self>, SettingsError> {
        let wrong = |reason: String| SettingsError::File {
            path: path.to_path_buf(),
            reason,
        };
        if !path.exists() {
            return Ok(None);
        }
        let text = platform::files::read_to_string(path).map_err(|cause| wrong(cause.to_string()))?;
        let config: Value = serde_json::from_str(&text).map_err(|cause| {
            wrong(format!(
                "it is not the JSON of a notary client's configuration: {cause}"
            ))
        })?;
        let Some(server) = member(&config, "remote_server") else {
            return Ok(None);
        };
        let value = |name: &str| -> Result<Option<String>, SettingsError> {
            match member(server, name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) if text.is_empty() => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.clone())),
                Some(_) => Err(wrong(format!("remote_server.{name} is not a text"))),
            }
        };
        // Paths are relative to the file, and a tilde means nothing, as in the notary client.
        let directory = path.parent().unwrap_or(Path::new("."));
        let file = |name: &str| value(name).map(|found| found.map(|found| directory.join(found)));
        Ok(Some(Self {
            path: path.to_path_buf(),
            url: value("url")?,
            ca: file("root_ca")?,
            cert: file("tls_client_cert")?,
            key: file("tls_client_key")?,
        }))
    }

    /// Whether CA and certificate are meant for this server: it is the file's own, or the file names none and somebody
    /// named this one, as notary users do with `-s`.
    fn is_about(&self, server: &Url, explicit: bool) -> bool {
        match &self.url {
            Some(url) => Url::parse(url).is_ok_and(|url| url.origin() == server.origin()),
            None => explicit,
        }
    }

    fn found(self) -> Result<Found, SettingsError> {
        let identity = match (self.cert, self.key) {
            (Some(cert), Some(key)) => Some(Identity::Pem { cert, key }),
            (None, None) => None,
            _ => {
                return Err(SettingsError::File {
                    path: self.path,
                    reason: "remote_server needs both of tls_client_cert and tls_client_key, or none".into(),
                });
            }
        };
        Ok(Found {
            trust: self.ca.map(Trust::only),
            identity,
        })
    }
}

/// A member of an object, by its name in any case, as the library reads it that the notary client uses.
fn member<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    let members = object.as_object()?;
    members
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(discovery: &Discovery, given: &ServerSettings, registry: &str) -> Connection {
        discovery.complete(given, registry).unwrap()
    }

    fn given(url: &str) -> ServerSettings {
        ServerSettings {
            url: Some(url.into()),
            ..ServerSettings::default()
        }
    }

    #[test]
    fn the_address_is_the_first_that_somebody_named() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config.json");
        fs::write(
            &config,
            r#"{"remote_server": {"URL": "https://configured:4443/"}}"#,
        )
        .unwrap();
        let all = Discovery {
            docker: None,
            notary: Some(config),
            trust_server: Some("https://environment".into()),
        };
        let none = ServerSettings::default();
        assert_eq!(
            connection(&all, &given("https://given/sub/"), "reg").url.as_str(),
            "https://given/sub"
        );
        assert_eq!(
            connection(&all, &none, "reg").url.as_str(),
            "https://environment/"
        );
        let all = Discovery {
            trust_server: None,
            ..all
        };
        assert_eq!(
            connection(&all, &none, "reg").url.as_str(),
            "https://configured:4443/"
        );
        let nothing = Discovery::default();
        assert_eq!(
            connection(&nothing, &none, "reg:5000").url.as_str(),
            "https://reg:5000/"
        );
        assert_eq!(
            connection(&nothing, &none, "docker.io").url.as_str(),
            "https://notary.docker.io/"
        );
    }

    #[test]
    fn plain_http_needs_a_word_and_carries_no_secrets() {
        let nothing = Discovery::default();
        let refused = |given: &ServerSettings| nothing.complete(given, "reg").unwrap_err().to_string();
        let mut http = given("http://trust");
        assert!(refused(&http).contains("https"));
        http.allow_http = true;
        assert_eq!(connection(&nothing, &http, "reg").url.scheme(), "http");
        http.credentials = Credentials::Token("t".into());
        assert!(refused(&http).contains("https only"));
        for wrong in [
            "https://a:b@trust",
            "https://trust?x",
            "ftp://trust",
            "trust",
            "https://",
            "https://t#x",
        ] {
            assert!(refused(&given(wrong)).contains("not the address"), "{wrong}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_and_so_are_passwords_over_it() {
        for here in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "127.8.9.1",
            "[::1]:5000",
        ] {
            assert!(is_this_machine(here), "{here}");
        }
        for elsewhere in [
            "localhost.example:5000",
            "127.0.0.1.example",
            "10.0.0.1:5000",
            "registry",
            "",
            "[::2]",
        ] {
            assert!(!is_this_machine(elsewhere), "{elsewhere}");
        }
        let home = tempfile::tempdir().unwrap();
        let config = r#"{"auths": {"127.0.0.1:5000": {"auth": "YTpi"}, "10.0.0.1:5000": {"auth": "YTpi"}}}"#;
        fs::write(home.path().join("config.json"), config).unwrap();
        let discovery = Discovery {
            docker: Some(home.path().to_path_buf()),
            ..Discovery::default()
        };
        let here = discovery.plain_registry("127.0.0.1:5000").unwrap();
        assert!(matches!(here.credentials, Credentials::User { .. }));
        let elsewhere = discovery.plain_registry("10.0.0.1:5000").unwrap();
        assert!(matches!(elsewhere.credentials, Credentials::None));
    }

    #[test]
    fn dockers_directory_is_read_by_dockers_rules() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("tls/trust:4443");
        fs::create_dir_all(&directory).unwrap();
        let discovery = Discovery {
            docker: Some(home.path().to_path_buf()),
            ..Discovery::default()
        };
        let touch = |name: &str| fs::write(directory.join(name), "").unwrap();
        touch("ca.crt");
        touch("me.cert");
        let refused = discovery
            .complete(&given("https://trust:4443"), "r")
            .unwrap_err()
            .to_string();
        assert!(refused.contains("me.key: it is missing"), "{refused}");
        touch("me.key");
        let found = connection(&discovery, &given("https://trust:4443/"), "r");
        assert_eq!(
            found.trust,
            Trust {
                system: true,
                files: vec![directory.join("ca.crt")]
            }
        );
        assert!(
            matches!(found.identity, Some(Identity::Pem { cert, .. }) if cert == directory.join("me.cert"))
        );
        assert!(
            connection(&discovery, &given("https://trust"), "r")
                .identity
                .is_none()
        );
        touch("other.key");
        let refused = discovery
            .complete(&given("https://trust:4443"), "r")
            .unwrap_err()
            .to_string();
        assert!(refused.contains("other.cert: it is missing"), "{refused}");
    }

    #[test]
    fn the_configuration_of_the_notary_client_is_for_its_own_server() {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config.json");
        let text = r#"{"remote_server": {"url": "https://a:1", "root_ca": "ca.pem", "tls_client_cert": "c", "tls_client_key": "/k"}}"#;
        fs::write(&config, text).unwrap();
        let discovery = Discovery {
            notary: Some(config.clone()),
            ..Discovery::default()
        };
        let found = connection(&discovery, &given("https://a:1/"), "r");
        assert_eq!(found.trust, Trust::only(home.path().join("ca.pem")));
        assert!(matches!(found.identity, Some(Identity::Pem { cert, key })
            if cert == home.path().join("c") && key == Path::new("/k")));
        assert!(
            connection(&discovery, &given("https://b:1"), "r")
                .identity
                .is_none()
        );
        fs::write(&config, r#"{"remote_server": {"tls_client_cert": "c"}}"#).unwrap();
        assert!(discovery.complete(&given("https://a:1"), "r").is_err());
        fs::write(&config, "{").unwrap();
        assert!(discovery.complete(&given("https://a:1"), "r").is_err());
    }
}
