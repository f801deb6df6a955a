//! All SQL. Documents are stored and served byte for byte. Every read of several documents sees the database at one
//! moment.

mod account_keys;
mod accounts;
mod audit;
mod audit_chains;
mod audit_search;
mod bundle;
mod changes;
mod commit;
mod confirmation;
mod current_files;
mod current_set;
mod denials;
mod denied_subject;
mod effects;
mod import;
mod inventory;
mod leases;
mod native;
mod pending_keys;
mod pulls;
mod read;
mod rows;
mod schema;
mod security;
mod server_keys;
mod set_aside;
mod standing;
mod trusted_state;
mod webhooks;

use std::sync::Arc;

use diesel_migrations::embed_migrations;
use platform::database::{
    Database, DatabaseError, Location, Obstacle, Options, is_without_cluster,
    schema::{Migrations, Program},
};

pub use account_keys::{AccountKey, KeyAdded};
pub use accounts::{ADMINS, Account, AccountAdded, Registered};
pub use audit::{Accounted, AuditRow, Listed, MadeChange};
pub use audit_chains::FollowedChains;
pub use audit_search::{AuditQuery, FoundRecord, FoundRecords};
pub use bundle::{BUNDLE_LIMIT, documents_of};
pub use changes::{Change, ChangeQuery, LastPublish, RecordedActor, SERVER};
pub use commit::{Actor, Base, CommitError, Committed};
pub use confirmation::{Confirmation, Confirmer, NewestTimestamp};
pub use current_files::CurrentFiles;
pub use denials::Denial;
pub use denied_subject::DeniedSubject;
pub use effects::{Contents, Effect};
pub use import::{ImportError, Imported};
pub use inventory::Audited;
pub use native::{NativeChange, NativeFile, NativeRepository, TargetStored};
pub use pending_keys::{KeyQuota, PendingKey};
pub use read::{Chain, Found, Stored, Wanted};
pub use security::{DenialKey, Security, SecurityChange};
pub use trusted_state::{NewestDocuments, TrustedState};
pub use webhooks::Undelivered;

/// The migrations of this program's tables.
pub static MIGRATIONS: Migrations = Migrations {
    program: Program::Server,
    tables: &schema::WRITTEN,
    sqlite: embed_migrations!("../migrations/server/sqlite"),
    postgres: embed_migrations!("../migrations/server/postgres"),
    mysql: embed_migrations!("../migrations/server/mysql"),
};

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection could be established.
    #[error(transparent)]
    Connection(#[from] DatabaseError),
    /// A statement failed.
    #[error("the database failed: {0}")]
    Query(diesel::result::Error),
    /// A stored row is not what this program or Notary writes.
    #[error("the database holds a damaged row: {role} version {version} of {gun}: {reason}")]
    Damaged {
        /// The repository.
        gun: String,
        /// The role.
        role: String,
        /// The version.
        version: i32,
        /// What is wrong with it.
        reason: String,
    },
    /// Accounts, keys or denials were changed by somebody else meanwhile; nothing was changed.
    #[error("accounts, keys or denials were changed by somebody else meanwhile")]
    Overtaken,
    /// The documents of a repository are too large to be read in one piece.
    #[error("the documents take more than {BUNDLE_LIMIT} bytes")]
    LargeBundle,
}

impl From<diesel::result::Error> for StoreError {
    fn from(cause: diesel::result::Error) -> Self {
        match cause {
            // Only `raise_epoch` rolls back, when a change is not based on the last one.
            diesel::result::Error::RollbackTransaction => Self::Overtaken,
            other => Self::Query(other),
        }
    }
}

impl StoreError {
    /// Whether the database server is a node of a cluster, and does not take part in the cluster at the moment.
    pub fn is_without_cluster(&self) -> bool {
        match self {
            Self::Connection(cause) => matches!(cause, DatabaseError::WithoutCluster { .. }),
            Self::Query(cause) => is_without_cluster(cause),
            Self::Damaged { .. } | Self::Overtaken | Self::LargeBundle => false,
        }
    }
}

/// The metadata of all GUNs, and the records of changes.
#[derive(Clone)]
pub struct Store {
    database: Database,
    audit_table: bool,
    /// The number of the last change to accounts and denials on which the next one is based.
    expected_epoch: Option<i64>,
    /// Pulls that are not in the database yet.
    counted: Arc<pulls::Counted>,
}

impl Store {
    fn over(database: Database) -> Self {
        Self {
            database,
            audit_table: true,
            expected_epoch: None,
            counted: Arc::default(),
        }
    }

    /// Sets whether every change is also recorded in the table, which is the default.
    #[must_use]
    pub fn with_audit_table(mut self, kept: bool) -> Self {
        self.audit_table = kept;
        self
    }

    /// The same database, where a change to accounts, keys or denials is refused with [`StoreError::Overtaken`] unless
    /// the last one before it has this number: what decided about it is then still so.
    #[must_use]
    pub fn expecting(&self, epoch: i64) -> Self {
        Self {
            expected_epoch: Some(epoch),
            ..self.clone()
        }
    }

    /// Opens the database and brings its schema up to date. If it does not answer, opening is retried in the
    /// background; until it succeeds every operation fails with [`StoreError::Connection`].
    ///
    /// # Errors
    /// When the database cannot be used as it is.
    pub fn open(location: &Location, options: Options) -> Result<Self, StoreError> {
        let database = Database::open(location, &MIGRATIONS, options)?;
        Ok(Self::over(database))
    }

    /// Opens the database for a short-lived command; see [`Database::open_for_command`].
    ///
    /// # Errors
    /// When the database does not answer, or cannot be used.
    pub fn open_for_command(location: &Location, options: Options) -> Result<Self, StoreError> {
        let database = Database::open_for_command(location, &MIGRATIONS, options)?;
        Ok(Self::over(database))
    }

    /// The names of the migrations that the database lacks.
    ///
    /// # Errors
    /// When it does not answer, or was used by a newer version.
    pub fn missing_migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.database.missing_migrations(&MIGRATIONS)?)
    }

    /// Finds out, without writing, what would prevent the server from writing to this database.
    ///
    /// # Errors
    /// When the database does not answer, or was used by a newer version.
    pub fn obstacles(&self, options: Options) -> Result<Vec<Obstacle>, StoreError> {
        Ok(self.database.obstacles(&MIGRATIONS, options)?)
    }
}
