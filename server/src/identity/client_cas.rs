//! The sets of CAs that may issue client certificates, by name, so that a rule can ask for one of them.

use std::path::PathBuf;

use openssl::{
    error::ErrorStack,
    stack::Stack,
    x509::{
        X509, X509PurposeId, X509Ref, X509StoreContext,
        store::{X509Store, X509StoreBuilder},
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};
use platform::config::{ConfigError, Settings};
use serde_json::Value;

/// The name of the set that `server.client_ca_file` gives.
pub const DEFAULT_SET: &str = "default";
/// How strong keys and signatures of a chain have to be: OpenSSL's level 2, 112 bits, as in the handshake.
const SECURITY_LEVEL: i32 = 2;
/// The start of certificates that stand in the configuration itself.
const PEM_START: &str = "-----BEGIN";

/// Why sets of client CAs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientCaError {
    /// A key is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file cannot be read.
    #[error("the client CA file {} ({key}) cannot be read: {cause}", path.display())]
    Read {
        /// The key that names it.
        key: String,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// OpenSSL refuses.
    #[error("OpenSSL refuses the client CAs: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// Every configured set.
pub struct ClientCas {
    sets: Vec<(String, X509Store)>,
}

/// Which sets verify a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Their names.
    pub by: Vec<String>,
    /// The objection of each of the others: its name and OpenSSL's words.
    pub objections: Vec<(String, String)>,
}

impl ClientCas {
    /// Reads `server.client_ca_file` and `client_cas.<name>`: files, or certificates in PEM.
    ///
    /// # Errors
    /// When one of them holds no certificate.
    pub fn read(settings: &Settings) -> Result<Self, ClientCaError> {
        let mut given: Vec<(String, String, String)> = Vec::new();
        let key = "server.client_ca_file";
        if let Some(text) = settings.text(key)? {
            given.push((DEFAULT_SET.to_owned(), key.to_owned(), text));
        }
        match settings.section("client_cas") {
            None => {}
            Some(Value::Object(sets)) => {
                for (name, value) in sets {
                    let key = format!("client_cas.{name}");
                    match value {
                        Value::String(text) if !text.is_empty() => given.push((name, key, text)),
                        _ => return Err(refused(&key, "set", "a file, or certificates in PEM").into()),
                    }
                }
            }
            Some(_) => return Err(refused("client_cas", "set", "a table of names and files").into()),
        }
        let sets = given
            .into_iter()
            .map(|(name, key, text)| Ok((name, store(&key, certificates(settings, &key, &text)?)?)));
        Ok(Self {
            sets: sets.collect::<Result<_, ClientCaError>>()?,
        })
    }

    /// The names of the sets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.sets.iter().map(|(name, _)| name.as_str())
    }

    /// Which sets verify a client's certificate now; `chain` is what came with it.
    ///
    /// # Errors
    /// When OpenSSL cannot even try.
    pub fn verify(&self, leaf: &X509Ref, chain: &[X509]) -> Result<Verified, ErrorStack> {
        let mut untrusted = Stack::new()?;
        for certificate in chain {
            untrusted.push(certificate.clone())?;
        }
        let mut verified = Verified {
            by: Vec::new(),
            objections: Vec::new(),
        };
        for (name, store) in &self.sets {
            let mut context = X509StoreContext::new()?;
            let objection = context.init(store, leaf, &untrusted, |context| {
                let good = context.verify_cert()?;
                Ok((!good).then(|| context.error().error_string().to_owned()))
            })?;
            match objection {
                None => verified.by.push(name.clone()),
                Some(objection) => verified.objections.push((name.clone(), objection)),
            }
        }
        Ok(verified)
    }
}

fn certificates(settings: &Settings, key: &str, text: &str) -> Result<Vec<X509>, ClientCaError> {
    let pem = if text.trim_start().starts_with(PEM_START) {
        text.as_bytes().to_vec()
    } else {
        let path = settings.resolve(text);
        std::fs::read(&path).map_err(|cause| ClientCaError::Read {
            key: key.to_owned(),
            path,
            cause,
        })?
    };
    let found = X509::stack_from_pem(&pem).unwrap_or_default();
    if found.is_empty() {
        let allowed = "it holds no PEM certificate (-----BEGIN CERTIFICATE-----)";
        return Err(refused(key, text, allowed).into());
    }
    Ok(found)
}

fn store(key: &str, anchors: Vec<X509>) -> Result<X509Store, ClientCaError> {
    let mut parameters = X509VerifyParam::new()?;
    // As in the handshake, every certificate is an anchor, an intermediate without its root too.
    parameters.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    parameters.set_purpose(X509PurposeId::SSL_CLIENT)?;
    parameters.set_auth_level(SECURITY_LEVEL);
    let mut builder = X509StoreBuilder::new()?;
    builder.set_param(&parameters)?;
    for anchor in anchors {
        builder.add_cert(anchor).map_err(|cause| {
            let allowed = format!("one of its certificates cannot be used: {cause}");
            refused(key, "set", &allowed)
        })?;
    }
    Ok(builder.build())
}

fn refused(key: &str, value: &str, allowed: &str) -> ConfigError {
    ConfigError::invalid(key, value, allowed)
}
