//! `client-dirs`: puts a user's certificate, key and CA where notary, docker and dockerd look for them.

mod install;

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use openssl::x509::{X509, X509VerifyResult};
use serde_json::json;

use crate::{
    clients::{
        pair::{Pair, PairError},
        probe,
        setup_script::server_directory,
    },
    clock::Clock,
    issuing::{IssuingError, check_registry, check_url},
};
use install::{Installer, Prefer};

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The certificate or the key is not usable.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The URL or the registry is malformed.
    #[error(transparent)]
    Name(#[from] IssuingError),
    /// The CA file contains no certificate.
    #[error("{} is not a certificate in PEM: the server's CA is at its URL with /ca", .0.display())]
    Ca(PathBuf),
    /// The CA did not issue the server's certificate, or that is not valid for the URL.
    #[error("{ca} does not make {url} trusted: {reason}; docker and notary would say \"x509: ...\" and give up", ca = ca.display())]
    Distrusted {
        /// The URL.
        url: String,
        /// The CA's file.
        ca: PathBuf,
        /// OpenSSL's reason.
        reason: String,
    },
    /// Another key is already there.
    #[error("{} is another key: use --force to replace it (a copy of it is kept)", .0.display())]
    OtherKey(PathBuf),
    /// A configuration file is not JSON, so values cannot be added.
    #[error("{} is not JSON ({cause}): correct it, then run this again", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// A file cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The home directory is not known.
    #[error("HOME is not set: use --home DIR")]
    NoHome,
}

/// The options of `client-dirs`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The certificate, with its intermediates after it, in PEM.
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Its key, in PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The CA that issued the server's certificate, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The trust server, as clients write it: https://host:port.
    #[arg(long)]
    url: String,
    /// Also set up dockerd and "docker trust sign" for this registry, as written in image names.
    #[arg(long, value_name = "HOST:PORT")]
    registry: Option<String>,
    /// The signer's name in new repositories [default: the certificate's common name]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The directory that contains .docker and .notary [default: the home directory]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The directory in which dockerd looks.
    #[arg(long, value_name = "DIR", default_value = "/etc/docker")]
    etc: PathBuf,
    /// Replace another key that is already there.
    #[arg(long)]
    force: bool,
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Checks everything, then writes what is missing and prints that.
///
/// # Errors
/// When an argument is wrong, another key would be overwritten, or a file cannot be written.
pub fn run(options: &Options) -> Result<(), SetUpError> {
    check_url(&options.url)?;
    options.registry.as_deref().map(check_registry).transpose()?;
    let now = Clock::System.now();
    let pair = Pair::read(&options.cert, &options.key, now)?;
    let user = options.user.clone().or_else(|| pair.common_name.clone());
    platform::say!(
        "checked  {}: CN {}, valid until {}",
        options.cert.display(),
        pair.common_name.as_deref().unwrap_or("(none)"),
        pair.not_after
    );
    let ca_pem = platform::files::read(&options.ca).map_err(|cause| failed(&options.ca, cause))?;
    let authorities = X509::stack_from_pem(&ca_pem).unwrap_or_default();
    if authorities.is_empty() {
        return Err(SetUpError::Ca(options.ca.clone()));
    }
    ask_server(options, &authorities, &pair)?;

    let home = options
        .home
        .clone()
        .or_else(|| std::env::var_os("HOME").map(PathBuf::from));
    let home = home
        .filter(|home| !home.as_os_str().is_empty())
        .ok_or(SetUpError::NoHome)?;
    let home = std::path::absolute(&home).map_err(|cause| failed(&home, cause))?;
    let tls = home.join(".docker/tls").join(server_directory(&options.url));
    let daemon = options
        .registry
        .as_ref()
        .map(|registry| options.etc.join("certs.d").join(registry));
    // Checks everything that could prevent writing before the first file is written.
    for directory in [Some(&tls), daemon.as_ref()].into_iter().flatten() {
        let key = directory.join("client.key");
        if !options.force && fs::read(&key).is_ok_and(|present| present != pair.key_pem) {
            return Err(SetUpError::OtherKey(key));
        }
    }
    let installer = Installer {
        dry_run: options.dry_run,
        now,
    };
    installer.put(&tls.join("ca.crt"), &ca_pem, 0o644)?;
    installer.put(&tls.join("client.cert"), &pair.certificate_pem, 0o644)?;
    installer.put(&tls.join("client.key"), &pair.key_pem, 0o600)?;
    // notary resolves a relative path from the directory of its configuration file, and does not expand "~" in it.
    let notary = json!({"remote_server": {
        "url": options.url,
        "root_ca": tls.join("ca.crt"),
        "tls_client_cert": tls.join("client.cert"),
        "tls_client_key": tls.join("client.key"),
    }});
    installer.merge(&home.join(".notary/config.json"), &notary, Prefer::New)?;
    match (&options.registry, &daemon) {
        (Some(registry), Some(daemon)) => {
            set_up_daemon(&installer, daemon, &tls, &ca_pem, &pair)?;
            set_up_signer(&installer, &home, registry, user.as_deref())?;
        }
        _ => platform::say!(
            "left out dockerd and the name that \"docker trust sign\" needs: use --registry HOST:PORT for them"
        ),
    }
    platform::say!("now      export DOCKER_CONTENT_TRUST_SERVER='{}'", options.url);
    Ok(())
}

