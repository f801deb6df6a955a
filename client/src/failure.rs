//! Why a server gave nothing that can be used.

use std::time::Duration;

use thiserror::Error;

/// Why a repository could not be read from, or written to, a server. `server` is its address, without credentials;
/// a sentence of the server's is its own, without control characters and at most 500 characters long.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The server has no trust data for this repository.
    #[error(
        "{server} has no trust data for {gun}: nobody has signed anything in this repository, or its name is spelled differently"
    )]
    NoTrustData {
        /// The server that was asked.
        server: String,
        /// The repository.
        gun: String,
    },
    /// The server, or its token service, does not know who asks.
    #[error(
        "{server} does not accept who asks ({sentence}); check the client certificate, token or password"
    )]
    Unauthorized {
        /// The server that was asked.
        server: String,
        /// What it said.
        sentence: String,
    },
    /// The server knows who asks, and refuses.
    #[error("{server} refuses: {sentence}; ask its operator for the right")]
    Forbidden {
        /// The server that was asked.
        server: String,
        /// What it said.
        sentence: String,
    },
    /// No answer, or one that says that the server cannot answer now.
    #[error("{server} cannot be asked: {cause}")]
    Unreachable {
        /// The server that was asked.
        server: String,
        /// Why, in words.
        cause: String,
    },
    /// An answer that does not follow the protocol.
    #[error("{server} gave an answer that is not of a Notary server: {what}")]
    Malformed {
        /// The server that was asked.
        server: String,
        /// What is wrong with it.
        what: String,
    },
    /// More data than a client takes.
    #[error("{what} of {server} is larger than {limit} bytes, which no client takes")]
    TooLarge {
        /// The server that was asked.
        server: String,
        /// Which document.
        what: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Everything together took longer than it may.
    #[error("{server} did not answer within {} seconds", .limit.as_secs_f32())]
    Deadline {
        /// The server that was asked.
        server: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A repository that cannot be named in an address.
    #[error(
        "{gun:?} is not a repository that a server can be asked for: one part of its name is empty, `.` or `..`"
    )]
    Name {
        /// The repository.
        gun: String,
    },
    /// The server did not accept an upload.
    #[error("{server} does not accept this: {sentence}")]
    Rejected {
        /// The server that was asked.
        server: String,
        /// The code of its error, `VERSION` if somebody else published first.
        code: String,
        /// What it said.
        sentence: String,
    },
}

impl ReadError {
    /// Whether the server may not even have been asked, so that what was read before may still serve for a while.
    /// Everything else is an answer, and stands until there is another one.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Deadline { .. })
    }
}
