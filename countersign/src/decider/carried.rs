//! Trust data that was carried here in files, where no server is asked.

use std::{collections::BTreeMap, sync::Arc};

use client::{Bundles, Repositories};
use tokio::sync::Mutex;
use tuf::Gun;
use verifier::{Anchor, Denial, Reason, Repository};

/// The files' repositories, each of which is verified once for each server and anchor.
pub struct Carried {
    bundles: Bundles,
    verified: Mutex<BTreeMap<Place, Result<Arc<Repository>, Denial>>>,
}

/// The address of the server that a repository is of, the repository, and the anchor.
type Place = (String, Gun, String);

impl Carried {
    /// What files hold.
    pub fn new(bundles: Bundles) -> Self {
        Self {
            bundles,
            verified: Mutex::default(),
        }
    }

    /// The verified repository of the server at `address`.
    ///
    /// # Errors
    /// When the files have nothing of it, or what they have does not verify.
    pub async fn repository(
        &self,
        repositories: &Repositories,
        address: &str,
        gun: &Gun,
        anchor: &Anchor,
    ) -> Result<Arc<Repository>, Denial> {
        let Some(documents) = self.bundles.documents(gun) else {
            let sentence = format!(
                "none of the bundles is of {gun}, and no server is asked; add a bundle of it with --from-bundle"
            );
            return Err(Denial::new(Reason::NotInBundle, sentence));
        };
        let place = (address.to_owned(), gun.clone(), format!("{anchor:?}"));
        let mut verified = self.verified.lock().await;
        if let Some(known) = verified.get(&place) {
            return known.clone();
        }
        let found = repositories
            .carried(address, gun, anchor, documents.clone())
            .await;
        verified.insert(place, found.clone());
        found
    }
}
