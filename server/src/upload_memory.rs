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
/// What is taken before anything of a body is read, in bytes.
const FIRST: usize = 16 * 1024;
/// The largest body that counts as small, in bytes, unless the memory is little. Most publishes are smaller.
const SMALL: usize = 1024 * 1024;
/// A small body is at most one part in this many of what all may take.
const SHARE_OF_SMALL: usize = 16;
/// Large bodies leave one part in this many of the memory to small ones, which so never wait for them.
const LEFT_TO_SMALL: usize = 4;

/// The memory that is left for publishes.
#[derive(Debug, Clone)]
pub struct UploadMemory {
    all: Budget,
    /// Of these, what large bodies may take.
    large: Budget,
    wait: Duration,
}

#[derive(Debug, Clone)]
struct Budget {
    units: Arc<Semaphore>,
    all: usize,
}

/// The memory of one publish, which is free again when this is dropped. It grows with what has arrived: what a client
/// only announces is not kept from others.
#[derive(Debug)]
pub struct Taken {
    memory: UploadMemory,
    announced: Option<usize>,
    large: Option<OwnedSemaphorePermit>,
    units: Option<OwnedSemaphorePermit>,
}

/// Others do not leave enough memory in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMemory;

impl Budget {
    fn new(units: usize) -> Self {
        let all = units.clamp(1, u32::MAX as usize);
        Self {
            units: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    /// Adds to `taken` until it is `wanted` units, or all that there are.
    async fn grow(&self, taken: &mut Option<OwnedSemaphorePermit>, wanted: usize) -> Result<(), NoMemory> {
        let before = taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = wanted.min(self.all).saturating_sub(before);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let more = self.units.clone().acquire_many_owned(more).await;
        let more = more.map_err(|_| NoMemory)?;
        match taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

impl UploadMemory {
    /// This many bytes for all publishes together.
    pub fn new(bytes: usize) -> Self {
        let units = bytes / UNIT;
        Self {
            all: Budget::new(units),
            large: Budget::new(units - units / LEFT_TO_SMALL),
            wait: WAIT,
        }
    }

    /// The largest body that counts as small, in bytes.
    fn small(&self) -> usize {
        SMALL.min(self.all.all * UNIT / UPLOAD_TIMES / SHARE_OF_SMALL)
    }

    /// Takes the memory for the beginning of a body. `announced` is its size, if that is known.
    ///
    /// # Errors
    /// When others do not leave enough of it in time.
    pub async fn take(&self, announced: Option<usize>) -> Result<Taken, NoMemory> {
        let mut taken = Taken {
            memory: self.clone(),
            announced,
            large: None,
            units: None,
        };
        taken
            .cover(announced.map_or(FIRST, |size| size.min(FIRST)))
            .await?;
        Ok(taken)
    }
}

impl Taken {
    /// Takes more if it is not enough for this many bytes of the body. Then twice as much, so that a body that grows
    /// seldom asks. A body for which all of it is too little goes alone, beside small ones.
    ///
    /// # Errors
    /// When others do not leave enough of it in time.
    pub async fn cover(&mut self, bytes: usize) -> Result<(), NoMemory> {
        let taken = self.units.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let units = |bytes: usize| bytes.saturating_mul(UPLOAD_TIMES).div_ceil(UNIT).max(1);
        let is_large = bytes > self.memory.small();
        let limit = if is_large {
            self.memory.large.all
        } else {
            self.memory.all.all
        };
        let needed = units(bytes).min(limit);
        if needed <= taken && (!is_large || self.large.is_some()) {
            return Ok(());
        }
        let whole = self.announced.map_or(usize::MAX, units);
        let wanted = (2 * taken).min(whole).max(needed).min(limit);
        let Self {
            memory, large, units, ..
        } = self;
        let growing = async {
            if is_large {
                memory.large.grow(large, wanted).await?;
            }
            memory.all.grow(units, wanted).await
        };
        timeout(memory.wait, growing).await.map_err(|_| NoMemory)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(bytes: usize) -> UploadMemory {
        UploadMemory {
            wait: Duration::from_millis(20),
            ..UploadMemory::new(bytes * UPLOAD_TIMES)
        }
    }

    async fn covered(memory: &UploadMemory, bytes: usize) -> Result<Taken, NoMemory> {
        let mut taken = memory.take(Some(bytes)).await?;
        taken.cover(bytes).await?;
        Ok(taken)
    }

    #[tokio::test]
    async fn what_is_taken_is_missing_until_it_is_given_back() {
        let memory = memory(100 * SMALL);
        let first = covered(&memory, 50 * SMALL).await.unwrap();
        let second = covered(&memory, 25 * SMALL).await.unwrap();
        assert_eq!(covered(&memory, 2 * SMALL).await.unwrap_err(), NoMemory);
        drop(first);
        assert!(covered(&memory, 50 * SMALL).await.is_ok());
        drop(second);
        assert!(covered(&memory, 1_000 * SMALL).await.is_ok(), "alone");
    }

    #[tokio::test]
    async fn small_bodies_do_not_wait_for_large_ones_however_many_these_are() {
        let memory = memory(16 * SMALL);
        let large = covered(&memory, 1_000 * SMALL).await.unwrap();
        assert_eq!(covered(&memory, 2 * SMALL).await.unwrap_err(), NoMemory);
        let mut small = Vec::new();
        while let Ok(taken) = covered(&memory, SMALL).await {
            small.push(taken);
        }
        assert_eq!(small.len(), 4, "a quarter is left for them");
        drop(large);
        assert!(covered(&memory, 2 * SMALL).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_only_announced_is_left_to_others() {
        let memory = memory(16 * SMALL);
        let mut silent = memory.take(Some(1_000 * SMALL)).await.unwrap();
        let other = covered(&memory, 10 * SMALL).await.unwrap();
        assert_eq!(silent.cover(10 * SMALL).await, Err(NoMemory));
        drop(other);
        silent.cover(10 * SMALL).await.unwrap();
    }

    #[tokio::test]
    async fn a_body_of_unknown_size_takes_more_as_it_grows() {
        let memory = memory(32 * SMALL);
        let mut growing = memory.take(None).await.unwrap();
        for size in [1, SMALL, SMALL + 1, 5 * SMALL, 20 * SMALL, 1_000 * SMALL] {
            growing.cover(size).await.unwrap();
        }
        assert_eq!(covered(&memory, 2 * SMALL).await.unwrap_err(), NoMemory);
        drop(growing);
        assert!(covered(&memory, 2 * SMALL).await.is_ok());
    }
}
