//! Finds the route of a request line: paths are decoded, cleaned, and looked up.

use std::borrow::Cow;

use actix_web::http::Method;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{
    api::parameter,
    exchange::Target,
    routes::{self, Handler},
};

/// The characters that a redirect must encode so that the path keeps its meaning. A browser reads `\` as `/` (WHATWG
/// URL, "special" schemes), so an unencoded one would turn a path into the address of another host.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The result of looking up a request line.
#[derive(Debug)]
pub enum Resolution {
    /// A route with its handler.
    Route(Target, Handler),
    /// A redirect to the cleaned path.
    Moved(String),
    /// No route with this method.
    MethodNotAllowed,
    /// A resource of the interface beyond the Notary contract that has these methods only.
    OtherMethod(Vec<&'static str>),
}

/// Finds the route of a request.
pub fn resolve(method: &Method, raw_path: &str, query: &str) -> Resolution {
    let is_known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::HEAD,
        Method::DELETE,
    ]
    .contains(method);
    // Notary has no PATCH.
    let is_of_api = method == Method::PATCH && raw_path.starts_with("/api/");
    if !is_known && !is_of_api {
        return Resolution::MethodNotAllowed;
    }
    // Bytes that are not UTF-8 cannot name anything stored.
    let Ok(path) = percent_decode_str(raw_path).decode_utf8() else {
        return unknown();
    };
    // If the server URL ends in a slash, the stock clients ask for "//v2/…".
    let path = match path.trim_start_matches('/') {
        rest if path.starts_with("//") => Cow::Owned(format!("/{rest}")),
        _ => path,
    };
    if !is_clean(&path) {
        let clean = clean(&path);
        let encoded = utf8_percent_encode(&clean, PATH).to_string();
        return Resolution::Moved(if query.is_empty() {
            encoded
        } else {
            format!("{encoded}?{query}")
        });
    }
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    match routes::find(method, &path) {
        Some((mut target, handler)) => {
            if target.operation.names_gun_in_query() {
                target.gun = parameter(query, "gun");
            }
            Resolution::Route(target, handler)
        }
        None => match routes::methods_of(&path) {
            methods if methods.is_empty() => unknown(),
            methods => Resolution::OtherMethod(methods),
        },
    }
}

fn unknown() -> Resolution {
    let (target, handler) = routes::unknown();
    Resolution::Route(target, handler)
}

/// Whether a path is as `clean` would make it.
fn is_clean(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let segments = rest.strip_suffix('/').unwrap_or(rest);
    rest.is_empty()
        || !segments
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
}

