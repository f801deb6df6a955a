//! Why a database gives no answer.

/// Why the database cannot be used. No message holds a password.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be reached. May pass by itself.
    #[error("the database {place} does not answer: {reason}")]
    Away {
        /// Engine, host, port and database name.
        place: String,
        /// Why not, in words.
        reason: String,
    },
    /// It answers, and lets this program not in. May pass without a restart, when somebody changes the database.
    #[error("the database {place} refuses the connection: {reason}")]
    Refused {
        /// Engine, host, port and database name.
        place: String,
        /// Why, in the words of the database.
        reason: String,
    },
    /// The file of an embedded database is missing or wrong.
    #[error("the database {place} cannot be used: {reason}")]
    Unusable {
        /// Engine and file.
        place: String,
        /// Why, in words.
        reason: String,
    },
    /// All connections are in use, and stay so.
    #[error("all connections to the database {place} are in use")]
    Busy {
        /// Engine, host, port and database name, or the file.
        place: String,
    },
    /// The schema was changed by a newer version of this program.
    #[error(
        "the database has migrations that this version does not know ({unknown}): \
         it was used by a newer version; run that one, or restore a backup"
    )]
    Newer {
        /// Their numbers.
        unknown: String,
    },
    /// The schema lacks something, and it was not allowed or not possible to add it.
    #[error(
        "the database lacks the migrations {pending}: \
         run \"{program} migrate up --config FILE\" with an account that may create tables{reason}"
    )]
    Outdated {
        /// Their names.
        pending: String,
        /// The name of the program that brings them.
        program: &'static str,
        /// Why it could not be done now; empty if it was not tried.
        reason: String,
    },
    /// A statement about the schema failed for another reason.
    #[error("the schema cannot be read: {0}")]
    Schema(String),
    /// The operating system refuses something every process gets.
    #[error("the operating system refuses: {0}")]
    System(String),
}

impl DatabaseError {
    /// Whether it may pass without anybody changing the database's schema or rights.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Away { .. } | Self::Refused { .. } | Self::Busy { .. } | Self::Schema(_)
        )
    }
}
