//! From documents to a repository.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tuf::{Checksum, CurrentDocuments, Gun, MetadataError, VerifiedRole};

use super::roots::trusted_line;
use super::{
    Declared, Repository, Signature, SignedRole, Unusable, document_evidence, history, rollback,
    root_evidence,
};
use crate::anchor::Anchor;
use crate::documents::Documents;
use crate::reason::{Denial, Reason};
use crate::seen::{Seen, remember};

/// Verifies the documents of a repository, from the anchor and from what was seen before. Dates are not judged, but for
/// those of the certificates of authorities; `now` is also kept as the moment at which the tags were seen signed.
///
/// Without `seen` a root must meet the anchor, and from the first that does every root up to the newest must follow. With it
/// the chain goes on from the root that was seen; a root has to meet the anchor only if it is another anchor than last time.
///
/// # Errors
/// When a reader must not use the documents.
pub fn verify(
    gun: &Gun,
    anchor: &Anchor,
    documents: &Documents,
    seen: Option<&Seen>,
    now: DateTime<Utc>,
) -> Result<Repository, Denial> {
    let line = trusted_line(gun, anchor, &documents.roots, seen, now)?;
    let Some(root) = line.last() else {
        return Err(Denial::new(
            Reason::BrokenRootChain,
            format!("there is no root of {gun} to trust"),
        ));
    };
    let current = CurrentDocuments {
        root: root.bytes().clone(),
        timestamp: documents.timestamp.clone(),
        snapshot: documents.snapshot.clone(),
        targets: documents.targets.clone(),
    };
    let verified = root
        .verify(&current)
        .map_err(|cause| refusal(gun, "documents", &cause))?;
    let left_out: Vec<Unusable> = verified.left_out.iter().map(Unusable::of).collect();
    let older = seen.map_or(Ok(()), |seen| rollback::check(gun, &verified, &left_out, seen));

    let mut kept = match seen {
        Some(seen) => seen.clone(),
        None => Seen::new(gun, anchor.fingerprint(), root),
    };
    kept.anchor = anchor.fingerprint();
    kept.set_root(&line);
    remember(&mut kept.timestamp, &verified.timestamp);
    remember(&mut kept.snapshot, &verified.snapshot);
    for role in &verified.roles {
        match role.role.as_str() {
            "targets" => remember(&mut kept.targets, &role.document),
            name => remember(
                kept.delegations.entry(name.to_owned()).or_default(),
                &role.document,
            ),
        }
    }
    kept.history = history::continued(&kept.history, &verified.roles, now);
    let former = history::former(&kept.history, &verified.roles);

    let roles: Vec<SignedRole> = verified.roles.iter().map(signed_role).collect();
    let mut digests: HashMap<Checksum, Vec<(usize, String)>> = HashMap::new();
    for (index, role) in roles.iter().enumerate() {
        for (tag, digest) in role.tags() {
            if let Some(digest) = digest {
                digests.entry(*digest).or_default().push((index, tag.to_owned()));
            }
        }
    }
    let repository = Repository {
        gun: gun.clone(),
        anchor: anchor.fingerprint(),
        root: root_evidence(root),
        timestamp: document_evidence(&verified.timestamp),
        snapshot: document_evidence(&verified.snapshot),
        roles,
        left_out,
        digests,
        former,
        usable_until: verified.usable_until,
        seen: kept,
    };
    match older {
        Ok(()) => Ok(repository),
        Err(denial) => Err(Denial {
            evidence: Some(Box::new(repository.evidence(None))),
            ..denial
        }),
    }
}

fn signed_role(role: &VerifiedRole) -> SignedRole {
    SignedRole {
        name: role.role.to_string(),
        document: document_evidence(&role.document),
        expires: role.expires,
        signers: Signature::all(&role.document.signers),
        declared: Declared::of(&role.document.declared, role.document.threshold),
        targets: role
            .targets
            .iter()
            .map(|target| (target.name.clone(), target.sha256))
            .collect(),
    }
}

/// Why documents cannot be used, as a denial.
pub(super) fn refusal(gun: &Gun, what: &str, cause: &MetadataError) -> Denial {
    use MetadataError as E;
    let (reason, fix) = match cause {
        E::NoSignatures
        | E::KeyId
        | E::Threshold(_)
        | E::NoThreshold(_)
        | E::PreviousRoot
        | E::RootIntegrity => (
            Reason::Signatures,
            "somebody changed them, or they have to be published again with the keys that are declared",
        ),
        E::NoCertificate => (
            Reason::CertificateName,
            "the certificate of its root key has to have the repository's name as common name, and must not be an \
             authority's or use SHA-1 or a short key",
        ),
        E::Checksum { .. } | E::NoChecksum(_) | E::Length { .. } => (
            Reason::Inconsistent,
            "the server mixed several states, or somebody changed a document; ask again",
        ),
        _ => (
            Reason::InvalidDocument,
            "its publisher has to publish again with a client that writes valid documents",
        ),
    };
    Denial::new(
        reason,
        format!("the {what} of {gun} cannot be trusted: {cause}; {fix}"),
    )
}
