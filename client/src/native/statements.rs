//! What the targets of a repository say that they are, where that is more than a file.

use serde_json::Value;
use tough::{TargetName, schema};
use tuf::Checksum;
use tuf_native::{roots::TrustRoots, statement};

use super::NativeRepository;

impl NativeRepository {
    /// What a target says that it is.
    pub fn statement(&self, target: &str) -> Option<Value> {
        let name = TargetName::new(target).ok()?;
        let found = self.loaded().targets().signed.find_target(&name, false).ok()?;
        found.custom.get(statement::MEMBER).cloned()
    }

    /// The roots of Notary repositories among its targets. Those of one repository are all of one role, the first that lists
    /// any: who is asked after that has no word about it, however new the roots that it lists.
    pub fn trust_roots(&self) -> TrustRoots {
        let top = &self.loaded().targets().signed;
        let mut roots = TrustRoots::default();
        collect(top, top, &mut roots);
        roots
    }
}

/// Adds what a role lists, and then those that it delegates to, in the order in which clients ask them.
fn collect(role: &schema::Targets, top: &schema::Targets, roots: &mut TrustRoots) {
    let listed = role.targets.iter().filter_map(|(name, target)| {
        // A role before this one may list it as well.
        let found = top.find_target(name, false).ok()?;
        let sha256 = Checksum::parse(&hex::encode(&target.hashes.sha256)).ok()?;
        let counts = std::ptr::eq(found, target);
        counts.then(|| (name.raw(), sha256, target.custom.get(statement::MEMBER)))
    });
    roots.extend(TrustRoots::among(listed));
    let delegated = role.delegations.iter().flat_map(|delegations| &delegations.roles);
    for role in delegated.filter_map(|delegated| delegated.targets.as_ref()) {
        collect(&role.signed, top, roots);
    }
}
