//! `proxies.*`, and the listeners' settings for proxies: which proxies are trusted, and about what.
//!
//! Two kinds of proxies are distinguished. A load balancer (layer 4) forwards bytes: with the PROXY protocol it states
//! the client's address, and everything after that header, including HTTP headers, comes from the client. A reverse
//! proxy (layer 7) writes the request itself, so its headers can state which certificate its client has. No listener
//! trusts both kinds.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use platform::config::{ConfigError, Settings};

const TRUSTED: &str = "proxies.trusted";
const BALANCERS: &str = "proxies.load_balancers";
const CERTIFICATE: &str = "proxies.client_certificate";
const ADDRESS: &str = "proxies.client_address";
const FORMATS: [(&str, Option<ForwardedCertificate>); 4] = [
    ("none", None),
    ("xfcc", Some(ForwardedCertificate::Xfcc)),
    ("nginx", Some(ForwardedCertificate::Nginx)),
    ("rfc9440", Some(ForwardedCertificate::Rfc9440)),
];

/// How a proxy forwards its client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedCertificate {
    /// Envoy's `x-forwarded-client-cert`.
    Xfcc,
    /// `ssl-client-cert`, as ingress-nginx sends it.
    Nginx,
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    Rfc9440,
}

/// Which statements of the proxies in front of a listener are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Claim {
    /// None: the proxies are only not counted as clients.
    #[default]
    None,
    /// The client's address, in the header of the PROXY protocol.
    Address,
    /// The client's certificate, in the headers of its requests.
    Certificate(ForwardedCertificate),
}

/// Which proxies are trusted on connections to one listener, and about what.
#[derive(Debug, Clone, Default)]
pub struct ProxyTrust {
    from: Vec<IpNet>,
    claim: Claim,
    /// Whether they state their client's address in `X-Forwarded-For`.
    forwarded_for: bool,
}

/// `proxies.*`: the settings for listeners that do not override them.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    trusted: Vec<IpNet>,
    balancers: Vec<IpNet>,
    certificate: Option<ForwardedCertificate>,
    forwarded_for: Option<bool>,
}

/// The settings for proxies of one listener.
#[derive(Debug, Clone, Default)]
pub(super) struct ListenerProxies {
    /// `proxy_protocol`.
    pub(super) proxy_protocol: bool,
    /// `forwarded_certificate`: `Some(None)` for `none`, or a format.
    pub(super) certificate: Option<Option<ForwardedCertificate>>,
    /// `trusted_proxies`.
    pub(super) from: Option<Vec<IpNet>>,
}

impl ProxyTrust {
    /// Whether connections start with a PROXY protocol header.
    pub fn proxy_protocol(&self) -> bool {
        self.claim == Claim::Address
    }

    /// Whether an address is that of a proxy in front of this listener.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        // A listener on [::] sees IPv4 clients as IPv4-mapped addresses.
        let address = address.to_canonical();
        self.from.iter().any(|network| network.contains(&address))
    }

    /// Whether the peer of a TCP connection states its client's address in `X-Forwarded-For`: a reverse proxy does,
    /// but never a load balancer, whose clients write their headers themselves.
    pub fn addresses_from(&self, transport: Option<IpAddr>) -> bool {
        self.forwarded_for
            && !self.proxy_protocol()
            && transport.is_some_and(|address| self.is_proxy(address))
    }

    /// Whether certificates are forwarded on this listener at all.
    pub fn takes_certificates(&self) -> bool {
        matches!(self.claim, Claim::Certificate(_))
    }

    /// How the peer of a TCP connection forwards its client's certificate; `None` if its headers are not trusted.
    pub fn certificates_from(&self, transport: Option<IpAddr>) -> Option<ForwardedCertificate> {
        match self.claim {
            Claim::Certificate(format) if transport.is_some_and(|address| self.is_proxy(address)) => {
                Some(format)
            }
            _ => None,
        }
    }
}

