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
    /// It answers and refuses the login. May pass without a restart, when somebody changes the database.
    #[error("the database {place} refuses the connection: {reason}")]
    Refused {
        /// Engine, host, port and database name.
        place: String,
        /// Why, in the words of the database.
        reason: String,
    },
    /// It is a node of a cluster, and does not take part in the cluster. May pass by itself.
    #[error("the database {place} cannot be used: {reason}")]
    WithoutCluster {
        /// Engine, host, port and database name.
        place: String,
        /// What it says of itself.
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
    /// All connections are in use, and none became free in time.
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
    /// Migrations are missing, and this program may not or could not apply them.
    #[error(
        "the database lacks the migrations {pending}: \
         run \"{program} migrate up --config FILE\" with an account that may create tables{reason}"
    )]
    Outdated {
        /// Their names.
        pending: String,
        /// The name of the program whose `migrate up` applies them.
        program: &'static str,
        /// Why they could not be applied now; empty if that was not tried.
        reason: String,
    },
    /// It answers, and refuses some of what the program writes.
    #[error("the database refuses what is written to it: {0}")]
    Obstructed(String),
    /// A statement about the schema failed for another reason.
    #[error("the schema cannot be read: {0}")]
    Schema(String),
    /// The operating system refuses a basic resource, such as a thread.
    #[error("the operating system refuses: {0}")]
    System(String),
}

impl DatabaseError {
    /// Whether the failure may pass without a restart of this program.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Away { .. }
                | Self::Refused { .. }
                | Self::WithoutCluster { .. }
                | Self::Busy { .. }
                | Self::Schema(_)
        )
    }
}
