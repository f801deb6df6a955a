//! A repository that was deleted and made anew, and the operator who accepts that.

use std::sync::Arc;

use tuf::{Checksum, Gun, RoleName};
use verifier::{Anchor, Denial, Reason, Seen, verify};

use super::Repositories;
use super::refresh::broken;
use crate::reading::{Known, Reading, denial};
use crate::server::Server;
use crate::state::{Kept, LastContact};

/// What an operator accepts: the trust in one root is given up for that in another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootChange {
    /// The newest root that was verified; `None` if none was yet.
    pub old: Option<RootSummary>,
    /// The newest root that the server offers.
    pub new: RootSummary,
}

/// A root, as people can compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootSummary {
    /// Its version.
    pub version: i32,
    /// The SHA-256 of its bytes.
    pub sha256: Checksum,
    /// The IDs of the root keys that it lists, sorted.
    pub key_ids: Vec<String>,
}

impl Repositories {
    /// What accepting the root would change that the server offers now. The offered documents meet the anchor, and
    /// verify as those of a repository that was never seen.
    ///
    /// # Errors
    /// When the server cannot be read, or its documents do not verify even so.
    pub async fn offered_root(
        &self,
        server: &Arc<Server>,
        gun: &Gun,
        anchor: &Anchor,
    ) -> Result<RootChange, Denial> {
        let (known, _) = self.offered(server, gun, anchor).await?;
        let kept = match &self.shared.state {
            Some(state) => state.load(server.label(), gun).map_err(broken)?.map(Arc::new),
            None => self
                .entry(server, gun, anchor)
                .verified()
                .map(|verified| verified.kept),
        };
        change(kept.as_deref(), &known)
    }

    /// Accepts the root that an operator was shown: trust begins anew with it. What was verified of the repository before
    /// is forgotten.
    ///
    /// # Errors
    /// As [`offered_root`](Self::offered_root), and when roots other than those of `change` are known or offered now.
    pub async fn accept_root(
        &self,
        server: &Arc<Server>,
        gun: &Gun,
        anchor: &Anchor,
        change_shown: &RootChange,
    ) -> Result<(), Denial> {
        let (known, seen) = self.offered(server, gun, anchor).await?;
        let Some(state) = &self.shared.state else {
            let sentence =
                "without a state directory nothing is remembered that a root could be accepted against";
            return Err(Denial::new(Reason::InvalidState, sentence));
        };
        let lock = state.lock(server.label(), gun).map_err(broken)?;
        let kept = lock.load().map_err(broken)?;
        if change(kept.as_ref(), &known)? != *change_shown {
            let sentence =
                format!("the roots of {gun} have changed since they were shown; look at them again");
            return Err(Denial::new(Reason::RootReset, sentence));
        }
        lock.store(&Kept { known, seen }).map_err(broken)?;
        let mut contacts = lock.contacts().map_err(broken)?;
        let contact = LastContact {
            at: (self.shared.clock)(),
            denied: None,
        };
        contacts.note(server.who(), contact);
        lock.store_contacts(&contacts).map_err(broken)?;
        for (key, entry) in &self.shared.entries {
            if key.gun == *gun {
                entry.clear();
            }
        }
        Ok(())
    }

    async fn offered(
        &self,
        server: &Arc<Server>,
        gun: &Gun,
        anchor: &Anchor,
    ) -> Result<(Known, Seen), Denial> {
        let Reading::Documents(known) = server.read(gun, None).await.map_err(|cause| denial(&cause))? else {
            let sentence = format!(
                "{} says that {gun} is unchanged although nothing was known",
                server.label()
            );
            return Err(Denial::new(Reason::ServerError, sentence));
        };
        let repository = verify(gun, anchor, &known.documents, None, (self.shared.clock)())?;
        Ok((known, repository.seen().clone()))
    }
}

fn change(kept: Option<&Kept>, offered: &Known) -> Result<RootChange, Denial> {
    let old = kept.map(|kept| summary(&kept.known)).transpose()?;
    Ok(RootChange {
        old,
        new: summary(offered)?,
    })
}

fn summary(known: &Known) -> Result<RootSummary, Denial> {
    let unreadable = |cause: String| {
        Denial::new(
            Reason::InvalidDocument,
            format!("the root cannot be read: {cause}"),
        )
    };
    let root = known.documents.roots.last();
    let root = root.ok_or_else(|| unreadable("there is none".into()))?;
    let version =
        tuf::stated_version(root, &RoleName::Root).map_err(|cause| unreadable(cause.to_string()))?;
    let keys = tuf::role_keys(root, &RoleName::Root).map_err(|cause| unreadable(cause.to_string()))?;
    Ok(RootSummary {
        version: version.get(),
        sha256: Checksum::of(root),
        key_ids: keys.iter().map(|key| key.id().as_str().to_owned()).collect(),
    })
}
