//! Validates a publish and makes the documents that the publisher leaves to the server.
//!
//! The stages are types: [`check`] makes a [`CheckedUpdate`], signing its snapshot makes a [`SnapshottedUpdate`], and
//! signing its timestamp makes a [`SignedUpdate`], the only one that can be stored.

mod check;
mod current;
mod draft;
mod hierarchy;
mod snapshot;
mod stages;
mod steps;

pub use check::check;
pub use current::Current;
pub(crate) use draft::{DraftError, TimestampDraft, snapshot_request};
pub use draft::{SNAPSHOT_LIFETIME, TIMESTAMP_LIFETIME};
pub(crate) use snapshot::load_snapshot;
pub use stages::{CheckedUpdate, SignedUpdate, SnapshottedUpdate};
pub use steps::check_steps;
