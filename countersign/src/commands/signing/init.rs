//! `countersign init`, and the beginning of a repository by other commands.

use std::path::PathBuf;

use clap::Args;
use client::{
    keys::{KeyStore, read_public_key},
    publish::{Change, PublishError},
};
use tuf::{KeyId, PublicKey, RoleName};
use verifier::Anchor;

use super::{
    key_options::PlaceOptions,
    session::{self, RepositoryOptions, Session, root_keys},
    sign::names,
};
use crate::commands::{Failure, Outcome, block_on};

/// Which repository, and its root.
#[derive(Debug, Args)]
pub struct Options {
    /// The repository, such as registry.example/team/app.
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// A certificate for the root in place of a self-signed one, with its chain. Its key has to be among the private keys
    /// (`countersign key import FILE --role root`), and its common name has to be the repository.
    #[arg(long, value_name = "FILE", conflicts_with = "root_key")]
    root_cert: Option<PathBuf>,
    /// The ID of the owner's key, which signs targets, of those at hand; a new one is made if absent.
    #[arg(long, value_name = "ID")]
    targets_key: Option<String>,
    #[command(flatten)]
    place: PlaceOptions,
    /// Begin it even though another repository of this name was verified here before, and forget that one.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    options: RepositoryOptions,
}

/// Begins a repository. --root-key says which of several root keys at hand is used; without any a new one is made.
///
/// # Errors
/// When it exists, or cannot be made.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    let image = session::repository(&options.repository)?;
    let session = options.options.open(&image)?.keeping_in(options.place.place())?;
    let targets = match &options.targets_key {
        Some(text) => {
            Some(KeyId::parse(text).map_err(|cause| Failure(format!("--targets-key {text}: {cause}")))?)
        }
        None => None,
    };
    let certificate = match &options.root_cert {
        Some(file) => Some(read_public_key(file)?),
        None => None,
    };
    let root = match (&certificate, options.options.anchor.named_root()) {
        (Some(certificate), _) => Root::Certificate(certificate.clone()),
        (None, [id]) => Root::Key(KeyId::parse(id)?),
        (None, []) => Root::Any,
        (None, _) => {
            return Err(Failure(
                "a repository begins with one root key: give --root-key once".into(),
            ));
        }
    };
    let beginning = Beginning {
        root,
        targets,
        changes: &[],
        again: options.again,
    };
    block_on(begin(&session, beginning))??;
    platform::complain!(
        "{} can be signed now. Keep a copy of the root key: nobody can make another one for this repository",
        session.gun
    );
    Ok(Outcome::Done)
}

/// Whose the root of a new repository is.
pub(super) enum Root {
    /// The only root key at hand, or a new one.
    Any,
    /// This one of those at hand.
    Key(KeyId),
    /// That of this certificate.
    Certificate(PublicKey),
}

/// How a repository begins.
pub(super) struct Beginning<'a> {
    pub(super) root: Root,
    /// The owner's key; a new one if absent.
    pub(super) targets: Option<KeyId>,
    /// What is published with its beginning.
    pub(super) changes: &'a [Change],
    /// Whether another repository of this name may be known.
    pub(super) again: bool,
}

impl<'a> Beginning<'a> {
    /// With the only root key at hand or a new one, and these changes.
    pub(super) fn with(changes: &'a [Change]) -> Self {
        Self {
            root: Root::Any,
            targets: None,
            changes,
            again: false,
        }
    }
}

