//! What an uploaded snapshot may say about documents that are not uploaded with it.

use serde_json::{Value, json};

use crate::support::{Key, Repository, part, rejected, sign, snapshot_body, stored, targets_body};

/// A repository whose publisher holds the snapshot key, with `targets` version 3 and a delegation that is published.
struct World {
    repository: Repository,
    delegate: Key,
}

impl World {
    fn new() -> Self {
        let delegate = Key::ecdsa();
        let mut repository = Repository::published();
        let declared = repository.targets_document(2, &[("targets/a", &[&delegate])]);
        repository.publish([
            part("targets", declared),
            part("targets/a", sign(&targets_body(1, &[]), &[&delegate])),
        ]);
        repository.publish([part(
            "targets",
            repository.targets_document(3, &[("targets/a", &[&delegate])]),
        )]);
        Self { repository, delegate }
    }

    fn bytes(&self, role: &str) -> Vec<u8> {
        if role == "root" {
            return self.repository.current.root.clone().unwrap().bytes.to_vec();
        }
        let found = self.repository.current.targets.iter();
        let mut found = found.filter(|(name, _)| name.as_str() == role);
        found.next().unwrap().1.bytes.to_vec()
    }

    /// The snapshot that is current, as its publisher would write the next one.
    fn snapshot(&self) -> Value {
        let roles = ["root", "targets", "targets/a"].map(|role| (role, self.bytes(role)));
        let roles = roles.each_ref().map(|(role, bytes)| (*role, bytes.as_slice()));
        snapshot_body(4, &roles)
    }

    fn check(&self, snapshot: &Value) -> Result<(), String> {
        let file = sign(snapshot, &[&self.repository.snapshot]);
        match self.repository.check([part("snapshot", file)]) {
            Ok(_) => Ok(()),
            refused => Err(rejected(refused).1),
        }
    }

    fn refused(&self, snapshot: &Value, reason: &str) {
        let text = self.check(snapshot).unwrap_err();
        assert!(text.contains(reason), "{text}");
    }
}

fn entry(bytes: &[u8]) -> Value {
    snapshot_body(1, &[("x", bytes)])["meta"]["x"].clone()
}

#[test]
fn a_snapshot_alone_may_say_what_the_stored_one_says() {
    let world = World::new();
    assert_eq!(world.check(&world.snapshot()), Ok(()));
}

#[test]
fn it_names_no_older_no_unknown_and_no_other_document() {
    let world = World::new();
    let older = world
        .repository
        .targets_document(2, &[("targets/a", &[&world.delegate])]);
    for bytes in [&older[..], b"never stored", &world.bytes("root")] {
        for role in ["targets", "targets/a"] {
            let mut snapshot = world.snapshot();
            snapshot["meta"][role] = entry(bytes);
            world.refused(&snapshot, &format!("sha256 checksum for {role} did not match"));
        }
    }
    let mut snapshot = world.snapshot();
    snapshot["meta"]["targets/b"] = entry(b"never stored");
    world.refused(&snapshot, "names a targets/b that is neither");
    let mut snapshot = world.snapshot();
    snapshot["meta"]["anything"] = entry(&world.bytes("targets"));
    world.refused(&snapshot, "names a anything that is neither");
}

#[test]
fn it_states_every_length_and_a_sha256() {
    let world = World::new();
    for role in ["root", "targets", "targets/a"] {
        for length in [0, 1, world.bytes(role).len() + 1] {
            let mut snapshot = world.snapshot();
            snapshot["meta"][role]["length"] = json!(length);
            world.refused(&snapshot, &format!("length of {role} did not match"));
        }
    }
    let mut snapshot = world.snapshot();
    let hashes = snapshot["meta"]["targets/a"]["hashes"].as_object_mut().unwrap();
    hashes.remove("sha256");
    world.refused(&snapshot, "no checksums for supported algorithms");
}

