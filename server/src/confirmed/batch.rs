//! One question to the database for all requests that wait.
//!
//! While a question is under way the next batch gathers; it is asked as soon as the answer is there. So a thousand
//! requests that arrive at once cost one query, and a single request does not wait for others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::spawn_blocking};

use super::{
    ConfirmError, Moment,
    relay::{self, Answers},
};
use crate::store::{Confirmer, NewestTimestamp, Security, Store, StoreError};

/// The copy of accounts and denials is read anew after this time even if no change was counted: an operator may have
/// changed the tables by hand.
const REREAD: Duration = Duration::from_secs(1);
/// Reading the copy anew may take one part in this many of the time.
const REREAD_SHARE: u32 = 100;
/// If reading the copy takes less than this, it is read anew after every commit to an embedded database.
const QUICK: Duration = Duration::from_millis(2);
/// How many repositories' answers are kept while an embedded database does not change.
const REMEMBERED: usize = 10_000;

/// The questions that wait, and those under way.
pub(super) struct Batches {
    store: Store,
    waiting: Mutex<Waiting>,
    security: RwLock<Option<Copied>>,
    /// Only for an embedded database, which tells whether anything was committed.
    embedded: Option<Mutex<Embedded>>,
}

#[derive(Default)]
struct Waiting {
    /// Whether a thread asks the questions.
    is_asking: bool,
    next: Option<Batch>,
}

struct Batch {
    number: relay::Number,
    guns: Vec<String>,
    positions: HashMap<String, usize>,
    /// One for each thread with requests that wait.
    threads: Vec<oneshot::Sender<Outcome>>,
}

pub(super) type Outcome = Result<Arc<Answer>, ConfirmError>;

/// The answer to all questions of a batch.
#[derive(Debug)]
pub(super) struct Answer {
    security: Arc<Security>,
    newest: Vec<Option<Arc<NewestTimestamp>>>,
}

/// The copy of accounts and denials.
#[derive(Clone)]
struct Copied {
    security: Arc<Security>,
    at: Instant,
    /// How long reading it took.
    took: Duration,
}

impl Copied {
    /// Whether it still counts, if the database says that this was the last change.
    fn is_current(&self, epoch: i64) -> bool {
        self.security.epoch() == epoch && self.at.elapsed() < REREAD.max(self.took * REREAD_SHARE)
    }
}

/// The answers since the last commit.
#[derive(Default)]
struct Embedded {
    confirmer: Option<Confirmer>,
    /// When a commit was last noticed.
    changed_at: Option<Instant>,
    /// The copy that was read after that.
    security: Option<Arc<Security>>,
    newest: HashMap<String, Option<Arc<NewestTimestamp>>>,
}

impl Batches {
    pub(super) fn new(store: Store) -> Self {
        Self {
            embedded: store.tells_of_commits().then(Mutex::default),
            store,
            waiting: Mutex::default(),
            security: RwLock::default(),
        }
    }

    /// The moment of the next question.
    pub(super) async fn ask(self: &Arc<Self>, gun: Option<&str>) -> Result<Moment, ConfirmError> {
        if let Some(moment) = self.known(gun) {
            return Ok(moment);
        }
        let (position, mut answers) = self.join(gun);
        let outcome = answers
            .wait_for(Option::is_some)
            .await
            .map_err(|_| ConfirmError::Stopping)?
            .clone();
        let answer = outcome.ok_or(ConfirmError::Stopping)??;
        Ok(Moment {
            security: Arc::clone(&answer.security),
            newest: position.and_then(|position| answer.newest.get(position).cloned().flatten()),
        })
    }

    /// The moment, if an embedded database says that nothing was committed since it was asked. This takes about a
    /// microsecond and no thread.
    fn known(&self, gun: Option<&str>) -> Option<Moment> {
        let mut embedded = self.embedded.as_ref()?.try_lock().ok()?;
        match embedded.confirmer.as_mut()?.nothing_changed() {
            Ok(true) => {}
            Ok(false) => {
                embedded.forget();
                return None;
            }
            Err(_) => {
                *embedded = Embedded::default();
                return None;
            }
        }
        Some(Moment {
            security: embedded.security.clone()?,
            newest: match gun {
                Some(gun) => embedded.newest.get(gun)?.clone(),
                None => None,
            },
        })
    }

