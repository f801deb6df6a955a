//! Hash chains over the records of changes. Every repository has its own chain, and so have accounts and the deny
//! list. A change to one of them holds that one's lock anyway, so no chain forks and chains do not wait for one
//! another.

use openssl::sha::Sha256;
use tuf::Gun;

/// A chain of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// What happened to a repository.
    Gun(Gun),
    /// What happened to a TUF 1.0 repository.
    Native(Gun),
    /// What happened to accounts and their keys.
    Accounts,
    /// Changes to the deny list.
    Denials,
    /// Certificates that the server issued.
    Certificates,
}

impl Chain {
    /// The chain's name in the table. Its length is fixed however long a repository's name is.
    pub fn name(&self) -> String {
        let of = |kind: &str, gun: &Gun| {
            format!(
                "{kind}:{}",
                hex::encode(openssl::sha::sha256(gun.as_str().as_bytes()))
            )
        };
        match self {
            Self::Gun(gun) => of("gun", gun),
            Self::Native(name) => of("tuf", name),
            Self::Accounts => "accounts".to_owned(),
            Self::Denials => "denials".to_owned(),
            Self::Certificates => "certificates".to_owned(),
        }
    }
}

/// The hash of a row, in hex: SHA-256 over the previous row's hash in hex (empty for the first row), a line feed, and
/// the record as it is stored.
pub fn link(previous: &str, record: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(previous.as_bytes());
    hash.update(b"\n");
    hash.update(record.as_bytes());
    hex::encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_depends_on_the_record_and_on_everything_before_it() {
        let first = link("", "{}");
        assert_eq!(first.len(), 64);
        assert_ne!(first, link("", "{ }"));
        assert_ne!(link(&first, "{}"), link("", "{}"));
    }

    #[test]
    fn no_repository_has_the_chain_of_something_else() {
        let named = |name: &str| Chain::Gun(Gun::parse(name).unwrap()).name();
        assert_ne!(named("accounts"), Chain::Accounts.name());
        assert_ne!(named("a"), named("A"));
        assert_ne!(named("a"), Chain::Native(Gun::parse("a").unwrap()).name());
    }
}
