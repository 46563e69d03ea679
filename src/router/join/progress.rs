//! How far a topic was read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;

use crate::flow::Topic;

/// One topic, read by one member in order.
#[derive(Debug)]
pub struct Progress {
    pub topic: Topic,
    /// When the bus took in the newest event that was read, in microseconds.
    read: AtomicI64,
    /// Events that were read and are not settled.
    open: AtomicU64,
}

impl Progress {
    pub fn new(topic: Topic) -> Self {
        Self { topic, read: AtomicI64::new(i64::MIN), open: AtomicU64::new(0) }
    }

    /// Notes that an event was read; to be called after it was put where it is waited for. What is returned
    /// must be dropped before the event is settled.
    pub fn taken(self: &Arc<Self>, appended: Timestamp) -> Taken {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.read.fetch_max(appended.as_microsecond(), Ordering::SeqCst);
        Taken(self.clone())
    }

    /// All events from before this time were read, in microseconds.
    pub fn read(&self) -> i64 {
        self.read.load(Ordering::SeqCst)
    }

    /// Events that were read and are not settled.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }
}

/// An event that was read and is not settled.
#[must_use]
#[derive(Debug)]
pub struct Taken(Arc<Progress>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
