//! `server.external_url` and `server.ca_file`: the server's URL and CA as clients see them.

use platform::{
    config::{ConfigError, Settings},
    tls::PemSource,
};
use reqwest::Url;

/// How clients reach the server, and which CA they trust for its certificate.
#[derive(Debug, Clone)]
pub struct PublicSettings {
    /// The URL that clients use, without a trailing slash.
    pub external_url: Option<String>,
    /// The certificates of the CA that issued the server's, if they cannot be determined.
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
