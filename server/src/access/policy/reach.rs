//! Finds parts of a policy that provably never apply. Somebody who wrote them relies on them.

use tuf::Gun;

use super::{Policy, action::Covered, glob::Glob, rule::OwnKey, subject::Subject};

/// Which repositories and clients the rest of the configuration allows for.
pub struct Met<'a> {
    /// The prefixes of the GUNs that are served; empty if all are.
    pub prefixes: &'a [String],
    /// Whether a client can have this principal name.
    pub name: &'a dyn Fn(&str) -> bool,
    /// Whether a client can be in this group.
    pub group: &'a dyn Fn(&str) -> bool,
}

impl Policy {
    /// One sentence for each pattern, subject or rule that never applies.
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
                    "policy rule {name}: it never applies, because unless excludes every principal it names"
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
                    "policy rule {name}: {place}{}: it matches no role that clients publish: they publish root, targets, \
                     snapshot and roles below targets/",
                    roles.as_str()
                ));
            }
            for subject in rule.principals.iter().chain(&rule.unless) {
                match subject {
                    Subject::Name(who) if !(met.name)(who) => found.push(format!(
                        "policy rule {name}: no client can have the name {who:?}: neither the identity rules nor any \
                         other configured login method produces it"
                    )),
                    Subject::Group(group) if !(met.group)(group) => found.push(format!(
                        "policy rule {name}: no client can be in the group {group:?}: neither the identity rules nor \
                         any other configured login method produces it"
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
            "repository names begin with the host, without {scheme}://; write {rest}..."
        ));
    }
    if beginning.starts_with('/') {
        return Some("repository names do not begin with a slash".to_owned());
    }
    if glob.as_str().ends_with('/') {
        return Some(
            "repository names do not end with a slash; append ** to match everything below it".to_owned(),
        );
    }
    if !prefixes.is_empty() && !prefixes.iter().any(|prefix| glob.may_begin_with(prefix)) {
        return Some(format!(
            "it matches none of the repositories that repositories.gun_prefixes allows ({})",
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
