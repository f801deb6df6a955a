//! Embedded migrations are read when the crate is compiled: it has to be when they change.

fn main() {
    println!("cargo:rerun-if-changed=../migrations/server");
}
