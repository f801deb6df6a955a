//! `doctor`: finds what often goes wrong for users, each with the message that a client would show and the fix.

mod client;
mod host;
#[cfg(feature = "native")]
mod native;
mod server;

use std::path::PathBuf;

use openssl::x509::X509;

use crate::{
    clients::pair::Pair,
    clock::Clock,
    findings::{Finding, Level, certificates},
};

/// The options of `doctor`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The server's configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take no unknown key in the configuration.
    #[arg(long, requires = "config")]
    strict: bool,
    /// The trust server, as clients write it [default: server.external_url of the configuration]
    #[arg(long)]
    url: Option<String>,
    /// A client's certificate.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The CA file that the client trusts.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The directory that contains the client's .docker [default: the home directory]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The directory in which dockerd looks.
    #[arg(long, value_name = "DIR", default_value = "/etc/docker")]
    etc: PathBuf,
}

/// Examines everything that the options name, and prints the findings; returns true if nothing is broken. Changes
/// nothing.
pub fn run(options: &Options) -> bool {
    let now = Clock::System.now();
    let mut findings = Vec::new();
    let mut url = options.url.clone();
    let mut authorities: Vec<X509> = Vec::new();
    if let Some(path) = &options.config {
        let seen = server::examine(path, options.strict, url.as_deref(), now, &mut findings);
        url = url.or(seen.url);
        authorities = seen.authorities;
    }
    if let Some(path) = &options.ca {
        match client::authorities(path) {
            Ok(found) => authorities = found,
            Err(finding) => findings.push(finding),
        }
    }
    let pair = match (&options.cert, &options.key) {
        (Some(certificate), Some(key)) => match Pair::read(certificate, key, now) {
            Ok(pair) => {
                findings.extend(certificates::expiry(
                    "the client's certificate",
                    pair.not_after,
                    now,
                ));
                findings.extend(client::key_mode(key));
                Some(pair)
            }
            Err(cause) => {
                findings.push(Finding::broken(
                    cause.to_string(),
                    "give the client another certificate and key",
                ));
                None
            }
        },
        _ => None,
    };
    if let Some(url) = &url {
        host::examine(url, &authorities, pair.as_ref(), now, &mut findings);
    }
    let home = options
        .home
        .clone()
        .or_else(|| std::env::var_os("HOME").map(PathBuf::from));
    if let Some(home) = home {
        client::directories(&home.join(".docker/tls"), &mut findings);
    }
    client::directories(&options.etc.join("certs.d"), &mut findings);
    findings.extend(client::docker_version());
    findings.iter().for_each(|finding| platform::say!("{finding}"));
    let broken = findings
        .iter()
        .filter(|finding| finding.level == Level::Broken)
        .count();
    match broken {
        0 => platform::say!("nothing is broken; nothing was changed"),
        count => platform::say!("{count} broken; nothing was changed"),
    }
    broken == 0
}