    /// Joins the batch that gathers; the first one also has it asked.
    fn join(self: &Arc<Self>, gun: Option<&str>) -> (Option<usize>, Answers) {
        let mut waiting = self.waiting();
        let batch = waiting.next.get_or_insert_with(|| Batch {
            number: relay::Number::next(),
            guns: Vec::new(),
            positions: HashMap::new(),
            threads: Vec::new(),
        });
        let position = gun.map(|gun| {
            batch.positions.get(gun).copied().unwrap_or_else(|| {
                batch.guns.push(gun.to_owned());
                batch.positions.insert(gun.to_owned(), batch.guns.len() - 1);
                batch.guns.len() - 1
            })
        });
        let answers = relay::join(batch.number, |thread| batch.threads.push(thread));
        if !waiting.is_asking {
            waiting.is_asking = true;
            let asking = Asking {
                batches: Arc::clone(self),
                is_done: false,
            };
            drop(spawn_blocking(move || asking.run()));
        }
        (position, answers)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, guns: &[String]) -> Outcome {
        let guns: Vec<&str> = guns.iter().map(String::as_str).collect();
        let answer = match &self.embedded {
            None => self.asked_once_more(&guns),
            Some(embedded) => {
                let mut embedded = embedded.lock().unwrap_or_else(PoisonError::into_inner);
                self.ask_embedded(&mut embedded, &guns)
            }
        };
        Ok(Arc::new(answer?))
    }

    /// A connection may have died since it was last used, which is no failure of the database.
    fn asked_once_more(&self, guns: &[&str]) -> Result<Answer, StoreError> {
        match self.ask_with(&mut self.store.confirmer()?, guns) {
            Err(StoreError::Query(_)) => self.ask_with(&mut self.store.confirmer()?, guns),
            outcome => outcome,
        }
    }

    fn ask_with(&self, confirmer: &mut Confirmer, guns: &[&str]) -> Result<Answer, StoreError> {
        let confirmation = confirmer.confirm(guns)?;
        let known = self
            .security
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let security = match known.filter(|copied| copied.is_current(confirmation.epoch)) {
            Some(copied) => copied.security,
            None => {
                let at = Instant::now();
                let security = Arc::new(confirmer.security()?);
                let copied = Copied {
                    security: Arc::clone(&security),
                    at,
                    took: at.elapsed(),
                };
                *self.security.write().unwrap_or_else(PoisonError::into_inner) = Some(copied);
                security
            }
        };
        Ok(Answer {
            security,
            newest: confirmation
                .newest
                .into_iter()
                .map(|newest| newest.map(Arc::new))
                .collect(),
        })
    }

    fn ask_embedded(&self, embedded: &mut Embedded, guns: &[&str]) -> Result<Answer, StoreError> {
        let mut confirmer = match embedded.confirmer.take() {
            Some(confirmer) => confirmer,
            None => self.store.confirmer()?,
        };
        // Asked before the question, so that what is committed in between counts as news at the next request.
        if !confirmer.nothing_changed()? {
            embedded.forget();
        }
        let changed_at = embedded.changed_at;
        let is_behind = |copied: &mut Copied| changed_at.is_some_and(|changed| copied.at < changed);
        let copied = || self.security.write().unwrap_or_else(PoisonError::into_inner);
        copied().take_if(|copied| copied.took < QUICK && is_behind(copied));
        let answer = self.ask_with(&mut confirmer, guns)?;
        embedded.confirmer = Some(confirmer);
        // A copy from before the last commit is used where the database counts no change since, but for now only.
        let is_newest = copied().as_mut().is_some_and(|copied| !is_behind(copied));
        embedded.security = is_newest.then(|| Arc::clone(&answer.security));
        if embedded.newest.len() + guns.len() > REMEMBERED {
            embedded.newest.clear();
        }
        for (gun, newest) in guns.iter().zip(&answer.newest) {
            embedded.newest.insert((*gun).to_owned(), newest.clone());
        }
        Ok(answer)
    }
}

impl Embedded {
    fn forget(&mut self) {
        self.changed_at = Some(Instant::now());
        self.security = None;
        self.newest.clear();
    }
}

/// The thread that asks the questions, until none is waiting.
struct Asking {
    batches: Arc<Batches>,
    is_done: bool,
}

impl Asking {
    fn run(mut self) {
        while let Some(batch) = self.next() {
            let outcome = self.batches.answer(&batch.guns);
            for thread in batch.threads {
                // Nobody there waits any more if the request's thread has ended.
                let _ = thread.send(outcome.clone());
            }
            // On a busy machine the requests that were just answered run first, so that more requests have joined the next
            // batch when its question is asked.
            std::thread::yield_now();
        }
    }

    fn next(&mut self) -> Option<Batch> {
        let mut waiting = self.batches.waiting();
        let batch = waiting.next.take();
        if batch.is_none() {
            waiting.is_asking = false;
            self.is_done = true;
        }
        batch
    }
}

/// If the thread never ran, or panicked, those who wait get no answer, and the next request starts another.
impl Drop for Asking {
    fn drop(&mut self) {
        if !self.is_done {
            let mut waiting = self.batches.waiting();
            waiting.is_asking = false;
            waiting.next = None;
        }
    }
}
