//! The embedded bus: topics in a directory, for one process and no broker.
//!
//! It stands on the fjall database (an LSM tree with a journal). One thread writes
//! ([`writer`]): publishers wait in a bounded [`queue`], and whatever waits is written as one
//! atomic batch that is on disk before anyone is answered. Subscribers find new events in memory
//! ([`topic`]) and older ones in the [`log`]; a [`group`] knows what its members hold and have
//! settled. A crash loses nothing that was accepted, and redelivers at most what was acknowledged
//! within the last 50 milliseconds.
//!
//! Never: a second process on the same directory, a promise before the sync, an event dropped
//! because it cannot be read (it is handed out as poison). Retention is the one rule that deletes
//! events nobody has read; what that costs is counted.

pub mod config;
mod dedup;
mod disk;
mod group;
mod journal;
mod layout;
mod log;
mod marker;
mod publish;
mod queue;
mod read;
mod reclaim;
mod retention;
mod round;
mod settled;
mod shared;
mod sieve;
mod store;
mod subscribe;
mod topic;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::fault::{Fault, FaultKind};
use crate::flow::{
    self, Bus, Capability, End, Ordering, Outgoing, Position, Published, Reader, Subscriber, Subscription,
};
use crate::task::{self, Clock};
use config::Config;
use disk::Slot;
use queue::Job;
use round::Memory;
use shared::Shared;
use writer::Writer;

/// The kind's name in configuration.
pub const KIND: &str = "embedded";

/// A bus in a directory of this machine. Dropping it closes it, and blocks until what waits is
/// written: call [`Bus::close`] first.
pub struct Embedded {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the bus in `directory`, which is made when it does not exist, and starts its writer.
    ///
    /// # Errors
    /// `Conflict` when another process has it open; `Rejected` when it holds another format;
    /// `Malformed` when it is damaged where acknowledged events are; otherwise when the disk fails.
    pub async fn open(directory: impl AsRef<Path>, config: Config, clock: Clock) -> Result<Self, Fault> {
        let directory = PathBuf::from(directory.as_ref());
        task::blocking("open the bus", move || Self::open_here(&directory, config, clock)).await
    }

    fn open_here(directory: &Path, config: Config, clock: Clock) -> Result<Self, Fault> {
        const OPERATION: &str = "open the bus";
        let claim = marker::claim(directory)?;
        let slot = Slot::open(claim.database.clone())?;
        let shared = Arc::new(Shared::new(config, clock, slot));
        shared.load()?;
        let (window, now) = (writer::window(&shared), shared.now());
        let memory = shared.slot.with(OPERATION, |disk| Memory::read(disk, window, now))?;
        let writer = Writer::new(shared.clone(), memory, claim);
        let thread = task::thread("bus-writer", move || writer.run()).map_err(|error| {
            Fault::new(FaultKind::Unavailable, OPERATION, "no thread can be started").with_source(error)
        })?;
        Ok(Self { shared, writer: Mutex::new(Some(thread)) })
    }

    /// Applies the retention rules now, as the bus does by itself every minute; answers how many
    /// events were deleted.
    ///
    /// # Errors
    /// When the disk fails, or the bus is closed.
    pub async fn retain(&self) -> Result<u64, Fault> {
        let (answer, answered) = oneshot::channel();
        if !self.shared.queue.push(Job::Retain { answer }) {
            return Err(Shared::closed("apply retention"));
        }
        answered.await.unwrap_or_else(|_| Err(Shared::closed("apply retention")))
    }

    /// Waits until the writer has written everything and closed the database.
    fn stop(&self) -> Result<(), Fault> {
        self.shared.close();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let joined = thread.map_or(Ok(()), JoinHandle::join);
        match (joined, self.shared.ailment()) {
            (Err(_), _) => Err(Fault::new(FaultKind::Internal, "close the bus", "its writer panicked")),
            (Ok(()), Some(fault)) => Err(fault),
            (Ok(()), None) => Ok(()),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(fault) = self.stop() {
            tracing::warn!(error = %fault.chain(), "the bus was dropped in a bad state");
        }
    }
}

#[async_trait]
impl Bus for Embedded {
    fn capability(&self) -> Capability {
        Capability {
            delayed: true,
            deduplicated: true,
            durable: true,
            ordering: Ordering::Topic,
            max_event_bytes: self.shared.config.max_event_bytes,
        }
    }

    async fn publish(&self, topic: &flow::Topic, batch: Vec<Outgoing>) -> Vec<Result<Published, Fault>> {
        publish::publish(&self.shared, topic, batch).await
    }

    async fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn Subscriber>, Fault> {
        Ok(Box::new(subscribe::join(&self.shared, subscription).await?))
    }

    async fn read(&self, topic: &flow::Topic, after: Option<Position>) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(read::Reader::new(&self.shared, topic, after)))
    }

    async fn end(&self, topic: &flow::Topic) -> Result<End, Fault> {
        read::end(&self.shared, topic)
    }

    async fn behind(&self, topic: &flow::Topic, after: Option<Position>) -> Result<u64, Fault> {
        Ok(read::behind(&self.shared, topic, after))
    }

    async fn lag(&self, topic: &flow::Topic, group: &flow::Group) -> Result<u64, Fault> {
        let topic = self.shared.topic(topic).and_then(|topic| Some((topic.group(group)?, topic)));
        let unknown = || Fault::new(FaultKind::NotFound, "measure lag", "the topic has no such consumer group");
        let (group, topic) = topic.ok_or_else(unknown)?;
        Ok(group.lag(topic.record().next))
    }

    fn ailment(&self) -> Option<Fault> {
        self.shared.ailment()
    }

    fn lost(&self) -> u64 {
        self.shared.lost()
    }

    async fn close(&self) -> Result<(), Fault> {
        // The blocking part borrows the bus, so it cannot move to a thread that outlives the call:
        // the writer is told first, and its end is waited for off the async threads.
        self.shared.close();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let joined = task::blocking("close the bus", move || {
                thread.join().map_err(|_| Fault::new(FaultKind::Internal, "close the bus", "its writer panicked"))
            });
            joined.await?;
        }
        self.stop()
    }
}
