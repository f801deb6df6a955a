//! What publishers, delegates and readers do, with a server that may be ours alone or take turns with Notary's.

pub mod delegations;
pub mod docker;
pub mod repositories;

use crate::{Notary, TestServer};

/// Plain, deep, dotted, dashed, with upper case, with a port, and one the prefix of another.
pub const GUNS: [&str; 6] = [
    "app",
    "registry.example.com/team/sub/app",
    "a.b-c_d/e.f-g_h",
    "Registry.Example.COM:5000/Team/App",
    "registry.example.com/team/sub/app-two",
    "10.0.0.1:443/x/y",
];

/// One of each shape, for the longer flows.
pub const SHAPES: [&str; 3] = [GUNS[1], GUNS[2], GUNS[3]];

/// A repository with one target, whose snapshot key the server holds.
pub(crate) fn repository(notary: &Notary, gun: &str) {
    notary.run(["init", gun, "-p"]).ok();
    notary
        .run(["key", "rotate", gun, "snapshot", "-r"])
        .ok()
        .says("Successfully rotated snapshot key");
    notary.add_and_publish(gun, "first", "the first content");
}

pub(crate) fn import(notary: &Notary, key: &str, role: &str, gun: &str) {
    notary
        .run(["key", "import", key, "--role", role, "--gun", gun])
        .ok();
}

/// Names in an order of their own.
pub fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// A person's machine that knows nothing of this GUN yet.
pub(crate) fn machine(server: &TestServer, name: &str, gun: &str) -> Notary {
    server.notary(name).elsewhere(&format!("{name}-{}", gun.len()))
}
