//! All routes of the server: method, path, operation, handler. The handler's grant parameter says what a caller needs;
//! the stages enforce it.

use std::sync::LazyLock;

use futures_util::future::LocalBoxFuture;
use regex::Regex;

#[cfg(feature = "native")]
use super::native;
use super::{
    api, changefeed,
    error::ApiError,
    events,
    exchange::{Exchange, Target},
    keys, metadata,
    operation::Operation,
    outcome::Outcome,
    pages, registry, repository, stages, status, tokens,
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
    path: Pattern,
    operation: Operation,
    handler: Handler,
}

/// What the path of a route looks like.
enum Pattern {
    /// Exactly this.
    Fixed(&'static str),
    /// With names in it.
    Named(Regex),
    /// Of a TUF 1.0 repository, and of this kind.
    #[cfg(feature = "native")]
    Native(&'static str),
}

const ROLE: &str = r"root|targets(?:/[^/\s]+)*|snapshot|timestamp";
const CHECKSUM: &str = "[[:xdigit:]]{64}|[[:xdigit:]]{96}|[[:xdigit:]]{128}";

macro_rules! handler {
    ($handler:path) => {
        Handler(|exchange| Box::pin(stages::run(exchange, $handler)))
    };
}

macro_rules! route {
    ($method:literal, $path:expr, $operation:ident, $handler:path) => {
        Route {
            method: $method,
            path: $path,
            operation: Operation::$operation,
            handler: handler!($handler),
        }
    };
}

/// The first match decides. The GUN is greedy and may contain anything but `*`, including slashes.
#[rustfmt::skip]
static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    vec![
        route!("GET", Pattern::Fixed("/v2/"), Ping, status::ping),
        route!("POST", named(r"/v2/(?P<gun>[^*]+)/_trust/tuf/"), Publish, repository::publish),
        route!("GET", named(r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>{ROLE})\.(?P<selector>{CHECKSUM})\.json"), ReadByChecksum, metadata::by_checksum),
        route!("GET", named(r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<selector>[0-9]+)\.(?P<role>{ROLE})\.json"), ReadByVersion, metadata::by_version),
        route!("GET", named(r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>{ROLE})\.json"), ReadCurrent, metadata::current),
        route!("GET", named(r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>snapshot|timestamp)\.key"), ReadKey, keys::read),
        route!("POST", named(r"/v2/(?P<gun>[^*]+)/_trust/tuf/(?P<role>snapshot|timestamp)\.key"), RotateKey, keys::rotate),
        route!("DELETE", named(r"/v2/(?P<gun>[^*]+)/_trust/tuf/"), Delete, repository::delete),
        route!("GET", named(r"/v2/(?:(?P<gun>[^*]+)/)?_trust/changefeed"), Changefeed, changefeed::read),
        route!("GET", named(r"/v2/(?:(?P<gun>[^*]+)/)?_trust/events"), Events, events::follow),
        route!("GET", named(r"/v2/(?P<gun>[^*]+)/_trust/bundle"), ReadBundle, metadata::bundle),
        route!("GET", Pattern::Fixed("/_notary_server/health"), Health, status::health),
        route!("GET", Pattern::Fixed("/metrics"), Metrics, status::metrics),
        route!("GET", Pattern::Fixed("/"), Overview, pages::overview),
        route!("GET", Pattern::Fixed("/repositories"), RepositoriesPage, pages::repositories),
        route!("GET", Pattern::Fixed("/expiry"), ExpiryPage, pages::expiry),
        route!("GET", Pattern::Fixed("/repository"), RepositoryPage, pages::tags),
        route!("GET", Pattern::Fixed("/repository/tag"), RepositoryPage, pages::tag),
        route!("GET", Pattern::Fixed("/repository/signers"), RepositoryPage, pages::signers),
        route!("GET", Pattern::Fixed("/repository/root"), RepositoryPage, pages::root),
        route!("GET", Pattern::Fixed("/repository/activity"), RepositoryPage, pages::activity),
        route!("GET", Pattern::Fixed("/repository/documents"), RepositoryPage, pages::documents),
        route!("GET", Pattern::Fixed("/repository/commands"), RepositoryPage, pages::commands),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Fixed("/tuf"), TufListPage, pages::native::list),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Fixed("/tuf/repository"), TufPage, pages::native::targets),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Fixed("/tuf/repository/signers"), TufPage, pages::native::signers),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Fixed("/tuf/repository/root"), TufPage, pages::native::root),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Fixed("/tuf/repository/activity"), TufPage, pages::native::activity),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Fixed("/tuf/repository/documents"), TufPage, pages::native::documents),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Fixed("/tuf/repository/commands"), TufPage, pages::native::commands),
        route!("GET", named(r"/assets/(?P<selector>[^/]+)"), Asset, pages::asset),
        route!("GET", Pattern::Fixed("/access"), AccessPage, pages::access),
        route!("POST", Pattern::Fixed("/access/whose"), Whose, pages::whose_certificate),
        route!("POST", Pattern::Fixed("/access/certificate"), OwnCertificate, pages::own_certificate),
        route!("GET", Pattern::Fixed("/access/account"), AccessForm, pages::account),
        route!("GET", Pattern::Fixed("/access/confirm"), AccessForm, pages::confirm),
        route!("POST", Pattern::Fixed("/access/change"), ChangeAccess, pages::change),
        route!("GET", Pattern::Fixed("/access/whose"), AccessPage, pages::to_access),
        route!("GET", Pattern::Fixed("/access/certificate"), AccessPage, pages::new_certificate),
        route!("GET", Pattern::Fixed("/access/change"), AccessPage, pages::to_access),
        route!("GET", Pattern::Fixed("/audit"), AuditPage, pages::audit),
        route!("GET", Pattern::Fixed("/audit.jsonl"), AuditLines, pages::lines),
        route!("GET", Pattern::Fixed("/health"), HealthInfo, api::health),
        route!("GET", Pattern::Fixed("/ca"), Ca, api::ca),
        route!("GET", Pattern::Fixed("/setup.sh"), SetupScript, api::setup_script),
        route!("GET", Pattern::Fixed("/openapi.json"), OpenApi, api::description),
        route!("GET", Pattern::Fixed("/auth/token"), Token, tokens::issue),
        route!("POST", Pattern::Fixed("/auth/token"), Token, tokens::issue),
        route!("GET", Pattern::Fixed("/auth/keys"), TokenKeys, tokens::keys),
        route!("GET", Pattern::Fixed("/basic_info"), BasicInfo, api::basic_info),
        route!("GET", Pattern::Fixed("/api/v0/admin/version"), Version, api::version),
        route!("GET", Pattern::Fixed("/api/v0/meta/settings"), Settings, api::settings),
        route!("POST", Pattern::Fixed("/api/v0/bundle"), IssueBundle, api::issue_bundle),
        route!("POST", named(r"/api/v0/attestations/?"), Attest, api::attest),
        route!("POST", Pattern::Fixed("/api/v0/admin/reload"), Reload, api::reload),
        route!("GET", named(r"/api/v0/accounts/?"), ReadAccounts, api::list_accounts),
        route!("POST", named(r"/api/v0/accounts/?"), ChangeAccounts, api::add_account),
        route!("GET", named(r"/api/v0/accountPublicKeys/?"), ReadAccounts, api::keys_of_all),
        route!("GET", named(r"/api/v0/accounts/(?P<selector>.+)/publicKeys/?"), ReadAccounts, api::keys_of_account),
        route!("POST", named(r"/api/v0/accounts/(?P<selector>.+)/publicKeys/?"), ChangeAccounts, api::add_key),
        route!("PATCH", named(r"/api/v0/accounts/(?P<selector>.+/publicKeys/[^/]+)"), ChangeAccounts, api::describe_key),
        route!("DELETE", named(r"/api/v0/accounts/(?P<selector>.+/publicKeys/[^/]+)"), ChangeAccounts, api::remove_key),
        route!("GET", named(r"/api/v0/accounts/(?P<selector>.+)"), ReadAccounts, api::one_account),
        route!("PATCH", named(r"/api/v0/accounts/(?P<selector>.+)"), ChangeAccounts, api::set_account_state),
        route!("DELETE", named(r"/api/v0/accounts/(?P<selector>.+)"), ChangeAccounts, api::remove_account),
        route!("GET", named(r"/api/v0/denials/?"), ReadDenials, api::list_denials),
        route!("POST", named(r"/api/v0/denials/?"), ChangeDenials, api::deny),
        route!("DELETE", named(r"/api/v0/denials/(?P<selector>[^/]+)"), ChangeDenials, api::undo_denial),
        route!("POST", named(r"/api/v0/repositories/(?P<selector>.+)/renewals/?"), RenewNow, api::renew),
        route!("GET", named(r"/api/v0/repositories/?"), Repositories, api::list),
        route!("GET", named(r"/api/v0/repositories/(?P<selector>.+)/tags/?"), Tags, api::tags),
        route!("GET", named(r"/api/v0/repositories/(?P<selector>.+)"), Repository, api::one),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Fixed("/tuf/v1/"), NativeList, native::list),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Native("metadata"), NativeRead, native::metadata),
        #[cfg(feature = "native")]
        route!("POST", Pattern::Native("metadata"), NativePublish, native::publish),
        #[cfg(feature = "native")]
        route!("DELETE", Pattern::Native("metadata"), NativeDelete, native::delete),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Native("keys"), NativeReadKey, native::server_keys),
        #[cfg(feature = "native")]
        route!("POST", Pattern::Native("keys"), NativeRotateKey, native::rotate),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Native("sign"), NativeWaiting, native::waiting),
        #[cfg(feature = "native")]
        route!("POST", Pattern::Native("sign"), NativeSign, native::sign),
        #[cfg(feature = "native")]
        route!("DELETE", Pattern::Native("sign"), NativeSign, native::withdraw),
        #[cfg(feature = "native")]
        route!("GET", Pattern::Native("targets"), NativeRead, native::target),
        #[cfg(feature = "native")]
        route!("PUT", Pattern::Native("targets"), NativeStore, native::store_target),
    ]
});

