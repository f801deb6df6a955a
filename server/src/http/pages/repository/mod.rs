//! `GET /repository…?gun=`: the pages of one repository, for readers who may pull it.

mod activity;
mod documents;
mod head;
mod history;
mod keys;
mod root;
mod signers;
mod tag;
mod tags;

pub use activity::{Made, activity, did};
pub use documents::{commands, documents};
pub use root::root;
pub use signers::signers;
pub use tag::tag;
pub use tags::tags;
