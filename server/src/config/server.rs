//! `server.*`, `tls.*`, `client_cas.*` and `listeners`: where clients connect, and how.

use std::{collections::BTreeMap, net::SocketAddr};

use platform::{
    config::{ConfigError, Settings, addresses},
    tls::{CaSet, ClientAuth, PemSource, ServerTls},
};
use serde::Deserialize;

use super::proxies::{self, Defaults, ListenerProxies, ProxyTrust};

/// The name of the CA set of `server.client_ca_file`.
pub const DEFAULT_SET: &str = "default";
/// The name of the listener of `server.http_addr`.
const DEFAULT_LISTENER: &str = "http_addr";
const CLIENT_AUTH: [(&str, ClientAuth); 3] = [
    ("off", ClientAuth::Off),
    ("request", ClientAuth::Request),
    ("require", ClientAuth::Require),
];

/// The values of `listeners[].serves`.
const SERVES: [&str; 2] = ["all", "health"];

/// What a listener answers. Names are compared as a whole, and a misspelt one is refused: it would open more than was
/// meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// Everything.
    All,
    /// Everything but web pages.
    AllButPages,
    /// Health and metrics, and nothing else.
    Health,
}

/// One listener, and what it asks of clients.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its name in messages and records.
    pub name: String,
    /// Its configuration key, for messages.
    pub key: String,
    /// The addresses on which it listens.
    pub addresses: Vec<SocketAddr>,
    /// Its TLS settings; `None` for plain HTTP.
    pub tls: Option<ServerTls>,
    /// The CAs that may issue the certificates of its clients.
    pub client_cas: Vec<CaSet>,
    /// Which proxies are trusted on its connections.
    pub proxy_trust: ProxyTrust,
    /// What it answers.
    pub serves: Serves,
}

impl Listener {
    /// Whether it answers nothing but health and metrics, so that who may use it decides about nothing else.
    pub fn is_for_health(&self) -> bool {
        self.serves == Serves::Health
    }

    /// Whether the handshake fails without a certificate.
    pub fn demands(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| tls.client_auth == ClientAuth::Require)
    }

    /// Whether clients are asked for a certificate: in the handshake, or by proxies that forward it.
    pub fn asks(&self) -> bool {
        let in_handshake = |tls: &ServerTls| tls.client_auth != ClientAuth::Off;
        self.tls.as_ref().is_some_and(in_handshake) || self.proxy_trust.takes_certificates()
    }
}

/// An entry of `listeners` as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: Option<String>,
    address: String,
    client_auth: Option<Mode>,
    client_cas: Option<Vec<String>>,
    advertise_cas: Option<Advertised>,
    tls: Option<bool>,
    tls_cert_file: Option<String>,
    tls_key_file: Option<String>,
    proxy_protocol: Option<bool>,
    forwarded_certificate: Option<String>,
    trusted_proxies: Option<Vec<String>>,
    pages: Option<bool>,
    serves: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Off,
    Request,
    Require,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Advertised {
    None,
    All,
}

/// The listeners: that of `server.http_addr`, then those of `listeners`.
///
/// # Errors
/// When a key is missing or has a wrong value.
pub(super) fn listeners(settings: &Settings) -> Result<Vec<Listener>, ConfigError> {
    let sets = client_cas(settings)?;
    let entries: Vec<Entry> = settings.typed("listeners")?.unwrap_or_default();
    let mut listeners = Vec::new();
    let address = settings.text("server.http_addr")?;
    let tls = tls(settings, &sets)?;
    let proxies = Defaults::read(settings)?;
    let proxies_here = http_addr_proxies(settings)?;
    let pages = settings.flag("server.pages")?.unwrap_or(true);
    if address.is_some() || entries.is_empty() {
        listeners.push(Listener {
            name: DEFAULT_LISTENER.to_owned(),
            key: "server.http_addr".to_owned(),
            addresses: settings.listen_addresses("server.http_addr")?,
            tls: tls.clone(),
            client_cas: sets.clone(),
            proxy_trust: proxies.at("server", proxies_here)?,
            serves: if pages { Serves::All } else { Serves::AllButPages },
        });
    }
    for (position, entry) in entries.into_iter().enumerate() {
        let listener = further(settings, position, entry, (tls.as_ref(), pages), &sets, &proxies)?;
        if listeners.iter().any(|known| known.name == listener.name) {
            let key = format!("listeners[{position}].name");
            return Err(ConfigError::invalid(
                &key,
                listener.name,
                "names differ from each other",
            ));
        }
        listeners.push(listener);
    }
    let proxy_trust: Vec<ProxyTrust> = listeners
        .iter()
        .map(|listener| listener.proxy_trust.clone())
        .collect();
    proxies.check(&proxy_trust)?;
    let blind =
        |listener: &&Listener| listener.proxy_trust.takes_certificates() && listener.client_cas.is_empty();
    if let Some(listener) = listeners.iter().find(blind) {
        return Err(ConfigError::missing(
            "server.client_ca_file",
            format!(
                "proxies forward client certificates to {}, where they are verified again, so say which CAs may \
                 issue them (or client_cas.<name>)",
                listener.name
            ),
        ));
    }
    Ok(listeners)
}

