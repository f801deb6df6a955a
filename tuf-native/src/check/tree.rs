//! Targets and the roles that are delegated to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::body::targets::Delegation;
use crate::metadata::Metadata;
use crate::paths::{Hashed, Paths};
use crate::refusal::Refusal;
use crate::role::Role;
use crate::signers::Signers;
use crate::trusted::{Limits, OnlineKeys, Trusted};

/// A role that was reached.
struct Reached {
    file: Metadata,
    /// The delegations that lead to it, from targets on, by their place among all.
    line: Vec<usize>,
}

/// A delegation, and the role that makes it.
struct Edge {
    by: Role,
    role: Role,
    paths: Paths,
}

/// Every targets file as it will be after a publish, from targets on.
pub(super) fn walk(
    root: &Metadata,
    trusted: &Trusted,
    mut uploaded: BTreeMap<Role, Metadata>,
    online: &OnlineKeys,
    limits: &Limits,
) -> Result<Vec<Metadata>, Refusal> {
    let signers = root.root_signers(&Role::Targets).ok_or(Refusal::NoRoot)?;
    let (top, new) = current(trusted, &mut uploaded, &Role::Targets).ok_or(Refusal::NoTargets)?;
    check_signed(&top, new, signers, root)?;
    let mut edges: Vec<Edge> = Vec::new();
    let mut reached: Vec<Reached> = Vec::new();
    let mut open = VecDeque::from([Reached {
        file: top,
        line: Vec::new(),
    }]);
    while let Some(parent) = open.pop_front() {
        let delegations = parent
            .file
            .body()
            .targets()
            .map(|body| body.delegations.as_slice());
        for delegation in delegations.unwrap_or_default() {
            let role = &delegation.role;
            if let Some(other) = edges.iter().find(|edge| edge.role == *role) {
                return Err(Refusal::DelegatedTwice {
                    role: role.clone(),
                    first: other.by.clone(),
                    second: parent.file.role().clone(),
                });
            }
            online.check_absent(&parent.file, role, &delegation.signers)?;
            let found = current(trusted, &mut uploaded, role);
            let (file, new) = found.ok_or_else(|| Refusal::DelegationWithoutFile {
                role: role.clone(),
                by: parent.file.role().clone(),
            })?;
            check_signed(&file, new, &delegation.signers, &parent.file)?;
            let mut line = parent.line.clone();
            line.push(edges.len());
            edges.push(Edge::new(&parent.file, delegation));
            if edges.len() > limits.max_delegated_roles {
                return Err(Refusal::TooManyDelegations {
                    count: edges.len(),
                    limit: limits.max_delegated_roles,
                });
            }
            open.push_back(Reached { file, line });
        }
        reached.push(parent);
    }
    if let Some(role) = uploaded.into_keys().next() {
        return Err(Refusal::NotDelegated { role });
    }
    check_paths(&reached, &edges, limits)?;
    Ok(reached.into_iter().map(|reached| reached.file).collect())
}

/// The delegated roles that clients can reach in what is stored.
pub(super) fn reachable(trusted: &Trusted) -> BTreeSet<Role> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Metadata> = trusted.file(&Role::Targets).into_iter().collect();
    while let Some(file) = open.pop() {
        for (role, _) in file.delegations() {
            if found.insert(role.clone()) {
                open.extend(trusted.file(role));
            }
        }
    }
    found
}

impl Edge {
    fn new(by: &Metadata, delegation: &Delegation) -> Self {
        Self {
            by: by.role().clone(),
            role: delegation.role.clone(),
            paths: delegation.paths.clone(),
        }
    }
}

/// The file of a role after a publish, and whether the publish brings it.
fn current(
    trusted: &Trusted,
    uploaded: &mut BTreeMap<Role, Metadata>,
    role: &Role,
) -> Option<(Metadata, bool)> {
    match uploaded.remove(role) {
        Some(file) => Some((file, true)),
        None => trusted.file(role).map(|file| (file.clone(), false)),
    }
}

fn check_signed(file: &Metadata, new: bool, signers: &Signers, delegator: &Metadata) -> Result<(), Refusal> {
    match file.check_signed(signers, delegator) {
        Err(Refusal::Threshold {
            role,
            by,
            have,
            needed,
        }) if !new => Err(Refusal::NoLongerSigned {
            role,
            version: file.version(),
            by,
            have,
            needed,
        }),
        other => other,
    }
}

/// Clients agree about every pattern and every target of a delegated role, and every such target was delegated all along
/// the line. What targets itself lists is found before any delegation is asked.
fn check_paths(reached: &[Reached], edges: &[Edge], limits: &Limits) -> Result<(), Refusal> {
    let delegated = || reached.iter().filter(|role| !role.line.is_empty());
    let targets: usize = delegated().map(|role| role.file.targets().count()).sum();
    let patterns: usize = edges.iter().map(|edge| edge.paths.wildcards()).sum();
    if patterns.saturating_mul(targets) > limits.max_comparisons {
        return Err(Refusal::TooManyPatterns { patterns, targets });
    }
    for Reached { file, line } in delegated() {
        for path in file.targets() {
            let target = Hashed::new(path);
            for (at, edge) in edges.iter().enumerate() {
                let covers =
                    edge.paths
                        .covers(&target)
                        .map_err(|pattern| Refusal::PatternReadDifferently {
                            by: edge.by.clone(),
                            role: edge.role.clone(),
                            pattern: pattern.to_owned(),
                            target: path.to_owned(),
                        })?;
                if !covers && line.contains(&at) {
                    return Err(Refusal::TargetNotDelegated {
                        role: file.role().clone(),
                        by: edge.by.clone(),
                        target: path.to_owned(),
                    });
                }
            }
        }
    }
    Ok(())
}
