//! `countersign gate serve`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use platform::logging::{self, Format, Level};

use super::super::{
    Failure, Outcome, block_on,
    trust::{PolicyOptions, TrustOptions},
};
use crate::{
    decider::{Audit, Metrics, Sink},
    engine::Unverifiable,
    gate::{self, GateSettings, GateTls, PluginSettings},
};

/// How old may be what an image is allowed by without asking its server first. What is older is asked for in the
/// background meanwhile.
const MAX_AGE: TimeDelta = TimeDelta::seconds(30);

/// What the gate serves, and by which policy.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    policy: PolicyOptions,
    #[command(flatten)]
    trust: TrustOptions,
    /// Answer over TLS on this address: /admission/v1/mutate, /admission/v1/validate,
    /// /admission/v1/validate/pinned (which refuses images without a digest), /image-review, /gatekeeper/v1/validate, /verify, /health, /ready, /metrics.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// The certificate of these addresses, with its chain.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of this certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Demand a client certificate of these CAs.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// Answer /health, /ready and /metrics over plain HTTP on this address too, for probes.
    #[arg(long, value_name = "ADDRESS:PORT")]
    health: Vec<SocketAddr>,
    /// Be Docker Engine's authorization plugin on this socket, such as /run/docker/plugins/countersign.sock.
    #[arg(long, value_name = "SOCKET")]
    docker_plugin: Option<PathBuf>,
    /// The socket of the engine, which is asked what it has.
    #[arg(long, value_name = "SOCKET", default_value = "/var/run/docker.sock")]
    engine: PathBuf,
    /// What the engine may do although no signature can be compared.
    #[arg(long, value_name = "WHAT,...", value_delimiter = ',')]
    allow: Vec<Allowed>,
    /// Where a line of JSON goes for each decision: a file, or - for standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    audit: PathBuf,
    /// How much is logged: debug, info, warn or error.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level)]
    log_level: Level,
    /// The format of log lines: json or logfmt.
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    logf: Format,
}

/// What can be allowed without a signature.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Allowed {
    Build,
    Load,
    Import,
    Commit,
    Plugin,
    SwarmJoin,
}

impl From<Allowed> for Unverifiable {
    fn from(allowed: Allowed) -> Self {
        match allowed {
            Allowed::Build => Self::Build,
            Allowed::Load => Self::Load,
            Allowed::Import => Self::Import,
            Allowed::Commit => Self::Commit,
            Allowed::Plugin => Self::Plugin,
            Allowed::SwarmJoin => Self::SwarmJoin,
        }
    }
}

fn level(text: &str) -> Result<Level, String> {
    text.parse()
        .map_err(|()| "it is one of debug, info, warn, error".to_owned())
}

/// Serves until stopped.
///
/// # Errors
/// When the gate cannot begin.
pub fn run(options: Options) -> Result<Outcome, Failure> {
    let _log = logging::start(options.log_level, options.logf);
    let sink = match options.audit.as_os_str() {
        name if name == "-" => Sink::Output,
        _ => Sink::File(options.audit.clone()),
    };
    let audit = Audit::open(&sink).map_err(|cause| {
        Failure(format!(
            "{}: {}",
            options.audit.display(),
            platform::reason::of_io(&cause)
        ))
    })?;
    let decider = options
        .policy
        .decider(&options.trust, MAX_AGE)?
        .recording(audit, Metrics::install()?);
    let tls = options
        .tls_cert
        .zip(options.tls_key)
        .map(|(certificate, key)| GateTls {
            certificate,
            key,
            client_ca: options.client_ca,
        });
    let engine = options.engine;
    let plugin = options.docker_plugin.map(|socket| PluginSettings {
        socket,
        engine,
        allowed: options.allow.into_iter().map(Unverifiable::from).collect(),
    });
    let settings = GateSettings {
        listen: options.listen,
        tls,
        health: options.health,
        plugin,
    };
    block_on(gate::serve(settings, Arc::new(decider)))??;
    Ok(Outcome::Done)
}
