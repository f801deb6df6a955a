//! Refuses requests that a page of another site makes a browser send. The browser adds the client's certificate to
//! them, so they would act in the name of the browser's user.

use actix_web::{
    HttpRequest,
    http::header::{HeaderName, ORIGIN},
};

use crate::{config::Listener, generation::LoadedListener};

/// Where a request comes from, as reported by the browser (W3C Fetch Metadata, section 2.4).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The default ports, which browsers omit from an origin (RFC 6454, section 6.2).
const DEFAULT_PORTS: [(&str, u16); 2] = [("https", 443), ("http", 80)];

/// A browser marked the request as made by a page of another site.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a browser sent this request for a page of another site ({header}: {value})")]
pub struct CrossSite {
    header: &'static str,
    value: String,
}

/// The origins of this server's own pages.
pub struct OwnOrigins<'a> {
    /// `server.external_url`.
    pub external_url: Option<&'a str>,
    /// The listener on which the request arrived, as configured.
    pub configured: Option<&'a Listener>,
    /// The same listener, with its loaded certificate.
    pub listener: Option<&'a LoadedListener>,
}

/// Checks that a request does not come from another site's page. It passes if no browser sent it (other programs send
/// neither header), or if a browser sent it for this server's own pages or because its user asked for it.
///
/// # Errors
/// When it is marked as coming from another site.
pub fn check(request: &HttpRequest, own: &OwnOrigins<'_>) -> Result<(), CrossSite> {
    let refused = |header, value: &[u8]| CrossSite {
        header,
        value: String::from_utf8_lossy(value).chars().take(200).collect(),
    };
    for site in request.headers().get_all(FETCH_SITE) {
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return Err(refused("Sec-Fetch-Site", site.as_bytes()));
        }
    }
    for origin in request.headers().get_all(ORIGIN) {
        let known = origin.to_str().is_ok_and(|origin| own.include(origin));
        if !known {
            return Err(refused("Origin", origin.as_bytes()));
        }
    }
    Ok(())
}

impl OwnOrigins<'_> {
    fn include(&self, origin: &str) -> bool {
        let Some(origin) = Origin::parse(origin) else {
            return false;
        };
        if self.external_url.and_then(Origin::parse).as_ref() == Some(&origin) {
            return true;
        }
        let Some(listener) = self.configured else {
            return false;
        };
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        let here = listener
            .addresses
            .iter()
            .filter(|address| address.port() == origin.port);
        let mut addresses = here.map(|address| address.ip()).peekable();
        if origin.scheme != scheme || addresses.peek().is_none() {
            return false;
        }
        let names = self.listener.map(LoadedListener::host_names).unwrap_or_default();
        names.iter().any(|name| host_matches(name, &origin.host))
            || names.is_empty() && addresses.any(|address| address.to_string() == origin.host)
    }
}

/// A scheme, host and port, in lower case.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads an origin, or the start of a URL.
    fn parse(text: &str) -> Option<Self> {
        let uri: actix_web::http::Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let port = authority.port_u16().or_else(|| {
            let default = DEFAULT_PORTS.iter().find(|(name, _)| *name == scheme);
            default.map(|(_, port)| *port)
        })?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            scheme,
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            port,
        })
    }
}

/// Whether a name in a certificate matches a host; a leading `*` stands for one label (RFC 6125, section 6.4.3).
fn host_matches(name: &str, host: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn answer(headers: &[(&str, &str)]) -> bool {
        let mut request = TestRequest::post();
        for header in headers {
            request = request.append_header(*header);
        }
        let own = OwnOrigins {
            external_url: Some("https://trust.example/"),
            configured: None,
            listener: None,
        };
        check(&request.to_http_request(), &own).is_ok()
    }

    #[test]
    fn programs_and_our_own_pages_pass_and_other_sites_do_not() {
        assert!(answer(&[]));
        assert!(answer(&[("Sec-Fetch-Site", "none")]));
        assert!(answer(&[
            ("Sec-Fetch-Site", "same-origin"),
            ("Origin", "https://trust.example")
        ]));
        assert!(answer(&[("Origin", "https://TRUST.example:443")]));
        for other in ["cross-site", "same-site", "", "Same-Origin", "none, none"] {
            assert!(!answer(&[("Sec-Fetch-Site", other)]), "{other}");
        }
        assert!(!answer(&[
            ("Sec-Fetch-Site", "none"),
            ("Sec-Fetch-Site", "cross-site")
        ]));
        for other in [
            "null",
            "",
            "https://evil.example",
            "http://trust.example",
            "https://trust.example:8443",
            "https://trust.example.evil.example",
            "https://trust.example@evil.example",
            "https://evil.example@trust.example",
        ] {
            assert!(!answer(&[("Origin", other)]), "{other}");
            assert!(
                !answer(&[("Sec-Fetch-Site", "same-origin"), ("Origin", other)]),
                "{other}"
            );
        }
    }

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(host_matches("*.Example", "trust.example") && host_matches("trust.example", "trust.example"));
        for (name, host) in [
            ("*.example", "a.b.example"),
            ("*.example", ".example"),
            ("*.example", "example"),
            ("trust.example", "xtrust.example"),
        ] {
            assert!(!host_matches(name, host), "{name} {host}");
        }
    }
}