fn named(path: &str) -> Pattern {
    let anchored = format!(
        "^{}$",
        path.replace("{ROLE}", ROLE).replace("{CHECKSUM}", CHECKSUM)
    );
    Pattern::Named(Regex::new(&anchored).expect("the table's patterns are constants"))
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Fixed(fixed) => *fixed == path,
            Self::Named(pattern) => pattern.is_match(path),
            #[cfg(feature = "native")]
            Self::Native(kind) => native::split(path).is_some_and(|(_, found, _)| found == *kind),
        }
    }
}

impl Route {
    fn target(&self, path: &str) -> Option<Target> {
        let mut target = Target::of(self.operation);
        match &self.path {
            Pattern::Fixed(fixed) => (*fixed == path).then_some(target),
            // Most requests match one of several patterns, and whether one matches is found faster than where its names
            // are.
            Pattern::Named(pattern) if !pattern.is_match(path) => None,
            Pattern::Named(pattern) => {
                let found = pattern.captures(path)?;
                let part = |name| found.name(name).map(|part| part.as_str().to_owned());
                target.gun = part("gun");
                target.role = part("role");
                target.selector = part("selector");
                Some(target)
            }
            #[cfg(feature = "native")]
            Pattern::Native(kind) => {
                let (name, _, below) = native::split(path).filter(|(_, found, _)| found == kind)?;
                target.gun = Some(name.to_owned());
                target.selector = Some(below.to_owned());
                Some(target)
            }
        }
    }
}

