//! Every route of the server on one page, and the way from a request line to one of them.

use std::{borrow::Cow, sync::LazyLock};

use actix_web::http::Method;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use regex::Regex;

use crate::revocation::Class;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Is this a trust server, and does it know me?
    Ping,
    /// Publish an update of a GUN.
    Publish,
    /// A document by its checksum.
    ReadByChecksum,
    /// A document by its version.
    ReadByVersion,
    /// The current document of a role.
    ReadCurrent,
    /// The server's public key for a role.
    ReadKey,
    /// A new server key for a role.
    RotateKey,
    /// Delete a GUN.
    Delete,
    /// The changes of one GUN, or of all.
    Changefeed,
    /// Is the server well?
    Health,
    /// How the server is, for people.
    HealthInfo,
    /// The CA that issued the server's certificate.
    Ca,
    /// A script that sets a client up.
    SetupScript,
    /// The page for people with a browser.
    Overview,
    /// Who am I?
    BasicInfo,
    /// The repositories that the caller may see.
    Repositories,
    /// One repository, or those of a namespace.
    Repository,
    /// The signed tags of a repository.
    Tags,
    /// The server's version.
    Version,
    /// The server's settings.
    Settings,
    /// What is answered beside the Notary contract.
    OpenApi,
    /// Figures for Prometheus.
    Metrics,
    /// Nothing that exists.
    Unknown,
}

impl Operation {
    /// The label in metrics; the names are those of the Notary server.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ping => "Ping",
            Self::Publish => "UpdateTUF",
            Self::ReadByChecksum => "GetRoleByHash",
            Self::ReadByVersion => "GetRoleByVersion",
            Self::ReadCurrent => "GetRole",
            Self::ReadKey => "GetKey",
            Self::RotateKey => "RotateKey",
            Self::Delete => "DeleteTUF",
            Self::Changefeed => "Changefeed",
            Self::Health => "Health",
            Self::HealthInfo => "HealthInfo",
            Self::Ca => "Ca",
            Self::SetupScript => "SetupScript",
            Self::Overview => "Overview",
            Self::BasicInfo => "BasicInfo",
            Self::Repositories => "Repositories",
            Self::Repository => "Repository",
            Self::Tags => "Tags",
            Self::Version => "Version",
            Self::Settings => "Settings",
            Self::OpenApi => "OpenApi",
            Self::Metrics => "Metrics",
            Self::Unknown => "Unknown",
        }
    }
}

impl Operation {
    /// Whether it changes anything.
    pub fn class(self) -> Class {
        match self {
            // Reading the key of a new repository makes it.
            Self::Publish | Self::ReadKey | Self::RotateKey | Self::Delete => Class::Write,
            _ => Class::Read,
        }
    }

    /// Whether the answer has the shape of Docker Trusted Registry's interface.
    pub fn is_api(self) -> bool {
        matches!(
            self,
            Self::BasicInfo
                | Self::Repositories
                | Self::Repository
                | Self::Tags
                | Self::Version
                | Self::Settings
        )
    }
}

/// The first match wins. The GUN is greedy and may hold anything but `*`, slashes too.
const ROUTES: [(&str, &str, Operation); 22] = [
    ("GET", r"/v2/", Operation::Ping),
    ("POST", r"/v2/(?P<gun>[^*]+)/_trust/tuf/", Operation::Publish),
    (
        "GET",
        r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>{ROLE})\.(?P<which>[[:xdigit:]]{64}|[[:xdigit:]]{96}|[[:xdigit:]]{128})\.json",
        Operation::ReadByChecksum,
    ),
    (
        "GET",
        r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<which>[0-9]+)\.(?P<role>{ROLE})\.json",
        Operation::ReadByVersion,
    ),
    (
        "GET",
        r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>{ROLE})\.json",
        Operation::ReadCurrent,
    ),
    (
        "GET",
        r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>snapshot|timestamp)\.key",
        Operation::ReadKey,
    ),
    (
        "POST",
        r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>snapshot|timestamp)\.key",
        Operation::RotateKey,
    ),
    ("DELETE", r"/v2/(?P<gun>[^*]+)/_trust/tuf/", Operation::Delete),
    (
        "GET",
        r"/v2/(?:(?P<gun>[^*]+)/)?_trust/changefeed",
        Operation::Changefeed,
    ),
    ("GET", r"/_notary_server/health", Operation::Health),
    ("GET", r"/metrics", Operation::Metrics),
    ("GET", r"/", Operation::Overview),
    ("GET", r"/health", Operation::HealthInfo),
    ("GET", r"/ca", Operation::Ca),
    ("GET", r"/setup\.sh", Operation::SetupScript),
    ("GET", r"/openapi\.json", Operation::OpenApi),
    ("GET", r"/basic_info", Operation::BasicInfo),
    ("GET", r"/api/v0/admin/version", Operation::Version),
    ("GET", r"/api/v0/meta/settings", Operation::Settings),
    ("GET", r"/api/v0/repositories/?", Operation::Repositories),
    (
        "GET",
        r"/api/v0/repositories/(?P<which>.+)/tags/?",
        Operation::Tags,
    ),
    (
        "GET",
        r"/api/v0/repositories/(?P<which>.+)",
        Operation::Repository,
    ),
];
const ROLE: &str = r"root|targets(?:/[^/\s]+)*|snapshot|timestamp";

