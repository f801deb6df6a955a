//! `revocation.*`: where revocation information comes from, and what happens without it.

use std::{path::PathBuf, time::Duration};

use ipnet::IpNet;
use platform::config::{ConfigError, Settings};

use super::{duration, networks};

/// How often a CA's list is fetched by default.
const FETCH_EVERY: Duration = Duration::from_secs(3600);

/// How old an OCSP response without nextUpdate may be, by default.
const ANSWER_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Which certificates of a chain are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The client's own.
    Leaf,
    /// All but the last, which the configuration trusts.
    Chain,
}

/// What happens when the status of a certificate cannot be determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPolicy {
    /// The request is refused.
    Closed,
    /// The request is processed, and the audit record says so.
    Open,
}

/// The choice for reads and for writes.
#[derive(Debug, Clone, Copy)]
pub struct Fail {
    /// For requests that change nothing.
    pub reads: FailPolicy,
    /// For requests that change something.
    pub writes: FailPolicy,
}

/// The revocation lists of CAs.
#[derive(Debug, Clone)]
pub struct CrlSettings {
    /// Files in PEM or DER.
    pub files: Vec<PathBuf>,
    /// Directories of such files.
    pub directories: Vec<PathBuf>,
    /// The URLs from which lists are fetched, over HTTP or HTTPS.
    pub urls: Vec<String>,
    /// The directory in which fetched lists are stored, so that they are available after a restart.
    pub kept: Option<PathBuf>,
    /// How often they are fetched.
    pub every: Duration,
    /// How long a list is still used after it expired.
    pub grace: Duration,
    /// Which certificates are checked against them.
    pub depth: Depth,
}

/// How the nonce is used (RFC 6960 section 4.4.1), which ties a response to its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonce {
    /// No nonce is sent, for responders that refuse requests with one.
    Off,
    /// A nonce is sent, and checked if the response has one: many responders make their responses in advance.
    Ask,
    /// A nonce is sent, and the response must contain it.
    Require,
}

/// The OCSP responders of CAs.
#[derive(Debug, Clone)]
pub struct OcspSettings {
    /// How old a response without nextUpdate may be, since its thisUpdate.
    pub max_age: Duration,
    /// How the nonce is used.
    pub nonce: Nonce,
    /// The responder to ask, instead of those named in certificates.
    pub responder: Option<String>,
    /// The networks in which responders may be. Certificates name their responder, and could otherwise make the server
    /// connect anywhere.
    pub networks: Vec<IpNet>,
    /// Which certificates are checked with them.
    pub depth: Depth,
}

/// All settings for revocation.
#[derive(Debug, Clone)]
pub struct RevocationSettings {
    /// The deny list file.
    pub deny_list: Option<PathBuf>,
    /// The revocation lists of CAs, if any.
    pub crl: Option<CrlSettings>,
    /// The OCSP responders of CAs, if any are asked.
    pub ocsp: Option<OcspSettings>,
    /// What happens when the status cannot be determined.
    pub fail: Fail,
}

impl RevocationSettings {
    /// Reads `revocation.*`.
    ///
    /// # Errors
    /// When a value is missing or refused.
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let fail = |key| {
            let choices = [("closed", FailPolicy::Closed), ("open", FailPolicy::Open)];
            let chosen = settings.choice(key, &choices)?;
            Ok::<_, ConfigError>(chosen.unwrap_or(FailPolicy::Closed))
        };
        Ok(Self {
            deny_list: settings.path("revocation.deny_list")?,
            crl: crl(settings)?,
            ocsp: ocsp(settings)?,
            fail: Fail {
                reads: fail("revocation.fail.reads")?,
                writes: fail("revocation.fail.writes")?,
            },
        })
    }
}

fn crl(settings: &Settings) -> Result<Option<CrlSettings>, ConfigError> {
    const URLS: &str = "revocation.crl.urls";
    const KEPT: &str = "revocation.crl.directory_for_fetched";
    let paths = |key| {
        let found = settings.list(key)?;
        Ok::<_, ConfigError>(
            found
                .iter()
                .map(|path| settings.resolve(path))
                .collect::<Vec<_>>(),
        )
    };
    let files = paths("revocation.crl.files")?;
    let directories = paths("revocation.crl.directories")?;
    let urls = settings.list(URLS)?;
    let depth = settings.choice(
        "revocation.crl.check",
        &[("leaf", Depth::Leaf), ("chain", Depth::Chain)],
    )?;
    let kept = settings.path(KEPT)?;
    let every = duration(settings, "revocation.crl.fetch_every")?.unwrap_or(FETCH_EVERY);
    let grace = duration(settings, "revocation.crl.grace")?.unwrap_or_default();
    if files.is_empty() && directories.is_empty() && urls.is_empty() {
        return match depth {
            None => Ok(None),
            Some(_) => Err(ConfigError::missing(
                "revocation.crl.files",
                "revocation.crl.check is set, so set where the lists are (files, directories or urls)",
            )),
        };
    }
    for url in &urls {
        if !is_http(url) {
            return Err(ConfigError::invalid(URLS, url, "http:// or https:// addresses"));
        }
    }
    if !urls.is_empty() && kept.is_none() {
        return Err(ConfigError::missing(
            KEPT,
            "the directory in which fetched lists are stored, so that they are available after a restart",
        ));
    }
    if every.is_zero() {
        return Err(ConfigError::invalid(
            "revocation.crl.fetch_every",
            "0",
            "a time such as 1h; at least a second",
        ));
    }
    Ok(Some(CrlSettings {
        files,
        directories,
        urls,
        kept,
        every,
        grace,
        depth: depth.unwrap_or(Depth::Leaf),
    }))
}

fn ocsp(settings: &Settings) -> Result<Option<OcspSettings>, ConfigError> {
    const RESPONDER: &str = "revocation.ocsp.responder";
    const NETWORKS: &str = "revocation.ocsp.networks";
    const MAX_AGE: &str = "revocation.ocsp.max_age";
    let choices = [
        ("off", None),
        ("leaf", Some(Depth::Leaf)),
        ("chain", Some(Depth::Chain)),
    ];
    let depth = settings.choice("revocation.ocsp.check", &choices)?.flatten();
    let responder = settings.text(RESPONDER)?;
    let networks = networks(settings, NETWORKS)?;
    let nonces = [
        ("off", Nonce::Off),
        ("ask", Nonce::Ask),
        ("require", Nonce::Require),
    ];
    let nonce = settings
        .choice("revocation.ocsp.nonce", &nonces)?
        .unwrap_or(Nonce::Ask);
    let max_age = duration(settings, MAX_AGE)?.unwrap_or(ANSWER_MAX_AGE);
    let Some(depth) = depth else {
        return Ok(None);
    };
    if let Some(url) = responder.as_ref().filter(|url| !is_http(url)) {
        return Err(ConfigError::invalid(
            RESPONDER,
            url,
            "an http:// or https:// address",
        ));
    }
    if networks.is_empty() {
        return Err(ConfigError::missing(
            NETWORKS,
            "the networks that OCSP responders are in, such as 10.1.0.0/16 (0.0.0.0/0 for anywhere): \
             certificates name responders, and must not make the server connect to anything else",
        ));
    }
    if max_age.is_zero() || u32::try_from(max_age.as_secs()).is_err() {
        return Err(ConfigError::invalid(
            MAX_AGE,
            max_age.as_secs(),
            "a time such as 24h; at least a second, at most 100 years",
        ));
    }
    Ok(Some(OcspSettings {
        max_age,
        nonce,
        responder,
        networks,
        depth,
    }))
}

fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}
