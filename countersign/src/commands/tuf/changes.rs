//! What a draft changes, in words, for those who are asked to sign it.

use tuf_native::authoring::{DelegatedPaths, TargetsContent};
use tuf_native::{Draft, Metadata, Refusal, Role, Signers, Trusted};

/// What a draft changes, a line each.
pub(super) fn of(draft: &Draft, trusted: &Trusted) -> Result<Vec<String>, Refusal> {
    let file = draft.metadata();
    let mut lines = match draft.role() {
        Role::Root => of_root(file, trusted.root.as_ref()),
        role => of_targets(file, trusted.file(role))?,
    };
    if lines.is_empty() {
        lines.push("nothing but version and date".to_owned());
    }
    lines.push(format!("ends at {}", draft.expires()));
    Ok(lines)
}

fn of_root(file: &Metadata, before: Option<&Metadata>) -> Vec<String> {
    let mut lines = Vec::new();
    for role in [Role::Root, Role::Targets, Role::Snapshot, Role::Timestamp] {
        let old = before.and_then(|before| before.root_signers(&role));
        if let Some(new) = file.root_signers(&role) {
            lines.extend(of_signers(&role, old, new));
        }
    }
    lines
}

fn of_signers(role: &Role, old: Option<&Signers>, new: &Signers) -> Vec<String> {
    let mut lines = Vec::new();
    let has = |signers: Option<&Signers>, key| signers.is_some_and(|signers| signers.keys().contains(key));
    for key in new.keys().iter().filter(|key| !has(old, key)) {
        lines.push(format!("{role} may be signed by {}", key.id()));
    }
    let gone = old.into_iter().flat_map(Signers::keys);
    for key in gone.filter(|key| !has(Some(new), key)) {
        lines.push(format!("{role} may no longer be signed by {}", key.id()));
    }
    if old.is_none_or(|old| old.threshold() != new.threshold()) {
        lines.push(format!(
            "{role} needs {} of {} signatures",
            new.threshold(),
            new.keys().len()
        ));
    }
    lines
}

fn of_targets(file: &Metadata, before: Option<&Metadata>) -> Result<Vec<String>, Refusal> {
    let mut lines = Vec::new();
    if before.is_none() {
        lines.push("its first version".to_owned());
    }
    let new = TargetsContent::following(file, file.expires())?;
    let old = before.map(|before| TargetsContent::following(before, before.expires()));
    let old = old.transpose()?;
    let known = |path: &str| old.as_ref().and_then(|old| old.targets.get(path));
    for (path, target) in &new.targets {
        match known(path) {
            None => lines.push(format!(
                "adds {path} ({} bytes, {})",
                target.length, target.sha256
            )),
            Some(before) if before != target => {
                lines.push(format!(
                    "changes {path} to {} bytes, {}",
                    target.length, target.sha256
                ));
            }
            Some(_) => {}
        }
    }
    let gone = old.iter().flat_map(|old| old.targets.keys());
    lines.extend(
        gone.filter(|path| !new.targets.contains_key(*path))
            .map(|path| format!("removes {path}")),
    );
    let delegations = old
        .as_ref()
        .map(|old| old.delegations.as_slice())
        .unwrap_or_default();
    for delegate in &new.delegations {
        let before = delegations.iter().find(|before| before.role == delegate.role);
        lines.extend(of_signers(
            &delegate.role,
            before.map(|before| &before.signers),
            &delegate.signers,
        ));
        if before
            .is_none_or(|before| before.paths != delegate.paths || before.terminating != delegate.terminating)
        {
            let end = if delegate.terminating {
                ", and nobody after it is asked"
            } else {
                ""
            };
            lines.push(format!(
                "{} is trusted with {}{end}",
                delegate.role,
                paths(&delegate.paths)
            ));
        }
    }
    let gone = delegations
        .iter()
        .filter(|before| !new.delegations.iter().any(|new| new.role == before.role));
    lines.extend(gone.map(|before| format!("no longer delegates to {}", before.role)));
    Ok(lines)
}

fn paths(paths: &DelegatedPaths) -> String {
    match paths {
        _ if *paths == DelegatedPaths::everything() => "every path".to_owned(),
        DelegatedPaths::Patterns(patterns) => format!("the paths {}", patterns.join(", ")),
        DelegatedPaths::HashPrefixes(prefixes) => {
            format!("paths whose SHA-256 begins with {}", prefixes.join(", "))
        }
    }
}
