//! Accounts and the keys registered to them.

/// The group that every account with administrator rights belongs to.
pub const ADMINS: &str = "admins";

/// The account that a key is registered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// The groups it was put in.
    pub groups: Vec<String>,
    /// Whether it must not be used.
    pub disabled: bool,
    /// Whether it has administrator rights.
    pub is_admin: bool,
}

impl Registered {
    /// The groups it was put in, and [`ADMINS`] for an administrator.
    pub fn all_groups(&self) -> Vec<String> {
        let mut groups = self.groups.clone();
        if self.is_admin && !groups.iter().any(|group| group == ADMINS) {
            groups.push(ADMINS.to_owned());
        }
        groups
    }
}
