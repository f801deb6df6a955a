//! What a rule demands of the signatures on a digest.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use tuf::Checksum;

use super::signers::Signers;
use crate::reason::Reason;
use crate::repository::{Declared, Former, Signature, SignedRole};

/// The role that releases.
pub(super) const RELEASES: &str = "targets/releases";

/// The roles that release where nothing is demanded.
pub(super) const RELEASING: [&str; 2] = [RELEASES, "targets"];

/// What has to hold for a digest, beyond that some role names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// This many different ones of these signed it.
    Signers { at_least: usize, of: Vec<SignerName> },
    /// Of each of these teams somebody signed it. One who is in several counts for each.
    EveryTeam(BTreeMap<String, Vec<SignerName>>),
    /// `targets/releases` names it.
    Released,
}

/// Whom a condition means.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SignerName {
    /// A signer of the policy.
    Defined(String),
    /// Whoever signs for this role, where no policy defines signers.
    Role(String),
}

/// A role's word for a digest.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) role: &'a str,
    pub(super) digest: Option<&'a Checksum>,
    pub(super) signers: &'a [Signature],
    pub(super) declared: &'a Declared,
    pub(super) expires: Option<DateTime<Utc>>,
}

impl<'a> Claim<'a> {
    pub(super) fn of(role: &'a SignedRole, digest: Option<&'a Checksum>) -> Self {
        Self {
            role: role.name(),
            digest,
            signers: &role.signers,
            declared: &role.declared,
            expires: Some(role.expires()),
        }
    }

    pub(super) fn of_former(former: &'a Former) -> Self {
        Self {
            role: &former.role,
            digest: Some(&former.digest),
            signers: &former.signers,
            declared: &former.declared,
            expires: None,
        }
    }

    /// Whether what the role names is the word of these people alone. A role is signed as a whole: where others may sign for
    /// it too, whoever signed last has signed what they put there. All signers share `targets/releases`, so there every key
    /// has to be known; elsewhere an unknown key is taken for another one of the same person, as after a renewal.
    fn is_of(&self, people: &[&SignerName], signers: &Signers) -> bool {
        let owned = |name: &SignerName, key: &Signature| match name {
            SignerName::Defined(name) => signers.get(name).is_some_and(|signer| signer.owns(key)),
            SignerName::Role(_) => false,
        };
        let strange = |key: &Signature| {
            let own = people.iter().any(|name| owned(name, key));
            !own && (self.role == RELEASES || signers.values().any(|signer| signer.owns(key)))
        };
        self.declared.all_sign || !self.declared.keys.iter().any(strange)
    }
}

impl SignerName {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Defined(name) | Self::Role(name) => name,
        }
    }

    /// Whether this one made a claim, alone or with these.
    fn signed(&self, claim: &Claim<'_>, with: &[&Self], signers: &Signers) -> bool {
        !self.keys(claim, with, signers).is_empty()
    }

    /// Whether this one could sign for a role with these keys.
    pub(super) fn may_sign(&self, role: &str, declared: &[Signature], signers: &Signers) -> bool {
        match self {
            Self::Role(name) => name == role,
            Self::Defined(name) => {
                let signer = signers.get(name);
                signer.is_some_and(|signer| declared.iter().any(|key| signer.owns(key)))
            }
        }
    }

    /// Whether this one signed a role that others sign too, so that it says nothing.
    pub(super) fn shares(&self, claim: &Claim<'_>, signers: &Signers) -> bool {
        match self {
            Self::Role(_) => false,
            Self::Defined(name) => {
                let signer = signers.get(name);
                signer.is_some_and(|signer| claim.signers.iter().any(|key| signer.owns(key)))
                    && !claim.is_of(&[self], signers)
            }
        }
    }

    /// The private keys by which this one made a claim, alone or with these. A role stands for one.
    fn keys<'a>(&'a self, claim: &Claim<'a>, with: &[&Self], signers: &Signers) -> Vec<&'a str> {
        match self {
            Self::Role(role) if role == claim.role => vec![role],
            Self::Role(_) => Vec::new(),
            Self::Defined(name) => {
                let Some(signer) = signers.get(name) else {
                    return Vec::new();
                };
                if !claim.is_of(with, signers) {
                    return Vec::new();
                }
                let own = claim.signers.iter().filter(|key| signer.owns(key));
                own.map(|key| key.identity.as_str()).collect()
            }
        }
    }
}

