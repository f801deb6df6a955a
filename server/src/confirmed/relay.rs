//! Hands the answer of a batch to the requests of one thread.
//!
//! Waking a request of another thread is a system call, waking one of the own thread is not. So the thread that asks the
//! database wakes one task on each thread, and that task wakes the requests beside it.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering},
};

use tokio::sync::{oneshot, watch};

use super::batch::Outcome;

/// Where the requests of one thread find the answer.
pub(super) type Answers = watch::Receiver<Option<Outcome>>;

/// Tells batches apart, those of several databases in one process too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(u64);

impl Number {
    /// A number that no other batch has.
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

thread_local! {
    /// The batch that requests of this thread joined last.
    static JOINED: RefCell<Option<(Number, Answers)>> = const { RefCell::new(None) };
}

/// Joins a batch. The first request of a thread that joins it passes to `add` where the answer is to be sent.
///
/// Must be called on a tokio runtime.
pub(super) fn join(batch: Number, add: impl FnOnce(oneshot::Sender<Outcome>)) -> Answers {
    JOINED.with_borrow_mut(|joined| {
        if let Some((number, answers)) = joined
            && *number == batch
        {
            return answers.clone();
        }
        let (thread, answered) = oneshot::channel();
        let (requests, answers) = watch::channel(None);
        tokio::spawn(async move {
            // If the thread that asks ends without an answer, so does this task, and with it the wait of the requests.
            if let Ok(outcome) = answered.await {
                requests.send_replace(Some(outcome));
            }
            JOINED.with_borrow_mut(|joined| joined.take_if(|(number, _)| *number == batch));
        });
        add(thread);
        *joined = Some((batch, answers.clone()));
        answers
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confirmed::ConfirmError;

    #[tokio::test]
    async fn requests_of_a_thread_join_a_batch_once_and_all_get_its_answer() {
        let (batch, mut threads) = (Number::next(), Vec::new());
        let mut waiting: Vec<Answers> = (0..3)
            .map(|_| join(batch, |thread| threads.push(thread)))
            .collect();
        assert_eq!(threads.len(), 1);

        let thread = threads.pop().unwrap();
        assert!(thread.send(Err(ConfirmError::Stopping)).is_ok());
        for answers in &mut waiting {
            let outcome = answers.wait_for(Option::is_some).await.unwrap().clone();
            assert!(matches!(outcome, Some(Err(ConfirmError::Stopping))));
        }
    }

    #[tokio::test]
    async fn the_next_batch_is_joined_anew() {
        let mut threads = Vec::new();
        let first = join(Number::next(), |thread| threads.push(thread));
        let second = join(Number::next(), |thread| threads.push(thread));
        assert_eq!(threads.len(), 2);
        assert!(!first.same_channel(&second));
    }

    #[tokio::test]
    async fn requests_do_not_wait_for_a_thread_that_ended_without_an_answer() {
        let mut threads = Vec::new();
        let mut answers = join(Number::next(), |thread| threads.push(thread));
        threads.clear();
        assert!(answers.wait_for(Option::is_some).await.is_err());
    }
}
