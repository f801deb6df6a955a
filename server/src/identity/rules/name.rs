//! Which texts may be the name of a principal or a group.

use crate::identity::ANONYMOUS;

use super::outcome::{IdentityFault, NotIdentified};

/// The longest name, in characters: the width of the column that records it.
const MAX_CHARS: usize = 255;
/// Prefixes that other login methods give, or that have a special meaning in a policy.
const RESERVED_PREFIXES: [&str; 3] = ["token:", "password:", "group:"];
const RESERVED: [&str; 2] = [ANONYMOUS, "*"];

/// How a rule changes the letter case of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Transform {
    /// Unchanged.
    #[default]
    None,
    /// To lower case.
    Lower,
    /// To upper case.
    Upper,
}

impl Transform {
    /// Changes the letter case. Refuses other letters that would become ASCII letters, such as the Kelvin sign: two
    /// different names would become one.
    pub(super) fn apply(self, name: &str) -> Result<String, NotIdentified> {
        let turned = |character: char| -> String {
            match self {
                Self::None => character.to_string(),
                Self::Lower => character.to_lowercase().collect(),
                Self::Upper => character.to_uppercase().collect(),
            }
        };
        let mut changed = String::new();
        for character in name.chars() {
            let turned = turned(character);
            if !character.is_ascii() && turned.chars().any(|c| c.is_ascii()) {
                return Err(NotIdentified::ambiguous(format!(
                    "the name {name:?} contains {character:?}, which a change of letter case turns into {turned:?}"
                )));
            }
            changed.push_str(&turned);
        }
        Ok(changed)
    }
}

/// Refuses names that users or policies could confuse with others.
fn check(what: &str, name: &str) -> Result<(), NotIdentified> {
    let ambiguous = |why: &str| Err(NotIdentified::ambiguous(format!("{what} {name:?} {why}")));
    if name.trim().is_empty() {
        return ambiguous("is empty");
    }
    if name.trim() != name {
        return ambiguous("begins or ends with a space");
    }
    if name.chars().any(|c| c.is_control() || is_invisible(c)) {
        return ambiguous("contains control characters");
    }
    if name.chars().count() > MAX_CHARS {
        return ambiguous("is longer than 255 characters");
    }
    Ok(())
}

/// Checks that a name can be a group's.
///
/// # Errors
/// Why it cannot.
pub fn check_group(name: &str) -> Result<(), NotIdentified> {
    check("the group", name)
}

/// Checks that a name can be a principal's and is not reserved.
///
/// # Errors
/// Why it cannot.
pub fn check_principal(name: &str) -> Result<(), NotIdentified> {
    check("the name", name)?;
    let prefix = RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if prefix || RESERVED.contains(&name) {
        return Err(NotIdentified::new(
            IdentityFault::ReservedName,
            format!("the name {name:?} is reserved"),
        ));
    }
    Ok(())
}

/// Characters without width, and those that change the writing direction.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_others_are_refused() {
        for name in [
            "",
            " ",
            " bob",
            "bob ",
            "bob\0",
            "bob\n",
            "bo\u{200b}b",
            "\u{202e}bob",
        ] {
            let refused = check_principal(name).unwrap_err();
            assert_eq!(refused.reason, IdentityFault::AmbiguousName, "{name:?}");
        }
        assert!(check_principal(&"x".repeat(255)).is_ok());
        assert!(check_principal(&"x".repeat(256)).is_err());
        assert!(check_principal("Jürgen Müller, O=x").is_ok());
    }

    #[test]
    fn names_that_mean_something_else_are_reserved() {
        for name in ["anonymous", "token:bob", "password:bob", "group:ci", "*"] {
            let refused = check_principal(name).unwrap_err();
            assert_eq!(refused.reason, IdentityFault::ReservedName, "{name:?}");
        }
        assert!(check_principal("ci:bob").is_ok());
    }

    #[test]
    fn letter_case_never_makes_one_name_of_two() {
        assert_eq!(Transform::Lower.apply("Bob ÄÖ").unwrap(), "bob äö");
        assert_eq!(Transform::Upper.apply("Bob äö").unwrap(), "BOB ÄÖ");
        // Kelvin sign, dotted capital I; long s, dotless i, a ligature.
        for name in ["\u{212a}arl", "\u{130}da"] {
            assert!(Transform::Lower.apply(name).is_err(), "{name}");
            assert_eq!(Transform::None.apply(name).unwrap(), name);
        }
        for name in ["\u{17f}am", "\u{131}da", "\u{fb01}n", "ß"] {
            assert!(Transform::Upper.apply(name).is_err(), "{name}");
        }
    }
}
