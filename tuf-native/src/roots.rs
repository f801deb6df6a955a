//! Trust roots: a repository whose targets are the roots of Notary repositories, each byte for byte, by which its operator
//! vouches for them. The root `VERSION` of the repository `GUN` is the target `GUN/VERSION.root.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use thiserror::Error;
use tuf::{Checksum, Gun, MetadataError, VerifiedRoot, Version};

use crate::authoring::Target;
use crate::fields::path_problem;
use crate::statement::{self, KIND};

/// What a target says that it is, in [`statement::MEMBER`].
const TRUST_ROOT: &str = "trust root";
/// How the name of a target ends that is a root.
const ENDING: &str = ".root.json";

/// The roots for which an operator vouches, by repository and version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustRoots(BTreeMap<Gun, BTreeMap<Version, Checksum>>);

/// Why an operator does not vouch for the roots that a server shows.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CannotVouch {
    /// There is nothing to vouch for.
    #[error("{gun} has no root")]
    NoRoot {
        /// The repository.
        gun: Gun,
    },
    /// No target can be called so.
    #[error("{gun}: the name of a target {problem}")]
    Name {
        /// The repository.
        gun: Gun,
        /// What is wrong.
        problem: &'static str,
    },
    /// A root by itself.
    #[error("version {version} of the root of {gun} cannot be trusted: {cause}")]
    Root {
        /// The repository.
        gun: Gun,
        /// Which, counted from the first that the server shows if it does not say so.
        version: i64,
        /// Why.
        cause: MetadataError,
    },
    /// A root does not follow from the one before.
    #[error("version {version} of the root of {gun} does not follow from the one before: {cause}")]
    Broken {
        /// The repository.
        gun: Gun,
        /// Which.
        version: Version,
        /// Why.
        cause: MetadataError,
    },
    /// Other roots than those that are vouched for.
    #[error(
        "version {version} of the root of {gun} is another document than the one that is vouched for: the repository was deleted \
         and made anew, or somebody else made it. If its owner confirms the new root key, say --replace {gun}"
    )]
    Forked {
        /// The repository.
        gun: Gun,
        /// The version.
        version: Version,
    },
    /// Fewer roots than are vouched for.
    #[error(
        "the newest root of {gun} at the server is version {shown}, and version {vouched} is vouched for: the server is behind, or \
         somebody plays back an old state. If the repository was made anew and its owner confirms the new root key, say \
         --replace {gun}"
    )]
    Behind {
        /// The repository.
        gun: Gun,
        /// The newest version that the server shows.
        shown: Version,
        /// The newest version that is vouched for.
        vouched: Version,
    },
    /// Nothing leads from what is vouched for to what the server shows.
    #[error(
        "the server shows the roots of {gun} from version {shown} on, and version {vouched} is vouched for: without it nobody can \
         follow the chain"
    )]
    Gap {
        /// The repository.
        gun: Gun,
        /// The first version that the server shows.
        shown: Version,
        /// The newest version that is vouched for.
        vouched: Version,
    },
}

impl TrustRoots {
    /// The roots among the targets of a repository: the name, SHA-256 and custom member of each. A target that says that it is
    /// something else is none, whatever its name.
    pub fn among<'a, I>(targets: I) -> Self
    where
        I: IntoIterator<Item = (&'a str, Checksum, Option<&'a Value>)>,
    {
        let mut roots = Self::default();
        for (name, sha256, statement) in targets {
            if let Some((gun, version)) = read_name(name)
                && statement.is_none_or(|stated| *stated == said(&gun, version))
            {
                roots.0.entry(gun).or_default().insert(version, sha256);
            }
        }
        roots
    }

    /// Adds what a role lists that clients ask after these: of a repository that these have no root of.
    pub fn extend(&mut self, later: Self) {
        for (gun, roots) in later.0 {
            self.0.entry(gun).or_insert(roots);
        }
    }

    /// The newest root of a repository.
    pub fn newest(&self, gun: &Gun) -> Option<(Version, Checksum)> {
        let (version, sha256) = self.0.get(gun)?.last_key_value()?;
        Some((*version, *sha256))
    }

    /// The versions of the roots of a repository.
    pub fn versions(&self, gun: &Gun) -> impl Iterator<Item = Version> {
        self.0.get(gun).into_iter().flat_map(BTreeMap::keys).copied()
    }

    /// How many repositories have roots here.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no repository has roots here.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of the roots of a repository, as [`chain`] verified them, that follow what is vouched for. Nothing if the newest
    /// is vouched for already; all if no root of it is.
    ///
    /// # Errors
    /// When the chain is not the one that is vouched for, or ends before it.
    pub fn new_roots<'a>(
        &self,
        gun: &Gun,
        chain: &'a [VerifiedRoot],
    ) -> Result<&'a [VerifiedRoot], CannotVouch> {
        let (Some(first), Some(newest)) = (chain.first(), chain.last()) else {
            return Err(CannotVouch::NoRoot { gun: gun.clone() });
        };
        let Some(known) = self.0.get(gun) else {
            return Ok(chain);
        };
        for root in chain {
            if known
                .get(&root.version())
                .is_some_and(|sha256| *sha256 != root.sha256())
            {
                return Err(CannotVouch::Forked {
                    gun: gun.clone(),
                    version: root.version(),
                });
            }
        }
        let Some((vouched, _)) = self.newest(gun) else {
            return Ok(chain);
        };
        if newest.version() < vouched {
            return Err(CannotVouch::Behind {
                gun: gun.clone(),
                shown: newest.version(),
                vouched,
            });
        }
        match chain.iter().position(|root| root.version() == vouched) {
            Some(index) => Ok(chain.get(index + 1..).unwrap_or_default()),
            None => Err(CannotVouch::Gap {
                gun: gun.clone(),
                shown: first.version(),
                vouched,
            }),
        }
    }
}

