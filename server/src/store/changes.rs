//! The changefeed: what happened to which GUN, in order.

use chrono::{DateTime, NaiveDateTime, Utc};
use std::collections::HashMap;

use diesel::{
    prelude::*,
    sql_types::{BigInt, Integer, Nullable, Text, Timestamp},
};
use platform::database::{Statement, exact};
use tuf::Gun;

use super::{
    Store, StoreError,
    schema::{change_actors, changefeed},
};

/// Who makes changes that no client asked for.
pub const SERVER: &str = "(server)";
/// About how many repositories one statement asks.
const TOGETHER: usize = 16;

/// When a repository was last published to by a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPublish {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom, if that is recorded.
    pub principal: Option<String>,
}

type LastTypes = (Integer, Nullable<Timestamp>, Nullable<Text>);
type Last = (i32, Option<NaiveDateTime>, Option<String>);

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The ID in the changefeed.
    pub id: i32,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// The repository.
    pub gun: String,
    /// The version of the new timestamp; 0 for a deletion.
    pub version: i32,
    /// The checksum of the new timestamp; empty for a deletion.
    pub sha256: String,
    /// `update` or `deletion`.
    pub category: String,
}

/// Who made a change, as far as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = change_actors)]
pub struct RecordedActor {
    /// The ID of the change in the changefeed.
    pub change_id: i32,
    /// The principal's name.
    pub principal: String,
    /// The subject of its certificate.
    pub certificate_subject: Option<String>,
    /// The issuer of the certificate.
    pub certificate_issuer: Option<String>,
    /// Its serial number, in hex.
    pub certificate_serial: Option<String>,
    /// The client's address and port.
    pub peer_address: Option<String>,
}

/// Which changes a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeQuery {
    /// The oldest ones.
    Oldest,
    /// The newest ones.
    Newest,
    /// Those after this ID.
    After(i32),
    /// Those right before this ID.
    Before(i32),
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = changefeed)]
pub(super) struct Row {
    id: i32,
    created_at: Option<NaiveDateTime>,
    gun: String,
    version: i32,
    sha256: Option<String>,
    category: String,
}

impl From<Row> for Change {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            created_at: row.created_at.unwrap_or_default().and_utc(),
            gun: row.gun,
            version: row.version,
            // Other database engines pad these columns with spaces.
            sha256: row.sha256.unwrap_or_default().trim_end().to_owned(),
            category: row.category,
        }
    }
}

impl Store {
    /// At most `count` changes of one GUN, or of all, always oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn changes(
        &self,
        gun: Option<&Gun>,
        query: ChangeQuery,
        count: u32,
    ) -> Result<Vec<Change>, StoreError> {
        let mut select = changefeed::table
            .select(Row::as_select())
            .limit(i64::from(count))
            .into_boxed();
        if let Some(gun) = gun {
            select = select.filter(exact(changefeed::gun, gun.as_str()));
        }
        let backwards = matches!(query, ChangeQuery::Newest | ChangeQuery::Before(_));
        select = match query {
            ChangeQuery::Oldest | ChangeQuery::Newest => select,
            ChangeQuery::After(id) => select.filter(changefeed::id.gt(id)),
            ChangeQuery::Before(id) => select.filter(changefeed::id.lt(id)),
        };
        select = if backwards {
            select.order(changefeed::id.desc())
        } else {
            select.order(changefeed::id.asc())
        };
        let mut changes: Vec<Change> = select
            .load(&mut *self.database.reader()?)?
            .into_iter()
            .map(Change::from)
            .collect();
        if backwards {
            changes.reverse();
        }
        Ok(changes)
    }

    /// When each of these repositories was last published to by a client.
    ///
    /// # Errors
    /// When the database fails.
    pub fn last_publishes(&self, guns: &[Gun]) -> Result<HashMap<Gun, LastPublish>, StoreError> {
        let begin = unions(
            "SELECT {position}, created_at, principal FROM (SELECT changefeed.created_at, change_actors.principal FROM \
             changefeed LEFT JOIN change_actors ON change_actors.change_id = changefeed.id \
             WHERE category = 'update' AND (principal IS NULL OR principal <> '(server)') AND ",
            ") AS last UNION ALL ",
        );
        let mut connection = self.database.reader()?;
        let mut found = HashMap::new();
        for guns in guns.chunks(TOGETHER) {
            let Some(last) = guns.last() else { break };
            let mut statement: Statement<'_, LastTypes> = Statement::new("");
            for (position, begin) in begin.iter().enumerate() {
                statement = statement
                    .sql(begin)
                    .exact("gun", guns.get(position).unwrap_or(last).as_str())
                    .sql(" ORDER BY changefeed.id DESC LIMIT 1");
            }
            let rows: Vec<Last> = statement.sql(") AS last").load(&mut *connection)?;
            for (position, at, principal) in rows {
                let gun = usize::try_from(position)
                    .ok()
                    .and_then(|position| guns.get(position));
                if let (Some(gun), Some(at)) = (gun, at) {
                    found.insert(
                        gun.clone(),
                        LastPublish {
                            at: at.and_utc(),
                            principal,
                        },
                    );
                }
            }
        }
        Ok(found)
    }

    /// How often updates of each of these repositories were published.
    ///
    /// # Errors
    /// When the database fails.
    pub fn counts_of_updates(&self, guns: &[Gun]) -> Result<HashMap<Gun, u64>, StoreError> {
        let begin = unions(
            "SELECT {position}, COUNT(*) FROM changefeed WHERE category = 'update' AND ",
            " UNION ALL ",
        );
        let mut connection = self.database.reader()?;
        let mut found = HashMap::new();
        for guns in guns.chunks(TOGETHER) {
            let Some(last) = guns.last() else { break };
            let mut statement: Statement<'_, (Integer, BigInt)> = Statement::new("");
            for (position, begin) in begin.iter().enumerate() {
                statement = statement
                    .sql(begin)
                    .exact("gun", guns.get(position).unwrap_or(last).as_str());
            }
            let rows: Vec<(i32, i64)> = statement.load(&mut *connection)?;
            for (position, count) in rows {
                if let Some(gun) = usize::try_from(position)
                    .ok()
                    .and_then(|position| guns.get(position))
                {
                    found.insert(gun.clone(), count.unsigned_abs());
                }
            }
        }
        Ok(found)
    }

    /// Who made the changes from ID `first` to ID `last`, of one GUN or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub fn actors_of(
        &self,
        gun: Option<&Gun>,
        first: i32,
        last: i32,
    ) -> Result<Vec<RecordedActor>, StoreError> {
        let mut actors = change_actors::table
            .inner_join(changefeed::table.on(changefeed::id.eq(change_actors::change_id)))
            .filter(changefeed::id.between(first, last))
            .select(RecordedActor::as_select())
            .into_boxed();
        if let Some(gun) = gun {
            actors = actors.filter(exact(changefeed::gun, gun.as_str()));
        }
        Ok(actors.load(&mut *self.database.reader()?)?)
    }
}

/// The beginnings of the parts of a statement that asks about several repositories, each with its position.
fn unions(part: &str, between: &str) -> Vec<String> {
    let begin = |position: usize| {
        let part = part.replace("{position}", &position.to_string());
        if position == 0 {
            part
        } else {
            format!("{between}{part}")
        }
    };
    (0..TOGETHER).map(begin).collect()
}
