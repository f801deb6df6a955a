//! `server.*` and `tls.*`: how clients connect.

use platform::{
    config::{ConfigError, Settings},
    tls::{ClientAuth, ServerTls},
};

const CLIENT_AUTH: [(&str, ClientAuth); 3] = [
    ("off", ClientAuth::Off),
    ("request", ClientAuth::Request),
    ("require", ClientAuth::Require),
];

/// TLS is on if certificate and key are given; with a client CA alone, as in a Notary file, every client
/// has to present a certificate.
pub(super) fn tls(settings: &Settings) -> Result<Option<ServerTls>, ConfigError> {
    let certificate = settings.path("server.tls_cert_file")?;
    let key = settings.path("server.tls_key_file")?;
    let client_ca = settings.path("server.client_ca_file")?;
    let client_auth = settings.choice("tls.client_auth", &CLIENT_AUTH)?;
    let advertise_cas = settings.choice("tls.advertise_cas", &[("none", false), ("all", true)])?;
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if client_ca.is_none() => return Ok(None),
        (None, _) => return Err(missing("server.tls_cert_file")),
        (Some(_), None) => return Err(missing("server.tls_key_file")),
    };
    let client_auth = match (client_auth, &client_ca) {
        (Some(ClientAuth::Request | ClientAuth::Require), None) => {
            return Err(ConfigError::missing(
                "server.client_ca_file",
                "tls.client_auth asks for client certificates, so say which CAs may issue them",
            ));
        }
        (Some(mode), _) => mode,
        (None, Some(_)) => ClientAuth::Require,
        (None, None) => ClientAuth::Off,
    };
    let advertise_cas = advertise_cas.unwrap_or(false);
    Ok(Some(ServerTls {
        certificate,
        key,
        client_ca,
        client_auth,
        advertise_cas,
        http2: false,
    }))
}

fn missing(key: &str) -> ConfigError {
    ConfigError::missing(
        key,
        "TLS needs server.tls_cert_file and server.tls_key_file, both",
    )
}
