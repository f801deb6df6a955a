//! That nothing is older than what was seen before.
//!
//! Roots and `targets` only ever rise. Of the other roles an earlier document counts as long as the keys that are declared now
//! would still accept it: when a delegate's key was replaced, the successor begins anew.

use tuf::{Gun, VerifiedDocument, VerifiedTargets};

use super::{Signature, Unusable, still_signed};
use crate::reason::{Denial, Reason};
use crate::seen::{Seen, SeenDocument};

/// Checks every document against what was seen.
pub(super) fn check(
    gun: &Gun,
    verified: &VerifiedTargets,
    left_out: &[Unusable],
    seen: &Seen,
) -> Result<(), Denial> {
    let by_keys = false;
    check_document(gun, "timestamp", &verified.timestamp, &seen.timestamp, by_keys)?;
    check_document(gun, "snapshot", &verified.snapshot, &seen.snapshot, by_keys)?;
    for role in &verified.roles {
        let name = role.role.as_str();
        if name == "targets" {
            check_document(gun, name, &role.document, &seen.targets, true)?;
        } else if let Some(before) = seen.delegations.get(name) {
            check_document(gun, name, &role.document, before, by_keys)?;
        }
    }
    for (unusable, left_out) in left_out.iter().zip(&verified.left_out) {
        let before = seen
            .delegations
            .get(&unusable.role)
            .and_then(|before| before.last());
        if before.is_some_and(|before| still_signed(&before.signers, &unusable.declared, left_out.threshold))
        {
            let sentence = format!(
                "{} was published for {gun} before, and its keys are still declared, but {}; somebody may hold it back",
                unusable.role,
                unusable.sentence()
            );
            return Err(Denial::new(Reason::Rollback, sentence));
        }
    }
    Ok(())
}

fn check_document(
    gun: &Gun,
    role: &str,
    document: &VerifiedDocument,
    seen: &[SeenDocument],
    always_rises: bool,
) -> Result<(), Denial> {
    let declared = Signature::all(&document.declared);
    let (version, sha256) = (document.version.get(), document.sha256.as_hex());
    // The last one may be there twice: a document that keys have signed of which one is declared no more counts as one of other
    // signers since then.
    let is_last = seen.last().is_some_and(|last| last.sha256 == sha256);
    for before in seen {
        if !always_rises && !still_signed(&before.signers, &declared, document.threshold) {
            continue;
        }
        if version == before.version && sha256 != before.sha256 {
            let sentence = format!(
                "there are two different documents {role} of {gun} with version {version}; whoever signs it has to publish a \
                 higher version"
            );
            return Err(Denial::new(Reason::SameVersionDiffers, sentence));
        }
        if version < before.version || version == before.version && !is_last {
            let sentence = format!(
                "this is version {version} of {role} of {gun}, although version {} was seen before; the server or the bundle \
                 is behind, or somebody plays back an old state",
                seen.last()
                    .map_or(before.version, |last| last.version.max(before.version))
            );
            return Err(Denial::new(Reason::Rollback, sentence));
        }
    }
    Ok(())
}
