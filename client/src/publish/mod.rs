//! Publishes to a repository: reads and verifies what is there, changes it, signs it with the keys at hand.

mod certificate;
mod change;
mod draft;
mod editor;
mod error;
mod listed;
mod seal;
mod wire;

pub use certificate::root_certificate;
pub use change::{Change, Target};
pub use editor::{Editor, Published};
pub use error::PublishError;
