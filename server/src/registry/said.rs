//! What the registry said about the tags of its repositories, kept in memory so that a list of all repositories can tell
//! which have tags that nobody signed. `background/registry_tags` asks; nothing here does.
//!
//! A tag is kept as a number of 64 bits that is made of its name with a key of this process. What is signed is compared as
//! it is now (`confirmed/catalogue`), so a signature that is added or withdrawn counts at once, and only what the registry
//! said has an age.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;

/// How long what a registry said is taken for good.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// How long asking goes on after somebody wanted to know.
const WANTED: Duration = Duration::from_secs(2 * 3600);
/// How long a repository waits after a failure; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// How many tags are kept in all, of 8 bytes each.
const MOST_KEPT: usize = 8 * 1024 * 1024;

/// The number that stands for the name of a tag in this process. Nobody outside can find two names with the same one.
pub fn tag_number(name: &str) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYS.hash_one(name)
}

/// The numbers of these tags, sorted, each once.
pub fn tag_numbers<'a>(names: impl Iterator<Item = &'a str>) -> Box<[u64]> {
    let mut numbers: Vec<u64> = names.map(tag_number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into()
}

/// The tags that a repository had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Their numbers, sorted.
    pub tags: Box<[u64]>,
    /// Whether these are all.
    pub complete: bool,
}

/// What is known about the tags of a repository that nobody signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsigned {
    /// There are so many.
    Known {
        /// How many.
        count: u32,
        /// Whether these are all; otherwise the registry has more tags than are looked at.
        complete: bool,
        /// When the registry said so.
        asked_at: DateTime<Utc>,
    },
    /// The registry was not asked yet, or not since the repository was changed.
    NotAsked,
    /// It was asked, and did not tell.
    Failed,
}

/// What the registry said.
#[derive(Default)]
pub struct Said {
    kept: Mutex<Kept>,
    /// Wakes whoever asks the registry.
    wanted: Notify,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Box<str>, Entry>,
    /// How many tags the entries hold.
    tags: usize,
    wanted_at: Option<Instant>,
}

#[derive(Default)]
struct Entry {
    word: Option<Word>,
    /// When the repository was last changed through this server.
    changed_at: Option<Instant>,
    failures: u32,
    /// After a failure, when it may be asked again.
    not_before: Option<Instant>,
}

struct Word {
    listed: Listed,
    /// When the question was sent, which the answer is not older than.
    asked: Instant,
    asked_at: DateTime<Utc>,
}

impl Entry {
    /// What was said last, if the repository was not changed through this server since.
    fn word(&self) -> Option<&Word> {
        let word = self.word.as_ref()?;
        self.changed_at
            .is_none_or(|changed| changed < word.asked)
            .then_some(word)
    }

    /// When the registry is to be asked next; `None` is now.
    fn next(&self) -> Option<Instant> {
        let ages = self.word().map(|word| word.asked + MAX_AGE);
        ages.max(self.not_before)
    }
}

impl Said {
    /// Somebody wants to know: for a while from now on, the registry is asked.
    pub fn want(&self) {
        self.kept().wanted_at = Some(Instant::now());
        self.wanted.notify_one();
    }

    /// A repository is being changed through this server, until what this returns is dropped.
    pub fn changing(&self, gun: String) -> Changing<'_> {
        Changing { said: self, gun }
    }

    /// A repository was changed through this server: what was said before may not be so any more.
    fn changed(&self, gun: &str) {
        let mut kept = self.kept();
        let Some(entry) = kept.entries.get_mut(gun) else {
            return;
        };
        entry.changed_at = Some(Instant::now());
        drop(kept);
        self.wanted.notify_one();
    }

    /// Waits until somebody wants to know, or a repository is changed meanwhile, but no longer than `most`.
    pub async fn woken(&self, most: Duration) {
        // Both are a reason to look again.
        let _ = tokio::time::timeout(most, self.wanted.notified()).await;
    }

    /// Whether somebody wanted to know lately.
    pub fn is_wanted(&self) -> bool {
        self.kept().wanted_at.is_some_and(|at| at.elapsed() < WANTED)
    }

    /// Which of these repositories are to be asked about now, those first that were never asked or longest ago, at most so
    /// many. Repositories that are not among these are forgotten.
    pub fn due<'a>(&self, guns: impl Iterator<Item = &'a str>, most: usize) -> Vec<String> {
        let now = Instant::now();
        let mut kept = self.kept();
        let mut before = std::mem::take(&mut kept.entries);
        let mut due: Vec<(Option<Instant>, &str)> = Vec::new();
        kept.entries.reserve(before.len());
        kept.tags = 0;
        for gun in guns {
            let (name, entry) = before
                .remove_entry(gun)
                .unwrap_or_else(|| (gun.into(), Entry::default()));
            if entry.next().is_none_or(|next| next <= now) {
                due.push((entry.next(), gun));
            }
            kept.tags += entry.word.as_ref().map_or(0, |word| word.listed.tags.len());
            kept.entries.insert(name, entry);
        }
        // The next to be asked come first; `None` is before everything.
        if due.len() > most {
            due.select_nth_unstable(most);
            due.truncate(most);
        }
        due.sort_unstable();
        due.into_iter().map(|(_, gun)| gun.to_owned()).collect()
    }

    /// Keeps what the registry said to a question that was sent at `asked`; `None` if it did not tell.
    pub fn heard(&self, gun: &str, (asked, asked_at): (Instant, DateTime<Utc>), listed: Option<Listed>) {
        let mut kept = self.kept();
        let Kept { entries, tags, .. } = &mut *kept;
        let Some(entry) = entries.get_mut(gun) else { return };
        let held = entry.word.as_ref().map_or(0, |word| word.listed.tags.len());
        let fits = |listed: &Listed| *tags - held + listed.tags.len() <= MOST_KEPT;
        match listed.filter(fits) {
            Some(listed) => {
                *tags = *tags - held + listed.tags.len();
                entry.failures = 0;
                entry.not_before = None;
                entry.word = Some(Word {
                    listed,
                    asked,
                    asked_at,
                });
            }
            None => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << entry.failures.min(10));
                entry.failures = entry.failures.saturating_add(1);
                entry.not_before = Some(Instant::now() + doubled.min(LONGEST_PAUSE));
            }
        }
    }

    /// How many of a repository's tags nobody signed, `signed` being the numbers of those that are signed now, sorted.
    pub fn unsigned(&self, gun: &str, signed: &[u64]) -> Unsigned {
        self.at_once().unsigned(gun, signed)
    }

    /// The same for many repositories. Nothing else is heard while this is held.
    pub fn at_once(&self) -> AtOnce<'_> {
        AtOnce(self.kept())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change to a repository that is under way.
