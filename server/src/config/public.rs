//! `server.external_url` and `server.ca_file`: what clients are told about the server.

use platform::{
    config::{ConfigError, Settings},
    tls::PemSource,
};
use reqwest::Url;

/// How clients reach the server, and whom they trust to have issued its certificate.
#[derive(Debug, Clone)]
pub struct PublicSettings {
    /// The URL that clients use, without a slash at its end.
    pub external_url: Option<String>,
    /// The certificates of the CA that issued the server's, if not to be found out.
    pub ca: Option<PemSource>,
}

impl PublicSettings {
    pub(super) fn read(settings: &Settings) -> Result<Self, ConfigError> {
        const KEY: &str = "server.external_url";
        let external_url = settings.text(KEY)?;
        if let Some(text) = &external_url {
            let parsed = Url::parse(text).ok();
            let good = parsed.is_some_and(|url| {
                matches!(url.scheme(), "https" | "http")
                    && url.has_host()
                    && url.path() == "/"
                    && url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
                    && url.password().is_none()
            });
            if !good {
                let allowed = "https://host or https://host:port, as clients write it";
                return Err(ConfigError::invalid(KEY, text, allowed));
            }
        }
        Ok(Self {
            external_url: external_url.map(|url| url.trim_end_matches('/').to_owned()),
            ca: settings
                .text("server.ca_file")?
                .map(|text| PemSource::parse(&text, |path| settings.resolve(path))),
        })
    }
}
