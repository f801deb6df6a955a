//! Keys, documents and repositories to test with.

mod documents;
mod keys;
mod repository;

pub use documents::{delegation, root_body, sign, snapshot_body, targets_body, write};
pub use keys::{Certificate, Key};
pub use repository::{Repository, now, part, rejected, stored, upload};
