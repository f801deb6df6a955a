//! Sends events to a receiver's URL, signed with a secret that both know.

mod addresses;

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use openssl::{error::ErrorStack, hash::MessageDigest, pkey::PKey, sign::Signer};
use reqwest::{Client, StatusCode, Url, redirect::Policy};

use super::Event;
use crate::{access::policy::Glob, config::WebhookSettings};
use addresses::Guarded;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The shortest secret, in bytes: as long as the key of the hash should be (RFC 2104 section 3).
const SECRET_LENGTH: usize = 32;
/// How much of a receiver's answer is kept as the reason of a refusal, in characters.
const REASON_LENGTH: usize = 200;

/// A receiver of events.
pub struct Webhook {
    name: String,
    url: Url,
    secret: PKey<openssl::pkey::Private>,
    guns: Vec<Glob>,
    kinds: Vec<String>,
    attempts: u32,
    client: Client,
}

/// Why a webhook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A file cannot be read.
    #[error("{}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// The secret is too short.
    #[error("{}: a secret has at least {SECRET_LENGTH} bytes; make one with: openssl rand -hex 32", .0.display())]
    Secret(PathBuf),
    /// The CA is none.
    #[error("{}: no certificate in PEM can be read from it", .0.display())]
    Ca(PathBuf),
    /// A pattern cannot be read.
    #[error("the pattern {0:?}: {1}")]
    Pattern(String, String),
    /// The URL has an address that webhooks may not have.
    #[error("{0} is an address of a private network or of this machine; allow_private: true allows it")]
    Private(String),
    /// The HTTP client cannot be made.
    #[error("{0}")]
    Client(#[from] reqwest::Error),
    /// The cryptographic library.
    #[error("{}", platform::reason::of_openssl(.0))]
    OpenSsl(#[from] ErrorStack),
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The receiver answered with another status than one of success.
    #[error("the receiver answered {0}{1}")]
    Refused(StatusCode, String),
    /// The receiver did not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The message could not be made.
    #[error("{0}")]
    Message(String),
}

impl Webhook {
    /// Reads the files of a webhook.
    ///
    /// # Errors
    /// When one cannot be used, or its URL has an address that it may not have.
    pub fn load(settings: &WebhookSettings) -> Result<Self, WebhookError> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|cause| WebhookError::Read {
                path: path.clone(),
                cause,
            })
        };
        let secret = read(&settings.secret_file)?;
        let secret = secret.trim_ascii();
        if secret.len() < SECRET_LENGTH {
            return Err(WebhookError::Secret(settings.secret_file.clone()));
        }
        let guns = settings.guns.iter().map(|pattern| {
            let read = Glob::parse(pattern).and_then(|glob| match glob.names_principal() {
                true => Err("there is no principal here".to_owned()),
                false => Ok(glob),
            });
            read.map_err(|reason| WebhookError::Pattern(pattern.clone(), reason))
        });
        let mut client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
        if !settings.allow_private {
            if let Some(address) = addresses::private_in(&settings.url) {
                return Err(WebhookError::Private(address));
            }
            client = client.dns_resolver(Arc::new(Guarded));
        }
        if let Some(path) = &settings.ca_file {
            let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?).unwrap_or_default();
            if certificates.is_empty() {
                return Err(WebhookError::Ca(path.clone()));
            }
            for certificate in certificates {
                client = client.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            name: settings.name.clone(),
            url: settings.url.clone(),
            secret: PKey::hmac(secret)?,
            guns: guns.collect::<Result<_, _>>()?,
            kinds: settings.kinds.clone(),
            attempts: settings.attempts,
            client: client.build()?,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often an event is sent at most.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether it is told of an event.
    pub fn wants(&self, event: &Event) -> bool {
        let of_kind = self.kinds.iter().any(|kind| kind == event.kind.name());
        of_kind && (self.guns.is_empty() || self.guns.iter().any(|glob| glob.matches(&event.gun, None)))
    }

    /// Sends an event once.
    ///
    /// # Errors
    /// When the receiver did not answer with success.
    pub async fn send(&self, event: &Event, now: DateTime<Utc>) -> Result<(), DeliveryError> {
        let body = serde_json::to_vec(event).map_err(|cause| DeliveryError::Message(cause.to_string()))?;
        self.post(event.kind.name(), &event.id.to_string(), body, now)
            .await
            .map(drop)
    }

    /// Sends a message that is no event, to see whether the receiver takes it. Returns the status of its answer.
    ///
    /// # Errors
    /// When the receiver did not answer with success.
    pub async fn ping(&self, now: DateTime<Utc>) -> Result<StatusCode, DeliveryError> {
        let body = format!(r#"{{"id":0,"kind":"ping","webhook":"{}"}}"#, self.name);
        self.post("ping", "0", body.into_bytes(), now).await
    }

    async fn post(
        &self,
        kind: &str,
        id: &str,
        body: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<StatusCode, DeliveryError> {
        let time = now.timestamp().to_string();
        let signature = self
            .signature(&time, &body)
            .map_err(|cause| DeliveryError::Message(platform::reason::of_openssl(&cause)))?;
        let answer = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("x-countersign-event", kind)
            .header("x-countersign-id", id)
            .header("x-countersign-timestamp", time)
            .header("x-countersign-signature", format!("sha256={signature}"))
            .body(body)
            .send()
            .await
            .map_err(|cause| DeliveryError::Unreachable(chain(&cause)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(status);
        }
        Err(DeliveryError::Refused(status, said(answer).await))
    }

    /// The HMAC-SHA-256 (RFC 2104) of the time, a dot and the body, in hex: with the time in it, a message that was
    /// recorded cannot be sent again later.
    fn signature(&self, time: &str, body: &[u8]) -> Result<String, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.secret)?;
        signer.update(time.as_bytes())?;
        signer.update(b".")?;
        signer.update(body)?;
        Ok(hex::encode(signer.sign_to_vec()?))
    }
}

/// The beginning of an answer, for the reason of a refusal.
async fn said(mut answer: reqwest::Response) -> String {
    let first = answer.chunk().await.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&first);
    let text: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(REASON_LENGTH)
        .collect();
    match text.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

/// An error with its causes; without the URL, which may hold a token.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::from("the receiver cannot be reached");
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    if error.is_timeout() {
        text.push_str(&format!(" (no answer within {TIMEOUT:?})"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(directory: &std::path::Path, url: &str) -> WebhookSettings {
        let secret_file = directory.join("secret");
        std::fs::write(&secret_file, "k".repeat(32) + "\n").unwrap();
        WebhookSettings {
            place: "webhooks[0]".into(),
            name: "ci".into(),
            url: Url::parse(url).unwrap(),
            secret_file,
            guns: Vec::new(),
            kinds: vec!["published".into()],
            ca_file: None,
            allow_private: false,
            attempts: 1,
        }
    }

    #[test]
    fn the_signature_is_the_hmac_of_time_and_body() {
        let directory = tempfile::tempdir().unwrap();
        let webhook = Webhook::load(&settings(directory.path(), "https://ci.example.com/")).unwrap();
        // printf '17.{}' | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
        assert_eq!(
            webhook.signature("17", b"{}").unwrap(),
            "7a81275e07455035afe993a2031b31057ea953654a558fb3958a4db0da75ec5f"
        );
    }

    #[test]
    fn addresses_of_private_networks_are_refused_unless_allowed() {
        let directory = tempfile::tempdir().unwrap();
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "[::1]",
            "[::ffff:192.168.0.1]",
            "0.0.0.0",
        ] {
            let mut settings = settings(directory.path(), &format!("http://{host}/"));
            assert!(
                matches!(Webhook::load(&settings), Err(WebhookError::Private(_))),
                "{host}"
            );
            settings.allow_private = true;
            assert!(Webhook::load(&settings).is_ok(), "{host}");
        }
        assert!(Webhook::load(&settings(directory.path(), "http://8.8.8.8/")).is_ok());
    }

    #[test]
    fn a_short_secret_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path(), "https://ci.example.com/");
        std::fs::write(&settings.secret_file, "  short\n").unwrap();
        assert!(matches!(Webhook::load(&settings), Err(WebhookError::Secret(_))));
    }
}