static MATCHERS: LazyLock<Vec<(&str, Regex, Operation)>> = LazyLock::new(|| {
    ROUTES
        .iter()
        .map(|(method, pattern, operation)| {
            let anchored = format!("^{}$", pattern.replace("{ROLE}", ROLE));
            (
                *method,
                Regex::new(&anchored).expect("the table's patterns are constants"),
                *operation,
            )
        })
        .collect()
});

/// What has to be encoded in a path so that it means the same when it comes back. A browser reads `\` as `/`
/// (WHATWG URL, "special" schemes), so a bare one would turn a path into the address of another host.
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

/// A matched route with its parameters, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What is asked for.
    pub operation: Operation,
    /// The repository, as named in the path.
    pub gun: Option<String>,
    /// The role, as named in the path.
    pub role: Option<String>,
    /// The version or checksum, as written in the path.
    pub which: Option<String>,
}

/// Where a request line leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// To an operation.
    Target(Target),
    /// To the same path, cleaned.
    Moved(String),
    /// Nowhere, with this method.
    MethodNotAllowed,
    /// To something of our own interface that is only read.
    ReadOnly,
}

/// Finds the route of a request.
pub fn resolve(method: &Method, raw_path: &str, query: &str) -> Resolution {
    if ![
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::HEAD,
        Method::DELETE,
    ]
    .contains(method)
    {
        return Resolution::MethodNotAllowed;
    }
    // Bytes that are no UTF-8 name nothing that can be stored.
    let Ok(path) = percent_decode_str(raw_path).decode_utf8() else {
        return unknown();
    };
    // A server URL that ends in a slash makes the stock clients ask for "//v2/…".
    let path = match path.trim_start_matches('/') {
        rest if path.starts_with("//") => Cow::Owned(format!("/{rest}")),
        _ => path,
    };
    let clean = clean(&path);
    if clean != path {
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
    MATCHERS
        .iter()
        .filter(|(expected, _, _)| *expected == method)
        .find_map(|(_, pattern, operation)| {
            let found = pattern.captures(&path)?;
            let part = |name| found.name(name).map(|part| part.as_str().to_owned());
            Some(Resolution::Target(Target {
                operation: *operation,
                gun: part("gun"),
                role: part("role"),
                which: part("which"),
            }))
        })
        .unwrap_or_else(|| {
            if is_read_only(&path) {
                Resolution::ReadOnly
            } else {
                unknown()
            }
        })
}

/// Whether a path of our own interface is there, with another method.
fn is_read_only(path: &str) -> bool {
    let api = MATCHERS.iter().filter(|(_, _, operation)| operation.is_api());
    api.into_iter().any(|(_, pattern, _)| pattern.is_match(path))
}

fn unknown() -> Resolution {
    Resolution::Target(Target {
        operation: Operation::Unknown,
        gun: None,
        role: None,
        which: None,
    })
}

/// Resolves empty, `.` and `..` segments; a trailing slash stays.
fn clean(path: &str) -> String {
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

    fn target(method: Method, path: &str) -> (Operation, Option<String>, Option<String>, Option<String>) {
        match resolve(&method, path, "") {
            Resolution::Target(target) => (target.operation, target.gun, target.role, target.which),
            other => panic!("{path} leads to {other:?}"),
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
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
        let moved = |path| resolve(&Method::GET, path, "x=1");
        let expected = Resolution::Moved("/v2/foo/_trust/tuf/root.json?x=1".into());
        assert_eq!(moved("/v2/foo//_trust/tuf/root.json"), expected);
        assert_eq!(moved("/v2/bar/%2e%2e/foo/./_trust/tuf/root.json"), expected);
        assert_eq!(
            moved("/v2/a%0d%0ab//c"),
            Resolution::Moved("/v2/a%0D%0Ab/c?x=1".into())
        );
        assert_eq!(
            resolve(&Method::GET, "/../../v2/", ""),
            Resolution::Moved("/v2/".into())
        );
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
                    matches!(other, Resolution::Target(_)),
                    "{path} leads to {other:?}"
                ),
            }
        }
        assert_eq!(
            resolve(&Method::GET, "/%5cevil.example//", ""),
            Resolution::Moved("/%5Cevil.example/".into())
        );
    }

    #[test]
    fn other_methods_are_not_allowed() {
        assert_eq!(resolve(&Method::PATCH, "/v2/", ""), Resolution::MethodNotAllowed);
    }
}
