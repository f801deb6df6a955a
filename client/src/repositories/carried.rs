//! A repository whose documents somebody carried here, because no server is reached. The rules are those for a server's
//! answer: it is verified against what is kept, and kept. What it does not tell is when a server last said so.

use std::sync::Arc;

use tuf::Gun;
use verifier::{Anchor, Denial, Documents, Reason, Repository, verify};

use super::Repositories;
use super::refresh::broken;
use crate::reading::Known;
use crate::server::Server;
use crate::state::Kept;

impl Repositories {
    /// Verifies documents of a repository against what is kept of it for the server at `address` (see
    /// [`Server::label`]), and keeps them. No server is asked. This must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the documents do not verify, or are older than what was seen; when the state cannot be used.
    pub async fn carried(
        &self,
        address: &str,
        gun: &Gun,
        anchor: &Anchor,
        documents: Documents,
    ) -> Result<Arc<Repository>, Denial> {
        let repositories = self.clone();
        let (address, gun, anchor) = (address.to_owned(), gun.clone(), anchor.clone());
        let work = move || repositories.carried_here(&address, &gun, &anchor, documents);
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
            let sentence = "verifying broke off, which is an error of this program";
            Err(Denial::new(Reason::InvalidState, sentence))
        })
    }

    fn carried_here(
        &self,
        address: &str,
        gun: &Gun,
        anchor: &Anchor,
        documents: Documents,
    ) -> Result<Arc<Repository>, Denial> {
        let now = self.now();
        let Some(state) = &self.shared.state else {
            return verify(gun, anchor, &documents, None, now).map(Arc::new);
        };
        let lock = state.lock(address, gun).map_err(broken)?;
        let kept = lock.load().map_err(broken)?;
        let seen = kept.as_ref().map(|kept| &kept.seen);
        let repository = verify(gun, anchor, &documents, seen, now)?;
        // The tag under which a server knows the same documents is still theirs.
        let same = kept.filter(|kept| kept.known.documents == documents);
        let fresh = Kept {
            known: Known {
                documents,
                etag: same.and_then(|kept| kept.known.etag),
            },
            seen: repository.seen().clone(),
        };
        lock.store(&fresh).map_err(broken)?;
        Ok(Arc::new(repository))
    }

    /// The documents on which the last verdict about a repository rested in this process.
    pub fn verified_documents(&self, server: &Server, gun: &Gun, anchor: &Anchor) -> Option<Documents> {
        let verified = self.entry(server, gun, anchor).verified()?;
        Some(verified.kept.known.documents.clone())
    }
}
