//! What a client asks for: `repository:reg/app:push,pull`, as the Docker registry's specification writes scopes.

use std::fmt;

use tuf::Gun;

/// The longest type, class or action accepted, in bytes.
const WORD_LIMIT: usize = 64;
/// The most actions accepted in one scope.
const ACTIONS_LIMIT: usize = 16;

/// One resource, and what somebody asks to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The type: `repository`, `registry`, or one that we do not know.
    pub kind: String,
    /// The class in parentheses after the type, which registries no longer use.
    pub class: Option<String>,
    /// The name, which may contain a colon before a port.
    pub name: String,
    /// The actions.
    pub actions: Vec<String>,
}

/// A scope that is not written as scopes are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the scope {written:?} is malformed: {reason}")]
pub struct ScopeFault {
    written: String,
    reason: String,
}

impl Scope {
    /// Reads a scope: the type up to the first colon, the actions after the last one, and the name between them.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn parse(text: &str) -> Result<Self, ScopeFault> {
        let fault = |reason: String| ScopeFault {
            written: text.chars().take(100).collect(),
            reason,
        };
        let parts = text
            .split_once(':')
            .and_then(|(kind, rest)| Some((kind, rest.rsplit_once(':')?)));
        let Some((kind, (name, actions))) = parts else {
            return Err(fault("it is not TYPE:NAME:ACTION[,ACTION...]".to_owned()));
        };
        let (kind, class) = match kind.split_once('(') {
            None => (kind, None),
            Some((kind, class)) => (kind, Some(class.strip_suffix(')').unwrap_or_default())),
        };
        let is_word = |word: &str| {
            (1..=WORD_LIMIT).contains(&word.len())
                && word
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        if !is_word(kind) || class.is_some_and(|class| !is_word(class)) {
            return Err(fault("its type is not a word of small letters".to_owned()));
        }
        check_name(name).map_err(fault)?;
        let actions: Vec<&str> = actions.split(',').filter(|action| !action.is_empty()).collect();
        if actions.len() > ACTIONS_LIMIT {
            return Err(fault(format!("it asks for more than {ACTIONS_LIMIT} actions")));
        }
        if !actions.iter().all(|action| *action == "*" || is_word(action)) {
            return Err(fault("an action is not a word of small letters, or *".to_owned()));
        }
        Ok(Self {
            kind: kind.to_owned(),
            class: class.map(str::to_owned),
            name: name.to_owned(),
            actions: actions.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Whether this action is asked for, by itself or as one of all.
    pub fn asks(&self, action: &str) -> bool {
        self.actions.iter().any(|asked| asked == action || asked == "*")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.kind)?;
        if let Some(class) = &self.class {
            write!(formatter, "({class})")?;
        }
        write!(formatter, ":{}:{}", self.name, self.actions.join(","))
    }
}

fn check_name(name: &str) -> Result<(), String> {
    Gun::parse(name).map_err(|cause| format!("its name cannot be that of a repository: {cause}"))?;
    if name.chars().any(char::is_whitespace) {
        return Err("its name contains a blank".to_owned());
    }
    // A registry would take such a name for another one.
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("a part of its name is empty, a dot, or two dots".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_contain_a_port_and_types_a_class() {
        let scope = Scope::parse("repository(plugin):reg:5000/team/app:push,,pull").unwrap();
        assert_eq!(
            (scope.kind.as_str(), scope.class.as_deref()),
            ("repository", Some("plugin"))
        );
        assert_eq!(scope.name, "reg:5000/team/app");
        assert_eq!(scope.actions, ["push", "pull"]);
        assert!(scope.asks("push") && !scope.asks("delete"));
        assert_eq!(
            scope.to_string(),
            "repository(plugin):reg:5000/team/app:push,pull"
        );
        let catalog = Scope::parse("registry:catalog:*").unwrap();
        assert!(catalog.asks("*") && catalog.asks("pull"));
        assert!(Scope::parse("repository:app:").unwrap().actions.is_empty());
    }

    #[test]
    fn what_is_no_scope_is_refused_with_a_reason() {
        let long = format!("repository:{}:pull", "a".repeat(300));
        let many = format!("repository:a:{}", vec!["pull"; 17].join(","));
        for (wrong, why) in [
            ("", "TYPE:NAME:ACTION"),
            ("repository", "TYPE:NAME:ACTION"),
            ("repository:app", "TYPE:NAME:ACTION"),
            (":app:pull", "type"),
            ("Repository:app:pull", "type"),
            ("repository(:app:pull", "type"),
            ("repository(plugin:app:pull", "type"),
            ("repository::pull", "name"),
            ("repository:a*:pull", "name"),
            ("repository:a\nb:pull", "name"),
            ("repository:a\u{a0}b:pull", "blank"),
            ("repository:a/../b:pull", "dots"),
            ("repository:/a:pull", "empty"),
            ("repository:a//b:pull", "empty"),
            ("repository:a:Pull", "action"),
            ("repository:a:pull;push", "action"),
            (&long, "name"),
            (&many, "more than 16"),
        ] {
            let refused = Scope::parse(wrong).unwrap_err().to_string();
            assert!(refused.contains(why), "{wrong}: {refused}");
            assert!(refused.starts_with("the scope \""), "{refused}");
        }
    }
}
