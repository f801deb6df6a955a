//! Another Notary v1 server, read over its API.

use platform::reason;
use reqwest::{
    StatusCode, Url,
    blocking::{Client, Response},
    header::WWW_AUTHENTICATE,
    redirect::Policy,
};
use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};
use tuf::Gun;

use super::login::{Credentials, login};

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long reading one document may take.
const DOCUMENT_LIMIT: Duration = Duration::from_secs(300);
/// How many redirects within the same server are followed for one document.
const REDIRECTS: usize = 5;

/// The TLS settings for the other server.
#[derive(Debug, Clone, Default)]
pub(super) struct Tls {
    /// The CAs trusted for its certificate; `None` for the system's.
    pub(super) ca: Option<PathBuf>,
    /// The files of this client's certificate chain and key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// The other server.
pub(super) struct Remote {
    client: Client,
    base: Url,
    credentials: Credentials,
    /// The token for the current repository.
    token: Option<String>,
}

impl Remote {
    /// The server at `base`. This opens no connection yet.
    pub(super) fn new(base: &str, tls: &Tls, credentials: Credentials) -> Result<Self, String> {
        let base = Url::parse(base).map_err(|cause| format!("{base:?} is not a URL: {cause}"))?;
        match (base.scheme(), &credentials) {
            ("https", _) | ("http", Credentials::None) => {}
            ("http", _) => return Err("tokens and passwords are sent over https only".to_owned()),
            _ => return Err(format!("{base} is neither https nor http")),
        }
        let (scheme, authority, port) = (
            base.scheme().to_owned(),
            base.host_str().map(str::to_owned),
            base.port_or_known_default(),
        );
        let same = move |url: &Url| {
            url.scheme() == scheme
                && url.host_str().map(str::to_owned) == authority
                && url.port_or_known_default() == port
        };
        let mut builder = Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(DOCUMENT_LIMIT)
            .redirect(Policy::custom(move |attempt| {
                if !same(attempt.url()) {
                    attempt.error("it redirects to another server")
                } else if attempt.previous().len() > REDIRECTS {
                    attempt.error("it redirects too often")
                } else {
                    attempt.follow()
                }
            }));
        if let Some(path) = &tls.ca {
            platform::tls::read_certificates("the CA file", path).map_err(|cause| cause.to_string())?;
            let pem = read(path)?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem);
            let certificates = certificates.map_err(|cause| wrong(path, reason::innermost(&cause)))?;
            builder = builder.tls_certs_only(certificates);
        }
        if let Some((certificate, key)) = &tls.identity {
            builder = builder.identity(identity(certificate, key)?);
        }
        let client = builder.build().map_err(|cause| reason::innermost(&cause))?;
        Ok(Self {
            client,
            base,
            credentials,
            token: None,
        })
    }

    /// Starts with another repository, for which another token is needed.
    pub(super) fn begin(&mut self) {
        self.token = match &self.credentials {
            Credentials::Token(token) => Some(token.clone()),
            _ => None,
        };
    }

    /// A metadata file of a repository, of at most `limit` bytes; `None` if it does not exist.
    pub(super) fn get(&mut self, gun: &Gun, file: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| format!("{} has no path", self.base))?
            .pop_if_empty()
            .push("v2")
            .extend(gun.as_str().split('/'))
            .extend(["_trust", "tuf"])
            .extend(file.split('/'));
        let failed = |reason: String| format!("{url}: {reason}");
        let mut answer = self.ask(&url).map_err(failed)?;
        if answer.status() == StatusCode::UNAUTHORIZED && !matches!(self.credentials, Credentials::Token(_)) {
            self.token = Some(self.log_in(&answer).map_err(failed)?);
            answer = self.ask(&url).map_err(failed)?;
        }
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(failed(format!(
                    "it refuses these credentials ({})",
                    answer.status()
                )));
            }
            other => return Err(failed(format!("it answered {other}"))),
        }
        let mut bytes = Vec::new();
        let read = answer.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|cause| failed(cause.to_string()))?;
        if bytes.len() as u64 > limit {
            return Err(failed(format!("it is larger than {limit} bytes")));
        }
        Ok(Some(bytes))
    }

    fn ask(&self, url: &Url) -> Result<Response, String> {
        let mut request = self.client.get(url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().map_err(|cause| reason::innermost(&cause))
    }

    fn log_in(&self, refusal: &Response) -> Result<String, String> {
        let challenge = refusal.headers().get(WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok());
        let challenge = challenge.ok_or("it answered 401 without saying where to log in")?;
        let must_be_https = self.base.scheme() == "https";
        login(&self.client, challenge, &self.credentials, must_be_https)
    }
}

/// The client certificate and key in the form that the HTTP library reads.
fn identity(certificate: &Path, key: &Path) -> Result<reqwest::Identity, String> {
    let mut chain = Vec::new();
    let (certificates, private) =
        platform::tls::read_key_pair("the client certificate", certificate, "the client key", key)
            .map_err(|cause| cause.to_string())?;
    for one in certificates {
        chain.extend(
            one.to_pem()
                .map_err(|cause| wrong(certificate, reason::of_openssl(&cause)))?,
        );
    }
    let private = private
        .private_key_to_pem_pkcs8()
        .map_err(|cause| wrong(key, reason::of_openssl(&cause)))?;
    reqwest::Identity::from_pkcs8_pem(&chain, &private).map_err(|cause| {
        format!(
            "{} and {}: {}",
            certificate.display(),
            key.display(),
            reason::innermost(&cause)
        )
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    platform::files::read(path).map_err(|cause| wrong(path, cause))
}

fn wrong(path: &Path, reason: impl std::fmt::Display) -> String {
    format!("{}: {reason}", path.display())
}
