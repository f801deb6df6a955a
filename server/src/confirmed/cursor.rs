//! How far somebody has been told of the changes.
//!
//! A change gets its ID before its transaction commits, so a lower ID may appear after a higher one. What is missing between
//! others is waited for, until no transaction can still be under way.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::store::Change;

/// How long a missing ID may still appear: longer than any transaction of a server takes.
pub const GRACE: Duration = Duration::from_secs(30);
/// The most missing IDs that are waited for at a time. Databases leave some out, clusters of them most.
const MISSING_LIMIT: usize = 10_000;

/// Which changes were told.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The highest ID that was told.
    highest: i32,
    /// The IDs below it that were not there, and since when that is known.
    missing: BTreeMap<i32, Instant>,
}

impl Cursor {
    /// Everything up to this ID was told.
    pub fn after(id: i32) -> Self {
        Self {
            highest: id,
            missing: BTreeMap::new(),
        }
    }

    /// The highest ID that was told.
    pub fn highest(&self) -> i32 {
        self.highest
    }

    /// From where on to go on after an interruption: up to here, everything was told or will never be there.
    pub fn settled(&self) -> i32 {
        self.missing
            .first_key_value()
            .map_or(self.highest, |(first, _)| first.saturating_sub(1))
    }

    /// The range of IDs that are waited for, if there are any.
    pub fn missing(&self) -> Option<(i32, i32)> {
        let first = self.missing.first_key_value()?;
        let last = self.missing.last_key_value()?;
        Some((*first.0, *last.0))
    }

    /// Whether a change is told now: it was not before.
    pub fn take(&mut self, change: &Change, now: Instant) -> bool {
        let id = change.id;
        if id <= self.highest {
            return self.missing.remove(&id).is_some();
        }
        let left = MISSING_LIMIT.saturating_sub(self.missing.len());
        let between = (self.highest.saturating_add(1)..id).rev().take(left);
        self.missing.extend(between.map(|id| (id, now)));
        self.highest = id;
        true
    }

    /// Gives up the IDs that have been missing for too long.
    pub fn give_up(&mut self, now: Instant) {
        self.missing
            .retain(|_, since| now.saturating_duration_since(*since) < GRACE);
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn change(id: i32) -> Change {
        Change {
            id,
            created_at: Utc::now(),
            gun: "g".into(),
            version: 1,
            sha256: String::new(),
            category: "update".into(),
        }
    }

    #[test]
    fn each_change_is_told_once_in_whatever_order_they_appear() {
        let (mut cursor, now) = (Cursor::after(5), Instant::now());
        assert!(!cursor.take(&change(5), now));
        for id in [6, 9, 8] {
            assert!(cursor.take(&change(id), now), "{id}");
            assert!(!cursor.take(&change(id), now), "{id}");
        }
        assert_eq!((cursor.settled(), cursor.missing()), (6, Some((7, 7))));
        assert!(cursor.take(&change(7), now));
        assert_eq!((cursor.settled(), cursor.missing()), (9, None));
    }

    #[test]
    fn what_never_appears_is_given_up_after_the_grace() {
        let (mut cursor, start) = (Cursor::after(0), Instant::now());
        cursor.take(&change(3), start);
        cursor.give_up(start + GRACE / 2);
        assert_eq!(cursor.settled(), 0);
        cursor.give_up(start + GRACE);
        assert_eq!(cursor.settled(), 3);
        assert!(!cursor.take(&change(2), start + GRACE));
    }

    #[test]
    fn a_leap_of_the_ids_costs_little() {
        let (mut cursor, now) = (Cursor::after(0), Instant::now());
        cursor.take(&change(i32::MAX), now);
        assert!(cursor.missing.len() <= MISSING_LIMIT);
        cursor.give_up(now + GRACE);
        assert_eq!(cursor.settled(), i32::MAX);
    }
}
