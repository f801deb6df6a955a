//! A line about every repository, so that thousands of them can be searched, counted and sorted without reading their
//! documents.
//!
//! It is made when it is first needed, in the background, and told how far that is. From then on each use first reads
//! what the changefeed has since: those repositories are read again, by the newest documents that the database has at
//! that moment, so an answer reflects everything that was committed before its request arrived, by whichever program.

mod sight;
mod summary;
mod verified;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
};
use tuf::Gun;

use super::{ConfirmError, Cursor};
use crate::store::{Change, ChangeQuery, Store, StoreError};

pub use sight::Sight;
use sight::Sights;
use summary::Names;
pub use summary::{Ends, Signer, Standing, Summary};
pub use verified::{Verified, verify};

/// How many repositories are read at a time: all their documents are in memory together.
const CHUNK: usize = 16;
/// How many names are listed at a time.
const NAMES: u32 = 1_000;
/// How many changes are read at a time.
const PAGE: u32 = 1_000;
/// How many changes before the newest are looked at first: one that is not committed yet has its ID among these.
const UNSETTLED: u32 = 1_000;
/// The most changes read to find those that were missing.
const LATE_PAGE: u32 = 20_000;
/// Where more repositories than this have changed, they are read in the background too.
const AT_ONCE: usize = 500;

/// How long a request waits for a reading in the background.
const PATIENCE: Duration = Duration::from_millis(500);

/// How far reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Everything is known.
    Complete,
    /// So many repositories of so many are read.
    Reading {
        /// How many are read.
        done: usize,
        /// How many there are to read.
        of: usize,
    },
}

/// The lines, by name.
#[derive(Debug, Default)]
pub struct Lines {
    names: Names,
    summaries: BTreeMap<Box<str>, Summary>,
    /// The number that the next line gets.
    next: u32,
    /// Whether the database has names that no client can ask for: these have no line.
    lacks_names: bool,
}

impl Lines {
    /// Every repository, in the order of their names.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Summary)> {
        self.summaries.iter().map(|(gun, summary)| (&**gun, summary))
    }

    /// Those whose names come after another, in their order.
    pub fn after(&self, name: &str) -> impl Iterator<Item = (&str, &Summary)> {
        let range = (std::ops::Bound::Excluded(name), std::ops::Bound::Unbounded);
        let found = self.summaries.range::<str, _>(range);
        found.map(|(gun, summary)| (&**gun, summary))
    }

    /// One of them.
    pub fn get(&self, gun: &str) -> Option<&Summary> {
        self.summaries.get(gun)
    }

    /// Whether every repository with a timestamp has a line.
    pub fn has_every_name(&self) -> bool {
        !self.lacks_names
    }

    /// Every signer of these repositories, once.
    pub fn signers_of<'a>(&self, summaries: impl Iterator<Item = &'a Summary>) -> Vec<Signer<'_>> {
        self.names.signers_of(summaries)
    }

    /// Who signed in which role.
    pub fn signers(&self, summary: &Summary) -> Vec<Signer<'_>> {
        self.names.signers(summary)
    }

    /// The name of the principal that last published.
    pub fn publisher(&self, summary: &Summary) -> Option<&str> {
        self.names.publisher(summary)
    }
}

/// The catalogue of a database.
pub struct Catalogue {
    store: Store,
    /// Whether the names of signed tags are kept, as numbers.
    keeps_tags: bool,
    lines: RwLock<Lines>,
    /// Whoever brings the lines up to date holds this.
    reading: Mutex<Reading>,
    progress: watch::Sender<Option<Progress>>,
    sights: Sights,
}

/// How far the changefeed was read.
#[derive(Default)]
struct Reading {
    /// `None` before the first time.
    cursor: Option<Cursor>,
    /// When the last reading of the changefeed began.
    began: Option<Instant>,
}

impl Catalogue {
    /// A catalogue that knows nothing yet. Where a registry's tags are compared with those that are signed, it keeps the
    /// number of each, 8 bytes a tag.
    pub fn new(store: Store, keeps_tags: bool) -> Self {
        Self {
            store,
            keeps_tags,
            lines: RwLock::default(),
            reading: Mutex::default(),
            progress: watch::Sender::new(None),
            sights: Sights::default(),
        }
    }

