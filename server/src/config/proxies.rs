//! `proxies.*`: reverse proxies and load balancers in front of the server.

use std::net::IpAddr;

use ipnet::IpNet;
use platform::config::{ConfigError, Settings};

/// How a proxy hands on its client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedCertificate {
    /// Envoy's `x-forwarded-client-cert`.
    Xfcc,
    /// `ssl-client-cert`, as ingress-nginx sends it.
    Nginx,
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    Rfc9440,
}

/// Whose word about a connection counts.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    /// How they hand on their client's certificate; nothing if they do not.
    pub certificate: Option<ForwardedCertificate>,
}

impl Proxies {
    /// Reads `proxies.trusted` and `proxies.client_certificate`.
    ///
    /// # Errors
    /// When a value is refused.
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        const TRUSTED: &str = "proxies.trusted";
        const CERTIFICATE: &str = "proxies.client_certificate";
        let trusted = networks(settings, TRUSTED)?;
        let certificate = settings
            .choice(
                CERTIFICATE,
                &[
                    ("none", None),
                    ("xfcc", Some(ForwardedCertificate::Xfcc)),
                    ("nginx", Some(ForwardedCertificate::Nginx)),
                    ("rfc9440", Some(ForwardedCertificate::Rfc9440)),
                ],
            )?
            .flatten();
        if certificate.is_some() && trusted.is_empty() {
            return Err(ConfigError::missing(
                TRUSTED,
                format!("{CERTIFICATE} is set, so say from which addresses such headers count"),
            ));
        }
        Ok(Self { trusted, certificate })
    }

    /// Whether an address is that of a proxy of ours.
    pub fn trusts(&self, address: IpAddr) -> bool {
        // A listener on [::] sees IPv4 clients as mapped addresses.
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// A list of addresses and networks.
///
/// # Errors
/// When an entry is neither.
pub fn networks(settings: &Settings, key: &str) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: String| {
        let address = text.parse::<IpAddr>().map(IpNet::from);
        text.parse::<IpNet>().or(address).map_err(|_| {
            let allowed = "addresses and networks such as 10.1.2.3 or 10.1.0.0/16";
            ConfigError::invalid(key, &text, allowed)
        })
    };
    settings.list(key)?.into_iter().map(network).collect()
}
