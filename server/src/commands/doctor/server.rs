//! Examines the server's own machine: configuration, files, ports, database and signer.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use chrono::{DateTime, Utc};
use openssl::x509::X509;
use platform::{database::Location, tls::read_certificates};
use reqwest::Url;

use super::client::key_mode;
use crate::{
    config::{Config, Listener, TrustService},
    findings::{self, Finding, Level, certificates},
    state,
    store::Store,
};

/// How long a connection to a port of this machine may take.
const NEAR: Duration = Duration::from_secs(2);

/// What the configuration says about the server as clients see it.
#[derive(Default)]
pub(super) struct ClientView {
    pub url: Option<String>,
    pub authorities: Vec<X509>,
}

pub(super) fn examine(
    path: &Path,
    strict: bool,
    url: Option<&str>,
    now: DateTime<Utc>,
    findings: &mut Vec<Finding>,
) -> ClientView {
    let judged = findings::of_config(path, strict, now);
    let broken = judged.findings.iter().any(|found| found.level == Level::Broken);
    for found in judged.findings {
        let mut found = would_not_start(found);
        if found.fix.is_none() && found.level == Level::Broken {
            let fix = match judged.config {
                None => "correct the configuration",
                Some(_) => {
                    "correct what the message names: a key belongs to the first certificate of its file"
                }
            };
            found = found.fixed_by(fix);
        }
        findings::add(findings, found);
    }
    let Some(config) = judged.config else {
        return ClientView::default();
    };
    if !broken {
        findings.push(Finding::fine("the configuration, its keys and certificates"));
    }
    let seen = ClientView {
        url: config.public.external_url.clone(),
        authorities: judged.authorities,
    };
    if config.public.external_url.is_none() {
        findings.push(Finding::note(
            "server.external_url is not set, so certificates cannot be compared with the name that clients use",
            "set it to the URL that clients use",
        ));
    }
    let host = url.or(seen.url.as_deref()).and_then(|url| Url::parse(url).ok());
    for listener in &config.listeners {
        if let Some(tls) = &listener.tls {
            findings.extend(key_mode(&tls.key));
            if let Ok(chain) = read_certificates("the certificate", &tls.certificate) {
                if let (Some(host), Some(leaf)) = (host.as_ref().and_then(Url::host_str), chain.first()) {
                    findings::add(findings, certificates::names(leaf, host.trim_matches(['[', ']'])));
                }
                findings.extend(certificates::chain(&chain, &seen.authorities));
                // What has run out has been told.
                let soon = certificates::expiries(&chain, now).into_iter();
                findings.extend(soon.filter(|found| found.level != Level::Broken));
            }
        } else if listener
            .addresses
            .iter()
            .any(|address| !address.ip().is_loopback())
        {
            findings.push(Finding::note(
                format!(
                    "{} listens without TLS on an address that other machines can reach",
                    listener.key
                ),
                "configure a certificate, or listen on a loopback address behind a proxy",
            ));
        }
        findings.extend(listener.addresses.iter().map(|address| port(*address)));
    }
    findings.extend(probes(&config.listeners));
    let schema = database(&config, now, findings);
    findings.extend(schema);
    findings.extend(signer(&config.trust_service));
    seen
}

fn port(address: SocketAddr) -> Finding {
    let mut near = address;
    if address.ip().is_unspecified() {
        near.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    if TcpStream::connect_timeout(&near, NEAR).is_ok() {
        return Finding::fine(format!("something listens on {address}"));
    }
    match TcpListener::bind(address) {
        Ok(_) => Finding::note(format!("nobody listens on {address}"), "start the server")
            .shown_as("dial tcp ...: connect: connection refused, then: client is offline"),
        Err(cause) => Finding::broken(
            format!("the server could not listen on {address}: {cause}"),
            "stop the program that uses it, choose another address, or allow the server's user to use it",
        ),
    }
}

fn database(
    config: &Config,
    #[cfg_attr(
        not(feature = "native"),
        expect(unused_variables, reason = "only dates of TUF 1.0 are compared")
    )]
    now: DateTime<Utc>,
    findings: &mut Vec<Finding>,
) -> Option<Finding> {
    if config.storage == Location::Memory {
        return Some(Finding::note(
            "storage.backend is memory: all metadata is lost when the server ends",
            "use sqlite3, postgres or mysql",
        ));
    }
    let mut refused = false;
    let looked_at = Store::open_read_only(&config.storage).and_then(|store| {
        for found in findings::database::of_open(&store, config) {
            refused |= found.refuses_start;
            findings::add(findings, would_not_start(found));
        }
        let missing = store.missing_migrations()?;
        #[cfg(feature = "native")]
        if missing.is_empty() && !refused {
            findings.extend(super::native::examine(&store, config, now)?);
        }
        Ok(missing)
    });
    // Why it refuses a start has been told.
    if refused {
        return None;
    }
    Some(match looked_at {
        Ok(missing) if missing.is_empty() => {
            Finding::fine("the database answers, and its schema is up to date")
        }
        Ok(missing) => Finding::note(
            format!("the database lacks the migrations {}", missing.join(", ")),
            "start the server, or run countersign-server migrate up --config FILE",
        ),
        Err(cause) => Finding::broken(
            format!("the database cannot be used: {cause}"),
            "start it, or correct storage.db_url; a new one is created at the server's first start",
        )
        .shown_as("unable to reach trust server at this time: 503."),
    })
}

fn would_not_start(mut found: Finding) -> Finding {
    if found.refuses_start {
        found.what = format!("the server would not start: {}", found.what);
    }
    found
}

fn signer(trust_service: &TrustService) -> Option<Finding> {
    let TrustService::Remote { host, port, .. } = trust_service else {
        return None;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let asked = runtime.block_on(async {
        let (keys, _) = state::key_service(trust_service).map_err(|cause| cause.to_string())?;
        keys.health().await.map_err(|cause| cause.to_string())
    });
    Some(match asked {
        Ok(()) => Finding::fine(format!("the signer at {host}:{port} answers")),
        Err(cause) => Finding::broken(
            format!("the signer at {host}:{port}: {cause}"),
            "start it; trust_service.tls_ca_file is the CA of its certificate, and its client_ca_file that of trust_service.tls_client_cert",
        )
        .shown_as("unable to reach trust server at this time: 503."),
    })
}

/// Says how probes without a certificate reach `/health`, where no listener answers them.
fn probes(listeners: &[Listener]) -> Option<Finding> {
    listeners.iter().all(Listener::demands).then(|| {
        Finding::note(
            "every listener demands a client certificate, so probes without one do not reach /health and /metrics",
            "give them a certificate, or add one to listeners with serves = \"health\"",
        )
    })
}
