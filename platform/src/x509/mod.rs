//! What certificates say, written in one way everywhere: names, and hashes of keys.

mod key_hash;
mod name;
pub mod ocsp_nonce;
pub mod text;

pub use key_hash::{hash_of_key, hashes_of_key};
pub use name::{Written, name_text, older_name_text, read_name, write_name};
