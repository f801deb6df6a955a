//! The gate of interoperability: tough, a client that is widely used, must read every file as we do and verify it too.
//!
//! What decides is our own verification of the received bytes. tough verifies what it writes again from its own types, so
//! anything that these types do not keep would make it refuse the file.

use tough::schema::{Delegations, Role as _, Root, Signed, Snapshot, Targets, Timestamp};

use crate::refusal::Refusal;
use crate::role::Role;

/// A file, as tough has read it.
#[derive(Debug)]
pub(crate) enum Tough {
    Root(Box<Signed<Root>>),
    Targets(Box<Signed<Targets>>),
    Snapshot(Box<Signed<Snapshot>>),
    Timestamp(Box<Signed<Timestamp>>),
}

impl Tough {
    /// Has tough read a file, and compares the message that it would verify.
    pub(crate) fn read(role: &Role, bytes: &[u8], message: &[u8]) -> Result<Self, Refusal> {
        let refuse = |problem: String| Refusal::Interoperability {
            role: role.clone(),
            problem,
        };
        let unreadable = |e: serde_json::Error| refuse(e.to_string());
        let read = match role {
            Role::Root => Self::Root(serde_json::from_slice(bytes).map_err(unreadable)?),
            Role::Targets | Role::Delegated(_) => {
                Self::Targets(serde_json::from_slice(bytes).map_err(unreadable)?)
            }
            Role::Snapshot => Self::Snapshot(serde_json::from_slice(bytes).map_err(unreadable)?),
            Role::Timestamp => Self::Timestamp(serde_json::from_slice(bytes).map_err(unreadable)?),
        };
        let form = match &read {
            Self::Root(file) => file.signed.canonical_form(),
            Self::Targets(file) => file.signed.canonical_form(),
            Self::Snapshot(file) => file.signed.canonical_form(),
            Self::Timestamp(file) => file.signed.canonical_form(),
        };
        match form {
            Ok(form) if form == message => Ok(read),
            Ok(_) => Err(refuse("it computes another canonical form".to_owned())),
            Err(e) => Err(refuse(e.to_string())),
        }
    }

    /// Whether tough finds the file signed by enough of the keys that another names for its role.
    pub(crate) fn verify(&self, role: &Role, delegator: &Self) -> Result<(), Refusal> {
        let verified = match (delegator, self) {
            (Self::Root(root), Self::Root(file)) => root.signed.verify_role(file.as_ref()),
            (Self::Root(root), Self::Targets(file)) => root.signed.verify_role(file.as_ref()),
            (Self::Root(root), Self::Snapshot(file)) => root.signed.verify_role(file.as_ref()),
            (Self::Root(root), Self::Timestamp(file)) => root.signed.verify_role(file.as_ref()),
            (Self::Targets(parent), Self::Targets(file)) => match &parent.signed.delegations {
                Some(delegations) => delegations.verify_role(file.as_ref(), role.as_str()),
                None => Delegations::new().verify_role(file.as_ref(), role.as_str()),
            },
            _ => return Ok(()),
        };
        verified.map_err(|e| Refusal::Interoperability {
            role: role.clone(),
            problem: e.to_string(),
        })
    }
}
