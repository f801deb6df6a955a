//! What of a policy can never apply, where that can be proven: it was meant to, and somebody relies on it.

use tuf::Gun;

use super::{Policy, action::Covered, glob::Glob, rule::OwnKey, subject::Subject};

/// Who may be met, by the rest of the configuration.
pub struct Met<'a> {
    /// Whether a GUN with such a beginning is served; no prefixes serve all.
    pub prefixes: &'a [String],
    /// Whether somebody may bear a name.
    pub name: &'a dyn Fn(&str) -> bool,
    /// Whether somebody may be in a group.
    pub group: &'a dyn Fn(&str) -> bool,
}

impl Policy {
    /// What can never apply, a sentence each.
    pub fn unreachable(&self, met: &Met<'_>) -> Vec<String> {
        let mut found = Vec::new();
        for rule in &self.rules {
            let name = &rule.name;
            for glob in rule.guns.iter().flatten() {
                let pattern = glob.as_str();
                if let Some(why) = never(glob, met.prefixes) {
                    found.push(format!(
                        "policy rule {name}: the pattern {pattern:?} matches no repository: {why}"
                    ));
                }
            }
            let excepted = |subject: &Subject| {
                rule.unless.contains(subject)
                    || (*subject != Subject::Anonymous && rule.unless.contains(&Subject::Identified))
            };
            if rule.principals.iter().all(excepted) {
                found.push(format!(
                    "policy rule {name}: it never applies: unless excepts everybody that it is about"
                ));
            }
            let of_actions = rule.actions.iter().filter_map(|action| match action {
                Covered::PushOf(roles) => Some(("actions: push:", roles)),
                _ => None,
            });
            let of_keys = match &rule.own_key {
                OwnKey::Roles(roles) => roles.as_slice(),
                OwnKey::NotRequired | OwnKey::EveryRole => &[],
            };
            let roles = of_actions.chain(of_keys.iter().map(|roles| ("require_own_key: ", roles)));
            for (place, roles) in roles.filter(|(_, roles)| !is_published(roles)) {
                found.push(format!(
                    "policy rule {name}: {place}{}: nobody publishes such a role: publishers sign root, targets, snapshot \
                     and what is below targets/",
                    roles.as_str()
                ));
            }
            for subject in rule.principals.iter().chain(&rule.unless) {
                match subject {
                    Subject::Name(who) if !(met.name)(who) => found.push(format!(
                        "policy rule {name}: nobody is called {who:?}: neither the identity rules nor another way to log \
                         in give such a name"
                    )),
                    Subject::Group(group) if !(met.group)(group) => found.push(format!(
                        "policy rule {name}: nobody is in the group {group:?}: neither the identity rules nor another \
                         way to log in give such a group"
                    )),
                    _ => {}
                }
            }
        }
        found
    }
}

/// Whether a pattern may match a role that somebody publishes; timestamps are the server's.
fn is_published(roles: &Glob) -> bool {
    let base = ["root", "targets", "snapshot"];
    base.iter().any(|role| roles.matches(role, None)) || roles.may_begin_with("targets/")
}

/// Why a pattern matches no name of a repository.
fn never(glob: &Glob, prefixes: &[String]) -> Option<String> {
    let literal = glob.literal();
    let beginning = glob.beginning();
    if let Err(cause) = Gun::parse(&literal)
        && !literal.is_empty()
    {
        return Some(cause.to_string());
    }
    if let Some((scheme, rest)) = beginning.split_once("://")
        && ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str())
    {
        return Some(format!(
            "names of repositories begin with the host, without {scheme}://; write {rest}..."
        ));
    }
    if beginning.starts_with('/') {
        return Some("names of repositories do not begin with a slash".to_owned());
    }
    if glob.as_str().ends_with('/') {
        return Some(
            "names of repositories do not end in a slash; for all below it write ** after it".to_owned(),
        );
    }
    if !prefixes.is_empty() && !prefixes.iter().any(|prefix| glob.may_begin_with(prefix)) {
        return Some(format!(
            "repositories.gun_prefixes serves none that it matches ({})",
            prefixes.join(", ")
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_patterns_that_match_no_repository_are_told() {
        let prefixes = ["docker.io/".to_owned(), "reg:5000/team/".to_owned()];
        let told =
            |pattern: &str, prefixes: &[String]| never(&Glob::parse(pattern).unwrap(), prefixes).is_some();
        for possible in [
            "**",
            "*/app",
            "docker.io/**",
            "docker.io/a b/ä",
            "${principal}/app",
            "reg:5000/**",
            "reg:5000/team/${principal}/*",
        ] {
            assert!(!told(possible, &prefixes), "{possible}");
        }
        for elsewhere in [
            "*",
            "d*",
            "Docker.io/**",
            "reg/**",
            "docker.iox/*",
            "reg:5000/*",
            "reg:5000/teams/*",
        ] {
            assert!(told(elsewhere, &prefixes), "{elsewhere}");
            assert!(!told(elsewhere, &[]), "{elsewhere}");
        }
        let long = "a".repeat(256);
        for never in [
            "https://reg/app",
            "HTTP://reg/**",
            "/reg/*",
            "reg/team/",
            "a\nb",
            "a\u{1f600}*",
            long.as_str(),
        ] {
            assert!(told(never, &[]), "{never}");
        }
    }
}