pub struct Changing<'a> {
    said: &'a Said,
    gun: String,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.said.changed(&self.gun);
    }
}

/// What the registry said, as it stands.
pub struct AtOnce<'a>(MutexGuard<'a, Kept>);

impl AtOnce<'_> {
    /// Whether a repository is one of those that are asked about.
    pub fn knows(&self, gun: &str) -> bool {
        self.0.entries.contains_key(gun)
    }

    /// As [`Said::unsigned`].
    pub fn unsigned(&self, gun: &str, signed: &[u64]) -> Unsigned {
        let Some(entry) = self.0.entries.get(gun) else {
            return Unsigned::NotAsked;
        };
        match entry.word() {
            Some(word) => Unsigned::Known {
                count: u32::try_from(missing(&word.listed.tags, signed)).unwrap_or(u32::MAX),
                complete: word.listed.complete,
                asked_at: word.asked_at,
            },
            None if entry.failures > 0 => Unsigned::Failed,
            None => Unsigned::NotAsked,
        }
    }
}

/// How many of the first are not among the second; both are sorted.
fn missing(tags: &[u64], signed: &[u64]) -> usize {
    let mut signed = signed.iter().peekable();
    let is_missing = |tag: &&u64| {
        while signed.next_if(|number| *number < *tag).is_some() {}
        signed.peek() != Some(tag)
    };
    tags.iter().filter(is_missing).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUN: &str = "reg.example/app";

    fn listed(names: &[&str]) -> Option<Listed> {
        Some(Listed {
            tags: tag_numbers(names.iter().copied()),
            complete: true,
        })
    }

    fn now() -> (Instant, DateTime<Utc>) {
        (Instant::now(), DateTime::UNIX_EPOCH)
    }

    fn known(count: u32) -> Unsigned {
        Unsigned::Known {
            count,
            complete: true,
            asked_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_signed_is_compared_as_it_is_now() {
        let said = Said::default();
        assert_eq!(said.unsigned(GUN, &[]), Unsigned::NotAsked);
        assert_eq!(said.due([GUN].into_iter(), 9), [GUN]);
        said.heard(GUN, now(), listed(&["1.0", "1.1", "2.0"]));
        let signed = |names: &[&str]| tag_numbers(names.iter().copied());
        assert_eq!(said.unsigned(GUN, &[]), known(3));
        assert_eq!(said.unsigned(GUN, &signed(&["0.9", "1.1", "3.0"])), known(2));
        assert_eq!(
            said.unsigned(GUN, &signed(&["2.0", "1.1", "1.0", "latest"])),
            known(0)
        );
        // It was asked just now.
        assert!(said.due([GUN].into_iter(), 9).is_empty());
    }

    #[test]
    fn a_change_makes_what_was_said_before_unknown_until_the_registry_is_asked_again() {
        let said = Said::default();
        said.due([GUN].into_iter(), 9);
        let before = now();
        drop(said.changing(GUN.to_owned()));
        // The question was sent before the change.
        said.heard(GUN, before, listed(&["1.0"]));
        assert_eq!(said.unsigned(GUN, &[]), Unsigned::NotAsked);
        assert_eq!(said.due([GUN].into_iter(), 9), [GUN]);
        let (asked, asked_at) = now();
        said.heard(
            GUN,
            (asked + Duration::from_millis(1), asked_at),
            listed(&["1.0"]),
        );
        assert_eq!(said.unsigned(GUN, &[]), known(1));
    }

    #[test]
    fn a_repository_that_fails_waits_and_never_counts_as_one_without_unsigned_tags() {
        let said = Said::default();
        said.due([GUN].into_iter(), 9);
        said.heard(GUN, now(), None);
        assert_eq!(said.unsigned(GUN, &[]), Unsigned::Failed);
        assert!(said.due([GUN].into_iter(), 9).is_empty());
        // What was said before stays, with its age.
        let other = "reg.example/other";
        said.due([GUN, other].into_iter(), 9);
        said.heard(other, now(), listed(&["1.0"]));
        said.heard(other, now(), None);
        assert_eq!(said.unsigned(other, &[]), known(1));
    }

    #[test]
    fn repositories_that_are_gone_are_forgotten_and_so_many_are_asked_at_most() {
        let said = Said::default();
        let names: Vec<String> = (0..20).map(|number| format!("{GUN}{number}")).collect();
        let all = || names.iter().map(String::as_str);
        assert_eq!(said.due(all(), 5).len(), 5);
        for name in &names {
            said.heard(name, now(), listed(&["1.0", "1.1"]));
        }
        assert_eq!(said.kept().tags, 40);
        said.due(all().take(3), 5);
        let kept = said.kept();
        assert_eq!((kept.tags, kept.entries.len()), (6, 3));
    }
}