/// The settings in `server.*` for the proxies in front of `server.http_addr`.
fn http_addr_proxies(settings: &Settings) -> Result<ListenerProxies, ConfigError> {
    const CERTIFICATE: &str = "server.forwarded_certificate";
    const FROM: &str = "server.trusted_proxies";
    let certificate = settings.text(CERTIFICATE)?;
    let from = proxies::networks(settings, FROM)?;
    Ok(ListenerProxies {
        proxy_protocol: settings.flag("server.proxy_protocol")?.unwrap_or(false),
        certificate: certificate
            .map(|text| proxies::format(CERTIFICATE, &text))
            .transpose()?,
        from: Some(from).filter(|from| !from.is_empty()),
    })
}

/// `server.client_ca_file` and `client_cas.<name>`.
///
/// # Errors
/// When a value is refused.
pub fn client_cas(settings: &Settings) -> Result<Vec<CaSet>, ConfigError> {
    let set = |name: String, text: &str| CaSet {
        name,
        source: PemSource::parse(text, |path| settings.resolve(path)),
    };
    let mut sets = Vec::new();
    if let Some(text) = settings.text("server.client_ca_file")? {
        sets.push(set(DEFAULT_SET.to_owned(), &text));
    }
    let named: BTreeMap<String, String> = settings.typed("client_cas")?.unwrap_or_default();
    for (name, text) in named {
        if name == DEFAULT_SET && !sets.is_empty() {
            return Err(ConfigError::invalid(
                "client_cas.default",
                text,
                "this is the name of the set of server.client_ca_file; choose another, or remove one of them",
            ));
        }
        sets.push(set(name, &text));
    }
    Ok(sets)
}

/// TLS is on if a certificate and a key are given. With a client CA alone, as in a Notary file, every client must
/// present a certificate.
fn tls(settings: &Settings, sets: &[CaSet]) -> Result<Option<ServerTls>, ConfigError> {
    let certificate = settings.path("server.tls_cert_file")?;
    let key = settings.path("server.tls_key_file")?;
    let client_auth = settings.choice("tls.client_auth", &CLIENT_AUTH)?;
    let advertise_cas = settings.choice("tls.advertise_cas", &[("none", false), ("all", true)])?;
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if sets.is_empty() => return Ok(None),
        (None, _) => return Err(missing("server.tls_cert_file")),
        (Some(_), None) => return Err(missing("server.tls_key_file")),
    };
    let client_auth = match (client_auth, sets.is_empty()) {
        (Some(ClientAuth::Request | ClientAuth::Require), true) => {
            return Err(no_client_ca("tls.client_auth"));
        }
        (Some(mode), _) => mode,
        (None, false) => ClientAuth::Require,
        (None, true) => ClientAuth::Off,
    };
    Ok(Some(ServerTls {
        certificate,
        key,
        client_auth,
        advertise_cas: advertise_cas.unwrap_or(false),
        http2: false,
    }))
}

