//! Which failures mean that another transaction came first.

use diesel::result::{DatabaseErrorKind, Error};

/// The engines' messages about deadlocks and lock waits for which diesel has no error kind: PostgreSQL 40P01,
/// MySQL 1213 (within batches), 1205 and 1022. Our MySQL sessions set the language of messages to English. In a Galera
/// cluster 1213 also means that a transaction of another node came first; it may come with COMMIT.
const MESSAGES: [&str; 6] = [
    "deadlock detected",
    "Deadlock found when trying to get lock",
    "Lock wait timeout exceeded",
    "duplicate key in table",
    "Record has changed since last read",
    "WSREP detected deadlock/conflict",
];

/// Whether a statement failed because another transaction came first: it inserted the same row, or the two
/// transactions could not be serialized.
pub fn is_conflict(error: &Error) -> bool {
    match error {
        Error::DatabaseError(
            DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::SerializationFailure,
            _,
        ) => true,
        Error::DatabaseError(_, information) => {
            let message = information.message();
            MESSAGES.iter().any(|known| message.contains(known))
        }
        Error::RollbackErrorOnCommit { commit_error, .. } => is_conflict(commit_error),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(message: &str) -> Error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[test]
    fn lost_races_are_told_from_failures() {
        assert!(is_conflict(&unknown("deadlock detected")));
        assert!(is_conflict(&unknown(
            "Deadlock found when trying to get lock; try restarting transaction"
        )));
        assert!(is_conflict(&unknown(
            "Lock wait timeout exceeded; try restarting transaction"
        )));
        assert!(is_conflict(&unknown(
            "Can't write; duplicate key in table 'tuf_files'"
        )));
        assert!(!is_conflict(&unknown("disk full")));
        assert!(!is_conflict(&Error::NotFound));
    }
}
