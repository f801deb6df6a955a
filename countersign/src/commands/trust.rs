//! The options by which every command finds trust servers and what it knows of repositories.

use std::{env, path::PathBuf, time::Duration};

use chrono::TimeDelta;
use clap::Args;
use client::{Bundles, Credentials, Discovery, Identity, Repositories, ServerSettings, StateDirectory};
use secrecy::SecretString;
use verifier::{Anchor, Pattern, TrustRoots};
use zeroize::Zeroizing;

use super::Failure;
use crate::decider::{Decider, PolicySource, TrustSettings};

/// How long a command waits for a trust server.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// The variable with the passphrase of a PKCS#12 file.
const P12_PASSPHRASE: &str = "COUNTERSIGN_P12_PASSPHRASE";
/// The variable with the policy file, where the command line names none.
pub(super) const POLICY: &str = "COUNTERSIGN_POLICY";

/// How the trust server is reached. What is not said is looked for where docker and notary look: the server is that of
/// DOCKER_CONTENT_TRUST_SERVER, ~/.notary/config.json or the registry itself, the certificate that of
/// ~/.docker/tls/HOST or ~/.notary/config.json.
#[derive(Debug, Clone, Args)]
pub struct TrustOptions {
    /// The trust server, where the policy names none.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The CAs of the server's certificate, in place of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The client certificate, with its chain.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of the client certificate.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Client certificate and key in a PKCS#12 file; its passphrase is read from COUNTERSIGN_P12_PASSPHRASE.
    #[arg(long, value_name = "FILE", conflicts_with = "cert")]
    p12: Option<PathBuf>,
    /// A file whose first line is the passphrase of the PKCS#12 file, in place of the variable.
    #[arg(long, value_name = "FILE", requires = "p12")]
    p12_passphrase_file: Option<PathBuf>,
    /// The environment variable that holds a bearer token.
    #[arg(long, value_name = "VARIABLE", conflicts_with = "user_from")]
    token_from: Option<String>,
    /// The environment variable that holds NAME:PASSWORD for the server's token service.
    #[arg(long, value_name = "VARIABLE")]
    user_from: Option<String>,
    /// Where what was verified is kept, so that nothing goes back.
    #[arg(long, value_name = "DIRECTORY")]
    state: Option<PathBuf>,
}

/// Which images need which signatures.
#[derive(Debug, Clone, Args)]
pub struct PolicyOptions {
    /// The policy file; else that of COUNTERSIGN_POLICY.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Without a policy file: the ID of a root key where trust begins, as `docker trust inspect` and `notary key list`
    /// show it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["policy", "tofu"])]
    root_key: Vec<String>,
    /// Without a policy file: trust the first root that the server shows, and only its successors from then on.
    #[arg(long, conflicts_with = "policy")]
    tofu: bool,
    /// Without a policy file: trust begins with the root for which an operator vouches in this TUF 1.0 repository of the
    /// server's.
    #[arg(long, value_name = "REPOSITORY", requires = "tuf_root", conflicts_with_all = ["policy", "tofu", "root_key"])]
    trust_roots: Option<String>,
    /// The file of a root of that repository, which the operator handed over: trust in the operator begins with it.
    #[arg(long, value_name = "FILE", requires = "trust_roots")]
    tuf_root: Option<PathBuf>,
    /// Signers who must have signed, besides what the policy demands.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    signer: Vec<String>,
}

impl TrustOptions {
    /// How servers are asked.
    pub(super) fn settings(&self) -> Result<TrustSettings, Failure> {
        let identity = match (&self.cert, &self.key, &self.p12) {
            (Some(cert), Some(key), _) => Some(Identity::Pem {
                cert: cert.clone(),
                key: key.clone(),
            }),
            (_, _, Some(file)) => Some(Identity::Pkcs12 {
                file: file.clone(),
                passphrase: self.p12_passphrase()?,
            }),
            _ => None,
        };
        let given = ServerSettings {
            url: self.server.clone(),
            ca: self.ca.clone(),
            identity,
            credentials: Credentials::from_environment(
                self.token_from.as_deref(),
                self.user_from.as_deref(),
            )?,
            ..ServerSettings::default()
        };
        Ok(TrustSettings {
            given,
            discovery: Discovery::from_environment(),
            deadline: DEADLINE,
            max_age: TimeDelta::zero(),
            follow: false,
            offline: false,
        })
    }