/// Begins a repository. The server keeps the keys of snapshot and timestamp, so that delegates can publish.
pub(super) async fn begin(session: &Session, beginning: Beginning<'_>) -> Result<(), Failure> {
    let Beginning {
        root,
        targets,
        changes,
        again,
    } = beginning;
    let targets = targets.as_ref();
    let gun = &session.gun;
    let editor = session.editor();
    // Before any key is made.
    match editor.must_be_new(gun).await {
        Ok(()) => {}
        Err(PublishError::Exists { gun }) => {
            return Err(Failure(format!(
                "{gun} has trust data already, and needs no beginning; if it is somebody else's, name its root key with \
                 --root-key ID to work on it"
            )));
        }
        Err(cause) => return Err(session.explained(cause)),
    }
    if session.known && !again {
        return Err(Failure(format!(
            "another repository {gun} was verified here before. If it was deleted on purpose, begin it anew with `countersign \
             init --again {gun}`; everybody else who knows the old one has to accept that"
        )));
    }
    let (id, certificate) = match root {
        Root::Key(id) => (id, None),
        Root::Any => (any_root(session)?, None),
        Root::Certificate(certificate) => {
            let bare = certificate.bare().ok_or_else(|| {
                Failure("the root is listed by a certificate, and --root-cert holds none".into())
            })?;
            // Before a targets key is made.
            if !session.keys.list()?.iter().any(|key| key.id == *bare.id()) {
                return Err(Failure(format!(
                    "there is no private key {} for the certificate; import it with `countersign key import FILE --role root`",
                    bare.id()
                )));
            }
            (bare.id().clone(), Some(certificate))
        }
    };
    let anchor = Anchor::root_keys([id.as_str()])?;
    let made = match certificate {
        Some(certificate) => {
            editor
                .init_with(gun, &anchor, certificate, targets, changes)
                .await
        }
        None => editor.init(gun, &anchor, &id, targets, changes).await,
    };
    match made {
        Ok(_) => {}
        Err(PublishError::Afterwards(_)) if again => accept(session, &anchor).await?,
        Err(cause) => return Err(session.explained(cause)),
    }
    platform::complain!("{gun} begins with the root key {}", id.as_str());
    Ok(())
}

/// Puts the repository that was just made in the place of the one that was known.
async fn accept(session: &Session, anchor: &Anchor) -> Result<(), Failure> {
    let repositories = &session.repositories;
    let change = repositories
        .offered_root(&session.server, &session.gun, anchor)
        .await?;
    let accepted = repositories.accept_root(&session.server, &session.gun, anchor, &change);
    accepted.await?;
    let read = session.editor().read(&session.gun, anchor).await;
    read.map_err(|cause| session.explained(cause))?;
    Ok(())
}

fn any_root(session: &Session) -> Result<KeyId, Failure> {
    let found = root_keys(&session.keys)?;
    match found.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Ok(session.keys.generate("root", None)?.id().clone()),
        several => {
            let ids: Vec<&str> = several.iter().map(|key| key.id.as_str()).collect();
            Err(Failure(format!(
                "there are several root keys; say with --root-key ID of which one {} is to be: {}",
                session.gun,
                ids.join(" or ")
            )))
        }
    }
}

/// The roles in which a first image is signed, and what makes them: that of the signer with the key of that name, as docker
/// does it, or `targets`.
pub(super) fn first_roles(
    session: &Session,
    signer: Option<&str>,
    roles: &[String],
) -> Result<(Vec<RoleName>, Vec<Change>), Failure> {
    let Some(name) = signer else {
        if roles.iter().any(|role| role != RoleName::Targets.as_str()) {
            return Err(Failure(format!(
                "{} has no delegations yet: begin it with `countersign init`, and add signers with `countersign signer add`",
                session.gun
            )));
        }
        return Ok((vec![RoleName::Targets], Vec::new()));
    };
    let role = session::signer(name)?;
    let name = role.as_str().strip_prefix("targets/").unwrap_or(name);
    let mut keys = session.keys.list()?;
    keys.retain(|key| key.role == name);
    let [key] = keys.as_slice() else {
        return Err(Failure(format!(
            "{} private keys have the role {name}, and a new repository begins with one key of its signer; make one with \
             `countersign key generate {name}`",
            keys.len()
        )));
    };
    let public = session.keys.open(&key.id)?.public().clone();
    let delegations = [role.clone(), session::releases()?];
    let add = |role: &tuf::DelegationName| Change::AddDelegation {
        role: role.clone(),
        keys: vec![public.clone()],
        paths: vec![String::new()],
    };
    let changes = delegations.iter().map(add).collect();
    let roles: Vec<RoleName> = delegations.into_iter().map(RoleName::Delegation).collect();
    platform::complain!(
        "{} is made with the signer {name}: {}",
        session.gun,
        names(&roles)
    );
    Ok((roles, changes))
}