impl Condition {
    /// Whether the claims satisfy it.
    pub(super) fn holds(&self, claims: &[Claim<'_>], signers: &Signers) -> bool {
        match self {
            Self::Signers { at_least, of } => {
                let keys: Vec<BTreeSet<&str>> = of
                    .iter()
                    .map(|name| {
                        let with = self.with(name);
                        let own = claims.iter().flat_map(|claim| name.keys(claim, &with, signers));
                        own.collect()
                    })
                    .collect();
                different(&keys) >= *at_least
            }
            Self::EveryTeam(teams) => teams.values().all(|members| {
                let with: Vec<&SignerName> = members.iter().collect();
                let signed =
                    |name: &SignerName| claims.iter().any(|claim| name.signed(claim, &with, signers));
                members.iter().any(signed)
            }),
            Self::Released => claims.iter().any(|claim| claim.role == RELEASES),
        }
    }

    /// Those of it who made none of the claims.
    pub(super) fn missing(&self, claims: &[Claim<'_>], signers: &Signers) -> Vec<String> {
        let absent = |name: &SignerName, with: &[&SignerName]| {
            claims.iter().all(|claim| !name.signed(claim, with, signers))
        };
        match self {
            Self::Signers { of, .. } => of
                .iter()
                .filter(|name| absent(name, &self.with(name)))
                .map(|name| name.as_str().to_owned())
                .collect(),
            Self::EveryTeam(teams) => teams
                .iter()
                .filter(|(_, members)| {
                    let with: Vec<&SignerName> = members.iter().collect();
                    members.iter().all(|name| absent(name, &with))
                })
                .map(|(team, _)| team.clone())
                .collect(),
            Self::Released => vec![RELEASES.to_owned()],
        }
    }

    /// Those whom it means and who made a claim.
    pub(super) fn who(&self, claim: &Claim<'_>, signers: &Signers) -> Vec<&SignerName> {
        let signed = |name: &&SignerName| name.signed(claim, &self.with(name), signers);
        self.names().into_iter().filter(signed).collect()
    }

    /// Those who may share a role with this one: where one of several suffices, it does not matter who put something there.
    fn with<'a>(&'a self, name: &'a SignerName) -> Vec<&'a SignerName> {
        match self {
            Self::Signers { at_least: 1, of } => of.iter().collect(),
            Self::Signers { .. } | Self::Released => vec![name],
            Self::EveryTeam(teams) => {
                let own = teams.values().filter(|members| members.contains(name));
                own.flatten().collect()
            }
        }
    }

    /// The reason to give when it does not hold.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Signers { at_least, of } if *at_least == of.len() => Reason::SignerMissing,
            Self::Signers { .. } => Reason::TooFewSigners,
            Self::EveryTeam(_) => Reason::TeamMissing,
            Self::Released => Reason::NotReleased,
        }
    }

    /// Everybody whom it means.
    pub(super) fn names(&self) -> Vec<&SignerName> {
        match self {
            Self::Signers { of, .. } => of.iter().collect(),
            Self::EveryTeam(teams) => teams.values().flatten().collect(),
            Self::Released => Vec::new(),
        }
    }
}

/// How many signers can each be given a key of their own: two names for one private key are one signer.
fn different(keys: &[BTreeSet<&str>]) -> usize {
    fn find<'a>(
        signer: usize,
        keys: &[BTreeSet<&'a str>],
        taken: &mut BTreeMap<&'a str, usize>,
        tried: &mut BTreeSet<&'a str>,
    ) -> bool {
        let Some(own) = keys.get(signer) else { return false };
        for &key in own {
            if !tried.insert(key) {
                continue;
            }
            let free = match taken.get(key).copied() {
                None => true,
                Some(other) => find(other, keys, taken, tried),
            };
            if free {
                taken.insert(key, signer);
                return true;
            }
        }
        false
    }
    let mut taken = BTreeMap::new();
    (0..keys.len())
        .filter(|&signer| find(signer, keys, &mut taken, &mut BTreeSet::new()))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_for_one_key_are_one_signer() {
        let count = |keys: &[&[&'static str]]| {
            let keys: Vec<BTreeSet<&str>> = keys.iter().map(|keys| keys.iter().copied().collect()).collect();
            different(&keys)
        };
        assert_eq!(count(&[&["a"], &["b"]]), 2);
        assert_eq!(count(&[&["a"], &["a"]]), 1);
        assert_eq!(count(&[&["a", "b"], &["a"]]), 2);
        assert_eq!(count(&[&["a", "b"], &["a"], &["b"]]), 2);
        assert_eq!(count(&[&[], &["a"]]), 1);
    }
}
