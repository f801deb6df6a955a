//! What every one of these commands begins with: the repository's server, the keys at hand, and where trust begins.

use std::{env, path::PathBuf, sync::Arc, thread};

use chrono::Utc;
use clap::Args;
use client::{
    Demand, Repositories, Server,
    keys::{KeyInfo, KeyStore, Keys, Place},
    publish::{Editor, PublishError},
};
use tuf::{DelegationName, Gun, RoleName};
use verifier::{Anchor, Check, Documents, ImageReference, Pattern, Plan, Reason, Repository, RequestContext};

use super::key_options::KeyOptions;
use crate::{
    commands::{
        Failure, block_on,
        trust::{DEADLINE, POLICY, TrustOptions},
    },
    decider::{Generation, Operators, PolicySource},
};

/// The role whose content docker takes for released.
pub(super) const RELEASES: &str = "targets/releases";

/// Where trust in the repository begins. Nothing has to be said if what was verified of it before is still known, or if
/// its root key is among the private keys.
#[derive(Debug, Clone, Args)]
pub struct AnchorOptions {
    /// The policy file that says where trust begins, and which server is asked; else that of COUNTERSIGN_POLICY.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The ID of a root key where trust begins, as `docker trust inspect` and `notary key list` show it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["policy", "tofu"])]
    root_key: Vec<String>,
    /// Trust the root that the server shows now, and only its successors from then on.
    #[arg(long, conflicts_with = "policy")]
    tofu: bool,
}

/// What the help of every one of these commands ends with.
const HELP: &str = "\
What the server shows is verified before anything is signed. Trust begins with --policy, --root-key or --tofu; without them
with what was verified of the repository before, or with the root keys among the private keys.

Private keys are found in --trust-dir, and in the token of --pkcs11-module, by the IDs that the repository lists. Passphrases of
files come from --passphrase-file, COUNTERSIGN_PASSPHRASE, NOTARY_ROOT_PASSPHRASE, NOTARY_TARGETS_PASSPHRASE,
NOTARY_SNAPSHOT_PASSPHRASE, NOTARY_DELEGATION_PASSPHRASE, DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE or
DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE, from the program of --passphrase-command, or are asked for if there is a terminal.
The PIN of the token comes from --pkcs11-pin-file, COUNTERSIGN_PKCS11_PIN, the program of COUNTERSIGN_PKCS11_PIN_COMMAND, or
is asked for.

The trust server is that of --server, the policy, DOCKER_CONTENT_TRUST_SERVER, ~/.notary/config.json, or the registry itself;
the client certificate that of --cert and --key, --p12, ~/.docker/tls/HOST or ~/.notary/config.json.

The status is 0 if it was done, and 2 if not.";

/// Everything that is needed to work on a repository.
#[derive(Debug, Clone, Args)]
#[command(after_help = HELP)]
pub struct RepositoryOptions {
    #[command(flatten)]
    pub(super) anchor: AnchorOptions,
    #[command(flatten)]
    pub(super) keys: KeyOptions,
    #[command(flatten)]
    pub(in crate::commands) trust: TrustOptions,
}

/// A repository that is worked on.
pub(in crate::commands) struct Session {
    pub(in crate::commands) gun: Gun,
    pub(in crate::commands) server: Arc<Server>,
    pub(super) repositories: Repositories,
    pub(in crate::commands) keys: Keys,
    /// Where trust begins, if anything says so.
    anchor: Option<Anchor>,
    /// Whether something of it was verified before.
    pub(super) known: bool,
}

impl AnchorOptions {
    /// The root keys that were named.
    pub(super) fn named_root(&self) -> &[String] {
        &self.root_key
    }

    fn policy(&self) -> Option<PathBuf> {
        let explicit = self.tofu || !self.root_key.is_empty();
        let named = || env::var_os(POLICY).filter(|name| !explicit && !name.is_empty());
        self.policy.clone().or_else(|| named().map(PathBuf::from))
    }
}