/// Resolves empty, `.` and `..` segments; a trailing slash is kept.
pub fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let trailing = path.ends_with('/') && !segments.is_empty();
    format!("/{}{}", segments.join("/"), if trailing { "/" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::operation::Operation;

    fn target(method: Method, path: &str) -> (Operation, Option<String>, Option<String>, Option<String>) {
        match resolve(&method, path, "") {
            Resolution::Route(target, _) => (target.operation, target.gun, target.role, target.selector),
            other => panic!("{path} leads to {other:?}"),
        }
    }

    fn moved(path: &str, query: &str) -> String {
        match resolve(&Method::GET, path, query) {
            Resolution::Moved(location) => location,
            other => panic!("{path} leads to {other:?}"),
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    proptest::proptest! {
        #[test]
        fn a_path_is_clean_exactly_if_cleaning_changes_nothing(path in "[/.a ]{0,12}") {
            assert_eq!(is_clean(&path), clean(&path) == path, "{path}");
        }
    }

    #[test]
    fn guns_are_greedy_and_may_hold_anything_but_a_star() {
        let expected = (Operation::ReadCurrent, some("a/_trust/tuf/b"), some("root"), None);
        assert_eq!(
            target(Method::GET, "/v2/a/_trust/tuf/b/_trust/tuf/root.json"),
            expected
        );
        let expected = (
            Operation::ReadCurrent,
            some("Reg:5000/A b/ü"),
            some("targets/x.Y"),
            None,
        );
        assert_eq!(
            target(
                Method::GET,
                "/v2/Reg:5000%2FA%20b/%C3%BC/_trust/tuf/targets/x.Y.json"
            ),
            expected
        );
        assert_eq!(
            target(Method::GET, "/v2/a%2Ab/_trust/tuf/root.json").0,
            Operation::Unknown
        );
    }

    #[test]
    fn versions_and_checksums_are_told_apart() {
        let expected = (Operation::ReadByVersion, some("g"), some("root"), some("007"));
        assert_eq!(target(Method::GET, "/v2/g/_trust/tuf/007.root.json"), expected);
        let checksum = "aB".repeat(32);
        let expected = (
            Operation::ReadByChecksum,
            some("g"),
            some("targets/a"),
            some(&checksum),
        );
        assert_eq!(
            target(
                Method::GET,
                &format!("/v2/g/_trust/tuf/targets/a.{checksum}.json")
            ),
            expected
        );
        for path in [
            "-1.root.json",
            "1.5.root.json",
            "root.key",
            "targets.key",
            "targets/.json",
            "x.json",
        ] {
            let full = format!("/v2/g/_trust/tuf/{path}");
            assert_eq!(target(Method::GET, &full).0, Operation::Unknown, "{path}");
        }
    }

    #[test]
    fn the_changefeed_is_for_one_gun_or_for_all() {
        assert_eq!(target(Method::GET, "/v2/_trust/changefeed").1, None);
        assert_eq!(target(Method::GET, "/v2/a/b/_trust/changefeed").1, some("a/b"));
        assert_eq!(
            target(Method::GET, "/v2/_trust/changefeed/").0,
            Operation::Unknown
        );
    }

    #[test]
    fn a_trailing_slash_is_significant() {
        for path in ["/v2", "/v2/g/_trust/tuf", "/_notary_server/health/"] {
            assert_eq!(target(Method::GET, path).0, Operation::Unknown, "{path}");
        }
        assert_eq!(target(Method::POST, "/v2/g/_trust/tuf/").0, Operation::Publish);
        assert_eq!(target(Method::PUT, "/v2/g/_trust/tuf/").0, Operation::Unknown);
    }

    #[test]
    fn a_server_url_with_a_trailing_slash_works() {
        assert_eq!(target(Method::GET, "//v2/").0, Operation::Ping);
        assert_eq!(target(Method::GET, "//v2/g/_trust/tuf/root.json").1, some("g"));
    }

    #[test]
    fn unclean_paths_are_redirected_before_anything_else() {
        let expected = "/v2/foo/_trust/tuf/root.json?x=1";
        assert_eq!(moved("/v2/foo//_trust/tuf/root.json", "x=1"), expected);
        assert_eq!(
            moved("/v2/bar/%2e%2e/foo/./_trust/tuf/root.json", "x=1"),
            expected
        );
        assert_eq!(moved("/v2/a%0d%0ab//c", "x=1"), "/v2/a%0D%0Ab/c?x=1");
        assert_eq!(moved("/../../v2/", ""), "/v2/");
    }

    #[test]
    fn redirects_stay_on_this_host() {
        for path in [
            "/%5cevil.example//",
            "/%5C%5Cevil.example/./",
            "/.//evil.example//x",
            "/x/..//%5cevil.example//",
            "/%2f%5cevil.example//",
            "/%09/%5cevil.example/",
            "/%0d%0a%5c//",
            "\\\\evil.example//",
        ] {
            match resolve(&Method::GET, path, "") {
                Resolution::Moved(location) => assert!(
                    location.starts_with('/')
                        && !location[1..].starts_with(['/', '\\'])
                        && location
                            .bytes()
                            .all(|byte| byte.is_ascii_graphic() && byte != b'\\'),
                    "{path} leads to {location}"
                ),
                other => assert!(
                    matches!(other, Resolution::Route(..)),
                    "{path} leads to {other:?}"
                ),
            }
        }
        assert_eq!(moved("/%5cevil.example//", ""), "/%5Cevil.example/");
    }

    #[test]
    fn other_methods_are_not_allowed() {
        let resolution = resolve(&Method::PATCH, "/v2/", "");
        assert!(
            matches!(resolution, Resolution::MethodNotAllowed),
            "{resolution:?}"
        );
    }
}
