//! Why something was not published.

use thiserror::Error;
use verifier::Denial;

use crate::failure::ReadError;
use crate::keys::KeyError;

/// Why something was not published. Nothing is, unless everything is.
#[derive(Debug, Clone, Error)]
pub enum PublishError {
    /// What is published now does not verify, so nothing can be built on it.
    #[error("what is published now cannot be built on: {0}")]
    Denied(Denial),
    /// The server.
    #[error("{0}")]
    Server(#[from] ReadError),
    /// A key.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// Too few of a role's keys are at hand.
    #[error("{role} must be signed by {need} of its keys, and {have} are at hand; its keys are {ids}")]
    NoKey {
        /// The role.
        role: String,
        /// How many keys must sign.
        need: usize,
        /// How many could.
        have: usize,
        /// The IDs of its bare public keys.
        ids: String,
    },
    /// Nobody could read a role any more.
    #[error(
        "{role} could not be read any more: it is not signed by enough of the keys that it would have, and those are not at \
         hand. First add the new key beside the old one, let its owner sign ({role} needs any new document), and then remove \
         the old key"
    )]
    WouldBreak {
        /// The role.
        role: String,
    },
    /// Something that is not there.
    #[error("{what}")]
    NotThere {
        /// What, in a sentence.
        what: String,
    },
    /// A change that makes no sense.
    #[error("{0}")]
    Senseless(String),
    /// The repository exists already.
    #[error("{gun} has trust data already; it can be changed, and needs no beginning")]
    Exists {
        /// The repository.
        gun: String,
    },
    /// Somebody else was always faster.
    #[error("others published to {gun} at the same time, {attempts} times in a row; run this again")]
    Race {
        /// The repository.
        gun: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// A document that verifies and that this program cannot change.
    #[error("the document of {role} cannot be changed: {reason}")]
    Document {
        /// Its role.
        role: String,
        /// Why.
        reason: String,
    },
}
