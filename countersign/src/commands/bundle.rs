//! `countersign bundle`: a new certificate before the old one ends, with the old one as proof. The key is made here and does
//! not leave this machine.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use openssl::{
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkcs12::Pkcs12,
    pkey::{PKey, Private},
    stack::Stack,
    x509::{X509, X509ReqBuilder},
};
use reqwest::{Client, Url, redirect::Policy};
use serde::Deserialize;

use super::{Failure, Outcome, block_on};

/// The directory of the bundle whose `env.sh` was read.
const DIRECTORY: &str = "COUNTERSIGN_BUNDLE";
/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes.
const ANSWER: usize = 256 * 1024;

/// What is done with a bundle.
#[derive(Debug, Subcommand)]
pub enum BundleCommand {
    /// Have a new certificate issued before the old one ends, for a new key that is made here.
    Renew(RenewOptions),
}

/// Which bundle, and where it is renewed.
#[derive(Debug, Args)]
pub struct RenewOptions {
    /// The directory of the bundle, with cert.pem, key.pem and ca.pem [default: $COUNTERSIGN_BUNDLE].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The trust server: https://host:port [default: as notary/config.json of the bundle says].
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

/// What the server answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    name: String,
    groups: Vec<String>,
    certificate: String,
    ca: String,
}

/// Does what was asked.
///
/// # Errors
/// When a file cannot be used, or the server issues nothing.
pub fn run(command: &BundleCommand) -> Result<Outcome, Failure> {
    let BundleCommand::Renew(options) = command;
    let directory = options
        .dir
        .clone()
        .or_else(|| std::env::var_os(DIRECTORY).map(PathBuf::from))
        .ok_or_else(|| Failure(format!("say which bundle: --dir DIR, or {DIRECTORY}")))?;
    let bundle = Bundle::open(&directory)?;
    let url = bundle.endpoint(options.server.as_deref())?;
    let key = new_key()?;
    let request = request(&key)?;
    let issued = block_on(bundle.ask(url, &request))??;
    let certificate = X509::from_pem(issued.certificate.as_bytes())?;
    if !certificate.public_key()?.public_eq(&key) {
        return Err(Failure(
            "the server answered with the certificate of another key; nothing was changed".into(),
        ));
    }
    bundle.replace(&certificate, &key, &issued)?;
    let groups = match issued.groups.as_slice() {
        [] => String::new(),
        groups => format!(", in {}", groups.join(", ")),
    };
    platform::say!(
        "renewed: {}{groups}, until {}",
        issued.name,
        certificate.not_after()
    );
    platform::say!(
        "the old certificate and key are beside them, as cert.pem.old and key.pem.old, and are good until they end"
    );
    Ok(Outcome::Done)
}

/// A bundle on this machine.
struct Bundle {
    directory: PathBuf,
    certificate: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

impl Bundle {
    fn open(directory: &Path) -> Result<Self, Failure> {
        let read = |name: &str| {
            let path = directory.join(name);
            platform::files::read(&path)
                .map_err(|cause| Failure(format!("{}: {}", path.display(), platform::reason::of_io(&cause))))
        };
        Ok(Self {
            certificate: read("cert.pem")?,
            key: read("key.pem")?,
            ca: read("ca.pem")?,
            directory: directory.to_path_buf(),
        })
    }

    /// Where the server issues certificates.
    fn endpoint(&self, given: Option<&str>) -> Result<Url, Failure> {
        let base = match given {
            Some(url) => url.to_owned(),
            None => {
                let path = self.directory.join("notary/config.json");
                let config = platform::files::read_to_string(&path).ok();
                let config: Option<serde_json::Value> =
                    config.and_then(|text| serde_json::from_str(&text).ok());
                let url = config
                    .as_ref()
                    .and_then(|config| config["remote_server"]["url"].as_str());
                url.map(str::to_owned)
                    .ok_or_else(|| Failure(format!("{} names no server: use --server URL", path.display())))?
            }
        };
        let url = Url::parse(base.trim_end_matches('/'));
        let url = url
            .ok()
            .filter(|url| url.scheme() == "https" && url.path() == "/");
        let url = url.and_then(|url| url.join("/api/v0/bundle").ok());
        url.ok_or_else(|| Failure(format!("{base}: write the server as https://host:port")))
    }

