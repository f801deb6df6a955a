//! Compares the URLs that are published to clients with the listeners.

use std::net::SocketAddr;

use platform::tls::read_certificates;
use reqwest::Url;

use super::{Finding, Level, certificates};
use crate::config::{Config, Listener, Realm, TokenSettings};

/// Checks the URLs that clients use.
pub(super) fn of_hosts(config: &Config) -> Vec<Finding> {
    let mut findings: Vec<Finding> = name(config).into_iter().collect();
    findings.extend(scheme(config));
    findings.extend(config.auth.as_ref().and_then(realm));
    findings
}

/// Reports that no listener's certificate has the host of `server.external_url`. If a proxy may present a certificate of
/// its own (there is a listener without TLS, or one that takes forwarded certificates), this is reported only if the URL
/// names the port of a listener with TLS.
fn name(config: &Config) -> Option<Finding> {
    let url = Url::parse(config.public.external_url.as_deref()?).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let shows_its_own =
        |listener: &&Listener| listener.tls.is_some() && !listener.proxy_trust.takes_certificates();
    let behind_a_proxy = config.listeners.iter().any(|listener| !shows_its_own(&listener));
    let named = |listener: &&Listener| {
        let ports = listener.addresses.iter().map(SocketAddr::port);
        ports
            .into_iter()
            .any(|port| url.port_or_known_default() == Some(port))
    };
    let mut worst = None;
    for listener in config.listeners.iter().filter(shows_its_own) {
        if behind_a_proxy && !named(&listener) {
            continue;
        }
        let tls = listener.tls.as_ref()?;
        let chain = read_certificates("the certificate", &tls.certificate).ok()?;
        let finding = certificates::names(chain.first()?, host);
        if finding.level == Level::Fine {
            return None;
        }
        worst = worst.or(Some(finding));
    }
    worst.map(|finding| {
        let known = certificates::all_names(config);
        let fix = finding.fix.unwrap_or_default();
        Finding {
            level: Level::Note,
            fix: Some(format!("{fix} (its names are {known})")),
            ..finding
        }
    })
}

fn scheme(config: &Config) -> Option<Finding> {
    let url = config.public.external_url.as_deref()?;
    url.starts_with("http://").then(|| {
        Finding::note(
            format!("server.external_url is {url}, and docker only connects to trust servers over https://"),
            "use TLS, or a proxy that does, and write https://",
        )
        .shown_as(format!("valid https URL required for trust server, got {url}"))
    })
}

/// Checks that the token realm is a URL, since clients request tokens from it.
fn realm(auth: &TokenSettings) -> Option<Finding> {
    let Realm::Url(realm) = &auth.realm else {
        return None;
    };
    let usable =
        Url::parse(realm).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    (!usable).then(|| {
        Finding::note(
            format!("auth.options.realm is {realm:?}, which is not an http:// or https:// URL, so clients cannot get a token from it"),
            "set it to the URL of the token service",
        )
    })
}
