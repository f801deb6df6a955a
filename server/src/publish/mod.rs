//! Publishing: checks the upload against the trusted state, signs what the server signs, and stores everything
//! atomically.

mod explain;
mod server_keys;
mod sign;
mod versions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use actix_web::web;
use signing::SigningError;
use tuf::{CheckedUpdate, Document, Gun, PublicKey, Rejection, RoleName, SignedUpdate, Upload};

pub use server_keys::{KeysInForce, SERVER_SIGNED_ROLES};
pub use sign::{SignError, Signatory};

use crate::{
    access::{Access, Denied, Grant, Publish},
    confirmed::Moment,
    state::{ServiceError, State},
    store::{Actor, Base, CommitError, Committed, NewestDocuments, TrustedState},
};

/// How often an update is checked and signed again because the GUN changed meanwhile without conflicting with the
/// upload (another role was published, or the timestamp was renewed).
const ATTEMPTS: usize = 8;

/// Why a publish failed. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The update breaks a rule.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// This version of an uploaded role, or a newer one, is already stored.
    #[error("somebody else published first")]
    Conflict,
    /// The policy requires the publisher's own signature on a document, and it is missing.
    #[error(
        "{principal} may publish {role} only if it is signed with a key of their own: one registered to their account, or that of their certificate"
    )]
    NotOwnKey {
        /// The principal that publishes.
        principal: String,
        /// The role of the document.
        role: RoleName,
    },
    /// The GUN does not exist (any more), and the publisher may not create it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database or the signing service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// Publishes an upload, or leaves everything unchanged. `moment` is one after the upload was complete.
///
/// # Errors
/// When the upload is refused, comes too late, or cannot be signed or stored.
pub async fn publish(
    state: &State,
    access: &Access,
    grant: &Grant<Publish>,
    upload: Upload,
    moment: &Moment,
) -> Result<Committed, PublishError> {
    let gun = grant.gun();
    let roles = upload.roles();
    let upload = Arc::new(upload);
    let mut kept = state.confirmed.newest_documents(moment, gun);
    let mut refused: Option<(Option<Base>, PublishError)> = None;
    for _ in 0..ATTEMPTS {
        let mut found = check(state, gun, &upload, kept.take()).await?;
        if let Some((base, reason)) = refused.take()
            && base == found.base
        {
            return Err(reason);
        }
        let update = match signed(state, access, grant, &mut found).await {
            Ok(update) => update,
            // The signer refuses a version below one that somebody else's publish had meanwhile.
            Err(reason @ PublishError::Service(ServiceError::Signing(SigningError::Refused(_)))) => {
                refused = Some((found.base, reason));
                continue;
            }
            // Only what is stored refuses: it may have been changed by hand, and then says something else.
            Err(_) if found.is_kept => continue,
            Err(reason) => return Err(reason),
        };
        let actor = grant.principal().actor();
        let before = (found.root, found.above);
        match store(state, gun, found.base, update, found.replaced, actor, before).await {
            Ok(committed) => {
                let roles: Vec<&str> = roles.iter().map(tuf::RoleName::as_str).collect();
                tracing::info!(
                    repo.gun = %gun, roles = roles.join(" "), principal = grant.principal().name(), "published"
                );
                return Ok(committed);
            }
            Err(PublishError::Conflict) => {}
            Err(other) => return Err(other),
        }
    }
    Err(PublishError::Conflict)
}

/// Checks what depends on who publishes, and has the signer sign what the server makes.
async fn signed(
    state: &State,
    access: &Access,
    grant: &Grant<Publish>,
    found: &mut Found,
) -> Result<SignedUpdate, PublishError> {
    let gun = grant.gun();
    // Checked against the state that the commit builds on: if the GUN was deleted since, this publish would create
    // it, which is a different right.
    if found.makes_the_gun {
        access.check_init(grant)?;
    }
    let checked = std::mem::replace(&mut found.checked, Err(PublishError::Conflict))?;
    check_own_keys(state, grant, &checked, found.root.as_ref()).await?;
    let keys_in_force = KeysInForce::of(found.root.as_ref());
    let publisher = grant.principal().name();
    server_keys::check(
        state,
        gun,
        &checked,
        &keys_in_force,
        publisher,
        found.makes_the_gun,
    )
    .await?;
    let signatory = Signatory::new(&state.keys, gun, keys_in_force);
    match signatory.complete(checked).await {
        Ok(update) => Ok(update),
        Err(error) => Err(explain::explain(state, gun, error).await),
    }
}

/// The result of checking an upload against the trusted state.
struct Found {
    /// Whether the state was in memory.
    is_kept: bool,
    /// The update, if it may be stored.
    checked: Result<CheckedUpdate, PublishError>,
    /// Whether no root is stored yet, and the upload contains the first one.
    makes_the_gun: bool,
    /// The stored root.
    root: Option<Document>,
    /// The current documents of the roles above those of the upload.
    above: BTreeMap<RoleName, Document>,
    /// The state on which the update is based.
    base: Option<Base>,
    /// Roles whose stored documents of the same or a higher version are set aside, because the current keys do not
    /// verify them.
    replaced: BTreeSet<RoleName>,
}

