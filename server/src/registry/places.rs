//! The addresses of the registry: its own, and the one by which clients know it.

use reqwest::Url;

use crate::config::{PublicSettings, RegistrySettings};

/// The addresses of the registry.
#[derive(Debug, Clone)]
pub struct Places {
    upstream: Url,
    /// What clients know it by; it has no path.
    public: Option<Url>,
    /// Whether clients get whole URLs: not if nobody has said what theirs is.
    external: bool,
}

impl Places {
    /// The addresses of a configuration.
    pub(super) fn new(settings: &RegistrySettings, public: &PublicSettings) -> Self {
        let external = public
            .external_url
            .as_deref()
            .and_then(|url| Url::parse(url).ok());
        Self {
            upstream: settings.upstream.clone(),
            external: external.is_some(),
            public: external.or_else(|| Url::parse(&format!("https://{}", settings.host)).ok()),
        }
    }

    /// The registry's URL for a path.
    pub(super) fn at(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.upstream.clone();
        url.set_path(path);
        url.set_query(query.filter(|query| !query.is_empty()));
        url
    }

    /// The scheme and the authority that clients use.
    pub(super) fn public(&self) -> Option<(&str, String)> {
        let url = self.public.as_ref()?;
        let host = url.host_str()?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Some((url.scheme(), authority))
    }

    /// A place that the registry names in an answer to a request for `asked`, as clients have to write it. A place
    /// elsewhere is left as it is.
    pub fn for_clients(&self, asked: &Url, place: &str) -> String {
        let Ok(named) = asked.join(place) else {
            return place.to_owned();
        };
        let ours = [Some(&self.upstream), self.public.as_ref()];
        if !ours
            .into_iter()
            .flatten()
            .any(|own| own.origin() == named.origin())
        {
            return place.to_owned();
        }
        let mut written = match &self.public {
            Some(public) if self.external => public.as_str().trim_end_matches('/').to_owned(),
            _ => String::new(),
        };
        written.push_str(named.path());
        if let Some(query) = named.query() {
            written.push('?');
            written.push_str(query);
        }
        written
    }

    /// A `Link` header, with the place in it as clients have to write it.
    pub fn link_for_clients(&self, asked: &Url, link: &str) -> String {
        let Some((place, rest)) = link.strip_prefix('<').and_then(|link| link.split_once('>')) else {
            return link.to_owned();
        };
        // Every client reads one that is relative.
        if place.starts_with('/') && !place.starts_with("//") {
            return link.to_owned();
        }
        format!("<{}>{rest}", self.for_clients(asked, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(external: Option<&str>) -> Places {
        Places {
            upstream: Url::parse("http://127.0.0.1:5000").unwrap(),
            external: external.is_some(),
            public: Some(Url::parse(external.unwrap_or("https://reg.example")).unwrap()),
        }
    }

    #[test]
    fn places_at_the_registry_become_ours_and_others_stay() {
        let asked = Url::parse("http://127.0.0.1:5000/v2/a/blobs/uploads/").unwrap();
        let known = places(Some("https://reg.example:5443"));
        let cases = [
            (
                "http://127.0.0.1:5000/v2/a?x=1%2F2",
                "https://reg.example:5443/v2/a?x=1%2F2",
            ),
            (
                "/v2/a/blobs/uploads/u?_state=y",
                "https://reg.example:5443/v2/a/blobs/uploads/u?_state=y",
            ),
            ("https://reg.example:5443/v2/b", "https://reg.example:5443/v2/b"),
            ("https://s3.example/blob?sig=1", "https://s3.example/blob?sig=1"),
            ("//s3.example/blob", "//s3.example/blob"),
            ("https://127.0.0.1:5000/v2/a", "https://127.0.0.1:5000/v2/a"),
        ];
        for (place, expected) in cases {
            assert_eq!(known.for_clients(&asked, place), expected);
        }
        let unknown = places(None);
        assert_eq!(
            unknown.for_clients(&asked, "http://127.0.0.1:5000/v2/a?x=1"),
            "/v2/a?x=1"
        );
        assert_eq!(unknown.for_clients(&asked, "https://reg.example/v2/a"), "/v2/a");
        let link = "<http://127.0.0.1:5000/v2/a/tags/list?n=1>; rel=\"next\"";
        let expected = "<https://reg.example:5443/v2/a/tags/list?n=1>; rel=\"next\"";
        assert_eq!(known.link_for_clients(&asked, link), expected);
        let relative = "</v2/a/tags/list?n=1>; rel=\"next\"";
        assert_eq!(known.link_for_clients(&asked, relative), relative);
    }
}
