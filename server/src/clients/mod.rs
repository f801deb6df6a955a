//! What this program knows about clients: their certificate and key, the script that sets them up, and what they see
//! of a server.

pub mod pair;
pub mod probe;
pub mod setup_script;