/// Reads the roots of a repository, from the oldest that a server has to the newest, and verifies that each is for this
/// repository and follows from the one before. Dates are not judged.
///
/// # Errors
/// When a reader could not go along the whole chain, or no target can be called after the repository.
pub fn chain(gun: &Gun, roots: &[bytes::Bytes]) -> Result<Vec<VerifiedRoot>, CannotVouch> {
    // The longest name that any version leads to.
    let longest = format!("{gun}/{}{ENDING}", i32::MAX);
    if let Some(problem) = path_problem(&longest) {
        return Err(CannotVouch::Name {
            gun: gun.clone(),
            problem,
        });
    }
    let mut chain: Vec<VerifiedRoot> = Vec::new();
    for (index, bytes) in roots.iter().enumerate() {
        let root = VerifiedRoot::read(gun, bytes).map_err(|cause| CannotVouch::Root {
            gun: gun.clone(),
            version: tuf::stated_version(bytes, &tuf::RoleName::Root)
                .map_or(index as i64 + 1, |version| i64::from(version.get())),
            cause,
        })?;
        if let Some(before) = chain.last() {
            root.check_follows(before).map_err(|cause| CannotVouch::Broken {
                gun: gun.clone(),
                version: root.version(),
                cause,
            })?;
        }
        chain.push(root);
    }
    Ok(chain)
}

/// The target that a root is, by its name.
pub fn target(gun: &Gun, root: &VerifiedRoot) -> (String, Target) {
    let version = root.version();
    let custom = Map::from_iter([(statement::MEMBER.to_owned(), said(gun, version))]);
    let target = Target {
        custom,
        ..Target::of(root.bytes())
    };
    (name(gun, version), target)
}

/// The name of the target that a root is.
pub fn name(gun: &Gun, version: Version) -> String {
    format!("{gun}/{version}{ENDING}")
}

/// Whether a target of this name may be taken for a root.
pub fn is_name(target: &str) -> bool {
    read_name(target).is_some()
}

fn said(gun: &Gun, version: Version) -> Value {
    json!({KIND: TRUST_ROOT, "gun": gun.as_str(), "version": version.get()})
}

/// The repository and version that a name means. Versions are written in one way.
fn read_name(target: &str) -> Option<(Gun, Version)> {
    let (gun, file) = target.rsplit_once('/')?;
    let digits = file.strip_suffix(ENDING)?;
    let version = Version::new(digits.parse().ok()?).ok()?;
    (version.to_string() == digits).then_some((Gun::parse(gun).ok()?, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gun(text: &str) -> Gun {
        Gun::parse(text).unwrap()
    }

    fn version(number: i64) -> Version {
        Version::new(number).unwrap()
    }

    #[test]
    fn names_mean_one_root_or_none() {
        for (text, meant) in [
            (
                "reg.example/team/app/1.root.json",
                Some(("reg.example/team/app", 1)),
            ),
            ("a/12.root.json/3.root.json", Some(("a/12.root.json", 3))),
            ("a/2147483647.root.json", Some(("a", 2_147_483_647))),
            ("a/01.root.json", None),
            ("a/+1.root.json", None),
            ("a/0.root.json", None),
            ("a/2147483648.root.json", None),
            ("a/1.root.json/x", None),
            ("a/1.targets.json", None),
            ("1.root.json", None),
            ("/1.root.json", None),
            ("a/.root.json", None),
        ] {
            let meant = meant.map(|(name, number)| (gun(name), version(number)));
            assert_eq!(read_name(text), meant, "{text}");
            if let Some((gun, version)) = meant {
                assert_eq!(name(&gun, version), text);
            }
        }
    }

    #[test]
    fn what_says_that_it_is_something_else_is_no_root() {
        let (digest, other) = (Checksum::of(b"1"), Checksum::of(b"2"));
        let own = said(&gun("a"), version(1));
        let mirrored = json!({KIND: "attested mirror", "gun": "a"});
        let roots = TrustRoots::among([
            ("a/1.root.json", digest, Some(&own)),
            ("a/2.root.json", other, Some(&mirrored)),
            // Said of another root.
            ("a/3.root.json", other, Some(&own)),
            ("b/3.root.json", other, Some(&own)),
            ("a/1.0", other, None),
        ]);
        assert_eq!(roots.newest(&gun("a")), Some((version(1), digest)));
        assert_eq!((roots.len(), roots.newest(&gun("b"))), (1, None));
        // Whoever writes them by other tools need not say anything.
        let roots = TrustRoots::among([("a/9.root.json", other, None), ("a/10.root.json", digest, None)]);
        assert_eq!(roots.newest(&gun("a")), Some((version(10), digest)));
    }
}
