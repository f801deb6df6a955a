//! One thread that stores the uses of keys, many in one transaction.
//!
//! A commit waits for the disk, and costs the same for one use as for a hundred. So uses that
//! arrive while a commit is under way share the next one.

use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::{Store, StoreError, Use, UseOutcome};

/// The most uses in one transaction.
const BATCH: usize = 256;
/// The most uses waiting. Further callers wait until there is room.
const QUEUE: usize = 1024;

/// Whoever waits for the outcomes of its uses.
type Answer = Option<oneshot::Sender<Result<Vec<UseOutcome>, StoreError>>>;

struct Entry {
    uses: Vec<Use>,
    answer: Answer,
}

/// Stores uses in groups. Dropping it waits until those already accepted are stored.
pub struct Journal {
    queue: Option<mpsc::Sender<Entry>>,
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// Starts the writing thread.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn start(store: Store) -> std::io::Result<Self> {
        let (queue, entries) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(&store, entries))?;
        Ok(Self {
            queue: Some(queue),
            writer: Some(writer),
        })
    }

    /// Stores uses together and returns when they are on disk, with an outcome for each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record(&self, uses: Vec<Use>) -> Result<Vec<UseOutcome>, StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let (answer, outcome) = oneshot::channel();
        queue
            .send(Entry {
                uses,
                answer: Some(answer),
            })
            .await
            .map_err(|_| StoreError::Closed)?;
        outcome.await.map_err(|_| StoreError::Closed)?
    }

    /// Stores a use soon, or not at all if there is no room or the database is away.
    pub fn note(&self, used: Use) {
        if let Some(queue) = &self.queue {
            let uses = vec![used];
            let _ = queue.try_send(Entry { uses, answer: None });
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write(store: &Store, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::with_capacity(BATCH);
    while entries.blocking_recv_many(&mut batch, BATCH) > 0 {
        let mut uses = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for entry in batch.drain(..) {
            answers.push((entry.uses.len(), entry.answer));
            uses.extend(entry.uses);
        }
        match store.record(&uses) {
            Ok(outcomes) => {
                let mut outcomes = outcomes.into_iter();
                for (count, answer) in answers {
                    let own = outcomes.by_ref().take(count).collect();
                    // The caller may be gone; the uses stay stored all the same.
                    let _ = answer.map(|answer| answer.send(Ok(own)));
                }
            }
            Err(cause) => refuse(&cause, answers),
        }
    }
}

fn refuse(cause: &StoreError, answers: Vec<(usize, Answer)>) {
    tracing::error!(
        calls = answers.len(),
        "cannot write down what keys were used for: {cause}"
    );
    for answer in answers.into_iter().filter_map(|(_, answer)| answer) {
        let _ = answer.send(Err(StoreError::Unwritten(cause.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::{super::keys::tests::new_key, *};

    fn signed(version: i64) -> Use {
        Use {
            key_id: "a".to_owned(),
            at: Utc::now().naive_utc(),
            mark: true,
            signed: Some(("timestamp".to_owned(), version)),
        }
    }

    #[tokio::test]
    async fn callers_at_once_each_get_their_own_outcome() {
        let store = Store::in_memory().unwrap();
        store.insert(&new_key("a", "gun")).unwrap();
        let journal = std::sync::Arc::new(Journal::start(store).unwrap());
        let record =
            async |journal: &Journal, version| journal.record(vec![signed(version)]).await.unwrap()[0];
        assert_eq!(record(&journal, 500).await, UseOutcome::Recorded);
        let calls: Vec<_> = (0..1000)
            .map(|version| {
                let journal = journal.clone();
                tokio::spawn(
                    async move { (version, journal.record(vec![signed(version)]).await.unwrap()[0]) },
                )
            })
            .collect();
        for call in calls {
            let (version, outcome) = call.await.unwrap();
            if version < 500 {
                assert!(
                    matches!(outcome, UseOutcome::LowerVersion(500..)),
                    "{version}: {outcome:?}"
                );
            }
        }
        assert_eq!(record(&journal, 998).await, UseOutcome::LowerVersion(999));
    }

    #[tokio::test]
    async fn uses_of_one_call_are_stored_together_and_each_has_its_outcome() {
        let store = Store::in_memory().unwrap();
        store.insert(&new_key("a", "gun")).unwrap();
        let journal = Journal::start(store).unwrap();
        let gone = Use {
            key_id: "b".to_owned(),
            ..signed(2)
        };
        let outcomes = journal.record(vec![signed(2), gone, signed(1)]).await.unwrap();
        let expected = [
            UseOutcome::Recorded,
            UseOutcome::KeyGone,
            UseOutcome::LowerVersion(2),
        ];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn dropping_it_waits_for_what_was_noted() {
        let store = Store::in_memory().unwrap();
        store.insert(&new_key("a", "gun")).unwrap();
        let journal = Journal::start(store.clone()).unwrap();
        journal.note(signed(1));
        drop(journal);
        assert!(store.find("a").unwrap().unwrap().last_used.is_some());
    }

    #[tokio::test]
    async fn an_unusable_database_is_an_error_for_every_caller() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signer.db");
        let store = Store::open_sqlite(&path).unwrap();
        store.break_for_tests();
        let journal = Journal::start(store).unwrap();
        assert!(matches!(
            journal.record(vec![signed(1)]).await,
            Err(StoreError::Unwritten(_))
        ));
    }
}
