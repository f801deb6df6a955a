//! `trust_service.*`: who signs timestamps and snapshots.

use platform::{
    config::{ConfigError, Settings},
    tls::ClientTls,
};
use signing::KeyAlgorithm;

/// Who signs timestamps and snapshots.
#[derive(Debug, Clone)]
pub enum TrustService {
    /// This process, with keys in memory that are lost when it ends.
    Local,
    /// A signing service.
    Remote {
        /// Its name, which its certificate must carry.
        host: String,
        /// Its port.
        port: u16,
        /// The key algorithm to ask for.
        algorithm: KeyAlgorithm,
        /// The CA by which it is verified, and the client certificate for it.
        tls: ClientTls,
    },
}

impl TrustService {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let algorithms = [("ecdsa", KeyAlgorithm::Ecdsa), ("ed25519", KeyAlgorithm::Ed25519)];
        let remote = settings.choice("trust_service.type", &[("local", false), ("remote", true)])?;
        let algorithm = settings.choice("trust_service.key_algorithm", &algorithms)?;
        let host = settings.text("trust_service.hostname")?;
        let port = settings.integer("trust_service.port", 1..=i64::from(u16::MAX))?;
        let certificate = settings.path("trust_service.tls_client_cert")?;
        let key = settings.path("trust_service.tls_client_key")?;
        let ca = settings.path("trust_service.tls_ca_file")?;
        let Some(remote) = remote else {
            return Err(ConfigError::missing(
                "trust_service.type",
                "set it to remote or local",
            ));
        };
        if !remote {
            return Ok(Self::Local);
        }
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(missing_half("trust_service.tls_client_key")),
            (None, Some(_)) => return Err(missing_half("trust_service.tls_client_cert")),
        };
        let required =
            |key, what: &str| ConfigError::missing(key, format!("set it to the {what} of the signer"));
        let host = host.ok_or_else(|| required("trust_service.hostname", "host name"))?;
        if !is_host(&host) {
            let allowed = "a host name or an IP address alone, such as signer.example.com, without https:// and without \
                           a port, which is trust_service.port";
            return Err(ConfigError::invalid("trust_service.hostname", host, allowed));
        }
        Ok(Self::Remote {
            host,
            port: port
                .and_then(|port| u16::try_from(port).ok())
                .ok_or_else(|| required("trust_service.port", "port"))?,
            algorithm: algorithm.ok_or_else(|| {
                ConfigError::missing("trust_service.key_algorithm", "set it to ecdsa or ed25519")
            })?,
            tls: ClientTls { ca, identity },
        })
    }
}

/// Whether a text can be a host: an address, or a name of the usual characters (underscores too, which some networks
/// use).
fn is_host(text: &str) -> bool {
    let of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.parse::<std::net::IpAddr>().is_ok() || text.chars().all(of_a_name)
}

fn missing_half(key: &str) -> ConfigError {
    ConfigError::missing(
        key,
        "a client certificate needs trust_service.tls_client_cert and .tls_client_key, both",
    )
}