/// Reads the trusted state, unless it follows from `kept`, and checks the upload against it.
async fn check(
    state: &State,
    gun: &Gun,
    upload: &Arc<Upload>,
    kept: Option<Arc<NewestDocuments>>,
) -> Result<Found, PublishError> {
    let (store, gun, now) = (state.store.clone(), gun.clone(), state.clock.now());
    let upload = upload.clone();
    let version_step = state.config.version_step;
    web::block(move || {
        let roles = upload.roles();
        let kept = kept.filter(|kept| kept.knows_roles_of(&upload));
        let known = kept.and_then(|kept| kept.state_for(&upload));
        let is_kept = known.is_some();
        let trusted = known.map_or_else(|| store.trusted_state(&gun, &upload), Ok);
        let TrustedState { current, highest } = trusted.map_err(ServiceError::from)?;
        let versions = upload.versions();
        let steps = tuf::check_steps(&upload, &highest, version_step);
        let checked = tuf::check(&gun, &upload, &current, now).and_then(|checked| steps.map(|()| checked));
        let (checked, replaced) = match checked {
            Ok(checked) => match versions::judge(&store, &gun, &versions, &highest, &current, &checked) {
                Ok(replaced) => (Ok(checked), replaced),
                Err(error) => (Err(error), BTreeSet::new()),
            },
            Err(rejection) => (Err(rejection.into()), BTreeSet::new()),
        };
        Ok(Found {
            is_kept,
            checked,
            makes_the_gun: current.root.is_none() && roles.contains(&RoleName::Root),
            base: current.timestamp.as_ref().map(|timestamp| {
                let kept_root = current.root.as_ref().filter(|_| is_kept);
                Base::of(timestamp).with_kept_root(kept_root)
            }),
            root: current.root,
            above: current.targets,
            replaced,
        })
    })
    .await
    .map_err(|_| ServiceError::Stopping)?
}

/// Where the policy requires it, checks that the principal itself signed. Keys are compared by their bare public key,
/// in whatever form the metadata lists them.
async fn check_own_keys(
    state: &State,
    grant: &Grant<Publish>,
    checked: &CheckedUpdate,
    stored_root: Option<&Document>,
) -> Result<(), PublishError> {
    if grant.own_key().is_empty() {
        return Ok(());
    }
    let principal = grant.principal();
    let name = principal.name().to_owned();
    let registered = state.with_store(move |store| store.account_keys(&name)).await?;
    let mut own: Vec<String> = registered.into_iter().map(|key| key.spki_sha256).collect();
    if let Some(verified) = principal.certificate() {
        own.extend_from_slice(verified.facts.key_hashes());
    }
    for role in grant.own_key() {
        let signed = signers(checked, stored_root, role)
            .iter()
            .filter_map(PublicKey::spki_sha256)
            .any(|signer| own.contains(&hex::encode(signer)));
        if !signed {
            return Err(PublishError::NotOwnKey {
                principal: principal.name().to_owned(),
                role: role.clone(),
            });
        }
    }
    Ok(())
}

/// The keys with a valid signature on an uploaded document, among those that its parent document lists.
fn signers(checked: &CheckedUpdate, stored_root: Option<&Document>, role: &RoleName) -> Vec<PublicKey> {
    if matches!(role, RoleName::Delegation(_)) {
        return checked.signers(role).to_vec();
    }
    let uploaded = |wanted: &RoleName| checked.uploaded().find(|document| document.role == *wanted);
    let (Some(root), Some(document)) = (uploaded(&RoleName::Root).or(stored_root), uploaded(role)) else {
        return Vec::new();
    };
    // Both documents were parsed before; an unreadable one would have no signers.
    tuf::signers(&RoleName::Root, &root.bytes, role, &document.bytes).unwrap_or_default()
}

/// Stores an update. `before` are the root and the documents above it that were current before.
async fn store(
    state: &State,
    gun: &Gun,
    base: Option<Base>,
    update: SignedUpdate,
    replaced: BTreeSet<RoleName>,
    actor: Actor,
    (root, above): (Option<Document>, BTreeMap<RoleName, Document>),
) -> Result<Committed, PublishError> {
    let (store, gun, now) = (state.store.clone(), gun.clone(), state.clock.now());
    let name = gun.clone();
    let outcome = web::block(move || {
        let documents = update.documents();
        let committed = store.commit(&name, base.as_ref(), documents, &replaced, &actor, now)?;
        let newest = NewestDocuments::after(root.as_ref(), &above, documents);
        Ok((committed, newest))
    })
    .await;
    match outcome.map_err(|_| ServiceError::Stopping)? {
        Ok((committed, newest)) => {
            if let Some((timestamp, newest)) = committed.newest.clone().zip(newest) {
                state.confirmed.keep_newest(&gun, timestamp, newest);
            }
            Ok(committed)
        }
        Err(CommitError::Conflict) => Err(PublishError::Conflict),
        Err(CommitError::Store(cause)) => Err(ServiceError::from(cause).into()),
    }
}