impl RepositoryOptions {
    /// Finds the server of an image's repository, the keys, and where trust begins. No server is asked.
    ///
    /// # Errors
    /// When something that was named cannot be used.
    pub(in crate::commands) fn open(&self, image: &ImageReference) -> Result<Session, Failure> {
        let settings = self.trust.settings()?;
        let state = self.trust.state()?;
        let keys = self.keys.open()?;
        let repositories = Repositories::new(Some(state.clone()));
        let mut anchor = None;
        let server = match self.anchor.policy() {
            Some(path) => {
                let source = PolicySource::File {
                    path: path.clone(),
                    signers: Vec::new(),
                };
                let loaded = Generation::load(&source, &settings)?;
                let request = RequestContext {
                    now: Utc::now(),
                    ..RequestContext::default()
                };
                match loaded.policy().plan(image, &request) {
                    Plan::Check(check) => {
                        anchor = Some(anchored(&loaded, &check, image.gun(), &repositories)?)
                    }
                    Plan::Decided(verdict) => {
                        let file = path.display();
                        return Err(Failure(format!(
                            "{file} does not say where trust in {} begins ({}); name a root key with --root-key ID, or \
                             another policy",
                            image.name(),
                            verdict.sentence
                        )));
                    }
                }
                loaded.server(image)?
            }
            None => Arc::new(Server::discover(
                &settings.given,
                &settings.discovery,
                image.host(),
            )?),
        };
        let known = state.load(server.label(), image.gun())?.is_some();
        if self.anchor.tofu {
            anchor = Some(tofu(image.gun())?);
        } else if !self.anchor.root_key.is_empty() {
            anchor = Some(Anchor::root_keys(
                self.anchor.root_key.iter().map(String::as_str),
            )?);
        } else if anchor.is_none() && known {
            // What was verified has to be followed by what is shown now, whichever anchor that began with.
            anchor = Some(tofu(image.gun())?);
        } else if anchor.is_none() {
            let roots = root_keys(&keys)?;
            if !roots.is_empty() {
                anchor = Some(Anchor::root_keys(roots.iter().map(|key| key.id.as_str()))?);
            }
        }
        Ok(Session {
            gun: image.gun().clone(),
            server,
            repositories,
            keys,
            anchor,
            known,
        })
    }
}

impl Session {
    /// The same with new keys kept where the command line says.
    pub(super) fn keeping_in(mut self, place: Place) -> Result<Self, Failure> {
        self.keys = self.keys.keeping_in(place)?;
        Ok(self)
    }

    /// What publishes to the repository.
    pub(super) fn editor(&self) -> Editor<'_> {
        Editor::new(&self.repositories, Arc::clone(&self.server), &self.keys, DEADLINE)
    }

    /// Whether anything says where trust begins.
    pub(super) fn is_anchored(&self) -> bool {
        self.anchor.is_some()
    }

    /// Where trust begins.
    pub(super) fn anchor(&self) -> Result<&Anchor, Failure> {
        self.anchor.as_ref().ok_or_else(|| {
            Failure(format!(
                "nothing says where trust in {} begins: nothing of it was verified here before, and there is no root key \
                 among the private keys; name its root key with --root-key ID or a policy with --policy FILE, or say --tofu \
                 to trust what the server shows now",
                self.gun
            ))
        })
    }

    /// The repository as it is now, verified.
    pub(in crate::commands) async fn read(&self) -> Result<(Arc<Repository>, Arc<Documents>), Failure> {
        let anchor = self.anchor()?;
        let read = self.editor().read(&self.gun, anchor).await;
        read.map_err(|cause| self.explained(cause))
    }

    /// A failure, with what to do about it.
    pub(super) fn explained(&self, cause: PublishError) -> Failure {
        let gun = &self.gun;
        match &cause {
            PublishError::Denied(denial) => match denial.reason {
                Reason::NoTrustData => Failure(format!(
                    "{}; begin it with `countersign init {gun}`",
                    denial.sentence
                )),
                Reason::AnchorMismatch => Failure(format!(
                    "{}; if the repository is somebody else's, name its root key with --root-key ID",
                    denial.sentence
                )),
                Reason::RootReset => Failure(format!(
                    "{}; see what changed with `countersign anchor accept {gun}`",
                    denial.sentence
                )),
                _ => Failure(denial.sentence.clone()),
            },
            // A key may be in the token, and of no use there.
            PublishError::NoKey { .. } if self.keys.unusable().is_ok_and(|keys| !keys.is_empty()) => {
                Failure(format!(
                    "{cause}. There are keys in the token that cannot be used: `countersign key list` says why"
                ))
            }
            _ => cause.into(),
        }
    }
}