fn ask_server(options: &Options, authorities: &[X509], pair: &Pair) -> Result<(), SetUpError> {
    let url = &options.url;
    let seen = match probe::look(url, authorities, Some(pair)) {
        Ok(seen) => seen,
        Err(cause) => {
            platform::say!("warning: {url} was not asked: {cause}");
            return Ok(());
        }
    };
    if seen.verdict != X509VerifyResult::OK {
        return Err(SetUpError::Distrusted {
            url: url.clone(),
            ca: options.ca.clone(),
            reason: seen.verdict.error_string().to_owned(),
        });
    }
    match seen.answer {
        Ok(answer) if answer.status == 200 => platform::say!("checked  {url} accepts this certificate"),
        Ok(answer) => platform::say!("warning: {url} answers {}: {}", answer.status, answer.body),
        Err(cause) => platform::say!("warning: {url} refuses this certificate: {cause}"),
    }
    if seen.addresses.iter().any(std::net::IpAddr::is_loopback) {
        platform::say!(
            "warning: docker uses no client certificate for images of registries on a loopback address"
        );
    }
    Ok(())
}

fn set_up_daemon(
    installer: &Installer,
    daemon: &Path,
    tls: &Path,
    ca_pem: &[u8],
    pair: &Pair,
) -> Result<(), SetUpError> {
    let written = || {
        // The registry may have another CA than the trust server.
        let ca = daemon.join("ca.crt");
        if ca.exists() {
            platform::say!("left     {} as it is", ca.display());
        } else {
            installer.put(&ca, ca_pem, 0o644)?;
        }
        installer.put(&daemon.join("client.cert"), &pair.certificate_pem, 0o644)?;
        installer.put(&daemon.join("client.key"), &pair.key_pem, 0o600)
    };
    match written() {
        Err(SetUpError::File { cause, .. }) if cause.kind() == std::io::ErrorKind::PermissionDenied => {
            platform::say!(
                "to do    dockerd looks in {}, which you may not write:",
                daemon.display()
            );
            for (name, mode) in [("ca.crt", 644), ("client.cert", 644), ("client.key", 600)] {
                let (from, to) = (tls.join(name), daemon.join(name));
                platform::say!(
                    "         sudo install -D -m {mode} '{}' '{}'",
                    from.display(),
                    to.display()
                );
            }
            Ok(())
        }
        other => other,
    }
}

/// "docker trust sign" names the signer of a new repository after the user that it finds here; it does not use a
/// password.
fn set_up_signer(
    installer: &Installer,
    home: &Path,
    registry: &str,
    user: Option<&str>,
) -> Result<(), SetUpError> {
    let Some(user) = user else {
        platform::say!("to do    use --user NAME to write the name that \"docker trust sign\" needs");
        return Ok(());
    };
    let login = STANDARD.encode(format!("{user}:unused"));
    let config = json!({"auths": {registry: {"auth": login}}});
    installer.merge(&home.join(".docker/config.json"), &config, Prefer::Existing)
}

fn failed(path: &Path, cause: std::io::Error) -> SetUpError {
    SetUpError::File {
        path: path.to_path_buf(),
        cause,
    }
}
