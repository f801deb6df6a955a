//! Sessions on a node of a Galera cluster (MariaDB Galera Cluster and its relatives).
//!
//! A commit is on every node before it is acknowledged, but another node may apply it a moment later. So without more, a
//! read through another node may show an older state. `wsrep_sync_wait` makes a statement, and the beginning of a
//! transaction, wait until the node has applied whatever was committed anywhere before.

use diesel::{MysqlConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_types::Text};

use super::reason::Failure;

/// Which statements wait: reads and BEGIN (1), UPDATE and DELETE (2), INSERT and REPLACE (4). All that decide anything
/// by what is stored, and that are not within a transaction, which has waited at its beginning.
const SYNC_WAIT: u32 = 1 | 2 | 4;
/// What a node says while it does not belong to the part of the cluster that has the majority (error 1047).
const NOT_PREPARED: &str = "WSREP has not yet prepared node";

/// Whether a statement failed because the node does not take part in its cluster at the moment.
pub fn is_without_cluster(error: &diesel::result::Error) -> bool {
    match error {
        diesel::result::Error::DatabaseError(_, information) => information.message().contains(NOT_PREPARED),
        diesel::result::Error::RollbackErrorOnCommit { commit_error, .. } => is_without_cluster(commit_error),
        _ => false,
    }
}

#[derive(QueryableByName)]
struct Pair {
    #[diesel(sql_type = Text, column_name = "Variable_name")]
    name: String,
    #[diesel(sql_type = Text, column_name = "Value")]
    value: String,
}

/// Whether the engine is a node of a cluster. MySQL does not know the variable, and MariaDB without a cluster has it off.
pub(super) fn is_node(connection: &mut MysqlConnection) -> diesel::QueryResult<bool> {
    let found: Vec<Pair> = diesel::sql_query("SHOW VARIABLES LIKE 'wsrep_on'").load(connection)?;
    Ok(found.iter().any(|pair| pair.value == "ON"))
}

/// Sets the session up if the engine is a node of a cluster; `Err` if the node cannot be used at the moment.
pub(super) fn set_up(connection: &mut MysqlConnection) -> Result<(), Failure> {
    let text = |cause: diesel::result::Error| Failure::Refused(cause.to_string());
    if !is_node(connection).map_err(text)? {
        return Ok(());
    }
    let status: Vec<Pair> =
        diesel::sql_query("SHOW STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_cluster_status')")
            .load(connection)
            .map_err(text)?;
    let is_ready = status
        .iter()
        .any(|pair| pair.name == "wsrep_ready" && pair.value == "ON");
    if !is_ready {
        let known: Vec<String> = status
            .iter()
            .map(|pair| format!("{} is {}", pair.name, pair.value))
            .collect();
        return Err(Failure::WithoutCluster(format!(
            "this node of the Galera cluster does not take part in the cluster at the moment ({})",
            known.join(", ")
        )));
    }
    connection
        .batch_execute(&format!(
            "SET SESSION wsrep_sync_wait = @@SESSION.wsrep_sync_wait | {SYNC_WAIT};
             SET SESSION wsrep_dirty_reads = OFF"
        ))
        .map_err(text)
}

#[cfg(test)]
mod tests {
    use diesel::result::{DatabaseErrorKind, Error};

    use super::*;

    #[test]
    fn a_node_without_its_cluster_is_told_from_other_failures() {
        let says =
            |message: &str| Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
        assert!(is_without_cluster(&says(
            "WSREP has not yet prepared node for application use"
        )));
        assert!(!is_without_cluster(&says("Unknown command")));
        assert!(!is_without_cluster(&Error::NotFound));
    }
}
