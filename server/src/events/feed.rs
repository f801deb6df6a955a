//! Reads the events after a cursor.

use std::time::Instant;

use super::{Cursor, Event};
use crate::{
    state::{ServiceError, with_store},
    store::{Change, ChangeQuery, Store, StoreError},
};

/// The most changes read at a time.
const PAGE: u32 = 100;
/// The most changes read to find those that were missing: of half a minute.
const LATE_PAGE: u32 = 20_000;

/// The events of a database, from a cursor on.
#[derive(Clone)]
pub struct Feed {
    store: Store,
    cursor: Cursor,
    /// Whether only the changes of one repository are wanted.
    gun: Option<String>,
}

impl Feed {
    /// The events from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn from_now(store: &Store, gun: Option<String>) -> Result<Self, ServiceError> {
        let newest = newest(store).await?;
        Ok(Self::after(store, gun, newest))
    }

    /// The events after a change.
    pub fn after(store: &Store, gun: Option<String>, id: i32) -> Self {
        Self {
            store: store.clone(),
            cursor: Cursor::after(id),
            gun,
        }
    }

    /// From where on to go on after an interruption.
    pub fn settled(&self) -> i32 {
        self.cursor.settled()
    }

    /// The next events, oldest first; none if there are none at the moment. `true` if there may be more at once.
    ///
    /// # Errors
    /// When the database fails; the same events are read again then.
    pub async fn next(&mut self) -> Result<(Vec<Event>, bool), ServiceError> {
        let (mut cursor, gun) = (self.cursor.clone(), self.gun.clone());
        let (events, cursor, is_full) = with_store(&self.store, move |store| {
            let mut changes = match cursor.missing() {
                Some((first, last)) => store.changes_between(first, last, LATE_PAGE)?,
                None => Vec::new(),
            };
            let newer = store.changes(None, ChangeQuery::After(cursor.highest()), PAGE)?;
            let is_full = newer.len() == PAGE as usize;
            changes.extend(newer);
            let now = Instant::now();
            changes.retain(|change| cursor.take(change, now));
            cursor.give_up(now);
            let wanted = |change: &&Change| gun.as_ref().is_none_or(|gun| *gun == change.gun);
            let events = changes
                .iter()
                .filter(wanted)
                .map(|change| Ok(Event::new(change, &store.effect_of(change)?)))
                .collect::<Result<Vec<_>, StoreError>>()?;
            Ok((events, cursor, is_full))
        })
        .await?;
        self.cursor = cursor;
        Ok((events, is_full))
    }
}

/// The ID of the newest change; 0 if there is none.
///
/// # Errors
/// When the database fails.
pub async fn newest(store: &Store) -> Result<i32, ServiceError> {
    let newest = with_store(store, |store| store.changes(None, ChangeQuery::Newest, 1)).await?;
    Ok(newest.first().map_or(0, |change| change.id))
}