impl Defaults {
    /// Reads `proxies.*`.
    ///
    /// # Errors
    /// When a value is refused.
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            trusted: networks(settings, TRUSTED)?,
            balancers: networks(settings, BALANCERS)?,
            certificate: settings.choice(CERTIFICATE, &FORMATS)?.flatten(),
            forwarded_for: settings.choice(ADDRESS, &[("none", false), ("x-forwarded-for", true)])?,
        })
    }

    /// The settings of a listener whose keys start with `prefix`, such as `listeners[0]`.
    ///
    /// # Errors
    /// When it would trust headers written by clients, or no proxy at all.
    pub(super) fn at(&self, prefix: &str, listener: ListenerProxies) -> Result<ProxyTrust, ConfigError> {
        let key = |name: &str| format!("{prefix}.{name}");
        if listener.proxy_protocol {
            return self.balancers_at(prefix, listener);
        }
        let Some(format) = listener.certificate.unwrap_or(self.certificate) else {
            return Ok(ProxyTrust {
                from: listener.from.unwrap_or_else(|| self.trusted.clone()),
                claim: Claim::None,
                forwarded_for: self.forwarded_for.unwrap_or(true),
            });
        };
        let (named, from) = match listener.from {
            Some(from) => (key("trusted_proxies"), from),
            None => (TRUSTED.to_owned(), self.trusted.clone()),
        };
        if from.is_empty() {
            let set = if listener.certificate.is_some() {
                key("forwarded_certificate")
            } else {
                CERTIFICATE.to_owned()
            };
            return Err(ConfigError::missing(
                &named,
                format!("{set} is set, so say from which addresses such headers count"),
            ));
        }
        let together = IpNet::aggregate(&from);
        if let Some(everybody) = together.iter().find(|network| network.prefix_len() == 0) {
            return Err(ConfigError::invalid(
                &named,
                everybody,
                "this is everybody, so every client could forward the certificate of any other; name the addresses \
                 of the reverse proxies alone",
            ));
        }
        Ok(ProxyTrust {
            from,
            claim: Claim::Certificate(format),
            // A proxy that writes one of these headers writes the other as well.
            forwarded_for: self.forwarded_for.unwrap_or(true),
        })
    }

    fn balancers_at(&self, prefix: &str, listener: ListenerProxies) -> Result<ProxyTrust, ConfigError> {
        let key = |name: &str| format!("{prefix}.{name}");
        if listener.certificate.flatten().is_some() {
            return Err(ConfigError::invalid(
                &key("forwarded_certificate"),
                "set beside proxy_protocol",
                format!(
                    "what follows a PROXY protocol header, HTTP headers too, is written by the client; remove {} \
                     and give the reverse proxies a separate listener without proxy_protocol",
                    key("forwarded_certificate")
                ),
            ));
        }
        let from = listener
            .from
            .or_else(|| Some(self.balancers.clone()).filter(|from| !from.is_empty()));
        let from = match from {
            Some(from) => from,
            // With both, clients' headers would be trusted wherever the proxy forwards them.
            None if self.certificate.is_some() => {
                return Err(ConfigError::invalid(
                    CERTIFICATE,
                    format!("set beside {}", key("proxy_protocol")),
                    format!(
                        "what follows a PROXY protocol header, HTTP headers too, is written by the client, so it is \
                         not trusted there; list the senders of PROXY headers in {BALANCERS}, and leave only the reverse \
                         proxies in {TRUSTED}, with a separate listener without proxy_protocol"
                    ),
                ));
            }
            None => self.trusted.clone(),
        };
        if from.is_empty() {
            return Err(ConfigError::missing(
                BALANCERS,
                format!(
                    "{} is set, so set the addresses from which PROXY headers come; other addresses are refused there",
                    key("proxy_protocol")
                ),
            ));
        }
        Ok(ProxyTrust {
            from,
            claim: Claim::Address,
            forwarded_for: false,
        })
    }

    /// Checks the listeners together.
    ///
    /// # Errors
    /// When a load balancer is a reverse proxy as well, or no listener accepts the certificates that are to be
    /// forwarded.
    pub(super) fn check(&self, listeners: &[ProxyTrust]) -> Result<(), ConfigError> {
        let takes = |listener: &&ProxyTrust| listener.takes_certificates();
        if self.certificate.is_some() && !listeners.iter().any(|listener| takes(&listener)) {
            return Err(ConfigError::invalid(
                CERTIFICATE,
                "set",
                "no listener accepts forwarded certificates: they are not trusted on connections that start with a PROXY \
                 protocol header; give the reverse proxies a listener without proxy_protocol, or remove the key",
            ));
        }
        for balancer in listeners.iter().filter(|listener| listener.proxy_protocol()) {
            for proxies in listeners.iter().filter(takes) {
                let overlap = balancer.from.iter().find(|one| {
                    let both = |other: &IpNet| one.contains(other) || other.contains(*one);
                    proxies.from.iter().any(both)
                });
                if let Some(both) = overlap {
                    return Err(ConfigError::invalid(
                        BALANCERS,
                        both,
                        format!(
                            "it is among the reverse proxies ({TRUSTED}, trusted_proxies) too: what a load balancer \
                             forwards is written by clients, and would be trusted; use different addresses for each kind"
                        ),
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The format in which a listener's proxies forward certificates, as `key` says.
///
/// # Errors
/// When it is not one of the formats.
pub(super) fn format(key: &str, text: &str) -> Result<Option<ForwardedCertificate>, ConfigError> {
    let known = FORMATS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, format)| *format).ok_or_else(|| {
        let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
        ConfigError::invalid(key, text, format!("allowed: {}", names.join(", ")))
    })
}

/// Reads a list of addresses and networks.
///
/// # Errors
/// When an entry is neither.
pub fn networks(settings: &Settings, key: &str) -> Result<Vec<IpNet>, ConfigError> {
    parse_networks(key, &settings.list(key)?)
}

/// Reads the addresses and networks of `texts`, the value of `key`. An IPv4-mapped IPv6 network is read as an IPv4
/// network.
///
/// # Errors
/// When one is neither.
pub(super) fn parse_networks(key: &str, texts: &[String]) -> Result<Vec<IpNet>, ConfigError> {
    const MAPPED: u8 = 96;
    let network = |text: &String| {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or(address).map_err(|_| {
            let allowed = "addresses and networks such as 10.1.2.3 or 10.1.0.0/16";
            ConfigError::invalid(key, text, allowed)
        })?;
        // Clients' addresses are compared as IPv4 as well.
        let mapped = match network {
            IpNet::V6(mapped) if mapped.prefix_len() >= MAPPED => mapped
                .addr()
                .to_ipv4_mapped()
                .and_then(|address| Ipv4Net::new(address, mapped.prefix_len() - MAPPED).ok()),
            _ => None,
        };
        Ok(mapped.map_or(network, IpNet::V4))
    };
    texts.iter().map(network).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::super::server::listeners;
    use super::*;

    fn read(tree: Value) -> Result<Vec<ProxyTrust>, String> {
        let settings = Settings::new(tree, PathBuf::from("/c"), |_| None);
        let found = listeners(&settings).map_err(|cause| cause.to_string())?;
        Ok(found.into_iter().map(|listener| listener.proxy_trust).collect())
    }

    fn with(server: Value, listener: Value, proxies: Value) -> Value {
        let mut server = server;
        server["http_addr"] = json!("127.0.0.1:1");
        server["client_ca_file"] = json!("ca.pem");
        server["tls_cert_file"] = json!("cert.pem");
        server["tls_key_file"] = json!("key.pem");
        let mut listener = listener;
        listener["address"] = json!("127.0.0.1:2");
        json!({"server": server, "listeners": [listener], "proxies": proxies})
    }

    #[test]
    fn what_would_believe_clients_is_refused_with_what_to_write_instead() {
        let balancer = json!({"proxy_protocol": true});
        let cases = [
            (
                with(
                    balancer.clone(),
                    json!({}),
                    json!({"trusted": ["10.0.0.1"], "client_certificate": "nginx"}),
                ),
                "list the senders of PROXY headers in proxies.load_balancers",
            ),
            (
                with(
                    json!({}),
                    balancer.clone(),
                    json!({"trusted": ["10.0.0.1"], "client_certificate": "xfcc"}),
                ),
                "list the senders of PROXY headers in proxies.load_balancers",
            ),
            (
                with(
                    balancer.clone(),
                    json!({}),
                    json!({"trusted": ["10.0.0.0/8"], "load_balancers": ["10.0.0.1"], "client_certificate": "nginx"}),
                ),
                "would be trusted",
            ),
            (
                with(
                    balancer.clone(),
                    json!({"forwarded_certificate": "nginx", "trusted_proxies": ["10.0.0.1"]}),
                    json!({"load_balancers": ["10.0.0.0/24"]}),
                ),
                "would be trusted",
            ),
            (
                with(
                    json!({"proxy_protocol": true, "forwarded_certificate": "nginx"}),
                    json!({}),
                    json!({"load_balancers": ["10.0.0.1"], "trusted": ["10.0.0.2"]}),
                ),
                "remove server.forwarded_certificate",
            ),
            (
                with(
                    balancer.clone(),
                    balancer.clone(),
                    json!({"load_balancers": ["10.0.0.1"], "trusted": ["10.0.0.2"], "client_certificate": "nginx"}),
                ),
                "no listener accepts forwarded certificates",
            ),
            (
                with(
                    json!({}),
                    json!({}),
                    json!({"trusted": ["0.0.0.0/0"], "client_certificate": "nginx"}),
                ),
                "this is everybody",
            ),
            (
                with(
                    json!({}),
                    json!({}),
                    json!({"trusted": ["::/0"], "client_certificate": "nginx"}),
                ),
                "this is everybody",
            ),
            (
                with(json!({}), json!({"forwarded_certificate": "nginx"}), json!({})),
                "listeners[0].forwarded_certificate is set, so say",
            ),
            (
                with(balancer, json!({}), json!({})),
                "so set the addresses from which PROXY headers come",
            ),
        ];
        for (tree, expected) in cases {
            let shown = tree.to_string();
            let refused = read(tree).expect_err(&shown);
            assert!(refused.contains(expected), "{shown}: {refused}");
        }
    }

    #[test]
    fn each_listener_believes_one_sort_of_proxy_alone() {
        let [balancer, reverse] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let both =
            json!({"load_balancers": ["10.0.0.1"], "trusted": ["10.0.0.2"], "client_certificate": "nginx"});
        let found = read(with(json!({"proxy_protocol": true}), json!({}), both)).unwrap();
        let [front, back] = found.as_slice() else { panic!() };
        assert!(front.proxy_protocol() && front.is_proxy(balancer) && !front.is_proxy(reverse));
        assert_eq!(front.certificates_from(Some(balancer)), None);
        assert_eq!(front.certificates_from(Some(reverse)), None);
        assert!(!back.proxy_protocol());
        assert_eq!(back.certificates_from(Some(balancer)), None);
        assert_eq!(
            back.certificates_from(Some(reverse)),
            Some(ForwardedCertificate::Nginx)
        );
        assert_eq!(back.certificates_from(None), None);
        // As written before the two kinds were distinguished.
        let old = read(with(
            json!({"proxy_protocol": true}),
            json!({}),
            json!({"trusted": ["10.0.0.1"]}),
        ))
        .unwrap();
        assert!(old[0].proxy_protocol() && old[0].is_proxy(balancer));
        assert!(!old[1].takes_certificates());
        let mapped = "::ffff:10.0.0.2".parse().unwrap();
        assert_eq!(
            back.certificates_from(Some(mapped)),
            Some(ForwardedCertificate::Nginx)
        );
    }
}
