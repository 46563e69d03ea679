//! What publishers, subscribers and the writer share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::config::Config;
use super::disk::{Disk, Slot, fault};
use super::group::Group;
use super::layout::{TopicRecord, split_position_key};
use super::queue::Queue;
use super::settled::Settled;
use super::topic::{Budget, Topic};
use crate::fault::{Fault, FaultKind};
use crate::flow;
use crate::task::{self, Clock};

const OPERATION: &str = "open the bus";

#[derive(Default)]
struct Topics {
    by_name: HashMap<flow::Topic, Arc<Topic>>,
    by_id: HashMap<u32, Arc<Topic>>,
}

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) slot: Slot,
    pub(super) queue: Queue,
    topics: RwLock<Topics>,
    budget: Budget,
    uptime: Box<dyn Fn() -> Duration + Send + Sync>,
    /// Events that were deleted, or not found, before a group had settled them.
    lost: AtomicU64,
    /// Why the last write failed, until one succeeds.
    ailment: Mutex<Option<Fault>>,
    /// Whether a round has its time and is not taken over by everyone yet.
    in_round: AtomicBool,
    /// The time of the last round that is.
    round: AtomicI64,
}

impl Shared {
    pub(super) fn new(config: Config, clock: Clock, slot: Slot) -> Self {
        Self {
            config,
            clock,
            slot,
            queue: Queue::new(),
            topics: RwLock::default(),
            budget: Budget::default(),
            uptime: Box::new(task::stopwatch()),
            lost: AtomicU64::new(0),
            ailment: Mutex::new(None),
            in_round: AtomicBool::new(false),
            round: AtomicI64::new(i64::MIN),
        }
    }

    /// To be called before a round is given its time.
    pub(super) fn begin_round(&self) {
        self.in_round.store(true, Ordering::SeqCst);
    }

    /// A round is over; its time, if it was written.
    pub(super) fn end_round(&self, time: Option<i64>) {
        if let Some(time) = time {
            self.round.store(time, Ordering::SeqCst);
        }
        self.in_round.store(false, Ordering::SeqCst);
    }

    /// What is appended later than this is told is not older than this, in microseconds.
    pub(super) fn settled(&self) -> i64 {
        // The clock first: a round that begins after the second look has a later time.
        let now = self.now();
        if self.in_round.load(Ordering::SeqCst) { self.round.load(Ordering::SeqCst) } else { now }
    }

    /// Reads the topics and groups of the disk.
    pub(super) fn load(&self) -> Result<(), Fault> {
        for (name, record) in self.topic_records()? {
            self.slot.floors().raise(record.id, record.first);
            self.topic_or_insert(name, record);
        }
        let rows = self.slot.with(OPERATION, |disk| {
            disk.positions.iter().map(fjall::Guard::into_inner).collect::<fjall::Result<Vec<_>>>()
        })?;
        for (key, value) in rows {
            let position = split_position_key(&key).and_then(|(id, name)| {
                Some((self.topic_by_id(id)?, flow::Group::new(name).ok()?, Settled::decode(&value)?))
            });
            let Some((topic, name, mut settled)) = position else {
                return Err(Fault::new(FaultKind::Malformed, OPERATION, "a stored position cannot be read"));
            };
            let lost = settled.raise(topic.record().first);
            self.count_lost(lost);
            topic.add_group(Arc::new(Group::new(topic.id, name, settled)));
        }
        Ok(())
    }

    /// Takes over where the topics stand on a disk that was opened again: the write whose failure
    /// led there may have been kept nevertheless.
    pub(super) fn reload(&self) -> Result<(), Fault> {
        for (name, record) in self.topic_records()? {
            self.topic_or_insert(name, record).reset(record);
        }
        Ok(())
    }

    fn topic_records(&self) -> Result<Vec<(flow::Topic, TopicRecord)>, Fault> {
        let read = |disk: &Disk| disk.topics.iter().map(fjall::Guard::into_inner).collect::<fjall::Result<Vec<_>>>();
        let rows = self.slot.with(OPERATION, read)?;
        let parse = |(key, value): (fjall::Slice, fjall::Slice)| {
            let name = std::str::from_utf8(&key).ok().and_then(|name| flow::Topic::new(name).ok());
            let damaged = || Fault::new(FaultKind::Malformed, OPERATION, "a stored topic cannot be read");
            name.zip(TopicRecord::decode(&value)).ok_or_else(damaged)
        };
        rows.into_iter().map(parse).collect()
    }

    pub(super) fn topic(&self, name: &flow::Topic) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_name.get(name).cloned()
    }

    pub(super) fn topic_by_id(&self, id: u32) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).cloned()
    }

    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).by_id.values().cloned().collect()
    }

    /// The topic of that name, made with the next free id when there is none.
    pub(super) fn topic_or_new(&self, name: &flow::Topic) -> Arc<Topic> {
        if let Some(topic) = self.topic(name) {
            return topic;
        }
        let id = self.topics().iter().map(|topic| topic.id + 1).max().unwrap_or(0);
        self.topic_or_insert(name.clone(), TopicRecord { id, ..TopicRecord::default() })
    }

    fn topic_or_insert(&self, name: flow::Topic, record: TopicRecord) -> Arc<Topic> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.by_name.get(&name) {
            return topic.clone();
        }
        let topic = Arc::new(Topic::new(name.clone(), record, self.budget.clone()));
        topics.by_name.insert(name, topic.clone());
        topics.by_id.insert(record.id, topic.clone());
        topic
    }

    /// Time since the bus was opened.
    pub(super) fn uptime(&self) -> Duration {
        (self.uptime)()
    }

    /// Wall time in microseconds.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    pub(super) fn count_lost(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn ailment(&self) -> Option<Fault> {
        self.ailment.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_ailment(&self, ailment: Option<Fault>) {
        *self.ailment.lock().unwrap_or_else(PoisonError::into_inner) = ailment;
    }

    /// Refuses everything from now on, and lets the subscribers see it.
    pub(super) fn close(&self) {
        self.queue.close();
        for topic in self.topics() {
            topic.wake();
        }
    }

    /// A database error as a fault of this bus.
    pub(super) fn fault(&self, operation: &'static str, error: &fjall::Error) -> Fault {
        fault(operation, error).with_context("directory", self.slot.path().display().to_string())
    }
}
