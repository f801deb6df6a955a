//! What a key is made for.

/// The longest GUN and role the database holds, in characters.
const LIMIT: usize = 255;

/// The GUN and role a key is made for. Opaque to the signer, which only compares them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyPurpose {
    gun: String,
    role: String,
}

/// The GUN or role cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {0} must have at most {LIMIT} characters and no NUL among them")]
pub struct InvalidPurpose(&'static str);

impl KeyPurpose {
    /// Any text that the database can hold, the empty one included.
    ///
    /// # Errors
    /// When one of them is too long or contains NUL, which PostgreSQL cannot store.
    pub fn new(gun: String, role: String) -> Result<Self, InvalidPurpose> {
        let fits = |text: &str| text.chars().count() <= LIMIT && !text.contains('\0');
        match (fits(&gun), fits(&role)) {
            (false, _) => Err(InvalidPurpose("GUN")),
            (_, false) => Err(InvalidPurpose("role")),
            (true, true) => Ok(Self { gun, role }),
        }
    }

    /// A purpose from the database.
    pub(super) fn stored(gun: String, role: String) -> Self {
        Self { gun, role }
    }

    /// The GUN.
    pub fn gun(&self) -> &str {
        &self.gun
    }

    /// The role; empty for keys of Notary signers before version 0.4.
    pub fn role(&self) -> &str {
        &self.role
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_can_hold_is_accepted() {
        for (gun, role) in [
            ("", ""),
            ("example.com/ä", "targets/../x"),
            (&"ä".repeat(255), "root"),
        ] {
            assert!(KeyPurpose::new(gun.into(), role.into()).is_ok(), "{gun}");
        }
    }

    #[test]
    fn what_it_cannot_hold_is_refused() {
        assert_eq!(
            KeyPurpose::new("a".repeat(256), String::new()),
            Err(InvalidPurpose("GUN"))
        );
        assert_eq!(
            KeyPurpose::new("a\0b".into(), String::new()),
            Err(InvalidPurpose("GUN"))
        );
        assert_eq!(
            KeyPurpose::new("a".into(), "r".repeat(256)),
            Err(InvalidPurpose("role"))
        );
    }
}
