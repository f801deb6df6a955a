//! Which headers pass between clients and the registry.

use actix_web::http::header::HeaderMap;
use reqwest::{
    Url,
    header::{HeaderMap as RegistryHeaders, HeaderName, HeaderValue},
};

use super::places::Places;

/// The headers of a request that the registry sees. Everything else stays here, above all whatever says who the client
/// is: the registry believes in none of it, and a list of what to take out would never be complete.
const TO_REGISTRY: [&str; 14] = [
    "accept",
    "cache-control",
    "content-range",
    "content-type",
    "docker-distribution-api-version",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "oci-chunk-min-length",
    "pragma",
    "range",
    "user-agent",
];
/// The headers of an answer that clients do not get: those of the connection (RFC 9110, section 7.6.1), those that this
/// server writes itself, cookies and challenges, which would make a client send something to the registry, and what would
/// let pages of other sites read the answer.
const NOT_TO_CLIENT: [&str; 17] = [
    "alt-svc",
    "connection",
    "content-length",
    "content-security-policy",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
    "x-content-type-options",
];
/// A body in one of these forms is read for parameters by registries, beside the query.
const FORMS: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];

/// The headers of a client's request that are passed on. What the `Connection` header names belongs to the connection.
pub fn for_registry(given: &HeaderMap) -> RegistryHeaders {
    let named: Vec<String> = given
        .get_all("connection")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut passed = RegistryHeaders::new();
    for name in TO_REGISTRY
        .iter()
        .filter(|name| !named.iter().any(|other| other == *name))
    {
        for value in given.get_all(*name) {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                passed.append(HeaderName::from_static(name), value);
            }
        }
    }
    let is_form = passed.get_all("content-type").iter().any(|kind| {
        let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
        FORMS.iter().any(|form| kind.trim_start().starts_with(form))
    });
    if is_form {
        passed.insert(
            "content-type",
            HeaderValue::from_static("application/octet-stream"),
        );
    }
    passed
}

/// The headers of the registry's answer to a request for `asked`, as the client gets them: names and values.
pub fn for_client(places: &Places, asked: &Url, given: &RegistryHeaders) -> Vec<(String, Vec<u8>)> {
    let named: Vec<String> = given
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut passed = Vec::new();
    for (name, value) in given {
        let name = name.as_str();
        if NOT_TO_CLIENT.contains(&name)
            || name.starts_with("access-control-")
            || named.iter().any(|other| other == name)
        {
            continue;
        }
        let value = match (name, value.to_str()) {
            ("location" | "content-location", Ok(place)) => places.for_clients(asked, place).into_bytes(),
            ("link", Ok(link)) => places.link_for_clients(asked, link).into_bytes(),
            _ => value.as_bytes().to_vec(),
        };
        passed.push((name.to_owned(), value));
    }
    // What somebody pushed is shown under the name of this server, whose pages know the browser's user.
    passed.push(("x-content-type-options".to_owned(), b"nosniff".to_vec()));
    passed.push((
        "content-security-policy".to_owned(),
        b"default-src 'none'; sandbox".to_vec(),
    ));
    passed
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName as Name, HeaderValue as Value};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(Name::from_static(name), Value::from_static(value));
        }
        headers
    }

    #[test]
    fn nothing_that_claims_an_identity_is_passed_on() {
        let passed = for_registry(&headers(&[
            ("authorization", "Basic eA=="),
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=x"),
            ("ssl-client-cert", "x"),
            ("x-forwarded-client-cert", "x"),
            ("client-cert", "x"),
            ("x-remote-user", "root"),
            ("range", "bytes=0-1"),
            ("accept", "a"),
            ("accept", "b"),
            ("connection", "close, Range"),
        ]));
        let names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["accept"]);
        assert_eq!(passed.get_all("accept").iter().count(), 2);
    }

    #[test]
    fn no_body_is_passed_on_as_a_form() {
        for kind in [
            "application/x-www-form-urlencoded",
            "Multipart/Form-Data; boundary=x",
        ] {
            let passed = for_registry(&headers(&[("content-type", kind)]));
            assert_eq!(passed.get("content-type").unwrap(), "application/octet-stream");
        }
    }
}
