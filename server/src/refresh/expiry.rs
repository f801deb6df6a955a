//! When current documents expire.

use chrono::{DateTime, Utc};
use tuf::{EndOf, Gun, RoleName};

use crate::store::{Store, StoreError};

/// How many GUNs are read at a time.
const PAGE: u32 = 500;

/// One current document and when it expires.
pub struct Expiring {
    /// The repository.
    pub gun: Gun,
    /// The document's role.
    pub role: RoleName,
    /// When clients stop accepting it.
    pub expires: DateTime<Utc>,
    /// What kind of end this is.
    pub end_of: EndOf,
}

/// Calls `visit` for every current document of every GUN.
///
/// # Errors
/// When the database fails.
pub fn each(store: &Store, mut visit: impl FnMut(Expiring)) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let page = store.guns(&after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(last);
        for gun in page {
            let Ok(gun) = Gun::parse(&gun) else { continue };
            for document in store.current_set(&gun)? {
                let Ok((expires, end_of)) = tuf::usable_until(&gun, &document.role, &document.bytes) else {
                    continue;
                };
                visit(Expiring {
                    gun: gun.clone(),
                    role: document.role,
                    expires,
                    end_of,
                });
            }
        }
    }
}

/// The role as metrics name it: all delegations count as one.
pub fn kind(role: &RoleName) -> &'static str {
    match role {
        RoleName::Root => "root",
        RoleName::Targets => "targets",
        RoleName::Snapshot => "snapshot",
        RoleName::Timestamp => "timestamp",
        RoleName::Delegation(_) => "delegation",
    }
}
