//! `GET /tuf…`: the TUF 1.0 repositories, and the pages of one.

mod activity;
mod documents;
mod head;
mod list;
mod signers;
mod targets;
mod trust_root;

pub use activity::activity;
pub use documents::{commands, documents};
pub use list::{ends, lines, list};
pub use signers::signers;
pub use targets::targets;
pub use trust_root::root;
