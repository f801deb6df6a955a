//! What a root says.

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::signers::{Signers, read_keys};

const TOP_LEVEL: [Role; 4] = [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp];

/// The keys of the four top-level roles.
#[derive(Debug)]
pub(crate) struct RootBody {
    root: Signers,
    targets: Signers,
    snapshot: Signers,
    timestamp: Signers,
}

impl RootBody {
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, Refusal> {
        if !fields.boolean("consistent_snapshot")? {
            return Err(fields.refuse("consistent_snapshot", "must be true"));
        }
        let keys = read_keys(fields.role, "keys", fields.object("keys")?)?;
        let roles = fields.object("roles")?;
        Fields::new(fields.role, "roles", roles).only(&TOP_LEVEL.each_ref().map(Role::as_str))?;
        let signers = |role: &Role| {
            let place = format!("roles.{role}");
            let value = roles.get(role.as_str());
            let value = value
                .ok_or_else(|| fields.refuse(&place, "is missing: root names the keys of four roles"))?;
            let members = Fields::of(fields.role, &place, value)?;
            members.only(&["keyids", "threshold"])?;
            Signers::read(&members, &keys)
        };
        Ok(Self {
            root: signers(&Role::Root)?,
            targets: signers(&Role::Targets)?,
            snapshot: signers(&Role::Snapshot)?,
            timestamp: signers(&Role::Timestamp)?,
        })
    }

    /// Who signs a top-level role; `None` for delegated ones.
    pub(crate) fn signers(&self, role: &Role) -> Option<&Signers> {
        match role {
            Role::Root => Some(&self.root),
            Role::Targets => Some(&self.targets),
            Role::Snapshot => Some(&self.snapshot),
            Role::Timestamp => Some(&self.timestamp),
            Role::Delegated(_) => None,
        }
    }
}
