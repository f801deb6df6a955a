//! The chain of roots: where trust begins, and that each root follows from the one before.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tuf::{Checksum, Gun, MetadataError, VerifiedRoot};

use super::verify::refusal;
use crate::anchor::Anchor;
use crate::reason::{Denial, Reason};
use crate::seen::Seen;
use crate::trust_roots::VouchedRoot;

/// The roots from the one that was seen, or that meets the anchor, to the newest, each verified to follow from the one
/// before. The last is the newest.
pub(super) fn trusted_line(
    gun: &Gun,
    anchor: &Anchor,
    offered: &[Bytes],
    seen: Option<&Seen>,
    now: DateTime<Utc>,
) -> Result<Vec<VerifiedRoot>, Denial> {
    let Some(newest) = offered.last() else {
        let sentence = format!("there is no root of {gun}");
        return Err(Denial::new(Reason::InvalidDocument, sentence));
    };
    if let Anchor::Tofu { .. } = anchor
        && !anchor.is_met_by(gun, &read(gun, newest)?, None)
    {
        let sentence =
            format!("{gun} is outside of the scope for which the policy trusts the first root that is seen");
        return Err(Denial::new(Reason::AnchorMismatch, sentence));
    }
    if let Anchor::Vouched(vouched) = anchor {
        check_reaches(gun, vouched, newest)?;
    }
    match seen {
        None => {
            let begin = first_that_meets(gun, anchor, offered, now)?;
            follow(gun, offered.get(begin..).unwrap_or_default(), false)
        }
        Some(seen) => {
            let (roots, index) = join(gun, offered, seen)?;
            let mut begin = index;
            if !seen.was_verified_from(anchor) {
                begin = begin.min(first_that_meets(gun, anchor, &roots, now)?);
            }
            // What comes before the root that was seen has to lead to it.
            if begin < index {
                follow(gun, roots.get(begin..=index).unwrap_or_default(), false)?;
            }
            follow(gun, roots.get(index..).unwrap_or_default(), true)
        }
    }
}

fn read(gun: &Gun, bytes: &Bytes) -> Result<VerifiedRoot, Denial> {
    VerifiedRoot::read(gun, bytes).map_err(|cause| refusal(gun, "root", &cause))
}

/// The index of the first root from which trust may begin. Those before it need not even be readable.
fn first_that_meets(
    gun: &Gun,
    anchor: &Anchor,
    roots: &[Bytes],
    now: DateTime<Utc>,
) -> Result<usize, Denial> {
    let last = roots.len().saturating_sub(1);
    for (index, bytes) in roots.iter().enumerate() {
        let root = match VerifiedRoot::read(gun, bytes) {
            Ok(root) => root,
            Err(cause) if index == last => return Err(refusal(gun, "root", &cause)),
            Err(_) => continue,
        };
        let dates = (index == last).then_some(now);
        if anchor.is_met_by(gun, &root, dates) {
            return Ok(index);
        }
    }
    let newest = roots.last().and_then(|bytes| VerifiedRoot::read(gun, bytes).ok());
    let keys: Vec<String> = newest
        .iter()
        .flat_map(VerifiedRoot::signers)
        .map(|key| describe(anchor, key))
        .collect();
    let keys = keys.join(", ");
    Err(match anchor {
        Anchor::Ca { .. } => Denial::new(
            Reason::AuthorityMismatch,
            format!(
                "no root of {gun} is signed with a certificate that the policy's authority issued; it is signed with the \
                 certificate {keys}"
            ),
        ),
        Anchor::Vouched(vouched) => not_vouched(gun, vouched, roots),
        Anchor::TrustRoots(asked) => Denial::new(
            Reason::NotVouched,
            format!(
                "{} was not asked whether it vouches for a root of {gun}",
                asked.repository
            ),
        ),
        _ => Denial::new(
            Reason::AnchorMismatch,
            format!(
                "no root of {gun} is signed by a key that the policy pins; the newest is signed by {keys}. If that is \
                 right, pin it; if not, somebody else made this repository"
            ),
        ),
    })
}

/// Refuses roots that end before the one for which an operator vouches.
fn check_reaches(gun: &Gun, vouched: &VouchedRoot, newest: &Bytes) -> Result<(), Denial> {
    let newest =
        tuf::stated_version(newest, &tuf::RoleName::Root).map_err(|cause| refusal(gun, "root", &cause))?;
    if newest >= vouched.version {
        return Ok(());
    }
    let sentence = format!(
        "the newest root of {gun} is version {newest} here, and {} vouches for version {}: the server or the bundle is behind, or \
         somebody plays back an old state",
        vouched.repository, vouched.version
    );
    Err(Denial::new(Reason::Rollback, sentence))
}

