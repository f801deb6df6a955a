//! Setting up the clients of a server: the notary and docker command lines, and the docker daemon.

pub mod setup_script;
