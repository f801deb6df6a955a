//! Limits how long a client may leave a response unread. A response stays in memory until it is read, so a client that
//! does not read would keep it there.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

/// A client that reads this many bytes per second may take as long as it needs.
const SLOWEST: u32 = 16 * 1024;

/// The time left for one connection. It decreases while a write waits, and grows with what the client reads.
pub struct Pace {
    limit: Duration,
    left: Duration,
    waiting: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Starts with `limit`, the longest time that one write may wait.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            left: limit,
            waiting: None,
            timer: None,
        }
    }

    /// Adjusts the time left by the outcome of a write.
    ///
    /// # Errors
    /// `TimedOut` when the client took too long.
    pub fn judge(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(since) = self.waiting.take() {
                    self.left = self.left.saturating_sub(since.elapsed());
                    self.timer = None;
                }
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                let gained = Duration::from_secs_f64(f64::from(bytes) / f64::from(SLOWEST));
                self.left = (self.left + gained).min(self.limit);
                Poll::Ready(Ok(bytes as usize))
            }
            Poll::Ready(Err(cause)) => Poll::Ready(Err(cause)),
            Poll::Pending => {
                self.waiting.get_or_insert_with(Instant::now);
                let left = self.left;
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(left)));
                timer.as_mut().poll(cx).map(|()| {
                    let reason = "the client does not read the response (limits.write_timeout)";
                    Err(io::Error::new(io::ErrorKind::TimedOut, reason))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[tokio::test]
    async fn patience_ends_for_who_reads_nothing_and_for_who_drips() {
        let mut pace = Pace::new(Duration::from_millis(200));
        let stalled = std::future::poll_fn(|cx| pace.judge(cx, Poll::Pending));
        let refused = tokio::time::timeout(Duration::from_secs(10), stalled).await;
        assert_eq!(refused.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);

        let mut pace = Pace::new(Duration::from_millis(200));
        let mut context = Context::from_waker(Waker::noop());
        let begin = Instant::now();
        loop {
            // Reading one byte now and then is not enough.
            let waiting = std::future::poll_fn(|cx| pace.judge(cx, Poll::Pending));
            if let Ok(refused) = tokio::time::timeout(Duration::from_millis(20), waiting).await {
                break assert!(refused.is_err());
            }
            assert!(pace.judge(&mut context, Poll::Ready(Ok(1))).is_ready());
            assert!(begin.elapsed() < Duration::from_secs(10), "it never ends");
        }
    }

    #[tokio::test]
    async fn whoever_reads_fast_enough_goes_on() {
        let mut pace = Pace::new(Duration::from_millis(400));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..20 {
            assert!(pace.judge(&mut context, Poll::Pending).is_pending());
            tokio::time::sleep(Duration::from_millis(30)).await;
            let read = pace.judge(&mut context, Poll::Ready(Ok(64 * 1024)));
            assert!(matches!(read, Poll::Ready(Ok(65536))));
        }
    }
}