    async fn ask(&self, url: Url, request: &str) -> Result<Issued, Failure> {
        let identity = reqwest::Identity::from_pkcs8_pem(&self.certificate, &self.key)
            .map_err(|cause| Failure(format!("cert.pem and key.pem: {}", chain(&cause))))?;
        let client = Client::builder()
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(&self.ca)?)
            .identity(identity)
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .build()?;
        let body = serde_json::json!({"request": request}).to_string();
        let sent = client
            .post(url.clone())
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .body(body)
            .send();
        let mut answer = sent
            .await
            .map_err(|cause| Failure(format!("{url} cannot be asked: {}", chain(&cause))))?;
        let status = answer.status();
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            text.extend_from_slice(&piece);
            if text.len() > ANSWER {
                return Err(Failure(format!("{url} answers too much")));
            }
        }
        if !status.is_success() {
            return Err(Failure(refusal(&text, status)));
        }
        serde_json::from_slice(&text)
            .map_err(|cause| Failure(format!("{url} answers what is no certificate: {cause}")))
    }

    /// Writes the new certificate and key wherever the old ones are in the bundle. The old ones stay beside them.
    fn replace(&self, certificate: &X509, key: &PKey<Private>, issued: &Issued) -> Result<(), Failure> {
        let (certificate_pem, key_pem) = (certificate.to_pem()?, key.private_key_to_pem_pkcs8()?);
        let path = |name: &str| self.directory.join(name);
        write(&path("cert.pem.old"), &self.certificate, 0o644)?;
        write(&path("key.pem.old"), &self.key, 0o600)?;
        // Both are complete before the first of them takes its place.
        let places = self.places();
        for (certificate_at, key_at) in &places {
            write(&beside(certificate_at), &certificate_pem, 0o644)?;
            write(&beside(key_at), &key_pem, 0o600)?;
        }
        for (certificate_at, key_at) in &places {
            rename(&beside(key_at), key_at)?;
            rename(&beside(certificate_at), certificate_at)?;
            platform::say!("wrote {} and {}", certificate_at.display(), key_at.display());
        }
        self.replace_pkcs12(certificate, key, issued)
    }

    /// Pairs of certificate and key in the bundle that are the old ones.
    fn places(&self) -> Vec<(PathBuf, PathBuf)> {
        let mut places = vec![(self.directory.join("cert.pem"), self.directory.join("key.pem"))];
        for parent in ["docker/tls", "certs.d"] {
            let entries = fs::read_dir(self.directory.join(parent))
                .into_iter()
                .flatten()
                .flatten();
            for entry in entries {
                let (certificate, key) = (entry.path().join("client.cert"), entry.path().join("client.key"));
                if platform::files::read(&certificate).is_ok_and(|found| found == self.certificate) {
                    places.push((certificate, key));
                }
            }
        }
        places
    }

    fn replace_pkcs12(
        &self,
        certificate: &X509,
        key: &PKey<Private>,
        issued: &Issued,
    ) -> Result<(), Failure> {
        let file = self.directory.join("cert.p12");
        let Ok(password) = platform::files::read_to_string(&self.directory.join("p12-password.txt")) else {
            return Ok(());
        };
        if !file.exists() {
            return Ok(());
        }
        let mut issuers = Stack::new()?;
        issuers.push(X509::from_pem(issued.ca.as_bytes())?)?;
        let made = Pkcs12::builder()
            .name(&issued.name)
            .cert(certificate)
            .pkey(key)
            .ca(issuers)
            .build2(password.trim_end_matches(['\r', '\n']))?;
        write(&beside(&file), &made.to_der()?, 0o600)?;
        rename(&beside(&file), &file)?;
        platform::say!("wrote {}: import it into the browser again", file.display());
        Ok(())
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// A request that says nothing but that the key is ours: the server decides the rest.
fn request(key: &PKey<Private>) -> Result<String, ErrorStack> {
    let mut builder = X509ReqBuilder::new()?;
    builder.set_pubkey(key)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(String::from_utf8_lossy(&builder.build().to_pem()?).into_owned())
}

/// The sentence of a refusal.
fn refusal(text: &[u8], status: reqwest::StatusCode) -> String {
    let answer: Option<serde_json::Value> = serde_json::from_slice(text).ok();
    let message = answer
        .as_ref()
        .and_then(|answer| answer["errors"][0]["message"].as_str());
    match message {
        // What a server says is shown as one line.
        Some(message) => format!(
            "the server issues no certificate: {}",
            message.chars().filter(|c| !c.is_control()).collect::<String>()
        ),
        None => format!("the server issues no certificate: {status}"),
    }
}

fn beside(path: &Path) -> PathBuf {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    path.with_file_name(format!(".{name}.new"))
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let failed =
        |cause: std::io::Error| Failure(format!("{}: {}", path.display(), platform::reason::of_io(&cause)));
    // A file that was left over would keep its own mode.
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed)?;
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(failed)?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to)
        .map_err(|cause| Failure(format!("{}: {}", to.display(), platform::reason::of_io(&cause))))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        text = format!("{text}: {found}");
        cause = found.source();
    }
    text
}
