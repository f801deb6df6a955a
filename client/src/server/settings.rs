//! How a server is reached: address, trusted CAs, client certificate, credentials.

use std::{fmt, path::PathBuf};

use reqwest::Url;
use secrecy::SecretString;
use thiserror::Error;

/// What a person gave. Everything that is absent is looked for (see [`Discovery`](super::Discovery)).
#[derive(Debug, Clone, Default)]
pub struct ServerSettings {
    /// The address of the trust server, such as `https://trust.example:4443`, perhaps with a path.
    pub url: Option<String>,
    /// The PEM file of the CAs that its certificate has to come from. These only, not the system's.
    pub ca: Option<PathBuf>,
    /// The client certificate.
    pub identity: Option<Identity>,
    /// A token, or a password for the server's token service.
    pub credentials: Credentials,
    /// Whether `http://` is acceptable. Never with credentials or a client certificate.
    pub allow_http: bool,
}

/// Where a client certificate and its key are.
#[derive(Debug, Clone)]
pub enum Identity {
    /// PEM files. The certificate's may hold the chain, leaf first.
    Pem {
        /// The certificate.
        cert: PathBuf,
        /// Its unencrypted private key.
        key: PathBuf,
    },
    /// A PKCS#12 file (`.p12`, `.pfx`).
    Pkcs12 {
        /// The file.
        file: PathBuf,
        /// Its passphrase, perhaps empty.
        passphrase: SecretString,
    },
}

/// Who asks, where a client certificate does not say so.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Nobody; a token service may still give an anonymous token.
    #[default]
    None,
    /// A bearer token.
    Token(SecretString),
    /// A name and password, for the token service.
    User {
        /// The name.
        name: String,
        /// The password.
        password: SecretString,
    },
}

/// Everything that is needed to ask a server.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The address, without a slash at its end.
    pub url: Url,
    /// Which CAs are trusted.
    pub trust: Trust,
    /// The client certificate.
    pub identity: Option<Identity>,
    /// A token or password.
    pub credentials: Credentials,
    /// Where address, CA and certificate were found, one sentence each, for those who wonder.
    pub found: Vec<String>,
    /// Why a login that somebody has is not used, as a sentence, for those who are refused.
    pub unused_login: Option<String>,
}

/// The CAs that a server's certificate may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Whether those of the system count.
    pub system: bool,
    /// PEM files with further ones.
    pub files: Vec<PathBuf>,
}

/// Why a server cannot be asked with these settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The address is not one.
    #[error(
        "{url:?} is not the address of a trust server: {reason}; it looks like https://trust.example:4443"
    )]
    Address {
        /// The address as written.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is wrong, in the words of who read it.
    #[error("{0}")]
    Tls(String),
    /// An environment variable is wrong.
    #[error("the environment variable {name} {reason}")]
    Environment {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Trust {
    /// The system's CAs.
    pub fn system() -> Self {
        Self {
            system: true,
            files: Vec::new(),
        }
    }

    /// The CAs of one file only.
    pub fn only(file: PathBuf) -> Self {
        Self {
            system: false,
            files: vec![file],
        }
    }
}

impl Credentials {
    /// Reads credentials from environment variables with these names, because other users can see command lines. The
    /// variable of a user holds `NAME:PASSWORD`. Without names `NOTARY_AUTH` is used if it is set, as the notary client
    /// does: the Base64 of `NAME:PASSWORD`.
    ///
    /// # Errors
    /// When a variable is not set or has another form.
    pub fn from_environment(token: Option<&str>, user: Option<&str>) -> Result<Self, SettingsError> {
        let wrong = |name: &str, reason: &str| SettingsError::Environment {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let value = |name: &str| {
            let found = std::env::var(name).ok().filter(|value| !value.is_empty());
            found.ok_or_else(|| wrong(name, "is not set"))
        };
        if let Some(name) = token {
            return value(name).map(|token| Self::Token(token.into()));
        }
        if let Some(name) = user {
            let pair = value(name)?;
            return Self::pair(&pair).ok_or_else(|| wrong(name, "should hold NAME:PASSWORD"));
        }
        const NOTARY: &str = "NOTARY_AUTH";
        match value(NOTARY) {
            Err(_) => Ok(Self::None),
            Ok(encoded) => {
                use base64::{Engine, engine::general_purpose::STANDARD};
                let bytes = STANDARD.decode(encoded.trim()).ok();
                let pair = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                pair.and_then(|pair| Self::pair(&pair))
                    .ok_or_else(|| wrong(NOTARY, "should hold the Base64 of NAME:PASSWORD"))
            }
        }
    }

    fn pair(text: &str) -> Option<Self> {
        let (name, password) = text.split_once(':')?;
        Some(Self::User {
            name: name.to_owned(),
            password: password.into(),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem { cert, .. } => cert.display().fmt(f),
            Self::Pkcs12 { file, .. } => file.display().fmt(f),
        }
    }
}
