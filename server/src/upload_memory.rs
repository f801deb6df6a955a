//! The memory that all publishes together may take.
//!
//! What is uploaded is held until it is stored, together with what was read of it and the database's copies. Without a
//! limit on all of it, some large publishes at a time would take the memory of everything else.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::config::UPLOAD_TIMES;

/// How long a publish waits for others to end before it is refused.
const WAIT: Duration = Duration::from_secs(5);
/// Memory is counted in units of this many bytes.
const UNIT: usize = 1024;
/// What is taken for a body of unknown size, in bytes, before any of it is read.
const FIRST: usize = 1024 * 1024;

/// The memory that is left for publishes.
#[derive(Debug, Clone)]
pub struct UploadMemory {
    units: Arc<Semaphore>,
    all: usize,
    wait: Duration,
}

/// The memory of one publish, which is free again when this is dropped.
#[derive(Debug)]
pub struct Taken {
    memory: UploadMemory,
    units: Option<OwnedSemaphorePermit>,
}

/// Others do not leave enough memory in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMemory;

impl UploadMemory {
    /// This many bytes for all publishes together.
    pub fn new(bytes: usize) -> Self {
        let all = (bytes / UNIT).clamp(1, u32::MAX as usize);
        Self {
            units: Arc::new(Semaphore::new(all)),
            all,
            wait: WAIT,
        }
    }

    /// Takes the memory for a body of this many bytes, if its size is known. A publish for which all of it is too
    /// little goes alone.
    ///
    /// # Errors
    /// When others do not leave enough of it in time.
    pub async fn take(&self, announced: Option<usize>) -> Result<Taken, NoMemory> {
        let mut taken = Taken {
            memory: self.clone(),
            units: None,
        };
        taken.cover(announced.unwrap_or(FIRST)).await?;
        Ok(taken)
    }
}

impl Taken {
    /// Takes more if it is not enough for a body of this many bytes. Then twice as much, so that a body of unknown size
    /// seldom asks.
    ///
    /// # Errors
    /// When others do not leave enough of it in time.
    pub async fn cover(&mut self, bytes: usize) -> Result<(), NoMemory> {
        let taken = self.units.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let units = |bytes: usize| bytes.saturating_mul(UPLOAD_TIMES).div_ceil(UNIT).max(1);
        if units(bytes).min(self.memory.all) <= taken {
            return Ok(());
        }
        let wanted = units(bytes).max(2 * taken).min(self.memory.all);
        let more = u32::try_from(wanted - taken).unwrap_or(u32::MAX);
        let taking = self.memory.units.clone().acquire_many_owned(more);
        let more = timeout(self.memory.wait, taking).await.map_err(|_| NoMemory)?;
        let more = more.map_err(|_| NoMemory)?;
        match &mut self.units {
            Some(units) => units.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(bytes: usize) -> UploadMemory {
        UploadMemory {
            wait: Duration::from_millis(20),
            ..UploadMemory::new(bytes)
        }
    }

    #[tokio::test]
    async fn what_is_taken_is_missing_until_it_is_given_back() {
        let memory = memory(100 * UNIT * UPLOAD_TIMES);
        let first = memory.take(Some(60 * UNIT)).await.unwrap();
        let second = memory.take(Some(40 * UNIT)).await.unwrap();
        assert_eq!(memory.take(Some(1)).await.unwrap_err(), NoMemory);
        drop(first);
        assert!(memory.take(Some(60 * UNIT)).await.is_ok());
        drop(second);
        assert!(memory.take(Some(1_000_000 * UNIT)).await.is_ok(), "alone");
    }

    #[tokio::test]
    async fn a_body_of_unknown_size_takes_more_as_it_grows() {
        let memory = memory(4 * FIRST * UPLOAD_TIMES);
        let mut growing = memory.take(None).await.unwrap();
        let other = memory.take(Some(2 * FIRST)).await.unwrap();
        growing.cover(FIRST).await.unwrap();
        growing.cover(FIRST + 1).await.unwrap();
        growing.cover(2 * FIRST).await.unwrap();
        assert_eq!(growing.cover(3 * FIRST).await, Err(NoMemory));
        drop(other);
        growing.cover(3 * FIRST).await.unwrap();
        growing.cover(100 * FIRST).await.unwrap();
    }
}
