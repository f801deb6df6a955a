//! The clients of a server: their certificate and key, the script that sets them up, and what they see.

pub mod pair;
pub mod probe;
pub mod setup_script;
