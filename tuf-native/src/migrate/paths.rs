//! The paths of a Notary delegation, which are beginnings of names, as TUF 1.0 writes them.

use tuf::{RoleName, VerifiedRole};

use crate::authoring::{DelegatedPaths, TargetsContent};
use crate::migrate::{CannotMigrate, Loss};
use crate::paths::{Covers, Pattern};

/// The patterns, or hash prefixes, that mean what the beginnings mean.
pub(super) fn convert(
    role: &RoleName,
    prefixes: &[String],
    losses: &mut Vec<Loss>,
) -> Result<DelegatedPaths, CannotMigrate> {
    if prefixes.iter().any(String::is_empty) {
        losses.push(Loss::Everything { role: role.clone() });
        return Ok(DelegatedPaths::everything());
    }
    let mut patterns = Vec::new();
    for prefix in prefixes {
        let pattern = format!("{prefix}*");
        // A wildcard of the source stands for itself.
        let problem = match Pattern::parse(&pattern) {
            _ if prefix.contains(['*', '?']) => {
                Some("it has a character that patterns give another meaning".to_owned())
            }
            Ok(_) => None,
            Err(problem) => Some(format!("a pattern {problem}")),
        };
        if let Some(problem) = problem {
            return Err(CannotMigrate::Path {
                role: role.clone(),
                prefix: prefix.clone(),
                problem,
            });
        }
        losses.push(Loss::Prefix {
            role: role.clone(),
            prefix: prefix.clone(),
            pattern: pattern.clone(),
        });
        patterns.push(pattern);
    }
    Ok(DelegatedPaths::Patterns(patterns))
}

/// Refuses patterns which clients read differently for a target of a delegated role.
pub(super) fn check(roles: &[VerifiedRole], files: &[TargetsContent]) -> Result<(), CannotMigrate> {
    for role in roles {
        for prefix in role.paths.iter().filter(|prefix| !prefix.is_empty()) {
            let Ok(pattern) = Pattern::parse(&format!("{prefix}*")) else {
                continue;
            };
            let delegated = files.iter().filter(|file| file.role.as_str() != "targets");
            let mut targets = delegated.flat_map(|file| file.targets.keys());
            if let Some(target) = targets.find(|target| pattern.covers(target) == Covers::Differently) {
                return Err(CannotMigrate::Path {
                    role: role.role.clone(),
                    prefix: prefix.clone(),
                    problem: format!("clients differ in whether a pattern covers the target {target:?}"),
                });
            }
        }
    }
    Ok(())
}