/// Where a policy says that trust begins. If it leaves that to an operator, the operator's repository is asked.
fn anchored(
    loaded: &Generation,
    check: &Check<'_>,
    gun: &Gun,
    repositories: &Repositories,
) -> Result<Anchor, Failure> {
    let Anchor::TrustRoots(_) = check.anchor() else {
        return Ok(check.anchor().clone());
    };
    let operators = Operators::new(repositories);
    let asking = || block_on(operators.anchored(loaded, check, gun, Demand::now(DEADLINE)));
    // A thread of its own, because some who call this run on a runtime already.
    let answered = thread::scope(|scope| scope.spawn(asking).join());
    let answered = answered.map_err(|_| Failure("asking for trust roots broke off".into()))?;
    let (check, _) = answered?.map_err(|(denial, _)| Failure(denial.sentence))?;
    Ok(check.anchor().clone())
}

/// Trust in whatever a repository begins with.
fn tofu(gun: &Gun) -> Result<Anchor, Failure> {
    let scope = Pattern::parse(gun.as_str())?;
    Ok(Anchor::Tofu { scope })
}

/// The root keys at hand.
pub(super) fn root_keys(keys: &dyn KeyStore) -> Result<Vec<KeyInfo>, Failure> {
    let mut found = keys.list()?;
    found.retain(|key| key.role == "root");
    Ok(found)
}

/// Reads the name of an image with its tag.
pub(super) fn tagged(text: &str) -> Result<(ImageReference, String), Failure> {
    let image = parse(text)?;
    let tag = image.tag().map(str::to_owned);
    let tag = tag.ok_or_else(|| {
        Failure(format!(
            "{text}: say which tag is meant, as in {}:1.0",
            image.written_name()
        ))
    })?;
    Ok((image, tag))
}

/// Reads the name of a repository.
pub(in crate::commands) fn repository(text: &str) -> Result<ImageReference, Failure> {
    let image = parse(text)?;
    if image.tag().is_some() || image.digest().is_some() {
        return Err(Failure(format!(
            "{text}: this is about a whole repository; write it without tag and digest, as {}",
            image.written_name()
        )));
    }
    Ok(image)
}

/// Reads the name of an image or repository.
pub(super) fn parse(text: &str) -> Result<ImageReference, Failure> {
    ImageReference::parse(text).map_err(|cause| Failure(format!("{text}: {cause}")))
}

/// The role of a signer: `targets/NAME`.
pub(super) fn signer(name: &str) -> Result<DelegationName, Failure> {
    let name = name.strip_prefix("targets/").unwrap_or(name);
    let role = format!("targets/{name}");
    if role == RELEASES {
        return Err(Failure(
            "`releases` is not a signer: all signers sign targets/releases beside their own role".into(),
        ));
    }
    let named = DelegationName::parse(&role).ok().filter(|_| !name.contains('/'));
    named.ok_or_else(|| {
        Failure(format!(
            "{name:?} cannot be the name of a signer: it is made of lower case letters, digits, - and _"
        ))
    })
}

/// The role of all signers' released images.
pub(super) fn releases() -> Result<DelegationName, Failure> {
    Ok(DelegationName::parse(RELEASES)?)
}

/// Reads the name of a role.
pub(super) fn role(text: &str) -> Result<RoleName, Failure> {
    RoleName::parse(text).map_err(|cause| {
        Failure(format!(
            "{text:?} is not a role: {cause}; roles are root, targets, snapshot, timestamp and delegations such as \
             targets/alice"
        ))
    })
}