    fn p12_passphrase(&self) -> Result<SecretString, Failure> {
        let Some(path) = &self.p12_passphrase_file else {
            return Ok(env::var(P12_PASSPHRASE).unwrap_or_default().into());
        };
        let text = platform::files::read_to_string(path)
            .map_err(|cause| Failure(format!("{}: {cause}", path.display())))?;
        let text = Zeroizing::new(text);
        Ok(text.lines().next().unwrap_or_default().into())
    }

    /// Which servers trust data is of, where none is asked: certificates and tokens are not looked for.
    fn unreached(&self) -> TrustSettings {
        TrustSettings {
            given: ServerSettings {
                url: self.server.clone(),
                ..ServerSettings::default()
            },
            discovery: Discovery::from_environment(),
            deadline: DEADLINE,
            max_age: TimeDelta::zero(),
            follow: false,
            offline: true,
        }
    }

    /// What is known of repositories.
    pub(super) fn repositories(&self) -> Result<Repositories, Failure> {
        Ok(Repositories::new(Some(self.state()?)))
    }

    /// Where that is kept.
    pub(super) fn state(&self) -> Result<StateDirectory, Failure> {
        let directory = self.state.clone().or_else(StateDirectory::default_path);
        let directory = directory.ok_or_else(|| {
            Failure(
                "there is no home directory to keep what was verified in: name one with --state DIRECTORY"
                    .into(),
            )
        })?;
        Ok(StateDirectory::open(directory)?)
    }
}

impl PolicyOptions {
    /// Where the policy comes from.
    pub(super) fn source(&self) -> Result<PolicySource, Failure> {
        let signers = self.signer.clone();
        let file = self.policy.clone();
        let file = file.or_else(|| {
            let unanchored = self.root_key.is_empty() && !self.tofu && self.trust_roots.is_none();
            let named = env::var_os(POLICY).filter(|name| unanchored && !name.is_empty());
            named.map(PathBuf::from)
        });
        if let Some(path) = file {
            return Ok(PolicySource::File { path, signers });
        }
        let anchor = if self.tofu {
            Anchor::Tofu {
                scope: Pattern::parse("**")?,
            }
        } else if let (Some(repository), Some(file)) = (&self.trust_roots, &self.tuf_root) {
            let root = platform::files::read(file).map_err(|cause| {
                Failure(format!("{}: {}", file.display(), platform::reason::of_io(&cause)))
            })?;
            Anchor::TrustRoots(Box::new(TrustRoots {
                repository: repository.clone(),
                root,
                server: None,
            }))
        } else if self.root_key.is_empty() {
            return Err(Failure(format!(
                "nothing says where trust begins: name a policy with --policy FILE or {POLICY}, a root key with --root-key \
                 ID, an operator's repository with --trust-roots REPOSITORY --tuf-root FILE, or say --tofu to trust what the \
                 server shows first"
            )));
        } else {
            Anchor::root_keys(self.root_key.iter().map(String::as_str))?
        };
        Ok(PolicySource::AdHoc {
            anchor: Box::new(anchor),
            signers,
        })
    }

    /// What decides. For an image whose trust data was confirmed within `max_age`, no server is asked first.
    pub(super) fn decider(&self, trust: &TrustOptions, max_age: TimeDelta) -> Result<Decider, Failure> {
        let settings = TrustSettings {
            max_age,
            // What may be taken from memory is kept up with.
            follow: max_age > TimeDelta::zero(),
            ..trust.settings()?
        };
        Ok(Decider::load(self.source()?, settings, trust.repositories()?)?)
    }

    /// What decides by bundles alone, whatever says how servers are reached.
    pub(super) fn offline(&self, trust: &TrustOptions, bundles: Bundles) -> Result<Decider, Failure> {
        let decider = Decider::load(self.source()?, trust.unreached(), trust.repositories()?)?;
        Ok(decider.deciding_by(bundles))
    }
}