/// The route for a method and a decoded path.
pub fn find(method: &str, path: &str) -> Option<(Target, Handler)> {
    ROUTES
        .iter()
        .filter(|route| route.method == method)
        .find_map(|route| Some((route.target(path)?, route.handler)))
}

/// The handler for an operation on images.
pub fn of_images(operation: Operation) -> Handler {
    match operation {
        Operation::ImageManifest | Operation::ImageRead => handler!(registry::pull),
        Operation::ImagePush | Operation::ImageUpload => handler!(registry::push),
        Operation::ImageDelete => handler!(registry::delete),
        Operation::ImageCatalog => handler!(registry::catalog),
        Operation::ImageUnsupported => handler!(registry::unsupported),
        _ => handler!(registry::unknown),
    }
}

/// The handler for requests without a route: only a client with an identity is told that there is no such route.
pub fn unknown() -> (Target, Handler) {
    (Target::of(Operation::Unknown), handler!(status::no_route))
}

/// The methods for which a path of the interface beyond the Notary contract exists.
pub fn methods_of(path: &str) -> Vec<&'static str> {
    let api = ROUTES.iter().filter(|route| route.operation.is_api());
    let mut methods: Vec<&str> = api
        .filter(|route| route.path.matches(path))
        .map(|route| route.method)
        .collect();
    methods.sort_unstable();
    methods.dedup();
    methods
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::Class;

    #[test]
    fn whatever_a_browser_may_be_made_to_send_as_more_than_a_read_counts_as_a_write() {
        for route in ROUTES.iter().filter(|route| route.method != "GET") {
            assert_eq!(route.operation.class(), Class::Write, "{:?}", route.operation);
        }
    }
}
