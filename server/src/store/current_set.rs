//! Every document that clients currently read of a GUN.

use tuf::{Document, Gun, RoleName};

use super::{Store, StoreError};

/// The most roles that are followed: delegations can refer to each other in circles.
pub(super) const ROLE_LIMIT: usize = 10_000;

impl Store {
    /// Root, timestamp, snapshot, targets, and every delegation that can be reached from targets and is in the
    /// snapshot. Empty if the GUN does not exist.
    ///
    /// # Errors
    /// When the database fails.
    pub fn current_set(&self, gun: &Gun) -> Result<Vec<Document>, StoreError> {
        let mut documents = Vec::new();
        let mut waiting = vec![
            RoleName::Targets,
            RoleName::Snapshot,
            RoleName::Timestamp,
            RoleName::Root,
        ];
        let mut seen = waiting.clone();
        while let Some(role) = waiting.pop() {
            let Some(found) = self.current(gun, &role)? else {
                continue;
            };
            if role.is_targets_type() {
                for delegated in tuf::delegated_roles(&role, &found.document.bytes).unwrap_or_default() {
                    if !seen.contains(&delegated) && seen.len() < ROLE_LIMIT {
                        seen.push(delegated.clone());
                        waiting.push(delegated);
                    }
                }
            }
            documents.push(found.document);
        }
        Ok(documents)
    }
}