    /// Brings the lines up to date with everything that was committed before this call, or says how far reading is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh(self: &Arc<Self>) -> Result<Progress, ConfirmError> {
        let arrived = Instant::now();
        let mut reading = self.reading.lock().await;
        match self.progress() {
            Some(Progress::Reading { .. }) => {
                drop(reading);
                return match self.wait_a_little().await {
                    // It began before this call, so what was committed in between is read now.
                    Progress::Complete => Box::pin(self.refresh()).await,
                    reading => Ok(reading),
                };
            }
            // Somebody else read the changefeed, and began after this call.
            Some(Progress::Complete) if reading.began.is_some_and(|began| began >= arrived) => {
                return Ok(Progress::Complete);
            }
            _ => {}
        }
        let began = Instant::now();
        let (store, cursor) = (self.store.clone(), reading.cursor.clone());
        let found = spawn_blocking(move || changed(&store, cursor)).await;
        let (cursor, changed) = found.map_err(|_| ConfirmError::Stopping)??;
        let this = Arc::clone(self);
        match changed {
            Some(changed) if changed.len() <= AT_ONCE => {
                let read = spawn_blocking(move || this.read(&changed, |_| {})).await;
                read.map_err(|_| ConfirmError::Stopping)??;
                reading.cursor = Some(cursor);
                reading.began = Some(began);
                Ok(Progress::Complete)
            }
            work => {
                let of = work.as_ref().map_or(0, Vec::len);
                self.set_progress(Some(Progress::Reading { done: 0, of }));
                drop(spawn_blocking(move || this.read_much(cursor, work)));
                drop(reading);
                Ok(self.wait_a_little().await)
            }
        }
    }

    /// Brings the lines up to date if they were made before; whether they are complete now. It begins nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh_if_made(self: &Arc<Self>) -> Result<bool, ConfirmError> {
        match self.progress() {
            Some(Progress::Complete) => Ok(self.refresh().await? == Progress::Complete),
            _ => Ok(false),
        }
    }

    /// The lines as the last refresh left them. Blocks a refresh while it is held.
    pub fn lines(&self) -> RwLockReadGuard<'_, Lines> {
        self.lines.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a reader sees of the lines. `who` has to differ wherever rights may differ.
    pub fn sight(&self, who: String) -> Arc<Sight> {
        self.sights.of(who)
    }

    /// Small databases are read in no time, so that nobody is told to wait.
    async fn wait_a_little(&self) -> Progress {
        let mut progress = self.progress.subscribe();
        let is_done = |progress: &Option<Progress>| !matches!(progress, Some(Progress::Reading { .. }));
        // Whether it took too long, or failed, is told by the progress itself.
        let _ = tokio::time::timeout(PATIENCE, progress.wait_for(is_done)).await;
        self.progress().unwrap_or(Progress::Reading { done: 0, of: 0 })
    }

    fn progress(&self) -> Option<Progress> {
        *self.progress.borrow()
    }

    fn set_progress(&self, progress: Option<Progress>) {
        self.progress.send_replace(progress);
    }

    /// Reads many repositories, or all of them, on a thread of its own.
    fn read_much(&self, cursor: Cursor, work: Option<Vec<String>>) {
        let outcome = match work {
            Some(changed) => {
                let of = changed.len();
                self.read(&changed, |done| {
                    self.set_progress(Some(Progress::Reading { done, of }));
                })
            }
            None => self.read_all(),
        };
        let mut guard = self.reading.blocking_lock();
        match outcome {
            Ok(()) => {
                guard.cursor = Some(cursor);
                self.set_progress(Some(Progress::Complete));
            }
            Err(cause) => {
                tracing::warn!(reason = %cause, "the catalogue of repositories cannot be read; the next page tries again");
                self.set_progress(None);
            }
        }
    }

    fn read_all(&self) -> Result<(), StoreError> {
        let of = usize::try_from(self.store.count_guns()?).unwrap_or_default();
        let mut done = 0;
        let mut after = String::new();
        loop {
            let guns = self.store.guns(&after, NAMES)?;
            let Some(last) = guns.last() else { return Ok(()) };
            after.clone_from(last);
            self.read(&guns, |read| {
                let done = done + read;
                self.set_progress(Some(Progress::Reading {
                    done,
                    of: of.max(done),
                }));
            })?;
            done += guns.len();
        }
    }

    /// Reads these repositories and replaces their lines; tells how many are read.
    fn read(&self, names: &[String], tell: impl Fn(usize)) -> Result<(), StoreError> {
        for (position, names) in names.chunks(CHUNK).enumerate() {
            let guns: Vec<Gun> = names.iter().filter_map(|name| Gun::parse(name).ok()).collect();
            let is_short = guns.len() < names.len();
            let files = self.store.current_files(&guns)?;
            let publishes = self.store.last_publishes(&guns)?;
            let judged: Vec<_> = guns
                .iter()
                .map(|gun| {
                    let judged = files
                        .get(gun)
                        .map(|files| summary::judge(gun, files, self.keeps_tags));
                    (gun, judged)
                })
                .collect();
            let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
            let Lines {
                names,
                summaries,
                next,
                lacks_names,
            } = &mut *lines;
            *lacks_names |= is_short;
            for (gun, judged) in judged {
                match judged {
                    Some(judged) => {
                        let number = summaries.get(gun.as_str()).map(|known| known.number);
                        let number = number.unwrap_or_else(|| {
                            *next = next.saturating_add(1);
                            *next
                        });
                        let line = names.line(number, judged, publishes.get(gun));
                        summaries.insert(gun.as_str().into(), line);
                    }
                    None => drop(summaries.remove(gun.as_str())),
                }
            }
            drop(lines);
            tell((position + 1) * CHUNK);
        }
        Ok(())
    }
}

/// The repositories that have changed since the cursor, `None` for all of them, and the cursor after that.
fn changed(store: &Store, cursor: Option<Cursor>) -> Result<(Cursor, Option<Vec<String>>), StoreError> {
    let Some(mut cursor) = cursor else {
        let recent = store.changes(None, ChangeQuery::Newest, UNSETTLED)?;
        let before = recent.first().map_or(0, |first| first.id.saturating_sub(1));
        let mut cursor = Cursor::after(before);
        take(&mut cursor, &recent, &mut BTreeSet::new());
        return Ok((cursor, None));
    };
    let mut found = BTreeSet::new();
    if let Some((first, last)) = cursor.missing() {
        take(
            &mut cursor,
            &store.changes_between(first, last, LATE_PAGE)?,
            &mut found,
        );
    }
    loop {
        let newer = store.changes(None, ChangeQuery::After(cursor.highest()), PAGE)?;
        take(&mut cursor, &newer, &mut found);
        if newer.len() < PAGE as usize {
            break;
        }
    }
    cursor.give_up(Instant::now());
    Ok((cursor, Some(found.into_iter().collect())))
}

fn take(cursor: &mut Cursor, changes: &[Change], found: &mut BTreeSet<String>) {
    let now = Instant::now();
    for change in changes {
        if cursor.take(change, now) {
            found.insert(change.gun.clone());
        }
    }
}
