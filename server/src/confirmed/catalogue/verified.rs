//! Verifies the current documents of a repository as a reader does who trusts its newest root.

use tuf::{CurrentDocuments, Gun, PublicKey, RoleName, VerifiedRoot, VerifiedTargets};

use crate::store::CurrentFiles;

/// What the documents sign, and who signed them.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The root keys that signed the root.
    pub root_signers: Vec<PublicKey>,
    /// Everything else. The keys that signed are known for every role below targets, and for targets.
    pub targets: VerifiedTargets,
}

impl Verified {
    /// Who signed which role.
    pub(super) fn signers(&self) -> Vec<(RoleName, PublicKey)> {
        let of_roles = self.targets.roles.iter().flat_map(|role| {
            let signers = role.document.signers.iter();
            signers.map(|key| (role.role.clone(), key.clone()))
        });
        let of_root = self.root_signers.iter().map(|key| (RoleName::Root, key.clone()));
        of_root.chain(of_roles).collect()
    }
}

/// Verifies signatures, thresholds and hashes, from the root on. Dates are told, not judged. A root that a strict reader
/// refuses may be one that a Notary server took.
///
/// # Errors
/// Why readers would refuse it.
pub fn verify(gun: &Gun, files: &CurrentFiles) -> Result<Verified, String> {
    let root = files.root.as_ref().ok_or("it has no root")?;
    let snapshot = files
        .snapshot
        .as_ref()
        .ok_or("the snapshot that its timestamp names is not stored")?;
    let documents = CurrentDocuments {
        root: root.bytes.clone(),
        timestamp: files.timestamp.bytes.clone(),
        snapshot: snapshot.bytes.clone(),
        targets: files
            .targets
            .iter()
            .map(|(role, document)| (role.to_string(), document.bytes.clone()))
            .collect(),
    };
    let strict = VerifiedRoot::read(gun, &root.bytes).and_then(|root| Ok((root.verify(&documents)?, root)));
    if let Ok((targets, root)) = strict {
        return Ok(Verified {
            root_signers: root.signers().to_vec(),
            targets,
        });
    }
    let mut targets = tuf::verified_targets(gun, &documents).map_err(|cause| cause.to_string())?;
    let signers = |above: &tuf::Document, document: &tuf::Document| {
        tuf::signers(&above.role, &above.bytes, &document.role, &document.bytes).unwrap_or_default()
    };
    for role in &mut targets.roles {
        let above = role.role.parent().unwrap_or(RoleName::Root);
        let above = files.targets.get(&above).unwrap_or(root);
        if let Some(document) = files.targets.get(&role.role) {
            role.document.signers = signers(above, document);
        }
    }
    targets.timestamp.signers = signers(root, &files.timestamp);
    targets.snapshot.signers = signers(root, snapshot);
    Ok(Verified {
        root_signers: signers(root, root),
        targets,
    })
}
