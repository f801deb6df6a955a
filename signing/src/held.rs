//! A key that the signer has, and the repository and role for which it made the key.

use tuf::{Gun, PublicKey, RoleName};

/// A key that the signer has.
#[derive(Debug, Clone)]
pub struct HeldKey {
    /// The public half.
    pub public: PublicKey,
    /// The role it was made for; `None` when the signer does not say.
    pub role: Option<String>,
    /// The GUN it was made for. Notary signers do not say.
    pub gun: Option<String>,
}

impl HeldKey {
    /// Whether the key was made for this GUN and role; `None` when the signer does not say enough.
    pub fn made_for(&self, gun: &Gun, role: &RoleName) -> Option<bool> {
        let same = |said: &Option<String>, wanted: &str| said.as_deref().map(|said| said == wanted);
        match (same(&self.role, role.as_str()), same(&self.gun, gun.as_str())) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tuf::KeyType;

    use super::*;

    #[test]
    fn a_key_is_anothers_if_either_differs_and_ours_if_both_are_known() {
        let gun = Gun::parse("example.com/app").unwrap();
        let made_for = |role: Option<&str>, of: Option<&str>| {
            let key = HeldKey {
                public: PublicKey::new(KeyType::Ed25519, vec![0; 32]),
                role: role.map(str::to_owned),
                gun: of.map(str::to_owned),
            };
            key.made_for(&gun, &RoleName::Snapshot)
        };
        let (ours, other) = (Some("example.com/app"), Some("example.com/App"));
        assert_eq!(made_for(Some("snapshot"), ours), Some(true));
        assert_eq!(made_for(Some("timestamp"), ours), Some(false));
        assert_eq!(made_for(Some("timestamp"), None), Some(false));
        assert_eq!(made_for(Some("snapshot"), other), Some(false));
        assert_eq!(made_for(None, other), Some(false));
        assert_eq!(made_for(Some("snapshot"), None), None);
        assert_eq!(made_for(None, ours), None);
    }
}
