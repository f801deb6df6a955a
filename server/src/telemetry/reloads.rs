//! The outcome of the last reload.

use std::sync::Mutex;

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};

/// How many people may ask for a reload at once.
const WAITING: usize = 16;

/// One reload.
#[derive(Debug, Clone)]
pub struct Reloaded {
    /// When it was tried.
    pub at: DateTime<Utc>,
    /// Why it was refused, in which case everything stayed as it was.
    pub refused: Option<String>,
}

/// The server's last reload.
#[derive(Debug, Default)]
pub struct LastReload(Mutex<Option<Reloaded>>);

impl LastReload {
    /// The last reload; `None` before the first.
    pub fn get(&self) -> Option<Reloaded> {
        self.0.lock().ok()?.clone()
    }

    /// Remembers a reload as the last one.
    pub fn set(&self, reloaded: Reloaded) {
        if let Ok(mut last) = self.0.lock() {
            *last = Some(reloaded);
        }
    }
}

/// Requests for a reload on their way to the task that reloads.
#[derive(Debug)]
pub struct Reloads {
    ask: mpsc::Sender<oneshot::Sender<Reloaded>>,
    asked: AsyncMutex<mpsc::Receiver<oneshot::Sender<Reloaded>>>,
}

impl Default for Reloads {
    fn default() -> Self {
        let (ask, asked) = mpsc::channel(WAITING);
        Self {
            ask,
            asked: AsyncMutex::new(asked),
        }
    }
}

impl Reloads {
    /// Asks for a reload and waits for its outcome; `None` if the server is stopping.
    pub async fn ask(&self) -> Option<Reloaded> {
        let (tell, told) = oneshot::channel();
        self.ask.send(tell).await.ok()?;
        told.await.ok()
    }

    /// The next request, with the place for its outcome; for the task that reloads.
    pub async fn asked(&self) -> Option<oneshot::Sender<Reloaded>> {
        self.asked.lock().await.recv().await
    }
}
