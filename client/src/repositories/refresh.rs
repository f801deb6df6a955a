//! One reading of a repository: from disk, from the server, verified, and kept.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tuf::Gun;
use verifier::{Anchor, Denial, Reason, Seen, verify};

use super::entry::{Entry, Verified};
use super::{Contact, Current, Shared};
use crate::failure::ReadError;
use crate::reading::{Reading, denial};
use crate::server::Server;
use crate::state::{Kept, LastContact, StateDirectory, StateError};

/// How often a repository is read again that another process has verified in the meantime.
const ATTEMPTS: usize = 3;
/// How old the contact on disk may be before it is written again. Lost contacts only make servers be asked.
const CONTACT_WRITTEN: TimeDelta = TimeDelta::seconds(30);

/// What a reading needs.
pub(super) struct Task {
    pub(super) shared: Arc<Shared>,
    pub(super) entry: Arc<Entry>,
    pub(super) server: Arc<Server>,
    pub(super) gun: Gun,
    pub(super) anchor: Anchor,
}

/// The result of a reading, and what was verified for it.
pub(super) type Landed = (Current, Option<Verified>);

/// What is kept of a repository at one moment.
struct Start {
    kept: Option<Arc<Kept>>,
    contact: Option<LastContact>,
}

enum Step {
    Done(Box<Landed>),
    /// Another process has verified something newer.
    Again,
}

impl Task {
    /// Reads, verifies and keeps.
    pub(super) async fn run(&self) -> Landed {
        for _ in 0..ATTEMPTS {
            let start = match self.blocking(|task| task.start()).await {
                Ok(start) => start,
                Err(denial) => return self.failed(denial, None),
            };
            if !self.entry.is_known() && start.contact.is_some() {
                let on_disk = self.blocking(|task| Ok(task.on_disk())).await;
                if let Ok((current, verified)) = on_disk {
                    self.entry.preliminary(current, verified);
                }
            }
            let known = start.kept.as_deref().map(|kept| &kept.known);
            let reading = self.server.read(&self.gun, known).await;
            if let Err(cause) = &reading {
                tracing::warn!(gun = %self.gun, server = self.server.label(), %cause, "reading trust data failed");
            }
            let step = self.blocking(move |task| task.settle(start.kept, reading)).await;
            match step {
                Ok(Step::Done(landed)) => return *landed,
                Ok(Step::Again) => {}
                Err(denial) => return self.failed(denial, None),
            }
        }
        let sentence = format!(
            "other processes changed the verified state of {} while it was read, {ATTEMPTS} times; ask again",
            self.gun
        );
        self.failed(Denial::new(Reason::InvalidState, sentence), None)
    }

