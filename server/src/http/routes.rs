//! All routes of the server: method, path, operation, handler. The handler's grant parameter says what a caller needs;
//! the stages enforce it.

use std::sync::LazyLock;

use futures_util::future::LocalBoxFuture;
use regex::Regex;

use super::{
    api, changefeed,
    error::ApiError,
    exchange::{Exchange, Target},
    keys, metadata,
    operation::Operation,
    outcome::Outcome,
    repository, stages, status,
};

/// The stages and the handler of a route.
#[derive(Debug, Clone, Copy)]
pub struct Handler(for<'a, 'b> fn(&'a mut Exchange<'b>) -> LocalBoxFuture<'a, Result<Outcome, ApiError>>);

impl Handler {
    /// Runs the stages and, if they let the request through, the handler.
    ///
    /// # Errors
    /// When a stage or the handler refuses.
    pub async fn run(self, exchange: &mut Exchange<'_>) -> Result<Outcome, ApiError> {
        self.0(exchange).await
    }
}

struct Route {
    method: &'static str,
    path: Regex,
    operation: Operation,
    handler: Handler,
}

const ROLE: &str = r"root|targets(?:/[^/\s]+)*|snapshot|timestamp";
const CHECKSUM: &str = "[[:xdigit:]]{64}|[[:xdigit:]]{96}|[[:xdigit:]]{128}";

macro_rules! handler {
    ($handler:path) => {
        Handler(|exchange| Box::pin(stages::run(exchange, $handler)))
    };
}

macro_rules! route {
    ($method:literal, $path:literal, $operation:ident, $handler:path) => {
        Route {
            method: $method,
            path: pattern($path),
            operation: Operation::$operation,
            handler: handler!($handler),
        }
    };
}

/// The first match decides. The GUN is greedy and may contain anything but `*`, including slashes.
#[rustfmt::skip]
static ROUTES: LazyLock<[Route; 22]> = LazyLock::new(|| {
    [
        route!("GET", r"/v2/", Ping, status::ping),
        route!("POST", r"/v2/(?P<gun>[^*]+)/_trust/tuf/", Publish, repository::publish),
        route!("GET", r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>{ROLE})\.(?P<selector>{CHECKSUM})\.json", ReadByChecksum, metadata::by_checksum),
        route!("GET", r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<selector>[0-9]+)\.(?P<role>{ROLE})\.json", ReadByVersion, metadata::by_version),
        route!("GET", r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>{ROLE})\.json", ReadCurrent, metadata::current),
        route!("GET", r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>snapshot|timestamp)\.key", ReadKey, keys::read),
        route!("POST", r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>snapshot|timestamp)\.key", RotateKey, keys::rotate),
        route!("DELETE", r"/v2/(?P<gun>[^*]+)/_trust/tuf/", Delete, repository::delete),
        route!("GET", r"/v2/(?:(?P<gun>[^*]+)/)?_trust/changefeed", Changefeed, changefeed::read),
        route!("GET", r"/_notary_server/health", Health, status::health),
        route!("GET", r"/metrics", Metrics, status::metrics),
        route!("GET", r"/", Overview, api::overview),
        route!("GET", r"/health", HealthInfo, api::health),
        route!("GET", r"/ca", Ca, api::ca),
        route!("GET", r"/setup\.sh", SetupScript, api::setup_script),
        route!("GET", r"/openapi\.json", OpenApi, api::description),
        route!("GET", r"/basic_info", BasicInfo, api::basic_info),
        route!("GET", r"/api/v0/admin/version", Version, api::version),
        route!("GET", r"/api/v0/meta/settings", Settings, api::settings),
        route!("GET", r"/api/v0/repositories/?", Repositories, api::list),
        route!("GET", r"/api/v0/repositories/(?P<selector>.+)/tags/?", Tags, api::tags),
        route!("GET", r"/api/v0/repositories/(?P<selector>.+)", Repository, api::one),
    ]
});

fn pattern(path: &str) -> Regex {
    let anchored = format!(
        "^{}$",
        path.replace("{ROLE}", ROLE).replace("{CHECKSUM}", CHECKSUM)
    );
    Regex::new(&anchored).expect("the table's patterns are constants")
}

/// The route for a method and a decoded path.
pub fn find(method: &str, path: &str) -> Option<(Target, Handler)> {
    ROUTES
        .iter()
        .filter(|route| route.method == method)
        .find_map(|route| {
            let found = route.path.captures(path)?;
            let part = |name| found.name(name).map(|part| part.as_str().to_owned());
            let target = Target {
                operation: route.operation,
                gun: part("gun"),
                role: part("role"),
                selector: part("selector"),
            };
            Some((target, route.handler))
        })
}

/// The handler for requests without a route: only a client with an identity is told that there is no such route.
pub fn unknown() -> (Target, Handler) {
    let target = Target {
        operation: Operation::Unknown,
        gun: None,
        role: None,
        selector: None,
    };
    (target, handler!(status::no_route))
}

/// Whether a path of the interface beyond the Notary contract exists for another method.
pub fn is_read_only(path: &str) -> bool {
    let mut api = ROUTES.iter().filter(|route| route.operation.is_api());
    api.any(|route| route.path.is_match(path))
}
