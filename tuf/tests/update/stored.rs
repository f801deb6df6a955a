//! Reading stored documents.

use tuf::{
    MetadataError, RoleName, Version, delegated_roles, expires, named_in_snapshot, named_snapshot, role_keys,
    stated_version,
};

use crate::support::{Key, Repository, now};

#[test]
fn a_root_tells_the_keys_of_its_roles() {
    let repository = Repository::empty();
    let root = repository.root_document(1);
    assert_eq!(
        role_keys(&root, &RoleName::Timestamp).unwrap(),
        [repository.timestamp.public]
    );
    assert_eq!(
        role_keys(&root, &RoleName::Root).unwrap(),
        [repository.root.public]
    );
    let delegation = RoleName::parse("targets/a").unwrap();
    assert_eq!(
        role_keys(&root, &delegation),
        Err(MetadataError::NoRole(delegation))
    );
    assert!(role_keys(b"{}", &RoleName::Root).is_err());
}

#[test]
fn a_targets_document_tells_its_version_and_its_delegations() {
    let repository = Repository::empty();
    let key = Key::ecdsa();
    let targets = repository.targets_document(7, &[("targets/a", &[&key]), ("targets/b", &[&key])]);
    let names = delegated_roles(&RoleName::Targets, &targets).unwrap();
    let names: Vec<&str> = names.iter().map(RoleName::as_str).collect();
    assert_eq!(names, ["targets/a", "targets/b"]);
    assert_eq!(
        stated_version(&targets, &RoleName::Targets).map(Version::get),
        Ok(7)
    );
    assert!(stated_version(b"{}", &RoleName::Targets).is_err());
}

#[test]
fn the_chain_from_the_timestamp_leads_to_every_document() {
    let current = Repository::published().current;
    let (snapshot, timestamp) = (current.snapshot.unwrap(), current.timestamp.unwrap());
    assert_eq!(named_snapshot(&timestamp.bytes).unwrap(), snapshot.sha256);
    let named = |role: &RoleName| named_in_snapshot(&snapshot.bytes, role).unwrap();
    assert_eq!(named(&RoleName::Root), Some(current.root.unwrap().sha256));
    assert_eq!(
        named(&RoleName::Targets),
        Some(current.targets[&RoleName::Targets].sha256)
    );
    assert_eq!(named(&RoleName::parse("targets/a").unwrap()), None);
    assert_eq!(
        expires(&timestamp.bytes).unwrap(),
        now() + tuf::TIMESTAMP_LIFETIME
    );
}

#[test]
fn documents_of_another_role_are_refused() {
    let current = Repository::published().current;
    let (snapshot, timestamp) = (current.snapshot.unwrap(), current.timestamp.unwrap());
    assert!(named_snapshot(&snapshot.bytes).is_err());
    assert!(named_in_snapshot(&timestamp.bytes, &RoleName::Root).is_err());
}