#[test]
fn it_leaves_out_no_delegation_that_readers_follow() {
    let mut world = World::new();
    let mut without = world.snapshot();
    without["meta"].as_object_mut().unwrap().remove("targets/a");
    world.refused(&without, "leaves out targets/a");

    // Whoever has it replaced, or nobody delegate to it any more, may.
    let next = |world: &World, targets: Vec<u8>| {
        let mut snapshot = without.clone();
        snapshot["meta"]["targets"] = entry(&targets);
        let snapshot = sign(&snapshot, &[&world.repository.snapshot]);
        world
            .repository
            .check([part("targets", targets), part("snapshot", snapshot)])
    };
    let other = Key::ecdsa();
    let replaced = world.repository.targets_document(4, &[("targets/a", &[&other])]);
    assert!(next(&world, replaced).is_ok());
    let removed = world.repository.targets_document(4, &[]);
    assert!(next(&world, removed).is_ok());
    let same = world
        .repository
        .targets_document(4, &[("targets/a", &[&world.delegate])]);
    assert!(rejected(next(&world, same)).1.contains("leaves out targets/a"));

    // What the stored snapshot names, but is not stored, readers do not find either.
    let delegation = world
        .repository
        .current
        .targets
        .keys()
        .find(|role| role.parent().is_some());
    let delegation = delegation.cloned().unwrap();
    world.repository.current.targets.remove(&delegation);
    assert_eq!(world.check(&without), Ok(()));
}

#[test]
fn entries_that_stand_already_are_carried_on() {
    let mut world = World::new();
    let mut odd = world.snapshot();
    odd["version"] = json!(4);
    odd["meta"]["targets/a"]["length"] = json!(1);
    odd["meta"]["targets/gone"] = entry(b"of a delegation that was removed");
    let file = sign(&odd, &[&world.repository.snapshot]);
    world.repository.store(stored("snapshot", 4, file));
    odd["version"] = json!(5);
    assert_eq!(world.check(&odd), Ok(()));
    let mut put_right = world.snapshot();
    put_right["version"] = json!(5);
    assert_eq!(world.check(&put_right), Ok(()));
}

#[test]
fn a_first_snapshot_names_what_comes_with_it() {
    let repository = Repository::empty();
    let (root, targets) = (repository.root_document(1), repository.targets_document(1, &[]));
    let publish = |more: &[(&str, &[u8])]| {
        let mut named = vec![("root", &root[..]), ("targets", &targets[..])];
        named.extend(more);
        repository.check([
            part("root", root.clone()),
            part("targets", targets.clone()),
            part(
                "snapshot",
                sign(&snapshot_body(1, &named), &[&repository.snapshot]),
            ),
        ])
    };
    assert!(publish(&[]).is_ok());
    let (kind, text) = rejected(publish(&[("targets/a", b"later")]));
    assert_eq!(kind, "ErrBadSnapshot");
    assert!(text.contains("names a targets/a that is neither"), "{text}");
}

#[test]
fn a_stored_snapshot_that_can_be_read_in_two_ways_is_not_carried_on() {
    let mut world = World::new();
    let file = String::from_utf8(sign(&world.snapshot(), &[&world.repository.snapshot])).unwrap();
    let twice = file.replacen(r#""meta":{"#, r#""meta":{},"meta":{"#, 1);
    assert_ne!(file, twice);
    world.repository.store(stored("snapshot", 4, twice.into_bytes()));
    // As the store does, which does not look up what such a snapshot names.
    world.repository.current.targets.clear();
    let targets = part("targets", world.repository.targets_document(4, &[]));
    let (kind, text) = rejected(world.repository.check([targets.clone()]));
    assert_eq!(kind, "ErrValidation");
    assert!(
        text.contains("notary key rotate docker.io/library/app snapshot"),
        "{text}"
    );
    // Its publisher names what comes with it, and nothing that only the stored one names.
    let root = world.bytes("root");
    let whole = snapshot_body(5, &[("root", &root), ("targets", &targets.1)]);
    let whole = part("snapshot", sign(&whole, &[&world.repository.snapshot]));
    assert!(world.repository.check([targets.clone(), whole]).is_ok());
    let alone = part(
        "snapshot",
        sign(
            &snapshot_body(5, &[("root", &root), ("targets", b"unknown")]),
            &[&world.repository.snapshot],
        ),
    );
    assert!(
        rejected(world.repository.check([alone]))
            .1
            .contains("names a targets that is neither")
    );
}
