//! Which lines a reader may see. The policy is asked once for each reader, line and generation, since with a hundred
//! thousand repositories asking it takes longer than everything else on a page.

use std::sync::{Arc, Mutex, PoisonError};

use moka::sync::Cache;

use super::Summary;

/// How many readers are remembered. Each takes a byte for each repository.
const READERS: u64 = 64;

/// What readers see.
pub(super) struct Sights(Cache<String, Arc<Sight>>);

impl Default for Sights {
    fn default() -> Self {
        Self(Cache::new(READERS))
    }
}

impl Sights {
    pub(super) fn of(&self, who: String) -> Arc<Sight> {
        self.0.get_with(who, Arc::default)
    }
}

/// What a reader sees: for each line's number, whether that is known, and what.
#[derive(Debug, Default)]
pub struct Sight(Mutex<Vec<Mark>>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    Unknown,
    Seen,
    Hidden,
}

impl Sight {
    /// Those of the lines that the reader sees; `may` is asked about those that are not known yet.
    pub fn of<'a>(
        &self,
        lines: impl Iterator<Item = (&'a str, &'a Summary)>,
        may: impl Fn(&str) -> bool,
    ) -> Vec<(&'a str, &'a Summary)> {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = Vec::new();
        for (gun, summary) in lines {
            let place = usize::try_from(summary.number).unwrap_or(usize::MAX);
            if place >= marks.len() {
                marks.resize(place.saturating_add(1), Mark::Unknown);
            }
            let Some(mark) = marks.get_mut(place) else {
                continue;
            };
            if *mark == Mark::Unknown {
                *mark = if may(gun) { Mark::Seen } else { Mark::Hidden };
            }
            if *mark == Mark::Seen {
                seen.push((gun, summary));
            }
        }
        seen
    }
}