/// Why none of the roots is the one for which an operator vouches.
fn not_vouched(gun: &Gun, vouched: &VouchedRoot, roots: &[Bytes]) -> Denial {
    let VouchedRoot {
        repository, version, ..
    } = vouched;
    let stated = |bytes: &Bytes| tuf::stated_version(bytes, &tuf::RoleName::Root).ok();
    if roots.iter().any(|bytes| stated(bytes) == Some(*version)) {
        let sentence = format!(
            "version {version} of the root of {gun} is not the one for which {repository} vouches: somebody else made this \
             repository, or it was deleted and made anew. If its owner confirms the new root key, the operator vouches for it \
             with `countersign tuf roots {repository} --replace {gun}`"
        );
        return Denial::new(Reason::AnchorMismatch, sentence);
    }
    let sentence = format!(
        "version {version} of the root of {gun}, for which {repository} vouches, is missing; the server has to give it, so \
         that the chain can be followed"
    );
    Denial::new(Reason::BrokenRootChain, sentence)
}

fn describe(anchor: &Anchor, key: &tuf::PublicKey) -> String {
    match anchor {
        Anchor::RootKeys(_) => key.bare().map_or_else(String::new, |bare| bare.id().to_string()),
        _ => key.id().to_string(),
    }
}

/// The offered roots with the one that was seen among them, and its index.
fn join(gun: &Gun, offered: &[Bytes], seen: &Seen) -> Result<(Vec<Bytes>, usize), Denial> {
    let damaged = || {
        let sentence = format!(
            "what was kept about {gun} is damaged; restore it, or run `countersign anchor accept {gun}` after comparing its \
             root keys"
        );
        Denial::new(Reason::InvalidState, sentence)
    };
    let known = seen
        .root()
        .filter(|_| seen.gun() == gun.as_str())
        .ok_or_else(damaged)?;
    let known = VerifiedRoot::read(gun, &known).map_err(|_| damaged())?;
    if let Some(index) = offered.iter().position(|bytes| bytes == known.bytes()) {
        return Ok((offered.to_vec(), index));
    }
    let version = |bytes: &Bytes| {
        let stated = tuf::stated_version(bytes, &tuf::RoleName::Root);
        stated.map_err(|cause| refusal(gun, "root", &cause))
    };
    let (Some(first), Some(newest)) = (offered.first(), offered.last()) else {
        return Err(damaged());
    };
    let newest_version = version(newest)?;
    if newest_version < known.version() {
        let hash = Checksum::of(newest).as_hex();
        if seen.roots.get(&newest_version.get()) == Some(&hash) {
            let sentence = format!(
                "this is version {newest_version} of the root of {gun}, which was at version {} before; the server or the \
                 bundle is behind, or somebody plays back an old state",
                known.version()
            );
            return Err(Denial::new(Reason::Rollback, sentence));
        }
        return Err(reset(gun, &known));
    }
    if known.version().next() == Some(version(first)?) {
        let roots = std::iter::once(known.bytes()).chain(offered).cloned().collect();
        return Ok((roots, 0));
    }
    if version(first)? > known.version() {
        let sentence = format!(
            "the roots of {gun} between version {} that was seen before and version {} are missing; the server has to give \
             them, so that the chain can be followed",
            known.version(),
            version(first)?
        );
        return Err(Denial::new(Reason::BrokenRootChain, sentence));
    }
    // There is another root with the version of the one that was seen.
    let same_version = offered
        .iter()
        .find(|bytes| version(bytes).is_ok_and(|v| v == known.version()));
    let twin = same_version.and_then(|bytes| VerifiedRoot::read(gun, bytes).ok());
    if twin.is_some_and(|twin| twin.check_signed_by(&known).is_ok()) {
        let sentence = format!(
            "there are two different roots of {gun} with version {}, both signed by its root key; its owner has to publish \
             the next version",
            known.version()
        );
        return Err(Denial::new(Reason::SameVersionDiffers, sentence));
    }
    Err(reset(gun, &known))
}

fn reset(gun: &Gun, known: &VerifiedRoot) -> Denial {
    let sentence = format!(
        "{gun} has a root that does not follow from version {} that was seen before: the repository was deleted and made anew, \
         or this is not the right one. If its owner confirms the new root key, run `countersign anchor accept {gun}`",
        known.version()
    );
    Denial::new(Reason::RootReset, sentence)
}

/// Verifies each root and each step. `seen`: the first is the one that was seen before.
fn follow(gun: &Gun, roots: &[Bytes], seen: bool) -> Result<Vec<VerifiedRoot>, Denial> {
    let mut line: Vec<VerifiedRoot> = Vec::new();
    for bytes in roots {
        let root = read(gun, bytes)?;
        if let Some(before) = line.last() {
            let step = root.check_follows(before);
            step.map_err(|cause| broken(gun, before, &root, &cause, seen && line.len() == 1))?;
        }
        line.push(root);
    }
    Ok(line)
}

fn broken(
    gun: &Gun,
    before: &VerifiedRoot,
    root: &VerifiedRoot,
    cause: &MetadataError,
    from_seen: bool,
) -> Denial {
    if from_seen && *cause == MetadataError::PreviousRoot {
        return reset(gun, before);
    }
    let sentence = format!(
        "version {} of the root of {gun} does not follow from version {}: {cause}. Its owner has to publish a root that the \
         keys of the one before signed too",
        root.version(),
        before.version()
    );
    Denial::new(Reason::BrokenRootChain, sentence)
}