/// A listener of `listeners`. What its entry leaves out is taken from the keys of `server` and `tls`.
fn further(
    settings: &Settings,
    position: usize,
    entry: Entry,
    (usual, usual_pages): (Option<&ServerTls>, bool),
    sets: &[CaSet],
    proxies: &Defaults,
) -> Result<Listener, ConfigError> {
    let key = |name: &str| format!("listeners[{position}].{name}");
    let client_cas = match &entry.client_cas {
        None => sets.to_vec(),
        Some(names) => names
            .iter()
            .map(|name| {
                let known = || {
                    let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
                    format!("client CA sets of this file: {}", names.join(", "))
                };
                sets.iter()
                    .find(|set| set.name == name.to_lowercase())
                    .cloned()
                    .ok_or_else(|| ConfigError::invalid(&key("client_cas"), name, known()))
            })
            .collect::<Result<_, _>>()?,
    };
    let serves = serves(&key("serves"), &entry, usual_pages)?;
    let tls = if entry.tls == Some(false) {
        None
    } else {
        let own = |path: &Option<String>| path.as_ref().map(|path| settings.resolve(path));
        let pair = match (own(&entry.tls_cert_file), own(&entry.tls_key_file)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => usual.map(|tls| (tls.certificate.clone(), tls.key.clone())),
            (None, Some(_)) => return Err(missing(&key("tls_cert_file"))),
            (Some(_), None) => return Err(missing(&key("tls_key_file"))),
        };
        let Some((certificate, private_key)) = pair else {
            return Err(ConfigError::missing(
                "server.tls_cert_file",
                format!(
                    "{} has TLS; set server.tls_cert_file and server.tls_key_file, or \"tls\": false",
                    key("address")
                ),
            ));
        };
        let client_auth = match entry.client_auth {
            Some(Mode::Off) => ClientAuth::Off,
            Some(Mode::Request) => ClientAuth::Request,
            Some(Mode::Require) => ClientAuth::Require,
            // Probes have no certificate.
            None if serves == Serves::Health => ClientAuth::Off,
            None => usual.map_or(ClientAuth::Off, |tls| tls.client_auth),
        };
        if client_auth != ClientAuth::Off && client_cas.is_empty() {
            return Err(no_client_ca(&key("client_auth")));
        }
        Some(ServerTls {
            certificate,
            key: private_key,
            client_auth,
            advertise_cas: entry
                .advertise_cas
                .map_or(usual.is_some_and(|tls| tls.advertise_cas), |names| {
                    names == Advertised::All
                }),
            http2: false,
        })
    };
    if tls.is_none() && matches!(entry.client_auth, Some(Mode::Request | Mode::Require)) {
        return Err(ConfigError::invalid(
            &key("tls"),
            "false",
            "client certificates need TLS: remove \"tls\": false, or client_auth",
        ));
    }
    let proxies_here = ListenerProxies {
        proxy_protocol: entry.proxy_protocol.unwrap_or(false),
        certificate: entry
            .forwarded_certificate
            .map(|text| proxies::format(&key("forwarded_certificate"), &text))
            .transpose()?,
        from: entry
            .trusted_proxies
            .map(|texts| proxies::parse_networks(&key("trusted_proxies"), &texts))
            .transpose()?,
    };
    Ok(Listener {
        key: key("address"),
        name: entry.name.unwrap_or_else(|| entry.address.clone()),
        addresses: addresses(&key("address"), &entry.address)?,
        tls,
        client_cas,
        proxy_trust: proxies.at(&format!("listeners[{position}]"), proxies_here)?,
        serves,
    })
}

/// What a listener of `listeners` answers.
fn serves(key: &str, entry: &Entry, usual_pages: bool) -> Result<Serves, ConfigError> {
    match entry.serves.as_deref() {
        Some("health") if entry.pages == Some(true) => Err(ConfigError::invalid(
            key,
            "health",
            "such a listener has no pages: remove \"pages\": true, or serves",
        )),
        Some("health") => Ok(Serves::Health),
        None | Some("all") if entry.pages.unwrap_or(usual_pages) => Ok(Serves::All),
        None | Some("all") => Ok(Serves::AllButPages),
        Some(other) => {
            let nearest = SERVES
                .iter()
                .find(|known| strsim::damerau_levenshtein(&other.to_lowercase(), known) <= known.len() / 2);
            let meant = nearest.map_or_else(String::new, |known| format!("; did you mean {known}?"));
            let allowed = format!("allowed: {}{meant}", SERVES.join(", "));
            Err(ConfigError::invalid(key, other, allowed))
        }
    }
}

fn no_client_ca(key: &str) -> ConfigError {
    ConfigError::missing(
        "server.client_ca_file",
        format!("{key} asks for client certificates, so say which CAs may issue them (or client_cas.<name>)"),
    )
}

fn missing(key: &str) -> ConfigError {
    ConfigError::missing(key, "TLS needs a certificate and its key, both")
}