    /// Runs something that blocks on a thread for that.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Denial> + Send + 'static,
    ) -> Result<T, Denial> {
        let task = Self {
            shared: Arc::clone(&self.shared),
            entry: Arc::clone(&self.entry),
            server: Arc::clone(&self.server),
            gun: self.gun.clone(),
            anchor: self.anchor.clone(),
        };
        let ended = tokio::task::spawn_blocking(move || work(&task)).await;
        ended.unwrap_or_else(|_| {
            let sentence = format!(
                "verifying {} broke off, which is an error of this program",
                self.gun
            );
            Err(Denial::new(Reason::InvalidState, sentence))
        })
    }

    fn now(&self) -> DateTime<Utc> {
        (self.shared.clock)()
    }

    fn failed(&self, denial: Denial, last: Option<DateTime<Utc>>) -> Landed {
        let current = Current {
            repository: Err(denial),
            contact: Contact { last, failure: None },
        };
        // What was verified stays, to be compared with.
        (current, self.entry.verified())
    }

    /// What is kept, on disk if there is a directory.
    fn start(&self) -> Result<Start, Denial> {
        match &self.shared.state {
            Some(state) => {
                let kept = state.load(self.server.label(), &self.gun).map_err(broken)?;
                let contacts = state.contacts(self.server.label(), &self.gun).map_err(broken)?;
                Ok(Start {
                    kept: kept.map(Arc::new),
                    contact: contacts.of(self.server.who(), self.now()).cloned(),
                })
            }
            None => Ok(Start {
                kept: self.entry.verified().map(|verified| verified.kept),
                contact: None,
            }),
        }
    }

    /// What serves before the server has answered.
    fn on_disk(&self) -> Landed {
        match self.start() {
            Ok(start) => self.silent(start, None),
            Err(denial) => self.failed(denial, None),
        }
    }

    /// What serves while the server says nothing: what it said last, to whoever asks here.
    fn silent(&self, start: Start, cause: Option<ReadError>) -> Landed {
        let why = cause
            .clone()
            .unwrap_or_else(|| self.server.unreachable("it has not answered yet"));
        let failure = Some(why.clone());
        let Some(contact) = start.contact else {
            let current = Current {
                repository: Err(denial(&why)),
                contact: Contact { last: None, failure },
            };
            return (current, self.entry.verified());
        };
        let (repository, verified) = match (&contact.denied, start.kept) {
            (Some(denied), _) => (Err(Denial::from(denied)), self.entry.verified()),
            (None, None) => (Err(denial(&why)), None),
            (None, Some(kept)) => match self.verified(kept) {
                Ok(verified) => (Ok(Arc::clone(&verified.repository)), Some(verified)),
                Err(denial) => (Err(denial), self.entry.verified()),
            },
        };
        let contact = Contact {
            last: Some(self.entry.last().map_or(contact.at, |last| last.max(contact.at))),
            failure,
        };
        (Current { repository, contact }, verified)
    }

    /// Verifies what is kept, if that was not done in this process already.
    fn verified(&self, kept: Arc<Kept>) -> Result<Verified, Denial> {
        if let Some(verified) = self.entry.verified()
            && verified.kept == kept
        {
            return Ok(verified);
        }
        let documents = &kept.known.documents;
        let repository = verify(&self.gun, &self.anchor, documents, Some(&kept.seen), self.now())?;
        Ok(Verified {
            repository: Arc::new(repository),
            kept,
        })
    }

    /// Verifies what was read against what is kept now, and keeps it.
    fn settle(
        &self,
        began_with: Option<Arc<Kept>>,
        reading: Result<Reading, ReadError>,
    ) -> Result<Step, Denial> {
        match &self.shared.state {
            Some(state) => self.settle_on_disk(state, began_with, reading),
            None => Ok(self.settle_in_memory(began_with, reading)),
        }
    }

    fn settle_on_disk(
        &self,
        state: &StateDirectory,
        began_with: Option<Arc<Kept>>,
        reading: Result<Reading, ReadError>,
    ) -> Result<Step, Denial> {
        let lock = state.lock(self.server.label(), &self.gun).map_err(broken)?;
        let kept = lock.load().map_err(broken)?.map(Arc::new);
        let mut contacts = lock.contacts().map_err(broken)?;
        let now = self.now();
        let last = contacts.of(self.server.who(), now).cloned();
        let moved = kept != began_with;
        let reading = match reading {
            Err(cause) if cause.is_silence() => {
                let start = Start { kept, contact: last };
                return Ok(Step::Done(Box::new(self.silent(start, Some(cause)))));
            }
            answered => answered,
        };
        let confirmed = last
            .as_ref()
            .filter(|last| last.denied.is_none())
            .map(|last| last.at);
        let judged = self.judge(kept.clone(), confirmed, reading);
        if moved && judged.is_err() {
            return Ok(Step::Again);
        }
        if let Ok(verified) = &judged
            && Some(&verified.kept) != kept.as_ref()
        {
            lock.store(&verified.kept).map_err(broken)?;
        }
        let denied = judged.as_ref().err().map(Into::into);
        let written = last.is_some_and(|last| last.denied == denied && now - last.at < CONTACT_WRITTEN);
        if !written {
            contacts.note(self.server.who(), LastContact { at: now, denied });
            // Without it the server is asked once more, which is no reason to refuse what it answered.
            if let Err(cause) = lock.store_contacts(&contacts) {
                tracing::warn!(%cause, "the time of the last contact could not be kept");
            }
        }
        Ok(self.done(judged, now))
    }

    fn settle_in_memory(&self, kept: Option<Arc<Kept>>, reading: Result<Reading, ReadError>) -> Step {
        let now = self.now();
        match reading {
            Err(cause) if cause.is_silence() => Step::Done(Box::new(self.entry.silent(&cause))),
            answered => self.done(self.judge(kept, self.entry.last(), answered), now),
        }
    }

    fn done(&self, judged: Result<Verified, Denial>, now: DateTime<Utc>) -> Step {
        Step::Done(Box::new(match judged {
            Ok(verified) => {
                let current = Current {
                    repository: Ok(Arc::clone(&verified.repository)),
                    contact: Contact {
                        last: Some(now),
                        failure: None,
                    },
                };
                (current, Some(verified))
            }
            Err(denial) => {
                tracing::warn!(gun = %self.gun, server = self.server.label(), %denial, "trust data refused");
                self.failed(denial, Some(now))
            }
        }))
    }

    /// What was seen of what is kept, up to the last time that the server confirmed it: until then its tags were signed.
    fn seen(&self, kept: &Kept, confirmed: Option<DateTime<Utc>>) -> Seen {
        let documents = &kept.known.documents;
        let renewed = confirmed
            .and_then(|at| verify(&self.gun, &self.anchor, documents, Some(&kept.seen), at).ok())
            .map(|repository| repository.seen().clone());
        renewed.unwrap_or_else(|| kept.seen.clone())
    }

    /// Verifies an answer against what is kept, which the server last confirmed at `confirmed`.
    fn judge(
        &self,
        kept: Option<Arc<Kept>>,
        confirmed: Option<DateTime<Utc>>,
        reading: Result<Reading, ReadError>,
    ) -> Result<Verified, Denial> {
        let known = match reading {
            Err(cause) => return Err(denial(&cause)),
            Ok(Reading::Documents(known)) => known,
            Ok(Reading::Unchanged) => {
                return match kept {
                    Some(kept) => self.verified(kept),
                    None => Err(Denial::new(
                        Reason::ServerError,
                        format!(
                            "{} says that {} has not changed, and nothing is known of it",
                            self.server.label(),
                            self.gun
                        ),
                    )),
                };
            }
        };
        if let Some(kept) = &kept
            && kept.known == known
        {
            return self.verified(Arc::clone(kept));
        }
        let seen = kept.map(|kept| self.seen(&kept, confirmed));
        let repository = verify(
            &self.gun,
            &self.anchor,
            &known.documents,
            seen.as_ref(),
            self.now(),
        )?;
        let seen = repository.seen().clone();
        Ok(Verified {
            repository: Arc::new(repository),
            kept: Arc::new(Kept { known, seen }),
        })
    }
}

/// State that cannot be used is no first contact.
pub(super) fn broken(cause: StateError) -> Denial {
    Denial::new(Reason::InvalidState, cause.to_string())
}
