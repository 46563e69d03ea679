//! How many attempts at one sink are made at the same time, and who waits for them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::task;

/// How long an event waits for its turn at a busy sink before it is put aside, so that a sink that
/// hangs does not hold up the other events of its topic.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Attempts at the same time at a sink that hangs: as few as find out when it no longer does, so
/// that many sinks that hang do not hold all events that a topic may have in flight.
const PROBES: usize = 2;

/// The way to one sink.
#[derive(Debug)]
pub struct Gate {
    concurrency: usize,
    attempts: Semaphore,
    /// Events that rest between two attempts in place; as many as there may be attempts.
    rests: Semaphore,
    /// Somebody waited in vain, and nobody has come through without waiting since: until then
    /// waiting is not worth it.
    congested: AtomicBool,
    /// Attempts in a row that were not answered in time. As many as may be made at once: it hangs.
    unanswered: AtomicUsize,
}

impl Gate {
    pub fn new(concurrency: usize) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            concurrency,
            attempts: Semaphore::new(concurrency),
            rests: Semaphore::new(concurrency),
            congested: AtomicBool::new(false),
            unanswered: AtomicUsize::new(0),
        }
    }

    /// Waits for a turn, but not for long; `None` when there is none. Cancel-safe.
    pub async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        if self.unanswered.load(Ordering::Relaxed) >= self.concurrency {
            let attempting = self.concurrency.saturating_sub(self.attempts.available_permits());
            if attempting >= PROBES {
                return None;
            }
        }
        if let Ok(permit) = self.attempts.try_acquire() {
            if self.congested.load(Ordering::Relaxed) {
                self.congested.store(false, Ordering::Relaxed);
            }
            return Some(permit);
        }
        if self.congested.load(Ordering::Relaxed) {
            return None;
        }
        // Boxed: the timer would make every event in flight larger, and few wait.
        Box::pin(self.wait()).await
    }

    async fn wait(&self) -> Option<SemaphorePermit<'_>> {
        let entered = task::within(PATIENCE, self.attempts.acquire()).await;
        if entered.is_none() {
            self.congested.store(true, Ordering::Relaxed);
        }
        entered?.ok()
    }

    /// Notes whether an attempt was answered in time, well or badly.
    pub fn note(&self, answered: bool) {
        if !answered {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        } else if self.unanswered.load(Ordering::Relaxed) > 0 {
            self.unanswered.store(0, Ordering::Relaxed);
        }
    }

    /// A place to rest between two attempts in place; `None` when too many rest already.
    pub fn rest(&self) -> Option<SemaphorePermit<'_>> {
        self.rests.try_acquire().ok()
    }
}
