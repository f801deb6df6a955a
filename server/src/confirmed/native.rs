//! What lists of TUF 1.0 repositories say of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tuf_native::{Metadata, Role, Signers, Trusted};

/// What is known of a repository.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The version of its timestamp.
    pub timestamp: i32,
    /// What is said of it.
    pub summary: Arc<Summary>,
}

/// The lines of all repositories as they were read last, by name.
#[derive(Debug, Default)]
pub struct NativeLines {
    lines: Mutex<BTreeMap<String, Line>>,
    /// Told when lines are missing that somebody wants to see.
    pub wanted: Notify,
}

impl NativeLines {
    /// Those of these repositories, in these versions of their timestamps; and the names and versions of which there is no
    /// line. What is known of other repositories is forgotten, because they are gone.
    pub fn of(&self, there: Vec<(String, i32)>) -> (Vec<Line>, Vec<(String, i32)>) {
        let mut known = self.lines();
        let mut before = std::mem::take(&mut *known);
        let (mut current, mut missing) = (Vec::new(), Vec::new());
        for (name, timestamp) in there {
            match before.remove(&name) {
                Some(line) if line.timestamp >= timestamp => {
                    current.push(line.clone());
                    known.insert(name, line);
                }
                _ => missing.push((name, timestamp)),
            }
        }
        (current, missing)
    }

    /// Keeps a line, unless there is a newer one.
    pub fn keep(&self, line: Line) {
        let mut known = self.lines();
        let newer = known
            .get(&line.name)
            .is_some_and(|known| known.timestamp > line.timestamp);
        if !newer {
            known.insert(line.name.clone(), line);
        }
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that people sign, when it ends, and whose keys can renew it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleEnd {
    /// The role.
    pub role: Role,
    /// When the file ends.
    pub at: DateTime<Utc>,
    /// The keys that may sign the next one: key ID, and the SHA-256 of the public key in hex if it can be written.
    pub keys: Vec<(String, Option<String>)>,
}

/// A repository in a few words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The version of its root.
    pub root: i32,
    /// How many targets all roles list together.
    pub targets: usize,
    /// How many delegated roles there are.
    pub delegations: usize,
    /// What people sign, in the order in which clients visit it.
    pub ends: Vec<RoleEnd>,
    /// Why clients refuse it, apart from dates.
    pub fault: Option<String>,
}

impl Summary {
    /// Of what is stored and current.
    pub fn of(files: &Trusted) -> Self {
        let visited: Vec<&Metadata> = visited(files).iter().filter_map(|visited| visited.file).collect();
        let people = files.root.iter().chain(visited.iter().copied());
        Self {
            root: files.root.as_ref().map_or(0, |root| root.version().get()),
            targets: visited.iter().map(|file| file.targets().count()).sum(),
            delegations: visited.iter().map(|file| file.delegations().count()).sum(),
            ends: people
                .map(|file| RoleEnd {
                    role: file.role().clone(),
                    at: file.expires(),
                    keys: signers(files, file.role())
                        .map(|signers| signers.keys().iter().map(key).collect())
                        .unwrap_or_default(),
                })
                .collect(),
            fault: faults(files).into_iter().next(),
        }
    }

    /// One whose files cannot be read.
    pub fn unreadable(reason: String) -> Self {
        Self {
            fault: Some(reason),
            ..Self::default()
        }
    }

    /// What ends first.
    pub fn first_end(&self) -> Option<&RoleEnd> {
        self.ends.iter().min_by_key(|end| end.at)
    }
}

fn key(key: &tuf_native::PublicKey) -> (String, Option<String>) {
    let spki = key.to_notary().and_then(|key| key.spki_sha256()).map(hex::encode);
    (key.id().to_string(), spki)
}

/// A role that clients visit.
#[derive(Debug, Clone, Copy)]
pub struct Visited<'a> {
    /// The role.
    pub role: &'a Role,
    /// How many roles are above it; 0 for targets.
    pub depth: usize,
    /// Its file, if there is one.
    pub file: Option<&'a Metadata>,
}

/// Targets and the delegated roles, in the order in which clients look through them: each with those below it before the
/// next, and each once (specification 1.0, section 5.6.7).
pub fn visited(files: &Trusted) -> Vec<Visited<'_>> {
    let mut found = Vec::new();
    visit(files, &Role::Targets, 0, &mut found);
    found
}

fn visit<'a>(files: &'a Trusted, role: &'a Role, depth: usize, found: &mut Vec<Visited<'a>>) {
    if found.iter().any(|visited| visited.role == role) {
        return;
    }
    let file = files.file(role);
    found.push(Visited { role, depth, file });
    for (child, _) in file.into_iter().flat_map(Metadata::delegations) {
        visit(files, child, depth + 1, found);
    }
}

/// Who signs a role, as the file says that names its keys.
pub fn signers<'a>(files: &'a Trusted, role: &Role) -> Option<&'a Signers> {
    match role {
        Role::Delegated(_) => files
            .targets
            .iter()
            .flat_map(Metadata::delegations)
            .find_map(|(found, signers)| (found == role).then_some(signers)),
        role => files.root.as_ref().and_then(|root| root.root_signers(role)),
    }
}

/// The current files that are not signed by enough of their keys.
pub fn faults(files: &Trusted) -> Vec<String> {
    let all = files
        .root
        .iter()
        .chain(&files.targets)
        .chain(&files.snapshot)
        .chain(&files.timestamp);
    all.filter(|file| {
        // The snapshot goes on naming roles that no role delegates to any more.
        signers(files, file.role()).is_some_and(|signers| !file.is_signed_by(signers))
    })
    .map(|file| {
        format!(
            "{} version {} is not signed by enough of its keys",
            file.role(),
            file.version()
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, timestamp: i32) -> Line {
        Line {
            name: name.to_owned(),
            timestamp,
            summary: Arc::default(),
        }
    }

    #[test]
    fn what_changed_is_read_again_what_is_gone_is_forgotten_and_nothing_goes_back() {
        let lines = NativeLines::default();
        let there = |all: &[(&str, i32)]| {
            all.iter()
                .map(|(name, version)| ((*name).to_owned(), *version))
                .collect()
        };
        assert_eq!(lines.of(there(&[("a", 1), ("b", 1)])).1.len(), 2);
        lines.keep(line("a", 2));
        lines.keep(line("a", 1));
        lines.keep(line("b", 1));
        let (current, missing) = lines.of(there(&[("a", 2), ("b", 2)]));
        assert_eq!((current.len(), missing), (1, vec![("b".to_owned(), 2)]));
        lines.of(there(&[]));
        assert_eq!(lines.of(there(&[("a", 2)])).1.len(), 1);
    }
}
