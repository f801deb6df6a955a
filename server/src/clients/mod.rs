//! Setting up the clients of a server: the notary and docker command lines, and the docker daemon.

pub mod directories;
mod install;
pub mod pair;
pub mod probe;
pub mod setup_script;
