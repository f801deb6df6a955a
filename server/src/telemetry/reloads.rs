//! The outcome of the last reload.

use std::sync::Mutex;

use chrono::{DateTime, Utc};

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
